// Soft delete of blobs and containers: what comes back, with what, and what a listing says of it meanwhile.

import assert from 'node:assert/strict';
import { type Checks, collect, put, refused, type Sdk, text } from '../kit.ts';
import { raw } from '../raw.ts';

const deletedToo = { includeDeleted: true, includeSnapshots: true };

async function list(container: Sdk, options: object = deletedToo): Promise<Sdk[]> {
  return await collect<Sdk>(container.listBlobsFlat(options));
}

/** In an account without versioning. */
export const softdelete: Checks = {
  'a deleted blob comes back as it was': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'kept', {
      metadata: { one: '1' },
      tags: { two: '2' },
      blobHTTPHeaders: { blobContentType: 'text/x-kept' },
    });
    const before = await blob.getProperties();
    await blob.delete();
    await refused(blob.download(), 404, 'BlobNotFound');
    await blob.undelete();
    assert.equal(await text(blob), 'kept');
    const after = await blob.getProperties();
    assert.deepEqual(
      [after.etag, after.contentType, after.metadata, after.tagCount],
      [before.etag, 'text/x-kept', { one: '1' }, 1],
    );
  },

  'a listing tells of deleted blobs only when it is asked to': async (kit) => {
    const container = await kit.container();
    await (await put(container, 'a', 'x')).delete();
    await put(container, 'b', 'x');
    assert.deepEqual(
      (await list(container, {})).map(({ name }) => name),
      ['b'],
    );
    const [gone, there] = await list(container, { includeDeleted: true });
    assert.deepEqual([gone.name, gone.deleted], ['a', true]);
    assert.ok(gone.properties.deletedOn instanceof Date);
    assert.ok(
      [6, 7].includes(gone.properties.remainingRetentionDays),
      `${gone.properties.remainingRetentionDays} days`,
    );
    assert.deepEqual([there.name, there.deleted], ['b', undefined]);
  },

  'what was overwritten is a deleted snapshot, and comes back as a snapshot': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'first');
    await blob.upload('second', 6);
    const gone = (await list(container)).filter(({ deleted }) => deleted);
    assert.equal(gone.length, 1);
    assert.ok(gone[0].snapshot, 'it is no snapshot');
    await refused(blob.withSnapshot(gone[0].snapshot).download(), 404, 'BlobNotFound');
    await blob.undelete();
    assert.equal(await text(blob.withSnapshot(gone[0].snapshot)), 'first');
    assert.equal(await text(blob), 'second');
  },

  'snapshots go and come back with their blob': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    const { snapshot } = await blob.createSnapshot();
    await blob.delete({ deleteSnapshots: 'include' });
    assert.deepEqual(
      (await list(container)).map(({ deleted }) => deleted),
      [true, true],
    );
    await blob.undelete();
    assert.equal(await text(blob.withSnapshot(snapshot)), 'x');
    assert.equal(await text(blob), 'x');
  },

  'a deleted snapshot alone comes back by undelete of its blob': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x');
    const { snapshot } = await blob.createSnapshot();
    await blob.withSnapshot(snapshot).delete();
    await refused(blob.withSnapshot(snapshot).download(), 404, 'BlobNotFound');
    await blob.undelete();
    assert.equal(await text(blob.withSnapshot(snapshot)), 'x');
  },

  'a name whose blob is deleted can be written anew': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'old');
    await blob.delete();
    await blob.upload('new', 3, { conditions: { ifNoneMatch: '*' } });
    assert.equal(await text(blob), 'new');
    assert.ok((await list(container)).some(({ deleted }) => deleted));
  },

  'undelete of what never was is not found, of what is there changes nothing': async (kit) => {
    const container = await kit.container();
    await refused(container.getBlobClient('never').undelete(), 404, 'BlobNotFound');
    const blob = await put(container, 'a', 'x');
    const { etag } = await blob.getProperties();
    await blob.undelete();
    assert.equal((await blob.getProperties()).etag, etag);
  },

  'a deleted blob has no lease when it is back': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x');
    const lease = blob.getBlobLeaseClient();
    await lease.acquireLease(-1);
    await refused(blob.delete(), 412, 'LeaseIdMissing');
    await blob.delete({ conditions: { leaseId: lease.leaseId } });
    await blob.undelete();
    assert.equal((await blob.getProperties()).leaseStatus, 'unlocked');
  },

  'a deleted snapshot goes for good when it is said twice, the blob does not': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    const { snapshot } = await blob.createSnapshot();
    const path = `/${container.containerName}/a`;
    const forGood = (query: Record<string, string>): ReturnType<typeof raw> =>
      raw(kit.access, { method: 'DELETE', path, query: { ...query, deletetype: 'permanent' } });
    assert.ok((await forGood({ snapshot })).status >= 400, 'a snapshot that is there went for good');
    await blob.withSnapshot(snapshot).delete();
    assert.equal((await forGood({ snapshot })).status, 202);
    assert.ok((await forGood({})).status >= 400, 'a blob that is there went for good');
    await blob.undelete();
    assert.equal(await blob.withSnapshot(snapshot).exists(), false);
    assert.equal(await text(blob), 'x');
  },

  'deleted blobs by the batch come back': async (kit) => {
    const container = await kit.container();
    const blobs = await Promise.all(['a', 'b', 'c'].map((name) => put(container, name, name)));
    await kit.service.getBlobBatchClient().deleteBlobs(blobs);
    assert.deepEqual(await list(container, {}), []);
    for (const blob of blobs) await blob.undelete();
    assert.equal((await list(container, {})).length, 3);
  },

  'a deleted container comes back with what is in it': async (kit) => {
    const container = await kit.container({ metadata: { one: '1' } });
    await put(container, 'a', 'x');
    await container.delete();
    await refused(container.getProperties(), 404, 'ContainerNotFound');
    const found = await collect<Sdk>(
      kit.service.listContainers({ prefix: container.containerName, includeDeleted: true }),
    );
    assert.equal(found.length, 1);
    assert.equal(found[0].deleted, true);
    assert.ok(found[0].properties.deletedOn instanceof Date);
    assert.ok([6, 7].includes(found[0].properties.remainingRetentionDays));
    assert.deepEqual(await collect(kit.service.listContainers({ prefix: container.containerName })), []);
    const { containerClient } = await kit.service.undeleteContainer(container.containerName, found[0].version);
    assert.deepEqual((await containerClient.getProperties()).metadata, { one: '1' });
    assert.equal(await text(container.getBlobClient('a')), 'x');
  },

  'a container does not come back over one of its name, or twice': async (kit) => {
    const container = await kit.container();
    await container.delete();
    const [{ version }] = await collect<Sdk>(
      kit.service.listContainers({ prefix: container.containerName, includeDeleted: true }),
    );
    await container.create();
    await refused(kit.service.undeleteContainer(container.containerName, version), 409, 'ContainerAlreadyExists');
    await container.delete();
    await kit.service.undeleteContainer(container.containerName, version);
    await container.delete();
    await refused(kit.service.undeleteContainer(container.containerName, 'none'), 404, 'ContainerNotFound');
  },

  'the service’s properties say for how long': async (kit) => {
    const { deleteRetentionPolicy } = await kit.service.getProperties();
    assert.deepEqual([deleteRetentionPolicy.enabled, deleteRetentionPolicy.days], [true, 7]);
  },
};

