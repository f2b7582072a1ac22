// Reclaim: segments that hold mostly dropped extents, or little at all, are emptied into the log, and go a while later.
import { extentFootprint, type Place, segmentFileName } from '../content/extent.ts';
import { isNotFound } from '../content/disk.ts';
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
  const damaged = await moveAll(store, candidate, counts);
  if (damaged !== undefined) {
    counts.damaged++;
    options.onDamage(segment, damaged);
    await note(store, segment, () => ({ ...record, damagedMs: store.clock.now() }));
    return;
  }
  const retired = await note(store, segment, async (txn) => {
    // Every extent that was ever written must have its tombstone: this is what stands between reclaim and lost bytes.
    const droppedBytes = decodeCounter(await txn.get(keys.droppedBytes(segment)));
    if (droppedBytes < BigInt(record.extentBytes ?? 0)) return undefined;
    return { ...record, state: 'retired', retiredMs: store.clock.now() };
  });
  if (retired) counts.retired++;
}

/** Changes the record of a segment that is still sealed. */
function note(
  store: Store,
  segment: number,
  edit: (txn: Txn) => SegmentRecord | undefined | Promise<SegmentRecord | undefined>,
): Promise<boolean> {
  return store.engine.transact(async (txn) => {
    if ((await readSegment(txn, segment))?.state !== 'sealed') return false;
    const record = await edit(txn);
    if (record === undefined) return false;
    txn.put(keys.segment(segment), encodeRecord(record));
    return true;
  });
}

/** Answers what damage was met, if any; what is whole is moved all the same. */
async function moveAll(
  store: Store,
  { segment, record, liveBytes }: Candidate,
  counts: ReclaimCounts,
): Promise<string | undefined> {
  const extentBytes = record.extentBytes ?? 0;
  if (liveBytes <= 0) return undefined;
  const { disk, directory } = store.content;
  const scan = await SegmentScan.open(disk, directory, segment);
  if (scan === undefined) return 'the file is missing';
  try {
    if (scan.header === undefined) return 'its header is damaged';
    let damaged: string | undefined;
    let foundBytes = 0;
    for await (const batch of batches(scan)) {
      for (const found of batch) foundBytes += found.footprint;
      damaged = (await moveBatch(store, scan, batch, counts)) ?? damaged;
    }
    if (damaged === undefined && foundBytes < extentBytes) {
      return `extents of ${extentBytes} bytes were written and ${foundBytes} are found`;
    }
    return damaged;
  } finally {
    await scan.close();
  }
}

interface Walked extends FoundExtent {
  readonly footprint: number;
}

async function* batches(scan: SegmentScan): AsyncGenerator<Walked[], void, undefined> {
  let batch: Walked[] = [];
  let bytes = 0;
  for await (const found of scan.extents()) {
    const footprint = extentFootprint(found.header.length);
    batch.push({ ...found, footprint });
    bytes += footprint;
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
): Promise<string | undefined> {
  const standing = await store.engine.snapshot((view) => standingOf(view, batch));
  const payloads: { found: FoundExtent; payload: Buffer }[] = [];
  let damaged: string | undefined;
  for (const { found, state } of standing) {
    if (state !== 'live') continue;
    const payload = await scan.payload(found);
    if (payload === undefined) damaged = `the extent at ${found.place.offset} fails its checksum`;
    else payloads.push({ found, payload });
  }
  const settled = await Promise.allSettled(
    payloads.map(async ({ found, payload }): Promise<Copy> => {
      return { found, to: await store.content.rewrite(payload, found.header.logical) };
    }),
  );
  const copies = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const stale = standing.flatMap(({ found, state }) => (state === 'stale' ? [found] : []));
  const moved = await store.engine.transact((txn) => commitMoves(txn, copies, stale));
  for (const { header } of moved) {
    counts.movedExtents++;
    counts.movedBytes += header.length;
  }
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return damaged;
}

/** The copies become what is read, unless the content was dropped or moved by another meanwhile. */
async function commitMoves(txn: Txn, copies: readonly Copy[], stale: readonly FoundExtent[]): Promise<FoundExtent[]> {
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
    if (buriedCopies[i] !== undefined) continue;
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
  return moved;
}

function samePlace(a: Place, b: Place): boolean {
  return a.segment === b.segment && a.offset === b.offset;
}
