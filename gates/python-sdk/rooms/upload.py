"""upload_blob in every size and from every kind of source, with checksums."""

import io
import os
from concurrent.futures import ThreadPoolExecutor

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContentSettings, StandardBlobTier
from kit import MIB, check, data, equal, md5, put, read, refused, same

SIZES = {"0 B": 0, "1 B": 1, "4 KiB": 4096, "64 KiB": 65536, "5 MiB": 5 * MIB}


def _sized(label, size):
    @check(f"upload_blob of {label} reads back")
    def sized(kit):
        content = data(size, size + 1)
        blob = kit.container().get_blob_client("dir/blob")
        answer = blob.upload_blob(content)
        assert answer["etag"].startswith('"0x'), answer["etag"]
        same(read(blob), content)
        properties = blob.get_blob_properties()
        equal(properties.size, size)
        equal(properties.etag, answer["etag"])
        equal(properties.content_settings.content_md5, md5(content), "content_md5")


for _label, _size in SIZES.items():
    _sized(_label, _size)


@check("upload_blob answers with etag, date, md5, crc64 and ids")
def answers(kit):
    answer = kit.container().upload_blob("a", b"hello", raw_response_hook=kit._note)
    headers = kit.last().headers
    equal(kit.last().status_code, 201)
    equal(headers["x-ms-request-server-encrypted"], "true")
    assert headers.get("x-ms-content-crc64") and headers.get("Content-MD5"), "a checksum is missing"
    assert headers.get("x-ms-request-id") and headers.get("Last-Modified") and headers.get("Date")
    equal(headers["x-ms-client-request-id"], kit.last().request.headers["x-ms-client-request-id"])
    assert answer.url.endswith("/a")


@check("upload_blob without overwrite of an existing blob is BlobAlreadyExists")
def exists(kit):
    blob = put(kit.container(), "a", b"one")
    refused(lambda: blob.upload_blob(b"two"), 409, "BlobAlreadyExists")
    try:
        blob.upload_blob(b"two")
    except ResourceExistsError:
        pass
    equal(read(blob), b"one")


@check("upload_blob in blocks, concurrently, without overwrite of an existing blob is BlobAlreadyExists")
def exists_in_blocks(kit):
    container = kit.connect(max_single_put_size=1024, max_block_size=MIB).get_container_client(kit.container().container_name)
    blob = container.get_blob_client("a")
    blob.upload_blob(data(3 * MIB), max_concurrency=4)
    refused(lambda: blob.upload_blob(data(3 * MIB, 2), max_concurrency=4), 409, "BlobAlreadyExists")
    same(read(blob), data(3 * MIB))


@check("upload_blob keeps properties, metadata and tier")
def keeps(kit):
    settings = ContentSettings("text/x-odd; charset=utf-8", "identity", "de-CH, en", 'attachment; filename="a b"', "max-age=7")
    blob = put(
        kit.container(),
        "a",
        b"hello",
        content_settings=settings,
        metadata={"Key": "Value", "n": "1"},
        standard_blob_tier=StandardBlobTier.COOL,
    )
    got = blob.get_blob_properties()
    for name in ["content_type", "content_encoding", "content_language", "content_disposition", "cache_control"]:
        equal(got.content_settings[name], settings[name], name)
    equal({name.lower(): value for name, value in got.metadata.items()}, {"key": "Value", "n": "1"})
    equal([got.blob_tier, bool(got.blob_tier_inferred)], ["Cool", False])


@check("upload_blob with validate_content sends checksums that hold, in one shot and in blocks")
def validated(kit):
    content = data(3 * MIB + 5)
    container = kit.connect(max_single_put_size=1024, max_block_size=MIB).get_container_client(kit.container().container_name)
    blob = container.get_blob_client("a")
    blob.upload_blob(content, validate_content=True, max_concurrency=3)
    same(read(blob, validate_content=True), content)
    small = container.get_blob_client("b")
    small.upload_blob(b"hello", validate_content=True)
    equal(read(small), b"hello")


@check("a wrong content-md5 is Md5Mismatch")
def wrong_md5(kit):
    blob = kit.container().get_blob_client("a")
    headers = {"Content-MD5": "CY9rzUYh03PK3k6DJie09g=="}
    refused(lambda: blob.upload_blob(b"hello", headers=headers), 400, "Md5Mismatch")
    refused(lambda: blob.stage_block("AAAA", b"hello", headers=headers), 400, "Md5Mismatch")
    equal(blob.exists(), False)


@check("a wrong crc64 is Crc64Mismatch, the right one is taken")
def crc64(kit):
    blob = kit.container().get_blob_client("a")
    wrong = {"x-ms-content-crc64": "AQIDBAUGBwg="}
    refused(lambda: blob.upload_blob(b"Hello World!", headers=wrong), 400, "Crc64Mismatch")
    blob.upload_blob(b"Hello World!", headers={"x-ms-content-crc64": "peH8Xsgc5QI="})
    equal(read(blob), b"Hello World!")


@check("upload_blob from a file, a generator, a text and a stream without length")
def sources(kit):
    content = data(2 * MIB + 9)
    path = os.path.join(kit.work, kit.name("up"))
    with open(path, "wb") as file:
        file.write(content)
    container = kit.connect(max_single_put_size=4096, max_block_size=300_001).get_container_client(kit.container().container_name)
    with open(path, "rb") as file:
        container.upload_blob("file", file, max_concurrency=4)
    container.upload_blob("generator", (content[at : at + 77_777] for at in range(0, len(content), 77_777)))
    container.upload_blob("text", "grüße 🚀", encoding="utf-8")

    class Stream(io.RawIOBase):
        """Neither seekable nor of known length."""

        at = 0

        def read(self, count=-1):
            piece = content[self.at : self.at + count]
            self.at += len(piece)
            return piece

    container.upload_blob("stream", Stream(), max_concurrency=2)
    for name in ["file", "generator", "stream"]:
        same(read(container.get_blob_client(name)), content, name)
    equal(read(container.get_blob_client("text"), encoding="utf-8"), "grüße 🚀")


@check("upload_blob of part of a source by its length")
def part(kit):
    blob = kit.container().get_blob_client("a")
    blob.upload_blob(io.BytesIO(b"0123456789"), length=4)
    equal(read(blob), b"0123")


@check("upload_blob with tags counts them")
def tags(kit):
    container = kit.container()
    blob = put(container, "a", tags={"one": "1", "two words": "a+b/c:d=e"})
    equal(blob.get_blob_properties().tag_count, 2)
    equal(list(container.list_blobs(include=["tags"]))[0].tags, {"one": "1", "two words": "a+b/c:d=e"})


@check("thirty-two uploads at once keep their own bytes")
def many(kit):
    container = kit.container()
    contents = {f"b{index}": data(20_000 + index, index) for index in range(32)}
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda item: put(container, *item), contents.items()))
        found = dict(pool.map(lambda name: (name, read(container.get_blob_client(name))), contents))
    for name, content in contents.items():
        same(found[name], content, name)


@check("upload to a missing container is ContainerNotFound")
def no_container(kit):
    container = kit.service.get_container_client(kit.name())
    refused(lambda: container.upload_blob("a", b"x"), 404, "ContainerNotFound")
