"""Leases on blobs and containers."""

import time
import uuid

from azure.storage.blob import BlobBlock, BlobLeaseClient, ContentSettings
from kit import block_id, check, equal, put, read, refused


def lease_of(client, identity=None):
    return BlobLeaseClient(client, identity or str(uuid.uuid4()))


def state(client):
    get = getattr(client, "get_blob_properties", None) or client.get_container_properties
    lease = get().lease
    return [lease.state, lease.status]


@check("acquire, renew, change, break, release of a blob and of a container")
def actions(kit):
    container = kit.container()
    for client in [put(container, "a"), container]:
        first = str(uuid.uuid4())
        lease = client.acquire_lease(-1, first)
        equal(lease.id, first)
        equal(state(client), ["leased", "locked"])
        lease.renew()
        second = str(uuid.uuid4())
        lease.change(second)
        equal(lease.id, second)
        lease.release()
        equal(state(client), ["available", "unlocked"])
        lease = client.acquire_lease(60)
        equal(lease.break_lease(0), 0)
        equal(state(client), ["broken", "unlocked"])
        client.acquire_lease(15).release()


@check("a second holder and wrong ids are refused")
def wrong(kit):
    container = kit.container()
    for client in [put(container, "a"), container]:
        lease = client.acquire_lease(-1)
        refused(lambda: client.acquire_lease(15), 409, "LeaseAlreadyPresent")
        other = lease_of(client)
        refused(other.renew, 409, "LeaseIdMismatchWithLeaseOperation")
        refused(other.release, 409, "LeaseIdMismatchWithLeaseOperation")
        refused(lambda: other.change(str(uuid.uuid4())), 409, "LeaseIdMismatchWithLeaseOperation")
        lease.release()
        # A released lease object has lost its id.
        lease = lease_of(client)
        refused(lambda: lease.break_lease(0), 409, "LeaseNotPresentWithLeaseOperation")
        refused(lambda: lease.change(str(uuid.uuid4())), 409, "LeaseNotPresentWithLeaseOperation")


@check("breaking")
def breaking(kit):
    blob = put(kit.container(), "a")
    lease = blob.acquire_lease(-1)
    assert 25 < lease.break_lease(30) <= 30
    equal(state(blob), ["breaking", "locked"])
    refused(lambda: blob.acquire_lease(15), 409, "LeaseAlreadyPresent")
    refused(lambda: blob.acquire_lease(15, lease.id), 409, "LeaseIsBreakingAndCannotBeAcquired")
    refused(lease.renew, 409, "LeaseIsBrokenAndCannotBeRenewed")
    refused(lambda: lease.change(str(uuid.uuid4())), 409, "LeaseIsBreakingAndCannotBeChanged")
    refused(lambda: blob.set_blob_metadata({}), 412, "LeaseIdMissing")
    blob.set_blob_metadata({}, lease=lease)


@check("durations out of bounds are InvalidHeaderValue")
def bounds(kit):
    blob = put(kit.container(), "a")
    for duration in [14, 61]:
        refused(lambda: blob.acquire_lease(duration), 400, "InvalidHeaderValue")


def commit(blob, **given):
    blob.stage_block(block_id(1), b"list", **given)
    blob.commit_block_list([BlobBlock(block_id(1))], **given)


WRITES = [
    lambda blob, **given: blob.upload_blob(b"new", overwrite=True, **given),
    commit,
    lambda blob, **given: blob.set_http_headers(ContentSettings(), **given),
    lambda blob, **given: blob.set_blob_metadata({}, **given),
]


@check("a leased blob is written only with its id, and read by anyone")
def writes(kit):
    blob = put(kit.container(), "a", b"old")
    lease = blob.acquire_lease(-1)
    other = str(uuid.uuid4())
    for write in WRITES:
        refused(lambda: write(blob), 412, "LeaseIdMissing")
        refused(lambda: write(blob, lease=other), 412, "LeaseIdMismatchWithBlobOperation")
        write(blob, lease=lease)
    equal(read(blob), b"list")
    refused(lambda: blob.get_blob_properties(lease=other), 412, "LeaseIdMismatchWithBlobOperation")
    refused(blob.delete_blob, 412, "LeaseIdMissing")
    blob.delete_blob(lease=lease)


@check("an id without a lease is LeaseNotPresent")
def absent(kit):
    container = kit.container()
    blob = put(container, "a")
    other = str(uuid.uuid4())
    refused(lambda: blob.set_blob_metadata({}, lease=other), 412, "LeaseNotPresentWithBlobOperation")
    refused(lambda: blob.delete_blob(lease=other), 412, "LeaseNotPresentWithBlobOperation")
    refused(lambda: container.delete_container(lease=other), 412, "LeaseNotPresentWithContainerOperation")


@check("a leased container is deleted only with its id")
def container_delete(kit):
    container = kit.container()
    lease = container.acquire_lease(-1)
    put(container, "a")
    refused(container.delete_container, 412, "LeaseIdMissing")
    refused(lambda: container.delete_container(lease=str(uuid.uuid4())), 412, "LeaseIdMismatchWithContainerOperation")
    container.delete_container(lease=lease)
    equal(container.exists(), False)


@check("a lease runs out")
def expiry(kit):
    blob = put(kit.container(), "a")
    lease = blob.acquire_lease(15)
    time.sleep(16.5)
    equal(state(blob), ["expired", "unlocked"])
    refused(lambda: blob.set_blob_metadata({}, lease=lease), 412, "LeaseLost")
    lease.renew()
    equal(state(blob), ["leased", "locked"])


expiry.slow = True
