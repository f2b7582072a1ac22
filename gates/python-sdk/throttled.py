"""Every upload begins at once, with the retries that the SDK has by default; prints how many failed, and the first failure."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

from azure.storage.blob import BlobServiceClient

UPLOADS = 100

service = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
container = service.get_container_client("throttled")
container.create_container()


def upload(index: int) -> str | None:
    try:
        container.upload_blob(f"blob {index}", b"hello")
    except Exception as error:  # whatever the SDK gives up with
        return str(error)
    return None


with ThreadPoolExecutor(UPLOADS) as pool:
    failures = [failure for failure in pool.map(upload, range(UPLOADS)) if failure is not None]
print(json.dumps({"failed": len(failures), "first": failures[0] if failures else None}))
