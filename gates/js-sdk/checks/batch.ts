// Blob Batch: many deletes or tier changes in one request, each with its own answer.

import assert from 'node:assert/strict';
import { type Checks, collect, fields, inMinutes, put, refused, type Sdk } from '../kit.ts';

export const batch: Checks = {
  'batch delete answers each, a missing one with BlobNotFound': async (kit) => {
    const container = await kit.container();
    const blobs = [];
    for (const name of ['a', 'dir/b c', 'ä%']) blobs.push(await put(container, name));
    blobs.splice(1, 0, container.getBlockBlobClient('none'));
    const answer = await kit.service.getBlobBatchClient().deleteBlobs(blobs);
    assert.equal(answer._response.status, 202);
    assert.match(kit.last().header('content-type') ?? '', /^multipart\/mixed; boundary=batchresponse_/);
    fields(answer, { subResponsesSucceededCount: 3, subResponsesFailedCount: 1 });
    assert.deepEqual(statuses(answer), [202, 404, 202, 202]);
    const failed = answer.subResponses[1];
    assert.equal(failed.errorCode, 'BlobNotFound');
    assert.match(failed.bodyAsText, /<Code>BlobNotFound<\/Code>/);
    assert(answer.subResponses[0].headers.get('x-ms-request-id'), 'a part without x-ms-request-id');
    assert.deepEqual(await collect(container.listBlobsFlat()), []);
  },

  'batch set tier answers each': async (kit) => {
    const container = await kit.container();
    const blobs = [await put(container, 'a'), await put(container, 'b'), container.getBlockBlobClient('none')];
    const answer = await kit.service.getBlobBatchClient().setBlobsAccessTier(blobs, 'Cool');
    assert.deepEqual(statuses(answer), [200, 200, 404]);
    fields(await blobs[0].getProperties(), { accessTier: 'Cool' });
    fields(await blobs[1].getProperties(), { accessTier: 'Cool' });
  },

  'batch of a container': async (kit) => {
    const container = await kit.container();
    const blobs = [await put(container, 'a'), await put(container, 'b')];
    const answer = await container.getBlobBatchClient().deleteBlobs(blobs);
    assert.deepEqual(statuses(answer), [202, 202]);
    assert.deepEqual(await collect(container.listBlobsFlat()), []);
  },

  'batch of a container leaves blobs of another alone': async (kit) => {
    const [one, other] = [await kit.container(), await kit.container()];
    const blob = await put(other, 'a');
    await one
      .getBlobBatchClient()
      .deleteBlobs([blob])
      .then(
        (answer: Sdk) => assert.equal(answer.subResponsesSucceededCount, 0),
        (error: Sdk) => assert.equal(error.statusCode, 400),
      );
    assert.equal(await blob.exists(), true);
  },

  'batch with a condition on one': async (kit) => {
    const container = await kit.container();
    const [a, b] = [await put(container, 'a'), await put(container, 'b')];
    const made = kit.service.getBlobBatchClient().createBatch();
    await made.deleteBlob(a, { conditions: { ifMatch: '"0x8D0000000000000"' } });
    await made.deleteBlob(b);
    const answer = await kit.service.getBlobBatchClient().submitBatch(made);
    assert.deepEqual(statuses(answer), [412, 202]);
    assert.equal(answer.subResponses[0].errorCode, 'ConditionNotMet');
    assert.deepEqual([await a.exists(), await b.exists()], [true, false]);
  },

  'batch of 256': async (kit) => {
    const container = await kit.container();
    const blobs: Sdk[] = await Promise.all(Array.from({ length: 256 }, (_, index) => put(container, `b${index}`, '')));
    const answer = await kit.service.getBlobBatchClient().deleteBlobs(blobs);
    fields(answer, { subResponsesSucceededCount: 256, subResponsesFailedCount: 0 });
    assert.deepEqual(await collect(container.listBlobsFlat()), []);
  },

  'a part with a wrong key is refused alone': async (kit) => {
    const container = await kit.container();
    const [a, b] = [await put(container, 'a'), await put(container, 'b')];
    const wrong = new kit.sdk.StorageSharedKeyCredential(kit.access.account, Buffer.alloc(64, 1).toString('base64'));
    const made = kit.service.getBlobBatchClient().createBatch();
    await made.deleteBlob(a.url, wrong);
    await made.deleteBlob(b);
    const answer = await kit.service.getBlobBatchClient().submitBatch(made);
    assert.deepEqual(statuses(answer), [403, 202]);
    assert.equal(answer.subResponses[0].errorCode, 'AuthenticationFailed');
    assert.equal(await a.exists(), true);
  },

  'a batch by account SAS': async (kit) => {
    const container = await kit.container();
    await put(container, 'a');
    const permissions = kit.sdk.AccountSASPermissions.parse('rwdl');
    const url = kit.service.generateAccountSasUrl(inMinutes(60), permissions, 'sco');
    const service = kit.connect({ endpoint: url, credential: new kit.sdk.AnonymousCredential() });
    const blob = service.getContainerClient(container.containerName).getBlobClient('a');
    const answer = await service.getBlobBatchClient().deleteBlobs([blob]);
    assert.deepEqual(statuses(answer), [202]);
  },

  'a batch with a wrong key is AuthenticationFailed': async (kit) => {
    const wrong = new kit.sdk.StorageSharedKeyCredential(kit.access.account, Buffer.alloc(64, 1).toString('base64'));
    const blob = await put(await kit.container(), 'a');
    await refused(
      kit.connect({ credential: wrong }).getBlobBatchClient().deleteBlobs([blob]),
      403,
      'AuthenticationFailed',
    );
    assert.equal(await blob.exists(), true);
  },
};

const statuses = (answer: Sdk): number[] => answer.subResponses.map((part: Sdk) => part.status);
