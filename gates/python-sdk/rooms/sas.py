"""Account, container and blob SAS: what each allows and what makes it invalid."""

from azure.storage.blob import (
    AccessPolicy,
    BlobClient,
    BlobServiceClient,
    ContainerClient,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)
from kit import check, equal, in_minutes, put, read, refused


def blob_with(kit, blob, **given):
    options = {"permission": "r", "expiry": in_minutes(60), **given}
    token = generate_blob_sas(kit.account, blob.container_name, blob.blob_name, account_key=options.pop("key", kit.key), **options)
    return BlobClient.from_blob_url(f"{blob.url}?{token}", **kit.options())


def container_with(kit, container, **given):
    options = {"permission": "rl", "expiry": in_minutes(60), **given}
    token = generate_container_sas(kit.account, container.container_name, account_key=kit.key, **options)
    return ContainerClient(kit.endpoint, container.container_name, credential=token, **kit.options())


def service_with(kit, types="sco", **given):
    options = {"permission": "rl", "expiry": in_minutes(60), **given}
    token = generate_account_sas(kit.account, kit.key, ResourceTypes.from_string(types), **options)
    return BlobServiceClient(kit.endpoint, credential=token, **kit.options())


@check("a blob SAS reads its blob only")
def blob_sas(kit):
    blob = put(kit.container(), "dir/a b+%ä", b"hello")
    client = blob_with(kit, blob)
    equal(read(client), b"hello")
    refused(client.delete_blob, 403, "AuthorizationPermissionMismatch")
    refused(lambda: client.upload_blob(b"x", overwrite=True), 403, "AuthorizationPermissionMismatch")


@check("a container SAS lists and reads, and writes when it may")
def container_sas(kit):
    container = kit.container()
    put(container, "a", b"hello")
    client = container_with(kit, container)
    equal([item.name for item in client.list_blobs()], ["a"])
    equal(read(client.get_blob_client("a")), b"hello")
    refused(lambda: client.upload_blob("b", b"x"), 403, "AuthorizationPermissionMismatch")
    writer = container_with(kit, container, permission="cwd")
    writer.upload_blob("b", b"x")
    writer.delete_blob("b")
    refused(lambda: list(writer.list_blobs()), 403, "AuthorizationPermissionMismatch")


@check("an account SAS does what its types and permissions say")
def account_sas(kit):
    container = kit.container()
    put(container, "a", b"hello")
    name = container.container_name
    equal(read(service_with(kit).get_blob_client(name, "a")), b"hello")
    equal([item.name for item in service_with(kit).list_containers(name)], [name])
    objects = service_with(kit, "o")
    refused(lambda: list(objects.list_containers()), 403, "AuthorizationResourceTypeMismatch")
    refused(lambda: objects.get_blob_client(name, "a").delete_blob(), 403, "AuthorizationPermissionMismatch")


@check("expired, not yet valid, wrong key, wrong address, https only")
def invalid(kit):
    blob = put(kit.container(), "a", b"hello")
    wrong = {
        "AuthenticationFailed": [
            {"start": in_minutes(-60), "expiry": in_minutes(-5)},
            {"start": in_minutes(30)},
            {"key": "AQ" * 42 + "AQ=="},
        ],
        "AuthorizationSourceIPMismatch": [{"ip": "10.1.2.3-10.1.2.9"}],
        "AuthorizationProtocolMismatch": [{"protocol": "https"}],
    }
    for code, cases in wrong.items():
        for given in cases:
            refused(blob_with(kit, blob, **given).download_blob, 403, code)
    equal(read(blob_with(kit, blob, ip="127.0.0.0-127.0.0.255", protocol="https,http", start=in_minutes(-5))), b"hello")


@check("response headers are overridden")
def overrides(kit):
    blob = put(kit.container(), "a", b"hello")
    given = {
        "cache_control": "max-age=9",
        "content_disposition": 'attachment; filename="a & b.txt"',
        "content_encoding": "identity",
        "content_language": "fr",
        "content_type": "text/x-other; charset=utf-8",
    }
    got = blob_with(kit, blob, **given).get_blob_properties().content_settings
    for name, value in given.items():
        equal(got[name], value, name)


@check("a stored policy gives permissions, and takes them back")
def policy(kit):
    container = kit.container()
    blob = put(container, "a", b"hello")
    container.set_container_access_policy({"reader": AccessPolicy("r", in_minutes(60), in_minutes(-60))})
    client = blob_with(kit, blob, permission=None, expiry=None, policy_id="reader")
    equal(read(client), b"hello")
    refused(client.delete_blob, 403, "AuthorizationPermissionMismatch")
    container.set_container_access_policy({})
    refused(client.download_blob, 403, "AuthenticationFailed")
