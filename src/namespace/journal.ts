// The ordered record of every change: one row, in the same transaction as the change.
import { stampBytes, type Txn, type View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, encodeRecord } from './records.ts';
import type { Store } from './store.ts';

export type JournalOperation =
  | 'account-created'
  | 'account-changed'
  | 'account-deleted'
  | 'scope-changed'
  | 'container-created'
  | 'container-deleted'
  | 'container-changed'
  | 'entry-written'
  | 'entry-changed'
  | 'entry-deleted'
  | 'entry-leased'
  | 'entry-retagged'
  | 'entry-tiered'
  | 'entry-rehydrating'
  | 'entry-undeleted'
  | 'snapshot-created'
  | 'past-deleted'
  | 'restore-point';

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
  /** The client's own id of the request. */
  readonly clientRequestId?: string | undefined;
  /** What the change feed tells besides, of accounts that keep one. */
  readonly feed?: FeedDetails;
}

export interface FeedDetails {
  readonly type: 'block' | 'append' | 'page';
  readonly contentType?: string;
  readonly version?: string;
  /** Of a snapshot or an earlier version. */
  readonly past?: 'snapshot' | 'version' | 'base';
  readonly time?: string;
  readonly tier?: string;
  readonly sequence?: number;
  /** The tier that a blob is on its way to. */
  readonly rehydration?: string;
  readonly modifiedMs: number;
  readonly before?: {
    readonly etag: string;
    readonly length: number;
    readonly modifiedMs: number;
    readonly tier?: string;
    readonly version?: string;
  };
}

/** Who asks for a change, as the journal notes it. */
export interface Cause {
  readonly by: string;
  readonly requestId: string;
  readonly clientRequestId?: string | undefined;
  /** Told the id of each record of the change, when it is durable. */
  readonly noted?: (journalId: string) => void;
}

type Appended = Omit<JournalRecord, 'atMs'> & Pick<Cause, 'noted'>;

export function appendJournal(store: Store, txn: Txn, record: Appended): void {
  const { noted } = record;
  const key = txn.stamp(keys.journal(), noted && ((committed) => noted(journalIdOf(committed))));
  txn.put(key, encodeRecord({ ...record, noted: undefined, atMs: store.clock.now() }));
}

/** How a record of the journal is named elsewhere: its stamp, in hexadecimal digits. Ids sort as the records do. */
export function journalIdOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + key.byteLength - stampBytes, stampBytes).toString('hex');
}

/** The record of an id; undefined if it is none, or the record was trimmed. */
export async function readJournal(view: View, journalId: string): Promise<JournalRecord | undefined> {
  const stamp = Buffer.from(journalId, 'hex');
  if (stamp.length !== stampBytes) return undefined;
  const found = await view.get(Buffer.concat([keys.journal(), stamp]));
  return found && decodeRecord<JournalRecord>(found);
}
