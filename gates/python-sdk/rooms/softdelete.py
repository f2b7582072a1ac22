"""Soft delete of blobs and containers, without versioning."""

from kit import check, equal, put, read, refused

ACCOUNT = "softdelete"


@check("a deleted blob comes back as it was")
def back(kit):
    blob = put(kit.container(), "a", b"kept", metadata={"one": "1"}, tags={"two": "2"})
    etag = blob.get_blob_properties().etag
    blob.delete_blob()
    refused(lambda: read(blob), 404, "BlobNotFound")
    blob.undelete_blob()
    got = blob.get_blob_properties()
    equal([read(blob), got.etag, got.metadata, blob.get_blob_tags()], [b"kept", etag, {"one": "1"}, {"two": "2"}])


@check("a listing tells of deleted blobs when it is asked to")
def listing(kit):
    container = kit.container()
    put(container, "a").delete_blob()
    put(container, "b")
    equal([item.name for item in container.list_blobs()], ["b"])
    gone, there = list(container.list_blobs(include=["deleted"]))
    equal([gone.name, gone.deleted, there.name, bool(there.deleted)], ["a", True, "b", False])
    assert gone.deleted_time is not None and gone.remaining_retention_days in (6, 7), f"{gone.remaining_retention_days}"


@check("what was overwritten comes back as a snapshot")
def overwritten(kit):
    container = kit.container()
    blob = put(container, "a", b"first")
    put(container, "a", b"second")
    [gone] = [item for item in container.list_blobs(include=["deleted", "snapshots"]) if item.deleted]
    assert gone.snapshot
    past = container.get_blob_client("a", snapshot=gone.snapshot)
    refused(lambda: read(past), 404, "BlobNotFound")
    blob.undelete_blob()
    equal([read(past), read(blob)], [b"first", b"second"])


@check("snapshots come back with their blob")
def snapshots(kit):
    container = kit.container()
    blob = put(container, "a")
    taken = blob.create_snapshot()["snapshot"]
    blob.delete_blob(delete_snapshots="include")
    blob.undelete_blob()
    equal([read(blob), read(container.get_blob_client("a", snapshot=taken))], [b"x", b"x"])


@check("undelete of what never was is not found")
def never(kit):
    refused(kit.container().get_blob_client("never").undelete_blob, 404, "BlobNotFound")


@check("a deleted container comes back with what is in it")
def container_back(kit):
    container = kit.container(metadata={"one": "1"})
    put(container, "a")
    name = container.container_name
    container.delete_container()
    refused(container.get_container_properties, 404, "ContainerNotFound")
    equal(list(kit.service.list_containers(name_starts_with=name)), [])
    [gone] = list(kit.service.list_containers(name_starts_with=name, include_deleted=True))
    assert gone.deleted and gone.version
    restored = kit.service.undelete_container(name, gone.version)
    equal([restored.get_container_properties().metadata, read(restored.get_blob_client("a"))], [{"one": "1"}, b"x"])


@check("a container does not come back over one of its name")
def container_taken(kit):
    container = kit.container()
    name = container.container_name
    container.delete_container()
    [gone] = list(kit.service.list_containers(name_starts_with=name, include_deleted=True))
    container.create_container()
    refused(lambda: kit.service.undelete_container(name, gone.version), 409, "ContainerAlreadyExists")
