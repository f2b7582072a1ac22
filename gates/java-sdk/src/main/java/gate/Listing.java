package gate;

import com.azure.core.http.rest.PagedResponse;
import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobClientBuilder;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.BlobContainerItem;
import com.azure.storage.blob.models.BlobContainerProperties;
import com.azure.storage.blob.models.BlobItem;
import com.azure.storage.blob.models.BlobListDetails;
import com.azure.storage.blob.models.ListBlobContainersOptions;
import com.azure.storage.blob.models.BlobContainerListDetails;
import com.azure.storage.blob.models.ListBlobsOptions;
import com.azure.storage.blob.models.PublicAccessType;
import com.azure.storage.blob.models.BlobServiceProperties;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Containers, their properties, and what is in them, flat and by folders. */
final class Listing {
    private Listing() {}

    static Check.Room room() {
        return new Check.Room("list", "")
            .add("a flat listing by prefix and in pages", Listing::flat)
            .add("a listing by folders", Listing::hierarchy)
            .add("a listing with metadata and uncommitted blobs", Listing::details)
            .add("containers are made, listed, described and deleted", Listing::containers)
            .add("access to a container is set and told", Listing::access)
            .add("the account and the service describe themselves", Listing::service);
    }

    private static List<String> names(Iterable<BlobItem> items) {
        List<String> names = new ArrayList<>();
        items.forEach(item -> names.add(item.getName()));
        return names;
    }

    private static BlobContainerClient filled(Kit kit) {
        BlobContainerClient container = kit.container();
        for (String name : List.of("a", "b/1", "b/2", "b/c/3", "d")) Kit.put(container, name, "x");
        return container;
    }

    private static void flat(Kit kit) {
        BlobContainerClient container = filled(kit);
        Kit.equal(names(container.listBlobs()), List.of("a", "b/1", "b/2", "b/c/3", "d"));
        Kit.equal(names(container.listBlobs(new ListBlobsOptions().setPrefix("b/"), null)), List.of("b/1", "b/2", "b/c/3"));
        List<Integer> sizes = new ArrayList<>();
        for (PagedResponse<BlobItem> page : container.listBlobs(new ListBlobsOptions().setMaxResultsPerPage(2), null).iterableByPage()) {
            sizes.add(page.getValue().size());
        }
        Kit.equal(sizes, List.of(2, 2, 1));
    }

    private static void hierarchy(Kit kit) {
        BlobContainerClient container = filled(kit);
        List<String> top = new ArrayList<>();
        container.listBlobsByHierarchy("").forEach(item -> top.add(item.getName() + (item.isPrefix() != null && item.isPrefix() ? " folder" : "")));
        Kit.equal(top.stream().sorted().toList(), List.of("a", "b/ folder", "d"));
        Kit.equal(names(container.listBlobsByHierarchy("b/")).stream().sorted().toList(), List.of("b/1", "b/2", "b/c/"));
    }

    private static void details(Kit kit) {
        BlobContainerClient container = kit.container();
        Kit.put(container, "a", "x").setMetadata(Map.of("one", "1"));
        container.getBlobClient("staged").getBlockBlobClient().stageBlock("AAAA", BinaryData.fromString("x"));
        Kit.equal(names(container.listBlobs()), List.of("a"));
        BlobListDetails details = new BlobListDetails().setRetrieveMetadata(true).setRetrieveUncommittedBlobs(true);
        List<BlobItem> items = container.listBlobs(new ListBlobsOptions().setDetails(details), null).stream().toList();
        Kit.equal(names(items), List.of("a", "staged"));
        Kit.equal(items.get(0).getMetadata(), Map.of("one", "1"));
    }

    private static void containers(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        container.setMetadata(Map.of("one", "1"));
        String name = container.getBlobContainerName();
        ListBlobContainersOptions options = new ListBlobContainersOptions().setPrefix(name)
            .setDetails(new BlobContainerListDetails().setRetrieveMetadata(true));
        List<BlobContainerItem> found = kit.service.listBlobContainers(options, null).stream().toList();
        Kit.equal(found.size(), 1);
        Kit.equal(found.get(0).getMetadata(), Map.of("one", "1"));
        BlobContainerProperties got = container.getProperties();
        Kit.equal(got.getMetadata(), Map.of("one", "1"));
        Kit.equal(got.hasLegalHold(), false);
        Kit.equal(got.hasImmutabilityPolicy(), false);
        Kit.refused(409, "ContainerAlreadyExists", container::create);
        Kit.equal(container.createIfNotExists(), false);
        container.delete();
        Kit.equal(container.exists(), false);
        Kit.refused(404, "ContainerNotFound", container::delete);
    }

    private static void access(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        Kit.put(container, "a", "x");
        container.setAccessPolicy(PublicAccessType.BLOB, List.of());
        Kit.equal(container.getAccessPolicy().getBlobAccessType(), PublicAccessType.BLOB);
        BlobClient anonymous = new BlobClientBuilder().endpoint(container.getBlobClient("a").getBlobUrl()).setAnonymousAccess().buildClient();
        Kit.equal(Kit.read(anonymous), "x");
        container.setAccessPolicy(null, List.of());
        Kit.equal(container.getAccessPolicy().getBlobAccessType(), null);
    }

    private static void service(Kit kit) {
        Kit.equal(kit.service.getAccountInfo().getSkuName() != null, true);
        BlobServiceProperties properties = kit.service.getProperties();
        Kit.check(properties.getDeleteRetentionPolicy() != null, "nothing of deletes");
    }
}
