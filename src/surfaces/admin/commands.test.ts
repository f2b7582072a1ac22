// What the management commands do to a store, and what they refuse.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import { accountSettings } from '../../cli/account.ts';
import { containerSettings } from '../../cli/container.ts';
import { fieldOf } from '../../cli/words.ts';
import { LocalKey } from '../../encryption/local-key.ts';
import { keys } from '../../metadata/keys.ts';
import { createContainer, deleteContainer, leaseContainer } from '../../namespace/containers.ts';
import type { JournalRecord } from '../../namespace/journal.ts';
import { Keyring } from '../../namespace/keyring.ts';
import { decodeRecord } from '../../namespace/records.ts';
import type { Store } from '../../namespace/store.ts';
import { settingFields } from './account-commands.ts';
import { managementCommands, runCommand } from './commands.ts';
import { policyFields } from './container-commands.ts';
import { createManagementStore, type ManualClock } from './store.testing.ts';

const cause = { by: 'causeway admin', requestId: 'request-1' };
const principal = '8a1e0000-0000-4000-8000-000000000001';
let store: Store;
let clock: ManualClock;
const actionOf = async (operation: string) => (operation === 'PutBlob' ? 'blob/create' : undefined);

beforeEach(() => {
  ({ store, clock } = createManagementStore());
});

const blob = 'http://127.0.0.1:10000';
const run = (name: string, input: object) => runCommand({ store, cause, blob, actionOf }, name, input);

async function value(name: string, input: object): Promise<Record<string, unknown>> {
  const outcome = await run(name, input);
  assert.equal(outcome.kind, 'done', JSON.stringify(outcome));
  return outcome.kind === 'done' ? (outcome.value as Record<string, unknown>) : {};
}

async function refused(name: string, input: object): Promise<{ code: string; message: string }> {
  const outcome = await run(name, input);
  assert.equal(outcome.kind, 'refused', JSON.stringify(outcome));
  return outcome.kind === 'refused' ? outcome : { code: '', message: '' };
}

async function makeContainer(account: string, container: string): Promise<void> {
  const outcome = await createContainer(store, { account, container, metadata: {}, publicAccess: 'none', cause });
  assert.equal(outcome.kind, 'ok');
}

async function journal(): Promise<JournalRecord[]> {
  const rows = await store.engine.snapshot((view) => view.scan(keys.journalAll(), { limit: 1000 }));
  return rows.map((row) => decodeRecord<JournalRecord>(row.value));
}

test('no two commands share a name, or a method and path', () => {
  const forms = managementCommands.map(({ method, path }) => `${method} ${path.replace(/\{\w+\}/g, '{}')}`);
  assert.equal(new Set(forms).size, forms.length);
  assert.equal(new Set(managementCommands.map(({ name }) => name)).size, managementCommands.length);
});

test('the command line knows every setting that the server takes, and no other', () => {
  assert.deepEqual(Object.keys(accountSettings).map(fieldOf), Object.keys(settingFields));
  assert.deepEqual(Object.keys(containerSettings).map(fieldOf), Object.keys(policyFields));
});

test('what is not known, or not of its type, is refused without repeating it', async () => {
  assert.equal((await refused('account destroy', {})).code, 'CommandNotFound');
  assert.deepEqual(await refused('account set', { account: 'photos', secret: 'c2VjcmV0' }), {
    kind: 'refused',
    code: 'InvalidInput',
    message: 'secret: there is no such field',
  });
  for (const input of [
    { versioning: 'c2VjcmV0' },
    { 'c2VjcmV0=': 1 },
    { networkRanges: ['c2VjcmV0'] },
    { account: 'c2VjcmV0' },
  ]) {
    const { code, message } = await refused('account set', { account: 'photos', ...input });
    assert.equal(code, 'InvalidInput');
    assert.doesNotMatch(message, /c2VjcmV0|\n/);
  }
});

