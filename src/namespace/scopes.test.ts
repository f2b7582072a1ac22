// Encryption scopes over a vault that a test revokes, restores and rotates.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { type Envelope, unwrapKey, wrapKey } from '../content/seal.ts';
import { keys } from '../metadata/keys.ts';
import { createAccount } from './accounts.ts';
import { changePolicies } from './container-policies.ts';
import { getEntry, putEntry } from './entries.ts';
import { fsck } from './fsck.ts';
import { processGarbage } from './garbage.ts';
import { KeyError, type KeyProblem, type KeyProvider, Keyring, type WrappedKey } from './keyring.ts';
import { createPages } from './pages.ts';
import { checkReadable, readContent, readShortContent } from './read.ts';
import { reclaimOnce } from './reclaim.ts';
import { decodeRecord, type Entry, encodeRecord, unpackPieces } from './records.ts';
import {
  accountKeyScope,
  changeScope,
  chooseSealing,
  createScope,
  customerUnsealer,
  listScopes,
  parseKeyUrl,
  rotateScope,
} from './scopes.ts';
import { account, cause, TestStore } from './store.testing.ts';
import type { Store } from './store.ts';
import { commitBlocks, stageBlock } from './uploads.ts';

/** A vault in memory that a test can revoke, restore and rotate. */
class TestVault implements KeyProvider {
  readonly versions = new Map<string, Buffer>();
  problem: KeyProblem | undefined;
  unwraps = 0;
  #newest = 0;

  constructor() {
    this.rotate();
  }

  rotate(): void {
    this.versions.set(`v${++this.#newest}`, Buffer.alloc(32, this.#newest));
  }

  forget(version: string): void {
    this.versions.delete(version);
  }

  async wrap(_url: string | undefined, key: Buffer): Promise<WrappedKey> {
    this.#check();
    const keyVersion = `v${this.#newest}`;
    return { wrapped: wrapKey(this.versions.get(keyVersion) as Buffer, key), keyVersion };
  }

  async unwrap(_url: string | undefined, { wrapped, keyVersion }: WrappedKey): Promise<Buffer> {
    this.unwraps++;
    await new Promise((resolve) => setImmediate(resolve));
    this.#check();
    const key = this.versions.get(keyVersion);
    const unwrapped = key && unwrapKey(key, wrapped);
    if (unwrapped === undefined) throw new KeyError('key-not-found', `version ${keyVersion} is not there`);
    return unwrapped;
  }

  #check(): void {
    if (this.problem !== undefined) throw new KeyError(this.problem, 'the vault refuses');
  }
}

const keyUrl = 'https://vault.example/keys/customer';
const scope = 'customer-a';

class Scoped implements AsyncDisposable {
  readonly held: TestStore;
  readonly vault = new TestVault();
  store: Store;

  static async open(segmentBytes = 4 * 1024 * 1024): Promise<Scoped> {
    const made = new Scoped(await TestStore.open(segmentBytes));
    await createAccount(made.store, account, ['a2V5', 'a2V5'], cause);
    const outcome = await createScope(made.store, { account, scope, source: 'key-vault', keyUrl, cause });
    assert.equal(outcome.kind, 'ok');
    return made;
  }

  private constructor(held: TestStore) {
    this.held = held;
    this.store = this.another(held.store);
  }

  another(store: Store): Store {
    const { engine, clock } = this.held;
    return { ...store, keyring: new Keyring({ engine, clock, providers: { 'key-vault': this.vault } }) };
  }

  async put(name: string, bytes: Buffer, wanted: Parameters<typeof chooseSealing>[2] = { scope }): Promise<Entry> {
    const chosen = await chooseSealing(this.store, { account, container: 'box' }, wanted);
    assert(chosen.kind === 'ok', chosen.kind);
    const { sealing } = chosen;
    async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
      yield bytes;
    }
    const outcome = await putEntry(this.store, {
      account,
      container: 'box',
      name,
      conditions: {},
      cause,
      attributes: { headers: {}, metadata: {}, ...(sealing && { encryption: sealing.encryption }) },
      body: { chunks: chunks(), length: bytes.length, lengthMax: bytes.length, wantMd5: true, seal: sealing?.sealer },
    });
    assert(outcome.kind === 'ok', outcome.kind);
    return outcome.entry;
  }

