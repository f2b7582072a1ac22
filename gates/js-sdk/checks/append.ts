// Append blobs: Append Block, from URL, its conditions, the seal, and what they share with other blobs.

import assert from 'node:assert/strict';
import { crc64 } from '../crc64.ts';
import {
  bytes,
  type Checks,
  collect,
  fields,
  inMinutes,
  type Kit,
  md5,
  put,
  refused,
  type Sdk,
  same,
  text,
} from '../kit.ts';

export const append: Checks = {
  'an append blob is created empty, with what it was given': async (kit) => {
    const blob = (await kit.container()).getAppendBlobClient('a');
    const answer = await blob.create({
      metadata: { k: 'v' },
      blobHTTPHeaders: { blobContentType: 'text/log', blobCacheControl: 'no-store' },
    });
    assert.equal(answer._response.status, 201);
    const got = await blob.getProperties();
    fields(got, {
      blobType: 'AppendBlob',
      contentLength: 0,
      contentType: 'text/log',
      cacheControl: 'no-store',
      metadata: { k: 'v' },
      blobCommittedBlockCount: 0,
      etag: answer.etag,
      accessTier: undefined,
    });
  },

  'createIfNotExists leaves what is there': async (kit) => {
    const blob = (await kit.container()).getAppendBlobClient('a');
    fields(await blob.createIfNotExists(), { succeeded: true });
    await blob.appendBlock('abc', 3);
    fields(await blob.createIfNotExists(), { succeeded: false, errorCode: 'BlobAlreadyExists' });
    assert.equal(await text(blob), 'abc');
  },

  'append block answers the offset and the count, and changes the etag': async (kit) => {
    const blob = await made(kit);
    const before = await blob.getProperties();
    const first = await blob.appendBlock('hello ', 6);
    assert.equal(first._response.status, 201);
    fields(first, { blobAppendOffset: '0', blobCommittedBlockCount: 1, isServerEncrypted: true });
    assert.notEqual(first.etag, before.etag);
    const second = await blob.appendBlock('world', 5);
    fields(second, { blobAppendOffset: '6', blobCommittedBlockCount: 2 });
    assert.equal(await text(blob), 'hello world');
    fields(await blob.getProperties(), { contentLength: 11, blobCommittedBlockCount: 2, etag: second.etag });
  },

  'append block checks md5 and crc64, and answers the one that was asked for': async (kit) => {
    const blob = await made(kit);
    const data = bytes(5000);
    const plain = await blob.appendBlock(data, data.length);
    assert.equal(Buffer.from(plain.xMsContentCrc64).toString('hex'), crc64(data).toString('hex'));
    const summed = await blob.appendBlock(data, data.length, { transactionalContentMD5: md5(data) });
    fields(summed, { contentMD5: md5(data) });
    await blob.appendBlock(data, data.length, { transactionalContentCrc64: crc64(data) });
    const wrong = { transactionalContentMD5: md5(Buffer.from('other')) };
    await refused(blob.appendBlock(data, data.length, wrong), 400, 'Md5Mismatch');
    const wrongCrc = { transactionalContentCrc64: crc64(Buffer.from('other')) };
    await refused(blob.appendBlock(data, data.length, wrongCrc), 400, 'Crc64Mismatch');
    same(await blob.downloadToBuffer(), Buffer.concat([data, data, data]));
  },

  'an append at another place or beyond the size is refused': async (kit) => {
    const blob = await made(kit);
    await blob.appendBlock('12345', 5, { conditions: { appendPosition: 0, maxSize: 5 } });
    await refused(
      blob.appendBlock('6', 1, { conditions: { appendPosition: 4 } }),
      412,
      'AppendPositionConditionNotMet',
    );
    await refused(blob.appendBlock('6', 1, { conditions: { maxSize: 5 } }), 412, 'MaxBlobSizeConditionNotMet');
    await blob.appendBlock('6', 1, { conditions: { appendPosition: 5, maxSize: 6 } });
    assert.equal(await text(blob), '123456');
  },

  'an append under other conditions or without the lease is refused': async (kit) => {
    const blob = await made(kit);
    const { etag } = await blob.appendBlock('1', 1);
    await blob.appendBlock('2', 1, { conditions: { ifMatch: etag } });
    await refused(blob.appendBlock('3', 1, { conditions: { ifMatch: etag } }), 412, 'ConditionNotMet');
    const lease = blob.getBlobLeaseClient();
    const { leaseId } = await lease.acquireLease(60);
    await refused(blob.appendBlock('3', 1), 412, 'LeaseIdMissing');
    await blob.appendBlock('3', 1, { conditions: { leaseId } });
    await lease.releaseLease();
    assert.equal(await text(blob), '123');
  },

  'appends of many clients all arrive, each where its answer says': async (kit) => {
    const blob = await made(kit);
    const parts = Array.from({ length: 64 }, (_, index) => bytes(700 + index, index + 3));
    const answers = await Promise.all(parts.map((part) => blob.appendBlock(part, part.length)));
    const got = await blob.downloadToBuffer();
    assert.equal(
      got.length,
      parts.reduce((sum, part) => sum + part.length, 0),
    );
    for (const [index, part] of parts.entries()) {
      const offset = Number(answers[index].blobAppendOffset);
      same(got.subarray(offset, offset + part.length), part, `block ${index}`);
    }
    fields(await blob.getProperties(), { blobCommittedBlockCount: 64 });
  },

  'a long block and ranges over many blocks': async (kit) => {
    const blob = await made(kit);
    const long = bytes(9 * 1024 * 1024, 5);
    await blob.appendBlock(long, long.length);
    const short = Array.from({ length: 50 }, (_, index) => bytes(100, index + 1));
    for (const part of short) await blob.appendBlock(part, part.length);
    const all = Buffer.concat([long, ...short]);
    same(await blob.downloadToBuffer(), all);
    same(await blob.downloadToBuffer(long.length - 150, 3333), all.subarray(long.length - 150, long.length + 3183));
  },

  'append block from url takes ranges of block, append and page blobs': async (kit) => {
    const container = await kit.container();
    const data = bytes(200_000);
    const source = await readable(kit, await put(container, 'block', data));
    const blob = container.getAppendBlobClient('a');
    await blob.create();
    const answer = await blob.appendBlockFromURL(source, 1000, 100_000);
    fields(answer, { blobAppendOffset: '0', blobCommittedBlockCount: 1 });
    await blob.appendBlockFromURL(await readable(kit, blob), 10, 20);
    const pages = container.getPageBlobClient('page');
    await pages.create(2048);
    await pages.uploadPages(data.subarray(0, 512), 512, 512);
    await blob.appendBlockFromURL(await readable(kit, pages), 256, 1024);
    const first = data.subarray(1000, 101_000);
    const third = Buffer.concat([Buffer.alloc(256), data.subarray(0, 512), Buffer.alloc(256)]);
    same(await blob.downloadToBuffer(), Buffer.concat([first, first.subarray(10, 30), third]));
    const wrong = { sourceContentMD5: md5(Buffer.from('other')) };
    await refused(blob.appendBlockFromURL(source, 0, 100, wrong), 400, 'Md5Mismatch');
    const right = { sourceContentMD5: md5(data.subarray(0, 100)), conditions: { appendPosition: 101_044 } };
    await blob.appendBlockFromURL(source, 0, 100, right);
    await refused(blob.appendBlockFromURL(source, 300_000, 10), 416, 'InvalidRange');
  },

  'a sealed blob takes no more, tells so, and is listed so': async (kit) => {
    const container = await kit.container();
    const blob = container.getAppendBlobClient('a');
    await blob.create();
    await blob.appendBlock('abc', 3);
    await refused(blob.seal({ conditions: { appendPosition: 2 } }), 412, 'AppendPositionConditionNotMet');
    const sealed = await blob.seal({ conditions: { appendPosition: 3 } });
    fields(sealed, { isSealed: true });
    await refused(blob.appendBlock('d', 1), 409, 'BlobIsSealed');
    fields(await blob.getProperties(), { isSealed: true });
    fields(await blob.download(), { isSealed: true });
    const [item] = await collect<Sdk>(container.listBlobsFlat());
    assert.equal(item.properties.blobType, 'AppendBlob');
    // The client reads the element as text.
    assert.equal(String(item.properties.isSealed), 'true');
  },

  'a snapshot and a copy stay as they were while the blob grows': async (kit) => {
    const container = await kit.container();
    const blob = container.getAppendBlobClient('a');
    await blob.create();
    for (let i = 0; i < 40; i++) await blob.appendBlock(`<${i}>`, `<${i}>`.length);
    const then = await text(blob);
    const { snapshot } = await blob.createSnapshot();
    const copy = container.getAppendBlobClient('b');
    await (await copy.beginCopyFromURL(blob.url)).pollUntilDone();
    await Promise.all([1, 2, 3].map(() => blob.appendBlock('more', 4)));
    await copy.appendBlock('other', 5);
    assert.equal(await text(blob), `${then}moremoremore`);
    assert.equal(await text(blob.withSnapshot(snapshot)), then);
    assert.equal(await text(copy), `${then}other`);
    fields(await copy.getProperties(), { blobType: 'AppendBlob', blobCommittedBlockCount: 41 });
    const sealed = container.getAppendBlobClient('c');
    await (await sealed.beginCopyFromURL(blob.url, { sealBlob: true })).pollUntilDone();
    await refused(sealed.appendBlock('x', 1), 409, 'BlobIsSealed');
  },

  'operations of other types are InvalidBlobType': async (kit) => {
    const container = await kit.container();
    const blob = container.getAppendBlobClient('a');
    await blob.create();
    const block = await put(container, 'block', 'x');
    await refused(container.getAppendBlobClient('block').appendBlock('x', 1), 409, 'InvalidBlobType');
    await refused(container.getAppendBlobClient('block').seal(), 409, 'InvalidBlobType');
    await refused(container.getPageBlobClient('a').uploadPages(bytes(512), 0, 512), 409, 'InvalidBlobType');
    await refused(container.getBlockBlobClient('a').stageBlock('MQ==', 'x', 1), 409, 'InvalidBlobType');
    await refused(container.getBlockBlobClient('a').commitBlockList([]), 409, 'InvalidBlobType');
    const poll = async (): Promise<unknown> => (await blob.beginCopyFromURL(block.url)).pollUntilDone();
    await refused(poll, 409, 'InvalidBlobType');
    await refused(container.getAppendBlobClient('none').appendBlock('x', 1), 404, 'BlobNotFound');
  },

  'an empty block is refused': async (kit) => {
    const blob = await made(kit);
    await refused(blob.appendBlock('', 0), 400, 'InvalidHeaderValue');
  },
};

async function made(kit: Kit): Promise<Sdk> {
  const blob = (await kit.container()).getAppendBlobClient('a');
  await blob.create();
  return blob;
}

function readable(kit: Kit, blob: Sdk): Promise<string> {
  return blob.generateSasUrl({ permissions: kit.sdk.BlobSASPermissions.parse('r'), expiresOn: inMinutes(60) });
}
