// Copies inside the server: Copy Blob, Copy Blob From URL, Put Blob From URL and Put Block From URL, with SAS sources.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { crc64 } from '../crc64.ts';
import {
  blockId,
  bytes,
  type Checks,
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

const mib = 1024 * 1024;

export const copy: Checks = {
  'copy blob answers success with its id': async (kit) => {
    const container = await kit.container();
    const data = bytes(300_000);
    const source = await put(container, 'a', data, {
      metadata: { k: 'v' },
      blobHTTPHeaders: { blobContentType: 'a/b', blobCacheControl: 'max-age=1' },
    });
    const target = container.getBlockBlobClient('b');
    const answer = await startCopy(target, source.url);
    fields(answer, { copyStatus: 'success' });
    assert.match(answer.copyId, /^[0-9a-f-]{36}$/);
    assert.equal(answer._response.status, 202);
    same(await target.downloadToBuffer(), data);
    const got = await target.getProperties();
    fields(got, {
      metadata: { k: 'v' },
      contentType: 'a/b',
      cacheControl: 'max-age=1',
      contentMD5: md5(data),
      copyId: answer.copyId,
      copyStatus: 'success',
      copyProgress: '300000/300000',
      blobType: 'BlockBlob',
      etag: answer.etag,
    });
    assert(/\/a(\?|$)/.test(got.copySource) && got.copyCompletedOn, `x-ms-copy-source ${got.copySource}`);
  },

  'copy blob with metadata of its own replaces the source’s': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'a', 'x', { metadata: { old: '1' } });
    const target = container.getBlockBlobClient('b');
    await startCopy(target, source.url, { metadata: { new: '2' } });
    fields(await target.getProperties(), { metadata: { new: '2' } });
  },

  'a copy keeps its bytes when the source goes': async (kit) => {
    const container = await kit.container();
    const data = bytes(2 * mib);
    const source = await put(container, 'a', data);
    const target = container.getBlockBlobClient('b');
    await startCopy(target, source.url);
    await put(container, 'a', 'overwritten');
    await source.delete();
    same(await target.downloadToBuffer(), data);
  },

  'copy of a blob in blocks keeps its blocks': async (kit) => {
    const container = await kit.container();
    const source = container.getBlockBlobClient('a');
    for (const number of [1, 2]) await source.stageBlock(blockId(number), `<${number}>`, 3);
    await source.commitBlockList([1, 2].map(blockId));
    const target = container.getBlockBlobClient('b');
    await startCopy(target, source.url);
    fields(await target.getBlockList('committed'), {
      committedBlocks: (await source.getBlockList('committed')).committedBlocks,
    });
  },

  'copy to another container and onto itself': async (kit) => {
    const [from, to] = [await kit.container(), await kit.container()];
    const source = await put(from, 'dir/a b+ä', 'hello');
    const target = to.getBlockBlobClient('dir/c d%');
    await startCopy(target, source.url);
    assert.equal(await text(target), 'hello');
    await startCopy(source, source.url, { metadata: { again: '1' } });
    assert.equal(await text(source), 'hello');
    fields(await source.getProperties(), { metadata: { again: '1' } });
  },

  'a write after a copy clears its copy headers': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'a', 'x');
    const target = container.getBlockBlobClient('b');
    await startCopy(target, source.url);
    await put(container, 'b', 'new');
    fields(await target.getProperties(), { copyId: undefined, copyStatus: undefined });
  },

  'copy from nothing is 404': async (kit) => {
    const container = await kit.container();
    const target = container.getBlockBlobClient('b');
    const none = container.getBlobClient('none').url;
    await refused(startCopy(target, none), 404, 'BlobNotFound', 'CannotVerifyCopySource');
    assert.equal(await target.exists(), false);
    const elsewhere = kit.service.getContainerClient(kit.name()).getBlobClient('a').url;
    await refused(startCopy(target, elsewhere), 404, 'ContainerNotFound', 'BlobNotFound', 'CannotVerifyCopySource');
  },

  'abort of a copy that has ended is NoPendingCopyOperation': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'a', 'x');
    const target = container.getBlockBlobClient('b');
    const { copyId } = await startCopy(target, source.url);
    await refused(target.abortCopyFromURL(copyId), 409, 'NoPendingCopyOperation');
    await refused(source.abortCopyFromURL(randomUUID()), 409, 'NoPendingCopyOperation', 'CopyIdMismatch');
    await refused(container.getBlobClient('none').abortCopyFromURL(copyId), 404, 'BlobNotFound');
  },

  'copy blob from url copies at once': async (kit) => {
    const container = await kit.container();
    const data = bytes(500_000);
    const source = await put(container, 'a', data, {
      metadata: { k: 'v' },
      blobHTTPHeaders: { blobContentType: 'a/b' },
    });
    const target = container.getBlockBlobClient('b');
    const answer = await target.syncCopyFromURL(await readable(kit, source), { sourceContentMD5: md5(data) });
    assert.equal(answer._response.status, 202);
    fields(answer, { copyStatus: 'success' });
    same(await target.downloadToBuffer(), data);
    fields(await target.getProperties(), { metadata: { k: 'v' }, contentType: 'a/b', copyStatus: 'success' });
  },

  'copy blob from url with a wrong source md5 is Md5Mismatch': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'a', 'hello');
    const url = await readable(kit, source);
    const target = container.getBlockBlobClient('b');
    await refused(target.syncCopyFromURL(url, { sourceContentMD5: md5(Buffer.from('other')) }), 400, 'Md5Mismatch');
    assert.equal(await target.exists(), false);
  },

  'put blob from url makes a blob with the source’s properties': async (kit) => {
    const container = await kit.container();
    const data = bytes(3 * mib + 1);
    const source = await put(container, 'a', data, {
      blobHTTPHeaders: { blobContentType: 'a/b' },
      metadata: { k: 'v' },
    });
    const target = container.getBlockBlobClient('b');
    const answer = await target.syncUploadFromURL(await readable(kit, source), { sourceContentMD5: md5(data) });
    assert.equal(answer._response.status, 201);
    same(await target.downloadToBuffer(), data);
    fields(await target.getProperties(), { contentType: 'a/b', contentLength: data.length, copyId: undefined });
    assert.equal((await target.getBlockList('committed')).committedBlocks.length, 0);
  },

  'put blob from url with properties of its own': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'a', 'hello', { blobHTTPHeaders: { blobContentType: 'a/b' } });
    const target = container.getBlockBlobClient('b');
    await target.syncUploadFromURL(await readable(kit, source), {
      copySourceBlobProperties: false,
      blobHTTPHeaders: { blobContentType: 'c/d' },
      metadata: { n: '2' },
    });
    fields(await target.getProperties(), { contentType: 'c/d', metadata: { n: '2' } });
  },

  'put blob from url: a wrong md5 is Md5Mismatch, if-none-match * BlobAlreadyExists': async (kit) => {
    const container = await kit.container();
    const url = await readable(kit, await put(container, 'a', 'hello'));
    const target = container.getBlockBlobClient('b');
    await refused(target.syncUploadFromURL(url, { sourceContentMD5: md5(Buffer.from('other')) }), 400, 'Md5Mismatch');
    await target.syncUploadFromURL(url, { conditions: { ifNoneMatch: '*' } });
    await refused(target.syncUploadFromURL(url, { conditions: { ifNoneMatch: '*' } }), 409, 'BlobAlreadyExists');
  },

  'put block from url: whole, and ranges with md5': async (kit) => {
    const container = await kit.container();
    const data = bytes(2 * mib);
    const url = await readable(kit, await put(container, 'a', data));
    const target = container.getBlockBlobClient('b');
    const half = data.subarray(0, mib);
    const answer = await target.stageBlockFromURL(blockId(1), url, 0, mib, { sourceContentMD5: md5(half) });
    assert.equal(answer._response.status, 201);
    await target.stageBlockFromURL(blockId(2), url, mib, mib, { sourceContentCrc64: crc64(data.subarray(mib)) });
    await target.commitBlockList([blockId(2), blockId(1)]);
    same(await target.downloadToBuffer(), Buffer.concat([data.subarray(mib), half]));
    const whole = container.getBlockBlobClient('c');
    await whole.stageBlockFromURL(blockId(1), url);
    await whole.commitBlockList([blockId(1)]);
    same(await whole.downloadToBuffer(), data);
  },

  'put block from url: wrong checksums are refused': async (kit) => {
    const container = await kit.container();
    const url = await readable(kit, await put(container, 'a', bytes(1000)));
    const target = container.getBlockBlobClient('b');
    const wrongMd5 = { sourceContentMD5: md5(Buffer.from('other')) };
    await refused(target.stageBlockFromURL(blockId(1), url, 0, 100, wrongMd5), 400, 'Md5Mismatch');
    const wrongCrc = { sourceContentCrc64: bytes(8) };
    await refused(target.stageBlockFromURL(blockId(1), url, 0, 100, wrongCrc), 400, 'Crc64Mismatch');
  },

  'put block from url: a range past the source’s end is refused': async (kit) => {
    const container = await kit.container();
    const url = await readable(kit, await put(container, 'a', bytes(1000)));
    const target = container.getBlockBlobClient('b');
    const error = await refused(target.stageBlockFromURL(blockId(1), url, 1000, 100), 416);
    return `answered ${error.response.headers.get('x-ms-error-code')}`;
  },

  'put block from url of many blocks at once': async (kit) => {
    const container = await kit.container();
    const data = bytes(4 * mib);
    const url = await readable(kit, await put(container, 'a', data));
    const target = container.getBlockBlobClient('b');
    const step = 131_072;
    const ids = Array.from({ length: data.length / step }, (_, index) => blockId(index));
    await Promise.all(ids.map((id, index) => target.stageBlockFromURL(id, url, index * step, step)));
    await target.commitBlockList(ids);
    same(await target.downloadToBuffer(), data);
  },

  'a source without permission is CannotVerifyCopySource with the source’s answer': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'a', 'hello');
    const writeOnly = await source.generateSasUrl({
      permissions: kit.sdk.BlobSASPermissions.parse('w'),
      expiresOn: inMinutes(60),
    });
    const target = container.getBlockBlobClient('b');
    const operations = [
      () => target.syncUploadFromURL(writeOnly),
      () => target.stageBlockFromURL(blockId(1), writeOnly),
      () => target.syncCopyFromURL(writeOnly),
    ];
    for (const operation of operations) {
      const error = await refused(operation, 403, 'CannotVerifyCopySource');
      assert.equal(error.response.headers.get('x-ms-copy-source-error-code'), 'AuthorizationPermissionMismatch');
      assert.equal(error.response.headers.get('x-ms-copy-source-status-code'), '403');
      assert.match(error.response.bodyAsText, /<CopySourceStatusCode>403<\/CopySourceStatusCode><CopySourceErrorCode>/);
    }
  },

  'a private source without a SAS cannot be copied from a URL': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'a', 'hello');
    const target = container.getBlockBlobClient('b');
    for (const operation of [
      () => target.syncUploadFromURL(source.url),
      () => target.stageBlockFromURL(blockId(1), source.url),
      () => target.syncCopyFromURL(source.url),
    ]) {
      const error = await refused(operation, 401, 'CannotVerifyCopySource');
      assert.equal(error.response.headers.get('x-ms-copy-source-error-code'), 'NoAuthenticationInformation');
      assert.equal(error.response.headers.get('x-ms-copy-source-status-code'), '401');
    }
    assert.equal(await target.exists(), false);
  },

  'a missing source of a copy from a URL is 404 CannotVerifyCopySource': async (kit) => {
    const container = await kit.container();
    const url = await readable(kit, container.getBlockBlobClient('none'));
    const target = container.getBlockBlobClient('b');
    await refused(target.syncUploadFromURL(url), 404, 'CannotVerifyCopySource');
    await refused(target.stageBlockFromURL(blockId(1), url), 404, 'CannotVerifyCopySource');
    await refused(target.syncCopyFromURL(url), 404, 'CannotVerifyCopySource');
  },

  'a copy source that is no URL is refused': async (kit) => {
    const target = (await kit.container()).getBlockBlobClient('b');
    const error = await refused(target.syncUploadFromURL('not a url'), 400);
    return `answered ${error.response.headers.get('x-ms-error-code')}`;
  },

  'an account SAS works as a source': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'dir/a b', 'hello');
    const sas = kit.service.generateAccountSasUrl(inMinutes(60), kit.sdk.AccountSASPermissions.parse('r'), 'o');
    const url = `${source.url}?${sas.split('?')[1]}`;
    const target = container.getBlockBlobClient('b');
    await target.syncUploadFromURL(url);
    assert.equal(await text(target), 'hello');
    await target.stageBlockFromURL(blockId(1), url, 1, 3);
    await target.commitBlockList([blockId(1)]);
    assert.equal(await text(target), 'ell');
  },
};

/** The answer to Copy Blob itself; `beginCopyFromURL` alone would poll. */
async function startCopy(target: Sdk, source: string, options = {}): Promise<Sdk> {
  const poller = await target.beginCopyFromURL(source, options);
  return poller.pollUntilDone();
}

function readable(kit: Kit, blob: Sdk): Promise<string> {
  return blob.generateSasUrl({ permissions: kit.sdk.BlobSASPermissions.parse('r'), expiresOn: inMinutes(60) });
}
