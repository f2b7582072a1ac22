import { BlobServiceClient } from '@azure/storage-blob';

const connection = process.env.AZURE_STORAGE_CONNECTION_STRING ?? 'UseDevelopmentStorage=true';
const service = BlobServiceClient.fromConnectionString(connection);

const container = service.getContainerClient('quickstart-js');
await container.createIfNotExists();

const text = 'Hello from JavaScript';
await container.getBlockBlobClient('hello.txt').upload(text, Buffer.byteLength(text));

for await (const blob of container.listBlobsFlat()) {
  console.log(blob.name, blob.properties.contentLength);
}

const content = await container.getBlobClient('hello.txt').downloadToBuffer();
console.log(content.toString());
