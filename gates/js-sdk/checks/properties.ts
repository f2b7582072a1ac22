// Get and Set Blob Properties, metadata of odd names and values, Set Blob Tier, and Delete Blob.

import assert from 'node:assert/strict';
import { type Checks, fields, md5, put, refused } from '../kit.ts';
import { raw } from '../raw.ts';

export const properties: Checks = {
  'set properties replaces all of them and leaves metadata': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x', {
      blobHTTPHeaders: { blobContentType: 'a/b', blobCacheControl: 'one', blobContentLanguage: 'de' },
      metadata: { k: 'v' },
    });
    const before = await blob.getProperties();
    const answer = await blob.setHTTPHeaders({ blobContentType: 'c/d', blobContentDisposition: 'inline' });
    assert.equal(answer._response.status, 200);
    assert.notEqual(answer.etag, before.etag);
    fields(await blob.getProperties(), {
      contentType: 'c/d',
      contentDisposition: 'inline',
      cacheControl: undefined,
      contentLanguage: undefined,
      contentMD5: undefined,
      metadata: { k: 'v' },
      etag: answer.etag,
      createdOn: before.createdOn,
    });
  },

  'set properties sets an md5': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x');
    const own = md5(Buffer.from('own'));
    await blob.setHTTPHeaders({ blobContentMD5: own });
    fields(await blob.getProperties(), { contentMD5: own });
  },

  'set metadata replaces all of it and leaves properties': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x', {
      blobHTTPHeaders: { blobContentType: 'a/b' },
      metadata: { old: '1' },
    });
    const before = await blob.getProperties();
    const answer = await blob.setMetadata({ new: '2' });
    assert.equal(answer._response.status, 200);
    fields(await blob.getProperties(), { metadata: { new: '2' }, contentType: 'a/b', etag: answer.etag });
    assert.notEqual(answer.etag, before.etag);
    await blob.setMetadata();
    fields(await blob.getProperties(), { metadata: {} });
  },

  'metadata values keep odd characters, inner spaces and length': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const metadata = { quoted: '"a", b; c=d', percent: '%20+%', spaces: 'a  b', tab: 'a\tb', long: 'x'.repeat(4000) };
    await blob.setMetadata(metadata);
    fields(await blob.getProperties(), { metadata });
  },

  'metadata names keep their case and do not differ by it': async (kit) => {
    const container = await kit.container();
    await put(container, 'a');
    const path = `/${container.containerName}/a`;
    const headers = { 'x-ms-meta-CamelCase': 'v', 'x-ms-meta-_under1': 'w' };
    const set = await raw(kit.access, { method: 'PUT', path, query: { comp: 'metadata' }, headers });
    assert.equal(set.status, 200, set.text);
    const got = await raw(kit.access, { method: 'GET', path, query: { comp: 'metadata' } });
    assert.deepEqual(
      [got.status, got.headers['x-ms-meta-camelcase'], got.headers['x-ms-meta-_under1']],
      [200, 'v', 'w'],
    );
    // Learn, Naming and Referencing: names "preserve the case with which they were created".
    assert(got.rawHeaders.includes('x-ms-meta-CamelCase'), 'the case of the name is lost');
    assert.equal(got.body.length, 0);
    assert(got.headers.etag && got.headers['last-modified'], 'get metadata without ETag or Last-Modified');
  },

  'get metadata by HEAD is the same': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'x', { metadata: { k: 'v' } });
    const path = `/${container.containerName}/a`;
    const got = await raw(kit.access, { method: 'HEAD', path, query: { comp: 'metadata' } });
    assert.deepEqual([got.status, got.headers['x-ms-meta-k']], [200, 'v']);
  },

  'a metadata name that is no identifier is InvalidMetadata': async (kit) => {
    const container = await kit.container();
    await put(container, 'a');
    const path = `/${container.containerName}/a`;
    for (const name of ['1st', 'a-b', 'a.b']) {
      const headers = { [`x-ms-meta-${name}`]: 'v' };
      const answer = await raw(kit.access, { method: 'PUT', path, query: { comp: 'metadata' }, headers });
      assert.deepEqual([answer.status, answer.code], [400, 'InvalidMetadata'], name);
    }
  },

  'an empty metadata name is EmptyMetadataKey': async (kit) => {
    const container = await kit.container();
    await put(container, 'a');
    const headers = { 'x-ms-meta-': 'v' };
    const path = `/${container.containerName}/a`;
    const answer = await raw(kit.access, { method: 'PUT', path, query: { comp: 'metadata' }, headers });
    assert.deepEqual([answer.status, answer.code], [400, 'EmptyMetadataKey']);
  },

  'metadata beyond 8 KiB is MetadataTooLarge': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x', { metadata: { old: '1' } });
    await refused(blob.setMetadata({ a: 'x'.repeat(5000), b: 'y'.repeat(3500) }), 400, 'MetadataTooLarge');
    await refused(put(container, 'b', 'x', { metadata: { a: 'x'.repeat(8200) } }), 400, 'MetadataTooLarge');
    fields(await blob.getProperties(), { metadata: { old: '1' } });
  },

  'set on a missing blob is BlobNotFound': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('none');
    await refused(blob.setMetadata({ a: '1' }), 404, 'BlobNotFound');
    await refused(blob.setHTTPHeaders({}), 404, 'BlobNotFound');
    await refused(blob.setAccessTier('Cool'), 404, 'BlobNotFound');
  },

  'set tier changes the tier, not the etag': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const before = await blob.getProperties();
    const answer = await blob.setAccessTier('Cool');
    assert.equal(answer._response.status, 200);
    const after = await blob.getProperties();
    fields(after, { accessTier: 'Cool', etag: before.etag });
    assert(!after.accessTierInferred && after.accessTierChangedOn, 'inferred, or without the time of the change');
  },

  'an unknown tier is refused': async (kit) => {
    const container = await kit.container();
    await put(container, 'a');
    const path = `/${container.containerName}/a`;
    const headers = { 'x-ms-access-tier': 'Lukewarm' };
    const answer = await raw(kit.access, { method: 'PUT', path, query: { comp: 'tier' }, headers });
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidHeaderValue']);
  },

  'delete answers 202 and the blob is gone': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const answer = await blob.delete();
    assert.equal(answer._response.status, 202);
    assert.equal(kit.last().header('x-ms-delete-type-permanent'), 'true');
    assert.equal(await blob.exists(), false);
    await refused(blob.delete(), 404, 'BlobNotFound');
    assert.equal((await blob.deleteIfExists()).succeeded, false);
  },

  'delete with include snapshots of a blob without any works': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    await blob.delete({ deleteSnapshots: 'include' });
    assert.equal(await blob.exists(), false);
  },

  'account information of service, container and blob': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a');
    for (const answer of [
      await kit.service.getAccountInfo(),
      await container.getAccountInfo(),
      await blob.getAccountInfo(),
    ]) {
      assert.match(answer.skuName, /^(Standard|Premium)_/);
      assert.match(answer.accountKind, /Storage/);
      assert.equal(answer.isHierarchicalNamespaceEnabled, false);
    }
  },
};
