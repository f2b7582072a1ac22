// Followers of the journal: where each of them stands, and what it is told when the journal was trimmed under it.
import { type Item, stampBytes, type Txn, type View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { journalIdOf } from './journal.ts';
import { decodeRecord, encodeRecord } from './records.ts';
import { change, type Store } from './store.ts';

export interface FollowerRecord {
  /** The id of the last record that it is done with: see `journalIdOf`. Empty: none so far. */
  readonly cursor: string;
  /** Records that were trimmed before it had read them. It goes on behind them, once it has taken note. */
  readonly lost?: LostRecords;
}

export interface LostRecords {
  /** The id of the last of them. */
  readonly until: string;
  readonly records: number;
  readonly atMs: number;
}

export async function readFollower(view: View, name: string): Promise<FollowerRecord | undefined> {
  const found = await view.get(keys.follower(name));
  return found && decodeRecord<FollowerRecord>(found);
}

export async function listFollowers(view: View): Promise<{ name: string; record: FollowerRecord }[]> {
  const rows = await view.scan(keys.followers(), { limit: followersMax });
  return rows.map(({ key, value }) => ({
    name: Buffer.from(key.subarray(1)).toString('utf8'),
    record: decodeRecord<FollowerRecord>(value),
  }));
}

const followersMax = 10_000;

export interface Opened {
  readonly cursor: string;
  readonly lost: LostRecords | undefined;
}

/**
 * Where a follower goes on. One that never ran begins at the oldest record there is; from now on the journal is kept for
 * it. What it lost is told once.
 */
export async function openFollower(store: Store, name: string): Promise<Opened> {
  return await store.engine.transact(async (txn) => {
    const found = await readFollower(txn, name);
    if (found !== undefined && found.lost === undefined) return { cursor: found.cursor, lost: undefined };
    const lost = found?.lost;
    const cursor = lost?.until ?? '';
    txn.put(keys.follower(name), encodeRecord({ cursor } satisfies FollowerRecord));
    return { cursor, lost };
  });
}

/**
 * Moves the cursor, in the transaction of what was made from the records. False: it does not stand at `from` any more (two
 * were at work, or records were lost), and the transaction must write nothing.
 */
export async function moveFollower(txn: Txn, name: string, from: string, to: string): Promise<boolean> {
  const found = await readFollower(txn, name);
  if (found === undefined || found.cursor !== from || found.lost !== undefined) return false;
  txn.put(keys.follower(name), encodeRecord({ cursor: to } satisfies FollowerRecord));
  return true;
}

/** A follower that is gone for good: the journal is no longer kept for it. */
export async function removeFollower(store: Store, name: string): Promise<void> {
  await change(store, (txn) => txn.delete(keys.follower(name)));
}

export interface JournalRow {
  readonly id: string;
  /** The encoded record. */
  readonly value: Uint8Array;
}

export interface JournalPage {
  readonly rows: readonly JournalRow[];
  /** Nothing stood behind the rows when they were read. */
  readonly isEnd: boolean;
}

/** The records behind a cursor, in the order of their commits. */
export async function readBehind(view: View, cursor: string, limit: number): Promise<JournalPage> {
  const rows = await view.scan({ start: behind(cursor), end: keys.journalAll().end }, { limit });
  return { rows: rows.map(rowOf), isEnd: rows.length < limit };
}

/** How many commits the journal's newest record is ahead of a cursor: at least as many as have records to be read. */
export async function commitsBehind(view: View, cursor: string): Promise<number> {
  const { start, end } = keys.journalAll();
  const [last] = await view.scan({ start, end }, { limit: 1, reverse: true });
  if (last === undefined) return 0;
  const from = cursor === '' ? (await view.scan({ start, end }, { limit: 1 }))[0]?.key : behind(cursor);
  return from === undefined ? 0 : Math.max(0, commitOf(last.key) - commitOf(from));
}

function behind(cursor: string): Uint8Array {
  if (cursor === '') return keys.journalAll().start;
  return after(Buffer.concat([keys.journal(), Buffer.from(cursor, 'hex')]));
}

function rowOf({ key, value }: Item): JournalRow {
  return { id: journalIdOf(key), value };
}

function commitOf(key: Uint8Array): number {
  const from = keys.journal().length;
  return Number(Buffer.from(key.subarray(from, from + stampBytes)).readBigUInt64BE());
}

/** Of what was trimmed up to `until` (its ids, in order), tells each follower how much of it it had not read. */
export async function noteLost(
  txn: Txn,
  names: readonly string[],
  trimmed: readonly string[],
  nowMs: number,
): Promise<void> {
  const until = trimmed.at(-1) as string;
  for (const name of names) {
    const found = await readFollower(txn, name);
    if (found === undefined || found.cursor >= until) continue;
    const records = trimmed.filter((id) => id > found.cursor).length + (found.lost?.records ?? 0);
    txn.put(keys.follower(name), encodeRecord({ ...found, lost: { until, records, atMs: nowMs } }));
  }
}
