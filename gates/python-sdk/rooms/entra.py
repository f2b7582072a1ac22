"""Entra ID: credentials of azure-identity against a local issuer, roles, and user delegation."""

import threading
import time

import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceExistsError
from azure.identity import ClientSecretCredential
from azure.storage.blob import (
    BlobSasPermissions,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)
from kit import ENTRA, check, equal, in_minutes, put, read, refused

ACCOUNT = "entra"
MISMATCH = (403, "AuthorizationPermissionMismatch")
SCOPE = "https://storage.azure.com/.default"
making = threading.Lock()


def credential(who, tenant=None):
    principal = ENTRA["principals"][who]
    return ClientSecretCredential(
        tenant or ENTRA["tenant"], principal["clientId"], principal["secret"],
        authority=ENTRA["authorityHost"], disable_instance_discovery=True,
    )


def service(kit, who, **options):
    return kit.connect(credential=credential(who), **options)


def as_(kit, who, container):
    return service(kit, who).get_container_client(container.container_name)


def scoped(kit):
    container = kit.service.get_container_client(ENTRA["container"])
    with making:
        try:
            container.create_container()
        except ResourceExistsError:
            pass
    return container


def delegated(kit, who, container, permission, blob=None):
    start, end = in_minutes(-5), in_minutes(60)
    key = service(kit, who).get_user_delegation_key(start, end)
    common = {"user_delegation_key": key, "permission": permission, "start": start, "expiry": end}
    if blob is None:
        token = generate_container_sas(kit.account, container.container_name, **common)
    else:
        token = generate_blob_sas(kit.account, container.container_name, blob, **common)
    return kit.connect(credential=token).get_container_client(container.container_name)


@check("an owner does everything with data")
def owner(kit):
    container = service(kit, "owner").create_container(kit.name("gate"))
    blob = put(container, "a", tags={"t": "1"})
    equal([read(blob), blob.get_blob_tags(), len(list(container.list_blobs()))], [b"x", {"t": "1"}, 1])
    blob.set_standard_blob_tier("Cool")
    blob.create_snapshot()
    blob.delete_blob(delete_snapshots="include")
    container.delete_container()


@check("a contributor writes and deletes, but has no tags")
def contributor(kit):
    container = as_(kit, "contributor", kit.container())
    blob = put(container, "a")
    equal(read(blob), b"x")
    refused(blob.get_blob_tags, *MISMATCH)
    refused(lambda: blob.set_blob_tags({"t": "1"}), *MISMATCH)
    blob.delete_blob()


@check("a reader reads and lists, and changes nothing")
def reader(kit):
    real = kit.container()
    put(real, "a")
    container = as_(kit, "reader", real)
    blob = container.get_blob_client("a")
    equal([read(blob), len(list(container.list_blobs()))], [b"x", 1])
    for change in (
        lambda: blob.upload_blob(b"y", overwrite=True),
        blob.delete_blob,
        blob.create_snapshot,
        lambda: blob.set_blob_metadata({"m": "1"}),
        container.delete_container,
        lambda: service(kit, "reader").create_container(kit.name("gate")),
    ):
        refused(change, *MISMATCH)
    equal(read(blob), b"x")


@check("who has no role gets nothing")
def nobody(kit):
    real = kit.container()
    put(real, "a")
    container = as_(kit, "nobody", real)
    refused(lambda: read(container.get_blob_client("a")), *MISMATCH)
    refused(lambda: list(container.list_blobs()), *MISMATCH)
    refused(lambda: service(kit, "nobody").get_user_delegation_key(in_minutes(-5), in_minutes(60)), *MISMATCH)


@check("a role in a container ends at its wall")
def in_container(kit):
    blob = put(as_(kit, "container", scoped(kit)), kit.name("py"))
    equal(read(blob), b"x")
    blob.delete_blob()
    refused(lambda: put(as_(kit, "container", kit.container()), "a"), *MISMATCH)


