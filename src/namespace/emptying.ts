// What stood in a deleted container goes here, in transactions of bounded size.
import type { Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import type { ContainerName } from './containers.ts';
import { dropContent } from './contents.ts';
import { type DirectoryRecord, decodeEntry, decodeRecord, type UploadRecord } from './records.ts';
import { dropUploadLater } from './staged.ts';
import type { Store } from './store.ts';
import { indexTags } from './tag-index.ts';

export interface EmptyCounts {
  containers: number;
  rows: number;
}

/** Takes away up to about `rowsMax` rows of the first deleted container, and the container itself behind its last. */
export async function emptyOnce(store: Store, options: { readonly rowsMax: number }): Promise<EmptyCounts> {
  return await store.engine.transact(async (txn) => {
    const [first] = await txn.scan(keys.allEmptying(), { limit: 1 });
    if (first === undefined) return { containers: 0, rows: 0 };
    const container = keys.idOf(first.key);
    const root: Root = { id: container.toString('hex'), ...decodeRecord<ContainerName>(first.value) };
    const work = { left: options.rowsMax };
    const isEmpty =
      (await emptyUploads(store, txn, container, work)) &&
      (await emptyDirectory(store, txn, root, container, '', work));
    if (isEmpty) {
      txn.delete(first.key);
      txn.delete(keys.usage(container));
    }
    return { containers: isEmpty ? 1 : 0, rows: options.rowsMax - work.left };
  });
}

/** The container as it was. */
interface Root extends ContainerName {
  readonly id: string;
}

interface Work {
  left: number;
}

async function emptyUploads(store: Store, txn: Txn, container: Buffer, work: Work): Promise<boolean> {
  if (work.left <= 0) return false;
  const rows = await txn.scan(keys.uploadsOf(container), { limit: work.left });
  for (const row of rows) {
    await dropUploadLater(store, txn, container, keys.uploadNameOf(row.key), decodeRecord<UploadRecord>(row.value));
  }
  work.left -= rows.length;
  return work.left > 0;
}

async function emptyPast(store: Store, txn: Txn, directory: Buffer, work: Work): Promise<boolean> {
  if (work.left <= 0) return false;
  txn.deleteRange(keys.sweepsBelow(directory));
  const rows = await txn.scan(keys.pastBelow(directory), { limit: work.left });
  for (const row of rows) {
    dropContent(store, txn, decodeEntry(row.value).record);
    txn.delete(row.key);
  }
  work.left -= rows.length;
  return work.left > 0;
}

/** Answers whether nothing is left below. */
async function emptyDirectory(
  store: Store,
  txn: Txn,
  root: Root,
  directory: Buffer,
  path: string,
  work: Work,
): Promise<boolean> {
  if (!(await emptyPast(store, txn, directory, work))) return false;
  while (work.left > 0) {
    const limit = work.left;
    const rows = await txn.scan(keys.children(directory), { limit });
    for (const row of rows) {
      if (work.left <= 0) return false;
      if (keys.isDirectory(row.key)) {
        const id = Buffer.from(decodeRecord<DirectoryRecord>(row.value).id, 'hex');
        const name = `${path}${keys.entryNameOf(row.key)}`;
        if (!(await emptyDirectory(store, txn, root, id, name, work))) return false;
        txn.delete(keys.prune(id));
      } else {
        const { record } = decodeEntry(row.value);
        const name = { account: root.account, container: root.container, name: `${path}${keys.entryNameOf(row.key)}` };
        indexTags(txn, name, root, record.tags, undefined);
        dropContent(store, txn, record);
      }
      txn.delete(row.key);
      work.left--;
    }
    if (rows.length < limit) return true;
  }
  return false;
}
