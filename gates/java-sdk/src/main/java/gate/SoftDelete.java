package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.BlobContainerItem;
import com.azure.storage.blob.models.BlobContainerListDetails;
import com.azure.storage.blob.models.BlobItem;
import com.azure.storage.blob.models.BlobListDetails;
import com.azure.storage.blob.models.DeleteSnapshotsOptionType;
import com.azure.storage.blob.models.ListBlobContainersOptions;
import com.azure.storage.blob.specialized.BlobClientBase;
import java.util.List;
import java.util.Map;

/** Soft delete of blobs and containers, without versioning. */
final class SoftDelete {
    private SoftDelete() {}

    static Check.Room room() {
        return new Check.Room("softdelete", "softdelete")
            .add("a deleted blob comes back as it was", SoftDelete::back)
            .add("a listing tells of deleted blobs when it is asked to", SoftDelete::listing)
            .add("what was overwritten comes back as a snapshot", SoftDelete::overwritten)
            .add("snapshots come back with their blob", SoftDelete::snapshots)
            .add("undelete of what never was is not found", kit ->
                Kit.refused(404, "BlobNotFound", () -> kit.container().getBlobClient("never").undelete()))
            .add("a deleted container comes back with what is in it", SoftDelete::container);
    }

    private static void back(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "kept");
        blob.setMetadata(Map.of("one", "1"));
        blob.setTags(Map.of("two", "2"));
        String etag = blob.getProperties().getETag();
        blob.delete();
        Kit.refused(404, "BlobNotFound", () -> Kit.read(blob));
        blob.undelete();
        Kit.equal(Kit.read(blob), "kept");
        Kit.equal(blob.getProperties().getETag(), etag);
        Kit.equal(blob.getProperties().getMetadata(), Map.of("one", "1"));
        Kit.equal(blob.getTags(), Map.of("two", "2"));
    }

    private static void listing(Kit kit) {
        BlobContainerClient container = kit.container();
        Kit.put(container, "a", "x").delete();
        Kit.put(container, "b", "x");
        List<BlobItem> items = Versions.list(container, new BlobListDetails().setRetrieveDeletedBlobs(true));
        Kit.equal(items.stream().map(BlobItem::getName).toList(), List.of("a", "b"));
        Kit.equal(items.get(0).isDeleted(), true);
        Kit.check(items.get(0).getProperties().getDeletedTime() != null, "no time of the delete");
        Integer days = items.get(0).getProperties().getRemainingRetentionDays();
        Kit.check(days != null && (days == 6 || days == 7), days + " days");
    }

    private static void overwritten(Kit kit) {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a", "first");
        blob.upload(BinaryData.fromString("second"), true);
        List<BlobItem> gone = Versions.list(container, new BlobListDetails().setRetrieveDeletedBlobs(true).setRetrieveSnapshots(true))
            .stream().filter(item -> Boolean.TRUE.equals(item.isDeleted())).toList();
        Kit.equal(gone.size(), 1);
        blob.undelete();
        Kit.equal(Kit.read(blob.getSnapshotClient(gone.get(0).getSnapshot())), "first");
        Kit.equal(Kit.read(blob), "second");
    }

    private static void snapshots(Kit kit) {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        BlobClientBase snapshot = blob.createSnapshot();
        blob.deleteWithResponse(DeleteSnapshotsOptionType.INCLUDE, null, null, null);
        blob.undelete();
        Kit.equal(Kit.read(snapshot) + Kit.read(blob), "xx");
    }

    private static void container(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        String name = container.getBlobContainerName();
        Kit.put(container, "a", "x");
        container.delete();
        Kit.refused(404, "ContainerNotFound", container::getProperties);
        ListBlobContainersOptions options = new ListBlobContainersOptions().setPrefix(name)
            .setDetails(new BlobContainerListDetails().setRetrieveDeleted(true));
        List<BlobContainerItem> gone = kit.service.listBlobContainers(options, null).stream().toList();
        Kit.equal(gone.size(), 1);
        Kit.equal(gone.get(0).isDeleted(), true);
        Kit.equal(Kit.read(kit.service.undeleteBlobContainer(name, gone.get(0).getVersion()).getBlobClient("a")), "x");
    }
}
