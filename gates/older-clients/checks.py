"""Older clients of Python: azure-storage-blob 2.1, and the Event Hubs checkpoint stores, which carry a copy of their own.

Prints one JSON row a line.
"""

import asyncio
import datetime
import io
import json
import os
import time
from urllib.parse import urlsplit

from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore as BlobCheckpointStoreAio
from azure.storage.blob import AppendBlobService, BlockBlobService, ContainerPermissions, PageBlobService

ACCOUNT, KEY, BLOB = os.environ["GATE_ACCOUNT"], os.environ["GATE_KEY"], os.environ["GATE_BLOB"]
HOST = urlsplit(BLOB).netloc
CONNECTION = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={BLOB}/{ACCOUNT};"
CONTAINER = "older-python"


def service(kind, **how):
    how = how or {"account_key": KEY}
    client = kind(account_name=ACCOUNT, custom_domain=f"{HOST}/{ACCOUNT}", protocol="http", **how)
    client.retry = lambda context: None
    return client


def refused(work, code):
    try:
        work()
    except Exception as error:
        if getattr(error, "error_code", None) != code:
            raise
        return
    raise AssertionError(f"{code} was expected")


def blobs():
    blob = service(BlockBlobService)
    blob.create_container(CONTAINER)
    blob.create_blob_from_text(CONTAINER, "dir a/ü#%&+.txt", "hello")
    assert blob.get_blob_to_text(CONTAINER, "dir a/ü#%&+.txt").content == "hello"
    blob.MAX_SINGLE_PUT_SIZE, blob.MAX_BLOCK_SIZE = 1000, 400
    big = bytes(range(256)) * 10
    blob.create_blob_from_stream(CONTAINER, "blocks", io.BytesIO(big), count=len(big), max_connections=2)
    assert blob.get_blob_to_bytes(CONTAINER, "blocks", max_connections=2).content == big
    assert blob.get_blob_to_bytes(CONTAINER, "blocks", start_range=1, end_range=3, validate_content=True).content == big[1:4]
    blob.set_blob_metadata(CONTAINER, "blocks", {"one": "1"})
    assert blob.get_blob_properties(CONTAINER, "blocks").metadata == {"one": "1"}


def lists():
    blob = service(BlockBlobService)
    for n in range(5):
        blob.create_blob_from_text(CONTAINER, f"list/{n}", str(n))
    pages = []
    marker = None
    while True:
        page = blob.list_blobs(CONTAINER, prefix="list/", num_results=2, marker=marker)
        pages += [one.name for one in page]
        marker = page.next_marker
        if not marker:
            break
    assert pages == [f"list/{n}" for n in range(5)], pages
    assert [one.name for one in blob.list_blobs(CONTAINER, delimiter="/") if one.name.endswith("/")] == ["dir a/", "list/"]
    assert CONTAINER in [one.name for one in blob.list_containers()]


def pages_and_appends():
    page = service(PageBlobService)
    page.create_blob(CONTAINER, "pages", 2048)
    page.update_page(CONTAINER, "pages", b"p" * 512, 512, 1023, validate_content=True)
    assert [(one.start, one.end) for one in page.get_page_ranges(CONTAINER, "pages")] == [(512, 1023)]
    log = service(AppendBlobService)
    log.create_blob(CONTAINER, "log")
    log.append_blob_from_text(CONTAINER, "log", "one")
    assert log.append_block(CONTAINER, "log", b"two", validate_content=True).append_offset == 3
    assert log.get_blob_to_text(CONTAINER, "log").content == "onetwo"


def leases_and_copies():
    blob = service(BlockBlobService)
    lease = blob.acquire_blob_lease(CONTAINER, "list/0", 15)
    refused(lambda: blob.create_blob_from_text(CONTAINER, "list/0", "x"), "LeaseIdMissing")
    blob.create_blob_from_text(CONTAINER, "list/0", "held", lease_id=lease)
    blob.release_blob_lease(CONTAINER, "list/0", lease)
    shot = blob.snapshot_blob(CONTAINER, "list/0")
    copied = blob.copy_blob(CONTAINER, "copied", blob.make_blob_url(CONTAINER, "list/0"))
    assert copied.status == "success", copied.status
    blob.create_blob_from_text(CONTAINER, "list/0", "other")
    assert blob.get_blob_to_text(CONTAINER, "list/0", snapshot=shot.snapshot).content == "held"
    refused(lambda: blob.delete_blob(CONTAINER, "list/0"), "SnapshotsPresent")


