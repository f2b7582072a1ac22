// How an entry's record names its bytes: inline, a few pieces within the record, or rows of their own for a long list.
import type { LogPiece } from '../content/extent.ts';
import type { Content } from '../content/writer.ts';
import { decodeCounter, type Txn, type View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import {
  type BlockItem,
  decodeRecord,
  type Entry,
  type EntryRecord,
  encodeRecord,
  packPieces,
  unpackPieces,
} from './records.ts';
import type { Store } from './store.ts';

// So many pieces and blocks fit the record itself; more stand in rows of `runLength` under a content id.
export const embeddedMax = 32;
const runLength = 512;

export type ContentFields = Pick<EntryRecord, 'length' | 'pieces' | 'contentId' | 'blocks'>;

/** The fields that name a content which has no other owner yet, and the bytes that ride with the record. */
export function nameContent(
  store: Store,
  txn: Txn,
  content: Content,
  blocks?: readonly BlockItem[],
): { fields: ContentFields; inline: Uint8Array | undefined } {
  const { length, inline, pieces } = content;
  if (inline !== undefined) return { fields: blocks ? { length, blocks } : { length }, inline };
  if (pieces.length <= embeddedMax && (blocks?.length ?? 0) <= embeddedMax) {
    const packed = packPieces(pieces);
    return { fields: blocks ? { length, pieces: packed, blocks } : { length, pieces: packed }, inline: undefined };
  }
  const id = store.ids.next();
  let offset = 0;
  for (let i = 0; i < pieces.length; i += runLength) {
    const run = pieces.slice(i, i + runLength);
    txn.put(keys.pieces(id, offset), encodeRecord({ pieces: packPieces(run) }));
    for (const piece of run) offset += piece.length;
  }
  for (let i = 0; blocks !== undefined && i < blocks.length; i += runLength) {
    txn.put(keys.blocks(id, i), encodeRecord({ blocks: blocks.slice(i, i + runLength) }));
  }
  const contentId = id.toString('hex');
  return { fields: blocks ? { length, contentId, blocks: [] } : { length, contentId }, inline: undefined };
}

/** Another owner of the same content: long ones count owners, short ones count the owners of each extent. */
export function shareContent(txn: Txn, entry: Entry): { fields: ContentFields; inline: Uint8Array | undefined } {
  const { length, pieces, contentId, blocks } = entry.record;
  if (contentId !== undefined) txn.add(keys.contentOwners(Buffer.from(contentId, 'hex')), 1n);
  if (pieces !== undefined) shareExtents(txn, unpackPieces(pieces));
  const fields: ContentFields = {
    length,
    ...(pieces && { pieces }),
    ...(contentId !== undefined && { contentId }),
    ...(blocks && { blocks }),
  };
  return { fields, inline: entry.inline };
}

export function shareExtents(txn: Txn, pieces: readonly LogPiece[]): void {
  for (const piece of pieces) txn.add(keys.extentOwners(piece.segment, piece.offset), 1n);
}

/** Whether nobody else names this content as a whole; single extents of it may well have further owners. */
export async function isOnlyOwner(view: View, record: Pick<EntryRecord, 'contentId'>): Promise<boolean> {
  if (record.contentId === undefined) return true;
  return decodeCounter(await view.get(keys.contentOwners(Buffer.from(record.contentId, 'hex')))) === 0n;
}

/** Removes the rows of a long content whose pieces have other owners now. */
export function forgetContent(txn: Txn, contentId: string): void {
  const id = Buffer.from(contentId, 'hex');
  txn.deleteRange(keys.piecesOf(id));
  txn.deleteRange(keys.blocksOf(id));
  txn.delete(keys.contentOwners(id));
}

/** An owner goes: what it named is looked at later, in the background, however long it is. */
export function dropContent(store: Store, txn: Txn, record: Pick<EntryRecord, 'pieces' | 'contentId'>): void {
  const { pieces, contentId } = record;
  if (contentId !== undefined) txn.put(keys.garbage(store.ids.next()), encodeRecord({ contentId }));
  else if (pieces !== undefined && pieces.length > 0) txn.put(keys.garbage(store.ids.next()), encodeRecord({ pieces }));
}

/** Pieces that were written but got no name. */
export function dropPieces(store: Store, txn: Txn, pieces: readonly LogPiece[]): void {
  for (let i = 0; i < pieces.length; i += runLength) {
    const run = packPieces(pieces.slice(i, i + runLength));
    txn.put(keys.garbage(store.ids.next()), encodeRecord({ pieces: run }));
  }
}

/**
 * Pieces that named their extents go over into those that do now: what both have keeps its owners, and only the difference
 * is shared or dropped, extent by extent.
 */
export function settleOwners(store: Store, txn: Txn, lost: Iterable<LogPiece>, named: Iterable<LogPiece>): void {
  const owners = new Map<string, { readonly piece: LogPiece; more: number }>();
  const count = (piece: LogPiece, by: number): void => {
    const id = `${piece.segment}:${piece.offset}`;
    const found = owners.get(id);
    if (found === undefined) owners.set(id, { piece, more: by });
    else found.more += by;
  };
  for (const piece of named) count(piece, 1);
  for (const piece of lost) count(piece, -1);
  const dropped: LogPiece[] = [];
  for (const { piece, more } of owners.values()) {
    for (let i = 0; i < more; i++) shareExtents(txn, [piece]);
    for (let i = 0; i > more; i--) dropped.push(piece);
  }
  dropPieces(store, txn, dropped);
}

export interface PieceRun {
  /** Where in the content it begins. */
  readonly at: number;
  readonly pieces: LogPiece[];
}

/** The pieces from `offset` on. */
export async function* piecesFrom(
  view: View,
  record: EntryRecord,
  offset: number,
): AsyncGenerator<PieceRun, void, undefined> {
  if (record.pieces !== undefined) yield { at: 0, pieces: unpackPieces(record.pieces) };
  if (record.contentId === undefined) return;
  const id = Buffer.from(record.contentId, 'hex');
  const all = keys.piecesOf(id);
  const [first] = await view.scan(
    { start: all.start, end: after(keys.pieces(id, offset)) },
    { limit: 1, reverse: true },
  );
  if (first === undefined) return;
  let start = first.key;
  for (let limit = 8; ; ) {
    const rows = await view.scan({ start, end: all.end }, { limit });
    let count = 0;
    for (const row of rows) {
      const at = Buffer.from(row.key).readUIntBE(row.key.length - 6, 6);
      const pieces = unpackPieces(decodeRecord<{ pieces: number[] }>(row.value).pieces);
      count += pieces.length;
      yield { at, pieces };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) return;
    start = after(last.key);
    // Rows of appended blocks are short, and there may be many.
    limit = count < runLength ? 256 : 8;
  }
}

export async function allPieces(view: View, record: EntryRecord): Promise<LogPiece[]> {
  const pieces: LogPiece[] = [];
  for await (const run of piecesFrom(view, record, 0)) for (const piece of run.pieces) pieces.push(piece);
  return pieces;
}

/** The committed block list; undefined where the content was not made of blocks. */
export async function committedBlocks(view: View, record: EntryRecord): Promise<readonly BlockItem[] | undefined> {
  if (record.contentId === undefined || record.blocks === undefined) return record.blocks;
  const blocks: BlockItem[] = [];
  let { start, end } = keys.blocksOf(Buffer.from(record.contentId, 'hex'));
  for (;;) {
    const rows = await view.scan({ start, end }, { limit: 16 });
    for (const row of rows)
      for (const block of decodeRecord<{ blocks: BlockItem[] }>(row.value).blocks) blocks.push(block);
    const last = rows.at(-1);
    if (last === undefined || rows.length < 16) return blocks;
    start = after(last.key);
  }
}
