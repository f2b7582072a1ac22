// The ordered record of every change: one row, in the same transaction as the change.
import type { Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { encodeRecord } from './records.ts';
import type { Store } from './store.ts';

export type JournalOperation =
  | 'account-created'
  | 'account-changed'
  | 'container-created'
  | 'container-deleted'
  | 'container-changed'
  | 'entry-written'
  | 'entry-changed'
  | 'entry-deleted';

export interface JournalRecord {
  readonly operation: JournalOperation;
  readonly atMs: number;
  readonly account: string;
  readonly container?: string;
  readonly name?: string;
  /** The entry's id, its ETag and length after the change. */
  readonly id?: string;
  readonly etag?: string;
  readonly length?: number;
  /** Which protocol operation did it, and under which request id. */
  readonly by?: string;
  readonly requestId?: string;
}

/** Who asks for a change, as the journal notes it. */
export interface Cause {
  readonly by: string;
  readonly requestId: string;
}

export function appendJournal(store: Store, txn: Txn, record: Omit<JournalRecord, 'atMs'>): void {
  txn.put(txn.stamp(keys.journal()), encodeRecord({ ...record, atMs: store.clock.now() }));
}
