// Accounts and their keys.
import type { Awaitable, View } from '../metadata/engine.ts';
import { keys, prefixRange } from '../metadata/keys.ts';
import type { Failure } from './failure.ts';
import { appendJournal, type Cause } from './journal.ts';
import { type AccountRecord, type ContainerRecord, decodeRecord, encodeRecord } from './records.ts';
import { change, type Store } from './store.ts';

export type AccountOutcome = { readonly kind: 'ok'; readonly account: AccountRecord } | Failure;

const accountsMax = 10_000;

/** 512 bits, as Azure's account keys have. */
export function newAccountKey(store: Store): string {
  return store.random.bytes(64).toString('base64');
}

export function createAccount(
  store: Store,
  name: string,
  accountKeys: readonly [string, string],
  cause: Cause,
): Promise<AccountOutcome> {
  return change(store, async (txn) => {
    if ((await txn.get(keys.account(name))) !== undefined) return { kind: 'account-exists' };
    const account: AccountRecord = { id: store.ids.nextHex(), createdMs: store.clock.now(), keys: accountKeys };
    txn.put(keys.account(name), encodeRecord(account));
    appendJournal(store, txn, { operation: 'account-created', account: name, ...cause });
    return { kind: 'ok', account };
  });
}

export function changeAccount(
  store: Store,
  name: string,
  changes: Partial<Pick<AccountRecord, 'keys' | 'blobService' | 'settings'>>,
  cause: Cause,
): Promise<AccountOutcome> {
  return change(store, async (txn) => {
    const found = await readAccount(txn, name);
    if (found === undefined) return { kind: 'account-not-found' };
    const account = { ...found, ...changes };
    txn.put(keys.account(name), encodeRecord(account));
    appendJournal(store, txn, { operation: 'account-changed', account: name, ...cause });
    return { kind: 'ok', account };
  });
}

export async function readAccount(view: View, name: string): Promise<AccountRecord | undefined> {
  const found = await view.get(keys.account(name));
  return found && decodeRecord<AccountRecord>(found);
}

/** The record as it is stored, as of now: whoever keeps what he decoded of it compares the bytes. */
export function accountBytes(store: Store, name: string): Awaitable<Uint8Array | undefined> {
  return store.engine.get(keys.account(name));
}

export function getAccount(store: Store, name: string): Promise<AccountRecord | undefined> {
  return store.engine.snapshot((view) => readAccount(view, name));
}

export function rotateKey(store: Store, name: string, which: 1 | 2, cause: Cause): Promise<AccountOutcome> {
  const fresh = newAccountKey(store);
  return change(store, async (txn) => {
    const found = await readAccount(txn, name);
    if (found === undefined) return { kind: 'account-not-found' };
    const [first, second] = found.keys;
    const account: AccountRecord = { ...found, keys: which === 1 ? [fresh, second] : [first, fresh] };
    txn.put(keys.account(name), encodeRecord(account));
    appendJournal(store, txn, { operation: 'account-changed', account: name, ...cause });
    return { kind: 'ok', account };
  });
}

export function listAccounts(
  store: Store,
  page: { readonly from?: string; readonly limit?: number } = {},
): Promise<{ name: string; createdMs: number }[]> {
  return store.engine.snapshot(async (view) => {
    const { start, end } = keys.accounts();
    const rows = await view.scan(
      { start: page.from === undefined ? start : keys.account(page.from), end },
      { limit: page.limit ?? accountsMax },
    );
    return rows.map((row) => ({
      name: Buffer.from(row.key.subarray(1)).toString('utf8'),
      createdMs: decodeRecord<AccountRecord>(row.value).createdMs,
    }));
  });
}

/** Containers that the server writes, and everybody else only reads; what stands in them is no reason to keep an account. */
const systemContainers: ReadonlySet<string> = new Set(['$blobchangefeed', '$logs']);

export function isSystemContainer(container: string): boolean {
  return systemContainers.has(container);
}

export type DeleteAccountOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'account-not-empty'; readonly container: string; readonly isDeleted: boolean }
  | Extract<Failure, { kind: 'account-not-found' | 'no-space' | 'contended' }>;

/** Only an account without containers goes, also without deleted ones that could come back. */
export async function deleteAccount(store: Store, name: string, cause: Cause): Promise<DeleteAccountOutcome> {
  const outcome = await change<DeleteAccountOutcome>(store, async (txn) => {
    if ((await readAccount(txn, name)) === undefined) return { kind: 'account-not-found' };
    const rows = await txn.scan(keys.containers(name), { limit: systemContainers.size + 1 });
    for (const row of rows) {
      const container = keys.containerNameOf(name, row.key);
      if (!systemContainers.has(container)) return { kind: 'account-not-empty', container, isDeleted: false };
    }
    const [deleted] = await txn.scan(keys.deletedContainers(name), { limit: 1 });
    if (deleted !== undefined) {
      const { container } = keys.deletedContainerOf(name, deleted.key);
      return { kind: 'account-not-empty', container, isDeleted: true };
    }
    for (const row of rows) {
      const { id } = decodeRecord<ContainerRecord>(row.value);
      txn.delete(row.key);
      txn.put(keys.emptying(Buffer.from(id, 'hex')), encodeRecord({ account: name }));
    }
    txn.delete(keys.access(name));
    txn.deleteRange(keys.scopes(name));
    // Who has asked for delegation keys: see delegation.ts.
    txn.deleteRange(prefixRange(keys.setting(`delegator ${name} `)));
    txn.delete(keys.account(name));
    appendJournal(store, txn, { operation: 'account-deleted', account: name, ...cause });
    return { kind: 'ok' };
  });
  return outcome as DeleteAccountOutcome;
}
