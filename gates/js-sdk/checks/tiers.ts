// Access tiers in an account where rehydration takes seconds, and where the last access is tracked.

import assert from 'node:assert/strict';
import { type Checks, collect, fields, type Kit, put, refused, type Sdk, sleep, text } from '../kit.ts';

const rehydratedMsMax = 20_000;

async function rehydrated(blob: Sdk): Promise<number> {
  const started = Date.now();
  for (;;) {
    const { archiveStatus } = await blob.getProperties();
    const tookMs = Date.now() - started;
    if (archiveStatus === undefined) return tookMs;
    assert(tookMs < rehydratedMsMax, `still ${archiveStatus} after ${tookMs} ms`);
    await sleep(100);
  }
}

async function archived(kit: Kit): Promise<{ container: Sdk; blob: Sdk }> {
  const container = await kit.container();
  const blob = await put(container, 'a', 'cold', { tags: { t: '1' } });
  await blob.setAccessTier('Archive');
  return { container, blob };
}

export const tiers: Checks = {
  'a blob that names no tier is Hot by inference': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a');
    fields(await blob.getProperties(), { accessTier: 'Hot', accessTierInferred: true, archiveStatus: undefined });
    const [item] = await collect<Sdk>(container.listBlobsFlat());
    fields(item.properties, { accessTier: 'Hot', accessTierInferred: true });
  },

  'tiers are set, told and listed': async (kit) => {
    const container = await kit.container();
    for (const tier of ['Hot', 'Cool', 'Cold', 'Archive']) {
      const blob = await put(container, tier, 'x', { tier });
      const uploaded = await blob.getProperties();
      assert.equal(uploaded.accessTier, tier);
      assert.ok(!uploaded.accessTierInferred);
      const other = await put(container, `set ${tier}`);
      const before = await other.getProperties();
      assert.equal((await other.setAccessTier(tier))._response.status, 200);
      const after = await other.getProperties();
      assert.deepEqual([after.accessTier, after.etag], [tier, before.etag]);
      assert.ok(after.accessTierChangedOn instanceof Date, `${tier}: no time of the change`);
    }
    const listed = await collect<Sdk>(container.listBlobsFlat());
    for (const { name, properties } of listed) assert.equal(properties.accessTier, name.replace('set ', ''));
  },

  'what is in Archive is not read, but all about it is': async (kit) => {
    const { container, blob } = await archived(kit);
    await refused(blob.download(), 409, 'BlobArchived');
    await refused(blob.createSnapshot(), 409, 'BlobArchived');
    assert.equal((await blob.getProperties()).contentLength, 4);
    assert.deepEqual((await blob.getTags()).tags, { t: '1' });
    assert.equal((await collect(container.listBlobsFlat())).length, 1);
    const expiresOn = new Date(Date.now() + 3_600_000);
    const source = await blob.generateSasUrl({ permissions: kit.sdk.BlobSASPermissions.parse('r'), expiresOn });
    await refused(container.getBlockBlobClient('b').syncUploadFromURL(source), 409);
    await blob.delete();
  },

  'what is in Archive is not overwritten, but deleted and made anew': async (kit) => {
    const { blob } = await archived(kit);
    await refused(blob.upload('new', 3), 409, 'BlobArchived');
    await refused(blob.stageBlock('AAAA', 'new', 3), 409, 'BlobArchived');
    await refused(blob.setMetadata({ a: '1' }), 409, 'BlobArchived');
    await blob.delete();
    await blob.upload('new', 3);
    assert.equal(await text(blob), 'new');
    assert.equal((await blob.getProperties()).accessTier, 'Hot');
  },

  'rehydration is a state that takes its time': async (kit) => {
    const { container, blob } = await archived(kit);
    const answer = await blob.setAccessTier('Hot', { rehydratePriority: 'Standard' });
    assert.equal(answer._response.status, 202);
    fields(await blob.getProperties(), {
      accessTier: 'Archive',
      archiveStatus: 'rehydrate-pending-to-hot',
      rehydratePriority: 'Standard',
    });
    const [item] = await collect<Sdk>(container.listBlobsFlat());
    fields(item.properties, {
      accessTier: 'Archive',
      archiveStatus: 'rehydrate-pending-to-hot',
      rehydratePriority: 'Standard',
    });
    await refused(blob.download(), 409, 'BlobArchived', 'BlobBeingRehydrated');
    const tookMs = await rehydrated(blob);
    assert.equal(await text(blob), 'cold');
    fields(await blob.getProperties(), { accessTier: 'Hot', rehydratePriority: undefined });
    return `${Math.round(tookMs / 1000)} s`;
  },

  'a high priority is sooner there, and a standard one can be raised': async (kit) => {
    const { blob } = await archived(kit);
    await blob.setAccessTier('Cool', { rehydratePriority: 'Standard' });
    await blob.setAccessTier('Cool', { rehydratePriority: 'High' });
    fields(await blob.getProperties(), { archiveStatus: 'rehydrate-pending-to-cool', rehydratePriority: 'High' });
    await rehydrated(blob);
    assert.equal((await blob.getProperties()).accessTier, 'Cool');
  },

  'what is on its way to a tier goes to no other': async (kit) => {
    const { blob } = await archived(kit);
    await blob.setAccessTier('Hot');
    await refused(blob.setAccessTier('Cool'), 409, 'BlobBeingRehydrated');
    await rehydrated(blob);
  },

  'a copy brings a blob out of Archive into another': async (kit) => {
    const { container, blob } = await archived(kit);
    const target = container.getBlockBlobClient('b');
    await (await target.beginCopyFromURL(blob.url, { tier: 'Hot', rehydratePriority: 'High' })).pollUntilDone();
    await rehydrated(target);
    assert.equal(await text(target), 'cold');
    assert.equal((await blob.getProperties()).accessTier, 'Archive');
  },

  'a copy and a batch name tiers': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'a');
    const copied = container.getBlockBlobClient('b');
    await (await copied.beginCopyFromURL(source.url, { tier: 'Cold' })).pollUntilDone();
    assert.equal((await copied.getProperties()).accessTier, 'Cold');
    await kit.service.getBlobBatchClient().setBlobsAccessTier([source, copied], 'Cool');
    assert.equal((await source.getProperties()).accessTier, 'Cool');
    assert.equal((await copied.getProperties()).accessTier, 'Cool');
  },

  'a tier that is none is refused': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    // P10 is a tier of page blobs.
    await refused(blob.setAccessTier('P10'), 400);
    assert.equal((await blob.getProperties()).accessTierInferred, true);
  },

  'conditions on tags and leases hold for a tier': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x', { tags: { t: '1' } });
    await refused(blob.setAccessTier('Cool', { conditions: { tagConditions: "t = '2'" } }), 412, 'ConditionNotMet');
    await blob.setAccessTier('Cool', { conditions: { tagConditions: "t = '1'" } });
    assert.equal((await blob.getProperties()).accessTier, 'Cool');
  },

  'the last read is noted': async (kit) => {
    const container = await kit.container();
    const started = Date.now();
    const blob = await put(container, 'a');
    await blob.download();
    const end = Date.now() + rehydratedMsMax;
    for (;;) {
      const { lastAccessed } = await blob.getProperties();
      if (lastAccessed) {
        assert.ok(Math.abs(lastAccessed.getTime() - started) < 60_000, `${lastAccessed.toISOString()}`);
        break;
      }
      assert(Date.now() < end, 'no time of the last access');
      await sleep(250);
    }
    const [item] = await collect<Sdk>(container.listBlobsFlat());
    assert.ok(item.properties.lastAccessedOn instanceof Date);
  },
};
