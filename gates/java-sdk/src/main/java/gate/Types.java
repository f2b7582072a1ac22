package gate;

import com.azure.core.http.rest.Response;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.batch.BlobBatchClient;
import com.azure.storage.blob.batch.BlobBatchClientBuilder;
import com.azure.storage.blob.batch.BlobBatchStorageException;
import com.azure.storage.blob.models.AccessTier;
import com.azure.storage.blob.models.AppendBlobItem;
import com.azure.storage.blob.models.AppendBlobRequestConditions;
import com.azure.storage.blob.models.BlobType;
import com.azure.storage.blob.models.DeleteSnapshotsOptionType;
import com.azure.storage.blob.models.PageRange;
import com.azure.storage.blob.models.PageRangeItem;
import com.azure.storage.blob.models.SequenceNumberActionType;
import com.azure.storage.blob.options.AppendBlobSealOptions;
import com.azure.storage.blob.options.ListPageRangesDiffOptions;
import com.azure.storage.blob.models.BlobRange;
import com.azure.storage.blob.specialized.AppendBlobClient;
import com.azure.storage.blob.specialized.PageBlobClient;
import java.io.ByteArrayInputStream;
import java.util.Arrays;
import java.util.List;

/** Append blobs, page blobs, and many blobs in one request. */
final class Types {
    private static final int PAGE = 512;

    private Types() {}

    static Check.Room room() {
        return new Check.Room("types", "")
            .add("an append blob grows, under conditions", Types::append)
            .add("an append blob is sealed", Types::seal)
            .add("an append blob takes blocks of another", Types::appendFromUrl)
            .add("a page blob is written, read and cleared in ranges", Types::page)
            .add("a page blob differs from its snapshot where it was written", Types::pageDiff)
            .add("a page blob is resized, and its sequence number set", Types::pageSize)
            .add("a page blob takes pages of another", Types::pageFromUrl)
            .add("a batch deletes, and says which was missing", Types::batchDelete)
            .add("a batch sets tiers", Types::batchTier);
    }

    private static void append(AppendBlobClient blob, String text) {
        byte[] bytes = text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
        blob.appendBlock(new ByteArrayInputStream(bytes), bytes.length);
    }

    private static void append(Kit kit) throws Exception {
        AppendBlobClient blob = kit.container().getBlobClient("a").getAppendBlobClient();
        blob.create();
        append(blob, "one ");
        append(blob, "two ");
        Kit.equal(Kit.read(blob), "one two ");
        Kit.equal(blob.getProperties().getBlobType(), BlobType.APPEND_BLOB);
        Kit.equal(blob.getProperties().getCommittedBlockCount(), 2);
        AppendBlobRequestConditions at = new AppendBlobRequestConditions().setAppendPosition(8L);
        AppendBlobItem item = blob.appendBlockWithResponse(new ByteArrayInputStream(new byte[] {'3'}), 1, null, at, null, null).getValue();
        Kit.equal(item.getBlobAppendOffset(), "8");
        Kit.refused(412, "AppendPositionConditionNotMet", () ->
            blob.appendBlockWithResponse(new ByteArrayInputStream(new byte[] {'3'}), 1, null, at, null, null));
        AppendBlobRequestConditions full = new AppendBlobRequestConditions().setMaxSize(9L);
        Kit.refused(412, "MaxBlobSizeConditionNotMet", () ->
            blob.appendBlockWithResponse(new ByteArrayInputStream(new byte[] {'3'}), 1, null, full, null, null));
        Kit.refused(409, "InvalidBlobType", () ->
            kit.service.getBlobContainerClient(blob.getContainerName()).getBlobClient("a").getBlockBlobClient()
                .commitBlockList(List.of(), true));
    }

    private static void seal(Kit kit) throws Exception {
        AppendBlobClient blob = kit.container().getBlobClient("a").getAppendBlobClient();
        blob.create();
        append(blob, "x");
        blob.sealWithResponse(new AppendBlobSealOptions(), null, null);
        Kit.equal(blob.getProperties().isSealed(), true);
        Kit.refused(409, "BlobIsSealed", () -> append(blob, "y"));
        Kit.equal(Kit.read(blob), "x");
    }

    private static void appendFromUrl(Kit kit) {
        BlobContainerClient container = kit.container();
        BlobClient source = Kit.put(container, "source", "0123456789");
        AppendBlobClient blob = container.getBlobClient("a").getAppendBlobClient();
        blob.create();
        blob.appendBlockFromUrl(source.getBlobUrl() + "?" + Signatures.readable(source), new BlobRange(3, 4L));
        Kit.equal(Kit.read(blob), "3456");
    }

    private static void write(PageBlobClient blob, long from, int pages, int value) {
        byte[] bytes = new byte[pages * PAGE];
        Arrays.fill(bytes, (byte) value);
        blob.uploadPages(new PageRange().setStart(from).setEnd(from + bytes.length - 1), new ByteArrayInputStream(bytes));
    }