describe('accounts', () => {
  test('are made, listed in pages, shown and taken away; keys are in no answer but the one that makes them', async () => {
    for (const account of ['ann', 'bob', 'carl']) {
      const made = await value('account create', { account });
      assert.match((made.keys as string[]).join(' '), /^\S{88} \S{88}$/);
    }
    assert.equal((await refused('account create', { account: 'bob' })).code, 'AccountAlreadyExists');
    const first = await value('account list', { limit: '2' });
    assert.deepEqual(
      [(first.accounts as { name: string }[]).map(({ name }) => name), first.next],
      [['ann', 'bob'], 'carl'],
    );
    const second = await value('account list', { limit: 2, from: 'carl' });
    assert.deepEqual([(second.accounts as unknown[]).length, second.next], [1, undefined]);
    const shown = JSON.stringify([
      await value('account show', { account: 'ann' }),
      first,
      await value('account set', { account: 'ann', versioning: true }),
    ]);
    assert.doesNotMatch(shown, /==/);
    const rotated = await value('account rotate-key', { account: 'ann', key: '2' });
    assert.match(rotated.key as string, /^\S{88}$/);
    await value('account delete', { account: 'ann' });
    assert.equal((await refused('account show', { account: 'ann' })).code, 'AccountNotFound');
    assert.equal((await refused('account delete', { account: 'ann' })).code, 'AccountNotFound');
  });

  test('with containers stay', async () => {
    await value('account create', { account: 'photos' });
    await makeContainer('photos', 'box');
    const { code, message } = await refused('account delete', { account: 'photos' });
    assert.deepEqual([code, message], ['AccountNotEmpty', 'account photos still has the container box']);
    await deleteContainer(store, { account: 'photos', container: 'box', conditions: {}, cause });
    await value('access assign', { account: 'photos', principal, role: 'Storage Blob Data Reader' });
    await value('account delete', { account: 'photos' });
    // A new account of the name has nothing of the old one.
    await value('account create', { account: 'photos' });
    assert.deepEqual((await value('access list', { account: 'photos' })).assignments, []);
  });

  test('every setting is kept, shown, and goes back to its default', async () => {
    await value('account create', { account: 'photos' });
    const before = (await value('account show', { account: 'photos' })).settings;
    const set = {
      versioning: true,
      changeFeed: true,
      softDeleteDays: 14,
      permanentDelete: true,
      containerSoftDeleteDays: 7,
      restoreDays: 6,
      lastAccessTracking: true,
      sharedKeyAccess: false,
      publicAccess: false,
      defaultTier: 'Cool',
      rehydrationStandardS: 3600,
      rehydrationHighS: 60,
      requestsPerS: 100,
      bytesPerS: 1_000_000,
      networkDefault: 'deny',
      networkRanges: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1'],
    };
    const after = (await value('account set', { account: 'photos', ...set })).settings;
    assert.deepEqual(after, { ...set, encryptionScope: null });
    const one = (await value('account set', { account: 'photos', networkRanges: null })).settings as typeof set;
    assert.deepEqual([one.networkDefault, one.networkRanges, one.softDeleteDays], ['deny', [], 14]);
    const none = Object.fromEntries(Object.keys(set).map((name) => [name, null]));
    assert.deepEqual((await value('account set', { account: 'photos', ...none })).settings, before);
    const changes = (await journal()).filter(({ operation }) => operation === 'account-changed');
    assert.deepEqual(
      changes.map(({ account, by, requestId }) => [account, by, requestId]),
      Array.from({ length: 3 }, () => ['photos', 'causeway admin', 'request-1']),
    );
  });

  test('settings that need others are refused without them', async () => {
    const account = 'photos';
    await value('account create', { account });
    const conflicts: [object, RegExp][] = [
      [{ restoreDays: 6 }, /needs versioning=on/],
      [{ restoreDays: 6, versioning: true }, /needs change-feed=on/],
      [{ restoreDays: 6, versioning: true, changeFeed: true }, /needs soft-delete-days/],
      [{ restoreDays: 7, versioning: true, changeFeed: true, softDeleteDays: 7 }, /fewer than soft-delete-days/],
      [{ permanentDelete: true }, /needs soft-delete-days/],
      [{ encryptionScope: 'nowhere' }, /no encryption scope nowhere/],
    ];
    for (const [input, expected] of conflicts) {
      const { code, message } = await refused('account set', { account, ...input });
      assert.equal(code, 'SettingsConflict');
      assert.match(message, expected);
    }
    await value('account set', { account, restoreDays: 6, versioning: true, changeFeed: true, softDeleteDays: 7 });
    // What others rest on stays.
    for (const input of [{ versioning: false }, { changeFeed: null }, { softDeleteDays: 6 }, { softDeleteDays: null }])
      assert.equal((await refused('account set', { account, ...input })).code, 'SettingsConflict');
    for (const [name, bad] of Object.entries({
      softDeleteDays: 366,
      restoreDays: 0,
      requestsPerS: 1.5,
      networkRanges: ['10.0.0.0/33'],
    }))
      assert.match((await refused('account set', { account, [name]: bad })).message, new RegExp(`^${name}`));
  });

  test('versioning stays on while versions of a container can be immutable', async () => {
    const account = 'photos';
    await value('account create', { account });
    await makeContainer(account, 'box');
    const at = { account, container: 'box' };
    assert.match((await refused('container set', { ...at, versionImmutability: true })).message, /needs versioning=on/);
    await value('account set', { account, versioning: true });
    await value('container set', { ...at, versionImmutability: true });
    assert.match((await refused('account set', { account, versioning: false })).message, /must stay on: .* box/);
    assert.match((await refused('container legal-hold', { ...at, add: ['abc'] })).message, /no legal hold of its own/);
    assert.equal((await refused('container set', { ...at, versionImmutability: false })).code, 'InvalidInput');
  });
});

