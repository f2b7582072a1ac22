package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.BlobListDetails;
import com.azure.storage.blob.models.BlobRequestConditions;
import com.azure.storage.blob.models.TaggedBlobItem;
import com.azure.storage.blob.options.BlobParallelUploadOptions;
import com.azure.storage.blob.options.BlobSetTagsOptions;
import com.azure.storage.blob.options.FindBlobsOptions;
import java.util.List;
import java.util.Map;

/** Blob index tags: set, read, found, and as a condition. */
final class Tags {
    // Azure's index follows the blobs after a moment; a check waits for it as a client has to.
    private static final long INDEXED_MS_MAX = 10_000;

    private Tags() {}

    static Check.Room room() {
        return new Check.Room("tags", "")
            .add("tags come back as they were set", Tags::roundTrip)
            .add("a listing tells tags when it is asked to", Tags::listing)
            .add("blobs are found by their tags, in the account and in a container", Tags::finds)
            .add("what is retagged or deleted is not found by what it had", Tags::changed)
            .add("a condition on tags lets through or refuses", Tags::condition)
            .add("what is no set of tags and no expression is refused", Tags::malformed);
    }

    private static BlobClient put(BlobContainerClient container, String name, Map<String, String> tags) {
        BlobClient blob = container.getBlobClient(name);
        blob.uploadWithResponse(new BlobParallelUploadOptions(BinaryData.fromString("x")).setTags(tags), null, null);
        return blob;
    }

    private interface Find {
        Iterable<TaggedBlobItem> run();
    }

    private static List<String> find(int count, Find find) throws InterruptedException {
        long end = System.currentTimeMillis() + INDEXED_MS_MAX;
        while (true) {
            List<String> names = new java.util.ArrayList<>();
            find.run().forEach(item -> names.add(item.getName()));
            if (names.size() == count || System.currentTimeMillis() > end) return names.stream().sorted().toList();
            Thread.sleep(100);
        }
    }

    private static void roundTrip(Kit kit) {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        String etag = blob.getProperties().getETag();
        Map<String, String> wanted = Map.of("project", "one two", "a+b", "-./:=_", "third", "3");
        blob.setTags(wanted);
        Kit.equal(blob.getTags(), wanted);
        Kit.equal(blob.getProperties().getETag(), etag);
        Kit.equal(blob.getProperties().getTagCount(), 3L);
        blob.setTags(Map.of());
        Kit.equal(blob.getTags(), Map.of());
    }

    private static void listing(Kit kit) {
        BlobContainerClient container = kit.container();
        put(container, "a", Map.of("one", "1", "two", "2"));
        Kit.equal(Versions.list(container, new BlobListDetails().setRetrieveTags(true)).get(0).getTags(), Map.of("one", "1", "two", "2"));
        Kit.equal(container.listBlobs().iterator().next().getProperties().getTagCount(), 2);
    }

    private static void finds(Kit kit) throws Exception {
        BlobContainerClient first = kit.container();
        BlobContainerClient second = kit.container();
        String value = kit.name("v");
        put(first, "a", Map.of("key", value, "other", "1"));
        put(second, "b/c", Map.of("key", value));
        String all = "key='" + value + "'";
        Kit.equal(find(2, () -> kit.service.findBlobsByTags(all)), List.of("a", "b/c"));
        Kit.equal(find(1, () -> first.findBlobsByTags(all)), List.of("a"));
        String scoped = "@container='" + second.getBlobContainerName() + "' AND " + all;
        Kit.equal(find(1, () -> kit.service.findBlobsByTags(scoped)), List.of("b/c"));
        TaggedBlobItem item = kit.service.findBlobsByTags(all + " AND other='1'").iterator().next();
        Kit.equal(item.getContainerName(), first.getBlobContainerName());
        Kit.equal(item.getTags(), Map.of("key", value, "other", "1"));
        FindBlobsOptions paged = new FindBlobsOptions(all).setMaxResultsPerPage(1);
        Kit.equal(kit.service.findBlobsByTags(paged, null, null).streamByPage().count(), 2L);
    }

    private static void changed(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient a = put(container, "a", Map.of("t", "1"));
        BlobClient b = put(container, "b", Map.of("t", "1"));
        Kit.equal(find(2, () -> container.findBlobsByTags("t='1'")), List.of("a", "b"));
        a.setTags(Map.of("t", "2"));
        b.delete();
        Kit.equal(find(0, () -> container.findBlobsByTags("t='1'")), List.of());
        Kit.equal(find(1, () -> container.findBlobsByTags("t > '1' AND t <= '2'")), List.of("a"));
    }

    private static void condition(Kit kit) throws Exception {
        BlobClient blob = put(kit.container(), "a", Map.of("state", "done"));
        BlobRequestConditions good = new BlobRequestConditions().setTagsConditions("state = 'done'");
        BlobRequestConditions bad = new BlobRequestConditions().setTagsConditions("state = 'open'");
        blob.downloadContentWithResponse(null, good, null, null);
        blob.setMetadataWithResponse(Map.of("a", "1"), good, null, null);
        Kit.refused(412, "ConditionNotMet", () -> blob.downloadContentWithResponse(null, bad, null, null));
        Kit.refused(412, "ConditionNotMet", () -> blob.getPropertiesWithResponse(bad, null, null));
        Kit.refused(412, "ConditionNotMet", () ->
            blob.setTagsWithResponse(new BlobSetTagsOptions(Map.of()).setRequestConditions(bad), null, null));
        Kit.refused(412, "ConditionNotMet", () -> blob.deleteWithResponse(null, bad, null, null));
        blob.deleteWithResponse(null, good, null, null);
    }

    private static void malformed(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        Kit.refused(400, "", () -> blob.setTags(Map.of("k", "v".repeat(257))));
        Kit.refused(400, "InvalidQueryParameterValue", () -> kit.service.findBlobsByTags("key='").forEach(item -> {}));
    }
}
