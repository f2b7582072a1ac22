// Append blobs: a block at a time at the end, whatever the length. Many may append at once: each gets a place of its own.
import type { LogPiece } from '../content/extent.ts';
import type { Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { countUsage } from './containers.ts';
import { embeddedMax, shareExtents } from './contents.ts';
import { type CopySource, cutPieces, readSource } from './copy.ts';
import { type EntryChange, type EntryOutcome, openForChange, touched } from './entries.ts';
import { putCurrent } from './entry-rows.ts';
import type { Failure } from './failure.ts';
import { changeOwned, type Owning, type Shared } from './fork.ts';
import { type Body, discard, ingest } from './ingest.ts';
import {
  type Entry,
  type EntryEncryption,
  type EntryRecord,
  encodeRecord,
  numbersAPiece,
  packPieces,
} from './records.ts';
import { isSameEncryption } from './scopes.ts';
import { change, type Store } from './store.ts';

/** An append blob takes so many blocks ("Append Block", Remarks). */
export const appendsMax = 50_000;

/** x-ms-blob-condition-appendpos, x-ms-blob-condition-maxsize. */
export interface AppendConditions {
  /** Where the block must come to lie. */
  readonly position?: number;
  /** How long the blob may be afterwards. */
  readonly lengthMax?: number;
}

export interface Append extends EntryChange {
  readonly append: AppendConditions;
}

export type AppendOutcome = { readonly kind: 'ok'; readonly entry: Entry; readonly offset: number } | Failure;

export type AppendedOutcome =
  | {
      readonly kind: 'ok';
      readonly entry: Entry;
      readonly offset: number;
      readonly md5: Buffer | undefined;
      readonly crc64: bigint;
    }
  | Failure;

/** Append Block. The blob's encryption must be that of the body. */
export async function appendBlock(
  store: Store,
  command: Append & { readonly body: Body; readonly encryption?: EntryEncryption },
): Promise<AppendedOutcome> {
  const ingested = await ingest(store, command.body, true);
  if (ingested.kind !== 'ok') return ingested;
  const { content } = ingested;
  const outcome = await changeOwned(store, command.held, (txn, owning) =>
    append(store, txn, owning, command, content.pieces, content.length),
  );
  if (outcome.kind !== 'ok') {
    await discard(store, content.pieces);
    return outcome;
  }
  return { ...outcome, md5: content.md5, crc64: content.crc64 };
}

/**
 * Append Block From URL inside the store: the block is a range of the source, shared. `body-needed` says that it cannot be,
 * because the source has no extents of its own there, or is sealed otherwise.
 */
export async function appendRange(
  store: Store,
  command: Append & { readonly source: CopySource; readonly sourceOffset: number; readonly length: number },
): Promise<
  AppendOutcome | { readonly kind: 'body-needed' } | { readonly kind: 'source-failed'; readonly failure: Failure }
> {
  const { source, sourceOffset, length } = command;
  type Outcome = Awaited<ReturnType<typeof appendRange>>;
  return await changeOwned<Exclude<Outcome, Failure> | Failure>(store, command.held, async (txn, owning) => {
    const found = await readSource(txn, source, 'read');
    if (found.kind !== 'ok') return { kind: 'source-failed', failure: found };
    const { entry } = found;
    const { record } = entry;
    if (sourceOffset + length > record.length) return { kind: 'source-range' };
    if (record.type === 'page' || entry.inline !== undefined) return { kind: 'body-needed' };
    const pieces = await cutPieces(txn, entry, sourceOffset, length);
    const { encryption } = record;
    const outcome = await append(store, txn, owning, { ...command, ...(encryption && { encryption }) }, pieces, length);
    // Only now: a transaction that has to be run again must leave nothing.
    if (outcome.kind === 'ok') shareExtents(txn, pieces);
    return outcome;
  });
}

async function append(
  store: Store,
  txn: Txn,
  owning: Owning,
  command: Append & { readonly encryption?: EntryEncryption },
  pieces: readonly LogPiece[],
  length: number,
): Promise<AppendOutcome | Shared> {
  const target = await openForChange(store, txn, command, 'append');
  if (target.kind !== 'ok') return target;
  const { existing, spot, container } = target;
  const { record } = existing;
  const { position, lengthMax } = command.append;
  if (position !== undefined && position !== record.length) return { kind: 'append-position' };
  if (lengthMax !== undefined && record.length + length > lengthMax) return { kind: 'append-too-large' };
  const appendedBlocks = (record.appendedBlocks ?? 0) + 1;
  if (appendedBlocks > appendsMax) return { kind: 'block-count-exceeded' };
  if (!isSameEncryption(record.encryption, command.encryption)) return { kind: 'encryption-mismatch' };
  const added = await addPieces(store, txn, owning, record, pieces);
  if ('kind' in added) return added;
  countUsage(txn, container, length);
  const { pieces: _, contentId: __, ...rest } = record;
  const grown = { ...rest, ...added, length: record.length + length, appendedBlocks };
  const entry: Entry = { record: touched(store, grown), inline: undefined };
  putCurrent(store, txn, spot, record, entry, 'entry-changed');
  return { kind: 'ok', entry, offset: record.length };
}

/** A few pieces stand in the record; further blocks have a row each, at their place, so that none costs more than another. */
async function addPieces(
  store: Store,
  txn: Txn,
  owning: Owning,
  record: EntryRecord,
  pieces: readonly LogPiece[],
): Promise<Pick<EntryRecord, 'pieces' | 'contentId'> | Shared> {
  const packed = packPieces(pieces);
  if (record.contentId !== undefined) {
    const contentId = await owning.contentId(txn, record);
    if (typeof contentId !== 'string') return contentId;
    txn.put(keys.pieces(Buffer.from(contentId, 'hex'), record.length), encodeRecord({ pieces: packed }));
    return { contentId };
  }
  const embedded = record.pieces ?? [];
  if (embedded.length / numbersAPiece + pieces.length <= embeddedMax) return { pieces: [...embedded, ...packed] };
  const id = store.ids.next();
  if (embedded.length > 0) txn.put(keys.pieces(id, 0), encodeRecord({ pieces: embedded }));
  txn.put(keys.pieces(id, record.length), encodeRecord({ pieces: packed }));
  return { contentId: id.toString('hex') };
}

/** Seal: from then on nothing is appended. */
export function sealEntry(store: Store, command: Append): Promise<EntryOutcome> {
  return change<EntryOutcome>(store, async (txn) => {
    const target = await openForChange(store, txn, command, 'seal');
    if (target.kind !== 'ok') return target;
    const { existing, spot } = target;
    const { record } = existing;
    const { position } = command.append;
    if (position !== undefined && position !== record.length) return { kind: 'append-position' };
    if (record.isSealed) return { kind: 'ok', entry: existing };
    const entry: Entry = { record: touched(store, { ...record, isSealed: true }), inline: existing.inline };
    putCurrent(store, txn, spot, record, entry, 'entry-changed');
    return { kind: 'ok', entry };
  });
}
