package gate;

import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.AccessTier;
import com.azure.storage.blob.models.ArchiveStatus;
import com.azure.storage.blob.models.BlobProperties;
import com.azure.storage.blob.models.RehydratePriority;
import com.azure.storage.blob.options.BlobSetAccessTierOptions;
import java.util.List;

/** Access tiers in an account where rehydration takes seconds. */
final class Tiers {
    private static final long REHYDRATED_MS_MAX = 20_000;

    private Tiers() {}

    static Check.Room room() {
        return new Check.Room("tiers", "tiers")
            .add("tiers are set, told and listed", Tiers::tiers)
            .add("what is in Archive is not read, but all about it is", Tiers::archive)
            .add("rehydration is a state that takes its time", Tiers::rehydration)
            .add("a high priority is a state of its own", Tiers::priority)
            .add("the last read is noted", Tiers::lastAccess);
    }

    private static void rehydrated(BlobClient blob) throws InterruptedException {
        long end = System.currentTimeMillis() + REHYDRATED_MS_MAX;
        while (blob.getProperties().getArchiveStatus() != null) {
            Kit.check(System.currentTimeMillis() < end, "still on its way out of Archive");
            Thread.sleep(100);
        }
    }

    private static void tiers(Kit kit) {
        BlobContainerClient container = kit.container();
        for (AccessTier tier : List.of(AccessTier.HOT, AccessTier.COOL, AccessTier.COLD, AccessTier.ARCHIVE)) {
            BlobClient blob = Kit.put(container, tier.toString(), "x");
            Kit.equal(blob.getProperties().isAccessTierInferred(), true);
            blob.setAccessTier(tier);
            BlobProperties got = blob.getProperties();
            Kit.equal(got.getAccessTier(), tier);
            Kit.check(!Boolean.TRUE.equals(got.isAccessTierInferred()), "it is said to be inferred");
            Kit.check(got.getAccessTierChangeTime() != null, "no time of the change");
        }
        container.listBlobs().forEach(item -> Kit.equal(item.getProperties().getAccessTier().toString(), item.getName()));
    }

    private static BlobClient archived(Kit kit) {
        BlobClient blob = Kit.put(kit.container(), "a", "cold");
        blob.setAccessTier(AccessTier.ARCHIVE);
        return blob;
    }

    private static void archive(Kit kit) throws Exception {
        BlobClient blob = archived(kit);
        Kit.refused(409, "BlobArchived", () -> Kit.read(blob));
        Kit.refused(409, "BlobArchived", blob::createSnapshot);
        Kit.equal(blob.getProperties().getBlobSize(), 4L);
        blob.delete();
    }

    private static void rehydration(Kit kit) throws Exception {
        BlobClient blob = archived(kit);
        blob.setAccessTierWithResponse(
            new BlobSetAccessTierOptions(AccessTier.HOT).setPriority(RehydratePriority.STANDARD), null, null);
        BlobProperties got = blob.getProperties();
        Kit.equal(got.getAccessTier(), AccessTier.ARCHIVE);
        Kit.equal(got.getArchiveStatus(), ArchiveStatus.REHYDRATE_PENDING_TO_HOT);
        Kit.equal(got.getRehydratePriority(), RehydratePriority.STANDARD);
        Kit.refused(409, "BlobArchived|BlobBeingRehydrated", () -> Kit.read(blob));
        rehydrated(blob);
        Kit.equal(Kit.read(blob), "cold");
        Kit.equal(blob.getProperties().getAccessTier(), AccessTier.HOT);
    }

    private static void priority(Kit kit) throws Exception {
        BlobClient blob = archived(kit);
        blob.setAccessTierWithResponse(
            new BlobSetAccessTierOptions(AccessTier.COOL).setPriority(RehydratePriority.HIGH), null, null);
        Kit.equal(blob.getProperties().getRehydratePriority(), RehydratePriority.HIGH);
        Kit.refused(409, "BlobBeingRehydrated", () -> blob.setAccessTier(AccessTier.HOT));
        rehydrated(blob);
        Kit.equal(Kit.read(blob), "cold");
    }

    private static void lastAccess(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        Kit.read(blob);
        long end = System.currentTimeMillis() + REHYDRATED_MS_MAX;
        while (blob.getProperties().getLastAccessedTime() == null) {
            Kit.check(System.currentTimeMillis() < end, "no time of the last access");
            Thread.sleep(250);
        }
    }
}
