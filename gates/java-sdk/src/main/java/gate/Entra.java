package gate;

import com.azure.core.credential.AccessToken;
import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.core.util.BinaryData;
import com.azure.identity.ClientSecretCredentialBuilder;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.models.BlobAudience;
import com.azure.storage.blob.models.BlobStorageException;
import com.azure.storage.blob.models.ListBlobsOptions;
import com.azure.storage.blob.models.UserDelegationKey;
import com.azure.storage.blob.sas.BlobContainerSasPermission;
import com.azure.storage.blob.sas.BlobServiceSasSignatureValues;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import reactor.core.publisher.Mono;

/** Entra ID: credentials of azure-identity against a local issuer, roles, and user delegation. */
final class Entra {
    private static final String MISMATCH = "AuthorizationPermissionMismatch";
    private static final String SCOPE = "https://storage.azure.com/.default";

    private Entra() {}

    static Check.Room room() {
        return new Check.Room("entra", "entra")
            .add("an owner does everything with data", Entra::owner)
            .add("a contributor writes and deletes, but has no tags", Entra::contributor)
            .add("a reader reads and lists, and changes nothing", Entra::reader)
            .add("who has no role gets nothing", Entra::nobody)
            .add("a role in a container ends at its wall", Entra::inContainer)
            .add("a role below a prefix ends there", Entra::belowPrefix)
            .add("a signature of user delegation opens what its user may open", Entra::delegation)
            .add("a signature of user delegation ends with the role", Entra::ends)
            .add("the challenge tells a client its tenant", Entra::challenge)
            .add("a token for another audience is refused", Entra::audience)
            .addAlone("shared key switched off", Entra::withoutSharedKey);
    }

    private static Map<String, Object> principal(String who) {
        return Config.object(Config.object(Config.ENTRA.get("principals")).get(who));
    }

    private static TokenCredential credential(String who, String tenant) {
        Map<String, Object> principal = principal(who);
        return new ClientSecretCredentialBuilder()
            .authorityHost(Config.text(Config.ENTRA, "authorityHost"))
            .disableInstanceDiscovery()
            .tenantId(tenant)
            .clientId(Config.text(principal, "clientId"))
            .clientSecret(Config.text(principal, "secret"))
            .build();
    }

    private static TokenCredential credential(String who) {
        return credential(who, Config.text(Config.ENTRA, "tenant"));
    }

    private static BlobContainerClient as(Kit kit, String who, BlobContainerClient container) {
        return kit.as(credential(who)).getBlobContainerClient(container.getBlobContainerName());
    }

    private static BlobContainerClient scoped(Kit kit) {
        BlobContainerClient container = kit.service.getBlobContainerClient(Config.text(Config.ENTRA, "container"));
        try {
            container.create();
        } catch (BlobStorageException error) {
            if (error.getStatusCode() != 409) throw error;
        }
        return container;
    }

    private static BlobContainerClient delegated(Kit kit, String who, BlobContainerClient container, String letters) {
        UserDelegationKey key = kit.as(credential(who)).getUserDelegationKey(Kit.inMinutes(-5), Kit.inMinutes(60));
        BlobServiceSasSignatureValues values =
            new BlobServiceSasSignatureValues(Kit.inMinutes(60), BlobContainerSasPermission.parse(letters)).setStartTime(Kit.inMinutes(-5));
        String sas = container.generateUserDelegationSas(values, key);
        return kit.signed(sas).getBlobContainerClient(container.getBlobContainerName());
    }

    private static void owner(Kit kit) {
        BlobContainerClient container = kit.as(credential("owner")).createBlobContainer(kit.name("gate"));
        BlobClient blob = Kit.put(container, "a", "x");
        blob.setTags(Map.of("t", "1"));
        Kit.equal(Kit.read(blob) + blob.getTags() + container.listBlobs().stream().count(), "x{t=1}1");
        blob.delete();
        container.delete();
    }

    private static void contributor(Kit kit) throws Exception {
        BlobClient blob = Kit.put(as(kit, "contributor", kit.container()), "a", "x");
        Kit.equal(Kit.read(blob), "x");
        Kit.refused(403, MISMATCH, blob::getTags);
        Kit.refused(403, MISMATCH, () -> blob.setTags(Map.of("t", "1")));
        blob.delete();
    }

    private static void reader(Kit kit) throws Exception {
        BlobContainerClient real = kit.container();
        Kit.put(real, "a", "x");
        BlobContainerClient container = as(kit, "reader", real);
        BlobClient blob = container.getBlobClient("a");
        Kit.equal(Kit.read(blob) + container.listBlobs().stream().count(), "x1");
        Kit.refused(403, MISMATCH, () -> blob.upload(BinaryData.fromString("y"), true));
        Kit.refused(403, MISMATCH, blob::delete);
        Kit.refused(403, MISMATCH, blob::createSnapshot);
        Kit.refused(403, MISMATCH, () -> blob.setMetadata(Map.of("m", "1")));
        Kit.refused(403, MISMATCH, container::delete);
        Kit.refused(403, MISMATCH, () -> kit.as(credential("reader")).createBlobContainer(kit.name("gate")));
        Kit.equal(Kit.read(blob), "x");
    }

    private static void nobody(Kit kit) throws Exception {
        BlobContainerClient real = kit.container();
        Kit.put(real, "a", "x");
        BlobContainerClient container = as(kit, "nobody", real);
        Kit.refused(403, MISMATCH, () -> Kit.read(container.getBlobClient("a")));
        Kit.refused(403, MISMATCH, () -> container.listBlobs().forEach(item -> {}));
        Kit.refused(403, MISMATCH, () -> kit.as(credential("nobody")).getUserDelegationKey(Kit.inMinutes(-5), Kit.inMinutes(60)));
    }