  async read(name: string): Promise<Buffer> {
    return await read(this.store, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.held[Symbol.asyncDispose]();
  }
}

async function read(store: Store, name: string, unsealer = store.keyring as Parameters<typeof readContent>[4]) {
  const found = await getEntry(store, { account, container: 'box', name, conditions: {} });
  assert(found.kind === 'ok', found.kind);
  const { length } = found.entry.record;
  const short = await readShortContent(store, found.entry, 0, length, unsealer);
  const parts: Buffer[] = [];
  for await (const chunk of readContent(store, found.entry, 0, length, unsealer)) {
    parts.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  const bytes = Buffer.concat(parts);
  if (short !== undefined) assert(short.equals(bytes));
  return bytes;
}

const refusedFor = (problem: KeyProblem) => (error: unknown) => error instanceof KeyError && error.problem === problem;

async function stored(held: TestStore): Promise<Buffer> {
  const names = (await readdir(held.directory)).sort();
  return Buffer.concat(await Promise.all(names.map((name) => readFile(join(held.directory, name)))));
}

test('content of a scope is sealed, however small, and its record names the scope and no key', async () => {
  await using it = await Scoped.open();
  const bytes = it.held.bytes(200_000);
  for (const [name, part] of [
    ['large', bytes],
    ['small', Buffer.from('a secret')],
  ] as const) {
    const entry = await it.put(name, part);
    assert.deepEqual(entry.record.encryption, { scope });
    assert.equal(entry.inline, undefined);
    const pieces = unpackPieces(entry.record.pieces as number[]);
    assert(pieces.every((piece) => piece.sealed !== undefined));
    assert((await it.read(name)).equals(part));
  }
  const rows = await it.store.engine.snapshot((view) => view.scan(keys.allScopes(), { limit: 10 }));
  const row = rows[0] as { value: Uint8Array };
  for (const version of it.vault.versions.values()) assert.equal(Buffer.from(row.value).indexOf(version), -1);
  assert.equal((await stored(it.held)).indexOf('a secret'), -1);
  const journal = await it.store.engine.snapshot((view) =>
    view.scan({ start: keys.journal(), end: Buffer.from([0x4b]) }, { limit: 100 }),
  );
  const said = journal.map(({ value }) => JSON.stringify(decodeRecord(value))).join('\n');
  assert.match(said, /"operation":"scope-changed".*"name":"customer-a"/);
  assert(!said.includes('wrapped'));
});

test('the scope is the one that the request names, else the container’s, else the account’s', async () => {
  await using it = await Scoped.open();
  for (const name of ['of-container', 'of-account']) {
    const made = await createScope(it.store, { account, scope: name, source: 'key-vault', keyUrl, cause });
    assert.equal(made.kind, 'ok');
  }
  const chosen = async (wanted: string | undefined): Promise<string | undefined> => {
    const outcome = await chooseSealing(it.store, { account, container: 'box' }, { scope: wanted });
    return outcome.kind === 'ok' ? outcome.sealing?.encryption.scope : outcome.kind;
  };
  assert.equal(await chosen(undefined), undefined);
  assert.equal(await chosen(scope), scope);
  assert.equal(await chosen('nowhere'), 'scope-not-found');
  const record = await it.store.engine.snapshot((view) => view.get(keys.account(account)));
  await it.store.engine.transact((txn) => {
    const before = decodeRecord<object>(record as Uint8Array);
    txn.put(keys.account(account), encodeRecord({ ...before, settings: { encryptionScope: 'of-account' } }));
  });
  assert.equal(await chosen(undefined), 'of-account');
  assert.equal(await chosen(accountKeyScope), undefined);
  const box = { account, container: 'box' };
  assert.equal((await changePolicies(it.store, box, { encryptionScope: 'of-container' }, cause)).kind, 'ok');
  assert.equal(await chosen(undefined), 'of-container');
  assert.equal(await chosen(scope), scope);
  assert.equal((await changePolicies(it.store, box, { denyScopeOverride: true }, cause)).kind, 'ok');
  assert.equal(await chosen(undefined), 'of-container');
  assert.equal(await chosen('of-container'), 'of-container');
  assert.equal(await chosen(scope), 'scope-forbidden');
  assert.equal(await chosen(accountKeyScope), 'scope-forbidden');
});

test('a scope that the container forces while a body is read is not passed over', async () => {
  await using scoped = await Scoped.open();
  const { store } = scoped;
  const box = { account, container: 'box' };
  const command = { ...box, name: 'late', conditions: {}, cause, attributes: { headers: {}, metadata: {} } };
  const limits = { length: undefined, lengthMax: 1e6, wantMd5: false };
  const stage = (id: string) => {
    const body = { ...limits, chunks: Readable.from([Buffer.alloc(5000, 65)]) };
    return stageBlock(store, { ...command, name: 'blocks', blockId: Buffer.from(id, 'base64'), body });
  };
  assert.equal((await stage('MQ==')).kind, 'ok');
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    yield Buffer.alloc(1000, 65);
    const forced = { encryptionScope: scope, denyScopeOverride: true };
    assert.equal((await changePolicies(store, box, forced, cause)).kind, 'ok');
    yield Buffer.alloc(1000, 66);
  }
  const outcome = await putEntry(store, { ...command, body: { ...limits, chunks: chunks() } });
  assert.equal(outcome.kind, 'contended');
  assert.equal((await getEntry(store, { ...box, name: 'late', conditions: {} })).kind, 'entry-not-found');
  // Tried again, it is sealed.
  assert.deepEqual((await scoped.put('late', Buffer.alloc(2000, 65), {})).record.encryption, { scope });
  const listed = { ...command, name: 'blocks', blocks: [{ id: 'MQ==', from: 'latest' as const }] };
  assert.equal((await commitBlocks(store, listed)).kind, 'encryption-mismatch');
  const pages = { ...command, name: 'pages', length: 512 };
  assert.equal((await createPages(store, pages)).kind, 'contended');
});

test('rotation wraps anew and leaves every byte of content as it is', async () => {
  await using it = await Scoped.open();
  const bytes = it.held.bytes(300_000);
  await it.put('before', bytes);
  const before = await stored(it.held);
  it.vault.rotate();
  const outcome = await rotateScope(it.store, { account, scope, cause });
  assert(outcome.kind === 'ok', outcome.kind);
  assert.deepEqual(
    outcome.scope.keys.map(({ keyVersion }) => keyVersion),
    ['v2'],
  );
  assert((await stored(it.held)).equals(before));
  // The version before is not needed any more, by a process that knows nothing yet.
  it.vault.forget('v1');
  const other = it.another(it.held.another());
  assert((await read(other, 'before')).equals(bytes));
  await other.content.close();
  const renewed = await rotateScope(it.store, { account, scope, renew: true, cause });
  assert(renewed.kind === 'ok' && renewed.scope.keys.length === 2);
  const after = await it.put('after', bytes);
  assert((await it.read('after')).equals(bytes));
  assert((await it.read('before')).equals(bytes));
  assert.deepEqual(after.record.encryption, { scope });
  assert.deepEqual(
    (await listScopes(it.store, account)).map(({ name }) => name),
    [scope],
  );
});

test('a revoked key makes content unreadable within a minute, and restoring it brings it back', async () => {
  await using it = await Scoped.open();
  const small = Buffer.from('a few bytes');
  const large = it.held.bytes(1_500_000);
  await it.put('small', small);
  await it.put('large', large);
  for (const problem of ['key-not-found', 'vault-not-found', 'no-token', 'unavailable'] as const) {
    it.vault.problem = problem;
    let refusedAfterMs: number | undefined;
    for (let ms = 0; ms <= 60_000 && refusedAfterMs === undefined; ms += 500) {
      it.held.clock.advance(500);
      // Read all the time, as a busy server does: use must not keep a key alive.
      const [one, other] = await Promise.allSettled([it.read('small'), it.read('large')]);
      if (one.status === 'rejected' && other.status === 'rejected') {
        assert(refusedFor(problem)(one.reason), String(one.reason));
        refusedAfterMs = ms;
      }
    }
    assert(refusedAfterMs !== undefined && refusedAfterMs <= 31_000, `${problem}: ${refusedAfterMs}`);
    await assert.rejects(it.put('new', small), refusedFor(problem));
    const entry = await getEntry(it.store, { account, container: 'box', name: 'large', conditions: {} });
    assert(entry.kind === 'ok');
    await assert.rejects(checkReadable(it.store, account, entry.entry), refusedFor(problem));
    const asked = it.vault.unwraps;
    for (let i = 0; i < 20; i++) await assert.rejects(it.read('small'), refusedFor(problem));
    assert.equal(it.vault.unwraps, asked, 'a vault that refused is not asked by every read');
    it.vault.problem = undefined;
    it.held.clock.advance(1000);
    assert((await it.read('small')).equals(small));
    assert((await it.read('large')).equals(large));
  }
});

test('a busy scope asks its vault once in a while, and once for however many wait', async () => {
  await using it = await Scoped.open();
  await it.put('small', Buffer.from('a few bytes'));
  const other = { ...it, store: it.another(it.store) };
  const before = it.vault.unwraps;
  await Promise.all(Array.from({ length: 50 }, () => read(other.store, 'small')));
  assert.equal(it.vault.unwraps - before, 1);
  for (let s = 0; s < 60; s++) {
    it.held.clock.advance(1000);
    await read(other.store, 'small');
  }
  assert(it.vault.unwraps - before <= 6, `${it.vault.unwraps - before}`);
});

test('a disabled scope is neither read nor written, and enabled again it is', async () => {
  await using it = await Scoped.open();
  await it.put('small', Buffer.from('a few bytes'));
  await it.read('small');
  assert.equal((await changeScope(it.store, { account, scope, state: 'disabled', cause })).kind, 'ok');
  await assert.rejects(it.put('new', Buffer.from('x')), refusedFor('scope-disabled'));
  await assert.rejects(it.read('small'), refusedFor('scope-disabled'));
  assert.equal((await changeScope(it.store, { account, scope, state: 'enabled', cause })).kind, 'ok');
  assert.equal((await it.read('small')).toString(), 'a few bytes');
});

test('a customer’s own key is needed to read what it sealed, and is kept nowhere', async () => {
  await using it = await Scoped.open();
  const key = it.held.bytes(32);
  const bytes = it.held.bytes(100_000);
  const customerKey = { key, sha256: 'a hash' };
  const entry = await it.put('own', bytes, { customerKey });
  assert.deepEqual(entry.record.encryption, { keySha256: 'a hash' });
  assert((await read(it.store, 'own', customerUnsealer(it.store, customerKey))).equals(bytes));
  const wrong = customerUnsealer(it.store, { key: it.held.bytes(32), sha256: 'another' });
  await assert.rejects(read(it.store, 'own', wrong), /key is not the one/);
  await assert.rejects(read(it.store, 'own'), refusedFor('key-not-found'));
  assert.equal((await stored(it.held)).indexOf(key), -1);
  // What a scope sealed can be read by a request with a key as well, where one content has both.
  await it.put('scoped', bytes);
  assert((await read(it.store, 'scoped', customerUnsealer(it.store, customerKey))).equals(bytes));
});

test('names, addresses and missing things are told apart', async () => {
  await using it = await Scoped.open();
  const make = async (changes: object): Promise<string> =>
    (await createScope(it.store, { account, scope: 'other', source: 'key-vault', keyUrl, cause, ...changes })).kind;
  assert.equal(await make({ scope: 'a' }), 'scope-name-invalid');
  assert.equal(await make({ scope: '-bad-' }), 'scope-name-invalid');
  assert.equal(await make({ keyUrl: 'http://vault.example/keys/a' }), 'key-url-invalid');
  assert.equal(await make({ keyUrl: undefined }), 'key-url-invalid');
  assert.equal(await make({ source: 'local' }), 'key-url-invalid');
  assert.equal(await make({ source: 'local', keyUrl: undefined }), 'key-refused');
  assert.equal(await make({ account: 'nobody' }), 'account-not-found');
  assert.equal(await make({ scope }), 'scope-exists');
  assert.equal((await rotateScope(it.store, { account, scope: 'nowhere', cause })).kind, 'scope-not-found');
  assert.equal(
    (await changeScope(it.store, { account, scope: 'nowhere', state: 'disabled', cause })).kind,
    'scope-not-found',
  );
  assert.equal(parseKeyUrl('https://v.example:8443/keys/a/0123abcd'), 'https://v.example:8443/keys/a');
  assert.equal(parseKeyUrl('https://v.example/secrets/a'), undefined);
  it.vault.problem = 'no-token';
  assert.equal(await make({}), 'key-refused');
  assert.equal((await rotateScope(it.store, { account, scope, cause })).kind, 'key-refused');
});

test('an envelope that names an unknown key is refused, and looked for again', async () => {
  await using it = await Scoped.open();
  const envelope = { kind: 'scope', keyId: Buffer.alloc(16, 9), wrapped: Buffer.alloc(40) } as unknown as Envelope;
  const open = async () => await it.store.keyring?.dataKey(envelope);
  await assert.rejects(open, refusedFor('key-not-found'));
  await assert.rejects(open, refusedFor('key-not-found'));
});

test('fsck and reclaim go through sealed content without a key', async () => {
  await using it = await Scoped.open(256 * 1024);
  const keyless = { ...it.held.store } as Store;
  assert.equal(keyless.keyring, undefined);
  const contents = new Map<string, Buffer>();
  for (let i = 0; i < 20; i++) {
    const bytes = it.held.bytes(50_000);
    await it.put(`name${i}`, bytes);
    if (i % 4 === 0) contents.set(`name${i}`, bytes);
  }
  for (let i = 0; i < 20; i++) if (i % 4 !== 0) await it.held.remove(`name${i}`);
  it.vault.problem = 'key-not-found';
  const graceMs = 60_000;
  it.held.clock.advance(graceMs + 1);
  assert.equal((await processGarbage(keyless, { graceMs, rowsMax: 100 })).extents, 15);
  let moved = 0;
  const damage: string[] = [];
  const limits = { segmentBytes: it.held.segmentBytes, smallMax: 8, graceMs, damagePauseMs: 1000 };
  const onDamage = (segment: number, what: string) => damage.push(`${segment}: ${what}`);
  for (let retired = 1; retired > 0; ) {
    const counts = await reclaimOnce(keyless, { ...limits, onDamage });
    retired = counts.retired;
    moved += counts.movedExtents;
  }
  assert(moved > 0 && damage.length === 0, `${moved} moved, ${damage.join()}`);
  const lines: string[] = [];
  const found = await fsck(keyless, (line) => lines.push(line));
  assert.equal(found.damage, 0, lines.join('\n'));
  it.vault.problem = undefined;
  it.held.clock.advance(graceMs + 1);
  await reclaimOnce(keyless, { ...limits, onDamage });
  for (const [name, bytes] of contents) assert((await it.read(name)).equals(bytes), name);
});