describe('keys and containers', () => {
  test('a connection string has the key that is asked for, and the address that clients use', async () => {
    const { keys } = (await value('account create', { account: 'photos' })) as { keys: string[] };
    const asked = { account: 'photos', key: '2' };
    const shown = await value('account connection-string', asked);
    const endpoint = 'BlobEndpoint=http://127.0.0.1:10000/photos;';
    assert.equal(
      shown.connectionString,
      `DefaultEndpointsProtocol=http;AccountName=photos;AccountKey=${keys[1]};${endpoint}`,
    );
    assert.equal(shown.warning, undefined);
    await value('account set', { account: 'photos', sharedKeyAccess: false });
    assert.match((await value('account connection-string', asked)).warning as string, /^shared-key-access is off/);
    assert.equal((await refused('account connection-string', { account: 'nobody' })).code, 'AccountNotFound');
    const view = await value('account show', { account: 'photos' });
    assert.deepEqual(
      [view.endpoint, view.website],
      ['http://127.0.0.1:10000/photos', 'http://photos.web.localhost:10000/'],
    );
  });

  test('containers are made, listed by pages, and deleted', async () => {
    await value('account create', { account: 'photos' });
    const made = await value('container create', { account: 'photos', container: 'box-2', publicAccess: 'blob' });
    assert.deepEqual([made.publicAccess, made.url], ['blob', 'http://127.0.0.1:10000/photos/box-2']);
    for (const container of ['box-1', 'box-3', 'other'])
      await value('container create', { account: 'photos', container });
    const again = await refused('container create', { account: 'photos', container: 'other' });
    assert.equal(again.code, 'ContainerAlreadyExists');
    const names = async (more: object) => {
      const { containers, next } = await value('container list', { account: 'photos', ...more });
      return [(containers as { name: string }[]).map(({ name }) => name).join(), next];
    };
    assert.deepEqual(await names({}), ['box-1,box-2,box-3,other', undefined]);
    assert.deepEqual(await names({ limit: '2' }), ['box-1,box-2', 'box-3']);
    assert.deepEqual(await names({ limit: '2', from: 'box-3' }), ['box-3,other', undefined]);
    assert.deepEqual(await names({ prefix: 'box' }), ['box-1,box-2,box-3', undefined]);
    await value('container delete', { account: 'photos', container: 'box-2' });
    assert.deepEqual(await names({ prefix: 'box' }), ['box-1,box-3', undefined]);
    const gone = await refused('container delete', { account: 'photos', container: 'box-2' });
    assert.equal(gone.code, 'ContainerNotFound');
    const lease = { action: 'acquire', durationS: -1, proposedId: '11111111-2222-3333-4444-555555555555' } as const;
    await leaseContainer(store, { account: 'photos', container: 'box-1', conditions: {}, cause }, lease);
    assert.equal(
      (await refused('container delete', { account: 'photos', container: 'box-1' })).code,
      'ContainerLeased',
    );
    for (const container of ['$logs', '$blobchangefeed']) {
      for (const name of ['container create', 'container delete'])
        assert.equal((await refused(name, { account: 'photos', container })).code, 'InvalidInput');
    }
    assert.equal((await refused('container create', { account: 'nobody', container: 'box' })).code, 'AccountNotFound');
    await value('account set', { account: 'photos', publicAccess: false });
    const open = { account: 'photos', container: 'open', publicAccess: 'container' };
    assert.equal((await refused('container create', open)).code, 'SettingsConflict');
    const operations = (await journal()).map(({ operation }) => operation);
    assert.ok(operations.includes('container-created') && operations.includes('container-deleted'));
  });
});

