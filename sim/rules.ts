// What the simulation goes by: which operations exclude each other, which failures are the disk's, and how reclaim is broken.
import { keys } from '../src/metadata/keys.ts';
import { decodeRecord, encodeRecord, type SegmentRecord } from '../src/namespace/records.ts';
import { rowsOf } from '../src/namespace/references.ts';
import type { Store } from '../src/namespace/store.ts';

/** A lock with "!" wants its name, or a container with all its names, to itself. */
export function excludes(a: string, b: string): boolean {
  const [nameA, nameB] = [a.replace('!', ''), b.replace('!', '')];
  return nameA === nameB && (a !== nameA || b !== nameB);
}

export function isFault(error: unknown): boolean {
  const { code, cause } = error as { code?: string; cause?: unknown };
  return code === 'EIO' || code === 'ENOSPC' || (code === 'UNAVAILABLE' && cause !== undefined);
}

export function shorten(text: string | undefined): string {
  return text === undefined || text.length <= 200 ? `${text}` : `${text.slice(0, 100)}... of ${text.length}`;
}

/** The broken reclaim: a segment goes with what is in it. */
export async function retireUnmoved(store: Store): Promise<void> {
  await store.engine.transact(async (txn) => {
    for await (const { key, value } of rowsOf(txn, keys.segments())) {
      const record = decodeRecord<SegmentRecord>(value);
      if (record.state !== 'sealed' || (record.extentBytes ?? 0) === 0) continue;
      txn.put(key, encodeRecord({ ...record, state: 'retired', retiredMs: 0 } satisfies SegmentRecord));
      return;
    }
  });
}
