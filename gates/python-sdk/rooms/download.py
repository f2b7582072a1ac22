"""download_blob: whole, ranges, parallel chunks, checksums, and connections that are cut."""

import base64
import hashlib
import http.client
import io
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceModifiedError
from azure.storage.blob import BlobServiceClient
from kit import MIB, check, data, equal, md5, put, read, refused, same


@check("download_blob gives bytes and properties")
def whole(kit):
    content = data(100_000)
    blob = put(kit.container(), "a", content, metadata={"k": "v"})
    stream = blob.download_blob()
    same(stream.readall(), content)
    equal([stream.size, stream.properties.size, stream.properties.metadata], [100_000, 100_000, {"k": "v"}])
    equal(stream.properties.content_settings.content_md5, md5(content))


@check("download_blob of an empty blob")
def empty(kit):
    blob = put(kit.container(), "a", b"")
    equal(read(blob), b"")
    equal(blob.download_blob().size, 0)


@check("ranges: first, last, open-ended, overlong")
def ranges(kit):
    content = data(1000)
    blob = put(kit.container(), "a", content)
    for offset, length in [(0, 1), (999, 1), (500, None), (990, 5000), (0, 1000), (123, 456)]:
        got = read(blob, offset=offset, length=length)
        same(got, content[offset:] if length is None else content[offset : offset + length], f"{offset}+{length}")


@check("a range past the end is InvalidRange 416")
def past(kit):
    blob = put(kit.container(), "a", b"abc")
    error = refused(lambda: blob.download_blob(offset=3, length=1), 416, "InvalidRange")
    equal(error.response.headers.get("Content-Range"), "bytes */3")


@check("parallel chunks into bytes, a stream and a file")
def parallel(kit):
    content = data(5 * MIB + 77)
    name = kit.container().container_name
    service = kit.connect(max_single_get_size=100_000, max_chunk_get_size=250_001, max_single_put_size=1024, max_block_size=700_001)
    blob = service.get_blob_client(name, "a")
    blob.upload_blob(content, max_concurrency=4)
    same(read(blob, max_concurrency=6), content)
    into = io.BytesIO()
    equal(blob.download_blob(max_concurrency=3).readinto(into), len(content))
    same(into.getvalue(), content)
    path = os.path.join(kit.work, kit.name("down"))
    with open(path, "wb") as file:
        blob.download_blob().readinto(file)
    with open(path, "rb") as file:
        same(file.read(), content)
    same(b"".join(blob.download_blob().chunks()), content)
    same(read(blob, offset=300_007, length=2 * MIB, max_concurrency=4), content[300_007 : 300_007 + 2 * MIB])


@check("validate_content checks every chunk's md5")
def validated(kit):
    content = data(2 * MIB)
    service = kit.connect(max_single_get_size=300_000, max_chunk_get_size=300_000)
    blob = service.get_blob_client(kit.container().container_name, "a")
    blob.upload_blob(content)
    same(read(blob, validate_content=True, max_concurrency=3), content)
    headers = kit.last().headers
    assert headers.get("Content-MD5"), "a chunk without Content-MD5"
    equal(headers.get("x-ms-blob-content-md5"), base64.b64encode(hashlib.md5(content).digest()).decode())


@check("read in pieces and by characters")
def pieces(kit):
    blob = put(kit.container(), "a", "grüße 🚀 und mehr".encode())
    stream = blob.download_blob(encoding="utf-8")
    equal(stream.read(chars=7) + stream.read(), "grüße 🚀 und mehr")


@check("a connection that is cut again and again is resumed by the SDK")
def cut(kit):
    content = data(6 * MIB)
    name = put(kit.container(), "a", content).container_name
    with Proxy(kit.blob, cut_after=300_000) as proxy:
        blob = behind(kit, proxy).get_blob_client(name, "a")
        same(blob.download_blob(max_concurrency=2).readall(), content)
        assert proxy.cuts >= 6, f"only {proxy.cuts} of {proxy.requests} answers were cut"


@check("a blob that changes between two chunks ends the download with ConditionNotMet")
def changed(kit):
    name = put(kit.container(), "a", data(3 * MIB)).container_name
    blob = kit.connect(max_single_get_size=MIB, max_chunk_get_size=MIB).get_blob_client(name, "a")
    stream = blob.download_blob()
    blob.upload_blob(data(3 * MIB, 2), overwrite=True)
    try:
        stream.readall()
    except ResourceModifiedError as error:
        equal([error.status_code, error.response.headers.get("x-ms-error-code")], [412, "ConditionNotMet"])
    else:
        raise AssertionError("two versions were mixed")


@check("a missing blob is BlobNotFound")
def missing(kit):
    container = kit.container()
    refused(container.get_blob_client("none").download_blob, 404, "BlobNotFound")
    error = refused(container.get_blob_client("none").get_blob_properties, 404)
    equal(error.response.headers.get("x-ms-error-code"), "BlobNotFound")
    refused(kit.service.get_blob_client(kit.name(), "a").download_blob, 404, "ContainerNotFound")


def behind(kit, proxy):
    # Shared Key signs path and headers, not the host: a proxy on another port is transparent.
    credential = {"account_name": kit.account, "account_key": kit.key}
    endpoint = f"http://127.0.0.1:{proxy.port}/{kit.account}"
    return BlobServiceClient(endpoint, credential=credential, max_single_get_size=MIB, max_chunk_get_size=MIB)


class Proxy:
    """Passes requests on, and cuts the first answer to every range after so many bytes."""

    def __init__(self, target, cut_after):
        self.requests = 0
        self.cuts = 0
        self.seen = set()
        outer = self
        address = urlsplit(target)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests += 1
                upstream = http.client.HTTPConnection(address.hostname, address.port)
                upstream.request("GET", self.path, headers={**self.headers, "Accept-Encoding": "identity"})
                answer = upstream.getresponse()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    self.send_header(name, value)
                self.end_headers()
                body = answer.read()
                wanted = self.headers.get("x-ms-range")
                if wanted in outer.seen or len(body) <= cut_after:
                    self.wfile.write(body)
                else:
                    outer.seen.add(wanted)
                    outer.cuts += 1
                    self.wfile.write(body[:cut_after])
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
