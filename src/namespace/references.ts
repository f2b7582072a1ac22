// Everything in the metadata that names extents, in one consistent walk.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogPiece } from '../content/extent.ts';
import type { Item, Range, View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { decodeRegion } from './page-regions.ts';
import { type BlockRecord, decodeRecord, type EntryRecord, type GarbageRecord, unpackPieces } from './records.ts';

const pageRows = 500;

/** All rows of a range, page by page; between pages others get their turn. */
export async function* rowsOf(view: View, range: Range, limit = pageRows): AsyncGenerator<Item, void, undefined> {
  let { start } = range;
  for (;;) {
    const rows = await view.scan({ start, end: range.end }, { limit });
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) return;
    start = after(last.key);
    // An engine may answer at once, and awaiting what is there already lets no request in.
    await nextTurn();
  }
}

/** The pieces of entries, of long contents, of pages, of staged blocks, and of what waits to be dropped. */
export async function* namedPieces(view: View): AsyncGenerator<LogPiece[], void, undefined> {
  for await (const { key, value } of rowsOf(view, keys.entries())) {
    if (!keys.isDirectory(key)) yield unpackPieces(decodeRecord<EntryRecord>(value).pieces ?? []);
  }
  for await (const { value } of rowsOf(view, keys.allPast())) {
    yield unpackPieces(decodeRecord<EntryRecord>(value).pieces ?? []);
  }
  for await (const { value } of rowsOf(view, keys.allPieces(), 16)) {
    yield unpackPieces(decodeRecord<{ pieces: number[] }>(value).pieces);
  }
  for await (const { key, value } of rowsOf(view, keys.allPages(), 16)) {
    yield decodeRegion(keys.regionOf(key), value).runs.map(({ piece }) => piece);
  }
  for await (const { value } of rowsOf(view, keys.allBlocks())) {
    yield unpackPieces(decodeRecord<BlockRecord>(value).pieces);
  }
  for await (const { value } of rowsOf(view, keys.allGarbage())) {
    yield unpackPieces(decodeRecord<GarbageRecord>(value).pieces ?? []);
  }
}
