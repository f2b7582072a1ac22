"""Immutable storage: policies and legal holds of versions, and of whole containers."""

from azure.storage.blob import ImmutabilityPolicy
from kit import check, equal, in_minutes, put, read, refused

ACCOUNT = "versions"


def change(kit, container, settings, action="", method="PATCH"):
    kit.manage(method, f"accounts/{kit.account}/containers/{container.container_name}{action}", settings)


def versioned(kit):
    container = kit.container()
    change(kit, container, {"versionImmutability": True})
    return container


def upload(container, **options):
    made = container.get_blob_client("a").upload_blob(b"kept", **options)
    return container.get_blob_client("a", version_id=made["version_id"])


def policy(minutes, mode="Unlocked"):
    return ImmutabilityPolicy(expiry_time=in_minutes(minutes).replace(microsecond=0), policy_mode=mode)


@check("a policy keeps a version until it is taken off")
def kept(kit):
    container = versioned(kit)
    version = upload(container)
    wanted = policy(60)
    version.set_immutability_policy(wanted)
    got = version.get_blob_properties().immutability_policy
    equal([got.expiry_time, got.policy_mode], [wanted.expiry_time, "unlocked"])
    put(container, "a", b"new")
    refused(version.delete_blob, 409, "BlobImmutableDueToPolicy")
    version.delete_immutability_policy()
    version.delete_blob()


@check("a locked policy is only extended")
def locked(kit):
    version = upload(versioned(kit))
    version.set_immutability_policy(policy(10))
    version.set_immutability_policy(policy(10, "Locked"))
    refused(lambda: version.set_immutability_policy(policy(5, "Locked")), 409)
    refused(version.delete_immutability_policy, 409)
    version.set_immutability_policy(policy(20, "Locked"))
    equal(version.get_blob_properties().immutability_policy.policy_mode, "locked")


@check("a legal hold keeps a version")
def hold(kit):
    container = versioned(kit)
    version = upload(container)
    put(container, "a", b"new")
    version.set_legal_hold(True)
    equal(version.get_blob_properties().has_legal_hold, True)
    refused(version.delete_blob, 409, "BlobImmutableDueToLegalHold")
    version.set_legal_hold(False)
    version.delete_blob()


@check("an upload brings its policy and hold")
def brings(kit):
    container = versioned(kit)
    wanted = policy(60)
    version = upload(container, immutability_policy=wanted, legal_hold=True)
    got = version.get_blob_properties()
    equal([got.immutability_policy.expiry_time, got.has_legal_hold], [wanted.expiry_time, True])
    [item] = list(container.list_blobs(include=["immutabilitypolicy", "legalhold"]))
    equal([item.immutability_policy.expiry_time, item.has_legal_hold], [wanted.expiry_time, True])


@check("a container without immutable versions takes no policy")
def without(kit):
    refused(lambda: upload(kit.container()).set_immutability_policy(policy(60)), 409)


@check("a retention of a container lets new blobs in and nothing out")
def retention(kit):
    container = kit.container()
    blob = put(container, "a", b"kept")
    change(kit, container, {"retentionDays": 1})
    put(container, "b")
    equal(container.get_container_properties().has_immutability_policy, True)
    refused(lambda: put(container, "a", b"other"), 409, "BlobImmutableDueToPolicy")
    refused(blob.delete_blob, 409, "BlobImmutableDueToPolicy")
    refused(container.delete_container, 409)
    equal(read(blob), b"kept")
    change(kit, container, {"retentionDays": None})
    blob.delete_blob()


@check("a legal hold of a container lets nothing out")
def container_hold(kit):
    container = kit.container()
    blob = put(container, "a", b"kept")
    change(kit, container, {"add": ["case42"]}, "/legal-holds", "POST")
    equal(container.get_container_properties().has_legal_hold, True)
    refused(blob.delete_blob, 409, "BlobImmutableDueToLegalHold")
    change(kit, container, {"clear": ["case42"]}, "/legal-holds", "POST")
    blob.delete_blob()
