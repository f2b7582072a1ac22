"""Many deletes or tier changes in one request."""

from azure.storage.blob import PartialBatchErrorException, StandardBlobTier
from kit import check, equal, put


@check("delete_blobs answers each, a missing one with 404")
def delete(kit):
    container = kit.container()
    for name in ["a", "dir/b c", "ä%"]:
        put(container, name)
    answers = list(container.delete_blobs("a", "none", "dir/b c", "ä%", raise_on_any_failure=False))
    equal([answer.status_code for answer in answers], [202, 404, 202, 202])
    equal(answers[1].headers.get("x-ms-error-code"), "BlobNotFound")
    equal(list(container.list_blobs()), [])


@check("delete_blobs with a missing one raises")
def raises(kit):
    container = kit.container()
    put(container, "a")
    try:
        container.delete_blobs("a", "none")
    except PartialBatchErrorException as error:
        equal([part.status_code for part in error.parts], [202, 404])
    else:
        raise AssertionError("nothing was raised")


@check("set_standard_blob_tier_blobs answers each")
def tiers(kit):
    container = kit.container()
    for name in ["a", "b"]:
        put(container, name)
    answers = list(container.set_standard_blob_tier_blobs(StandardBlobTier.COOL, "a", "b", "none", raise_on_any_failure=False))
    equal([answer.status_code for answer in answers], [200, 200, 404])
    equal([item.blob_tier for item in container.list_blobs()], ["Cool", "Cool"])


@check("delete_blobs of 256")
def many(kit):
    container = kit.container()
    names = [f"b{index}" for index in range(256)]
    for name in names:
        put(container, name, b"")
    equal({answer.status_code for answer in container.delete_blobs(*names)}, {202})
    equal(list(container.list_blobs()), [])
