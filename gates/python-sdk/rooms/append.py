"""Append blobs: blocks, conditions, the seal, and what they share with other blobs."""

from concurrent.futures import ThreadPoolExecutor

from azure.core import MatchConditions
from azure.storage.blob import BlobType, ContentSettings
from kit import OTHER_TAG, check, data, equal, md5, put, read, refused, same
from rooms.copy import readable


def made(kit, **options):
    blob = kit.container().get_blob_client("a")
    blob.create_append_blob(**options)
    return blob


@check("create_append_blob with content settings and metadata")
def create(kit):
    blob = made(kit, content_settings=ContentSettings("text/log"), metadata={"k": "v"})
    got = blob.get_blob_properties()
    equal([got.blob_type, got.size, got.append_blob_committed_block_count], [BlobType.APPENDBLOB, 0, 0])
    equal([got.content_settings.content_type, got.metadata, got.blob_tier], ["text/log", {"k": "v"}, None])


@check("append_block answers offset, count and etag")
def appended(kit):
    blob = made(kit)
    first = blob.append_block(b"hello ")
    second = blob.append_block(b"world")
    equal([first["blob_append_offset"], second["blob_append_offset"]], ["0", "6"])
    equal([first["blob_committed_block_count"], second["blob_committed_block_count"]], [1, 2])
    equal(read(blob), b"hello world")
    got = blob.get_blob_properties()
    equal([got.etag, got.append_blob_committed_block_count], [second["etag"], 2])


@check("append_block with validate_content")
def validated(kit):
    blob = made(kit)
    blob.append_block(data(5000), validate_content=True)
    same(read(blob), data(5000))


@check("append conditions: position, size, etag and lease")
def conditions(kit):
    blob = made(kit)
    blob.append_block(b"12345", appendpos_condition=0, maxsize_condition=5)
    refused(lambda: blob.append_block(b"6", appendpos_condition=4), 412, "AppendPositionConditionNotMet")
    refused(lambda: blob.append_block(b"6", maxsize_condition=5), 412, "MaxBlobSizeConditionNotMet")
    wrong = {"etag": OTHER_TAG, "match_condition": MatchConditions.IfNotModified}
    refused(lambda: blob.append_block(b"6", **wrong), 412, "ConditionNotMet")
    lease = blob.acquire_lease(60)
    refused(lambda: blob.append_block(b"6"), 412, "LeaseIdMissing")
    blob.append_block(b"6", lease=lease)
    lease.release()
    equal(read(blob), b"123456")


@check("appends of many threads all arrive where they say")
def many(kit):
    blob = made(kit)
    parts = [data(500 + index, index) for index in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(blob.append_block, parts))
    whole = read(blob)
    equal(len(whole), sum(map(len, parts)))
    for part, answer in zip(parts, answers):
        offset = int(answer["blob_append_offset"])
        same(whole[offset : offset + len(part)], part)


@check("upload_blob of an append blob, again with overwrite, and appended to")
def uploaded(kit):
    blob = kit.container().get_blob_client("a")
    content = data(9_000_000)
    blob.upload_blob(content, blob_type=BlobType.APPENDBLOB)
    same(read(blob), content)
    blob.upload_blob(b"more", blob_type=BlobType.APPENDBLOB)
    same(read(blob), content + b"more")
    blob.upload_blob(b"new", blob_type=BlobType.APPENDBLOB, overwrite=True)
    equal(read(blob), b"new")


@check("append_block_from_url takes ranges, with md5")
def from_url(kit):
    container = kit.container()
    content = data(100_000)
    source = readable(kit, put(container, "source", content))
    blob = container.get_blob_client("a")
    blob.create_append_blob()
    blob.append_block_from_url(source, source_offset=10, source_length=5000, source_content_md5=md5(content[10:5010]))
    blob.append_block_from_url(source, source_offset=0, source_length=100_000, appendpos_condition=5000)
    same(read(blob), content[10:5010] + content)
    wrong = {"source_offset": 0, "source_length": 10, "source_content_md5": md5(b"other")}
    refused(lambda: blob.append_block_from_url(source, **wrong), 400, "Md5Mismatch")


@check("seal_append_blob ends it; a copy keeps the seal, unless told otherwise")
def seal(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.create_append_blob()
    blob.append_block(b"abc")
    refused(lambda: blob.seal_append_blob(appendpos_condition=1), 412, "AppendPositionConditionNotMet")
    equal(blob.seal_append_blob(appendpos_condition=3)["blob_sealed"], True)
    refused(lambda: blob.append_block(b"d"), 409, "BlobIsSealed")
    equal(blob.get_blob_properties().is_append_blob_sealed, True)
    copy = container.get_blob_client("b")
    copy.start_copy_from_url(blob.url)
    refused(lambda: copy.append_block(b"d"), 409, "BlobIsSealed")
    copy.start_copy_from_url(blob.url, seal_destination_blob=False)
    copy.append_block(b"d")
    equal(read(copy), b"abcd")
    sealed = container.get_blob_client("c")
    sealed.start_copy_from_url(blob.url, seal_destination_blob=True)
    refused(lambda: sealed.append_block(b"d"), 409, "BlobIsSealed")


@check("a snapshot stays as it was while the blob grows")
def snapshot(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.create_append_blob()
    for _ in range(40):
        blob.append_block(b"....")
    then = blob.create_snapshot()
    blob.append_block(b"more")
    older = container.get_blob_client("a", snapshot=then["snapshot"])
    equal([read(older), read(blob)], [b"." * 160, b"." * 160 + b"more"])


@check("operations of other types are InvalidBlobType")
def types(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.create_append_blob()
    refused(lambda: put(container, "b").append_block(b"x"), 409, "InvalidBlobType")
    refused(lambda: blob.stage_block("1", b"x"), 409, "InvalidBlobType")
    refused(lambda: blob.upload_page(bytes(512), 0, 512), 409, "InvalidBlobType")
    refused(lambda: blob.get_block_list(), 409, "InvalidBlobType")
