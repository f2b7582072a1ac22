package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.BlobServiceClient;
import com.azure.storage.blob.models.CustomerProvidedKey;
import com.azure.storage.blob.options.BlobContainerCreateOptions;
import com.azure.storage.blob.models.BlobContainerEncryptionScope;
import java.util.Arrays;

/** Keys of the customer's own with each request, and encryption scopes; over TLS, as the SDK insists. */
final class Encryption {
    private static final String SCOPE = "gatescope";

    private Encryption() {}

    static Check.Room room() {
        return new Check.Room("encryption", "entra")
            .add("a blob with the customer's key is read with it only", Encryption::customerKey)
            .add("blocks with the customer's key are read in ranges", Encryption::blocks)
            .add("a scope encrypts, and names itself", Encryption::scope)
            .add("a container's scope is that of its blobs", Encryption::containerScope)
            .add("a scope that there is not is refused", kit ->
                Kit.refused(400, "", () -> Kit.put(scoped(kit, "nosuchscope").getBlobContainerClient(kit.container().getBlobContainerName()), "a", "x")));
    }

    private static BlobContainerClient keyed(Kit kit, BlobContainerClient container, int seed) {
        BlobServiceClient service = kit.builder().credential(kit.key)
            .customerProvidedKey(new CustomerProvidedKey(Kit.bytes(32, seed))).buildClient();
        return service.getBlobContainerClient(container.getBlobContainerName());
    }

    private static BlobServiceClient scoped(Kit kit, String scope) {
        return kit.builder().credential(kit.key).encryptionScope(scope).buildClient();
    }

    private static synchronized void makeScope(Kit kit) throws Exception {
        String path = "accounts/" + kit.stage.account() + "/encryption-scopes/" + SCOPE;
        try {
            kit.manage("PUT", path, "{\"local\":true}");
        } catch (AssertionError error) {
            if (!error.getMessage().contains(" 409 ")) throw error;
        }
    }

    private static void customerKey(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(keyed(kit, container, 1), "a", "secret");
        Kit.equal(Kit.read(blob), "secret");
        Kit.check(blob.getProperties().getEncryptionKeySha256() != null, "the key is not named");
        BlobClient plain = container.getBlobClient("a");
        Kit.refused(409, "BlobUsesCustomerSpecifiedEncryption", () -> Kit.read(plain));
        BlobClient other = keyed(kit, container, 2).getBlobClient("a");
        Kit.refused(409, "BlobCustomerSpecifiedEncryptionMismatch", () -> Kit.read(other));
        plain.delete();
    }

    private static void blocks(Kit kit) {
        BlobContainerClient container = keyed(kit, kit.container(), 3);
        byte[] content = Kit.bytes(700_000, 1);
        BlobClient blob = container.getBlobClient("a");
        com.azure.storage.blob.models.ParallelTransferOptions transfer = new com.azure.storage.blob.models.ParallelTransferOptions()
            .setBlockSizeLong(100_000L).setMaxSingleUploadSizeLong(1L);
        blob.uploadWithResponse(
            new com.azure.storage.blob.options.BlobParallelUploadOptions(BinaryData.fromBytes(content)).setParallelTransferOptions(transfer), null, null);
        java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
        blob.downloadStreamWithResponse(out, new com.azure.storage.blob.models.BlobRange(99_990, 200_020L), null, null, false, null, null);
        Kit.same(out.toByteArray(), Arrays.copyOfRange(content, 99_990, 300_010));
        Kit.same(blob.downloadContent().toBytes(), content);
    }

    private static void scope(Kit kit) throws Exception {
        makeScope(kit);
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(scoped(kit, SCOPE).getBlobContainerClient(container.getBlobContainerName()), "a", "x");
        Kit.equal(blob.getProperties().getEncryptionScope(), SCOPE);
        Kit.equal(Kit.read(container.getBlobClient("a")), "x");
        Kit.equal(container.listBlobs().iterator().next().getProperties().getEncryptionScope(), SCOPE);
    }

    private static void containerScope(Kit kit) throws Exception {
        makeScope(kit);
        BlobContainerClient container = kit.service.getBlobContainerClient(kit.name("gate"));
        BlobContainerEncryptionScope wanted = new BlobContainerEncryptionScope().setDefaultEncryptionScope(SCOPE).setEncryptionScopeOverridePrevented(true);
        BlobServiceClient service = kit.builder().credential(kit.key).blobContainerEncryptionScope(wanted).buildClient();
        service.getBlobContainerClient(container.getBlobContainerName()).createIfNotExistsWithResponse(new BlobContainerCreateOptions(), null, null);
        Kit.equal(container.getProperties().getDefaultEncryptionScope(), SCOPE);
        Kit.equal(container.getProperties().isEncryptionScopeOverridePrevented(), true);
        Kit.equal(Kit.put(container, "a", "x").getProperties().getEncryptionScope(), SCOPE);
        container.delete();
    }
}
