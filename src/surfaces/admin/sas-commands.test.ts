// Signatures that the command makes, against the verifier that takes them and against what else is documented of them.
import assert from 'node:assert/strict';
import { createHmac, createSecretKey } from 'node:crypto';
import { beforeEach, describe, test } from 'node:test';
import { parseAccountKey } from '../../identity/account-key.ts';
import { delegationKeyValue } from '../../identity/delegation-key.ts';
import { parseSas } from '../../identity/sas.ts';
import { type SasTarget, type StoredAccessPolicy, verifySas } from '../../identity/verify-sas.ts';
import { changeAccount, getAccount } from '../../namespace/accounts.ts';
import { changeContainer, createContainer } from '../../namespace/containers.ts';
import type { Store } from '../../namespace/store.ts';
import { runCommand } from './commands.ts';
import { createManagementStore, type ManualClock } from './store.testing.ts';

const account = 'photos';
const cause = { by: 'test', requestId: '' };
const principal = '8a1e0000-0000-4000-8000-000000000001';
const tenant = '8a1e0000-0000-4000-8000-00000000000f';
let store: Store;
let clock: ManualClock;
let keys: readonly [string, string];

beforeEach(async () => {
  ({ store, clock } = createManagementStore());
  const made = await runCommand(context('http://127.0.0.1:10000'), 'account create', { account });
  assert.equal(made.kind, 'done');
  ({ keys } = (await getAccount(store, account)) as { keys: readonly [string, string] });
  await createContainer(store, { account, container: 'box', metadata: {}, publicAccess: 'none', cause });
});

const context = (blob: string) => ({ store, cause, blob, actionOf: async () => undefined });

interface Made {
  readonly token: string;
  readonly url: string;
  readonly expires: string | null;
  readonly permissions: string | null;
  readonly warning?: string;
}

async function make(input: object, blob = 'http://127.0.0.1:10000'): Promise<Made> {
  const outcome = await runCommand(context(blob), 'sas create', { account, ...input });
  assert(outcome.kind === 'done', JSON.stringify(outcome));
  return outcome.value as Made;
}

async function refused(input: object): Promise<string> {
  const outcome = await runCommand(context('http://h:1'), 'sas create', { account, ...input });
  assert(outcome.kind === 'refused', JSON.stringify(outcome));
  return `${outcome.code}: ${outcome.message}`;
}

const queryOf = (token: string) => new Map([...new URLSearchParams(token)].map(([name, value]) => [name, [value]]));

function verified(
  token: string,
  target: Omit<SasTarget, 'account'>,
  policies: readonly StoredAccessPolicy[] = [],
  key = keys[0],
) {
  const sas = parseSas(queryOf(token));
  assert(sas.kind !== 'none' && sas.kind !== 'malformed', JSON.stringify(sas));
  const parsed = parseAccountKey(key);
  assert(parsed !== undefined);
  const signing =
    sas.kind === 'delegated'
      ? createSecretKey(delegationKeyValue(Buffer.from(secret, 'base64'), account, sas.key))
      : parsed;
  return verifySas(sas, { account, ...target }, [signing], policies, {
    nowMs: store.wallClock.now() + 1000,
    clientIp: '10.0.0.1',
    protocol: 'http',
  });
}

let secret = '';

