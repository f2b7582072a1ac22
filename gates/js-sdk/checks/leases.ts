// Leases on blobs and containers: the five actions in every state, and what a lease keeps others from.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { blockId, type Checks, fields, type Kit, put, refused, type Sdk, sleep, text } from '../kit.ts';

const durationMs = 15_000;

export const leases: Checks = {
  'acquire, renew, change, release of a blob': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const { etag } = await blob.getProperties();
    const first = randomUUID();
    const lease = blob.getBlobLeaseClient(first);
    const acquired = await lease.acquireLease(-1);
    assert.deepEqual([acquired._response.status, acquired.leaseId], [201, first]);
    fields(await blob.getProperties(), {
      leaseState: 'leased',
      leaseStatus: 'locked',
      leaseDuration: 'infinite',
      etag,
    });
    const renewed = await lease.renewLease();
    assert.deepEqual([renewed._response.status, renewed.leaseId], [200, first]);
    const second = randomUUID();
    const changed = await lease.changeLease(second);
    assert.deepEqual([changed._response.status, changed.leaseId], [200, second]);
    const released = await lease.releaseLease();
    assert.equal(released._response.status, 200);
    fields(await blob.getProperties(), { leaseState: 'available', leaseStatus: 'unlocked', leaseDuration: undefined });
  },

  'a lease without a proposed id gets one; fixed durations show': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const acquired = await kit.service
      .getContainerClient(blob.containerName)
      .getBlobClient('a')
      .getBlobLeaseClient()
      .acquireLease(60);
    assert.match(acquired.leaseId, /^[0-9a-f-]{36}$/);
    fields(await blob.getProperties(), { leaseDuration: 'fixed' });
  },

  'acquire with the same id again holds, with another is LeaseAlreadyPresent': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const lease = blob.getBlobLeaseClient();
    await lease.acquireLease(15);
    await lease.acquireLease(-1);
    fields(await blob.getProperties(), { leaseDuration: 'infinite' });
    await refused(blob.getBlobLeaseClient(randomUUID()).acquireLease(15), 409, 'LeaseAlreadyPresent');
  },

  'durations and break periods beyond their bounds are InvalidHeaderValue': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    for (const duration of [14, 61, 0]) {
      await refused(blob.getBlobLeaseClient().acquireLease(duration), 400, 'InvalidHeaderValue');
    }
    await blob.getBlobLeaseClient().acquireLease(-1);
    await refused(blob.getBlobLeaseClient().breakLease(61), 400, 'InvalidHeaderValue');
  },

  'a proposed id that is no GUID is InvalidHeaderValue': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    await refused(blob.getBlobLeaseClient('not-a-guid').acquireLease(15), 400, 'InvalidHeaderValue');
  },

  'actions with a wrong id are LeaseIdMismatchWithLeaseOperation': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    await blob.getBlobLeaseClient().acquireLease(-1);
    const wrong = blob.getBlobLeaseClient(randomUUID());
    await refused(wrong.renewLease(), 409, 'LeaseIdMismatchWithLeaseOperation');
    await refused(wrong.releaseLease(), 409, 'LeaseIdMismatchWithLeaseOperation');
    await refused(wrong.changeLease(randomUUID()), 409, 'LeaseIdMismatchWithLeaseOperation');
  },

  'actions without a lease': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const none = blob.getBlobLeaseClient(randomUUID());
    await refused(none.breakLease(0), 409, 'LeaseNotPresentWithLeaseOperation');
    await refused(none.changeLease(randomUUID()), 409, 'LeaseNotPresentWithLeaseOperation');
    await refused(none.renewLease(), 409, 'LeaseIdMismatchWithLeaseOperation', 'LeaseNotPresentWithLeaseOperation');
    await refused(none.releaseLease(), 409, 'LeaseIdMismatchWithLeaseOperation', 'LeaseNotPresentWithLeaseOperation');
  },

  'a lease of a missing blob is BlobNotFound': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('none');
    await refused(blob.getBlobLeaseClient().acquireLease(15), 404, 'BlobNotFound');
  },

  'break at once leaves it broken and open to others': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const lease = blob.getBlobLeaseClient();
    await lease.acquireLease(-1);
    const broken = await lease.breakLease(0);
    assert.deepEqual([broken._response.status, broken.leaseTime], [202, 0]);
    fields(await blob.getProperties(), { leaseState: 'broken', leaseStatus: 'unlocked' });
    await refused(lease.renewLease(), 409, 'LeaseIsBrokenAndCannotBeRenewed');
    await refused(lease.changeLease(randomUUID()), 409, 'LeaseNotPresentWithLeaseOperation');
    assert.equal((await lease.breakLease(0)).leaseTime, 0);
    await blob.getBlobLeaseClient(randomUUID()).acquireLease(15);
    fields(await blob.getProperties(), { leaseState: 'leased' });
  },

  'break with a period is breaking meanwhile': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const lease = blob.getBlobLeaseClient();
    const { leaseId } = await lease.acquireLease(-1);
    const breaking = await lease.breakLease(30);
    assert(breaking.leaseTime > 25 && breaking.leaseTime <= 30, `x-ms-lease-time ${breaking.leaseTime}`);
    fields(await blob.getProperties(), { leaseState: 'breaking', leaseStatus: 'locked' });
    await refused(blob.getBlobLeaseClient(randomUUID()).acquireLease(15), 409, 'LeaseAlreadyPresent');
    await refused(lease.acquireLease(15), 409, 'LeaseIsBreakingAndCannotBeAcquired');
    await refused(lease.renewLease(), 409, 'LeaseIsBrokenAndCannotBeRenewed');
    await refused(lease.changeLease(randomUUID()), 409, 'LeaseIsBreakingAndCannotBeChanged');
    await refused(blob.setMetadata({}), 412, 'LeaseIdMissing');
    await blob.setMetadata({}, { conditions: { leaseId } });
    // A longer period does not lengthen it, a shorter one shortens it.
    assert((await lease.breakLease(60)).leaseTime <= 30);
    assert((await lease.breakLease(5)).leaseTime <= 5);
    await lease.releaseLease();
    fields(await blob.getProperties(), { leaseState: 'available' });
  },

  'a leased blob is written only with its id': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'old');
    const { leaseId } = await blob.getBlobLeaseClient().acquireLease(-1);
    for (const [name, write] of Object.entries(writes)) {
      await refused(write(blob, {}), 412, 'LeaseIdMissing');
      await refused(write(blob, { leaseId: randomUUID() }), 412, 'LeaseIdMismatchWithBlobOperation');
      if (name !== 'delete') await write(blob, { leaseId });
    }
    assert.equal(await text(blob), 'list');
    fields(await blob.getProperties(), { leaseState: 'leased' });
    await blob.delete({ conditions: { leaseId } });
    assert.equal(await blob.exists(), false);
  },

  'a leased blob is read by anyone, but not with a wrong id': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'old');
    const { leaseId } = await blob.getBlobLeaseClient().acquireLease(-1);
    await blob.download();
    await blob.getProperties({ conditions: { leaseId } });
    const wrong = { conditions: { leaseId: randomUUID() } };
    await refused(blob.getProperties(wrong), 412, 'LeaseIdMismatchWithBlobOperation');
    await refused(blob.download(0, undefined, wrong), 412, 'LeaseIdMismatchWithBlobOperation');
  },

  'an id for a blob without a lease is LeaseNotPresentWithBlobOperation': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'old');
    const given = { conditions: { leaseId: randomUUID() } };
    await refused(blob.setMetadata({}, given), 412, 'LeaseNotPresentWithBlobOperation');
    await refused(blob.getProperties(given), 412, 'LeaseNotPresentWithBlobOperation');
    await refused(blob.upload('x', 1, given), 412, 'LeaseNotPresentWithBlobOperation');
    await refused(blob.delete(given), 412, 'LeaseNotPresentWithBlobOperation');
    assert.equal(await text(blob), 'old');
  },

  'a copy onto a leased blob needs its id': async (kit) => {
    const container = await kit.container();
    const source = await put(container, 'source', 'new');
    const target = await put(container, 'target', 'old');
    const { leaseId } = await target.getBlobLeaseClient().acquireLease(-1);
    await refused(target.beginCopyFromURL(source.url), 412, 'LeaseIdMissing');
    await target
      .beginCopyFromURL(source.url, { conditions: { leaseId } })
      .then((poller: Sdk) => poller.pollUntilDone());
    assert.equal(await text(target), 'new');
  },

  'acquire, renew, change, break, release of a container': async (kit) => {
    const container = await kit.container();
    const lease = container.getBlobLeaseClient();
    const acquired = await lease.acquireLease(30);
    assert.equal(acquired._response.status, 201);
    fields(await container.getProperties(), { leaseState: 'leased', leaseStatus: 'locked', leaseDuration: 'fixed' });
    await lease.renewLease();
    await refused(container.getBlobLeaseClient(randomUUID()).acquireLease(15), 409, 'LeaseAlreadyPresent');
    await refused(container.getBlobLeaseClient(randomUUID()).renewLease(), 409, 'LeaseIdMismatchWithLeaseOperation');
    await lease.changeLease(randomUUID());
    await lease.releaseLease();
    await lease.acquireLease(-1);
    assert.equal((await lease.breakLease(0))._response.status, 202);
    fields(await container.getProperties(), { leaseState: 'broken', leaseStatus: 'unlocked' });
  },

  'a leased container is deleted only with its id, and its blobs are free': async (kit) => {
    const container = await kit.container();
    const { leaseId } = await container.getBlobLeaseClient().acquireLease(-1);
    await refused(container.delete(), 412, 'LeaseIdMissing');
    const wrong = { conditions: { leaseId: randomUUID() } };
    await refused(container.delete(wrong), 412, 'LeaseIdMismatchWithContainerOperation');
    const asked = propertiesWithLease(kit, container, wrong.conditions.leaseId);
    await refused(asked, 412, 'LeaseIdMismatchWithContainerOperation');
    await refused(container.setMetadata({}, wrong), 412, 'LeaseIdMismatchWithContainerOperation');
    await put(container, 'a');
    await container.setMetadata({ a: '1' });
    await container.delete({ conditions: { leaseId } });
    assert.equal(await container.exists(), false);
  },

  'an id for a container without a lease is LeaseNotPresentWithContainerOperation': async (kit) => {
    const container = await kit.container();
    const given = { conditions: { leaseId: randomUUID() } };
    const asked = propertiesWithLease(kit, container, given.conditions.leaseId);
    await refused(asked, 412, 'LeaseNotPresentWithContainerOperation');
    await refused(container.delete(given), 412, 'LeaseNotPresentWithContainerOperation');
  },
};

