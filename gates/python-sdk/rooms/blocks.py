"""stage_block, commit_block_list and get_block_list."""

from concurrent.futures import ThreadPoolExecutor

from azure.storage.blob import BlobBlock, ContentSettings
from kit import block_id, check, data, equal, put, read, refused, same


def blocks(*numbers):
    return [BlobBlock(block_id(number)) for number in numbers]


def listed(found):
    return [(block.id, block.size) for block in found]


@check("blocks staged out of order commit in the list's order")
def order(kit):
    blob = kit.container().get_blob_client("a")
    for number in [3, 1, 2]:
        blob.stage_block(block_id(number), f"<{number}>".encode())
    blob.commit_block_list(blocks(1, 2, 3))
    equal(read(blob), b"<1><2><3>")


@check("blocks staged from many threads all arrive")
def threads(kit):
    blob = kit.container().get_blob_client("a")
    parts = [data(50_000 + index, index) for index in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: blob.stage_block(block_id(index), parts[index]), range(24)))
    blob.commit_block_list(blocks(*range(24)))
    same(read(blob), b"".join(parts))


@check("of two blocks of one id the staged one is taken")
def latest(kit):
    # This SDK sends Latest whatever state is asked for; the JS gate has the other two.
    blob = kit.container().get_blob_client("a")
    blob.stage_block(block_id(1), b"old")
    blob.commit_block_list(blocks(1))
    blob.stage_block(block_id(1), b"new")
    blob.commit_block_list(blocks(1))
    equal(read(blob), b"new")


@check("get_block_list tells committed from uncommitted")
def lists(kit):
    blob = kit.container().get_blob_client("a")
    blob.stage_block(block_id(1), b"aa")
    blob.stage_block(block_id(2), b"bbb")
    blob.commit_block_list(blocks(2, 1))
    blob.stage_block(block_id(3), b"cccc")
    committed, uncommitted = blob.get_block_list("all")
    equal([listed(committed), listed(uncommitted)], [[(block_id(2), 3), (block_id(1), 2)], [(block_id(3), 4)]])
    equal([len(part) for part in blob.get_block_list("committed")], [2, 0])
    equal([len(part) for part in blob.get_block_list("uncommitted")], [0, 1])


@check("a commit drops what it does not name, and a list with an unknown block is InvalidBlockList")
def drops(kit):
    blob = kit.container().get_blob_client("a")
    blob.stage_block(block_id(1), b"aa")
    blob.stage_block(block_id(2), b"bb")
    blob.commit_block_list(blocks(1))
    equal(listed(blob.get_block_list("uncommitted")[1]), [])
    refused(lambda: blob.commit_block_list(blocks(1, 2)), 400, "InvalidBlockList")
    equal(read(blob), b"aa")


@check("a later list reuses committed blocks and reorders them")
def reuse(kit):
    blob = kit.container().get_blob_client("a")
    for number in [1, 2, 3]:
        blob.stage_block(block_id(number), f"<{number}>".encode())
    blob.commit_block_list(blocks(1, 2, 3))
    blob.stage_block(block_id(4), b"<4>")
    blob.commit_block_list(blocks(3, 4, 1))
    equal(read(blob), b"<3><4><1>")


@check("a blob of only staged blocks does not exist for reads")
def staged_only(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.stage_block(block_id(1), b"aa")
    equal(blob.exists(), False)
    refused(blob.download_blob, 404, "BlobNotFound")
    equal([item.name for item in container.list_blobs()], [])
    equal([item.name for item in container.list_blobs(include=["uncommittedblobs"])], ["a"])


@check("commit_block_list keeps properties and metadata")
def keeps(kit):
    blob = kit.container().get_blob_client("a")
    blob.stage_block(block_id(1), b"hello")
    blob.commit_block_list(blocks(1), content_settings=ContentSettings("text/plain"), metadata={"k": "v"})
    got = blob.get_blob_properties()
    equal([got.content_settings.content_type, got.content_settings.content_md5, got.metadata], ["text/plain", None, {"k": "v"}])


@check("block ids of different lengths are InvalidBlobOrBlock")
def lengths(kit):
    blob = kit.container().get_blob_client("a")
    blob.stage_block("short", b"x")
    refused(lambda: blob.stage_block("longer-id", b"x"), 400, "InvalidBlobOrBlock")


@check("put blob drops staged blocks; an empty list makes an empty blob")
def dropped(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.stage_block(block_id(1), b"aa")
    put(container, "a", b"whole")
    refused(lambda: blob.commit_block_list(blocks(1)), 400, "InvalidBlockList")
    blob.commit_block_list([])
    equal(blob.get_blob_properties().size, 0)
