// What is to be done at a time: rows in the order of their times, and the one task that works through them.
import type { Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { type DueRecord, decodeRecord, encodeRecord } from './records.ts';
import type { Store } from './store.ts';

export function putDue(store: Store, txn: Txn, dueMs: number, record: DueRecord): void {
  txn.put(keys.due(Math.max(0, Math.min(dueMs, timeMax)), store.ids.next()), encodeRecord(record));
}

/** Six bytes. */
const timeMax = 2 ** 48 - 1;

/** Does one thing that is due in a transaction; what must wait longer answers with its new time. */
export type DueWork = (txn: Txn, record: DueRecord) => Promise<Again | undefined>;

export interface Again {
  readonly againMs: number;
  /** What is to be done then, where that is something else. */
  readonly record?: DueRecord;
}

const postponeMs = 60_000;

/** What fails must not stand in front of the rest for ever. */
function postpone(store: Store, key: Uint8Array): Promise<void> {
  return store.engine.transact(async (txn) => {
    const found = await txn.get(key);
    if (found === undefined) return;
    txn.delete(key);
    putDue(store, txn, store.clock.now() + postponeMs, decodeRecord<DueRecord>(found));
  });
}

export interface DueCounts {
  readonly rows: number;
  /** Whether more of it may be due at once: there were as many rows as were looked at, or one goes on. */
  readonly more: boolean;
}

/** Up to `rowsMax` rows whose time has come; each row goes with its work. Goes on behind one that fails, then throws. */
export async function doDue(store: Store, work: DueWork, options: { readonly rowsMax: number }): Promise<DueCounts> {
  const range = keys.dueBefore(store.clock.now() + 1);
  const rows = await store.engine.snapshot((view) => view.scan(range, { limit: options.rowsMax }));
  const failures: unknown[] = [];
  let more = rows.length === options.rowsMax;
  for (const { key } of rows) {
    let goesOn = false;
    try {
      await store.engine.transact(async (txn) => {
        const found = await txn.get(key);
        if (found === undefined) return;
        txn.delete(key);
        const record = decodeRecord<DueRecord>(found);
        const again = await work(txn, record);
        goesOn = again !== undefined && again.againMs <= store.clock.now();
        if (again !== undefined) putDue(store, txn, again.againMs, again.record ?? record);
      });
      more ||= goesOn;
    } catch (error) {
      failures.push(error);
      await postpone(store, key).catch(() => undefined);
    }
  }
  if (failures.length > 0) throw failures[0];
  return { rows: rows.length, more };
}