describe('access', () => {
  const account = 'photos';
  const definition = {
    Name: 'Auditor',
    IsCustom: true,
    Actions: [],
    DataActions: ['Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'],
    AssignableScopes: ['/'],
  };
  beforeEach(() => value('account create', { account }));

  test('assigns built-in roles and the roles of the account, once each', async () => {
    const reader = { account, principal, role: 'storage blob data reader', container: 'box', prefix: 'a/' };
    const made = await value('access assign', reader);
    assert.equal(made.role, 'Storage Blob Data Reader');
    assert.equal((await refused('access assign', reader)).code, 'AssignmentAlreadyExists');
    assert.equal((await refused('access assign', { account, principal, role: 'Auditor' })).code, 'RoleNotFound');
    await value('access role create', { account, definition });
    const auditor = await value('access assign', { account, principal, role: 'Auditor' });
    assert.equal((await refused('access role delete', { account, role: 'Auditor' })).code, 'RoleInUse');
    const listed = (await value('access list', { account })).assignments as { id: string }[];
    assert.deepEqual(
      listed.map(({ id }) => id),
      [made.id, auditor.id],
    );
    await value('access unassign', { account, id: auditor.id as string });
    assert.equal((await refused('access unassign', { account, id: auditor.id as string })).code, 'AssignmentNotFound');
    await value('access role delete', { account, role: 'Auditor' });
    assert.equal((await refused('access role delete', { account, role: 'Auditor' })).code, 'RoleNotFound');
  });

  test('refuses what names nobody and nothing', async () => {
    const good = { account, principal, role: 'Storage Blob Data Reader' };
    for (const bad of [
      { principal: 'Ann' },
      { prefix: 'a/' },
      { container: 'Box' },
      { container: 'a', prefix: '' },
      { role: '' },
    ])
      assert.equal((await refused('access assign', { ...good, ...bad })).code, 'InvalidInput', JSON.stringify(bad));
    for (const command of ['access assign', 'access list'])
      assert.equal(
        (await refused(command, { ...(command === 'access assign' && good), account: 'nobody' })).code,
        'AccountNotFound',
      );
  });

  test('reads role definitions in the forms that the Azure tools have', async () => {
    const expected = {
      name: 'Auditor',
      actions: [],
      notActions: [],
      dataActions: definition.DataActions,
      notDataActions: [],
    };
    const permissions = [{ actions: [], dataActions: definition.DataActions, condition: null }];
    for (const given of [
      definition,
      { name: 'b7e6dc6d-0000-4000-8000-000000000001', roleName: 'Auditor', roleType: 'CustomRole', permissions },
      { properties: { roleName: 'Auditor', permissions, assignableScopes: ['/'] } },
    ])
      assert.deepEqual(await value('access role create', { account, definition: given }), expected);
    assert.equal(((await value('access role list', { account })).roles as unknown[]).length, 1);
    for (const bad of [
      'Auditor',
      [],
      {},
      { ...definition, DataActions: [] },
      { ...definition, DataActions: ['read; drop'] },
      { ...definition, Name: 'Storage Blob Data Owner' },
      { ...definition, Colour: 'blue' },
      { roleName: 'Auditor', permissions: [...permissions, ...permissions] },
      { roleName: 'Auditor', permissions: [{ ...permissions[0], condition: '(true)' }] },
    ])
      assert.equal(
        (await refused('access role create', { account, definition: bad })).code,
        'InvalidInput',
        JSON.stringify(bad),
      );
  });
});

