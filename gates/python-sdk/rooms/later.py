"""Operations that other issues bring: until then the documented refusal, not a crash and not a silent success."""

from azure.core.exceptions import HttpResponseError
from kit import check, equal, put, read

REFUSED = {
    "create_snapshot": lambda kit, container, blob: blob.create_snapshot(),
    "undelete_blob": lambda kit, container, blob: blob.undelete_blob(),
    "set_blob_tags": lambda kit, container, blob: blob.set_blob_tags({"a": "1"}),
    "get_blob_tags": lambda kit, container, blob: blob.get_blob_tags(),
    "find_blobs_by_tags": lambda kit, container, blob: list(kit.service.find_blobs_by_tags("a='1'")),
    "set_legal_hold": lambda kit, container, blob: blob.set_legal_hold(True),
}


def _refused(name, operation):
    @check(f"{name} is refused in good form")
    def refused_in_good_form(kit):
        container = kit.container()
        blob = put(container, "a", b"hello")
        try:
            operation(kit, container, blob)
        except HttpResponseError as error:
            if error.response is None:
                raise
            code = error.response.headers.get("x-ms-error-code")
            assert 400 <= error.status_code < 500 or error.status_code == 501, f"answered {error.status_code} {code}"
            assert code and error.response.headers.get("x-ms-request-id"), f"{error.status_code} without a code or an id"
        else:
            raise AssertionError("was accepted")
        equal(read(blob), b"hello")
        return f"{error_text(kit)}"


def error_text(kit):
    failed = [answer for _, answer in kit.exchanges if answer.status_code >= 400]
    return f"{failed[-1].status_code} {failed[-1].headers.get('x-ms-error-code')}" if failed else ""


for _name, _operation in REFUSED.items():
    _refused(_name, _operation)
