package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.AccessTier;
import com.azure.storage.blob.models.BlobHttpHeaders;
import com.azure.storage.blob.models.BlobProperties;
import com.azure.storage.blob.models.BlobRequestConditions;
import com.azure.storage.blob.models.BlockBlobItem;
import com.azure.storage.blob.models.BlockList;
import com.azure.storage.blob.models.BlockListType;
import com.azure.storage.blob.models.ParallelTransferOptions;
import com.azure.storage.blob.options.BlobParallelUploadOptions;
import com.azure.storage.blob.options.BlockBlobSimpleUploadOptions;
import com.azure.storage.blob.specialized.BlobOutputStream;
import com.azure.storage.blob.specialized.BlockBlobClient;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** Block blobs: put whole, in blocks, in parallel and as a stream. */
final class Uploads {
    private static final int MIB = 1024 * 1024;

    private Uploads() {}

    static Check.Room room() {
        return new Check.Room("upload", "")
            .add("a blob is uploaded, and not over another unless it is said", Uploads::overwrite)
            .add("an upload sets headers, metadata, tier and checks its MD5", Uploads::simple)
            .add("an upload in parallel blocks holds the same bytes", Uploads::parallel)
            .add("a stream is written as blocks", Uploads::stream)
            .add("blocks are staged, listed and committed", Uploads::blocks)
            .add("a block of another blob is staged by its address", Uploads::fromUrl)
            .add("names of all kinds come back", Uploads::names);
    }

    private static void overwrite(Kit kit) throws Exception {
        BlobClient blob = kit.container().getBlobClient("a");
        blob.upload(BinaryData.fromString("first"));
        Kit.refused(409, "BlobAlreadyExists", () -> blob.upload(BinaryData.fromString("second")));
        blob.upload(BinaryData.fromString("second"), true);
        Kit.equal(Kit.read(blob), "second");
    }

    private static void simple(Kit kit) throws Exception {
        BlockBlobClient blob = kit.container().getBlobClient("a").getBlockBlobClient();
        byte[] content = "hello".getBytes(StandardCharsets.UTF_8);
        byte[] md5 = MessageDigest.getInstance("MD5").digest(content);
        BlockBlobSimpleUploadOptions options = new BlockBlobSimpleUploadOptions(BinaryData.fromBytes(content))
            .setHeaders(new BlobHttpHeaders().setContentType("text/x").setCacheControl("no-cache").setContentLanguage("en"))
            .setMetadata(Map.of("one", "1"))
            .setTier(AccessTier.COOL)
            .setContentMd5(md5);
        BlockBlobItem item = blob.uploadWithResponse(options, null, null).getValue();
        BlobProperties got = blob.getProperties();
        Kit.equal(got.getETag(), item.getETag());
        Kit.equal(List.of(got.getContentType(), got.getCacheControl(), got.getContentLanguage()), List.of("text/x", "no-cache", "en"));
        Kit.equal(got.getMetadata(), Map.of("one", "1"));
        Kit.equal(got.getAccessTier(), AccessTier.COOL);
        Kit.same(got.getContentMd5(), md5);
        md5[0] ^= 1;
        Kit.refused(400, "Md5Mismatch", () -> blob.uploadWithResponse(options.setContentMd5(md5), null, null));
    }

    private static void parallel(Kit kit) {
        BlobClient blob = kit.container().getBlobClient("a");
        byte[] content = Kit.bytes(5 * MIB + 7, 1);
        ParallelTransferOptions transfer = new ParallelTransferOptions().setBlockSizeLong((long) MIB).setMaxSingleUploadSizeLong((long) MIB);
        BlobParallelUploadOptions options = new BlobParallelUploadOptions(new ByteArrayInputStream(content), content.length)
            .setParallelTransferOptions(transfer);
        blob.uploadWithResponse(options, null, null);
        Kit.same(blob.downloadContent().toBytes(), content);
        Kit.equal(blob.getBlockBlobClient().listBlocks(BlockListType.COMMITTED).getCommittedBlocks().size(), 6);
    }

    private static void stream(Kit kit) throws Exception {
        BlockBlobClient blob = kit.container().getBlobClient("a").getBlockBlobClient();
        byte[] content = Kit.bytes(MIB, 2);
        ParallelTransferOptions transfer = new ParallelTransferOptions().setBlockSizeLong(100_000L).setMaxSingleUploadSizeLong(1L);
        try (BlobOutputStream out = blob.getBlobOutputStream(transfer, null, null, null, new BlobRequestConditions())) {
            for (int at = 0; at < content.length; at += 65_536) out.write(content, at, Math.min(65_536, content.length - at));
        }
        Kit.same(blob.downloadContent().toBytes(), content);
    }

    private static String id(int number) {
        return Base64.getEncoder().encodeToString(String.format("%06d", number).getBytes(StandardCharsets.UTF_8));
    }

    private static void blocks(Kit kit) throws Exception {
        BlockBlobClient blob = kit.container().getBlobClient("a").getBlockBlobClient();
        for (int n = 1; n <= 3; n++) blob.stageBlock(id(n), BinaryData.fromString("part " + n + " "));
        BlockList staged = blob.listBlocks(BlockListType.ALL);
        Kit.equal(staged.getUncommittedBlocks().size(), 3);
        Kit.equal(staged.getCommittedBlocks().size(), 0);
        blob.commitBlockList(List.of(id(3), id(1)));
        Kit.equal(Kit.read(blob), "part 3 part 1 ");
        BlockList committed = blob.listBlocks(BlockListType.ALL);
        Kit.equal(committed.getCommittedBlocks().stream().map(block -> block.getName()).toList(), List.of(id(3), id(1)));
        Kit.equal(committed.getUncommittedBlocks().size(), 0);
        Kit.refused(400, "InvalidBlockList", () -> blob.commitBlockList(List.of(id(9)), true));
    }

    private static void fromUrl(Kit kit) {
        BlobContainerClient container = kit.container();
        byte[] content = Kit.bytes(100_000, 3);
        BlobClient source = container.getBlobClient("source");
        source.upload(BinaryData.fromBytes(content));
        String url = source.getBlobUrl() + "?" + Signatures.readable(source);
        BlockBlobClient target = container.getBlobClient("target").getBlockBlobClient();
        target.stageBlockFromUrl(id(1), url, new com.azure.storage.blob.models.BlobRange(50_000, 50_000L));
        target.stageBlockFromUrl(id(2), url, new com.azure.storage.blob.models.BlobRange(0, 50_000L));
        target.commitBlockList(List.of(id(2), id(1)));
        Kit.same(target.downloadContent().toBytes(), content);
        container.getBlobClient("whole").getBlockBlobClient().uploadFromUrl(url);
        Kit.same(container.getBlobClient("whole").downloadContent().toBytes(), content);
    }

    private static void names(Kit kit) {
        BlobContainerClient container = kit.container();
        List<String> wanted = List.of("a b", "dir/ä ö/~file%20", "plus+and&?#", "日本語", "x'y(z)");
        for (String name : wanted) Kit.put(container, name, name);
        Kit.equal(container.listBlobs().stream().map(item -> item.getName()).sorted().toList(), wanted.stream().sorted().toList());
        for (String name : wanted) Kit.equal(Kit.read(container.getBlobClient(name)), name);
    }
}
