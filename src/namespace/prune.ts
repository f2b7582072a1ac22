// Directories that lost their last entry: they are looked at behind the deletes, so that these need not conflict.
import type { Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { findDirectory } from './paths.ts';
import { decodeRecord, encodeRecord, type PruneRecord } from './records.ts';
import type { Store } from './store.ts';

export interface PruneCounts {
  looked: number;
  removed: number;
}

/** Looks at no more than `rowsMax` directories; a parent that becomes empty waits for the next time. */
export async function pruneOnce(store: Store, options: { readonly rowsMax: number }): Promise<PruneCounts> {
  const counts: PruneCounts = { looked: 0, removed: 0 };
  const rows = await store.engine.snapshot((view) => view.scan(keys.allPrune(), { limit: options.rowsMax }));
  for (const row of rows) {
    counts.looked++;
    if (await store.engine.transact((txn) => prune(txn, row.key))) counts.removed++;
  }
  return counts;
}

async function prune(txn: Txn, row: Uint8Array): Promise<boolean> {
  const found = await txn.get(row);
  if (found === undefined) return false;
  txn.delete(row);
  const id = keys.idOf(row);
  const { container, name } = decodeRecord<PruneRecord>(found);
  const root = Buffer.from(container, 'hex');
  const slash = name.lastIndexOf('/');
  const parentName = name.slice(0, Math.max(0, slash));
  const parent = slash === -1 ? root : await findDirectory(txn, root, parentName);
  const stands = await findDirectory(txn, root, name);
  if (parent === undefined || stands?.equals(id) !== true) return false;
  const [child] = await txn.scan(keys.children(id), { limit: 1 });
  const [past] = await txn.scan(keys.pastBelow(id), { limit: 1 });
  if (child !== undefined || past !== undefined) return false;
  txn.delete(keys.directory(parent, name.slice(slash + 1)));
  if (slash !== -1) {
    txn.put(keys.prune(parent), encodeRecord({ container, name: parentName } satisfies PruneRecord));
  }
  return true;
}