/** These wait for a real lease to run out; they go on beside the others. */
export const slowLeases: Checks = {
  'a lease runs out: expired, renewable until the blob is written': async (kit) => {
    const container = await kit.container();
    const [blob, other] = [await put(container, 'a', 'old'), await put(container, 'b', 'old')];
    const [lease, otherLease] = [blob.getBlobLeaseClient(), other.getBlobLeaseClient()];
    const { leaseId } = await lease.acquireLease(15);
    await otherLease.acquireLease(15);
    await sleep(durationMs + 1500);
    fields(await blob.getProperties(), { leaseState: 'expired', leaseStatus: 'unlocked' });
    await refused(blob.setMetadata({}, { conditions: { leaseId } }), 412, 'LeaseLost');
    await lease.renewLease();
    fields(await blob.getProperties(), { leaseState: 'leased' });
    await put(container, 'b', 'written');
    await refused(
      otherLease.renewLease(),
      409,
      'LeaseIdMismatchWithLeaseOperation',
      'LeaseNotPresentWithLeaseOperation',
    );
  },

  'an expired lease does not keep others from acquiring': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    await blob.getBlobLeaseClient().acquireLease(15);
    await sleep(durationMs + 1500);
    await blob.getBlobLeaseClient(randomUUID()).acquireLease(15);
  },

  'a break without a period ends with the lease': async (kit) => {
    const blob = await put(await kit.container(), 'a');
    const lease = blob.getBlobLeaseClient();
    await lease.acquireLease(15);
    const { leaseTime } = await lease.breakLease(undefined);
    assert(leaseTime > 10 && leaseTime <= 15, `x-ms-lease-time ${leaseTime}`);
    await sleep(durationMs + 1500);
    fields(await blob.getProperties(), { leaseState: 'broken', leaseStatus: 'unlocked' });
    await blob.setMetadata({ a: '1' });
  },
};

/** The SDK takes a lease's id for the properties of a container, and does not send it. */
function propertiesWithLease(kit: Kit, container: Sdk, leaseId: string): Promise<unknown> {
  const service = kit.connect({ edit: (request: Sdk) => request.headers.set('x-ms-lease-id', leaseId) });
  return service.getContainerClient(container.containerName).getProperties();
}

// In this order: the content at the end is what the last one that writes content leaves.
const writes: Readonly<Record<string, (blob: Sdk, conditions: object) => Promise<unknown>>> = {
  'put blob': (blob, given) => blob.upload('new', 3, { conditions: given }),
  'put block': (blob, given) => blob.stageBlock(blockId(1), 'list', 4, { conditions: given }),
  'put block list': (blob, given) => blob.commitBlockList([blockId(1)], { conditions: given }),
  'set properties': (blob, given) => blob.setHTTPHeaders({}, { conditions: given }),
  'set metadata': (blob, given) => blob.setMetadata({}, { conditions: given }),
  delete: (blob, given) => blob.delete({ conditions: given }),
};
