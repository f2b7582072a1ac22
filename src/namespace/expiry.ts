// What time takes away: uploads that nobody went on with, and the journal's oldest records.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Key } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { listFollowers, noteLost } from './followers.ts';
import { type JournalRecord, journalIdOf } from './journal.ts';
import { decodeRecord, type UploadRecord } from './records.ts';
import { dropUploadLater } from './staged.ts';
import type { Store } from './store.ts';
import { stagedResolutionMs } from './uploads.ts';

const pageRows = 500;

/** Drops every upload in which nothing was staged for `ageMs`. */
export async function expireUploads(store: Store, options: { readonly ageMs: number }): Promise<{ uploads: number }> {
  // The time in the record may lag behind the last staging by its resolution.
  const beforeMs = store.clock.now() - options.ageMs - stagedResolutionMs;
  let uploads = 0;
  let { start, end } = keys.allUploads();
  for (;;) {
    const from = start;
    const rows = await store.engine.snapshot((view) => view.scan({ start: from, end }, { limit: pageRows }));
    for (const row of rows) {
      if (decodeRecord<UploadRecord>(row.value).stagedMs < beforeMs && (await expire(store, row.key, beforeMs))) {
        uploads++;
      }
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return { uploads };
    start = after(last.key);
    await nextTurn();
  }
}

function expire(store: Store, key: Key, beforeMs: number): Promise<boolean> {
  return store.engine.transact(async (txn) => {
    const found = await txn.get(key);
    const upload = found && decodeRecord<UploadRecord>(found);
    if (upload === undefined || upload.stagedMs >= beforeMs) return false;
    await dropUploadLater(store, txn, keys.idOf(key), keys.uploadNameOf(key), upload);
    return true;
  });
}

export interface TrimOptions {
  readonly ageMs: number;
  readonly rowsMax: number;
  /** A follower that is further behind loses what is older; by default four times `ageMs`. */
  readonly followerAgeMs?: number;
}

/**
 * Deletes up to `rowsMax` of the oldest records that are older than `ageMs`, and not what a follower still has to read:
 * that stays until it is older than `followerAgeMs`, and then the follower is told what it lost.
 */
export async function trimJournal(store: Store, options: TrimOptions): Promise<{ records: number }> {
  const nowMs = store.clock.now();
  const beforeMs = nowMs - options.ageMs;
  const lostBeforeMs = nowMs - Math.max(options.ageMs, options.followerAgeMs ?? 4 * options.ageMs);
  const all = keys.journalAll();
  // Looked at outside the transaction: reading the journal's end within would conflict with every change.
  const { rows, followers } = await store.engine.snapshot(async (view) => ({
    rows: await view.scan(all, { limit: options.rowsMax }),
    followers: await listFollowers(view),
  }));
  const trimmed: string[] = [];
  let end: Key | undefined;
  for (const row of rows) {
    const { atMs } = decodeRecord<JournalRecord>(row.value);
    const id = journalIdOf(row.key);
    // Cursors only go forward: one that has moved since is further than this.
    const isAwaited = followers.some(({ record }) => record.cursor < id);
    if (atMs >= (isAwaited ? lostBeforeMs : beforeMs)) break;
    end = after(row.key);
    trimmed.push(id);
  }
  const until = end;
  if (until !== undefined) {
    const last = trimmed.at(-1) as string;
    const losing = followers.filter(({ record }) => record.cursor < last).map(({ name }) => name);
    await store.engine.transact(async (txn) => {
      txn.deleteRange({ start: all.start, end: until });
      await noteLost(txn, losing, trimmed, nowMs);
    });
  }
  return { records: trimmed.length };
}
