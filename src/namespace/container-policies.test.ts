// Which way the policies of a container may go: everything for an unlocked retention, only longer for a locked one.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAccount } from './accounts.ts';
import { applyPolicies, changePolicies, type PolicyChanges } from './container-policies.ts';
import type { ContainerRecord } from './records.ts';
import { openServiceContainer } from './service-files.ts';
import { account, cause, TestStore } from './store.testing.ts';

const fresh: ContainerRecord = {
  id: '00',
  etag: '0x1',
  createdMs: 0,
  modifiedMs: 0,
  metadata: {},
  publicAccess: 'none',
  policies: [],
};

function after(record: ContainerRecord, ...changes: readonly PolicyChanges[]): ContainerRecord {
  return changes.reduce((before, each) => {
    const outcome = applyPolicies(before, each, true);
    assert.equal(outcome.kind, 'ok', JSON.stringify(outcome));
    return outcome.kind === 'ok' ? outcome.record : before;
  }, record);
}

function refusal(record: ContainerRecord, changes: PolicyChanges, versioning = true): string {
  const outcome = applyPolicies(record, changes, versioning);
  assert.equal(outcome.kind, 'policy-refused', JSON.stringify(outcome));
  return outcome.kind === 'policy-refused' ? outcome.message : '';
}

describe('retention', () => {
  test('unlocked is raised, lowered and removed', () => {
    const set = after(fresh, { retentionDays: 7 });
    assert.deepEqual(set.immutability, { days: 7, state: 'unlocked' });
    assert.equal(after(set, { retentionDays: 9 }, { retentionDays: 2 }).immutability?.days, 2);
    assert.deepEqual(after(set, { retentionDays: null }), fresh);
    const appends = after(set, { protectedAppends: 'all' }, { retentionDays: 8 });
    assert.deepEqual(appends.immutability, { days: 8, state: 'unlocked', protectedAppends: 'all' });
    assert.deepEqual(after(appends, { protectedAppends: null }).immutability, { days: 8, state: 'unlocked' });
  });

  test('locked is extended five times, and nothing else', () => {
    let locked = after(fresh, { retentionDays: 7, protectedAppends: 'append' }, { retentionLock: true });
    assert.deepEqual(locked.immutability, { days: 7, state: 'locked', protectedAppends: 'append' });
    assert.match(refusal(locked, { retentionDays: 6 }), /only be extended/);
    assert.match(refusal(locked, { retentionDays: null }), /cannot be removed/);
    for (const protectedAppends of ['all', null] as const) assert.match(refusal(locked, { protectedAppends }), /stays/);
    // Saying again what is so is no extension.
    locked = after(locked, { retentionLock: true }, { retentionDays: 7, protectedAppends: 'append' });
    for (let days = 8; days < 13; days++) locked = after(locked, { retentionDays: days });
    assert.deepEqual(locked.immutability, { days: 12, state: 'locked', protectedAppends: 'append', extensions: 5 });
    assert.match(refusal(locked, { retentionDays: 13 }), /extended 5 times/);
  });

  test('is locked in one change with its days, and not without any', () => {
    assert.equal(after(fresh, { retentionDays: 1, retentionLock: true }).immutability?.state, 'locked');
    assert.match(refusal(fresh, { retentionLock: true }), /needs retention-days/);
    assert.match(refusal(fresh, { protectedAppends: 'all' }), /needs retention-days/);
    const set = after(fresh, { retentionDays: 1 });
    assert.match(refusal(set, { retentionDays: null, retentionLock: true }), /cannot be locked/);
  });

  test('no change of another kind takes it off', () => {
    const locked = after(fresh, { retentionDays: 7, retentionLock: true });
    const others: PolicyChanges[] = [
      { quotaBytes: 5 },
      { addLegalHolds: ['abc'] },
      { versionImmutability: true },
      { encryptionScope: 'one', denyScopeOverride: true },
    ];
    for (const changes of others) assert.deepEqual(after(locked, changes).immutability, locked.immutability);
  });
});

describe('legal holds', () => {
  test('are kept in lower case, once each, at most ten', () => {
    const held = after(fresh, { addLegalHolds: ['Case42', 'case42', 'abc'] });
    assert.deepEqual(held.legalHolds, ['abc', 'case42']);
    assert.deepEqual(after(held, { clearLegalHolds: ['CASE42', 'never'] }).legalHolds, ['abc']);
    assert.deepEqual(after(held, { clearLegalHolds: ['abc', 'case42'] }), fresh);
    const ten = after(fresh, { addLegalHolds: Array.from({ length: 10 }, (_, index) => `tag${index}`) });
    assert.match(refusal(ten, { addLegalHolds: ['more'] }), /at most 10/);
    assert.equal(after(ten, { addLegalHolds: ['more'], clearLegalHolds: ['tag0'] }).legalHolds?.length, 10);
    assert.match(refusal(fresh, { addLegalHolds: ['one'], clearLegalHolds: ['ONE'] }), /at once/);
  });

  test('and immutable versions exclude each other', () => {
    assert.match(refusal(after(fresh, { addLegalHolds: ['abc'] }), { versionImmutability: true }), /no legal hold/);
    assert.match(refusal(after(fresh, { versionImmutability: true }), { addLegalHolds: ['abc'] }), /no legal hold/);
  });
});

test('immutable versions need versioning, and stay', () => {
  assert.match(refusal(fresh, { versionImmutability: true }, false), /needs versioning/);
  const set = after(fresh, { versionImmutability: true });
  assert.equal(after(set, { quotaBytes: 1 }, { quotaBytes: null }).versionImmutability, true);
});

test('to deny other scopes there must be one', () => {
  assert.match(refusal(fresh, { denyScopeOverride: true }), /needs an encryption-scope/);
  const set = after(fresh, { encryptionScope: 'one', denyScopeOverride: true });
  assert.match(refusal(set, { encryptionScope: null }), /needs an encryption-scope/);
  assert.deepEqual(after(set, { encryptionScope: null, denyScopeOverride: false }), fresh);
});

test('the server’s own containers take none', async () => {
  await using held = await TestStore.open();
  const { store } = held;
  await createAccount(store, account, ['a2V5', 'a2V5'], cause);
  for (const container of ['$logs', '$blobchangefeed']) {
    const name = { account, container };
    await store.engine.transact((txn) => openServiceContainer(store, txn, name, cause));
    const all: PolicyChanges[] = [{ quotaBytes: 1 }, { addLegalHolds: ['case'] }, { retentionDays: 1 }];
    for (const changes of all) assert.equal((await changePolicies(store, name, changes, cause)).kind, 'policy-refused');
  }
  assert.equal((await changePolicies(store, { account, container: 'box' }, { quotaBytes: 1 }, cause)).kind, 'ok');
});
