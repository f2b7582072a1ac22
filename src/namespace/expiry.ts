// What time takes away: uploads that nobody went on with, and the journal's oldest records.
import type { Key } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import type { JournalRecord } from './journal.ts';
import { decodeRecord, type UploadRecord } from './records.ts';
import { breathe } from './references.ts';
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
    await breathe();
  }
}

function expire(store: Store, key: Key, beforeMs: number): Promise<boolean> {
  return store.engine.transact(async (txn) => {
    const found = await txn.get(key);
    const upload = found && decodeRecord<UploadRecord>(found);
    if (upload === undefined || upload.stagedMs >= beforeMs) return false;
    dropUploadLater(store, txn, keys.idOf(key), keys.uploadNameOf(key), upload);
    return true;
  });
}

/**
 * Deletes up to `rowsMax` of the oldest records that are older than `ageMs`. A follower's cursor bounds it further:
 * whoever adds the first follower passes the slowest one's position here, as the end of the range.
 */
export async function trimJournal(
  store: Store,
  options: { readonly ageMs: number; readonly rowsMax: number },
): Promise<{ records: number }> {
  const beforeMs = store.clock.now() - options.ageMs;
  const all = keys.journalAll();
  // Looked at outside the transaction: reading the journal's end within would conflict with every change.
  const rows = await store.engine.snapshot((view) => view.scan(all, { limit: options.rowsMax }));
  let records = 0;
  let end: Key | undefined;
  for (const row of rows) {
    if (decodeRecord<JournalRecord>(row.value).atMs >= beforeMs) break;
    end = after(row.key);
    records++;
  }
  const until = end;
  if (until !== undefined) {
    await store.engine.transact((txn) => txn.deleteRange({ start: all.start, end: until }));
  }
  return { records };
}
