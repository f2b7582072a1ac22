package gate;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** A file system of Hadoop in a container, over azure-storage of Java; prints one JSON row a line. */
public final class Wasb {
    private static final int DETAIL_LENGTH_MAX = 500;
    private static final String ACCOUNT = System.getenv("GATE_ACCOUNT") + ".blob.core.windows.net";

    private interface Check {
        void run(FileSystem files) throws Exception;
    }

    private Wasb() {}

    public static void main(String[] words) throws Exception {
        Map<String, Check> checks = new LinkedHashMap<>();
        checks.put("a container is an empty directory at first", files -> {
            expect(0, files.listStatus(new Path("/")).length);
        });
        checks.put("files are written and read, also from within", files -> {
            byte[] bytes = bytes(9_000_000);
            write(files, "/dir a/big", bytes);
            expect((long) bytes.length, files.getFileStatus(new Path("/dir a/big")).getLen());
            try (FSDataInputStream in = files.open(new Path("/dir a/big"))) {
                byte[] part = new byte[1000];
                in.readFully(5_000_001, part);
                expect(true, Arrays.equals(part, Arrays.copyOfRange(bytes, 5_000_001, 5_001_001)));
                in.seek(0);
                expect(true, Arrays.equals(bytes, in.readAllBytes()));
            }
        });
        checks.put("directories are listed", files -> {
            files.mkdirs(new Path("/dir a/empty"));
            for (int n = 0; n < 5; n++) write(files, "/dir a/sub/" + n, text("" + n));
            expect("[big, empty, sub]", names(files, "/dir a"));
            expect("[0, 1, 2, 3, 4]", names(files, "/dir a/sub"));
            expect(true, files.getFileStatus(new Path("/dir a/sub")).isDirectory());
        });
        checks.put("a directory is renamed with what is in it", files -> {
            expect(true, files.rename(new Path("/dir a/sub"), new Path("/moved")));
            expect("[0, 1, 2, 3, 4]", names(files, "/moved"));
            expect(false, files.exists(new Path("/dir a/sub/0")));
            expect("3", read(files, "/moved/3"));
        });
        checks.put("a file is appended to", files -> {
            write(files, "/log", text("one"));
            try (FSDataOutputStream out = files.append(new Path("/log"))) {
                out.write(text("two"));
            }
            expect("onetwo", read(files, "/log"));
        });
        checks.put("a page blob is written and read", files -> {
            write(files, "/pages/hbase", text("in pages"));
            expect("in pages", read(files, "/pages/hbase"));
            expect(8L, files.getFileStatus(new Path("/pages/hbase")).getLen());
        });
        checks.put("an atomic rename holds a lease", files -> {
            write(files, "/atomic/a/one", text("1"));
            expect(true, files.rename(new Path("/atomic/a"), new Path("/atomic/b")));
            expect("1", read(files, "/atomic/b/one"));
        });
        checks.put("what is deleted is gone", files -> {
            expect(true, files.delete(new Path("/dir a"), true));
            expect(true, files.delete(new Path("/moved"), true));
            try {
                files.getFileStatus(new Path("/moved/0"));
                throw new AssertionError("it is there");
            } catch (FileNotFoundException expected) {
                expect("[atomic, log, pages]", names(files, "/"));
            }
        });
        Configuration configuration = new Configuration();
        configuration.set("fs.azure.account.key." + ACCOUNT, System.getenv("GATE_KEY"));
        configuration.set("fs.azure.page.blob.dir", "/pages");
        configuration.set("fs.azure.atomic.rename.dir", "/atomic");
        configuration.setBoolean("fs.azure.enable.append.support", true);
        configuration.set("hadoop.tmp.dir", System.getenv("GATE_WORK"));
        try (FileSystem files = FileSystem.get(URI.create("wasb://older-wasb@" + ACCOUNT + "/"), configuration)) {
            checks.forEach((name, check) -> run(name, check, files));
        }
        System.exit(0);
    }

    private static void run(String name, Check check, FileSystem files) {
        long started = System.nanoTime();
        String failed = null;
        try {
            check.run(files);
        } catch (Throwable error) {
            // Whatever a check throws is that check's failure, not the run's.
            Throwable cause = error.getCause() == null ? error : error.getCause();
            String said = error + (cause == error ? "" : " by " + cause);
            failed = said.length() > DETAIL_LENGTH_MAX ? said.substring(0, DETAIL_LENGTH_MAX) : said;
        }
        String outcome = failed == null ? "\"pass\"" : "\"fail\",\"detail\":" + quoted(failed);
        double ms = (System.nanoTime() - started) / 1e6;
        System.out.println("{\"check\":" + quoted("WASB of Hadoop: " + name) + ",\"outcome\":" + outcome + ",\"ms\":" + ms + "}");
    }

    private static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("[\\x00-\\x1f]", " ") + "\"";
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        for (int at = 0; at < length; at++) bytes[at] = (byte) (at * 31 + (at >> 12));
        return bytes;
    }

    private static void write(FileSystem files, String path, byte[] bytes) throws IOException {
        try (FSDataOutputStream out = files.create(new Path(path), true)) {
            out.write(bytes);
        }
    }

    private static String read(FileSystem files, String path) throws IOException {
        try (FSDataInputStream in = files.open(new Path(path))) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static String names(FileSystem files, String path) throws IOException {
        return Arrays.stream(files.listStatus(new Path(path)))
            .map(FileStatus::getPath)
            .map(Path::getName)
            .sorted()
            .collect(Collectors.toList())
            .toString();
    }

    private static void expect(Object wanted, Object found) {
        if (!wanted.equals(found)) throw new AssertionError(found + " instead of " + wanted);
    }
}
