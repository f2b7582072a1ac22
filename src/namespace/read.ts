// The bytes of an entry on their way out, wherever its record says that they are.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogPiece } from '../content/extent.ts';
import { type ReadChunk, smallExtentBytes } from '../content/reader.ts';
import type { Unsealer } from '../content/seal.ts';
import type { Awaitable, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { type PieceRun, piecesFrom } from './contents.ts';
import type { ScopeRecord } from './keyring.ts';
import { type PageRun, pageRuns } from './page-regions.ts';
import { decodeRecord, type Entry, type EntryRecord, numbersAPiece, unpackPieces } from './records.ts';
import type { Store } from './store.ts';

/**
 * A range of an entry as one buffer, where the content is short enough for that: `readContent` does for all. What is
 * sealed is opened by `unsealer`, by default the store's keys; a key that is not to be had is thrown as `KeyError`.
 */
export function readShortContent(
  store: Store,
  entry: Entry,
  offset: number,
  length: number,
  unsealer: Unsealer | undefined = store.keyring,
): Awaitable<Buffer> | undefined {
  if (entry.inline !== undefined) {
    const { buffer, byteOffset } = entry.inline;
    return Buffer.from(buffer, byteOffset + offset, length);
  }
  const { pieces } = entry.record;
  if (pieces?.length !== numbersAPiece) return undefined;
  const [piece] = unpackPieces(pieces) as [LogPiece];
  return piece.extentLength <= smallExtentBytes ? store.content.readSmall(piece, offset, length, unsealer) : undefined;
}

/** Verified bytes of a range of an entry, in chunks of bounded size. Throws `ContentDamageError`, and `KeyError`. */
export async function* readContent(
  store: Store,
  entry: Entry,
  offset: number,
  length: number,
  unsealer: Unsealer | undefined = store.keyring,
): AsyncGenerator<ReadChunk, void, undefined> {
  if (length === 0) return;
  if (entry.inline !== undefined) {
    const bytes = entry.inline.subarray(offset, offset + length);
    yield { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), release: () => undefined };
    return;
  }
  if (entry.record.type === 'page') {
    yield* readPages(store, entry.record, offset, length, unsealer);
    return;
  }
  const end = offset + length;
  let next = offset;
  while (next < end) {
    // One look at a time: a snapshot is not held open at a client's pace.
    const from = next;
    const runs = await store.engine.snapshot((view) => readRuns(view, entry.record, from, end));
    if (runs.length === 0) throw wentAway();
    for (const run of runs) {
      const runLength = run.pieces.reduce((sum, piece) => sum + piece.length, 0);
      const take = Math.min(end, run.at + runLength) - next;
      yield* store.content.read(run.pieces, next - run.at, take, unsealer);
      next += take;
    }
  }
}

/** So many regions of pages are looked at together. */
const regionsReadMax = 64;
const zeros = Buffer.alloc(512 * 1024);

/** Pages that were written, and zeros between them. */
async function* readPages(
  store: Store,
  record: EntryRecord,
  offset: number,
  length: number,
  unsealer: Unsealer | undefined,
): AsyncGenerator<ReadChunk, void, undefined> {
  let next = offset;
  for await (const { at, chunk } of readWritten(store, record, offset, length, unsealer)) {
    yield* readZeros(at - next);
    next = at + chunk.bytes.length;
    yield chunk;
  }
  yield* readZeros(offset + length - next);
}

/** A chunk of a page blob, and its place. */
export interface WrittenChunk {
  readonly at: number;
  readonly chunk: ReadChunk;
}

/** Those pages of a range of a page blob that were written, in order: what lies between them takes no time. */
export async function* readWritten(
  store: Store,
  record: EntryRecord,
  offset: number,
  length: number,
  unsealer: Unsealer | undefined = store.keyring,
): AsyncGenerator<WrittenChunk, void, undefined> {
  const end = offset + length;
  for (let next = offset; next < end; ) {
    const from = next;
    const found = await store.engine.snapshot((view) => pageRuns(view, record, from, end, regionsReadMax));
    if (found === undefined) throw wentAway();
    const { runs } = found;
    for (let i = 0; i < runs.length; ) {
      let at = (runs[i] as PageRun).at;
      // What lies in a row is one read.
      const pieces: LogPiece[] = [];
      let endOfRow = at;
      for (; runs[i]?.at === endOfRow; i++) {
        const { piece } = runs[i] as PageRun;
        pieces.push(piece);
        endOfRow += piece.length;
      }
      for await (const chunk of store.content.read(pieces, 0, endOfRow - at, unsealer)) {
        const here = at;
        at += chunk.bytes.length;
        yield { at: here, chunk };
      }
    }
    next = found.to;
  }
}

/** Others get their turn in between: nothing else is waited for where there is nothing to read. */
async function* readZeros(length: number): AsyncGenerator<ReadChunk, void, undefined> {
  for (let left = length; left > 0; left -= zeros.length) {
    yield { bytes: zeros.subarray(0, Math.min(left, zeros.length)), release: () => undefined };
    await nextTurn();
  }
}

function wentAway(): Error {
  return new Error('the content went away while it was read');
}

/** Throws `KeyError` where the key of the entry's scope is not to be had, before the first byte of an answer goes out. */
export async function checkReadable(store: Store, account: string, { record }: Entry): Promise<void> {
  const scope = record.encryption?.scope;
  if (scope === undefined) return;
  const row = await store.engine.snapshot((view) => view.get(keys.scope(account, scope)));
  if (row !== undefined) await store.keyring?.sealer(account, scope, decodeRecord<ScopeRecord>(row));
}

/** Thirty-two gigabytes in pieces of a megabyte: so far a read goes on whatever becomes of the entry meanwhile. */
const piecesReadMax = 32 * 1024;

async function readRuns(view: View, record: EntryRecord, from: number, end: number): Promise<PieceRun[]> {
  const runs: PieceRun[] = [];
  let pieces = 0;
  for await (const run of piecesFrom(view, record, from)) {
    if (run.at >= end || pieces >= piecesReadMax) break;
    runs.push(run);
    pieces += run.pieces.length;
  }
  return runs;
}