test('encryption scopes are made with a key of one kind, listed, rotated, and switched off and on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-scopes-'));
  try {
    const { engine, random } = store;
    const local = new LocalKey({ path: join(directory, 'keys', 'customer.json'), clock, random });
    store = { ...store, keyring: new Keyring({ engine, clock, providers: { local } }) };
    await value('account create', { account: 'photos' });
    const at = { account: 'photos', scope: 'first' };
    const made = await value('scope create', at);
    assert.deepEqual([made.name, made.source, made.state], ['first', 'local', 'enabled']);
    assert.equal((await refused('scope create', at)).code, 'ScopeAlreadyExists');
    const vault = { ...at, scope: 'second', keyVaultKey: 'https://a.vault.azure.net/keys/blobs' };
    assert.equal((await refused('scope create', vault)).code, 'KeyNotAvailable');
    assert.equal((await refused('scope create', { ...vault, local: true })).code, 'InvalidInput');
    assert.equal((await refused('scope create', { ...vault, keyVaultKey: 'http://a/keys/b' })).code, 'InvalidInput');
    assert.equal((await refused('scope create', { ...at, account: 'nobody' })).code, 'AccountNotFound');
    const settings = await value('account set', { account: 'photos', encryptionScope: 'first' });
    assert.equal((settings.settings as { encryptionScope: string }).encryptionScope, 'first');
    const rotated = await value('scope rotate', { ...at, renew: true });
    assert.notEqual(rotated.keyVersion, made.keyVersion);
    assert.equal((await value('scope disable', at)).state, 'disabled');
    assert.equal((await value('scope enable', at)).state, 'enabled');
    assert.equal((await refused('scope rotate', { ...at, scope: 'other' })).code, 'ScopeNotFound');
    const listed = await value('scope list', { account: 'photos' });
    assert.deepEqual(
      (listed.scopes as { name: string }[]).map(({ name }) => name),
      ['first'],
    );
    // No key is in an answer, wrapped or not.
    assert.doesNotMatch(JSON.stringify([made, rotated, listed]), /wrapped|"keys"/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a container is restored to a time that its account can go back to', async () => {
  const account = 'photos';
  await value('account create', { account });
  await makeContainer(account, 'box');
  const at = { account, container: 'box' };
  const before = new Date(clock.now()).toISOString();
  clock.nowMs += 60_000;
  assert.match((await refused('container restore', { ...at, to: before })).message, /needs versioning=on/);
  await value('account set', { account, versioning: true, changeFeed: true, softDeleteDays: 7, restoreDays: 6 });
  assert.equal((await refused('container restore', { ...at, to: '2026-01-01' })).code, 'InvalidInput');
  assert.equal((await refused('container restore', { ...at, to: '2025-01-01T00:00:00Z' })).code, 'PolicyRefused');
  assert.equal((await refused('container restore-status', at)).code, 'RestoreNotFound');
  const begun = await value('container restore', { ...at, to: before, from: 'a', until: 'b' });
  assert.deepEqual([begun.state, begun.to], ['running', before]);
  assert.deepEqual(await value('container restore-status', at), begun);
  assert.match((await refused('container restore', { ...at, to: before })).message, /is running/);
});

