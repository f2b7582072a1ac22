"""Properties, metadata, tiers, delete."""

from azure.storage.blob import ContentSettings, StandardBlobTier
from kit import check, equal, put, refused


@check("set_http_headers replaces all of them and leaves metadata")
def headers(kit):
    blob = put(kit.container(), "a", content_settings=ContentSettings("a/b", cache_control="one"), metadata={"k": "v"})
    before = blob.get_blob_properties()
    blob.set_http_headers(ContentSettings("c/d", content_disposition="inline"))
    got = blob.get_blob_properties()
    equal([got.content_settings.content_type, got.content_settings.content_disposition], ["c/d", "inline"])
    equal([got.content_settings.cache_control, got.metadata], [None, {"k": "v"}])
    assert got.etag != before.etag and got.creation_time == before.creation_time


@check("set_blob_metadata replaces all of it")
def metadata(kit):
    blob = put(kit.container(), "a", metadata={"old": "1"})
    values = {"quoted": '"a", b; c=d', "percent": "%20+%", "spaces": "a  b", "long": "x" * 4000}
    blob.set_blob_metadata(values)
    equal(blob.get_blob_properties().metadata, values)
    blob.set_blob_metadata({})
    equal(blob.get_blob_properties().metadata, {})


@check("bad metadata is refused")
def bad_metadata(kit):
    blob = put(kit.container(), "a", metadata={"old": "1"})
    for name in ["1st", "a-b", "a.b"]:
        refused(lambda: blob.set_blob_metadata({name: "v"}), 400, "InvalidMetadata")
    refused(lambda: blob.set_blob_metadata({"a": "x" * 5000, "b": "y" * 3500}), 400, "MetadataTooLarge")
    equal(blob.get_blob_properties().metadata, {"old": "1"})


@check("tiers")
def tier(kit):
    blob = put(kit.container(), "a")
    got = blob.get_blob_properties()
    equal([got.blob_tier, got.blob_tier_inferred], ["Hot", True])
    blob.set_standard_blob_tier(StandardBlobTier.COOL)
    got = blob.get_blob_properties()
    equal([got.blob_tier, bool(got.blob_tier_inferred)], ["Cool", False])
    assert got.blob_tier_change_time
    refused(lambda: blob.set_standard_blob_tier("Lukewarm"), 400, "InvalidHeaderValue")


@check("delete_blob, and again is BlobNotFound")
def delete(kit):
    blob = put(kit.container(), "a")
    blob.delete_blob(delete_snapshots="include")
    equal(blob.exists(), False)
    refused(blob.delete_blob, 404, "BlobNotFound")
    refused(lambda: blob.set_blob_metadata({"a": "1"}), 404, "BlobNotFound")
    refused(lambda: blob.set_http_headers(ContentSettings()), 404, "BlobNotFound")


@check("account information of service, container and blob")
def account(kit):
    container = kit.container()
    blob = put(container, "a")
    for client in [kit.service, container, blob]:
        information = client.get_account_information()
        assert information["sku_name"] and information["account_kind"], information
        equal(information["is_hns_enabled"], False)
