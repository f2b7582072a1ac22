package gate;

import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.BlobImmutabilityPolicy;
import com.azure.storage.blob.models.BlobImmutabilityPolicyMode;
import com.azure.storage.blob.models.BlobItem;
import com.azure.storage.blob.models.BlobListDetails;
import java.time.temporal.ChronoUnit;
import java.util.List;

/** Immutable storage: policies and legal holds of versions, and of whole containers. */
final class Immutability {
    private Immutability() {}

    static Check.Room room() {
        return new Check.Room("immutability", "versions")
            .add("a policy keeps a version until it is taken off", Immutability::policy)
            .add("a locked policy is only extended", Immutability::locked)
            .add("a legal hold keeps a version", Immutability::hold)
            .add("a container without immutable versions takes no policy", Immutability::without)
            .add("a retention of a container lets new blobs in and nothing out", Immutability::retention)
            .add("a legal hold of a container lets nothing out", Immutability::containerHold);
    }

    private static void change(Kit kit, BlobContainerClient container, String method, String more, String body) throws Exception {
        kit.manage(method, "accounts/" + kit.stage.account() + "/containers/" + container.getBlobContainerName() + more, body);
    }

    private static BlobContainerClient versioned(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        change(kit, container, "PATCH", "", "{\"versionImmutability\":true}");
        return container;
    }

    /** An earlier version of a blob that goes on. */
    private static BlobClient past(BlobContainerClient container) {
        BlobClient blob = container.getBlobClient("a");
        String version = Versions.write(blob, "kept");
        Versions.write(blob, "new");
        return blob.getVersionClient(version);
    }

    private static BlobImmutabilityPolicy until(long minutes, BlobImmutabilityPolicyMode mode) {
        return new BlobImmutabilityPolicy().setExpiryTime(Kit.inMinutes(minutes).truncatedTo(ChronoUnit.SECONDS)).setPolicyMode(mode);
    }

    private static void policy(Kit kit) throws Exception {
        BlobContainerClient container = versioned(kit);
        BlobClient version = past(container);
        BlobImmutabilityPolicy wanted = until(60, BlobImmutabilityPolicyMode.UNLOCKED);
        version.setImmutabilityPolicy(wanted);
        BlobImmutabilityPolicy got = version.getProperties().getImmutabilityPolicy();
        Kit.equal(got.getExpiryTime().toInstant(), wanted.getExpiryTime().toInstant());
        Kit.equal(got.getPolicyMode(), BlobImmutabilityPolicyMode.UNLOCKED);
        BlobItem item = Versions.list(container, new BlobListDetails().setRetrieveVersions(true).setRetrieveImmutabilityPolicy(true)).get(0);
        Kit.equal(item.getProperties().getImmutabilityPolicy().getExpiryTime().toInstant(), wanted.getExpiryTime().toInstant());
        Kit.refused(409, "BlobImmutableDueToPolicy", version::delete);
        version.deleteImmutabilityPolicy();
        version.delete();
    }

    private static void locked(Kit kit) throws Exception {
        BlobClient version = past(versioned(kit));
        version.setImmutabilityPolicy(until(10, BlobImmutabilityPolicyMode.UNLOCKED));
        version.setImmutabilityPolicy(until(10, BlobImmutabilityPolicyMode.LOCKED));
        Kit.refused(409, "", () -> version.setImmutabilityPolicy(until(5, BlobImmutabilityPolicyMode.LOCKED)));
        Kit.refused(409, "", version::deleteImmutabilityPolicy);
        version.setImmutabilityPolicy(until(20, BlobImmutabilityPolicyMode.LOCKED));
        Kit.equal(version.getProperties().getImmutabilityPolicy().getPolicyMode(), BlobImmutabilityPolicyMode.LOCKED);
    }

    private static void hold(Kit kit) throws Exception {
        BlobClient version = past(versioned(kit));
        Kit.equal(version.setLegalHold(true).hasLegalHold(), true);
        Kit.equal(version.getProperties().hasLegalHold(), true);
        Kit.refused(409, "BlobImmutableDueToLegalHold", version::delete);
        version.setLegalHold(false);
        version.delete();
    }

    private static void without(Kit kit) throws Exception {
        BlobClient version = past(kit.container());
        Kit.refused(409, "", () -> version.setImmutabilityPolicy(until(60, BlobImmutabilityPolicyMode.UNLOCKED)));
    }

    private static void retention(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a", "kept");
        change(kit, container, "PATCH", "", "{\"retentionDays\":1}");
        Kit.put(container, "b", "x");
        Kit.equal(container.getProperties().hasImmutabilityPolicy(), true);
        Kit.refused(409, "BlobImmutableDueToPolicy", () -> Kit.put(container, "a", "other"));
        Kit.refused(409, "BlobImmutableDueToPolicy", blob::delete);
        Kit.refused(409, "", container::delete);
        Kit.equal(Kit.read(blob), "kept");
        change(kit, container, "PATCH", "", "{\"retentionDays\":null}");
        blob.delete();
    }

    private static void containerHold(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a", "kept");
        change(kit, container, "POST", "/legal-holds", "{\"add\":[\"case42\"]}");
        Kit.equal(container.getProperties().hasLegalHold(), true);
        Kit.refused(409, "BlobImmutableDueToLegalHold", blob::delete);
        change(kit, container, "POST", "/legal-holds", "{\"clear\":[\"case42\"]}");
        blob.delete();
        Kit.equal(List.copyOf(container.listBlobs().stream().toList()), List.of());
    }
}
