"""Blob index tags: set, read, found, and as a condition."""

import time

from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from kit import check, equal, in_minutes, put, read, refused

INDEXED_S_MAX = 10


def find(where, expression, count):
    """The names found, as soon as there are so many: Azure's index follows the blobs after a moment."""
    end = time.monotonic() + INDEXED_S_MAX
    while True:
        names = sorted(item.name for item in where.find_blobs_by_tags(expression))
        if len(names) == count or time.monotonic() > end:
            return names
        time.sleep(0.1)


@check("tags come back as they were set")
def round_trip(kit):
    blob = put(kit.container(), "a")
    etag = blob.get_blob_properties().etag
    wanted = {"project": "one two", "a+b": "-./:=_", "empty": ""}
    blob.set_blob_tags(wanted)
    equal(blob.get_blob_tags(), wanted)
    got = blob.get_blob_properties()
    equal([got.etag, got.tag_count], [etag, 3])
    blob.set_blob_tags()
    equal(blob.get_blob_tags(), {})


@check("an upload, a block list and a copy set tags")
def upload(kit):
    container = kit.container()
    blob = put(container, "a", tags={"one": "1"})
    equal(blob.get_blob_tags(), {"one": "1"})
    blocks = container.get_blob_client("b")
    blocks.stage_block("AAAA", b"x")
    blocks.commit_block_list(["AAAA"], tags={"two": "2"})
    equal(blocks.get_blob_tags(), {"two": "2"})
    copied = container.get_blob_client("c")
    copied.start_copy_from_url(blob.url, tags={"three": "3"})
    equal(copied.get_blob_tags(), {"three": "3"})


@check("a listing tells tags when it is asked to")
def listing(kit):
    container = kit.container()
    put(container, "a", tags={"one": "1", "two": "2"})
    equal(next(iter(container.list_blobs())).tag_count, 2)
    equal(next(iter(container.list_blobs(include=["tags"]))).tags, {"one": "1", "two": "2"})


@check("blobs are found by their tags, in the account and in a container")
def finds(kit):
    first, second, value = kit.container(), kit.container(), kit.name("v")
    put(first, "a", tags={"key": value, "other": "1"})
    put(second, "b/c", tags={"key": value})
    equal(find(kit.service, f"key='{value}'", 2), ["a", "b/c"])
    equal(find(first, f"key='{value}'", 1), ["a"])
    equal(find(kit.service, f"@container='{second.container_name}' AND key='{value}'", 1), ["b/c"])
    [item] = list(kit.service.find_blobs_by_tags(f"key='{value}' AND other='1'"))
    equal([item.name, item.container_name, item.tags], ["a", first.container_name, {"key": value, "other": "1"}])


@check("many are found in pages")
def pages(kit):
    container = kit.container()
    for number in range(7):
        put(container, f"blob-{number}", tags={"page": "yes"})
    find(container, "page='yes'", 7)
    found = [[item.name for item in page] for page in container.find_blobs_by_tags("page='yes'", results_per_page=3).by_page()]
    equal([len(found), sorted(name for page in found for name in page)], [3, [f"blob-{number}" for number in range(7)]])


@check("what is retagged, overwritten or deleted is not found by what it had")
def changed(kit):
    container = kit.container()
    blobs = [put(container, name, tags={"t": "1"}) for name in "abc"]
    equal(find(container, "t='1'", 3), ["a", "b", "c"])
    blobs[0].set_blob_tags({"t": "2"})
    put(container, "b")
    blobs[2].delete_blob()
    equal([find(container, "t='1'", 0), find(container, "t='2'", 1)], [[], ["a"]])


@check("a condition on tags lets through or refuses")
def condition(kit):
    blob = put(kit.container(), "a", tags={"state": "done"})
    good, bad = "state = 'done'", "state = 'open'"
    equal(read(blob, if_tags_match_condition=good), b"x")
    blob.set_blob_metadata({"a": "1"}, if_tags_match_condition=good)
    for work in (
        lambda: read(blob, if_tags_match_condition=bad),
        lambda: blob.get_blob_properties(if_tags_match_condition=bad),
        lambda: blob.upload_blob(b"y", overwrite=True, if_tags_match_condition=bad),
        lambda: blob.set_blob_tags({}, if_tags_match_condition=bad),
        lambda: blob.delete_blob(if_tags_match_condition=bad),
    ):
        refused(work, 412, "ConditionNotMet")
    blob.delete_blob(if_tags_match_condition=good)


@check("an expression that is none is refused")
def malformed(kit):
    refused(lambda: list(kit.service.find_blobs_by_tags("key='")), 400, "InvalidQueryParameterValue")


@check("a SAS needs the right to tags")
def sas(kit):
    container = kit.container()
    put(container, "a", tags={"k": "v"})

    def signed(**permissions):
        token = generate_blob_sas(
            kit.account, container.container_name, "a", account_key=kit.key,
            permission=BlobSasPermissions(**permissions), expiry=in_minutes(60),
        )
        return kit.connect(credential=token).get_blob_client(container.container_name, "a")

    refused(signed(read=True, write=True).get_blob_tags, 403, "AuthorizationPermissionMismatch")
    equal(signed(tag=True).get_blob_tags(), {"k": "v"})