    private static List<String> ranges(Iterable<PageRangeItem> items) {
        List<String> found = new java.util.ArrayList<>();
        items.forEach(item -> found.add((item.isClear() ? "clear " : "") + item.getRange().getOffset() / PAGE + "+" + item.getRange().getLength() / PAGE));
        return found;
    }

    private static void page(Kit kit) throws Exception {
        PageBlobClient blob = kit.container().getBlobClient("a").getPageBlobClient();
        blob.create(16L * PAGE);
        write(blob, 2 * PAGE, 3, 'a');
        write(blob, 8 * PAGE, 2, 'b');
        byte[] content = blob.downloadContent().toBytes();
        Kit.equal(content.length, 16 * PAGE);
        Kit.equal((int) content[2 * PAGE], (int) 'a');
        Kit.equal((int) content[0], 0);
        Kit.equal(ranges(blob.listPageRanges(new BlobRange(0))), List.of("2+3", "8+2"));
        blob.clearPages(new PageRange().setStart(3L * PAGE).setEnd(4L * PAGE - 1));
        Kit.equal(ranges(blob.listPageRanges(new BlobRange(0))), List.of("2+1", "4+1", "8+2"));
        Kit.refused(416, "InvalidPageRange", () -> write(blob, 16 * PAGE, 1, 'c'));
    }

    private static void pageDiff(Kit kit) {
        PageBlobClient blob = kit.container().getBlobClient("a").getPageBlobClient();
        blob.create(16L * PAGE);
        write(blob, 0, 4, 'a');
        String snapshot = blob.createSnapshot().getSnapshotId();
        write(blob, 2 * PAGE, 1, 'b');
        blob.clearPages(new PageRange().setStart(0).setEnd(PAGE - 1));
        ListPageRangesDiffOptions options = new ListPageRangesDiffOptions(new BlobRange(0), snapshot);
        Kit.equal(ranges(blob.listPageRangesDiff(options, null, null)).stream().sorted().toList(), List.of("2+1", "clear 0+1"));
    }

    private static void pageSize(Kit kit) {
        PageBlobClient blob = kit.container().getBlobClient("a").getPageBlobClient();
        blob.create(PAGE);
        blob.resize(4L * PAGE);
        Kit.equal(blob.getProperties().getBlobSize(), 4L * PAGE);
        blob.updateSequenceNumber(SequenceNumberActionType.UPDATE, 7L);
        Kit.equal(blob.getProperties().getBlobSequenceNumber(), 7L);
        blob.updateSequenceNumber(SequenceNumberActionType.INCREMENT, null);
        Kit.equal(blob.getProperties().getBlobSequenceNumber(), 8L);
    }

    private static void pageFromUrl(Kit kit) {
        BlobContainerClient container = kit.container();
        BlobClient source = container.getBlobClient("source");
        byte[] bytes = Kit.bytes(4 * PAGE, 1);
        source.upload(com.azure.core.util.BinaryData.fromBytes(bytes));
        PageBlobClient blob = container.getBlobClient("a").getPageBlobClient();
        blob.create(4L * PAGE);
        String url = source.getBlobUrl() + "?" + Signatures.readable(source);
        blob.uploadPagesFromUrl(new PageRange().setStart(PAGE).setEnd(3L * PAGE - 1), url, (long) PAGE);
        byte[] got = blob.downloadContent().toBytes();
        Kit.same(Arrays.copyOfRange(got, PAGE, 3 * PAGE), Arrays.copyOfRange(bytes, PAGE, 3 * PAGE));
    }

    private static void batchDelete(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        List<String> urls = List.of("a", "b", "dir/c d").stream().map(name -> Kit.put(container, name, "x").getBlobUrl()).toList();
        BlobBatchClient batch = new BlobBatchClientBuilder(kit.service).buildClient();
        List<Integer> codes = batch.deleteBlobs(urls, DeleteSnapshotsOptionType.INCLUDE).stream().map(Response::getStatusCode).toList();
        Kit.equal(codes, List.of(202, 202, 202));
        Kit.equal(container.listBlobs().stream().count(), 0L);
        Kit.put(container, "a", "x");
        try {
            batch.deleteBlobs(List.of(urls.get(0), urls.get(1)), null).forEach(answer -> {});
            throw new AssertionError("nothing was raised");
        } catch (BlobBatchStorageException error) {
            error.getBatchExceptions().forEach(each -> Kit.equal(each.getStatusCode(), 404));
        }
        Kit.equal(container.getBlobClient("a").exists(), false);
    }

    private static void batchTier(Kit kit) {
        BlobContainerClient container = kit.container();
        List<String> urls = List.of("a", "b").stream().map(name -> Kit.put(container, name, "x").getBlobUrl()).toList();
        new BlobBatchClientBuilder(kit.service).buildClient().setBlobsAccessTier(urls, AccessTier.COOL).forEach(answer -> Kit.equal(answer.getStatusCode(), 200));
        Kit.equal(container.getBlobClient("b").getProperties().getAccessTier(), AccessTier.COOL);
    }
}
