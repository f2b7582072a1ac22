"""list_blobs, walk_blobs and list_blob_names."""

from azure.storage.blob import BlobPrefix
from kit import block_id, check, data, equal, put, read, refused

ODD = ["with space", "ä-日本語-🚀", "percent%20%zz", "hash#q?a&b=", "plus+~", "quote\"'", "less<>", "trailing.", "a/b/c/d", ":;@,", "[]{}()|^`"]


def filled(kit, *names):
    container = kit.container()
    for name in names:
        put(container, name)
    return container


def names(items):
    return [item.name for item in items]


def walked(items):
    return sorted(f"{'prefix' if isinstance(item, BlobPrefix) else 'blob'} {item.name}" for item in items)


@check("a flat list is in the order of names with properties")
def flat(kit):
    container = filled(kit, "b", "a/z", "a", "a!", "a0", "Z", "ä")
    items = list(container.list_blobs())
    equal(names(items), ["Z", "a", "a!", "a/z", "a0", "b", "ä"])
    head = container.get_blob_client("a").get_blob_properties()
    item = items[1]
    equal([item.size, item.etag, item.last_modified, item.creation_time], [1, head.etag.strip('"'), head.last_modified, head.creation_time])
    equal([item.blob_type, item.blob_tier, item.lease.state, item.lease.status, item.server_encrypted], ["BlockBlob", "Hot", "available", "unlocked", True])
    equal(item.content_settings.content_md5, head.content_settings.content_md5)
    equal(list(container.list_blob_names()), names(items))
    equal(names(container.list_blobs(name_starts_with="a/")), ["a/z"])


@check("walk_blobs gives blobs and prefixes of one level")
def walk(kit):
    container = filled(kit, "a", "a/b", "a/c/d", "a/c/e", "b/x", "c")
    top = list(container.walk_blobs())
    equal(walked(top), ["blob a", "blob c", "prefix a/", "prefix b/"])
    below = next(item for item in top if item.name == "a/")
    equal(walked(below), ["blob a/b", "prefix a/c/"])
    equal(walked(container.walk_blobs(name_starts_with="a", delimiter="/c")), ["blob a", "blob a/b", "prefix a/c"])


@check("pages of 1, 2 and 5000, and a continuation token in another client")
def pages(kit):
    wanted = [f"p{index}" for index in range(9)]
    container = filled(kit, *wanted)
    for size in [1, 2, 5000]:
        found = [names(page) for page in container.list_blobs(results_per_page=size).by_page()]
        equal([name for page in found for name in page], wanted)
        equal(len(found), -(-9 // size))
    first = container.list_blobs(results_per_page=4).by_page()
    equal(names(next(first)), wanted[:4])
    other = kit.connect().get_container_client(container.container_name)
    rest = other.list_blobs(results_per_page=10).by_page(continuation_token=first.continuation_token)
    equal(names(next(rest)), wanted[4:])


@check("pages of walk_blobs give every prefix once")
def walk_pages(kit):
    container = filled(kit, "a/1", "a/2", "a/3", "b/1", "b/2", "c", "d/1")
    for size in [1, 2, 3]:
        equal(sorted(names(container.walk_blobs(results_per_page=size))), ["a/", "b/", "c", "d/"])


@check("includes: metadata, uncommitted, copy, tags, and kinds that there are none of")
def includes(kit):
    container = kit.container()
    source = put(container, "a", metadata={"Key": "v<&>", "other": "1"})
    container.get_blob_client("b").stage_block(block_id(1), b"x")
    container.get_blob_client("c").start_copy_from_url(source.url)
    a, b, c = container.list_blobs(include=["metadata", "uncommittedblobs", "copy"])
    equal(a.metadata, {"Key": "v<&>", "other": "1"})
    equal([b.name, b.size], ["b", 0])
    equal([c.copy.status, c.copy.progress], ["success", "1/1"])
    assert c.copy.id and c.copy.source and c.copy.completion_time
    equal(names(container.list_blobs(include=["snapshots", "deleted", "versions", "tags"])), ["a", "c"])


@check("odd names are listed, read and deleted as they are")
def odd(kit):
    container = kit.container()
    for name in ODD:
        put(container, name, name.encode())
    equal(sorted(names(container.list_blobs())), sorted(ODD))
    for name in ODD:
        equal(read(container.get_blob_client(name)).decode(), name)
        container.delete_blob(name)
    equal(names(container.list_blobs()), [])


@check("names that XML cannot hold are listed")
def wild(kit):
    wanted = ["ctl-\u0001-x", "non-\uFFFE-x"]
    equal(sorted(names(filled(kit, *wanted).list_blobs())), wanted)


@check("start_from begins at a name")
def start(kit):
    container = filled(kit, "a", "b", "b/1", "c", "d")
    equal(names(container.list_blobs(start_from="b/")), ["b/1", "c", "d"])


@check("a missing container is ContainerNotFound, an empty one is empty")
def missing(kit):
    refused(lambda: list(kit.service.get_container_client(kit.name()).list_blobs()), 404, "ContainerNotFound")
    equal(list(kit.container().list_blobs()), [])


@check("the sizes of what was written")
def sizes(kit):
    container = kit.container()
    for size in [0, 1, 70_000]:
        put(container, f"s{size}", data(size))
    equal({item.name: item.size for item in container.list_blobs()}, {"s0": 0, "s1": 1, "s70000": 70_000})
