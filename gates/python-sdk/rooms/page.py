"""Page blobs: pages put and cleared, ranges and differences, lengths, sequence numbers, and incremental copies."""

from azure.core import MatchConditions
from azure.storage.blob import BlobType, ContentSettings, SequenceNumberAction
from kit import MIB, OTHER_TAG, check, data, equal, md5, put, read, refused, same
from rooms.copy import readable


def made(kit, size, **options):
    blob = kit.container().get_blob_client("a")
    blob.create_page_blob(size, **options)
    return blob


def spans(ranges):
    return [(each["start"], each["end"] + 1) for each in ranges]


def written(blob, **options):
    return spans(blob.get_page_ranges(**options)[0])


@check("create_page_blob with sequence number, content settings and metadata")
def create(kit):
    blob = made(kit, 2 * MIB, sequence_number=7, content_settings=ContentSettings("disk/image"), metadata={"k": "v"})
    got = blob.get_blob_properties()
    equal([got.blob_type, got.size, got.page_blob_sequence_number], [BlobType.PAGEBLOB, 2 * MIB, 7])
    equal([got.content_settings.content_type, got.metadata], ["disk/image", {"k": "v"}])
    same(read(blob), bytes(2 * MIB))
    equal(written(blob), [])
    container = kit.container()
    refused(lambda: container.get_blob_client("b").create_page_blob(1024 * 1024**3 * 9), 400, "InvalidHeaderValue")


@check("pages are put over each other and cleared")
def pages(kit):
    blob = made(kit, 3 * MIB)
    model = bytearray(3 * MIB)
    for offset, length, seed in [(512, 2048, 1), (MIB - 1024, 4096, 2), (0, 2 * MIB, 3), (1024, 512, 4)]:
        content = data(length, seed)
        answer = blob.upload_page(content, offset, length, validate_content=True)
        equal(answer["blob_sequence_number"], 0)
        model[offset : offset + length] = content
    blob.clear_page(MIB, 1024)
    model[MIB : MIB + 1024] = bytes(1024)
    same(read(blob), bytes(model))
    same(read(blob, offset=700_001, length=900_000), bytes(model[700_001:1_600_001]))
    equal(written(blob), [(0, MIB), (MIB + 1024, 2 * MIB)])
    equal(written(blob, offset=512, length=1024), [(512, 1536)])


@check("upload_blob of a page blob leaves empty pages out")
def uploaded(kit):
    blob = kit.container().get_blob_client("a")
    content = data(5 * MIB) + bytes(11 * MIB) + data(512, 2)
    blob.upload_blob(content, blob_type=BlobType.PAGEBLOB)
    same(read(blob), content)
    # The client leaves out what is empty in blocks of 4 MiB.
    equal(written(blob), [(0, 8 * MIB), (16 * MIB, 16 * MIB + 512)])


@check("conditions on sequence number, etag and lease")
def conditions(kit):
    blob = made(kit, 4096, sequence_number=10)
    content = data(512)
    unmet = "SequenceNumberConditionNotMet"
    blob.upload_page(content, 0, 512, if_sequence_number_lte=10, if_sequence_number_lt=11, if_sequence_number_eq=10)
    refused(lambda: blob.upload_page(content, 0, 512, if_sequence_number_lte=9), 412, unmet)
    refused(lambda: blob.upload_page(content, 0, 512, if_sequence_number_lt=10), 412, unmet)
    refused(lambda: blob.clear_page(0, 512, if_sequence_number_eq=9), 412, unmet)
    wrong = {"etag": OTHER_TAG, "match_condition": MatchConditions.IfNotModified}
    refused(lambda: blob.upload_page(content, 0, 512, **wrong), 412, "ConditionNotMet")
    lease = blob.acquire_lease(60)
    refused(lambda: blob.clear_page(0, 512), 412, "LeaseIdMissing")
    blob.clear_page(0, 512, lease=lease)
    lease.release()


@check("set_sequence_number and resize_blob")
def numbered(kit):
    blob = made(kit, 2 * MIB, content_settings=ContentSettings("a/b"))
    content = data(2 * MIB)
    blob.upload_page(content, 0, 2 * MIB)
    equal(blob.set_sequence_number(SequenceNumberAction.Update, 7)["blob_sequence_number"], 7)
    equal(blob.set_sequence_number(SequenceNumberAction.Max, 3)["blob_sequence_number"], 7)
    equal(blob.set_sequence_number(SequenceNumberAction.Increment)["blob_sequence_number"], 8)
    blob.resize_blob(MIB + 512)
    blob.resize_blob(2 * MIB)
    got = blob.get_blob_properties()
    equal([got.size, got.page_blob_sequence_number, got.content_settings.content_type], [2 * MIB, 8, "a/b"])
    same(read(blob), content[: MIB + 512] + bytes(MIB - 512))


