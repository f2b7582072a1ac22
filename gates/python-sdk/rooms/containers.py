"""Containers: create, list, properties, metadata, access policies, public access, names, delete."""

from datetime import datetime, timezone

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import AccessPolicy, ContainerClient, ContainerSasPermissions, PublicAccess
from kit import check, equal, in_minutes, put, read, refused


@check("create, exists, again is ContainerAlreadyExists, delete, again is ContainerNotFound")
def create(kit):
    container = kit.service.get_container_client(kit.name())
    container.create_container(metadata={"K": "v"})
    refused(container.create_container, 409, "ContainerAlreadyExists")
    got = container.get_container_properties()
    equal([got.lease.state, got.lease.status, got.public_access, got.has_legal_hold], ["available", "unlocked", None, False])
    equal({name.lower(): value for name, value in got.metadata.items()}, {"k": "v"})
    container.delete_container()
    equal(container.exists(), False)
    refused(container.delete_container, 404, "ContainerNotFound")
    refused(container.get_container_properties, 404, "ContainerNotFound")


@check("names against the rules are refused")
def rules(kit):
    for name in ["Upper", "under_score", "-first", "last-", "two--hyphens"]:
        refused(kit.service.get_container_client(name).create_container, 400, "InvalidResourceName")
    for name in ["ab", "x" * 64]:
        refused(kit.service.get_container_client(name).create_container, 400, "OutOfRangeInput", "InvalidResourceName")


@check("set_container_metadata, and a condition on it")
def metadata(kit):
    container = kit.container(metadata={"old": "1"})
    container.set_container_metadata({"new": "2"})
    equal(container.get_container_properties().metadata, {"new": "2"})
    refused(lambda: container.set_container_metadata({}, if_modified_since=in_minutes(60)), 412, "ConditionNotMet")
    refused(lambda: container.delete_container(if_unmodified_since=in_minutes(-60)), 412, "ConditionNotMet")


@check("stored access policies come back as they were set")
def policies(kit):
    container = kit.container()
    start, expiry = datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc), datetime(2044, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    policy = AccessPolicy(ContainerSasPermissions(read=True, list=True), expiry, start)
    container.set_container_access_policy({"one": policy, "two <&>": AccessPolicy("r", expiry)})
    got = container.get_container_access_policy()
    equal([item.id for item in got["signed_identifiers"]], ["one", "two <&>"])
    first = got["signed_identifiers"][0].access_policy
    equal(first.permission, "rl")
    equal([str(first.start)[:19], str(first.expiry)[:19]], ["2024-01-02T03:04:05", "2044-01-02T03:04:05"])
    container.set_container_access_policy({})
    equal(container.get_container_access_policy()["signed_identifiers"], [])


@check("public access lets anyone read, and no longer when it is taken back")
def public(kit):
    container = kit.container(public_access=PublicAccess.BLOB)
    put(container, "a", b"open")
    anonymous = ContainerClient(kit.endpoint, container.container_name, **kit.options())
    equal(read(anonymous.get_blob_client("a")), b"open")
    assert refused_status(lambda: list(anonymous.list_blobs())) in (401, 403, 404)
    assert refused_status(lambda: anonymous.upload_blob("b", b"x")) in (401, 403, 404)
    container.set_container_access_policy({}, public_access=PublicAccess.CONTAINER)
    equal(container.get_container_properties().public_access, "container")
    equal([item.name for item in anonymous.list_blobs()], ["a"])
    container.set_container_access_policy({})
    assert refused_status(lambda: anonymous.get_blob_client("a").download_blob()) in (401, 403, 404, 409)


def refused_status(work):
    try:
        work()
    except HttpResponseError as error:
        return error.status_code
    return 200


@check("list_containers by prefix, with metadata, in pages")
def listed(kit):
    prefix = kit.name("list")
    wanted = [f"{prefix}-{letter}" for letter in "abcde"]
    for name in wanted:
        kit.made.append(kit.service.create_container(name, metadata={"name": name}))
    items = list(kit.service.list_containers(prefix, include_metadata=True))
    equal([item.name for item in items], wanted)
    equal([item.metadata["name"] for item in items], wanted)
    equal([items[0].lease.state, items[0].has_immutability_policy], ["available", False])
    for size in [1, 2, 5000]:
        pages = [[item.name for item in page] for page in kit.service.list_containers(prefix, results_per_page=size).by_page()]
        equal([name for page in pages for name in page], wanted)
        equal(len(pages), -(-5 // size))


@check("a wrong key is AuthenticationFailed")
def wrong_key(kit):
    container = kit.container()
    wrong = {"account_name": kit.account, "account_key": "AQ" * 42 + "AQ=="}
    client = ContainerClient(kit.endpoint, container.container_name, credential=wrong, **kit.options())
    refused(lambda: client.upload_blob("a", b"x"), 403, "AuthenticationFailed")
    refused(client.get_container_properties, 403, "AuthenticationFailed")
    equal(list(container.list_blobs()), [])
