"""validate_content="crc64": bodies in segments with checksums, which the client insists on in what comes back."""

from azure.storage.blob import BlobType
from kit import MIB, check, data, equal, same

STRUCTURED = "x-ms-structured-body"


def _through(blob, content, **options):
    blob.upload_blob(content, overwrite=True, validate_content="crc64", **options)
    same(blob.download_blob(validate_content="crc64").readall(), content)
    same(blob.download_blob().readall(), content)


def _sized(label, size):
    @check(f"{label} go and come as structured messages")
    def sized(kit):
        content = data(size, size + 5)
        blob = kit.container().get_blob_client("a")
        _through(blob, content)
        blob.download_blob(validate_content="crc64", raw_response_hook=kit._note).readall()
        assert kit.last().headers.get(STRUCTURED), "the body came without checksums"
        if size > 10:
            same(blob.download_blob(3, 7, validate_content="crc64").readall(), content[3:10])


for _label, _size in {"no bytes": 0, "10 bytes": 10, "5 MiB": 5 * MIB, "20 MiB and a byte": 20 * MIB + 1}.items():
    _sized(_label, _size)


@check("blocks go and come as structured messages")
def blocks(kit):
    service = kit.connect(max_single_put_size=MIB, max_block_size=3 * MIB)
    container = kit.container().container_name
    _through(service.get_blob_client(container, "a"), data(10 * MIB + 1, 6))


@check("appended blocks go and come as structured messages")
def appended(kit):
    _through(kit.container().get_blob_client("a"), data(5 * MIB + 1, 7), blob_type=BlobType.APPENDBLOB)


@check("pages go and come as structured messages")
def pages(kit):
    _through(kit.container().get_blob_client("a"), data(5 * MIB, 8), blob_type=BlobType.PAGEBLOB)


@check("a download tells the tier of the blob")
def tier(kit):
    blob = kit.container().get_blob_client("a")
    blob.upload_blob(b"text")
    equal(blob.download_blob().properties.blob_tier_inferred, True)
    blob.set_standard_blob_tier("Cool")
    equal(blob.download_blob().properties.blob_tier, "Cool")