    private static void inContainer(Kit kit) throws Exception {
        BlobClient blob = Kit.put(as(kit, "container", scoped(kit)), kit.name("java"), "x");
        Kit.equal(Kit.read(blob), "x");
        blob.delete();
        Kit.refused(403, MISMATCH, () -> Kit.put(as(kit, "container", kit.container()), "a", "x"));
    }

    private static void belowPrefix(Kit kit) throws Exception {
        BlobContainerClient real = scoped(kit);
        String name = kit.name("java");
        String prefix = Config.text(Config.ENTRA, "prefix");
        Kit.put(real, "other/" + name, "x");
        BlobContainerClient container = as(kit, "prefix", real);
        BlobClient blob = Kit.put(container, prefix + name, "mine");
        Kit.equal(Kit.read(blob), "mine");
        Kit.refused(403, MISMATCH, () -> Kit.read(container.getBlobClient("other/" + name)));
        Kit.refused(403, MISMATCH, () -> Kit.put(container, name, "x"));
        Kit.check(container.listBlobs(new ListBlobsOptions().setPrefix(prefix), null).stream().count() > 0, "nothing is listed");
        Kit.refused(403, MISMATCH, () -> container.listBlobs().forEach(item -> {}));
        blob.delete();
    }

    private static void delegation(Kit kit) throws Exception {
        BlobContainerClient real = kit.container();
        Kit.put(real, "a", "x");
        UserDelegationKey key = kit.as(credential("reader")).getUserDelegationKey(Kit.inMinutes(-5), Kit.inMinutes(60));
        Kit.equal(key.getSignedObjectId(), principal("reader").get("oid"));
        Kit.equal(key.getSignedTenantId(), Config.ENTRA.get("tenant"));
        BlobContainerClient wide = delegated(kit, "reader", real, "rwl");
        Kit.equal(Kit.read(wide.getBlobClient("a")) + wide.listBlobs().stream().count(), "x1");
        Kit.refused(403, MISMATCH, () -> wide.getBlobClient("a").upload(BinaryData.fromString("y"), true));
        delegated(kit, "owner", real, "rw").getBlobClient("a").upload(BinaryData.fromString("y"), true);
        Kit.refused(403, MISMATCH, () -> delegated(kit, "owner", real, "r").getBlobClient("a").delete());
    }

    private static void ends(Kit kit) throws Exception {
        BlobContainerClient real = kit.container();
        Kit.put(real, "a", "x");
        BlobContainerClient container = delegated(kit, "leaving", real, "r");
        Kit.equal(Kit.read(container.getBlobClient("a")), "x");
        kit.manage("DELETE", "accounts/" + kit.stage.account() + "/role-assignments/" + principal("leaving").get("assignment"), null);
        Kit.refused(403, MISMATCH, () -> Kit.read(container.getBlobClient("a")));
    }

    /** At home in another tenant, until it is told the right one. */
    private static final class FromElsewhere implements TokenCredential {
        final List<String> asked = Collections.synchronizedList(new ArrayList<>());

        @Override
        public Mono<AccessToken> getToken(TokenRequestContext request) {
            asked.add(String.valueOf(request.getTenantId()));
            if (request.getTenantId() == null) {
                return Mono.just(new AccessToken(Config.text(Config.ENTRA, "strangerToken"), OffsetDateTime.now().plusMinutes(10)));
            }
            return credential("reader", request.getTenantId()).getToken(new TokenRequestContext().setScopes(request.getScopes()));
        }
    }

    private static void challenge(Kit kit) {
        BlobContainerClient real = kit.container();
        Kit.put(real, "a", "x");
        FromElsewhere elsewhere = new FromElsewhere();
        Kit.equal(Kit.read(kit.as(elsewhere).getBlobContainerClient(real.getBlobContainerName()).getBlobClient("a")), "x");
        Kit.check(elsewhere.asked.contains(Config.text(Config.ENTRA, "tenant")), "it was asked for " + elsewhere.asked);
    }

    private static int list(Kit kit, String token) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(kit.endpoint() + "/?comp=list"))
            .timeout(Duration.ofSeconds(30)).header("Authorization", "Bearer " + token).header("x-ms-version", "2024-11-04").build();
        return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
    }

    private static void audience(Kit kit) throws Exception {
        Kit.equal(list(kit, credential("owner").getTokenSync(new TokenRequestContext().addScopes("https://vault.azure.net/.default")).getToken()), 401);
        Kit.equal(list(kit, credential("owner").getTokenSync(new TokenRequestContext().addScopes(SCOPE)).getToken()), 200);
        kit.builder().credential(credential("owner")).audience(BlobAudience.createBlobServiceAccountAudience(kit.stage.account()))
            .buildClient().listBlobContainers().forEach(item -> {});
    }

    private static void withoutSharedKey(Kit kit) throws Exception {
        BlobContainerClient container = kit.container();
        BlobClient blob = Kit.put(container, "a", "x");
        kit.manage("PATCH", "accounts/" + kit.stage.account(), "{\"sharedKeyAccess\":false}");
        try {
            Kit.refused(403, "KeyBasedAuthenticationNotPermitted", () -> Kit.read(blob));
            Kit.equal(Kit.read(as(kit, "reader", container).getBlobClient("a")), "x");
        } finally {
            kit.manage("PATCH", "accounts/" + kit.stage.account(), "{\"sharedKeyAccess\":true}");
        }
        Kit.equal(Kit.read(blob), "x");
    }
}
