"""Snapshots of blobs in an account without versioning."""

from azure.core import MatchConditions
from kit import OTHER_TAG, check, equal, put, read, refused


def at(container, name, snapshot):
    return container.get_blob_client(name, snapshot=snapshot)


@check("a snapshot keeps what the blob was")
def keeps(kit):
    container = kit.container()
    blob = put(container, "a", b"first", metadata={"one": "1"})
    etag = blob.get_blob_properties().etag
    taken = blob.create_snapshot()
    equal(taken["etag"], etag)
    put(container, "a", b"second")
    past = at(container, "a", taken["snapshot"])
    equal([read(past), read(blob)], [b"first", b"second"])
    equal([past.get_blob_properties().metadata, past.get_blob_properties().snapshot], [{"one": "1"}, taken["snapshot"]])


@check("metadata given with a snapshot replaces the blob's in it")
def metadata(kit):
    container = kit.container()
    blob = put(container, "a", metadata={"one": "1"})
    taken = blob.create_snapshot(metadata={"two": "2"})
    equal(at(container, "a", taken["snapshot"]).get_blob_properties().metadata, {"two": "2"})
    equal(blob.get_blob_properties().metadata, {"one": "1"})


@check("a listing names snapshots, the oldest first, the blob last")
def listing(kit):
    container = kit.container()
    blob = put(container, "a")
    times = [blob.create_snapshot()["snapshot"], blob.create_snapshot()["snapshot"]]
    equal([item.name for item in container.list_blobs()], ["a"])
    equal([item.snapshot for item in container.list_blobs(include=["snapshots"])], [*times, None])


@check("a blob with snapshots is deleted with them, or they alone")
def delete(kit):
    container = kit.container()
    blob = put(container, "a")
    taken = blob.create_snapshot()["snapshot"]
    refused(blob.delete_blob, 409, "SnapshotsPresent")
    blob.delete_blob(delete_snapshots="only")
    assert blob.exists() and not at(container, "a", taken).exists()
    blob.create_snapshot()
    blob.delete_blob(delete_snapshots="include")
    equal(list(container.list_blobs(include=["snapshots"])), [])


@check("one snapshot is deleted by its time")
def delete_one(kit):
    container = kit.container()
    blob = put(container, "a")
    first, second = blob.create_snapshot()["snapshot"], blob.create_snapshot()["snapshot"]
    at(container, "a", first).delete_blob()
    refused(at(container, "a", first).get_blob_properties, 404, "BlobNotFound")
    equal(read(at(container, "a", second)), b"x")


@check("a snapshot copied over its blob brings it back")
def promote(kit):
    container = kit.container()
    blob = put(container, "a", b"good")
    past = at(container, "a", blob.create_snapshot()["snapshot"])
    put(container, "a", b"bad")
    blob.start_copy_from_url(past.url)
    equal(read(blob), b"good")


@check("conditions hold for a snapshot")
def conditions(kit):
    blob = put(kit.container(), "a")
    etag = blob.get_blob_properties().etag
    blob.create_snapshot(etag=etag, match_condition=MatchConditions.IfNotModified)
    refused(lambda: blob.create_snapshot(etag=OTHER_TAG, match_condition=MatchConditions.IfNotModified), 412, "ConditionNotMet")


@check("a time without a snapshot is not found")
def unknown(kit):
    container = kit.container()
    put(container, "a")
    refused(lambda: read(at(container, "a", "2020-01-01T00:00:00.0000000Z")), 404, "BlobNotFound")
    refused(lambda: read(at(container, "a", "yesterday")), 400, "InvalidQueryParameterValue")
