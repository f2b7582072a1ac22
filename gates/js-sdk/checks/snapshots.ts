// Snapshots of blobs in an account without versioning: what one is, and what may be done to a blob that has some.

import assert from 'node:assert/strict';
import { bytes, type Checks, collect, fields, put, refused, type Sdk, same, text } from '../kit.ts';

export const snapshots: Checks = {
  'a snapshot keeps what the blob was': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'first', {
      metadata: { one: '1' },
      blobHTTPHeaders: { blobContentType: 'text/x-first' },
    });
    const before = await blob.getProperties();
    const taken = await blob.createSnapshot();
    assert.match(taken.snapshot, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
    assert.equal(taken.etag, before.etag);
    await blob.upload('second', 6);
    const snapshot = blob.withSnapshot(taken.snapshot);
    assert.equal(await text(snapshot), 'first');
    assert.equal(await text(blob), 'second');
    fields(await snapshot.getProperties(), {
      etag: before.etag,
      contentType: 'text/x-first',
      metadata: { one: '1' },
      createdOn: before.createdOn,
    });
  },

  'a snapshot of a blob in blocks is read in ranges after the blob is gone': async (kit) => {
    const data = bytes(300_000);
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.uploadData(data, { blockSize: 100_000, maxSingleShotSize: 1 });
    const { snapshot } = await blob.createSnapshot();
    await blob.upload('x', 1);
    const past = blob.withSnapshot(snapshot);
    same(await past.downloadToBuffer(99_990, 20), data.subarray(99_990, 100_010));
    same(await past.downloadToBuffer(), data);
    const blocks = await past.getBlockList('committed');
    assert.equal(blocks.committedBlocks.length, 3);
  },

  'metadata given with a snapshot replaces the blob’s in it': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x', { metadata: { one: '1' } });
    const taken = await blob.createSnapshot({ metadata: { two: '2' } });
    assert.deepEqual((await blob.withSnapshot(taken.snapshot).getProperties()).metadata, { two: '2' });
    assert.deepEqual((await blob.getProperties()).metadata, { one: '1' });
  },

  'a listing names snapshots only when it is asked to, the oldest first, the blob last': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    await put(container, 'b', 'x');
    const times = [(await blob.createSnapshot()).snapshot, (await blob.createSnapshot()).snapshot];
    assert(times[0] < times[1], `${times}`);
    const plain = await collect<Sdk>(container.listBlobsFlat());
    assert.deepEqual(
      plain.map(({ name }) => name),
      ['a', 'b'],
    );
    const all = await collect<Sdk>(container.listBlobsFlat({ includeSnapshots: true }));
    assert.deepEqual(
      all.map(({ name, snapshot }) => [name, snapshot || '']),
      [
        ['a', times[0]],
        ['a', times[1]],
        ['a', ''],
        ['b', ''],
      ],
    );
  },

  'a listing in pages of one goes through all snapshots': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    for (let i = 0; i < 3; i++) await blob.createSnapshot();
    const seen: string[] = [];
    for await (const page of container.listBlobsFlat({ includeSnapshots: true }).byPage({ maxPageSize: 1 })) {
      for (const item of page.segment.blobItems) seen.push(item.snapshot || 'current');
    }
    assert.equal(new Set(seen).size, 4, `${seen}`);
    assert.equal(seen.at(-1), 'current');
  },

  'a blob with snapshots is deleted only with them, or they alone': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    const { snapshot } = await blob.createSnapshot();
    await refused(blob.delete(), 409, 'SnapshotsPresent');
    await blob.delete({ deleteSnapshots: 'only' });
    assert.equal(await blob.exists(), true);
    await refused(blob.withSnapshot(snapshot).getProperties(), 404, 'BlobNotFound');
    await blob.createSnapshot();
    await blob.delete({ deleteSnapshots: 'include' });
    assert.equal(await blob.exists(), false);
    assert.deepEqual(await collect(container.listBlobsFlat({ includeSnapshots: true })), []);
  },

  'one snapshot is deleted by its time': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x');
    const first = (await blob.createSnapshot()).snapshot;
    const second = (await blob.createSnapshot()).snapshot;
    await blob.withSnapshot(first).delete();
    await refused(blob.withSnapshot(first).download(), 404, 'BlobNotFound');
    assert.equal(await text(blob.withSnapshot(second)), 'x');
  },

  'a snapshot copied over its blob brings it back': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'good', { metadata: { one: '1' } });
    const { snapshot } = await blob.createSnapshot();
    await blob.upload('bad', 3);
    const past = blob.withSnapshot(snapshot);
    await (await blob.beginCopyFromURL(past.url)).pollUntilDone();
    assert.equal(await text(blob), 'good');
    assert.deepEqual((await blob.getProperties()).metadata, { one: '1' });
    assert.equal(await text(past), 'good');
  },

  'a snapshot takes no changes': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    const { snapshot } = await blob.createSnapshot();
    const past = blob.withSnapshot(snapshot);
    for (const change of [
      () => past.setMetadata({ one: '1' }),
      () => past.upload('y', 1),
      () => past.setHTTPHeaders({ blobContentType: 'text/plain' }),
      () => past.getBlobLeaseClient().acquireLease(15),
    ]) {
      const error = await refused(change, 400);
      assert.match(error.response.headers.get('x-ms-error-code'), /^Invalid|^Unsupported/);
    }
    assert.equal(await text(past), 'x');
  },

  'conditions and leases hold for a snapshot': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x');
    const { etag } = await blob.getProperties();
    await refused(blob.createSnapshot({ conditions: { ifNoneMatch: etag } }), 412, 'ConditionNotMet');
    await blob.createSnapshot({ conditions: { ifMatch: etag } });
    const lease = blob.getBlobLeaseClient();
    await lease.acquireLease(-1);
    await blob.createSnapshot();
    await blob.createSnapshot({ conditions: { leaseId: lease.leaseId } });
    const other = '11111111-1111-1111-1111-111111111111';
    await refused(blob.createSnapshot({ conditions: { leaseId: other } }), 412, 'LeaseIdMismatchWithBlobOperation');
    await lease.releaseLease();
  },

  'a time at which no snapshot was taken is not found, and one that is none is refused': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    await refused(blob.withSnapshot('2020-01-01T00:00:00.0000000Z').download(), 404, 'BlobNotFound');
    await refused(blob.withSnapshot('yesterday').download(), 400, 'InvalidQueryParameterValue');
    await refused(container.getBlobClient('none').createSnapshot(), 404, 'BlobNotFound');
  },

  'a SAS for a snapshot opens it and nothing else': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'first');
    const { snapshot } = await blob.createSnapshot();
    await blob.upload('second', 6);
    const url = await blob.withSnapshot(snapshot).generateSasUrl({
      permissions: kit.sdk.BlobSASPermissions.parse('r'),
      expiresOn: new Date(Date.now() + 3_600_000),
    });
    assert.equal(await text(kit.blobAt(url)), 'first');
    const base = url.replace(/snapshot=[^&]+&/, '');
    assert.notEqual(base, url);
    await refused(kit.blobAt(base).download(), 403, 'AuthenticationFailed');
  },
};
