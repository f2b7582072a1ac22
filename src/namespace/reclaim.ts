// Reclaim: segments that hold mostly dropped extents, or little at all, are emptied into the log, and go a while later.

import { isNotFound } from '../content/disk.ts';
import { extentFootprint, type Place, segmentFileName } from '../content/extent.ts';
import { type FoundExtent, SegmentScan } from '../content/scan.ts';
import { decodeCounter, type Txn, type View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { placesNow, Tombstones } from './garbage.ts';
import { decodeRecord, encodeRecord, type SegmentRecord } from './records.ts';
import { encodeMoved, readSegment } from './segments.ts';
import type { Store } from './store.ts';

export interface ReclaimOptions {
  /** A sealed segment with a file below a quarter of this is small. */
  readonly segmentBytes: number;
  /** With more small segments than this, they are merged. */
  readonly smallMax: number;
  /** Reads may hold on to a segment for so long after everything in it has moved. */
  readonly graceMs: number;
  /** A segment in which damage was found is left alone for so long. */
  readonly damagePauseMs: number;
  /** Told of damage, which keeps its segment from being reclaimed. */
  readonly onDamage: (segment: number, what: string) => void;
}

export interface ReclaimCounts {
  deleted: number;
  retired: number;
  damaged: number;
  movedExtents: number;
  movedBytes: number;
}

interface Candidate {
  readonly segment: number;
  readonly record: SegmentRecord;
  readonly liveBytes: number;
}

interface Survey {
  readonly expired: readonly number[];
  readonly chosen: Candidate | undefined;
}

/** One pass: deletes the files of segments that were emptied a while ago, and empties at most one more. */
export async function reclaimOnce(store: Store, options: ReclaimOptions): Promise<ReclaimCounts> {
  const counts: ReclaimCounts = { deleted: 0, retired: 0, damaged: 0, movedExtents: 0, movedBytes: 0 };
  const { expired, chosen } = await store.engine.snapshot((view) => survey(view, options, store.clock.now()));
  for (const segment of expired) {
    await deleteSegment(store, segment);
    counts.deleted++;
  }
  if (chosen !== undefined) await emptySegment(store, chosen, options, counts);
  return counts;
}

/** Prefers what costs least and gives most: on a full disk, a segment without anything live needs no room to go. */
async function survey(view: View, options: ReclaimOptions, nowMs: number): Promise<Survey> {
  const expired: number[] = [];
  const small: Candidate[] = [];
  let best: Candidate | undefined;
  let bestShare = Number.POSITIVE_INFINITY;
  for await (const { segment, record, droppedBytes } of segmentsOf(view)) {
    if (record.state === 'retired' && nowMs - (record.retiredMs ?? 0) >= options.graceMs) expired.push(segment);
    if (record.state !== 'sealed') continue;
    if (record.damagedMs !== undefined && nowMs - record.damagedMs < options.damagePauseMs) continue;
    const { extentBytes } = record;
    if (extentBytes === undefined) continue;
    const candidate = { segment, record, liveBytes: extentBytes - droppedBytes };
    const share = extentBytes === 0 ? 0 : candidate.liveBytes / extentBytes;
    if (share <= 0.5 && share < bestShare) {
      best = candidate;
      bestShare = share;
    }
    if ((record.tailBytes ?? 0) < options.segmentBytes / 4) small.push(candidate);
  }
  // Merging only those with the least in them moves every byte a bounded number of times.
  if (best === undefined && small.length > options.smallMax) {
    best = small.reduce((least, one) => (one.liveBytes < least.liveBytes ? one : least));
  }
  return { expired, chosen: best };
}

async function* segmentsOf(
  view: View,
): AsyncGenerator<{ segment: number; record: SegmentRecord; droppedBytes: number }, void, undefined> {
  let { start, end } = keys.segments();
  for (;;) {
    const rows = await view.scan({ start, end }, { limit: 500 });
    const numbers = rows.map((row) => keys.segmentNumberOf(row.key));
    const dropped = await view.getMany(numbers.map((segment) => keys.droppedBytes(segment)));
    for (const [i, row] of rows.entries()) {
      const record = decodeRecord<SegmentRecord>(row.value);
      yield { segment: numbers[i] as number, record, droppedBytes: Number(decodeCounter(dropped[i])) };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < 500) return;
    start = after(last.key);
  }
}

/** The file first: a crash between leaves rows that say what is still to be deleted. */
async function deleteSegment(store: Store, segment: number): Promise<void> {
  const { disk, directory } = store.content;
  try {
    await disk.remove(`${directory}/${segmentFileName(segment)}`);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  await disk.syncDirectory(directory);
  await store.engine.transact(async (txn) => {
    if ((await readSegment(txn, segment))?.state !== 'retired') return;
    txn.delete(keys.segment(segment));
    txn.delete(keys.droppedBytes(segment));
    txn.deleteRange(keys.droppedIn(segment));
  });
}

const batchExtents = 64;
const batchBytes = 4 * 1024 * 1024;

async function emptySegment(
  store: Store,
  candidate: Candidate,
  options: ReclaimOptions,
  counts: ReclaimCounts,
): Promise<void> {
  const { segment, record } = candidate;
  const walk = await moveAll(store, candidate, counts);
  const settled = await store.engine.transact(async (txn) => {
    if ((await readSegment(txn, segment))?.state !== 'sealed') return { kind: 'gone' } as const;
    // Every byte that was ever written must have its tombstone: this is what stands between reclaim and lost content.
    const left = BigInt(record.extentBytes ?? 0) - decodeCounter(await txn.get(keys.droppedBytes(segment)));
    if (left > 0n && walk.isUnfinished) return { kind: 'unfinished' } as const;
    const nowMs = store.clock.now();
    const after: SegmentRecord =
      left > 0n ? { ...record, damagedMs: nowMs } : { ...record, state: 'retired', retiredMs: nowMs };
    txn.put(keys.segment(segment), encodeRecord(after));
    return left > 0n ? ({ kind: 'damaged', left } as const) : ({ kind: 'retired' } as const);
  });
  if (settled.kind === 'retired') counts.retired++;
  if (settled.kind !== 'damaged') return;
  counts.damaged++;
  options.onDamage(segment, walk.damage ?? `extents of ${settled.left} bytes are not found`);
}

interface Walk {
  readonly damage?: string | undefined;
  /** Another worker was at it, and something is left for the next pass. */
  readonly isUnfinished: boolean;
}

/** What is whole is moved, also out of a segment with damage. */
async function moveAll(store: Store, { segment, liveBytes }: Candidate, counts: ReclaimCounts): Promise<Walk> {
  if (liveBytes <= 0) return { isUnfinished: false };
  const { disk, directory } = store.content;
  const scan = await SegmentScan.open(disk, directory, segment);
  if (scan === undefined) return { damage: 'the file is missing', isUnfinished: false };
  try {
    // Without its salt, bytes of a payload could pass for an extent.
    if (scan.header === undefined) return { damage: 'its header is damaged', isUnfinished: false };
    let walk: Walk = { isUnfinished: false };
    for await (const batch of batches(scan)) {
      const moved = await moveBatch(store, scan, batch, counts);
      walk = { damage: moved.damage ?? walk.damage, isUnfinished: moved.isUnfinished || walk.isUnfinished };
    }
    return walk;
  } finally {
    await scan.close();
  }
}

async function* batches(scan: SegmentScan): AsyncGenerator<FoundExtent[], void, undefined> {
  let batch: FoundExtent[] = [];
  let bytes = 0;
  for await (const found of scan.extents()) {
    batch.push(found);
    bytes += extentFootprint(found.header.length);
    if (batch.length < batchExtents && bytes < batchBytes) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

interface Standing {
  readonly found: FoundExtent;
  readonly state: 'live' | 'dropped' | 'stale';
}

/** Live: read from here. Stale: a copy that a move left behind, or one that never got its name. */
async function standingOf(view: View, batch: readonly FoundExtent[]): Promise<Standing[]> {
  const tombstones = await view.getMany(batch.map(({ place }) => keys.dropped(place.segment, place.offset)));
  const now = await placesNow(
    view,
    batch.map(({ header }) => header.logical),
  );
  return batch.map((found, i) => {
    if (tombstones[i] !== undefined) return { found, state: 'dropped' };
    return { found, state: samePlace(now[i] as Place, found.place) ? 'live' : 'stale' };
  });
}

interface Copy {
  readonly found: FoundExtent;
  readonly to: Place;
}

async function moveBatch(
  store: Store,
  scan: SegmentScan,
  batch: readonly FoundExtent[],
  counts: ReclaimCounts,
): Promise<Walk> {
  const standing = await store.engine.snapshot((view) => standingOf(view, batch));
  const payloads: { found: FoundExtent; payload: Buffer }[] = [];
  let damage: string | undefined;
  for (const { found, state } of standing) {
    if (state !== 'live') continue;
    const payload = await scan.payload(found);
    if (payload === undefined) damage = `the extent at ${found.place.offset} fails its checksum`;
    else payloads.push({ found, payload });
  }
  const settled = await Promise.allSettled(
    payloads.map(async ({ found, payload }): Promise<Copy> => {
      return { found, to: await store.content.rewrite(payload, found.header.logical) };
    }),
  );
  const copies = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const stale = standing.flatMap(({ found, state }) => (state === 'stale' ? [found] : []));
  const committed = await store.engine.transact((txn) => commitMoves(txn, copies, stale));
  for (const { header } of committed.moved) {
    counts.movedExtents++;
    counts.movedBytes += header.length;
  }
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return { damage, isUnfinished: committed.isUnfinished };
}

/** The copies become what is read, unless the content was dropped or moved by another meanwhile. */
async function commitMoves(
  txn: Txn,
  copies: readonly Copy[],
  stale: readonly FoundExtent[],
): Promise<{ moved: FoundExtent[]; isUnfinished: boolean }> {
  let isUnfinished = false;
  const moved: FoundExtent[] = [];
  const tombstones = new Tombstones(txn);
  const standing = await standingOf(
    txn,
    copies.map(({ found }) => found),
  );
  const buriedCopies = await txn.getMany(copies.map(({ to }) => keys.dropped(to.segment, to.offset)));
  for (const [i, { state }] of standing.entries()) {
    const { found, to } = copies[i] as Copy;
    const { logical, length } = found.header;
    // Another worker took the copy for a stale one, so it cannot be used: the next pass makes a new one.
    if (buriedCopies[i] !== undefined) {
      isUnfinished = true;
      continue;
    }
    if (state !== 'live') {
      tombstones.put(to, length);
      continue;
    }
    txn.put(keys.moved(logical.segment, logical.offset), encodeMoved(to));
    tombstones.put(found.place, length);
    moved.push(found);
  }
  for (const { found, state } of await standingOf(txn, stale)) {
    if (state === 'stale') tombstones.put(found.place, found.header.length);
  }
  tombstones.finish();
  return { moved, isUnfinished };
}

function samePlace(a: Place, b: Place): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}
