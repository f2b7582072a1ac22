// Accounts whose feed could not be written: each follows the journal by itself from where the others went on without it.
import { ContentionError, type Txn, type View } from '../../metadata/engine.ts';
import { keys, prefixRange } from '../../metadata/keys.ts';
import type { FollowerRecord } from '../../namespace/followers.ts';
import { encodeRecord } from '../../namespace/records.ts';
import { isNoSpace, isOutcomeUnknown, isUnavailable } from '../../namespace/store.ts';

const prefix = 'change-feed/';
const accountsMax = 10_000;
const retryMs = 1000;
const retryMsMax = 60_000;

/** A follower of its own, so that the journal is kept for it too. */
export function asideName(account: string): string {
  return `${prefix}${account}`;
}

/** Who is set aside, in the order of their names. */
export async function readAside(view: View): Promise<readonly string[]> {
  const rows = await view.scan(prefixRange(keys.follower(prefix)), { limit: accountsMax });
  const start = keys.follower(prefix).length;
  return rows.map(({ key }) => Buffer.from(key.subarray(start)).toString('utf8'));
}

/** What comes behind `cursor` is the account's own from now on. */
export function setAside(txn: Txn, account: string, cursor: string): void {
  txn.put(keys.follower(asideName(account)), encodeRecord({ cursor } satisfies FollowerRecord));
}

/** It has caught up: it goes on with the others. */
export function takeBack(txn: Txn, account: string): void {
  txn.delete(keys.follower(asideName(account)));
}

/** Whether the trouble may be that of one account: a full disk or a store that stops is everybody's. */
export function isOfAccount(error: unknown): boolean {
  return !(isNoSpace(error) || isUnavailable(error) || isOutcomeUnknown(error) || error instanceof ContentionError);
}

/** When those who are set aside are tried again: later after every failure. */
export class Retries {
  readonly #next = new Map<string, { readonly atMs: number; readonly failures: number }>();

  isDue(account: string, nowMs: number): boolean {
    return nowMs >= (this.#next.get(account)?.atMs ?? 0);
  }

  failed(account: string, nowMs: number): void {
    const failures = (this.#next.get(account)?.failures ?? 0) + 1;
    const pauseMs = Math.min(retryMsMax, retryMs * 2 ** (failures - 1));
    this.#next.set(account, { atMs: nowMs + pauseMs, failures });
  }

  done(account: string): void {
    this.#next.delete(account);
  }
}