@check("ranges against a snapshot, and lists of ranges in pages")
def differences(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.create_page_blob(MIB)
    blob.upload_page(data(8192), 0, 8192)
    then = blob.create_snapshot()["snapshot"]
    blob.upload_page(data(512, 2), 1024, 512)
    blob.clear_page(4096, 1024)
    changed, cleared = blob.get_page_ranges(previous_snapshot_diff=then)
    equal([spans(changed), spans(cleared)], [[(1024, 1536)], [(4096, 5120)]])
    listed = list(blob.list_page_ranges(previous_snapshot=then))
    equal(sorted((each.start, each.end + 1, each.cleared) for each in listed), [(1024, 1536, False), (4096, 5120, True)])
    older = container.get_blob_client("a", snapshot=then)
    equal(written(older), [(0, 8192)])
    changed, cleared = blob.get_page_range_diff_for_managed_disk(older.url)
    equal([spans(changed), spans(cleared)], [[(1024, 1536)], [(4096, 5120)]])
    for index in range(5):
        blob.upload_page(data(512, index), 16384 + index * 1024, 512)
    pages = [list(page) for page in blob.list_page_ranges(results_per_page=3).by_page()]
    equal([len(page) for page in pages], [3, 3, 1])
    none = "2020-01-01T00:00:00.0000000Z"
    refused(lambda: blob.get_page_ranges(previous_snapshot_diff=none), 409, "PreviousSnapshotNotFound")


@check("upload_pages_from_url takes ranges, with md5")
def from_url(kit):
    container = kit.container()
    content = data(100_000)
    source = readable(kit, put(container, "source", content))
    blob = container.get_blob_client("a")
    blob.create_page_blob(8192)
    blob.upload_pages_from_url(source, 1024, 2048, 777, source_content_md5=md5(content[777:2825]))
    same(read(blob), bytes(1024) + content[777:2825] + bytes(5120))
    wrong = {"source_content_md5": md5(b"other")}
    refused(lambda: blob.upload_pages_from_url(source, 0, 512, 0, **wrong), 400, "Md5Mismatch")


@check("a copy is a page blob of its own")
def copied(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.create_page_blob(MIB, sequence_number=3)
    blob.upload_page(data(4096), 8192, 4096)
    copy = container.get_blob_client("b")
    equal(copy.start_copy_from_url(blob.url)["copy_status"], "success")
    copy.upload_page(data(512, 2), 0, 512)
    blob.clear_page(8192, 512)
    equal(written(copy), [(0, 512), (8192, 12288)])
    same(read(copy), data(512, 2) + bytes(7680) + data(4096) + bytes(MIB - 12288))
    equal(copy.get_blob_properties().page_blob_sequence_number, 3)


@check("incremental copies follow snapshots")
def incremental(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.create_page_blob(MIB)
    target = container.get_blob_client("b")
    seen = []
    for turn in range(2):
        blob.upload_page(data(1024, turn), turn * 4096, 1024)
        then = container.get_blob_client("a", snapshot=blob.create_snapshot()["snapshot"])
        equal(target.start_copy_from_url(then.url, incremental_copy=True)["copy_status"], "success")
        copied = target.get_blob_properties().copy
        equal(copied.incremental_copy, True)
        seen.append(copied.destination_snapshot)
        same(read(container.get_blob_client("b", snapshot=copied.destination_snapshot)), read(then))
    last = container.get_blob_client("b", snapshot=seen[1])
    equal(spans(last.get_page_ranges(previous_snapshot_diff=seen[0])[0]), [(4096, 5120)])
    refused(lambda: read(target), 409, "OperationNotAllowedOnIncrementalCopyBlob")
    source = blob.url
    refused(lambda: target.start_copy_from_url(source, incremental_copy=True), 409, "IncrementalCopySourceMustBeSnapshot")


@check("ranges that are no pages are refused, and so are other types")
def wrong(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    blob.create_page_blob(4096)
    refused(lambda: blob.upload_page(data(1024), 3584, 1024), 416, "InvalidPageRange")
    refused(lambda: blob.clear_page(4096, 512), 416, "InvalidPageRange")
    refused(lambda: blob.append_block(b"x"), 409, "InvalidBlobType")
    refused(lambda: put(container, "b").upload_page(data(512), 0, 512), 409, "InvalidBlobType")
    [item] = [each for each in container.list_blobs() if each.name == "a"]
    equal([item.blob_type, item.size], [BlobType.PAGEBLOB, 4096])
