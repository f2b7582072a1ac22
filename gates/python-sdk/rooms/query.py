"""Query Blob Contents: CSV and JSON, dialects, errors, records."""

import json

from azure.storage.blob import ArrowDialect, ArrowType, BlobQueryError, DelimitedJsonDialect, DelimitedTextDialect
from kit import check, equal, put, refused

CSV = (
    b"Service,Package,Version,RepoPath\r\nApp Configuration,appconfiguration,1,appconfiguration\r\n"
    b"Event Hubs\r\nIdentity,azure-identity,1.1.0,identity\r\n"
)


def ask(blob, expression, **options):
    errors = []
    reader = blob.query_blob(expression, on_error=errors.append, **options)
    return reader.readall(), errors, reader


@check("CSV comes back, with line feeds, and its length is known")
def whole(kit):
    blob = put(kit.container(), "a", CSV)
    got, errors, reader = ask(blob, "SELECT * from BlobStorage")
    equal([got, errors, len(reader)], [CSV.replace(b"\r\n", b"\n"), [], len(CSV)])


@check("the output's dialect decides separators and quotes")
def dialects(kit):
    blob = put(kit.container(), "a", CSV)
    source = DelimitedTextDialect(delimiter=",", quotechar='"', lineterminator="\n", escapechar="", has_header=False)
    target = DelimitedTextDialect(delimiter=";", quotechar="'", lineterminator=".", escapechar="\\")
    got, errors, _ = ask(blob, "SELECT * from BlobStorage", blob_format=source, output_format=target)
    wanted = (
        b"Service;Package;Version;RepoPath.App Configuration;appconfiguration;1;appconfiguration."
        b"Event Hubs.Identity;azure-identity;'1.1.0';identity."
    )
    equal([got, errors], [wanted, []])


@check("a record without the field is an error that is not fatal")
def short_record(kit):
    blob = put(kit.container(), "a", CSV)
    source = DelimitedTextDialect(has_header=True)
    target = DelimitedTextDialect(has_header=False)
    got, errors, _ = ask(blob, "SELECT RepoPath from BlobStorage", blob_format=source, output_format=target)
    equal(got, b"appconfiguration\nidentity\n")
    equal([[error.error, error.is_fatal, error.position] for error in errors], [["InvalidColumnOrdinal", False, CSV.index(b"Event Hubs")]])


@check("JSON lines to JSON, records one by one")
def json_lines(kit):
    lines = [{"name": "owner", "id": 1}, {"name2": "owner2"}, {"name": "é", "id": 2}]
    blob = put(kit.container(), "a", "\n".join(json.dumps(line) for line in lines).encode())
    dialects = {
        "blob_format": DelimitedJsonDialect(delimiter="\n"),
        "output_format": DelimitedJsonDialect(delimiter=";"),
    }
    got, errors, _ = ask(blob, "SELECT name from BlobStorage", **dialects)
    equal([got.decode(), errors], ['{"name":"owner"};{};{"name":"é"};', []])
    reader = blob.query_blob("SELECT * from BlobStorage WHERE id >= 1", **dialects)
    equal([json.loads(record) for record in reader.records() if record], [lines[0], lines[2]])


@check("text that is no JSON is a fatal error")
def no_json(kit):
    blob = put(kit.container(), "a", b"{name: owner}\n{name2: owner2}")
    got, errors, reader = ask(blob, "SELECT * from BlobStorage", blob_format=DelimitedJsonDialect(delimiter="\n"))
    equal([got, len(reader)], [b"", 29])
    equal([[error.error, error.is_fatal, error.position] for error in errors], [["ParseError", True, 0]])
    assert isinstance(errors[0], BlobQueryError)


@check("Arrow comes as a stream with a schema")
def arrow(kit):
    blob = put(kit.container(), "a", b"100,200\n300,400\n")
    target = [ArrowDialect(ArrowType.DECIMAL, name="abc", precision=5, scale=2)]
    got, errors, _ = ask(blob, "SELECT _2 from BlobStorage WHERE _1 > 250", output_format=target)
    equal(errors, [])
    assert got[:4] == b"\xff\xff\xff\xff" and b"abc" in got, got[:200]
    # 400.00 in sixteen bytes.
    assert (40000).to_bytes(16, "little") in got, got.hex()


@check("a query that cannot be served is refused")
def wrong(kit):
    blob = put(kit.container(), "a", CSV)
    for expression in ["SELECT", "SELECT * from other", "COPY BlobStorage TO 'x'"]:
        refused(lambda: blob.query_blob(expression).readall(), 400, "InvalidInput")


@check("two queries at once, and a large result by records")
def large(kit):
    blob = put(kit.container(), "a", b"".join(b"%d,abcdefgh\n" % at for at in range(200_000)))
    one = blob.query_blob("SELECT _1 from BlobStorage")
    other = blob.query_blob("SELECT count(*) from BlobStorage WHERE _2 = 'abcdefgh'")
    equal(other.readall(), b"200000\n")
    total = sum(int(record) for record in one.records() if record)
    equal(total, 200_000 * 199_999 // 2)