describe('a signature', () => {
  test('of an account, a container, a blob, a snapshot or a version is what the verifier takes', async () => {
    const snapshot = '2026-01-01T00:00:00.0000000Z';
    const cases: [input: object, target: Omit<SasTarget, 'account'>, path: string][] = [
      [{}, {}, '/photos'],
      [{ container: 'box' }, { container: 'box' }, '/photos/box'],
      [{ container: 'box', blob: 'a b/ü' }, { container: 'box', blob: 'a b/ü' }, '/photos/box/a%20b/%C3%BC'],
      [{ container: 'box', blob: 'a\\b' }, { container: 'box', blob: 'a/b' }, '/photos/box/a/b'],
      [{ container: 'box', blob: 'a/../b/./c' }, { container: 'box', blob: 'b/c' }, '/photos/box/b/c'],
      [{ container: 'box', blob: 'a', snapshot }, { container: 'box', blob: 'a', snapshot }, '/photos/box/a'],
      [
        { container: 'box', blob: 'a', versionId: snapshot },
        { container: 'box', blob: 'a', version: snapshot },
        '/photos/box/a',
      ],
    ];
    for (const [input, target, path] of cases) {
      const { token, url, expires } = await make(input);
      assert.equal(verified(token, target).kind, 'ok', JSON.stringify(input));
      assert.equal(
        verified(token, { container: 'other', blob: 'b' }).kind,
        Object.keys(target).length === 0 ? 'ok' : 'sas-signature-mismatch',
      );
      assert.equal(new URL(url).origin + new URL(url).pathname, `http://127.0.0.1:10000${path}`);
      assert.ok(url.endsWith(token));
      assert.equal(Date.parse(expires ?? ''), clock.now() + 3_600_000);
    }
  });

  test('has the signature that the documentation asks for', async () => {
    const { token } = await make({
      container: 'box',
      blob: 'a',
      permissions: 'wr',
      expiry: '2026-02-01',
      ip: '10.0.0.1',
      httpsOnly: true,
    });
    const query = new URLSearchParams(token);
    assert.equal(query.get('sp'), 'rw', 'in the order of the service');
    const fields = [
      'rw',
      '',
      '2026-02-01T00:00:00Z',
      '/blob/photos/box/a',
      '',
      '10.0.0.1',
      'https',
      '2025-07-05',
      'b',
      '',
      '',
    ];
    const text = [...fields, '', '', '', '', ''].join('\n');
    assert.equal(query.get('sig'), createHmac('sha256', Buffer.from(keys[0], 'base64')).update(text).digest('base64'));
  });

  test('is made by the second key, for a time that begins later', async () => {
    const { token, expires } = await make({
      key: '2',
      start: '10m',
      expiry: '2h',
      resourceTypes: 'o',
      permissions: 'r',
    });
    assert.equal(Date.parse(expires ?? ''), clock.now() + 130 * 60_000);
    assert.equal(verified(token, {}).kind, 'sas-signature-mismatch');
    assert.equal(verified(token, {}, [], keys[1]).kind, 'sas-not-in-time');
    clock.nowMs += 11 * 60_000;
    assert.equal(verified(token, {}, [], keys[1]).kind, 'ok');
  });

  test('says what its policy leaves out, and no more', async () => {
    const policies = [
      { id: 'all', permission: 'rwl', expiry: '2026-03-01' },
      { id: 'when', expiry: '2026-03-01' },
    ];
    await changeContainer(store, { account, container: 'box', conditions: {}, cause }, { policies });
    const whole = await make({ container: 'box', policy: 'all' });
    assert.deepEqual([whole.expires, whole.permissions], [null, null]);
    const stored = [
      { id: 'all', permissions: 'rwl', expiryMs: Date.parse('2026-03-01') },
      { id: 'when', expiryMs: Date.parse('2026-03-01') },
    ];
    assert.equal(verified(whole.token, { container: 'box' }, stored).kind, 'ok');
    const half = await make({ container: 'box', policy: 'when', permissions: 'r' });
    assert.equal(verified(half.token, { container: 'box' }, stored).kind, 'ok');
    assert.match(
      await refused({ container: 'box', policy: 'all', permissions: 'r' }),
      /^InvalidInput: permissions: the stored/,
    );
    assert.match(await refused({ container: 'box', policy: 'none' }), /^AccessPolicyNotFound: /);
  });

  test('in the name of a user is made by a key of that user, and changes nothing that is known of the user', async () => {
    const input = { container: 'box', principal, tenant, expiry: '7d' };
    const { token } = await make(input);
    secret = (await getAccount(store, account))?.delegationSecret ?? '';
    const outcome = verified(token, { container: 'box' });
    assert.equal(outcome.kind === 'ok' && outcome.grant.delegation?.oid, principal);
    assert.match(await refused({ ...input, expiry: '8d' }), /^InvalidInput: expiry: .* seven days/);
    assert.match(await refused({ container: 'box', principal }), /^InvalidInput: tenant: is needed/);
    await changeAccount(store, account, { settings: { sharedKeyAccess: false } }, cause);
    assert.match(await refused({}), /^SettingsConflict: shared-key-access is off/);
    assert.equal(verified((await make(input)).token, { container: 'box' }).kind, 'ok');
  });

  test('holds from now on by the clock that it is verified by, also where the store is ahead of it', async () => {
    store = { ...store, wallClock: { ...store.wallClock, now: () => clock.now() - 3 * 3_600_000 } };
    for (const signer of [{}, { principal, tenant }]) {
      const { token, expires } = await make({ container: 'box', ...signer });
      secret = (await getAccount(store, account))?.delegationSecret ?? '';
      assert.equal(verified(token, { container: 'box' }).kind, 'ok');
      assert.equal(Date.parse(expires ?? ''), store.wallClock.now() + 3_600_000);
    }
  });

  test('is refused for what could never be taken', async () => {
    const cases: [input: object, refusal: RegExp][] = [
      [{ blob: 'a' }, /^InvalidInput: blob: needs a container/],
      [{ container: 'nobox' }, /^ContainerNotFound: /],
      [{ account: 'nobody' }, /^AccountNotFound: /],
      [{ container: 'box', snapshot: '2026-01-01T00:00:00Z' }, /^InvalidInput: snapshot: needs a blob/],
      [{ permissions: 'rq' }, /^InvalidInput: permissions: must be letters/],
      [{ expiry: 'soon' }, /^InvalidInput: expiry: must be a time/],
      [{ expiry: '2020-01-01' }, /^InvalidInput: expiry: is past/],
      [{ start: '2026-05-01', expiry: '2026-04-01' }, /^InvalidInput: expiry: is before the start/],
      [{ ip: 'localhost' }, /^InvalidInput: ip: must be an IPv4 address/],
      [{ ip: '300.1.1.1' }, /^InvalidInput: ip: must be an IPv4 address/],
      [{ container: 'box', blob: '../a' }, /^InvalidInput: blob: names nothing/],
      [{ container: 'box', blob: 'a', snapshot: 'x' }, /^InvalidInput: snapshot: must be the time/],
      [{ container: 'box', blob: 'a', versionId: 'x' }, /^InvalidInput: versionId: must be the id/],
      [{ container: 'box', resourceTypes: 'o' }, /^InvalidInput: resourceTypes: only of an account/],
      [{ container: 'box', policy: 'x', principal, tenant }, /^InvalidInput: policy: not with a principal/],
    ];
    for (const [input, refusal] of cases) assert.match(await refused(input), refusal);
  });

  test('for HTTPS only is warned of where the address speaks HTTP', async () => {
    assert.match((await make({ httpsOnly: true })).warning ?? '', /HTTP/);
    assert.equal((await make({ httpsOnly: true }, 'https://blobs.example')).warning, undefined);
  });
});
