// Get Blob: whole and in ranges, checksums of ranges, ranges that cannot be served, and downloads that are cut and go on.

import assert from 'node:assert/strict';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc64 } from '../crc64.ts';
import { bytes, type Checks, fields, type Kit, md5, put, readAll, refused, type Sdk, same } from '../kit.ts';
import { raw } from '../raw.ts';

const mib = 1024 * 1024;

export const download: Checks = {
  'whole download answers 200 with every header': async (kit) => {
    const container = await kit.container();
    const data = bytes(100_000);
    const blob = await put(container, 'a', data, { metadata: { k: 'v' }, blobHTTPHeaders: { blobContentType: 'a/b' } });
    const answer = await blob.download();
    same(await readAll(answer.readableStreamBody), data);
    assert.equal(answer._response.status, 200);
    fields(answer, {
      contentLength: data.length,
      contentType: 'a/b',
      contentMD5: md5(data),
      blobType: 'BlockBlob',
      acceptRanges: 'bytes',
      leaseState: 'available',
      leaseStatus: 'unlocked',
      metadata: { k: 'v' },
      isServerEncrypted: true,
      contentRange: undefined,
    });
    assert(
      answer.createdOn && answer.lastModified && answer.etag,
      'x-ms-creation-time, Last-Modified or ETag is missing',
    );
  },

  'range download answers 206 with content-range and the blob’s md5 apart': async (kit) => {
    const data = bytes(100_000);
    const blob = await put(await kit.container(), 'a', data);
    const answer = await blob.download(1000, 500);
    same(await readAll(answer.readableStreamBody), data.subarray(1000, 1500));
    assert.equal(answer._response.status, 206);
    fields(answer, { contentRange: 'bytes 1000-1499/100000', contentLength: 500, blobContentMD5: md5(data) });
    assert.equal(answer.contentMD5, undefined, 'Content-MD5 of a range that did not ask for it');
  },

  'open-ended, first, last and overlong ranges': async (kit) => {
    const data = bytes(1000);
    const blob = await put(await kit.container(), 'a', data);
    const cases: [number, number | undefined, string][] = [
      [0, 1, 'bytes 0-0/1000'],
      [999, 1, 'bytes 999-999/1000'],
      [500, undefined, 'bytes 500-999/1000'],
      [990, 5000, 'bytes 990-999/1000'],
      [0, 1000, 'bytes 0-999/1000'],
    ];
    for (const [offset, count, contentRange] of cases) {
      const answer = await blob.download(offset, count);
      const end = Math.min(1000, offset + (count ?? 1000));
      same(await readAll(answer.readableStreamBody), data.subarray(offset, end), contentRange);
      fields(answer, { contentRange });
    }
  },

  'range with md5': async (kit) => {
    const data = bytes(300_000);
    const blob = await put(await kit.container(), 'a', data);
    const answer = await blob.download(7, 70_000, { rangeGetContentMD5: true });
    const got = await readAll(answer.readableStreamBody);
    same(got, data.subarray(7, 70_007));
    fields(answer, { contentMD5: md5(got), blobContentMD5: md5(data) });
  },

  'range with crc64': async (kit) => {
    const data = bytes(300_000);
    const blob = await put(await kit.container(), 'a', data);
    const answer = await blob.download(7, 70_000, { rangeGetContentCrc64: true });
    const got = await readAll(answer.readableStreamBody);
    same(got, data.subarray(7, 70_007));
    const sum = Buffer.from(answer.contentCrc64 ?? answer.xMsContentCrc64 ?? []).toString('hex');
    assert.equal(sum, crc64(got).toString('hex'));
  },

  'range checksums beyond 4 MiB, without a range, or both at once are refused with 400': async (kit) => {
    const blob = await put(await kit.container(), 'a', bytes(5 * mib));
    await refused(blob.download(0, 4 * mib + 1, { rangeGetContentMD5: true }), 400);
    await refused(blob.download(0, 4 * mib + 1, { rangeGetContentCrc64: true }), 400);
    await refused(blob.download(0, undefined, { rangeGetContentMD5: true }), 400);
    await refused(blob.download(0, 10, { rangeGetContentMD5: true, rangeGetContentCrc64: true }), 400);
    const answer = await blob.download(mib, 4 * mib, { rangeGetContentMD5: true });
    fields(answer, { contentMD5: md5(await readAll(answer.readableStreamBody)) });
  },

  'x-ms-range wins over range, and a bad range is ignored': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'abcdefghij');
    const path = `/${container.containerName}/a`;
    const get = (headers: Record<string, string>): ReturnType<typeof raw> =>
      raw(kit.access, { method: 'GET', path, headers });
    const both = await get({ range: 'bytes=0-1', 'x-ms-range': 'bytes=2-4' });
    assert.deepEqual([both.status, both.text], [206, 'cde']);
    const plain = await get({ range: 'bytes=8-' });
    assert.deepEqual([plain.status, plain.text, plain.headers['content-range']], [206, 'ij', 'bytes 8-9/10']);
    const bad = await get({ range: 'pages=1-2' });
    assert.deepEqual([bad.status, bad.text], [200, 'abcdefghij']);
  },

  'a range past the end is InvalidRange 416': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'abc');
    const error = await refused(blob.download(3, 1), 416, 'InvalidRange');
    assert.equal(error.response.headers.get('content-range'), 'bytes */3');
    await refused(blob.download(100), 416, 'InvalidRange');
  },

  'an empty blob: whole is 200, any range 416': async (kit) => {
    const blob = await put(await kit.container(), 'a', '');
    const answer = await blob.download();
    assert.equal((await readAll(answer.readableStreamBody)).length, 0);
    fields(answer, { contentLength: 0, contentMD5: md5(Buffer.alloc(0)) });
    const error = await refused(blob.download(0, 1), 416, 'InvalidRange');
    assert.equal(error.response.headers.get('content-range'), 'bytes */0');
  },

  'downloadToBuffer in parallel ranges over blocks of odd sizes': async (kit) => {
    const parts = [1, 70_001, 4096, 1_000_003, 65_536, 3].map((size, index) => bytes(size, index + 11));
    const blob = (await kit.container()).getBlockBlobClient('a');
    const ids = parts.map((_, index) => Buffer.from(`id-${index}`).toString('base64'));
    await Promise.all(parts.map((part, index) => blob.stageBlock(ids[index], part, part.length)));
    await blob.commitBlockList(ids);
    same(await blob.downloadToBuffer(0, undefined, { blockSize: 99_991, concurrency: 8 }), Buffer.concat(parts));
  },

  'fifty ranges at once across block borders': async (kit) => {
    const data = bytes(2 * mib);
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.uploadData(data, { maxSingleShotSize: 1024, blockSize: 130_001, concurrency: 4 });
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const offset = index * 41_000;
        const answer = await blob.download(offset, 77_777);
        same(await readAll(answer.readableStreamBody), data.subarray(offset, offset + 77_777), `at ${offset}`);
      }),
    );
  },

  'a stream that ends early is resumed by the SDK where it was': async (kit) => {
    const data = bytes(3 * mib);
    const blob = await put(await kit.container(), 'a', data);
    const answer = await blob.download(0, undefined, { maxRetryRequests: 5 });
    // The SDK's own switch for tests: a connection that is really cut it passes on as an AbortError.
    answer.readableStreamBody.options.doInjectErrorOnce = true;
    same(await readAll(answer.readableStreamBody), data);
    assert.equal(kit.last().status, 206, 'nothing was resumed');
  },

  'a resumed stream of a blob that changed meanwhile ends with ConditionNotMet': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', bytes(3 * mib));
    const answer = await blob.download(0, undefined, { maxRetryRequests: 5 });
    await put(container, 'a', bytes(3 * mib, 9));
    answer.readableStreamBody.options.doInjectErrorOnce = true;
    await refused(readAll(answer.readableStreamBody), 412, 'ConditionNotMet');
  },

  'a download over a connection that is cut again and again is resumed by its reader': async (kit) => {
    const data = bytes(3 * mib);
    const container = await kit.container();
    await put(container, 'a', data);
    const cut = await cuttingProxy(kit, mib);
    try {
      const blob = clientBehind(kit, cut.port, container.containerName);
      const got: Buffer[] = [];
      const length = (): number => got.reduce((sum, chunk) => sum + chunk.length, 0);
      let etag: string | undefined;
      for (let tries = 0; length() < data.length && tries < 20; tries += 1) {
        const conditions = etag ? { ifMatch: etag } : {};
        const answer = await blob.download(length(), undefined, { conditions });
        etag = answer.etag;
        try {
          for await (const chunk of answer.readableStreamBody) got.push(chunk);
        } catch {
          // Cut: the next round goes on.
        }
      }
      same(Buffer.concat(got), data);
      assert(cut.requests >= 3, `only ${cut.requests} requests: nothing was cut`);
    } finally {
      cut.server.close();
    }
  },

  'a missing blob is BlobNotFound, for HEAD without a body': async (kit) => {
    const container = await kit.container();
    await refused(container.getBlobClient('none').download(), 404, 'BlobNotFound');
    await refused(container.getBlobClient('none').getProperties(), 404, 'BlobNotFound');
    const head = await raw(kit.access, { method: 'HEAD', path: `/${container.containerName}/none` });
    assert.deepEqual([head.status, head.code, head.body.length], [404, 'BlobNotFound', 0]);
    const missing = kit.service.getContainerClient(kit.name());
    await refused(missing.getBlobClient('a').download(), 404, 'ContainerNotFound');
    await refused(missing.getBlobClient('a').getProperties(), 404, 'ContainerNotFound');
  },

  'head has the headers of get and no body': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'hello', { metadata: { k: 'v' } });
    const path = `/${container.containerName}/a`;
    const [get, head] = await Promise.all([
      raw(kit.access, { method: 'GET', path }),
      raw(kit.access, { method: 'HEAD', path }),
    ]);
    assert.deepEqual([head.status, head.body.length], [200, 0]);
    const ofRequest = new Set(['date', 'x-ms-request-id', 'connection', 'keep-alive']);
    for (const [name, value] of Object.entries(get.headers)) {
      if (!ofRequest.has(name)) assert.equal(head.headers[name], value, `${name} of HEAD`);
    }
  },
};

