// Versions in an account with versioning: every write makes one, reads reach them, and only their own delete ends them.

import assert from 'node:assert/strict';
import { type Checks, collect, type Kit, put, refused, type Sdk, text } from '../kit.ts';

async function list(container: Sdk, options: object = { includeVersions: true }): Promise<Sdk[]> {
  return await collect<Sdk>(container.listBlobsFlat(options));
}

async function twice(kit: Kit): Promise<{ container: Sdk; blob: Sdk; first: string; second: string }> {
  const container = await kit.container();
  const blob = container.getBlockBlobClient('a');
  const first = (await blob.upload('first', 5, { metadata: { n: '1' } })).versionId;
  const second = (await blob.upload('second', 6, { metadata: { n: '2' } })).versionId;
  return { container, blob, first, second };
}

export const versions: Checks = {
  'an upload names its version, and the one before stays readable': async (kit) => {
    const { blob, first, second } = await twice(kit);
    assert.match(first, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
    assert(first < second);
    assert.equal(await text(blob.withVersion(first)), 'first');
    assert.equal(await text(blob.withVersion(second)), 'second');
    const current = await blob.getProperties();
    assert.deepEqual([current.versionId, current.isCurrentVersion], [second, true]);
    const past = await blob.withVersion(first).getProperties();
    assert.deepEqual([past.versionId, past.isCurrentVersion, past.metadata], [first, undefined, { n: '1' }]);
  },

  'a listing names versions only when it is asked to': async (kit) => {
    const { container, first, second } = await twice(kit);
    assert.equal((await list(container, {})).length, 1);
    assert.deepEqual(
      (await list(container)).map(({ versionId, isCurrentVersion, properties }) => [
        versionId,
        isCurrentVersion === true,
        properties.contentLength,
      ]),
      [
        [first, false, 5],
        [second, true, 6],
      ],
    );
  },

  'a listing of versions in pages of one is whole': async (kit) => {
    const { container, blob } = await twice(kit);
    for (const n of '345') await blob.upload(n, 1);
    await put(container, 'b', 'x');
    const seen: string[] = [];
    for await (const page of container.listBlobsFlat({ includeVersions: true }).byPage({ maxPageSize: 1 })) {
      for (const item of page.segment.blobItems) seen.push(`${item.name} ${item.versionId}`);
    }
    assert.equal(seen.length, 6);
    assert.deepEqual(seen, [...new Set(seen)].sort());
  },

  'metadata, a block list and a copy make versions; properties and tags do not': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    const count = async (): Promise<number> => (await list(container)).filter(({ name }) => name === 'a').length;
    await blob.setMetadata({ one: '1' });
    assert.equal(await count(), 2, 'after metadata');
    await blob.uploadData(Buffer.alloc(20, 1), { blockSize: 10, maxSingleShotSize: 1 });
    assert.equal(await count(), 3, 'after a block list');
    const other = await put(container, 'b', 'y');
    await (await blob.beginCopyFromURL(other.url)).pollUntilDone();
    assert.equal(await count(), 4, 'after a copy');
    await blob.setHTTPHeaders({ blobContentType: 'text/plain' });
    await blob.setTags({ one: '1' });
    await blob.setAccessTier('Cool');
    assert.equal(await count(), 4, 'after properties, tags and a tier');
  },

  'a deleted blob lives on in its versions': async (kit) => {
    const { container, blob, first, second } = await twice(kit);
    await blob.delete();
    await refused(blob.download(), 404, 'BlobNotFound');
    assert.equal(await text(blob.withVersion(second)), 'second');
    assert.deepEqual(await list(container, {}), []);
    assert.deepEqual(
      (await list(container)).map(({ versionId, isCurrentVersion }) => [versionId, isCurrentVersion === true]),
      [
        [first, false],
        [second, false],
      ],
    );
    const gone = await list(container, { includeDeletedWithVersions: true });
    assert.deepEqual(
      gone.map(({ name, hasVersionsOnly }) => [name, hasVersionsOnly]),
      [['a', true]],
    );
  },

  'a blob written anew after its delete has its old versions still': async (kit) => {
    const { container, blob, first } = await twice(kit);
    await blob.delete();
    await blob.upload('third', 5, { conditions: { ifNoneMatch: '*' } });
    assert.equal((await list(container)).length, 3);
    assert.equal(await text(blob.withVersion(first)), 'first');
  },

  'a version copied over its blob is the blob again': async (kit) => {
    const { container, blob, first } = await twice(kit);
    await (await blob.beginCopyFromURL(blob.withVersion(first).url)).pollUntilDone();
    assert.equal(await text(blob), 'first');
    assert.equal((await list(container)).length, 3);
    await blob.delete();
    await (await blob.beginCopyFromURL(blob.withVersion(first).url)).pollUntilDone();
    assert.equal(await text(blob), 'first');
  },

  'a version is deleted by its id, the current one is not': async (kit) => {
    const { container, blob, first, second } = await twice(kit);
    await blob.withVersion(first).delete();
    await refused(blob.withVersion(first).download(), 404, 'BlobNotFound');
    assert.equal((await list(container)).length, 1);
    const error = await refused(blob.withVersion(second).delete(), 403);
    assert.equal(await text(blob), 'second');
    return error.response.headers.get('x-ms-error-code');
  },

  'a version takes tags and a tier of its own, and no other change': async (kit) => {
    const { blob, first } = await twice(kit);
    const past = blob.withVersion(first);
    await past.setTags({ old: 'yes' });
    assert.deepEqual((await past.getTags()).tags, { old: 'yes' });
    assert.deepEqual((await blob.getTags()).tags, {});
    await past.setAccessTier('Cool');
    assert.equal((await past.getProperties()).accessTier, 'Cool');
    assert.equal((await blob.getProperties()).accessTier, 'Hot');
    await refused(past.setMetadata({ a: '1' }), 400);
    await refused(new kit.sdk.BlockBlobClient(past.url, kit.credential).upload('z', 1), 400);
    assert.equal(await text(past), 'first');
  },

  'an unknown version is not found, a malformed id is refused': async (kit) => {
    const { blob } = await twice(kit);
    await refused(blob.withVersion('2020-01-01T00:00:00.0000000Z').download(), 404, 'BlobNotFound');
    await refused(blob.withVersion('newest').download(), 400, 'InvalidQueryParameterValue');
  },

  'conditions are checked against the version that is read': async (kit) => {
    const { blob, first } = await twice(kit);
    const past = blob.withVersion(first);
    const { etag } = await past.getProperties();
    await past.download(0, 1, { conditions: { ifMatch: etag } });
    await refused(blob.download(0, 1, { conditions: { ifMatch: etag } }), 412, 'ConditionNotMet');
  },

  'a snapshot beside versions is both': async (kit) => {
    const { container, blob } = await twice(kit);
    const taken = await blob.createSnapshot();
    assert(taken.versionId, 'the answer names no version');
    const all = await list(container, { includeVersions: true, includeSnapshots: true });
    assert.equal(all.filter(({ snapshot }) => snapshot).length, 1);
    assert.equal(await text(blob.withSnapshot(taken.snapshot)), 'second');
  },

  'a SAS for a version opens it and nothing else': async (kit) => {
    const { blob, first } = await twice(kit);
    const url = await blob.withVersion(first).generateSasUrl({
      permissions: kit.sdk.BlobSASPermissions.parse('r'),
      expiresOn: new Date(Date.now() + 3_600_000),
      versionId: first,
    });
    assert.equal(await text(kit.blobAt(url)), 'first');
    const base = url.replace(/versionid=[^&]+&/i, '');
    assert.notEqual(base, url);
    await refused(kit.blobAt(base).download(), 403, 'AuthenticationFailed');
  },

  'deleting a version needs the right to delete versions': async (kit) => {
    const { container, blob, first } = await twice(kit);
    const past = blob.withVersion(first);
    const expiresOn = new Date(Date.now() + 3_600_000);
    const signed = async (letters: string): Promise<Sdk> => {
      const permissions = kit.sdk.ContainerSASPermissions.parse(letters);
      const url: string = await container.generateSasUrl({ permissions, expiresOn });
      return kit.containerAt(url).getBlobClient('a').withVersion(first);
    };
    await refused((await signed('rwd')).delete(), 403, 'AuthorizationPermissionMismatch');
    assert.equal(await past.exists(), true);
    await (await signed('x')).delete();
    assert.equal(await past.exists(), false);
  },
};
