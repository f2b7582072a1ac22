import os

from azure.storage.blob import BlobServiceClient

development = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
)
connection = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", development)
service = BlobServiceClient.from_connection_string(connection)

container = service.get_container_client("quickstart-python")
if not container.exists():
    container.create_container()

container.upload_blob("hello.txt", b"Hello from Python", overwrite=True)

for blob in container.list_blobs():
    print(blob.name, blob.size)

print(container.download_blob("hello.txt").readall().decode())
