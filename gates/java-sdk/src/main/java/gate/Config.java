package gate;

import com.azure.json.JsonProviders;
import com.azure.json.JsonReader;
import java.io.IOException;
import java.util.Map;

/** What the environment says: the server, further accounts, and the identities of the local issuer. */
final class Config {
    record Stage(String blob, String account, String key, String admin, String token) {}

    static final Map<String, Object> STAGES = json("GATE_STAGES");
    static final Map<String, Object> ENTRA = json("GATE_ENTRA");

    private Config() {}

    /** Null where the account could not be made. */
    static Stage stage(String name) {
        if (name.isEmpty()) {
            return new Stage(System.getenv("GATE_BLOB"), System.getenv("GATE_ACCOUNT"), System.getenv("GATE_KEY"), "", "");
        }
        Map<String, Object> stage = object(STAGES.get(name));
        if (stage == null) return null;
        return new Stage(text(stage, "blob"), text(stage, "account"), text(stage, "key"), text(stage, "admin"), text(stage, "token"));
    }

    static String text(Map<String, Object> fields, String name) {
        return (String) fields.get(name);
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> object(Object value) {
        return (Map<String, Object>) value;
    }

    private static Map<String, Object> json(String variable) {
        String text = System.getenv().getOrDefault(variable, "{}");
        try (JsonReader reader = JsonProviders.createReader(text)) {
            return reader.readMap(JsonReader::readUntyped);
        } catch (IOException error) {
            throw new IllegalArgumentException(variable + " is not JSON", error);
        }
    }
}
