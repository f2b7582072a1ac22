package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.BlobSignedIdentifier;
import com.azure.storage.blob.models.BlobAccessPolicy;
import com.azure.storage.blob.sas.BlobContainerSasPermission;
import com.azure.storage.blob.sas.BlobSasPermission;
import com.azure.storage.blob.sas.BlobServiceSasSignatureValues;
import com.azure.storage.common.sas.AccountSasPermission;
import com.azure.storage.common.sas.AccountSasResourceType;
import com.azure.storage.common.sas.AccountSasService;
import com.azure.storage.common.sas.AccountSasSignatureValues;
import com.azure.storage.common.sas.SasIpRange;
import java.util.List;

/** Shared access signatures made with the account's key: of the account, of a container, of a blob, by a stored policy. */
final class Signatures {
    private static final String MISMATCH = "AuthorizationPermissionMismatch";

    private Signatures() {}

    static Check.Room room() {
        return new Check.Room("sas", "")
            .add("a signature of a blob opens it and nothing else", Signatures::blob)
            .add("a signature of a container opens what is in it", Signatures::container)
            .add("a signature of the account opens what it names", Signatures::account)
            .add("a signature for a snapshot and one for tags open only that", Signatures::narrow)
            .add("a stored policy gives, and takes back", Signatures::policy)
            .add("a signature that ended, or is for another address, is refused", Signatures::ended);
    }

    /** To read one blob for an hour. */
    static String readable(BlobClient blob) {
        return blob.generateSas(new BlobServiceSasSignatureValues(Kit.inMinutes(60), new BlobSasPermission().setReadPermission(true)));
    }

    private static BlobContainerClient with(Kit kit, String sas, BlobContainerClient container) {
        return kit.signed(sas).getBlobContainerClient(container.getBlobContainerName());
    }

    private static void blob(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a b", "x");
        Kit.put(container, "b", "y");
        BlobContainerClient signed = with(kit, readable(blob), container);
        Kit.equal(Kit.read(signed.getBlobClient("a b")), "x");
        Kit.refused(403, "AuthenticationFailed", () -> Kit.read(signed.getBlobClient("b")));
        Kit.refused(403, MISMATCH, () -> signed.getBlobClient("a b").upload(BinaryData.fromString("z"), true));
    }

    private static void container(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        Kit.put(container, "a", "x");
        BlobContainerSasPermission permission = new BlobContainerSasPermission().setReadPermission(true).setListPermission(true).setCreatePermission(true);
        BlobContainerClient signed = with(kit, container.generateSas(new BlobServiceSasSignatureValues(Kit.inMinutes(60), permission)), container);
        Kit.equal(Kit.read(signed.getBlobClient("a")), "x");
        Kit.equal(signed.listBlobs().stream().count(), 1L);
        Kit.put(signed, "new", "x");
        Kit.refused(403, "UnauthorizedBlobOverwrite", () -> signed.getBlobClient("a").upload(BinaryData.fromString("y"), true));
        Kit.refused(403, MISMATCH, () -> signed.getBlobClient("a").delete());
    }

    private static void account(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        Kit.put(container, "a", "x");
        AccountSasSignatureValues values = new AccountSasSignatureValues(
            Kit.inMinutes(60),
            new AccountSasPermission().setReadPermission(true).setListPermission(true),
            new AccountSasService().setBlobAccess(true),
            new AccountSasResourceType().setContainer(true).setObject(true));
        BlobContainerClient signed = with(kit, kit.service.generateAccountSas(values), container);
        Kit.equal(Kit.read(signed.getBlobClient("a")), "x");
        Kit.equal(signed.listBlobs().stream().count(), 1L);
        Kit.refused(403, MISMATCH, () -> signed.getBlobClient("a").delete());
        Kit.refused(403, "AuthorizationResourceTypeMismatch", () -> kit.signed(kit.service.generateAccountSas(values)).getProperties());
    }

    private static void narrow(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a", "first");
        String id = blob.createSnapshot().getSnapshotId();
        blob.upload(BinaryData.fromString("second"), true);
        String sas = blob.getSnapshotClient(id).generateSas(
            new BlobServiceSasSignatureValues(Kit.inMinutes(60), new BlobSasPermission().setReadPermission(true)));
        BlobClient signed = with(kit, sas, container).getBlobClient("a");
        Kit.equal(Kit.read(signed.getSnapshotClient(id)), "first");
        Kit.refused(403, "AuthenticationFailed", () -> Kit.read(signed));
        Kit.refused(403, MISMATCH, () -> with(kit, readable(blob), container).getBlobClient("a").getTags());
        String tags = blob.generateSas(new BlobServiceSasSignatureValues(Kit.inMinutes(60), new BlobSasPermission().setTagsPermission(true)));
        with(kit, tags, container).getBlobClient("a").getTags();
    }

    private static void policy(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a", "x");
        BlobAccessPolicy policy = new BlobAccessPolicy().setPermissions("r").setStartsOn(Kit.inMinutes(-5)).setExpiresOn(Kit.inMinutes(60));
        container.setAccessPolicy(null, List.of(new BlobSignedIdentifier().setId("reading").setAccessPolicy(policy)));
        Kit.equal(container.getAccessPolicy().getIdentifiers().get(0).getId(), "reading");
        BlobClient signed = with(kit, blob.generateSas(new BlobServiceSasSignatureValues("reading")), container).getBlobClient("a");
        Kit.equal(Kit.read(signed), "x");
        container.setAccessPolicy(null, List.of());
        Kit.refused(403, "AuthenticationFailed", () -> Kit.read(signed));
    }

    private static void ended(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a", "x");
        BlobSasPermission read = new BlobSasPermission().setReadPermission(true);
        String over = blob.generateSas(new BlobServiceSasSignatureValues(Kit.inMinutes(-5), read));
        Kit.refused(403, "AuthenticationFailed", () -> Kit.read(with(kit, over, container).getBlobClient("a")));
        String elsewhere = blob.generateSas(new BlobServiceSasSignatureValues(Kit.inMinutes(60), read).setSasIpRange(SasIpRange.parse("198.51.100.7")));
        Kit.refused(403, "AuthorizationSourceIPMismatch", () -> Kit.read(with(kit, elsewhere, container).getBlobClient("a")));
    }
}
