// Staged blocks as they stand in metadata, under the name that they wait for.
import type { LogPiece } from '../content/extent.ts';
import { decodeCounter, type Txn, type View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import {
  type BlockRecord,
  type ContainerRecord,
  decodeRecord,
  encodeRecord,
  type GarbageRecord,
  type UploadRecord,
  unpackPieces,
} from './records.ts';
import type { Store } from './store.ts';

export interface StagedBlock {
  readonly length: number;
  readonly pieces: readonly LogPiece[];
}

export async function readUpload(view: View, container: Buffer, name: string): Promise<UploadRecord | undefined> {
  const found = await view.get(keys.upload(container, name));
  return found && decodeRecord<UploadRecord>(found);
}

export async function stagedBlocks(view: View, upload: UploadRecord | undefined): Promise<Map<string, StagedBlock>> {
  const blocks = new Map<string, StagedBlock>();
  if (upload === undefined) return blocks;
  let { start, end } = keys.blocksStaged(Buffer.from(upload.id, 'hex'));
  for (;;) {
    const rows = await view.scan({ start, end }, { limit: 1000 });
    for (const row of rows) {
      const record = decodeRecord<BlockRecord>(row.value);
      blocks.set(keys.blockIdOf(row.key).toString('base64'), {
        length: record.length,
        pieces: unpackPieces(record.pieces),
      });
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < 1000) return blocks;
    start = after(last.key);
  }
}

/** The container counts the staged bytes no longer: called before what comes in their place is counted. */
async function releaseUsage(txn: Txn, container: Buffer, upload: UploadRecord): Promise<void> {
  if (upload.isCounted !== true) return;
  const key = keys.uploadBytes(Buffer.from(upload.id, 'hex'));
  const bytes = decodeCounter(await txn.get(key));
  if (bytes !== 0n) txn.add(keys.usage(container), -bytes);
  txn.delete(key);
}

/** Removes the upload's rows; what they named must be dropped or have a new owner already. */
export async function dropUpload(
  txn: Txn,
  container: Buffer,
  name: string,
  upload: UploadRecord | undefined,
): Promise<void> {
  if (upload === undefined) return;
  await releaseUsage(txn, container, upload);
  const id = Buffer.from(upload.id, 'hex');
  txn.delete(keys.upload(container, name));
  txn.delete(keys.uploadCount(id));
  txn.deleteRange(keys.blocksStaged(id));
}

/** Drops the upload of a name with all that is staged. */
export async function discardUpload(
  store: Store,
  txn: Txn,
  { container, upload }: { readonly container: ContainerRecord; readonly upload: UploadRecord | undefined },
  name: string,
): Promise<void> {
  if (upload !== undefined) await dropUploadLater(store, txn, Buffer.from(container.id, 'hex'), name, upload);
}

/** The name is free at once; its blocks, however many, go in the background. */
export async function dropUploadLater(
  store: Store,
  txn: Txn,
  container: Buffer,
  name: string,
  upload: UploadRecord,
): Promise<void> {
  await releaseUsage(txn, container, upload);
  txn.delete(keys.upload(container, name));
  txn.delete(keys.uploadCount(Buffer.from(upload.id, 'hex')));
  txn.put(keys.garbage(store.ids.next()), encodeRecord({ uploadId: upload.id } satisfies GarbageRecord));
}
