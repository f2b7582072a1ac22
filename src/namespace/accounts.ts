// Accounts and their keys.
import type { View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import type { Failure } from './failure.ts';
import { appendJournal, type Cause } from './journal.ts';
import { type AccountRecord, decodeRecord, encodeRecord } from './records.ts';
import { change, type Store } from './store.ts';

export type AccountOutcome = { readonly kind: 'ok'; readonly account: AccountRecord } | Failure;

const accountsMax = 10_000;

/** 512 bits, as Azure's account keys have. */
export function newAccountKey(store: Store): string {
  return store.random.bytes(64).toString('base64');
}

/** 3 to 24 lower-case letters and digits ("Storage account name", Azure's naming rules). */
export function isAccountName(name: string): boolean {
  return /^[a-z0-9]{3,24}$/.test(name);
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
  changes: Partial<Pick<AccountRecord, 'keys' | 'blobService'>>,
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

async function readAccount(view: View, name: string): Promise<AccountRecord | undefined> {
  const found = await view.get(keys.account(name));
  return found && decodeRecord<AccountRecord>(found);
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

export function listAccounts(store: Store): Promise<{ name: string; createdMs: number }[]> {
  return store.engine.snapshot(async (view) => {
    const rows = await view.scan(keys.accounts(), { limit: accountsMax });
    return rows.map((row) => ({
      name: Buffer.from(row.key.subarray(1)).toString('utf8'),
      createdMs: decodeRecord<AccountRecord>(row.value).createdMs,
    }));
  });
}