def signatures():
    blob = service(BlockBlobService)
    expiry = datetime.datetime.utcnow() + datetime.timedelta(hours=1)
    token = blob.generate_container_shared_access_signature(CONTAINER, ContainerPermissions(read=True, list=True), expiry)
    reader = service(BlockBlobService, sas_token=token)
    assert reader.get_blob_to_text(CONTAINER, "copied").content == "held"
    assert len(list(reader.list_blobs(CONTAINER))) > 5
    refused(lambda: reader.create_blob_from_text(CONTAINER, "copied", "x"), "AuthorizationPermissionMismatch")


def service_properties():
    blob = service(BlockBlobService)
    assert blob.get_blob_service_properties().hour_metrics.version == "1.0"
    assert blob.get_blob_account_information().account_kind == "StorageV2"
    blob.delete_container(CONTAINER)


OWN = {"fully_qualified_namespace": "ns.example", "eventhub_name": "hub", "consumer_group": "$Default"}


def ownership(partition, owner):
    return {**OWN, "partition_id": partition, "owner_id": owner}


def expect(claimed, listed, checkpoints):
    assert sorted(one["partition_id"] for one in claimed) == ["0", "1"], claimed
    assert {one["partition_id"]: one["owner_id"] for one in listed} == {"0": "a", "1": "a"}, listed
    assert [(one["partition_id"], one["offset"], one["sequence_number"]) for one in checkpoints] == [("0", "7", 9)], checkpoints


CHECKPOINT = {**OWN, "partition_id": "0", "offset": "7", "sequence_number": 9}
WHERE = (OWN["fully_qualified_namespace"], OWN["eventhub_name"], OWN["consumer_group"])


def checkpoint_store():
    service(BlockBlobService).create_container("older-hub")
    with BlobCheckpointStore.from_connection_string(CONNECTION, "older-hub") as store:
        assert list(store.list_ownership(*WHERE)) == []
        claimed = list(store.claim_ownership([ownership("0", "a"), ownership("1", "a")]))
        # Whoever knows an earlier state of a partition does not get it.
        stale = [{**claimed[0], "owner_id": "b"}]
        again = list(store.claim_ownership(claimed))
        assert len(again) == 2 and again[0]["etag"] != stale[0]["etag"], again
        assert list(store.claim_ownership(stale)) == []
        store.update_checkpoint(CHECKPOINT)
        expect(again, list(store.list_ownership(*WHERE)), list(store.list_checkpoints(*WHERE)))


def checkpoint_store_aio():
    service(BlockBlobService).create_container("older-hub-aio")

    async def run():
        async with BlobCheckpointStoreAio.from_connection_string(CONNECTION, "older-hub-aio") as store:
            claimed = list(await store.claim_ownership([ownership("0", "a"), ownership("1", "a")]))
            stale = [{**claimed[0], "owner_id": "b"}]
            again = list(await store.claim_ownership(claimed))
            assert list(await store.claim_ownership(stale)) == []
            await store.update_checkpoint(CHECKPOINT)
            expect(again, list(await store.list_ownership(*WHERE)), list(await store.list_checkpoints(*WHERE)))

    asyncio.run(run())


CHECKS = {
    "azure-storage-blob 2.1 of PyPI: block blobs, ranges and metadata": blobs,
    "azure-storage-blob 2.1 of PyPI: lists": lists,
    "azure-storage-blob 2.1 of PyPI: page and append blobs": pages_and_appends,
    "azure-storage-blob 2.1 of PyPI: leases, snapshots and copies": leases_and_copies,
    "azure-storage-blob 2.1 of PyPI: a signature of a container": signatures,
    "azure-storage-blob 2.1 of PyPI: properties of the service": service_properties,
    "Event Hubs checkpoint store of PyPI: ownership and checkpoints": checkpoint_store,
    "Event Hubs checkpoint store of PyPI, asynchronous: ownership and checkpoints": checkpoint_store_aio,
}

for name, work in CHECKS.items():
    started = time.perf_counter()
    row = {"check": name, "outcome": "pass"}
    try:
        work()
    except Exception as error:  # Whatever a check throws is that check's failure, not the run's.
        row.update(outcome="fail", detail=f"{type(error).__name__}: {str(error)[:400]}")
    print(json.dumps({**row, "ms": (time.perf_counter() - started) * 1000}), flush=True)
