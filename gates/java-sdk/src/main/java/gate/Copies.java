package gate;

import com.azure.core.util.BinaryData;
import com.azure.core.util.polling.SyncPoller;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.AccessTier;
import com.azure.storage.blob.models.BlobCopyInfo;
import com.azure.storage.blob.models.BlobProperties;
import com.azure.storage.blob.models.BlobRequestConditions;
import com.azure.storage.blob.models.CopyStatusType;
import com.azure.storage.blob.options.BlobCopyFromUrlOptions;
import java.time.Duration;
import java.util.Map;

/** Copies within the account, by the service and in one request. */
final class Copies {
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private Copies() {}

    static Check.Room room() {
        return new Check.Room("copy", "")
            .add("a copy has the bytes and says where from", Copies::copy)
            .add("a copy in one request, with a tier and metadata", Copies::oneRequest)
            .add("a copy of what is missing is refused", Copies::missing)
            .add("a copy looks at conditions of its target", Copies::conditions)
            .add("a copy that has ended is not aborted", Copies::abort);
    }

    private static void copy(Kit kit) {
        BlobContainerClient container = kit.container();
        byte[] content = Kit.bytes(1_000_000, 1);
        BlobClient source = container.getBlobClient("a/b c");
        source.upload(BinaryData.fromBytes(content));
        source.setMetadata(Map.of("one", "1"));
        BlobClient target = container.getBlobClient("target");
        SyncPoller<BlobCopyInfo, Void> poller = target.beginCopy(source.getBlobUrl(), Duration.ofMillis(100));
        Kit.equal(poller.waitForCompletion(PATIENCE).getValue().getCopyStatus(), CopyStatusType.SUCCESS);
        Kit.same(target.downloadContent().toBytes(), content);
        BlobProperties got = target.getProperties();
        Kit.equal(got.getMetadata(), Map.of("one", "1"));
        Kit.equal(got.getCopyStatus(), CopyStatusType.SUCCESS);
        Kit.equal(got.getCopyProgress(), "1000000/1000000");
        Kit.check(got.getCopySource().contains(container.getBlobContainerName()), got.getCopySource());
    }

    private static void oneRequest(Kit kit) {
        BlobContainerClient container = kit.container();
        BlobClient source = Kit.put(container, "a", "x");
        BlobClient target = container.getBlobClient("b");
        String url = source.getBlobUrl() + "?" + Signatures.readable(source);
        target.copyFromUrlWithResponse(
            new BlobCopyFromUrlOptions(url).setTier(AccessTier.COOL).setMetadata(Map.of("two", "2")).setTags(Map.of("t", "1")), null, null);
        Kit.equal(Kit.read(target), "x");
        Kit.equal(target.getProperties().getAccessTier(), AccessTier.COOL);
        Kit.equal(target.getProperties().getMetadata(), Map.of("two", "2"));
        Kit.equal(target.getTags(), Map.of("t", "1"));
    }

    private static void missing(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient none = container.getBlobClient("none");
        String url = none.getBlobUrl() + "?" + Signatures.readable(none);
        Kit.refused(404, "BlobNotFound|CannotVerifyCopySource", () -> container.getBlobClient("b").copyFromUrl(url));
        Kit.equal(container.getBlobClient("b").exists(), false);
    }

    private static void conditions(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient source = Kit.put(container, "a", "x");
        BlobClient target = Kit.put(container, "b", "y");
        String url = source.getBlobUrl() + "?" + Signatures.readable(source);
        BlobCopyFromUrlOptions options = new BlobCopyFromUrlOptions(url)
            .setDestinationRequestConditions(new BlobRequestConditions().setIfNoneMatch("*"));
        Kit.refused(409, "BlobAlreadyExists", () -> target.copyFromUrlWithResponse(options, null, null));
        Kit.equal(Kit.read(target), "y");
    }

    private static void abort(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient source = Kit.put(container, "a", "x");
        BlobClient target = container.getBlobClient("b");
        SyncPoller<BlobCopyInfo, Void> poller = target.beginCopy(source.getBlobUrl(), Duration.ofMillis(100));
        String id = poller.waitForCompletion(PATIENCE).getValue().getCopyId();
        Kit.refused(409, "NoPendingCopyOperation", () -> target.abortCopyFromUrl(id));
    }
}
