package gate;

import com.azure.core.credential.TokenCredential;
import com.azure.core.http.HttpPipelineCallContext;
import com.azure.core.http.HttpPipelineNextPolicy;
import com.azure.core.http.HttpPipelineNextSyncPolicy;
import com.azure.core.http.HttpResponse;
import com.azure.core.http.policy.HttpPipelinePolicy;
import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.BlobServiceClient;
import com.azure.storage.blob.BlobServiceClientBuilder;
import com.azure.storage.blob.models.BlobStorageException;
import com.azure.storage.blob.specialized.BlobClientBase;
import com.azure.storage.common.StorageSharedKeyCredential;
import com.azure.storage.common.policy.RequestRetryOptions;
import com.azure.storage.common.policy.RetryPolicyType;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import reactor.core.publisher.Mono;

/** What every check works with: clients that remember their last exchanges, and assertions on answers. */
final class Kit {
    private static final HttpClient PLAIN = HttpClient.newHttpClient();
    private static final int EXCHANGES_KEPT = 3;

    final Config.Stage stage;
    final StorageSharedKeyCredential key;
    final BlobServiceClient service;
    private final Deque<String> exchanges = new ArrayDeque<>();
    private final List<BlobContainerClient> made = new ArrayList<>();
    private HttpResponse last;

    Kit(Config.Stage stage) {
        this.stage = stage;
        this.key = new StorageSharedKeyCredential(stage.account(), stage.key());
        this.service = builder().credential(key).buildClient();
    }

    String endpoint() {
        return stage.blob() + "/" + stage.account();
    }

    /** A service client's builder with notes of its exchanges and without retries. */
    BlobServiceClientBuilder builder() {
        return new BlobServiceClientBuilder()
            .endpoint(endpoint())
            .retryOptions(new RequestRetryOptions(RetryPolicyType.FIXED, 1, (Duration) null, null, null, null))
            .addPolicy(new Notes());
    }

    BlobServiceClient as(TokenCredential credential) {
        return builder().credential(credential).buildClient();
    }

    /** A service client with a signature and nothing else. */
    BlobServiceClient signed(String sas) {
        return builder().sasToken(sas).buildClient();
    }

    BlobContainerClient container() {
        BlobContainerClient container = service.createBlobContainer(name("gate"));
        made.add(container);
        return container;
    }

    String name(String prefix) {
        return prefix + "-" + UUID.randomUUID().toString().replace("-", "").substring(0, 16);
    }

    String header(String name) {
        return last.getHeaderValue(name);
    }

    /** A change by the admin API, as the operator of the server makes it; in force when it returns. */
    void manage(String method, String path, String body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(stage.admin() + "/v1/" + path))
            .timeout(Duration.ofSeconds(60))
            .header("Authorization", "Bearer " + stage.token());
        if (body == null) request.method(method, HttpRequest.BodyPublishers.noBody());
        else request.header("Content-Type", "application/json").method(method, HttpRequest.BodyPublishers.ofString(body));
        java.net.http.HttpResponse<String> answer = PLAIN.send(request.build(), BodyHandlers.ofString());
        if (answer.statusCode() >= 300) throw new AssertionError(method + " " + path + ": " + answer.statusCode() + " " + answer.body());
    }

    String trace() {
        synchronized (exchanges) {
            return String.join("; ", exchanges);
        }
    }

    void close() {
        for (BlobContainerClient container : made) {
            try {
                container.delete();
            } catch (BlobStorageException deletedOrLeasedByItsCheck) {
                // Not worth a failure.
            }
        }
    }

    static BlobClient put(BlobContainerClient container, String name, String content) {
        BlobClient blob = container.getBlobClient(name);
        blob.upload(BinaryData.fromString(content), true);
        return blob;
    }

    static String read(BlobClientBase blob) {
        return blob.downloadContent().toString();
    }

    /** Bytes that differ at every offset of interest and from seed to seed. */
    static byte[] bytes(int length, long seed) {
        byte[] made = new byte[length];
        new java.util.Random(seed).nextBytes(made);
        return made;
    }

    static void equal(Object got, Object wanted) {
        if (!Objects.equals(got, wanted)) throw new AssertionError("got " + got + ", wanted " + wanted);
    }

    static void same(byte[] got, byte[] wanted) {
        int at = Arrays.mismatch(got, wanted);
        if (at >= 0) throw new AssertionError(got.length + " bytes, not " + wanted.length + ", or other ones from " + at);
    }

    static void check(boolean good, String otherwise) {
        if (!good) throw new AssertionError(otherwise);
    }

    static OffsetDateTime inMinutes(long minutes) {
        return OffsetDateTime.now().plusMinutes(minutes);
    }

    interface Work {
        void run() throws Exception;
    }

    /** The work must be refused with this status and one of these codes. */
    static BlobStorageException refused(int status, String code, Work work) throws Exception {
        String wanted = status + " " + code;
        try {
            work.run();
        } catch (BlobStorageException error) {
            String found = error.getErrorCode() == null ? "" : error.getErrorCode().toString();
            boolean isCode = code.isEmpty() || Arrays.asList(code.split("\\|")).contains(found);
            if (error.getStatusCode() == status && isCode) return error;
            throw new AssertionError("answered " + error.getStatusCode() + " " + found + ", not " + wanted);
        }
        throw new AssertionError("was accepted, not refused with " + wanted);
    }

    private void note(HttpPipelineCallContext context, HttpResponse answer) {
        String path = context.getHttpRequest().getUrl().getFile().replaceAll("sig=[^&]+", "sig=...");
        String code = answer.getHeaderValue("x-ms-error-code");
        String line = context.getHttpRequest().getHttpMethod() + " " + path + " -> " + answer.getStatusCode();
        synchronized (exchanges) {
            last = answer;
            exchanges.addLast(code == null ? line : line + " " + code);
            if (exchanges.size() > EXCHANGES_KEPT) exchanges.removeFirst();
        }
    }

    private final class Notes implements HttpPipelinePolicy {
        @Override
        public Mono<HttpResponse> process(HttpPipelineCallContext context, HttpPipelineNextPolicy next) {
            return next.process().doOnNext(answer -> note(context, answer));
        }

        @Override
        public HttpResponse processSync(HttpPipelineCallContext context, HttpPipelineNextSyncPolicy next) {
            HttpResponse answer = next.processSync();
            note(context, answer);
            return answer;
        }
    }
}
