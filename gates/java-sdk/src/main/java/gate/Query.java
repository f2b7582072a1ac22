package gate;

import com.azure.core.util.BinaryData;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.models.BlobQueryDelimitedSerialization;
import com.azure.storage.blob.models.BlobQueryJsonSerialization;
import com.azure.storage.blob.models.BlobQueryProgress;
import com.azure.storage.blob.options.BlobQueryOptions;
import com.azure.storage.blob.specialized.BlockBlobClient;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Query Blob Contents, read as the SDK reads its Avro frames. */
final class Query {
    private Query() {}

    static Check.Room room() {
        return new Check.Room("query", "")
            .add("rows of CSV are filtered and projected", Query::csv)
            .add("CSV with headers comes as lines of JSON", Query::json)
            .add("a query to a stream tells its progress", Query::progress)
            .add("an expression that is none is refused", Query::malformed);
    }

    private static BlockBlobClient rows(Kit kit, String content) {
        BlobClient blob = kit.container().getBlobClient("a.csv");
        blob.upload(BinaryData.fromString(content));
        return blob.getBlockBlobClient();
    }

    private static String text(InputStream in) throws Exception {
        try (in) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static void csv(Kit kit) throws Exception {
        BlockBlobClient blob = rows(kit, "100,200,300\n300,400,500\n500,600,700\n");
        Kit.equal(text(blob.openQueryInputStream("SELECT _2 FROM BlobStorage WHERE _1 > 200")), "400\n600\n");
        Kit.equal(text(blob.openQueryInputStream("SELECT * FROM BlobStorage")), "100,200,300\n300,400,500\n500,600,700\n");
    }

    private static void json(Kit kit) throws Exception {
        BlockBlobClient blob = rows(kit, "name,n\none,1\ntwo,2\n");
        BlobQueryOptions options = new BlobQueryOptions("SELECT name FROM BlobStorage WHERE n = 2")
            .setInputSerialization(new BlobQueryDelimitedSerialization().setColumnSeparator(',').setRecordSeparator('\n').setFieldQuote('"').setHeadersPresent(true))
            .setOutputSerialization(new BlobQueryJsonSerialization().setRecordSeparator('\n'));
        Kit.equal(text(blob.openQueryInputStreamWithResponse(options).getValue()), "{\"name\":\"two\"}\n");
    }

    private static void progress(Kit kit) {
        StringBuilder content = new StringBuilder();
        for (int n = 0; n < 200_000; n++) content.append(n).append(",row ").append(n).append('\n');
        BlockBlobClient blob = rows(kit, content.toString());
        List<Long> scanned = new ArrayList<>();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BlobQueryOptions options = new BlobQueryOptions("SELECT * FROM BlobStorage", out)
            .setProgressConsumer((BlobQueryProgress progress) -> scanned.add(progress.getBytesScanned()));
        blob.queryWithResponse(options, null, null);
        Kit.equal(out.toString(StandardCharsets.UTF_8), content.toString());
        Kit.check(!scanned.isEmpty() && scanned.get(scanned.size() - 1) == content.length(), "progress: " + scanned);
    }

    private static void malformed(Kit kit) throws Exception {
        BlockBlobClient blob = rows(kit, "1,2\n");
        Kit.refused(400, "", () -> text(blob.openQueryInputStream("SELEKT * FROM BlobStorage")));
    }
}