/** In an account with versioning as well. */
export const softdeleteOfVersions: Checks = {
  'a deleted version comes back by undelete of its blob': async (kit) => {
    const container = await kit.container();
    const blob = container.getBlockBlobClient('a');
    const { versionId } = await blob.upload('first', 5);
    await blob.upload('second', 6);
    await blob.withVersion(versionId).delete();
    await refused(blob.withVersion(versionId).download(), 404, 'BlobNotFound');
    const gone = (await list(container, { includeDeleted: true, includeVersions: true })).filter(
      ({ deleted }) => deleted,
    );
    assert.deepEqual(
      gone.map((item) => item.versionId),
      [versionId],
    );
    await blob.undelete();
    assert.equal(await text(blob.withVersion(versionId)), 'first');
    assert.equal(await text(blob), 'second');
  },

  'a deleted blob is a version at once, and a copy of it brings it back': async (kit) => {
    const container = await kit.container();
    const blob = container.getBlockBlobClient('a');
    const { versionId } = await blob.upload('first', 5);
    await blob.delete();
    const all = await list(container, { includeDeleted: true, includeVersions: true });
    assert.deepEqual(
      all.map((item) => [item.versionId, item.deleted === true]),
      [[versionId, false]],
    );
    await (await blob.beginCopyFromURL(blob.withVersion(versionId).url)).pollUntilDone();
    assert.equal(await text(blob), 'first');
  },
};
