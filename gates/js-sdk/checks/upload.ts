// Put Blob in every size, its answer's headers, checksums that must match, and the SDK's parallel uploads.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc64 } from '../crc64.ts';
import { bytes, type Check, type Checks, fields, type Kit, md5, put, refused, type Sdk, same, text } from '../kit.ts';

const sizes = { '0 B': 0, '1 B': 1, '4 KiB': 4096, '64 KiB': 65_536, '5 MiB': 5 * 1024 * 1024 };
const mib = 1024 * 1024;

export const upload: Checks = {
  ...Object.fromEntries(
    Object.entries(sizes).map(([name, size]) => [`put blob of ${name} reads back`, putAndRead(size)]),
  ),

  'put blob answers 201 with etag, date, md5 and version': async (kit) => {
    const container = await kit.container();
    const answer = await container.getBlockBlobClient('a').upload('hello', 5);
    assert.equal(answer._response.status, 201);
    assert.match(answer.etag, /^"0x[0-9A-F]+"$/i);
    assert(Math.abs(answer.lastModified.getTime() - Date.now()) < 60_000, `Last-Modified ${answer.lastModified}`);
    fields(answer, { contentMD5: md5(Buffer.from('hello')), isServerEncrypted: true });
    assert.equal(answer.version, answer._response.request.headers.get('x-ms-version'));
    assert(answer.requestId && answer.date, 'x-ms-request-id or Date is missing');
    assert.equal(kit.last().header('content-length'), '0');
  },

  'put blob keeps every property and metadata': async (kit) => {
    const container = await kit.container();
    const blob = container.getBlockBlobClient('a');
    const blobHTTPHeaders = {
      blobCacheControl: 'max-age=7',
      blobContentType: 'text/x-odd; charset=utf-8',
      blobContentEncoding: 'identity',
      blobContentLanguage: 'de-CH, en',
      blobContentDisposition: 'attachment; filename="a b.txt"',
    };
    await blob.upload('hello', 5, { blobHTTPHeaders, metadata: { Key: 'Value', number: '1' }, tier: 'Cool' });
    fields(await blob.getProperties(), {
      cacheControl: 'max-age=7',
      contentType: 'text/x-odd; charset=utf-8',
      contentEncoding: 'identity',
      contentLanguage: 'de-CH, en',
      contentDisposition: 'attachment; filename="a b.txt"',
      contentLength: 5,
      blobType: 'BlockBlob',
      accessTier: 'Cool',
      metadata: { key: 'Value', number: '1' },
    });
  },

  'put blob without a type is application/octet-stream': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x');
    fields(await blob.getProperties(), {
      contentType: 'application/octet-stream',
      accessTier: 'Hot',
      accessTierInferred: true,
      leaseState: 'available',
      leaseStatus: 'unlocked',
      isServerEncrypted: true,
    });
  },

  'put blob over a blob replaces content, properties and metadata': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'first', {
      metadata: { a: '1' },
      blobHTTPHeaders: { blobContentType: 'a/b' },
    });
    const before = await blob.getProperties();
    await put(container, 'a', 'second one');
    const after = await blob.getProperties();
    fields(after, { metadata: {}, contentType: 'application/octet-stream', contentLength: 10 });
    assert.notEqual(after.etag, before.etag);
    // Creation-Time is to the second on the wire: it may be equal, never earlier.
    assert(after.createdOn >= before.createdOn, 'an overwritten blob is older than before');
    assert.equal(await text(blob), 'second one');
  },

  'put blob with the right content-md5 is accepted': async (kit) => {
    const data = bytes(70_000);
    const blob = (await kit.container()).getBlockBlobClient('a');
    const answer = await blob.upload(data, data.length, { transactionalContentMD5: md5(data) });
    fields(answer, { contentMD5: md5(data) });
  },

  'put blob with a wrong content-md5 is Md5Mismatch and stores nothing': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    const wrong = { transactionalContentMD5: md5(Buffer.from('other')) };
    await refused(blob.upload('hello', 5, wrong), 400, 'Md5Mismatch');
    assert.equal(await blob.exists(), false);
  },

  'put blob with a malformed content-md5 is InvalidMd5': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await refused(blob.upload('hello', 5, { transactionalContentMD5: Buffer.from('short') }), 400, 'InvalidMd5');
  },

  'put blob with the right crc64 is accepted': async (kit) => {
    const data = bytes(70_000);
    const blob = (await kit.container()).getBlockBlobClient('a');
    const answer = await blob.upload(data, data.length, { transactionalContentCrc64: crc64(data) });
    assert.equal(
      answer.xMsContentCrc64 && Buffer.from(answer.xMsContentCrc64).toString('hex'),
      crc64(data).toString('hex'),
    );
  },

  'put blob with a wrong crc64 is Crc64Mismatch and stores nothing': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await refused(blob.upload('hello', 5, { transactionalContentCrc64: bytes(8) }), 400, 'Crc64Mismatch');
    assert.equal(await blob.exists(), false);
  },

  'put blob keeps x-ms-blob-content-md5 of its content': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.upload('hello', 5, { blobHTTPHeaders: { blobContentMD5: md5(Buffer.from('hello')) } });
    fields(await blob.getProperties(), { contentMD5: md5(Buffer.from('hello')) });
  },

  'put blob with tags counts them and lists them': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x', { tags: { one: '1', 'two words': 'a+b/c:d=e' } });
    fields(await blob.getProperties(), { tagCount: 2 });
    for await (const item of container.listBlobsFlat({ includeTags: true })) {
      assert.deepEqual(item.tags, { one: '1', 'two words': 'a+b/c:d=e' });
    }
  },

  'uploadStream stages blocks concurrently and reads back': async (kit) => {
    const data = bytes(9 * mib + 17);
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.uploadStream(Readable.from(slices(data, 300_001)), mib, 8, {
      blobHTTPHeaders: { blobContentType: 'a/b' },
    });
    same(await blob.downloadToBuffer(), data);
    fields(await blob.getProperties(), { contentType: 'a/b', contentLength: data.length });
    assert.equal((await blob.getBlockList('committed')).committedBlocks.length, 10);
  },

  'uploadStream of nothing makes an empty blob': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.uploadStream(Readable.from([]), mib, 2);
    assert.equal((await blob.getProperties()).contentLength, 0);
  },

  'uploadFile in blocks and downloadToFile agree': async (kit) => {
    const data = bytes(6 * mib + 3);
    const from = join(kit.workDir, kit.name('up'));
    await writeFile(from, data);
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.uploadFile(from, { blockSize: mib, concurrency: 6, maxSingleShotSize: mib });
    const { readFile } = await import('node:fs/promises');
    const to = join(kit.workDir, kit.name('down'));
    await blob.downloadToFile(to);
    same(await readFile(to), data);
  },

  'uploadData in one shot and in blocks gives the same bytes': async (kit) => {
    const data = bytes(3 * mib);
    const container = await kit.container();
    const [one, many] = [container.getBlockBlobClient('one'), container.getBlockBlobClient('many')];
    await Promise.all([
      one.uploadData(data, { maxSingleShotSize: 8 * mib }),
      many.uploadData(data, { maxSingleShotSize: 1024, blockSize: 200_000, concurrency: 5 }),
    ]);
    same(await one.downloadToBuffer(), await many.downloadToBuffer());
    assert.equal((await one.getBlockList('all')).committedBlocks.length, 0);
  },

  'thirty-two uploads at once keep their own bytes': async (kit) => {
    const container = await kit.container();
    const all = Array.from({ length: 32 }, (_, index) => bytes(20_000 + index, index + 1));
    await Promise.all(all.map((data, index) => put(container, `b${index}`, data)));
    const read = await Promise.all(all.map((_, index) => container.getBlockBlobClient(`b${index}`).downloadToBuffer()));
    for (const [index, data] of all.entries()) same(read[index], data, `blob ${index}`);
  },

  'upload to a missing container is ContainerNotFound': async (kit) => {
    const container = kit.service.getContainerClient(kit.name());
    await refused(container.getBlockBlobClient('a').upload('x', 1), 404, 'ContainerNotFound');
    await refused(container.getBlockBlobClient('a').stageBlock('AAAA', 'x', 1), 404, 'ContainerNotFound');
  },
};

function putAndRead(size: number): Check {
  return async (kit: Kit) => {
    const data = bytes(size, size + 1);
    const container: Sdk = await kit.container();
    const blob = container.getBlockBlobClient('dir/blob');
    const answer = await blob.upload(data, size);
    assert.equal(answer._response.status, 201);
    fields(answer, { contentMD5: md5(data) });
    same(size === 0 ? Buffer.alloc(0) : await blob.downloadToBuffer(), data);
    fields(await blob.getProperties(), { contentLength: size, contentMD5: md5(data), etag: answer.etag });
  };
}

function* slices(data: Buffer, step: number): Generator<Buffer> {
  for (let at = 0; at < data.length; at += step) yield data.subarray(at, at + step);
}
