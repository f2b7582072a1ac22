package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.BlobListDetails;
import com.azure.storage.blob.models.BlobRequestConditions;
import com.azure.storage.blob.models.DeleteSnapshotsOptionType;
import com.azure.storage.blob.models.ListBlobsOptions;
import com.azure.storage.blob.specialized.BlobClientBase;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Snapshots of blobs in an account without versioning. */
final class Snapshots {
    private Snapshots() {}

    static Check.Room room() {
        return new Check.Room("snapshots", "")
            .add("a snapshot keeps what the blob was", Snapshots::keeps)
            .add("a listing names snapshots, the oldest first, the blob last", Snapshots::listing)
            .add("a blob with snapshots is deleted with them, or they alone", Snapshots::delete)
            .add("a snapshot copied over its blob brings it back", Snapshots::promote)
            .add("conditions hold for a snapshot, and unknown ones are not found", Snapshots::conditions);
    }

    private static void keeps(Kit kit) {
        BlobClient blob = Kit.put(kit.container(), "a", "first");
        blob.setMetadata(Map.of("one", "1"));
        BlobClientBase plain = blob.createSnapshot();
        BlobClientBase other = blob.createSnapshotWithResponse(Map.of("two", "2"), null, null, null).getValue();
        blob.upload(BinaryData.fromString("second"), true);
        Kit.equal(Kit.read(plain), "first");
        Kit.equal(Kit.read(blob), "second");
        Kit.equal(plain.getProperties().getMetadata(), Map.of("one", "1"));
        Kit.equal(other.getProperties().getMetadata(), Map.of("two", "2"));
        Kit.equal(Kit.read(blob.getSnapshotClient(plain.getSnapshotId())), "first");
        Kit.check(plain.isSnapshot() && !blob.isSnapshot(), "the clients do not know what they are of");
    }

    private static void listing(Kit kit) {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a", "x");
        String first = blob.createSnapshot().getSnapshotId();
        String second = blob.createSnapshot().getSnapshotId();
        Kit.equal(container.listBlobs().stream().count(), 1L);
        ListBlobsOptions options = new ListBlobsOptions().setDetails(new BlobListDetails().setRetrieveSnapshots(true));
        List<String> found = container.listBlobs(options, null).stream().map(item -> String.valueOf(item.getSnapshot())).toList();
        Kit.equal(found, List.of(first, second, "null"));
    }

    private static void delete(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        BlobClientBase snapshot = blob.createSnapshot();
        Kit.refused(409, "SnapshotsPresent", blob::delete);
        blob.deleteWithResponse(DeleteSnapshotsOptionType.ONLY, null, null, null);
        Kit.equal(snapshot.exists(), false);
        Kit.equal(blob.exists(), true);
        BlobClientBase one = blob.createSnapshot();
        BlobClientBase two = blob.createSnapshot();
        one.delete();
        Kit.equal(two.exists(), true);
        blob.deleteWithResponse(DeleteSnapshotsOptionType.INCLUDE, null, null, null);
        Kit.equal(two.exists(), false);
    }

    private static void promote(Kit kit) {
        BlobClient blob = Kit.put(kit.container(), "a", "good");
        BlobClientBase snapshot = blob.createSnapshot();
        blob.upload(BinaryData.fromString("bad"), true);
        blob.beginCopy(snapshot.getBlobUrl(), Duration.ofMillis(100)).waitForCompletion(Duration.ofSeconds(30));
        Kit.equal(Kit.read(blob), "good");
    }

    private static void conditions(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        Kit.refused(412, "ConditionNotMet", () ->
            blob.createSnapshotWithResponse(null, new BlobRequestConditions().setIfMatch("\"0x8D0000000000000\""), null, null));
        Kit.refused(404, "BlobNotFound", () -> Kit.read(blob.getSnapshotClient("2020-01-01T00:00:00.0000000Z")));
    }
}