@check("a role below a prefix ends there")
def below_prefix(kit):
    real, name = scoped(kit), kit.name("py")
    put(real, f"other/{name}")
    container = as_(kit, "prefix", real)
    blob = put(container, ENTRA["prefix"] + name, b"mine")
    equal(read(blob), b"mine")
    refused(lambda: read(container.get_blob_client(f"other/{name}")), *MISMATCH)
    refused(lambda: put(container, name), *MISMATCH)
    assert any(item.name == blob.blob_name for item in container.list_blobs(name_starts_with=ENTRA["prefix"]))
    refused(lambda: list(container.list_blobs()), *MISMATCH)
    blob.delete_blob()


@check("a signature of user delegation opens what its user may open")
def delegation(kit):
    real = kit.container()
    put(real, "a")
    wide = delegated(kit, "reader", real, ContainerSasPermissions(read=True, write=True, list=True))
    equal([read(wide.get_blob_client("a")), len(list(wide.list_blobs()))], [b"x", 1])
    refused(lambda: put(wide, "a", b"y"), *MISMATCH)
    put(delegated(kit, "owner", real, ContainerSasPermissions(read=True, write=True)), "a", b"y")
    narrow = delegated(kit, "owner", real, BlobSasPermissions(read=True), "a")
    equal(read(narrow.get_blob_client("a")), b"y")
    refused(lambda: put(narrow, "a"), *MISMATCH)
    put(real, "b")
    refused(lambda: read(narrow.get_blob_client("b")), 403, "AuthenticationFailed")


@check("a signature of user delegation ends with the role")
def ends(kit):
    real = kit.container()
    put(real, "a")
    container = delegated(kit, "leaving", real, ContainerSasPermissions(read=True))
    equal(read(container.get_blob_client("a")), b"x")
    kit.manage("DELETE", f"accounts/{kit.account}/role-assignments/{ENTRA['principals']['leaving']['assignment']}")
    refused(lambda: read(container.get_blob_client("a")), *MISMATCH)


class FromElsewhere:
    """At home in another tenant, until it is told the right one."""

    def __init__(self):
        self.asked = []

    def get_token(self, *scopes, tenant_id=None, **options):
        self.asked.append(tenant_id)
        if tenant_id is None:
            return AccessToken(ENTRA["strangerToken"], int(time.time()) + 600)
        return credential("reader", tenant_id).get_token(*scopes)


@check("the challenge tells a client its tenant")
def challenge(kit):
    real = kit.container()
    put(real, "a")
    stranger = FromElsewhere()
    client = kit.connect(credential=stranger)
    equal(read(client.get_blob_client(real.container_name, "a")), b"x")
    assert ENTRA["tenant"] in stranger.asked, f"it was asked for {stranger.asked}"


@check("a token for another audience is refused")
def audience(kit):
    def answer(token):
        headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04"}
        return requests.get(f"{kit.endpoint}/?comp=list", headers=headers, timeout=30)

    wrong = answer(credential("owner").get_token("https://vault.azure.net/.default").token)
    equal([wrong.status_code, wrong.headers.get("x-ms-error-code")], [401, "InvalidAuthenticationInfo"])
    equal(answer(credential("owner").get_token(SCOPE).token).status_code, 200)
    own = kit.connect(credential=credential("owner"), audience=f"https://{kit.account}.blob.core.windows.net")
    list(own.list_containers())


@check("alone: shared key switched off")
def without_shared_key(kit):
    container = kit.container()
    blob = put(container, "a")
    kit.manage("PATCH", f"accounts/{kit.account}", {"sharedKeyAccess": False})
    try:
        refused(lambda: read(blob), 403, "KeyBasedAuthenticationNotPermitted")
        equal(read(as_(kit, "reader", container).get_blob_client("a")), b"x")
    finally:
        kit.manage("PATCH", f"accounts/{kit.account}", {"sharedKeyAccess": True})
    equal(read(blob), b"x")
