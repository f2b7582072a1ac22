package gate;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Runs every check against the server that the environment names, and prints one JSON row a line. */
public final class Main {
    private static final int AT_ONCE = 4;
    private static final int DETAIL_LENGTH_MAX = 500;

    private Main() {}

    public static void main(String[] words) throws Exception {
        String only = words.length > 0 ? words[0] : "";
        List<Check.Room> rooms = List.of(
            Uploads.room(), Reading.room(), Conditions.room(), Copies.room(), Listing.room(), Types.room(),
            Snapshots.room(), Versions.room(), SoftDelete.room(), Tags.room(), Tiers.room(), Immutability.room(),
            Signatures.room(), Query.room(), Encryption.room(), Entra.room());
        ExecutorService pool = Executors.newFixedThreadPool(AT_ONCE);
        List<Future<?>> jobs = new ArrayList<>();
        for (Check.Room room : rooms) {
            room.checks.forEach((name, check) -> {
                String full = room.name + ": " + name;
                if (full.contains(only)) jobs.add(pool.submit(() -> run(full, room.stage, check)));
            });
        }
        for (Future<?> job : jobs) job.get();
        pool.shutdown();
        for (Check.Room room : rooms) room.alone.forEach((name, check) -> run(room.name + ": " + name, room.stage, check));
        // The SDK's own threads are daemons, but not those of every library beneath it.
        System.exit(0);
    }

    private static void run(String name, String stageName, Check check) {
        Config.Stage stage = Config.stage(stageName);
        if (stage == null) {
            print(name, "skip", "its account cannot be made on a given endpoint", 0);
            return;
        }
        long started = System.nanoTime();
        Kit kit = new Kit(stage);
        try {
            check.run(kit);
            print(name, "pass", null, started);
        } catch (Throwable error) {
            // Whatever a check throws is that check's failure, not the run's.
            String text = String.valueOf(error.getMessage());
            String said = text.length() > DETAIL_LENGTH_MAX ? text.substring(0, DETAIL_LENGTH_MAX) : text;
            print(name, "fail", error.getClass().getSimpleName() + ": " + said + " [" + kit.trace() + "]", started);
        } finally {
            kit.close();
        }
    }

    private static void print(String check, String outcome, String detail, long started) {
        double ms = started == 0 ? 0 : (System.nanoTime() - started) / 1e6;
        String last = detail == null ? "" : ",\"detail\":" + quoted(detail);
        String row = "{\"check\":" + quoted(check) + ",\"outcome\":\"" + outcome + "\",\"ms\":" + Math.round(ms) + last + "}";
        synchronized (System.out) {
            System.out.println(row);
            System.out.flush();
        }
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < ' ') out.append(' ');
            else out.append(c);
        }
        return out.append('"').toString();
    }
}
