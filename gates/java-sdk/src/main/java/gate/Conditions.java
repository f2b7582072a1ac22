package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.BlobRequestConditions;
import com.azure.storage.blob.models.LeaseStateType;
import com.azure.storage.blob.models.LeaseStatusType;
import com.azure.storage.blob.options.BlobBreakLeaseOptions;
import com.azure.storage.blob.options.BlobParallelUploadOptions;
import com.azure.storage.blob.specialized.BlobLeaseClient;
import com.azure.storage.blob.specialized.BlobLeaseClientBuilder;
import java.time.Duration;
import java.time.OffsetDateTime;

/** Conditions on ETags and times, and leases of blobs and containers. */
final class Conditions {
    private static final String OTHER = "\"0x8D0000000000000\"";

    private Conditions() {}

    static Check.Room room() {
        return new Check.Room("conditions", "")
            .add("reads by ETag and by time", Conditions::reads)
            .add("writes by ETag", Conditions::writes)
            .add("a leased blob is changed only with its lease", Conditions::lease)
            .add("a lease is changed, renewed and broken", Conditions::changes)
            .add("a leased container is deleted only with its lease", Conditions::containerLease);
    }

    private static void reads(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        String etag = blob.getProperties().getETag();
        OffsetDateTime later = OffsetDateTime.now().plusDays(1);
        blob.downloadContentWithResponse(null, new BlobRequestConditions().setIfMatch(etag), null, null);
        Kit.refused(412, "ConditionNotMet", () ->
            blob.downloadContentWithResponse(null, new BlobRequestConditions().setIfMatch(OTHER), null, null));
        Kit.refused(304, "", () ->
            blob.downloadContentWithResponse(null, new BlobRequestConditions().setIfNoneMatch(etag), null, null));
        Kit.refused(304, "", () ->
            blob.downloadContentWithResponse(null, new BlobRequestConditions().setIfModifiedSince(later), null, null));
        Kit.refused(412, "ConditionNotMet", () ->
            blob.downloadContentWithResponse(null, new BlobRequestConditions().setIfUnmodifiedSince(later.minusDays(2)), null, null));
    }

    private static void writes(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        String etag = blob.getProperties().getETag();
        BlobParallelUploadOptions wrong = new BlobParallelUploadOptions(BinaryData.fromString("y"))
            .setRequestConditions(new BlobRequestConditions().setIfMatch(OTHER));
        Kit.refused(412, "ConditionNotMet", () -> blob.uploadWithResponse(wrong, null, null));
        Kit.refused(412, "ConditionNotMet", () ->
            blob.deleteWithResponse(null, new BlobRequestConditions().setIfNoneMatch(etag), null, null));
        BlobParallelUploadOptions right = new BlobParallelUploadOptions(BinaryData.fromString("y"))
            .setRequestConditions(new BlobRequestConditions().setIfMatch(etag));
        blob.uploadWithResponse(right, null, null);
        Kit.equal(Kit.read(blob), "y");
    }

    private static void lease(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        BlobLeaseClient lease = new BlobLeaseClientBuilder().blobClient(blob).buildClient();
        String id = lease.acquireLease(-1);
        Kit.equal(blob.getProperties().getLeaseStatus(), LeaseStatusType.LOCKED);
        Kit.refused(412, "LeaseIdMissing", () -> Kit.put(kit.service.getBlobContainerClient(blob.getContainerName()), "a", "y"));
        Kit.refused(412, "LeaseIdMissing", blob::delete);
        BlobLeaseClient other = new BlobLeaseClientBuilder().blobClient(blob).buildClient();
        Kit.refused(409, "LeaseAlreadyPresent", () -> other.acquireLease(15));
        blob.uploadWithResponse(
            new BlobParallelUploadOptions(BinaryData.fromString("y")).setRequestConditions(new BlobRequestConditions().setLeaseId(id)),
            null, null);
        Kit.equal(Kit.read(blob), "y");
        lease.releaseLease();
        Kit.equal(blob.getProperties().getLeaseState(), LeaseStateType.AVAILABLE);
        blob.delete();
    }

    private static void changes(Kit kit) throws Exception {
        BlobClient blob = Kit.put(kit.container(), "a", "x");
        BlobLeaseClient lease = new BlobLeaseClientBuilder().blobClient(blob).buildClient();
        String first = lease.acquireLease(15);
        String second = lease.changeLease("22222222-2222-2222-2222-222222222222");
        Kit.check(!first.equals(second), "the id is the same");
        Kit.equal(lease.renewLease(), second);
        BlobBreakLeaseOptions atOnce = new BlobBreakLeaseOptions().setBreakPeriod(Duration.ZERO);
        Kit.equal(lease.breakLeaseWithResponse(atOnce, null, null).getValue(), 0);
        Kit.equal(blob.getProperties().getLeaseState(), LeaseStateType.BROKEN);
        Kit.put(kit.service.getBlobContainerClient(blob.getContainerName()), "a", "y");
    }

    private static void containerLease(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobLeaseClient lease = new BlobLeaseClientBuilder().containerClient(container).buildClient();
        String id = lease.acquireLease(-1);
        Kit.refused(412, "LeaseIdMissing", container::delete);
        Kit.put(container, "a", "x");
        container.deleteWithResponse(new BlobRequestConditions().setLeaseId(id), Duration.ofSeconds(30), null);
        Kit.equal(container.exists(), false);
    }
}