describe('access check', () => {
  const account = 'photos';
  const read = { account, principal, action: 'blob/read', container: 'box', blob: 'a/b' };
  beforeEach(() => value('account create', { account }));

  test('tells of the assignment that allows, or of the one that came closest', async () => {
    const before = await value('access check', read);
    assert.deepEqual(
      [before.decision, before.reason],
      ['denied', 'nothing is assigned to the principal or to a group of it'],
    );
    const group = '8a1e0000-0000-4000-8000-00000000000A';
    const reader = { account, principal: group, role: 'Storage Blob Data Reader', container: 'box', prefix: 'a/' };
    const { id } = await value('access assign', reader);
    assert.equal((await value('access check', read)).decision, 'denied');
    const allowed = await value('access check', { ...read, groups: [group] });
    assert.equal(allowed.decision, 'allowed');
    assert.match(allowed.reason as string, new RegExp(`assignment ${id}`));
    const elsewhere = await value('access check', { ...read, groups: [group], blob: 'ab' });
    assert.match(elsewhere.reason as string, /its scope does not hold the resource/);
    const write = await value('access check', { ...read, groups: [group], action: undefined, operation: 'PutBlob' });
    assert.deepEqual([write.action, write.decision], ['blob/create', 'denied']);
  });

  test('asks the network rules where an address is given, and looks at the tags that a condition wants', async () => {
    const tag =
      '@Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags:Project<$key_case_sensitive$>]';
    const condition = `(${tag} StringEquals 'Cascade')`;
    await value('access assign', { account, principal, role: 'Storage Blob Data Reader', condition });
    // There is no such blob: its tags are none, and the condition is not met.
    assert.match((await value('access check', read)).reason as string, /its condition is not met/);
    await value('access assign', { account, principal, role: 'Storage Blob Data Owner' });
    assert.equal((await value('access check', read)).decision, 'allowed');
    await value('account set', { account, networkDefault: 'deny', networkRanges: ['10.0.0.0/8'] });
    assert.equal((await value('access check', { ...read, address: '10.1.2.3' })).decision, 'allowed');
    assert.equal((await value('access check', { ...read, address: '11.1.2.3' })).network, 'refused');
  });

  test('refuses what asks for nothing, or for what there is not', async () => {
    const { action: _, ...nothing } = read;
    for (const bad of [
      nothing,
      { ...read, operation: 'PutBlob' },
      { ...read, action: 'blob/fly' },
      { ...nothing, operation: 'FlyBlob' },
      { ...read, container: undefined },
      { ...read, address: 'here' },
      { ...read, principal: 'ann' },
    ])
      assert.equal((await refused('access check', bad)).code, 'InvalidInput');
    assert.equal((await refused('access check', { ...read, account: 'nobody' })).code, 'AccountNotFound');
  });
});

test('admin tokens are shown once', async () => {
  const made = await value('admin-token create', { name: 'deploy', days: 1 });
  assert.match(made.token as string, /^causeway-admin\.deploy\.\S{43}$/);
  const listed = await value('admin-token list', {});
  assert.deepEqual(listed.tokens, [
    { name: 'deploy', created: '2026-01-01T00:00:00.000Z', expires: '2026-01-02T00:00:00.000Z' },
  ]);
  assert.equal((await refused('admin-token create', { name: 'deploy' })).code, 'TokenAlreadyExists');
  await value('admin-token revoke', { name: 'deploy' });
  assert.equal((await refused('admin-token revoke', { name: 'deploy' })).code, 'TokenNotFound');
});
