package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.AccessTier;
import com.azure.storage.blob.models.BlobItem;
import com.azure.storage.blob.models.BlobListDetails;
import com.azure.storage.blob.models.BlobProperties;
import com.azure.storage.blob.models.ListBlobsOptions;
import com.azure.storage.blob.options.BlobParallelUploadOptions;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Versions in an account with versioning. */
final class Versions {
    private Versions() {}

    static Check.Room room() {
        return new Check.Room("versions", "versions")
            .add("an upload names its version, and the one before stays readable", Versions::upload)
            .add("a listing names versions only when it is asked to", Versions::listing)
            .add("a deleted blob lives on in its versions, and a copy brings it back", Versions::delete)
            .add("a version is deleted by its id, the current one is not", Versions::deleteVersion)
            .add("a version has tags and a tier of its own", Versions::own);
    }

    record Two(BlobContainerClient container, BlobClient blob, String first, String second) {
        BlobClient past() {
            return blob.getVersionClient(first);
        }
    }

    static String write(BlobClient blob, String content) {
        return blob.uploadWithResponse(new BlobParallelUploadOptions(BinaryData.fromString(content)), null, null).getValue().getVersionId();
    }

    static Two twice(Kit kit) {
        BlobContainerClient container = kit.container();
        BlobClient blob = container.getBlobClient("a");
        return new Two(container, blob, write(blob, "first"), write(blob, "second"));
    }

    static List<BlobItem> list(BlobContainerClient container, BlobListDetails details) {
        return container.listBlobs(new ListBlobsOptions().setDetails(details), null).stream().toList();
    }

    private static void upload(Kit kit) {
        Two two = twice(kit);
        Kit.check(two.first.compareTo(two.second) < 0, two.first + " " + two.second);
        Kit.equal(Kit.read(two.past()), "first");
        Kit.equal(Kit.read(two.blob), "second");
        BlobProperties current = two.blob.getProperties();
        Kit.equal(current.getVersionId(), two.second);
        Kit.equal(current.isCurrentVersion(), true);
        Kit.check(!Boolean.TRUE.equals(two.past().getProperties().isCurrentVersion()), "the past is said to be current");
    }

    private static void listing(Kit kit) {
        Two two = twice(kit);
        Kit.equal(two.container.listBlobs().stream().count(), 1L);
        List<BlobItem> items = list(two.container, new BlobListDetails().setRetrieveVersions(true));
        Kit.equal(items.stream().map(BlobItem::getVersionId).toList(), List.of(two.first, two.second));
        Kit.equal(items.stream().map(item -> Boolean.TRUE.equals(item.isCurrentVersion())).toList(), List.of(false, true));
    }

    private static void delete(Kit kit) throws Exception {
        Two two = twice(kit);
        two.blob.delete();
        Kit.refused(404, "BlobNotFound", () -> Kit.read(two.blob));
        Kit.equal(list(two.container, new BlobListDetails().setRetrieveVersions(true)).size(), 2);
        List<BlobItem> gone = list(two.container, new BlobListDetails().setRetrieveDeletedBlobsWithVersions(true));
        Kit.equal(gone.size(), 1);
        Kit.equal(gone.get(0).hasVersionsOnly(), true);
        two.blob.beginCopy(two.past().getBlobUrl(), Duration.ofMillis(100)).waitForCompletion(Duration.ofSeconds(30));
        Kit.equal(Kit.read(two.blob), "first");
    }

    private static void deleteVersion(Kit kit) throws Exception {
        Two two = twice(kit);
        two.past().delete();
        Kit.refused(404, "BlobNotFound", () -> Kit.read(two.past()));
        Kit.refused(403, "", () -> two.blob.getVersionClient(two.second).delete());
        Kit.equal(Kit.read(two.blob), "second");
    }

    private static void own(Kit kit) {
        Two two = twice(kit);
        two.past().setTags(Map.of("old", "yes"));
        Kit.equal(two.past().getTags(), Map.of("old", "yes"));
        Kit.equal(two.blob.getTags(), Map.of());
        two.past().setAccessTier(AccessTier.COOL);
        Kit.equal(two.past().getProperties().getAccessTier(), AccessTier.COOL);
        Kit.equal(two.blob.getProperties().getAccessTier(), AccessTier.HOT);
    }
}
