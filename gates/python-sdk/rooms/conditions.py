"""match_condition and dates on reads, writes and copies."""

from concurrent.futures import ThreadPoolExecutor

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, ContentSettings, generate_blob_sas
from kit import OTHER_TAG, block_id, check, equal, in_minutes, put, read, refused


def one(kit):
    container = kit.container()
    blob = put(container, "a", b"hello")
    return container, blob, blob.get_blob_properties().etag


def holding(etag):
    return [
        {"etag": etag, "match_condition": MatchConditions.IfNotModified},
        {"etag": OTHER_TAG, "match_condition": MatchConditions.IfModified},
        {"if_modified_since": in_minutes(-60)},
        {"if_unmodified_since": in_minutes(60)},
    ]


def failing(etag, unchanged):
    return [
        ({"etag": OTHER_TAG, "match_condition": MatchConditions.IfNotModified}, 412),
        ({"etag": etag, "match_condition": MatchConditions.IfModified}, unchanged),
        ({"if_modified_since": in_minutes(60)}, unchanged),
        ({"if_unmodified_since": in_minutes(-60)}, 412),
    ]


def commit(blob, **given):
    blob.stage_block(block_id(1), b"new")
    blob.commit_block_list([BlobBlock(block_id(1))], **given)


WRITES = {
    "upload_blob": lambda blob, **given: blob.upload_blob(b"new", overwrite=True, **given),
    "commit_block_list": commit,
    "set_http_headers": lambda blob, **given: blob.set_http_headers(ContentSettings("n/n"), **given),
    "set_blob_metadata": lambda blob, **given: blob.set_blob_metadata({"n": "1"}, **given),
    "acquire_lease": lambda blob, **given: blob.acquire_lease(15, **given),
    "delete_blob": lambda blob, **given: blob.delete_blob(**given),
}


@check("reads with conditions that hold and that fail")
def reads(kit):
    _, blob, etag = one(kit)
    for given in holding(etag):
        blob.get_blob_properties(**given)
        equal(read(blob, **given), b"hello")
    for given, status in failing(etag, 304):
        refused(lambda: blob.get_blob_properties(**given), status, "ConditionNotMet")
        refused(lambda: blob.download_blob(**given), status, "ConditionNotMet")


@check("writes with conditions that hold")
def held(kit):
    for write in WRITES.values():
        for index in range(4):
            _, blob, etag = one(kit)
            write(blob, **holding(etag)[index])


@check("writes with conditions that fail change nothing")
def failed(kit):
    for write in WRITES.values():
        _, blob, etag = one(kit)
        for given, _ in failing(etag, 412):
            refused(lambda: write(blob, **given), 412, "ConditionNotMet")
        equal([blob.get_blob_properties().etag, read(blob)], [etag, b"hello"])


@check("of twenty writers without overwrite one wins")
def race(kit):
    blob = kit.container().get_blob_client("a")

    def attempt(index):
        try:
            blob.upload_blob(f"writer {index}".encode())
            return index
        except HttpResponseError as error:
            equal([error.status_code, error.error_code], [409, "BlobAlreadyExists"])
            return None

    with ThreadPoolExecutor(20) as pool:
        won = [index for index in pool.map(attempt, range(20)) if index is not None]
    equal(len(won), 1)
    equal(read(blob), f"writer {won[0]}".encode())


@check("if-match to a missing blob is ConditionNotMet")
def missing(kit):
    blob = kit.container().get_blob_client("none")
    given = {"etag": OTHER_TAG, "match_condition": MatchConditions.IfNotModified}
    refused(lambda: blob.upload_blob(b"x", overwrite=True, **given), 412, "ConditionNotMet")
    present = {"match_condition": MatchConditions.IfPresent}
    refused(lambda: blob.upload_blob(b"x", overwrite=True, **present), 412, "ConditionNotMet")


def of_source(given):
    return {f"source_{name}": value for name, value in given.items()}


@check("copy with conditions on its source and its target")
def copy(kit):
    container, source, etag = one(kit)
    target = put(container, "target", b"old")
    target_etag = target.get_blob_properties().etag
    for given, _ in failing(etag, 412):
        refused(lambda: target.start_copy_from_url(source.url, **of_source(given)), 412, "SourceConditionNotMet")
    for given, _ in failing(target_etag, 412):
        refused(lambda: target.start_copy_from_url(source.url, **given), 412, "TargetConditionNotMet")
    equal(read(target), b"old")
    for given in holding(etag):
        target.start_copy_from_url(source.url, **of_source(given))
    equal(read(target), b"hello")


@check("upload_blob_from_url with conditions on its source")
def from_url(kit):
    container, source, etag = one(kit)
    token = generate_blob_sas(kit.account, container.container_name, "a", account_key=kit.key, permission="r", expiry=in_minutes(60))
    url = f"{source.url}?{token}"
    target = container.get_blob_client("b")
    for given in holding(etag):
        target.upload_blob_from_url(url, overwrite=True, **of_source(given))
    for given, status in failing(etag, 304):
        refused(lambda: target.upload_blob_from_url(url, overwrite=True, **of_source(given)), status, "CannotVerifyCopySource")
