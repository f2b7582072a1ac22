// Immutable storage: policies and legal holds of versions, and of whole containers. The SDK sets the former, the operator
// of the account the latter.

import assert from 'node:assert/strict';
import { type Checks, collect, inMinutes, type Kit, put, refused, type Sdk, text } from '../kit.ts';

async function set(kit: Kit, container: Sdk, settings: object): Promise<void> {
  await kit.manager?.request('PATCH', `accounts/${kit.access.account}/containers/${container.containerName}`, settings);
}

async function hold(kit: Kit, container: Sdk, change: object): Promise<void> {
  const path = `accounts/${kit.access.account}/containers/${container.containerName}/legal-holds`;
  await kit.manager?.request('POST', path, change);
}

/** A container whose versions may have policies of their own. */
async function versioned(kit: Kit): Promise<Sdk> {
  const container = await kit.container();
  await set(kit, container, { versionImmutability: true });
  return container;
}

/** The version that an upload made, and its client. */
async function upload(container: Sdk, name = 'a', options: object = {}): Promise<Sdk> {
  const blob = container.getBlockBlobClient(name);
  const { versionId } = await blob.upload('kept', 4, options);
  return blob.withVersion(versionId);
}

const wholeSeconds = (date: Date): Date => new Date(Math.floor(date.getTime() / 1000) * 1000);

