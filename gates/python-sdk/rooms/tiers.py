"""Access tiers in an account where rehydration takes seconds."""

import time

from azure.storage.blob import RehydratePriority, StandardBlobTier
from kit import check, equal, put, read, refused

ACCOUNT = "tiers"
REHYDRATED_S_MAX = 20


def rehydrated(blob):
    end = time.monotonic() + REHYDRATED_S_MAX
    while blob.get_blob_properties().archive_status:
        assert time.monotonic() < end, "still on its way out of Archive"
        time.sleep(0.1)


@check("tiers are set, told and listed")
def tiers(kit):
    container = kit.container()
    for tier in (StandardBlobTier.HOT, StandardBlobTier.COOL, StandardBlobTier.COLD, StandardBlobTier.ARCHIVE):
        equal(put(container, f"up-{tier.value}", standard_blob_tier=tier).get_blob_properties().blob_tier, tier.value)
        blob = put(container, f"set-{tier.value}")
        assert blob.get_blob_properties().blob_tier_inferred
        blob.set_standard_blob_tier(tier)
        got = blob.get_blob_properties()
        equal([got.blob_tier, bool(got.blob_tier_inferred)], [tier.value, False])
        assert got.blob_tier_change_time
    for item in container.list_blobs():
        equal(item.blob_tier, item.name.split("-")[1])


@check("what is in Archive is not read, but all about it is")
def archive(kit):
    blob = put(kit.container(), "a", tags={"t": "1"}, standard_blob_tier=StandardBlobTier.ARCHIVE)
    refused(lambda: read(blob), 409, "BlobArchived")
    equal([blob.get_blob_properties().size, blob.get_blob_tags()], [1, {"t": "1"}])
    blob.delete_blob()


@check("rehydration is a state that takes its time")
def rehydration(kit):
    blob = put(kit.container(), "a", standard_blob_tier=StandardBlobTier.ARCHIVE)
    blob.set_standard_blob_tier(StandardBlobTier.COOL, rehydrate_priority=RehydratePriority.standard)
    got = blob.get_blob_properties()
    equal([got.blob_tier, got.archive_status], ["Archive", "rehydrate-pending-to-cool"])
    refused(lambda: read(blob), 409, "BlobArchived", "BlobBeingRehydrated")
    rehydrated(blob)
    equal([read(blob), blob.get_blob_properties().blob_tier], [b"x", "Cool"])


@check("a high priority is a state of its own")
def priority(kit):
    blob = put(kit.container(), "a", standard_blob_tier=StandardBlobTier.ARCHIVE)
    blob.set_standard_blob_tier(StandardBlobTier.HOT, rehydrate_priority=RehydratePriority.high)
    equal(blob.get_blob_properties().rehydrate_priority, "High")
    rehydrated(blob)
    equal(read(blob), b"x")


@check("a tier that is none is refused")
def unknown(kit):
    refused(lambda: put(kit.container(), "a").set_standard_blob_tier("Tepid"), 400)


@check("the last read is noted")
def last_access(kit):
    blob = put(kit.container(), "a")
    read(blob)
    end = time.monotonic() + REHYDRATED_S_MAX
    while blob.get_blob_properties().last_accessed_on is None:
        assert time.monotonic() < end, "no time of the last access"
        time.sleep(0.25)
