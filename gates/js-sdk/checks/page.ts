// Page blobs: pages put and cleared, ranges and differences, lengths, sequence numbers, and incremental copies.

import assert from 'node:assert/strict';
import { crc64 } from '../crc64.ts';
import { bytes, type Checks, collect, fields, inMinutes, type Kit, md5, put, refused, type Sdk, same } from '../kit.ts';

const mib = 1024 * 1024;

export const page: Checks = {
  'a page blob is created full of zeros, with what it was given': async (kit) => {
    const blob = (await kit.container()).getPageBlobClient('a');
    const answer = await blob.create(3 * mib, {
      blobSequenceNumber: 42,
      metadata: { k: 'v' },
      blobHTTPHeaders: { blobContentType: 'disk/image' },
    });
    assert.equal(answer._response.status, 201);
    fields(await blob.getProperties(), {
      blobType: 'PageBlob',
      contentLength: 3 * mib,
      contentType: 'disk/image',
      metadata: { k: 'v' },
      blobSequenceNumber: 42,
      etag: answer.etag,
      accessTier: undefined,
    });
    same(await blob.downloadToBuffer(), Buffer.alloc(3 * mib));
    assert.deepEqual(await ranges(blob), []);
    fields(await blob.createIfNotExists(512), { succeeded: false });
  },

  'a length that is no whole number of pages, or too long, is refused': async (kit) => {
    const blob = (await kit.container()).getPageBlobClient('a');
    await refused(blob.create(1000), 400, 'InvalidHeaderValue');
    await refused(blob.create(8 * 1024 ** 4 + 512), 400, 'InvalidHeaderValue');
    await blob.create(8 * 1024 ** 4);
    await blob.uploadPages(bytes(512), 8 * 1024 ** 4 - 512, 512);
    same(await blob.downloadToBuffer(8 * 1024 ** 4 - 1024, 1024), Buffer.concat([Buffer.alloc(512), bytes(512)]));
  },

  'pages are put, put over and cleared': async (kit) => {
    const blob = await made(kit, 4 * mib);
    const model = Buffer.alloc(4 * mib);
    const write = async (offset: number, length: number, seed: number): Promise<Sdk> => {
      const data = bytes(length, seed);
      data.copy(model, offset);
      return blob.uploadPages(data, offset, length);
    };
    const first = await write(512, 2048, 1);
    assert.equal(first._response.status, 201);
    fields(first, { blobSequenceNumber: 0, isServerEncrypted: true });
    const second = await write(mib - 1024, 4096, 2);
    assert.notEqual(second.etag, first.etag);
    await write(0, 4 * mib, 3);
    await write(1024, 512, 4);
    const cleared = await blob.clearPages(2 * mib - 512, mib);
    fields(cleared, { blobSequenceNumber: 0 });
    model.fill(0, 2 * mib - 512, 3 * mib - 512);
    same(await blob.downloadToBuffer(), model);
    same(await blob.downloadToBuffer(mib + 77, 1_500_000), model.subarray(mib + 77, mib + 77 + 1_500_000));
    assert.deepEqual(await ranges(blob), [
      [0, 2 * mib - 512],
      [3 * mib - 512, 4 * mib],
    ]);
    fields(await blob.getProperties(), { etag: cleared.etag });
  },

  'put page checks md5 and crc64': async (kit) => {
    const blob = await made(kit, 4096);
    const data = bytes(1024);
    const plain = await blob.uploadPages(data, 0, 1024);
    assert.equal(Buffer.from(plain.xMsContentCrc64).toString('hex'), crc64(data).toString('hex'));
    fields(await blob.uploadPages(data, 1024, 1024, { transactionalContentMD5: md5(data) }), { contentMD5: md5(data) });
    await blob.uploadPages(data, 2048, 1024, { transactionalContentCrc64: crc64(data) });
    const wrong = { transactionalContentMD5: md5(Buffer.from('other')) };
    await refused(blob.uploadPages(data, 3072, 1024, wrong), 400, 'Md5Mismatch');
    const wrongCrc = { transactionalContentCrc64: crc64(Buffer.from('other')) };
    await refused(blob.uploadPages(data, 3072, 1024, wrongCrc), 400, 'Crc64Mismatch');
    assert.deepEqual(await ranges(blob), [[0, 3072]]);
  },

  'ranges that are no pages, or not of the blob, are refused': async (kit) => {
    const blob = await made(kit, 4096);
    await refused(blob.uploadPages(bytes(512), 256, 512), 400, 'InvalidHeaderValue');
    await refused(blob.uploadPages(bytes(500), 0, 500), 400, 'InvalidHeaderValue');
    await refused(blob.uploadPages(bytes(1024), 3584, 1024), 416, 'InvalidPageRange');
    await refused(blob.clearPages(4096, 512), 416, 'InvalidPageRange');
    await refused(blob.clearPages(0, 100), 400, 'InvalidHeaderValue');
    await refused(blob.uploadPages(bytes(5 * mib), 0, 5 * mib), 413, 'RequestBodyTooLarge');
    assert.deepEqual(await ranges(blob), []);
  },

  'conditions on sequence number, etag and lease are kept': async (kit) => {
    const blob = await made(kit, 4096, { blobSequenceNumber: 10 });
    const data = bytes(512);
    const put = (conditions: object): Promise<Sdk> => blob.uploadPages(data, 0, 512, { conditions });
    await put({ ifSequenceNumberLessThanOrEqualTo: 10, ifSequenceNumberLessThan: 11, ifSequenceNumberEqualTo: 10 });
    await refused(put({ ifSequenceNumberLessThanOrEqualTo: 9 }), 412, 'SequenceNumberConditionNotMet');
    await refused(put({ ifSequenceNumberLessThan: 10 }), 412, 'SequenceNumberConditionNotMet');
    await refused(put({ ifSequenceNumberEqualTo: 11 }), 412, 'SequenceNumberConditionNotMet');
    const clear = blob.clearPages(0, 512, { conditions: { ifSequenceNumberEqualTo: 11 } });
    await refused(clear, 412, 'SequenceNumberConditionNotMet');
    const { etag } = await put({});
    await put({ ifMatch: etag });
    await refused(put({ ifMatch: etag }), 412, 'ConditionNotMet');
    const lease = blob.getBlobLeaseClient();
    const { leaseId } = await lease.acquireLease(60);
    await refused(put({}), 412, 'LeaseIdMissing');
    await put({ leaseId });
    await lease.releaseLease();
  },

  'the sequence number is raised, set and counted on': async (kit) => {
    const blob = await made(kit, 512);
    fields(await blob.updateSequenceNumber('update', 7), { blobSequenceNumber: 7 });
    fields(await blob.updateSequenceNumber('max', 5), { blobSequenceNumber: 7 });
    fields(await blob.updateSequenceNumber('max', 9), { blobSequenceNumber: 9 });
    fields(await blob.updateSequenceNumber('increment'), { blobSequenceNumber: 10 });
    fields(await blob.updateSequenceNumber('update', 1), { blobSequenceNumber: 1 });
    fields(await blob.getProperties(), { blobSequenceNumber: 1 });
    await refused(blob.updateSequenceNumber('max'), 400, 'MissingRequiredHeader');
  },

  'a blob grows with zeros, shrinks, and keeps its other properties': async (kit) => {
    const blob = await made(kit, 2 * mib, { blobHTTPHeaders: { blobContentType: 'a/b' } });
    const data = bytes(2 * mib);
    await blob.uploadPages(data, 0, data.length);
    const before = await blob.getProperties();
    const shorter = await blob.resize(mib + 512);
    assert.notEqual(shorter.etag, before.etag);
    await blob.resize(3 * mib);
    fields(await blob.getProperties(), { contentLength: 3 * mib, contentType: 'a/b' });
    const wanted = Buffer.alloc(3 * mib);
    data.copy(wanted, 0, 0, mib + 512);
    same(await blob.downloadToBuffer(), wanted);
    assert.deepEqual(await ranges(blob), [[0, mib + 512]]);
    await refused(blob.resize(700), 400, 'InvalidHeaderValue');
    await blob.setHTTPHeaders({ blobContentType: 'c/d' });
    fields(await blob.getProperties(), { contentLength: 3 * mib, contentType: 'c/d' });
  },

  'page ranges of a part, in pages of a list': async (kit) => {
    const blob = await made(kit, mib);
    for (let i = 0; i < 9; i++) await blob.uploadPages(bytes(512, i + 1), i * 2048, 512);
    const all = Array.from({ length: 9 }, (_, i) => [i * 2048, i * 2048 + 512]);
    assert.deepEqual(await ranges(blob), all);
    const part = await blob.getPageRanges(2048, 4096);
    assert.deepEqual(part.pageRange.map(spanOf), all.slice(1, 3));
    fields(part, { blobContentLength: mib, etag: (await blob.getProperties()).etag });
    const pages: number[] = [];
    const found: Sdk[] = [];
    for await (const one of blob.listPageRanges().byPage({ maxPageSize: 4 })) {
      pages.push(one.pageRange.length);
      found.push(...one.pageRange.map((range: Sdk) => [range.start, range.end + 1]));
    }
    assert.deepEqual([pages, found], [[4, 4, 1], all]);
    const items = await collect<Sdk>(blob.listPageRanges());
    assert.deepEqual(items.length, 9);
    await refused(blob.getPageRanges(2 * mib, 512), 416, 'InvalidRange');
  },

  'a snapshot stays as it was, and what changed since is told': async (kit) => {
    const blob = await made(kit, 3 * mib);
    const data = bytes(2 * mib);
    await blob.uploadPages(data, 0, data.length);
    const { snapshot } = await blob.createSnapshot();
    await blob.uploadPages(bytes(1024, 9), 512, 1024);
    await blob.clearPages(mib, 2048);
    await blob.uploadPages(bytes(512, 8), 2 * mib, 512);
    const older = blob.withSnapshot(snapshot);
    same(await older.downloadToBuffer(), Buffer.concat([data, Buffer.alloc(mib)]));
    assert.deepEqual(await ranges(older), [[0, 2 * mib]]);
    const changed = [
      [512, 1536],
      [2 * mib, 2 * mib + 512],
    ];
    const diff = await blob.getPageRangesDiff(0, 3 * mib, snapshot);
    assert.deepEqual(diff.pageRange.map(spanOf), changed);
    assert.deepEqual(diff.clearRange.map(spanOf), [[mib, mib + 2048]]);
    const byUrl = await blob.getPageRangesDiffForManagedDisks(0, 3 * mib, older.url);
    assert.deepEqual(byUrl.pageRange.map(spanOf), changed);
    const listed = await collect<Sdk>(blob.listPageRangesDiff(0, 3 * mib, snapshot));
    assert.deepEqual(listed.map(({ isClear }) => isClear).sort(), [false, false, true]);
    const second = await blob.createSnapshot();
    const between = await blob.withSnapshot(second.snapshot).getPageRangesDiff(0, 3 * mib, snapshot);
    assert.deepEqual(between.pageRange.map(spanOf), changed);
    await refused(older.getPageRangesDiff(0, 512, second.snapshot), 409, 'PreviousSnapshotCannotBeNewer');
    await refused(blob.getPageRangesDiff(0, 512, '2020-01-01T00:00:00.0000000Z'), 409, 'PreviousSnapshotNotFound');
  },

  'put page from url takes ranges of block and page blobs': async (kit) => {
    const container = await kit.container();
    const data = bytes(100_000);
    const source = await readable(kit, await put(container, 'block', data));
    const blob = container.getPageBlobClient('a');
    await blob.create(8192);
    await blob.uploadPagesFromURL(source, 777, 1024, 2048);
    await blob.uploadPagesFromURL(await readable(kit, blob), 1024, 4096, 1024, {
      sourceContentMD5: md5(data.subarray(777, 1801)),
    });
    const wanted = Buffer.alloc(8192);
    data.copy(wanted, 1024, 777, 2825);
    data.copy(wanted, 4096, 777, 1801);
    same(await blob.downloadToBuffer(), wanted);
    const wrong = { sourceContentMD5: md5(Buffer.from('other')) };
    await refused(blob.uploadPagesFromURL(source, 0, 0, 512, wrong), 400, 'Md5Mismatch');
    const unmet = { conditions: { ifSequenceNumberLessThan: 0 } };
    await refused(blob.uploadPagesFromURL(source, 0, 0, 512, unmet), 412, 'SequenceNumberConditionNotMet');
    await refused(blob.uploadPagesFromURL(source, 100_000, 0, 512), 416, 'InvalidRange');
  },

  'a copy is a page blob of its own, and can be put as a block blob': async (kit) => {
    const container = await kit.container();
    const blob = container.getPageBlobClient('a');
    await blob.create(2 * mib, { blobSequenceNumber: 3 });
    const data = bytes(mib);
    await blob.uploadPages(data, 512 * 1024, mib);
    const then = await blob.downloadToBuffer();
    const copy = container.getPageBlobClient('b');
    await (await copy.beginCopyFromURL(blob.url)).pollUntilDone();
    await copy.uploadPages(bytes(512, 4), 0, 512);
    await blob.clearPages(mib, 512);
    fields(await copy.getProperties(), { blobType: 'PageBlob', blobSequenceNumber: 3, contentLength: 2 * mib });
    same((await copy.downloadToBuffer()).subarray(512), then.subarray(512));
    assert.deepEqual(await ranges(copy), [
      [0, 512],
      [512 * 1024, 1536 * 1024],
    ]);
    const block = container.getBlockBlobClient('c');
    await block.syncUploadFromURL(await readable(kit, copy));
    same((await block.downloadToBuffer()).subarray(512), then.subarray(512));
    fields(await block.getProperties(), { blobType: 'BlockBlob' });
    const poll = async (): Promise<unknown> => (await block.beginCopyFromURL(blob.url)).pollUntilDone();
    await refused(poll, 409, 'InvalidBlobType');
  },

  'incremental copies follow the snapshots of a blob': async (kit) => {
    const container = await kit.container();
    const blob = container.getPageBlobClient('a');
    await blob.create(mib);
    await blob.uploadPages(bytes(4096), 0, 4096);
    const first = await blob.createSnapshot();
    const target = container.getPageBlobClient('b');
    const answer = await target.startCopyIncremental(blob.withSnapshot(first.snapshot).url);
    assert.equal(answer._response.status, 202);
    fields(answer, { copyStatus: 'success' });
    const one = await target.getProperties();
    fields(one, { isIncrementalCopy: true, copyId: answer.copyId, copyStatus: 'success' });
    same(
      await target.withSnapshot(one.destinationSnapshot).downloadToBuffer(),
      await blob.withSnapshot(first.snapshot).downloadToBuffer(),
    );
    await blob.uploadPages(bytes(512, 2), 8192, 512);
    const second = await blob.createSnapshot();
    await target.startCopyIncremental(blob.withSnapshot(second.snapshot).url);
    const two = await target.getProperties();
    assert.notEqual(two.destinationSnapshot, one.destinationSnapshot);
    same(await target.withSnapshot(two.destinationSnapshot).downloadToBuffer(), await blob.downloadToBuffer());
    const diff = await target.withSnapshot(two.destinationSnapshot).getPageRangesDiff(0, mib, one.destinationSnapshot);
    assert.deepEqual(diff.pageRange.map(spanOf), [[8192, 8704]]);
    const earlier = target.startCopyIncremental(blob.withSnapshot(first.snapshot).url);
    await refused(earlier, 409, 'IncrementalCopyOfEarlierVersionSnapshotNotAllowed');
    await refused(target.startCopyIncremental(blob.url), 409, 'IncrementalCopySourceMustBeSnapshot');
    await refused(target.downloadToBuffer(), 409, 'OperationNotAllowedOnIncrementalCopyBlob');
    await refused(target.clearPages(0, 512), 409, 'OperationNotAllowedOnIncrementalCopyBlob');
    const other = container.getPageBlobClient('c');
    await other.create(512);
    const { snapshot } = await other.createSnapshot();
    const mismatch = target.startCopyIncremental(other.withSnapshot(snapshot).url);
    await refused(mismatch, 409, 'IncrementalCopyBlobMismatch');
    await target.delete({ deleteSnapshots: 'include' });
  },

  'operations of other types are InvalidBlobType, and lists tell the type': async (kit) => {
    const container = await kit.container();
    const blob = container.getPageBlobClient('a');
    await blob.create(512, { blobSequenceNumber: 5 });
    await put(container, 'b', 'x');
    await refused(container.getPageBlobClient('b').uploadPages(bytes(512), 0, 512), 409, 'InvalidBlobType');
    await refused(container.getPageBlobClient('b').getPageRanges(), 409, 'InvalidBlobType');
    await refused(container.getPageBlobClient('b').resize(512), 409, 'InvalidBlobType');
    await refused(container.getAppendBlobClient('a').appendBlock('x', 1), 409, 'InvalidBlobType');
    await refused(container.getBlockBlobClient('a').stageBlock('MQ==', 'x', 1), 409, 'InvalidBlobType');
    const [item] = await collect<Sdk>(container.listBlobsFlat());
    fields(item.properties, { blobType: 'PageBlob', blobSequenceNumber: 5, contentLength: 512 });
  },
};

async function made(kit: Kit, length: number, options = {}): Promise<Sdk> {
  const blob = (await kit.container()).getPageBlobClient('a');
  await blob.create(length, options);
  return blob;
}

/** The client takes the last byte for the one behind it. */
function spanOf({ offset, count }: Sdk): [number, number] {
  return [offset, offset + count + 1];
}

async function ranges(blob: Sdk): Promise<[number, number][]> {
  return (await blob.getPageRanges()).pageRange.map(spanOf);
}

function readable(kit: Kit, blob: Sdk): Promise<string> {
  return blob.generateSasUrl({ permissions: kit.sdk.BlobSASPermissions.parse('r'), expiresOn: inMinutes(60) });
}
