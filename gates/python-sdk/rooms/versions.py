"""Versions in an account with versioning."""

from urllib.parse import quote

from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from kit import check, equal, in_minutes, put, read, refused

ACCOUNT = "versions"


def twice(kit):
    container = kit.container()
    blob = container.get_blob_client("a")
    first = blob.upload_blob(b"first")["version_id"]
    second = blob.upload_blob(b"second", overwrite=True)["version_id"]
    return container, blob, first, second


def at(container, version):
    return container.get_blob_client("a", version_id=version)


@check("an upload names its version, and the one before stays readable")
def upload(kit):
    container, blob, first, second = twice(kit)
    assert first < second, f"{first} {second}"
    equal([read(at(container, first)), read(at(container, second)), read(blob)], [b"first", b"second", b"second"])
    current = blob.get_blob_properties()
    equal([current.version_id, current.is_current_version], [second, True])
    past = at(container, first).get_blob_properties()
    equal([past.version_id, bool(past.is_current_version)], [first, False])


@check("a listing names versions only when it is asked to")
def listing(kit):
    container, _, first, second = twice(kit)
    equal(len(list(container.list_blobs())), 1)
    items = list(container.list_blobs(include=["versions"]))
    equal([(item.version_id, bool(item.is_current_version), item.size) for item in items], [(first, False, 5), (second, True, 6)])


@check("a deleted blob lives on in its versions, and a copy brings it back")
def delete(kit):
    container, blob, first, second = twice(kit)
    blob.delete_blob()
    refused(lambda: read(blob), 404, "BlobNotFound")
    items = list(container.list_blobs(include=["versions"]))
    equal([(item.version_id, bool(item.is_current_version)) for item in items], [(first, False), (second, False)])
    [gone] = list(container.list_blobs(include=["deletedwithversions"]))
    equal([gone.name, gone.has_versions_only], ["a", True])
    blob.start_copy_from_url(f"{blob.url}?versionid={quote(first)}")
    equal(read(blob), b"first")


@check("metadata makes a version, properties and tags make none")
def metadata(kit):
    container, blob, _, _ = twice(kit)
    assert blob.set_blob_metadata({"one": "1"})["version_id"]
    equal(len(list(container.list_blobs(include=["versions"]))), 3)
    blob.set_http_headers()
    blob.set_blob_tags({"one": "1"})
    equal(len(list(container.list_blobs(include=["versions"]))), 3)


@check("a version is deleted by its id, the current one is not")
def delete_version(kit):
    container, blob, first, second = twice(kit)
    at(container, first).delete_blob()
    refused(lambda: read(at(container, first)), 404, "BlobNotFound")
    refused(at(container, second).delete_blob, 403)
    equal(read(blob), b"second")


@check("a version has tags and a tier of its own")
def own(kit):
    container, blob, first, _ = twice(kit)
    past = at(container, first)
    past.set_blob_tags({"old": "yes"})
    equal([past.get_blob_tags(), blob.get_blob_tags()], [{"old": "yes"}, {}])
    past.set_standard_blob_tier("Cool")
    equal([past.get_blob_properties().blob_tier, blob.get_blob_properties().blob_tier], ["Cool", "Hot"])


@check("a SAS for a version opens it and nothing else")
def sas(kit):
    container, blob, first, _ = twice(kit)
    token = generate_blob_sas(
        kit.account, container.container_name, "a", account_key=kit.key, version_id=first,
        permission=BlobSasPermissions(read=True), expiry=in_minutes(60),
    )
    signed = kit.connect(credential=token).get_blob_client(container.container_name, "a", version_id=first)
    equal(read(signed), b"first")
    refused(lambda: read(kit.connect(credential=token).get_blob_client(container.container_name, "a")), 403, "AuthenticationFailed")
