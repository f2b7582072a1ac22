// Content whose last name went away: its owners are counted down, and extents without any get a tombstone.
import { extentFootprint, type LogPiece, type Place } from '../content/extent.ts';
import { decodeCounter, encodeCounter, type Item, type Txn, type View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRegion } from './page-regions.ts';
import { type BlockRecord, decodeRecord, encodeRecord, type GarbageRecord, unpackPieces } from './records.ts';
import { decodeMoved } from './segments.ts';
import type { Store } from './store.ts';

export interface GarbageOptions {
  /** Reads that began before the name went away may go on for so long. */
  readonly graceMs: number;
  /** So many rows at the most. */
  readonly rowsMax: number;
}

export interface GarbageCounts {
  rows: number;
  extents: number;
  bytes: number;
}

// A transaction looks at no more extents than this, by and large.
const piecesATransaction = 512;
const regionsATransaction = 8;

/** Works through the oldest rows, those of small content many to a transaction. Goes on behind a row that fails, then throws. */
export async function processGarbage(store: Store, options: GarbageOptions): Promise<GarbageCounts> {
  const counts: GarbageCounts = { rows: 0, extents: 0, bytes: 0 };
  const { start } = keys.allGarbage();
  const end = keys.garbage(timeId(store.clock.now() - options.graceMs));
  const rows = await store.engine.snapshot((view) => view.scan({ start, end }, { limit: options.rowsMax }));
  const failures: unknown[] = [];
  for (const group of grouped(rows)) {
    try {
      await dropGroup(store, group, counts);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return counts;
}

/** The first id of a time. */
function timeId(ms: number): Buffer {
  const id = Buffer.alloc(16);
  id.writeUIntBE(Math.max(0, ms), 0, 6);
  return id;
}

interface Group {
  readonly rows: Uint8Array[];
  readonly long: GarbageRecord | undefined;
}

function* grouped(rows: readonly Item[]): Generator<Group, void, undefined> {
  let group: Uint8Array[] = [];
  let pieces = 0;
  for (const row of rows) {
    const record = decodeRecord<GarbageRecord>(row.value);
    if (record.pieces === undefined) {
      yield { rows: [row.key], long: record };
      continue;
    }
    group.push(row.key);
    pieces += record.pieces.length / 6;
    if (pieces < piecesATransaction) continue;
    yield { rows: group, long: undefined };
    group = [];
    pieces = 0;
  }
  if (group.length > 0) yield { rows: group, long: undefined };
}

async function dropGroup(store: Store, { rows, long }: Group, counts: GarbageCounts): Promise<void> {
  const [first] = rows;
  if (long === undefined || first === undefined) {
    add(counts, await store.engine.transact((txn) => dropRows(txn, rows)), rows.length);
    return;
  }
  const step = long.contentId === undefined ? uploadStep : contentStep;
  const id = Buffer.from((long.contentId ?? long.uploadId) as string, 'hex');
  for (let done = false; !done; ) {
    const outcome = await store.engine.transact(async (txn) => {
      // Another worker may have been here: a lease of a task can run out under its holder.
      if ((await txn.get(first)) === undefined) return { done: true, dropped: nothing };
      const stepped = await step(txn, id);
      if (stepped.done) txn.delete(first);
      return stepped;
    });
    done = outcome.done;
    add(counts, outcome.dropped, done ? 1 : 0);
  }
}

async function dropRows(txn: Txn, rows: readonly Uint8Array[]): Promise<Dropped> {
  const values = await txn.getMany(rows);
  const pieces: LogPiece[] = [];
  for (const value of values) {
    if (value !== undefined) pieces.push(...unpackPieces(decodeRecord<GarbageRecord>(value).pieces ?? []));
  }
  for (const row of rows) txn.delete(row);
  return await dropOwners(txn, pieces);
}

interface Step {
  readonly done: boolean;
  readonly dropped: Dropped;
}

/** One owner less, or else a run of the rows that make up the content. */
async function contentStep(txn: Txn, content: Buffer): Promise<Step> {
  const ownersKey = keys.contentOwners(content);
  const owners = decodeCounter(await txn.get(ownersKey));
  if (owners > 0n) {
    putOwners(txn, ownersKey, owners - 1n);
    return { done: true, dropped: nothing };
  }
  const [run] = await txn.scan(keys.piecesOf(content), { limit: 1 });
  if (run === undefined) return await pagesStep(txn, content);
  txn.delete(run.key);
  const { pieces } = decodeRecord<{ pieces: number[] }>(run.value);
  return { done: false, dropped: await dropOwners(txn, unpackPieces(pieces)) };
}

/** Of page contents the mark went first, with which a reader knows that what it does not find is zeros. */
async function pagesStep(txn: Txn, content: Buffer): Promise<Step> {
  const rows = await txn.scan(keys.pagesOf(content), { limit: regionsATransaction });
  const pieces: LogPiece[] = [];
  for (const { key, value } of rows) {
    for (const { piece } of decodeRegion(keys.regionOf(key), value).runs) pieces.push(piece);
    txn.delete(key);
  }
  if (rows.length > 0) return { done: false, dropped: await dropOwners(txn, pieces) };
  txn.deleteRange(keys.blocksOf(content));
  txn.delete(keys.contentOwners(content));
  return { done: true, dropped: nothing };
}

async function uploadStep(txn: Txn, upload: Buffer): Promise<Step> {
  const limit = piecesATransaction / 4;
  const rows = await txn.scan(keys.blocksStaged(upload), { limit });
  const pieces: LogPiece[] = [];
  for (const row of rows) {
    pieces.push(...unpackPieces(decodeRecord<BlockRecord>(row.value).pieces));
    txn.delete(row.key);
  }
  return { done: rows.length < limit, dropped: await dropOwners(txn, pieces) };
}

interface Dropped {
  readonly extents: number;
  readonly bytes: number;
}

const nothing: Dropped = { extents: 0, bytes: 0 };

function add(counts: GarbageCounts, dropped: Dropped, rows: number): void {
  counts.rows += rows;
  counts.extents += dropped.extents;
  counts.bytes += dropped.bytes;
}

/** Takes away an owner for each time that an extent is listed. Once a transaction: it does not see its own `add`s. */
async function dropOwners(txn: Txn, pieces: readonly LogPiece[]): Promise<Dropped> {
  const named = new Map<string, { piece: LogPiece; times: bigint }>();
  for (const piece of pieces) {
    const id = `${piece.segment}:${piece.offset}`;
    const found = named.get(id);
    if (found === undefined) named.set(id, { piece, times: 1n });
    else found.times += 1n;
  }
  const all = [...named.values()];
  const counters = await txn.getMany(all.map(({ piece }) => keys.extentOwners(piece.segment, piece.offset)));
  const gone: LogPiece[] = [];
  for (const [i, { piece, times }] of all.entries()) {
    const further = decodeCounter(counters[i]);
    const key = keys.extentOwners(piece.segment, piece.offset);
    if (further >= times) putOwners(txn, key, further - times);
    else {
      if (further < times - 1n) throw new Error(`extent ${piece.segment}:${piece.offset} has fewer owners than names`);
      if (counters[i] !== undefined) txn.delete(key);
      gone.push(piece);
    }
  }
  return { extents: gone.length, bytes: await bury(txn, gone) };
}

function putOwners(txn: Txn, key: Uint8Array, further: bigint): void {
  if (further === 0n) txn.delete(key);
  else txn.put(key, encodeCounter(further));
}

async function bury(txn: Txn, gone: readonly LogPiece[]): Promise<number> {
  const moved = await placesNow(txn, gone);
  const tombstones = new Tombstones(txn);
  for (const [i, { segment, offset, extentLength }] of gone.entries()) {
    const now = moved[i] as Place;
    if (now.segment !== segment || now.offset !== offset) txn.delete(keys.moved(segment, offset));
    tombstones.put(now, extentLength);
  }
  return tombstones.finish();
}

/** Where these extents lie, which were first written at the given places. */
export async function placesNow(view: View, logical: readonly Place[]): Promise<Place[]> {
  const moved = await view.getMany(logical.map(({ segment, offset }) => keys.moved(segment, offset)));
  return logical.map((place, i) => {
    const found = moved[i];
    return found === undefined ? place : decodeMoved(found);
  });
}

/** Marks extents that nobody reads any more, and counts their bytes; each at most once, which the caller has checked. */
export class Tombstones {
  readonly #txn: Txn;
  readonly #bytes = new Map<number, number>();

  constructor(txn: Txn) {
    this.#txn = txn;
  }

  put(place: Place, length: number): void {
    this.#txn.put(keys.dropped(place.segment, place.offset), encodeRecord({ length }));
    this.#bytes.set(place.segment, (this.#bytes.get(place.segment) ?? 0) + extentFootprint(length));
  }

  /** Answers the sum of the bytes. */
  finish(): number {
    let sum = 0;
    for (const [segment, bytes] of this.#bytes) {
      this.#txn.add(keys.droppedBytes(segment), BigInt(bytes));
      sum += bytes;
    }
    return sum;
  }
}
