"""Copies inside the server."""

import uuid

from azure.storage.blob import BlobBlock, BlobSasPermissions, ContentSettings, generate_blob_sas
from kit import MIB, block_id, check, data, equal, in_minutes, md5, put, read, refused, same


def readable(kit, blob, permission="r"):
    token = generate_blob_sas(
        kit.account,
        blob.container_name,
        blob.blob_name,
        account_key=kit.key,
        permission=BlobSasPermissions.from_string(permission),
        expiry=in_minutes(60),
    )
    return f"{blob.url}?{token}"


@check("start_copy_from_url answers success, and abort NoPendingCopyOperation")
def start(kit):
    container = kit.container()
    content = data(300_000)
    source = put(container, "a", content, metadata={"k": "v"}, content_settings=ContentSettings("a/b"))
    target = container.get_blob_client("b")
    answer = target.start_copy_from_url(source.url)
    equal(answer["copy_status"], "success")
    same(read(target), content)
    got = target.get_blob_properties()
    equal([got.copy.id, got.copy.status, got.copy.progress], [answer["copy_id"], "success", "300000/300000"])
    equal([got.metadata, got.content_settings.content_type], [{"k": "v"}, "a/b"])
    assert got.copy.source.endswith("/a") and got.copy.completion_time
    refused(lambda: target.abort_copy(answer["copy_id"]), 409, "NoPendingCopyOperation")
    refused(lambda: container.get_blob_client("none").abort_copy(str(uuid.uuid4())), 404, "BlobNotFound")


@check("a copy keeps its bytes when the source goes, and takes metadata of its own")
def keeps(kit):
    container = kit.container()
    source = put(container, "a", data(2 * MIB), metadata={"old": "1"})
    target = container.get_blob_client("b")
    target.start_copy_from_url(source.url, metadata={"new": "2"})
    source.delete_blob()
    same(read(target), data(2 * MIB))
    equal(target.get_blob_properties().metadata, {"new": "2"})


@check("a copy from nothing is 404")
def nothing(kit):
    container = kit.container()
    target = container.get_blob_client("b")
    none = container.get_blob_client("none").url
    refused(lambda: target.start_copy_from_url(none), 404, "BlobNotFound", "CannotVerifyCopySource")


@check("the synchronous copy, with its source's md5")
def sync(kit):
    container = kit.container()
    content = data(500_000)
    source = put(container, "a", content)
    target = container.get_blob_client("b")
    answer = target.start_copy_from_url(readable(kit, source), requires_sync=True)
    equal(answer["copy_status"], "success")
    same(read(target), content)


@check("upload_blob_from_url, with md5, properties and if-none-match")
def from_url(kit):
    container = kit.container()
    content = data(3 * MIB + 1)
    source = put(container, "a", content, content_settings=ContentSettings("a/b"))
    url = readable(kit, source)
    target = container.get_blob_client("b")
    target.upload_blob_from_url(url, source_content_md5=md5(content))
    same(read(target), content)
    equal(target.get_blob_properties().content_settings.content_type, "a/b")
    refused(lambda: target.upload_blob_from_url(url), 409, "BlobAlreadyExists")
    wrong = {"overwrite": True, "source_content_md5": md5(b"other")}
    refused(lambda: target.upload_blob_from_url(url, **wrong), 400, "Md5Mismatch")
    target.upload_blob_from_url(
        url, overwrite=True, include_source_blob_properties=False, content_settings=ContentSettings("c/d"), metadata={"n": "2"}
    )
    got = target.get_blob_properties()
    equal([got.content_settings.content_type, got.metadata], ["c/d", {"n": "2"}])


@check("stage_block_from_url in ranges, with md5")
def stage(kit):
    container = kit.container()
    content = data(2 * MIB)
    url = readable(kit, put(container, "a", content))
    target = container.get_blob_client("b")
    target.stage_block_from_url(block_id(1), url, 0, MIB, source_content_md5=md5(content[:MIB]))
    target.stage_block_from_url(block_id(2), url, MIB, MIB)
    target.commit_block_list([BlobBlock(block_id(2)), BlobBlock(block_id(1))])
    same(read(target), content[MIB:] + content[:MIB])
    wrong = {"source_content_md5": md5(b"other")}
    refused(lambda: target.stage_block_from_url(block_id(3), url, 0, 100, **wrong), 400, "Md5Mismatch")


@check("sources that may not be read are CannotVerifyCopySource")
def sources(kit):
    container = kit.container()
    source = put(container, "a", b"hello")
    target = container.get_blob_client("b")
    write_only = readable(kit, source, "w")
    error = refused(lambda: target.upload_blob_from_url(write_only), 403, "CannotVerifyCopySource")
    equal(error.response.headers.get("x-ms-copy-source-error-code"), "AuthorizationPermissionMismatch")
    error = refused(lambda: target.stage_block_from_url(block_id(1), source.url), 401, "CannotVerifyCopySource")
    equal(error.response.headers.get("x-ms-copy-source-status-code"), "401")
    none = readable(kit, container.get_blob_client("none"))
    refused(lambda: target.upload_blob_from_url(none), 404, "CannotVerifyCopySource")
    equal(target.exists(), False)
