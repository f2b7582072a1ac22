// Encryption scopes: made, listed, switched off and on, and rotated; and which of them a write goes into.
import { createHash } from 'node:crypto';
import { type Envelope, type Sealer, type Unsealer, unwrapKey, wrapKey } from '../content/seal.ts';
import type { View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { readAccount } from './accounts.ts';
import { type ContainerName, readContainer } from './containers.ts';
import type { Failure } from './failure.ts';
import { appendJournal, type Cause } from './journal.ts';
import { KeyError, type Keyring, type KeySource, type ScopeKey, type ScopeRecord } from './keyring.ts';
import { decodeRecord, type EntryEncryption, encodeRecord } from './records.ts';
import { readSettings } from './settings.ts';
import { change, type Store } from './store.ts';

export type ScopeOutcome =
  | { readonly kind: 'ok'; readonly scope: ScopeRecord }
  | { readonly kind: 'scope-exists' }
  | { readonly kind: 'scope-not-found' }
  | { readonly kind: 'scope-name-invalid' }
  | { readonly kind: 'key-url-invalid' }
  /** The customer's key is not to be had: which key, and why. */
  | { readonly kind: 'key-refused'; readonly message: string }
  | Failure;

export type { Unsealer } from '../content/seal.ts';

const scopesMax = 10_000;
const keyBytes = 32;
const keysOfScopeMax = 100;

/** The name by which requests and containers say that they want no scope. */
export const accountKeyScope = '$account-encryption-key';

/** 3 to 63 letters, digits and single hyphens ("Create and manage encryption scopes"). */
export function isScopeName(name: string): boolean {
  return /^(?=.{3,63}$)[A-Za-z0-9]+(-[A-Za-z0-9]+)*$/.test(name);
}

/** `https://HOST/keys/NAME`, and perhaps a version, which is left out: a scope follows the newest. */
export function parseKeyUrl(url: string): string | undefined {
  const match = /^https:\/\/([A-Za-z0-9.-]+(?::\d{1,5})?)\/keys\/([A-Za-z0-9-]{1,127})(?:\/[0-9a-f]{1,64})?\/?$/.exec(
    url,
  );
  return match === null ? undefined : `https://${match[1]}/keys/${match[2]}`;
}

export async function createScope(
  store: Store,
  command: {
    readonly account: string;
    readonly scope: string;
    readonly source: KeySource;
    readonly keyUrl?: string | undefined;
    readonly cause: Cause;
  },
): Promise<ScopeOutcome> {
  const { account, scope, source, cause } = command;
  if (!isScopeName(scope)) return { kind: 'scope-name-invalid' };
  const keyUrl = command.keyUrl === undefined ? undefined : parseKeyUrl(command.keyUrl);
  if ((source === 'key-vault') !== (keyUrl !== undefined)) return { kind: 'key-url-invalid' };
  const made = await refusable(async () => await newKey(store, source, keyUrl));
  if (made.kind !== 'ok') return made;
  return await change<ScopeOutcome>(store, async (txn) => {
    if ((await readAccount(txn, account)) === undefined) return { kind: 'account-not-found' };
    if ((await readScope(txn, account, scope)) !== undefined) return { kind: 'scope-exists' };
    const nowMs = store.clock.now();
    const record: ScopeRecord = {
      source,
      ...(keyUrl !== undefined && { keyUrl }),
      state: 'enabled',
      createdMs: nowMs,
      modifiedMs: nowMs,
      keys: [made.value],
    };
    txn.put(keys.scope(account, scope), encodeRecord(record));
    appendJournal(store, txn, { operation: 'scope-changed', account, name: scope, ...cause });
    return { kind: 'ok', scope: record };
  });
}

export function listScopes(store: Store, account: string): Promise<{ name: string; scope: ScopeRecord }[]> {
  return store.engine.snapshot(async (view) => {
    const rows = await view.scan(keys.scopes(account), { limit: scopesMax });
    return rows.map(({ key, value }) => ({
      name: keys.scopeNameOf(account, key),
      scope: decodeRecord<ScopeRecord>(value),
    }));
  });
}

/** Nothing of a disabled scope can be read or written, until it is enabled again. */
export function changeScope(
  store: Store,
  command: {
    readonly account: string;
    readonly scope: string;
    readonly state: ScopeRecord['state'];
    readonly cause: Cause;
  },
): Promise<ScopeOutcome> {
  const { account, scope, state, cause } = command;
  return change<ScopeOutcome>(store, async (txn) => {
    const found = await readScope(txn, account, scope);
    if (found === undefined) return { kind: 'scope-not-found' };
    const record: ScopeRecord = { ...found, state, modifiedMs: store.clock.now() };
    txn.put(keys.scope(account, scope), encodeRecord(record));
    appendJournal(store, txn, { operation: 'scope-changed', account, name: scope, ...cause });
    return { kind: 'ok', scope: record };
  });
}

/**
 * Wraps all keys of the scope again, under the newest version of the customer's key; with `renew` what is written from
 * now on gets a new one. No byte of content is touched, and afterwards no older version of the customer's key is needed.
 */
export async function rotateScope(
  store: Store,
  command: {
    readonly account: string;
    readonly scope: string;
    readonly renew?: boolean;
    readonly cause: Cause;
  },
): Promise<ScopeOutcome> {
  const { account, scope, cause } = command;
  const before = await store.engine.snapshot((view) => readScope(view, account, scope));
  if (before === undefined) return { kind: 'scope-not-found' };
  const { source, keyUrl } = before;
  const wrapped = await refusable(async () => {
    const provider = keyringOf(store).provider(source);
    await provider.renew?.();
    const rewrapped: ScopeKey[] = [];
    for (const key of before.keys) {
      const old = { wrapped: Buffer.from(key.wrapped, 'base64'), keyVersion: key.keyVersion };
      const plain = await provider.unwrap(keyUrl, old);
      const fresh = await provider.wrap(keyUrl, plain);
      plain.fill(0);
      rewrapped.push({ ...key, wrapped: fresh.wrapped.toString('base64'), keyVersion: fresh.keyVersion });
    }
    const renews = command.renew === true && rewrapped.length < keysOfScopeMax;
    return renews ? [...rewrapped, await newKey(store, source, keyUrl)] : rewrapped;
  });
  if (wrapped.kind !== 'ok') return wrapped;
  return await change<ScopeOutcome>(store, async (txn) => {
    const found = await readScope(txn, account, scope);
    if (found === undefined) return { kind: 'scope-not-found' };
    // Somebody else rotated it meanwhile: what was wrapped here is of a record that is no more.
    if (JSON.stringify(found.keys) !== JSON.stringify(before.keys)) return { kind: 'contended' };
    const record: ScopeRecord = { ...found, keys: wrapped.value, modifiedMs: store.clock.now() };
    txn.put(keys.scope(account, scope), encodeRecord(record));
    appendJournal(store, txn, { operation: 'scope-changed', account, name: scope, ...cause });
    return { kind: 'ok', scope: record };
  });
}

async function newKey(store: Store, source: KeySource, keyUrl: string | undefined): Promise<ScopeKey> {
  const key = store.random.bytes(keyBytes);
  const { wrapped, keyVersion } = await keyringOf(store).provider(source).wrap(keyUrl, key);
  key.fill(0);
  const id = store.random.bytes(16).toString('hex');
  return { id, wrapped: wrapped.toString('base64'), keyVersion, createdMs: store.clock.now() };
}

async function refusable<T>(
  work: () => Promise<T>,
): Promise<{ readonly kind: 'ok'; readonly value: T } | { readonly kind: 'key-refused'; readonly message: string }> {
  try {
    return { kind: 'ok', value: await work() };
  } catch (error) {
    if (error instanceof KeyError) return { kind: 'key-refused', message: error.message };
    throw error;
  }
}

function keyringOf(store: Store): Keyring {
  if (store.keyring === undefined) throw new KeyError('unavailable', 'this store has no keys');
  return store.keyring;
}

async function readScope(view: View, account: string, scope: string): Promise<ScopeRecord | undefined> {
  const found = await view.get(keys.scope(account, scope));
  return found && decodeRecord<ScopeRecord>(found);
}

/** With what a write is to be sealed, and what its record then says of that. */
export interface Sealing {
  readonly sealer: Sealer;
  readonly encryption: EntryEncryption;
}

export type SealingOutcome =
  /** Undefined: not at all. */
  | { readonly kind: 'ok'; readonly sealing: Sealing | undefined }
  | { readonly kind: 'scope-not-found'; readonly scope: string }
  /** The container has a scope, and lets no request choose another. */
  | { readonly kind: 'scope-forbidden' };

/**
 * How a write into a container is to be sealed: by the customer's own key, or in the scope that the request names, else
 * in the container's, else in the account's. Throws `KeyError`.
 */
export async function chooseSealing(
  store: Store,
  name: ContainerName,
  wanted: { readonly scope?: string | undefined; readonly customerKey?: CustomerKey | undefined },
): Promise<SealingOutcome> {
  const { keyring } = store;
  const looked = await store.engine.snapshot(async (view) => {
    const container = await readContainer(view, name);
    const own = wanted.scope === accountKeyScope ? '' : wanted.scope;
    const isOther = own !== undefined && own !== (container?.encryptionScope ?? '');
    if (container?.denyScopeOverride === true && (isOther || wanted.customerKey !== undefined)) {
      return { kind: 'scope-forbidden' } as const;
    }
    if (wanted.customerKey !== undefined) return undefined;
    const scope = own ?? container?.encryptionScope ?? (await readSettings(view, name.account)).encryptionScope;
    if (scope === undefined || scope === '') return undefined;
    const record = await readScope(view, name.account, scope);
    return record === undefined
      ? ({ kind: 'scope-not-found', scope } as const)
      : ({ kind: 'scope', scope, record } as const);
  });
  if (looked === undefined) return { kind: 'ok', sealing: wanted.customerKey && customerSealing(wanted.customerKey) };
  if (looked.kind !== 'scope') return looked;
  if (keyring === undefined) throw new KeyError('unavailable', 'this store has no keys');
  const { scope, record } = looked;
  return { kind: 'ok', sealing: { sealer: await keyring.sealer(name.account, scope, record), encryption: { scope } } };
}

/** Whether a container may name this scope: it is there and enabled. */
export function findScope(store: Store, account: string, scope: string): Promise<ScopeRecord | undefined> {
  return store.engine.snapshot((view) => readScope(view, account, scope));
}

/** A key that came with a request, and goes with it. */
export interface CustomerKey {
  readonly key: Buffer;
  /** Base64: all that is kept of it. */
  readonly sha256: string;
}

/** The envelope names the key by a part of its hash, as the record does by the whole. */
function customerKeyId(key: Buffer): Buffer {
  return createHash('sha256').update(key).digest().subarray(0, 16);
}

function customerSealing({ key, sha256 }: CustomerKey): Sealing {
  const keyId = customerKeyId(key);
  return {
    sealer: { kind: 'customer', keyId, wrap: (dataKey) => wrapKey(key, dataKey) },
    encryption: { keySha256: sha256 },
  };
}

/** Opens what this key sealed, and leaves the rest to the store's keys. */
export function customerUnsealer(store: Store, { key }: CustomerKey): Unsealer {
  const keyId = customerKeyId(key);
  return {
    dataKey: (envelope: Envelope) => {
      if (envelope.kind === 'scope') return keyringOf(store).dataKey(envelope);
      return envelope.keyId.equals(keyId) ? unwrapKey(key, envelope.wrapped) : undefined;
    },
  };
}

/** Why what is sealed as `given` does not go with what is sealed as `has`. */
export function encryptionMismatch(
  has: EntryEncryption | undefined,
  given: EntryEncryption | undefined,
): Extract<Failure, { kind: 'encryption-mismatch' }> {
  if (isOwn(has) === isOwn(given)) return { kind: 'encryption-mismatch' };
  return { kind: 'encryption-mismatch', reason: isOwn(has) ? 'key-missing' : 'key-not-used' };
}

/** By a key or a scope that somebody named, and not as the account seals by itself. */
const isOwn = (encryption: EntryEncryption | undefined): boolean =>
  encryption?.keySha256 !== undefined || encryption?.scope !== undefined;

/** Whether two contents are sealed alike: then one may take in pieces of the other. */
export function isSameEncryption(one: EntryEncryption | undefined, other: EntryEncryption | undefined): boolean {
  return one?.scope === other?.scope && one?.keySha256 === other?.keySha256;
}