function clientBehind(kit: Kit, port: number, container: string): Sdk {
  // Shared Key signs the path and the headers, not the host: a proxy on another port is transparent.
  const service = kit.connect({
    endpoint: `http://127.0.0.1:${port}/${kit.access.account}`,
    pipeline: { keepAliveOptions: { enable: false } },
  });
  return service.getContainerClient(container).getBlockBlobClient('a');
}

/** Passes requests on and cuts every answer's connection after so many bytes. */
async function cuttingProxy(
  kit: Kit,
  cutAfter: number,
): Promise<{ server: Server; port: number; readonly requests: number }> {
  const target = new URL(kit.access.blob);
  let requests = 0;
  const server = createServer((incoming, outgoing) => {
    requests += 1;
    const { url: path, method, headers } = incoming;
    const upstream = request({ host: target.hostname, port: target.port, path, method, headers }, async (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      let sent = 0;
      for await (const chunk of answer) {
        sent += chunk.length;
        outgoing.write(chunk);
        if (sent > cutAfter) break;
      }
      // What was written must leave before the cut, or nothing ever arrives.
      if (sent > cutAfter) setTimeout(() => outgoing.destroy(), 20);
      else outgoing.end();
    });
    upstream.on('error', () => outgoing.destroy());
    incoming.pipe(upstream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    server,
    port: (server.address() as AddressInfo).port,
    get requests() {
      return requests;
    },
  };
}
