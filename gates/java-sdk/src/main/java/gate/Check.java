package gate;

import java.util.LinkedHashMap;
import java.util.Map;

/** One check: throws to fail; what it returns, if anything, becomes the row's detail. */
@FunctionalInterface
interface Check {
    void run(Kit kit) throws Exception;

    /** The checks of a room, by name, and the account that they want: empty for the development account. */
    final class Room {
        final String name;
        final String stage;
        final Map<String, Check> checks = new LinkedHashMap<>();
        final Map<String, Check> alone = new LinkedHashMap<>();

        Room(String name, String stage) {
            this.name = name;
            this.stage = stage;
        }

        Room add(String check, Check work) {
            if (checks.put(check, work) != null) throw new IllegalStateException("two checks are named " + check);
            return this;
        }

        /** Runs after all others, by itself. */
        Room addAlone(String check, Check work) {
            alone.put(check, work);
            return this;
        }
    }
}