export const immutability: Checks = {
  'a policy keeps a version until it is taken off': async (kit) => {
    const container = await versioned(kit);
    const version = await upload(container);
    const expiriesOn = wholeSeconds(inMinutes(60));
    const answer = await version.setImmutabilityPolicy({ expiriesOn, policyMode: 'Unlocked' });
    assert.deepEqual([answer.immutabilityPolicyExpiry, answer.immutabilityPolicyMode], [expiriesOn, 'unlocked']);
    const got = await version.getProperties();
    assert.deepEqual([got.immutabilityPolicyExpiresOn, got.immutabilityPolicyMode], [expiriesOn, 'unlocked']);
    await put(container, 'a', 'new');
    await refused(version.delete(), 409, 'BlobImmutableDueToPolicy');
    await version.deleteImmutabilityPolicy();
    assert.equal((await version.getProperties()).immutabilityPolicyExpiresOn, undefined);
  },

  'an earlier version with a policy outlives the blob': async (kit) => {
    const container = await versioned(kit);
    const version = await upload(container);
    await version.setImmutabilityPolicy({ expiriesOn: inMinutes(60), policyMode: 'Unlocked' });
    const blob = container.getBlockBlobClient('a');
    await blob.upload('new', 3);
    await blob.delete();
    await refused(version.delete(), 409, 'BlobImmutableDueToPolicy');
    assert.equal(await text(version), 'kept');
    await version.deleteImmutabilityPolicy();
    await version.delete();
    assert.equal(await version.exists(), false);
  },

  'an unlocked policy may be shortened, a locked one only extended': async (kit) => {
    const container = await versioned(kit);
    const version = await upload(container);
    await put(container, 'a', 'new');
    await version.setImmutabilityPolicy({ expiriesOn: inMinutes(60), policyMode: 'Unlocked' });
    await version.setImmutabilityPolicy({ expiriesOn: inMinutes(10), policyMode: 'Unlocked' });
    await version.setImmutabilityPolicy({ expiriesOn: inMinutes(10), policyMode: 'Locked' });
    assert.equal((await version.getProperties()).immutabilityPolicyMode, 'locked');
    await refused(version.setImmutabilityPolicy({ expiriesOn: inMinutes(5), policyMode: 'Locked' }), 409);
    await refused(version.setImmutabilityPolicy({ expiriesOn: inMinutes(60), policyMode: 'Unlocked' }), 409);
    await refused(version.deleteImmutabilityPolicy(), 409);
    await version.setImmutabilityPolicy({ expiriesOn: inMinutes(20), policyMode: 'Locked' });
    await refused(version.delete(), 409, 'BlobImmutableDueToPolicy');
  },

  'a legal hold keeps a version, with and without a policy': async (kit) => {
    const container = await versioned(kit);
    const version = await upload(container);
    await container.getBlockBlobClient('a').upload('new', 3);
    assert.equal((await version.setLegalHold(true)).legalHold, true);
    assert.equal((await version.getProperties()).legalHold, true);
    await refused(version.delete(), 409, 'BlobImmutableDueToLegalHold');
    assert.equal((await version.setLegalHold(false)).legalHold, false);
    await version.delete();
  },

  'an upload brings its policy and hold': async (kit) => {
    const container = await versioned(kit);
    const expiriesOn = wholeSeconds(inMinutes(60));
    const version = await upload(container, 'a', {
      immutabilityPolicy: { expiriesOn, policyMode: 'Unlocked' },
      legalHold: true,
    });
    const got = await version.getProperties();
    assert.deepEqual(
      [got.immutabilityPolicyExpiresOn, got.immutabilityPolicyMode, got.legalHold],
      [expiriesOn, 'unlocked', true],
    );
    const [item] = await collect<Sdk>(
      container.listBlobsFlat({ includeImmutabilityPolicy: true, includeLegalHold: true }),
    );
    assert.deepEqual(
      [item.properties.immutabilityPolicyExpiresOn, item.properties.immutabilityPolicyMode, item.properties.legalHold],
      [expiriesOn, 'unlocked', true],
    );
    const [plain] = await collect<Sdk>(container.listBlobsFlat());
    assert.deepEqual(
      [plain.properties.immutabilityPolicyExpiresOn, plain.properties.legalHold],
      [undefined, undefined],
    );
  },

  'a container without immutable versions takes no policy': async (kit) => {
    const version = await upload(await kit.container());
    await refused(version.setImmutabilityPolicy({ expiriesOn: inMinutes(60), policyMode: 'Unlocked' }), 409);
    await refused(version.setLegalHold(true), 409);
  },

  'a policy must end in the future': async (kit) => {
    const version = await upload(await versioned(kit));
    await refused(version.setImmutabilityPolicy({ expiriesOn: inMinutes(-5), policyMode: 'Unlocked' }), 400);
  },

  'setting a policy needs the right to': async (kit) => {
    const container = await versioned(kit);
    await upload(container);
    const blob = container.getBlockBlobClient('a');
    const at = async (letters: string): Promise<Sdk> =>
      kit.blobAt(
        await blob.generateSasUrl({
          permissions: kit.sdk.BlobSASPermissions.parse(letters),
          expiresOn: inMinutes(60),
        }),
      );
    await refused((await at('rwd')).setLegalHold(true), 403, 'AuthorizationPermissionMismatch');
    await (await at('i')).setLegalHold(true);
    await (await at('i')).setLegalHold(false);
  },

  'a container tells what keeps it': async (kit) => {
    const container = await versioned(kit);
    const got = await container.getProperties();
    assert.equal(got.isImmutableStorageWithVersioningEnabled, true);
    const plain = await kit.container();
    const before = await plain.getProperties();
    assert.deepEqual(
      [before.isImmutableStorageWithVersioningEnabled, before.hasImmutabilityPolicy, before.hasLegalHold],
      [false, false, false],
    );
    await set(kit, plain, { retentionDays: 1 });
    await hold(kit, plain, { add: ['case42'] });
    const after = await plain.getProperties();
    assert.deepEqual([after.hasImmutabilityPolicy, after.hasLegalHold], [true, true]);
    await hold(kit, plain, { clear: ['case42'] });
    await set(kit, plain, { retentionDays: null });
  },

  'a retention of a container lets new blobs in and nothing out': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'kept');
    await set(kit, container, { retentionDays: 1 });
    await put(container, 'b', 'new');
    await refused(blob.upload('other', 5), 409, 'BlobImmutableDueToPolicy');
    await refused(blob.setMetadata({ a: '1' }), 409, 'BlobImmutableDueToPolicy');
    await refused(blob.delete(), 409, 'BlobImmutableDueToPolicy');
    await refused(container.delete(), 409);
    assert.equal(await text(blob), 'kept');
    await set(kit, container, { retentionDays: null });
    await blob.delete();
  },

  'a legal hold of a container lets nothing out': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'kept');
    await hold(kit, container, { add: ['case42'] });
    await refused(blob.upload('other', 5), 409, 'BlobImmutableDueToLegalHold');
    await refused(blob.delete(), 409, 'BlobImmutableDueToLegalHold');
    await refused(container.delete(), 409);
    await hold(kit, container, { clear: ['case42'] });
    await blob.delete();
  },
};
