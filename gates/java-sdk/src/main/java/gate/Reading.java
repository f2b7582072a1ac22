package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.models.BlobHttpHeaders;
import com.azure.storage.blob.models.BlobProperties;
import com.azure.storage.blob.models.BlobRange;
import com.azure.storage.blob.models.BlobRequestConditions;
import com.azure.storage.blob.models.ConsistentReadControl;
import com.azure.storage.blob.models.DownloadRetryOptions;
import com.azure.storage.blob.options.BlobInputStreamOptions;
import com.azure.storage.blob.specialized.BlobInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/** Downloads, whole and in ranges, and what a blob says of itself. */
final class Reading {
    private Reading() {}

    static Check.Room room() {
        return new Check.Room("read", "")
            .add("ranges are what they say", Reading::ranges)
            .add("a file is downloaded in parts", Reading::file)
            .add("a stream reads on, skips, and goes back", Reading::stream)
            .add("properties and metadata are set and kept apart", Reading::properties)
            .add("what is missing is not found", Reading::missing)
            .add("an empty blob is read", Reading::empty);
    }

    private static byte[] range(BlobClient blob, long offset, Long count) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BlobRange range = count == null ? new BlobRange(offset) : new BlobRange(offset, count);
        blob.downloadStreamWithResponse(out, range, new DownloadRetryOptions().setMaxRetryRequests(0), null, false, null, null);
        return out.toByteArray();
    }

    private static void ranges(Kit kit) throws Exception {
        byte[] content = Kit.bytes(300_000, 1);
        BlobClient blob = kit.container().getBlobClient("a");
        blob.upload(BinaryData.fromBytes(content));
        Kit.same(range(blob, 0, 1L), Arrays.copyOfRange(content, 0, 1));
        Kit.same(range(blob, 99_999, 100_001L), Arrays.copyOfRange(content, 99_999, 200_000));
        Kit.same(range(blob, 299_999, null), Arrays.copyOfRange(content, 299_999, 300_000));
        Kit.refused(416, "InvalidRange", () -> range(blob, 300_000, null));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        blob.downloadStreamWithResponse(out, new BlobRange(10, 100L), null, null, true, null, null);
        Kit.check(kit.header("Content-MD5") != null, "no MD5 of the range");
    }

    private static void file(Kit kit) throws Exception {
        byte[] content = Kit.bytes(5_000_000, 2);
        BlobClient blob = kit.container().getBlobClient("a");
        blob.upload(BinaryData.fromBytes(content));
        Path path = Files.createTempFile(Path.of(System.getenv("GATE_WORK")), "read", ".bin");
        blob.downloadToFile(path.toString(), true);
        Kit.same(Files.readAllBytes(path), content);
    }

    private static void stream(Kit kit) throws Exception {
        byte[] content = Kit.bytes(1_000_000, 3);
        BlobClient blob = kit.container().getBlobClient("a");
        blob.upload(BinaryData.fromBytes(content));
        BlobInputStreamOptions options = new BlobInputStreamOptions().setBlockSize(100_000).setConsistentReadControl(ConsistentReadControl.ETAG);
        try (BlobInputStream in = blob.openInputStream(options)) {
            Kit.same(in.readNBytes(250_000), Arrays.copyOf(content, 250_000));
            in.mark(1_000_000);
            in.skip(500_000);
            Kit.same(in.readNBytes(1000), Arrays.copyOfRange(content, 750_000, 751_000));
            in.reset();
            Kit.same(in.readAllBytes(), Arrays.copyOfRange(content, 250_000, 1_000_000));
        }
    }

    private static void properties(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        String etag = blob.getProperties().getETag();
        blob.setMetadata(Map.of("one", "1", "two", "2"));
        BlobProperties first = blob.getProperties();
        Kit.check(!first.getETag().equals(etag), "the ETag is the same");
        blob.setHttpHeaders(new BlobHttpHeaders().setContentType("text/y").setContentDisposition("inline").setContentEncoding("gzip"));
        BlobProperties second = blob.getProperties();
        Kit.equal(second.getContentType() + second.getContentDisposition() + second.getContentEncoding(), "text/yinlinegzip");
        Kit.equal(second.getMetadata().get("one"), "1");
        Kit.equal(second.getBlobSize(), 1L);
        Kit.check(second.getCreationTime() != null && second.getLastModified() != null, "times are missing");
        Kit.check(second.isServerEncrypted(), "it is not said to be encrypted");
    }

    private static void missing(Kit kit) throws Exception {
        BlobClient blob = kit.container().getBlobClient("none");
        Kit.equal(blob.exists(), false);
        Kit.refused(404, "BlobNotFound", () -> Kit.read(blob));
        Kit.refused(404, "BlobNotFound", blob::getProperties);
        Kit.refused(404, "BlobNotFound", blob::delete);
        Kit.equal(blob.deleteIfExists(), false);
        BlobClient elsewhere = kit.service.getBlobContainerClient(kit.name("none")).getBlobClient("a");
        Kit.refused(404, "ContainerNotFound", () -> Kit.read(elsewhere));
        Kit.refused(404, "ContainerNotFound", () -> elsewhere.getPropertiesWithResponse(new BlobRequestConditions(), null, null));
    }

    private static void empty(Kit kit) {
        BlobClient blob = Kit.put(kit.container(), "a", "");
        Kit.equal(Kit.read(blob), "");
        Kit.equal(blob.getProperties().getBlobSize(), 0L);
    }
}
