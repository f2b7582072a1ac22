"""What every check works with: clients that remember their last exchanges, and assertions on answers."""

import hashlib
import json
import os
import secrets
import sys
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

MIB = 1024 * 1024
OTHER_TAG = '"0x8D0000000000000"'
CHECKS = {}
# What a room's ACCOUNT names: an account with settings of its own, or the server that believes tokens.
STAGES = {"": {}, **json.loads(os.environ.get("GATE_STAGES", "{}"))}
ENTRA = json.loads(os.environ.get("GATE_ENTRA", "{}"))


def check(name):
    """Registers a check under the room (the module) that it stands in, for the account that the room wants."""

    def register(function):
        room = function.__module__.rsplit(".", 1)[-1].replace("_", " ")
        full = f"{room}: {name}"
        assert full not in CHECKS, f'two checks are named "{full}"'
        function.stage = getattr(sys.modules[function.__module__], "ACCOUNT", "")
        CHECKS[full] = function
        return function

    return register


@dataclass
class Kit:
    blob: str = os.environ["GATE_BLOB"]
    account: str = os.environ["GATE_ACCOUNT"]
    key: str = os.environ["GATE_KEY"]
    work: str = os.environ["GATE_WORK"]
    admin: str = ""
    token: str = field(default="", repr=False)
    exchanges: list = field(default_factory=list)
    made: list = field(default_factory=list)

    @property
    def endpoint(self):
        return f"{self.blob}/{self.account}"

    @property
    def service(self):
        if not hasattr(self, "_service"):
            self._service = self.connect()
        return self._service

    def options(self, **more):
        return {"retry_total": 0, "raw_response_hook": self._note, **more}

    def connect(self, endpoint=None, credential="key", **more):
        given = {"account_name": self.account, "account_key": self.key} if credential == "key" else credential
        return BlobServiceClient(endpoint or self.endpoint, credential=given, **self.options(**more))

    def name(self, prefix="c"):
        return f"{prefix}-{secrets.token_hex(8)}"

    def container(self, **options):
        container = self.service.create_container(self.name("gate"), **options)
        self.made.append(container)
        return container

    def manage(self, method, path, body=None):
        """A change by the admin API, as the operator of the server makes it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.admin}/v1/{path}", content, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def _note(self, response):
        request, answer = response.http_request, response.http_response
        path = request.url.split("/", 4)[-1].split("sig=")[0]
        code = answer.headers.get("x-ms-error-code", "")
        self.exchanges.append((f"{request.method} {path} -> {answer.status_code} {code}".strip(), answer))
        del self.exchanges[:-3]

    def last(self):
        return self.exchanges[-1][1]

    def trace(self):
        return "; ".join(line for line, _ in self.exchanges)

    def close(self):
        for container in self.made:
            try:
                container.delete_container()
            except HttpResponseError:
                pass  # Deleted or leased by its check: not worth a failure.


def refused(work, status, *codes):
    """The work must be refused with this status and one of these codes, in the header and in the body."""
    wanted = f"{status} {'|'.join(codes)}"
    try:
        work()
    except HttpResponseError as caught:
        error = caught
    else:
        raise AssertionError(f"was accepted, not refused with {wanted}")
    if error.response is None:
        raise error
    code = error.response.headers.get("x-ms-error-code")
    assert error.status_code == status and (not codes or code in codes), (
        f"answered {error.status_code} {code}, not {wanted}"
    )
    assert error.response.headers.get("x-ms-request-id"), f"{code} without x-ms-request-id"
    return error


def put(container, name, content=b"x", **options):
    blob = container.get_blob_client(name)
    blob.upload_blob(content, overwrite=True, **options)
    return blob


def read(blob, **options):
    return blob.download_blob(**options).readall()


def data(length, seed=1):
    """Bytes that differ at every offset of interest and from seed to seed."""
    block = b"".join(hashlib.sha256(f"{seed}/{index}".encode()).digest() for index in range(min(length, 65536) // 32 + 1))
    whole = bytearray()
    turn = 0
    while len(whole) < length:
        whole += hashlib.sha256(f"{seed}+{turn}".encode()).digest() + block
        turn += 1
    return bytes(whole[:length])


def same(got, wanted, what="content"):
    assert len(got) == len(wanted), f"{what}: {len(got)} bytes, not {len(wanted)}"
    if got != wanted:
        at = next(index for index, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1])
        raise AssertionError(f"{what} differs at byte {at}")


def equal(got, wanted, what=""):
    assert got == wanted, f"{what}{': ' if what else ''}got {got!r}, wanted {wanted!r}"


def md5(content):
    return bytearray(hashlib.md5(content, usedforsecurity=False).digest())


def block_id(number):
    return f"{number:06d}"


def in_minutes(minutes):
    return datetime.now(timezone.utc) + timedelta(minutes=minutes)
