// What user delegation keys of an account are made from, and in which groups those are known to be who asked for one.
import type { Txn, View } from '../metadata/engine.ts';
import { keys, prefixRange } from '../metadata/keys.ts';
import { readAccount } from './accounts.ts';
import type { Failure } from './failure.ts';
import { appendJournal, type Cause } from './journal.ts';
import { decodeRecord, encodeRecord } from './records.ts';
import { change, type Store } from './store.ts';

export type SecretOutcome = { readonly kind: 'ok'; readonly secret: Buffer } | Failure;

/** Signatures do not say the groups of who delegates, and they decide by his roles: so the groups of his token are kept. */
interface DelegatorRecord {
  readonly groups: readonly string[];
  /** The end of the last key that he was given. */
  readonly untilMs: number;
}

const delegatorKey = (account: string, oid: string): Buffer => keys.setting(`delegator ${account} ${oid}`);

/** The account's secret, made when it is first wanted; notes until when a delegator has a key, and his groups. */
export function openDelegation(
  store: Store,
  account: string,
  delegator: { readonly oid: string; readonly groups: readonly string[]; readonly untilMs: number } | undefined,
  cause: Cause,
): Promise<SecretOutcome> {
  const fresh = newSecret(store);
  return change<SecretOutcome>(store, async (txn) => {
    const found = await readAccount(txn, account);
    if (found === undefined) return { kind: 'account-not-found' };
    const secret = found.delegationSecret ?? fresh;
    if (found.delegationSecret === undefined) {
      txn.put(keys.account(account), encodeRecord({ ...found, delegationSecret: secret }));
      appendJournal(store, txn, { operation: 'account-changed', account, ...cause });
    }
    if (delegator !== undefined) await noteDelegator(txn, account, delegator);
    return { kind: 'ok', secret: Buffer.from(secret, 'base64') };
  });
}

async function noteDelegator(
  txn: Txn,
  account: string,
  { oid, groups, untilMs }: { readonly oid: string; readonly groups: readonly string[]; readonly untilMs: number },
): Promise<void> {
  const key = delegatorKey(account, oid);
  const found = await txn.get(key);
  const before = found && decodeRecord<DelegatorRecord>(found);
  // Many keys a minute for one user are ordinary, and each would otherwise be a write.
  const isSame = before !== undefined && before.untilMs >= untilMs && before.groups.join() === groups.join();
  if (isSame || (before === undefined && groups.length === 0)) return;
  const record: DelegatorRecord = { groups, untilMs: Math.max(untilMs, before?.untilMs ?? 0) };
  txn.put(key, encodeRecord(record));
}

/** The groups that the delegator was in when he last asked for a key. */
export async function delegatorGroups(
  view: View,
  account: string,
  oid: string,
  nowMs: number,
): Promise<readonly string[]> {
  const found = await view.get(delegatorKey(account, oid));
  const record = found && decodeRecord<DelegatorRecord>(found);
  return record === undefined || record.untilMs <= nowMs ? [] : record.groups;
}

/** Ends all keys that were given out, and every signature made with one. */
export function revokeDelegationKeys(
  store: Store,
  account: string,
  cause: Cause,
): Promise<{ readonly kind: 'ok' } | Failure> {
  const fresh = newSecret(store);
  return change<{ readonly kind: 'ok' } | Failure>(store, async (txn) => {
    const found = await readAccount(txn, account);
    if (found === undefined) return { kind: 'account-not-found' };
    txn.put(keys.account(account), encodeRecord({ ...found, delegationSecret: fresh }));
    txn.deleteRange(prefixRange(keys.setting(`delegator ${account} `)));
    appendJournal(store, txn, { operation: 'account-changed', account, ...cause });
    return { kind: 'ok' };
  });
}

function newSecret(store: Store): string {
  return store.random.bytes(32).toString('base64');
}
