// Copies inside the store: they share pieces, so they cost a transaction whatever their length.
import { assert } from '../base/unreachable.ts';
import type { LogPiece } from '../content/extent.ts';
import type { View } from '../metadata/engine.ts';
import { readContainer } from './containers.ts';
import { piecesFrom, shareContent } from './contents.ts';
import {
  containerNotFound,
  type EntryAttributes,
  type EntryName,
  type EntryOutcome,
  type EntryTime,
  type EntryWrite,
  entryNotFound,
  openForWrite,
  readEntry,
  replaceContent,
} from './entries.ts';
import type { Failure } from './failure.ts';
import { checkLeaseForRead } from './leases.ts';
import { type Conditions, checkRead } from './preconditions.ts';
import type { Entry, EntryRecord } from './records.ts';
import { discardUpload } from './staged.ts';
import { checkPermit, checkState, type Permit } from './states.ts';
import { change, type Store } from './store.ts';
import { type StageBlock, stagePieces } from './uploads.ts';

const ok = { kind: 'ok' } as const;

export interface CopySource extends EntryName {
  readonly conditions: Conditions;
  readonly at?: EntryTime;
  readonly permit?: Permit | undefined;
  /** That the source must have at a moment. */
  readonly lease?: { readonly id: string; readonly atMs: number };
}

/** A failure of the source stands apart: protocols answer it otherwise than the same failure of the target. */
export type CopyOutcome = EntryOutcome | { readonly kind: 'source-failed'; readonly failure: Failure };

/** Gives the target the source's content; `attributes` says what it carries besides, from what the source has. */
export function copyEntry(
  store: Store,
  command: Omit<EntryWrite, 'attributes'> & {
    readonly source: CopySource;
    readonly attributes: (source: Entry) => EntryAttributes;
  },
): Promise<CopyOutcome> {
  return change<CopyOutcome>(store, async (txn) => {
    const source = await readSource(txn, command.source, 'copy-from');
    if (source.kind !== 'ok') return { kind: 'source-failed', failure: source };
    const own = command.attributes(source.entry);
    const { type } = source.entry.record;
    // Pages are not in a row.
    if (type === 'page' && own.type !== undefined) return { kind: 'blob-type' };
    const target = await openForWrite(store, txn, command, own.type ?? type);
    if (target.kind !== 'ok') return target;
    await discardUpload(store, txn, target, command.name);
    // Shared before the old content is dropped: a copy onto itself keeps its own.
    const named = shareContent(txn, source.entry);
    const attributes = own.type === undefined ? { ...natureOf(source.entry.record), ...own } : own;
    return replaceContent(store, txn, { ...command, attributes }, target, named);
  });
}

/** What a copy is because its source is that. */
export function natureOf(
  record: Pick<EntryRecord, 'type' | 'sequence' | 'appendedBlocks'>,
): Pick<EntryAttributes, 'type' | 'sequence' | 'appendedBlocks'> {
  const { type, sequence, appendedBlocks } = record;
  return {
    type,
    ...(sequence !== undefined && { sequence }),
    ...(appendedBlocks !== undefined && { appendedBlocks }),
  };
}

/** Put Block From URL inside the store: the block is a range of the source, shared. Inline content must be staged as a body. */
export async function stageRange(
  store: Store,
  command: StageBlock & {
    readonly source: CopySource;
    readonly offset: number;
    readonly length: number | undefined;
  },
): Promise<
  | { readonly kind: 'ok'; readonly length: number }
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'source-failed'; readonly failure: Failure }
  | Failure
> {
  const looked = await store.engine.snapshot(async (view) => {
    const source = await readSource(view, command.source, 'read');
    if (source.kind !== 'ok') return { kind: 'source-failed', failure: source } as const;
    const { entry } = source;
    const available = entry.record.length - command.offset;
    const length = Math.min(command.length ?? available, available);
    if (length <= 0) return { kind: 'source-range' } as const;
    if (entry.inline !== undefined) {
      return { kind: 'inline', bytes: entry.inline.subarray(command.offset, command.offset + length) } as const;
    }
    return {
      kind: 'pieces',
      etag: entry.record.etag,
      length,
      pieces: await cutPieces(view, entry, command.offset, length),
    } as const;
  });
  if (looked.kind !== 'pieces') return looked;
  // The source must still be what was looked at when its pieces get another owner: staging checks that in its transaction.
  const staged = await stagePieces(store, command, looked.pieces, looked.length, {
    ...command.source,
    conditions: { ifMatch: looked.etag },
  });
  return staged.kind === 'ok' ? { kind: 'ok', length: looked.length } : staged;
}

/** The source of a copy: of its bytes (`read`), or of all that it is. */
export async function readSource(view: View, source: CopySource, act: 'read' | 'copy-from'): Promise<EntryOutcome> {
  const container = await readContainer(view, source);
  if (container === undefined) return containerNotFound;
  const entry = await readEntry(view, container, source.name, source.at);
  if (entry === undefined) return entryNotFound;
  const permitted = checkPermit(source.permit, entry.record);
  if (permitted.kind !== 'ok') return permitted;
  const { lease } = source;
  const held = lease === undefined ? ok : checkLeaseForRead(entry.record.lease, lease.id, lease.atMs, 'entry');
  if (held.kind !== 'ok') return held;
  const verdict = checkRead(source.conditions, entry.record);
  if (verdict.kind !== 'ok') return verdict;
  const state = checkState(act, entry.record);
  return state.kind === 'ok' ? { kind: 'ok', entry } : state;
}

/** The parts of an entry's pieces that make up a range. Of a page blob there are none: it has gaps. */
export async function cutPieces(view: View, entry: Entry, offset: number, length: number): Promise<LogPiece[]> {
  assert(entry.record.type !== 'page', 'a blob whose pieces lie in a row');
  const end = offset + length;
  const pieces: LogPiece[] = [];
  for await (const run of piecesFrom(view, entry.record, offset)) {
    let at = run.at;
    for (const piece of run.pieces) {
      const from = Math.max(at, offset);
      const to = Math.min(at + piece.length, end);
      if (from < to) pieces.push({ ...piece, start: piece.start + from - at, length: to - from });
      at += piece.length;
    }
    if (at >= end) break;
  }
  return pieces;
}
