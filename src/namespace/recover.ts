// After an unclean stop: segments that an earlier run left open get their true end, and their orphans a tombstone.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { alignUp, directAlignment, openIfThere } from '../content/disk.ts';
import { extentFootprint, type LogPiece, type Place, segmentFileName, segmentHeaderBytes } from '../content/extent.ts';
import { SegmentScan } from '../content/scan.ts';
import type { View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { Tombstones } from './garbage.ts';
import { decodeRecord, encodeRecord, type SegmentRecord } from './records.ts';
import { namedPieces, rowsOf } from './references.ts';
import { decodeMoved, readSegment } from './segments.ts';
import type { Store } from './store.ts';

export interface RecoverOptions {
  /** Segments from this number on belong to this run: see `nextSegment`. */
  readonly below: number;
  readonly onDamage: (segment: number, what: string) => void;
}

export interface RecoverCounts {
  segments: number;
  missing: number;
  truncatedBytes: number;
  /** Extents without a name: buried, or cut off where nothing named lies behind them. */
  orphans: number;
  orphanBytes: number;
}

interface Extent {
  readonly offset: number;
  readonly logical: Place;
  readonly length: number;
  named: boolean;
  /** Whether reads are directed to this place. */
  current: boolean;
}

/** One segment as it is found; it needs about 150 bytes of memory for each of its extents. */
interface Left {
  readonly segment: number;
  readonly record: SegmentRecord;
  readonly sizeBytes: number | undefined;
  readonly extents: readonly Extent[];
  /** Named extents that lie here and are not found, by offset. */
  readonly lost: Map<number, LogPiece>;
}

/** Resolves at once when the last stop was a clean one. Safe to run again, and next to a live store. */
export async function recoverSegments(store: Store, options: RecoverOptions): Promise<RecoverCounts> {
  const counts: RecoverCounts = { segments: 0, missing: 0, truncatedBytes: 0, orphans: 0, orphanBytes: 0 };
  const open = await store.engine.snapshot((view) => openSegments(view, options.below));
  if (open.length === 0) return counts;
  const left: Left[] = [];
  for (const { segment, record } of open) left.push(await look(store, segment, record));
  await store.engine.snapshot((view) => markNamed(view, left));
  for (const one of left) await settle(store, one, options, counts);
  return counts;
}

async function openSegments(view: View, below: number): Promise<{ segment: number; record: SegmentRecord }[]> {
  const open: { segment: number; record: SegmentRecord }[] = [];
  for await (const { key, value } of rowsOf(view, keys.segments())) {
    const segment = keys.segmentNumberOf(key);
    const record = decodeRecord<SegmentRecord>(value);
    if (segment < below && record.state === 'open') open.push({ segment, record });
  }
  return open;
}

async function look(store: Store, segment: number, record: SegmentRecord): Promise<Left> {
  const scan = await SegmentScan.open(store.content.disk, store.content.directory, segment);
  const extents: Extent[] = [];
  if (scan === undefined) return { segment, record, sizeBytes: undefined, extents, lost: new Map() };
  try {
    for await (const { place, header } of scan.extents()) {
      const { logical, length } = header;
      const isFirst = logical.segment === segment && logical.offset === place.offset;
      extents.push({ offset: place.offset, logical, length, named: false, current: isFirst });
      if (extents.length % 1000 === 0) await nextTurn();
    }
    return { segment, record, sizeBytes: scan.sizeBytes, extents, lost: new Map() };
  } finally {
    await scan.close();
  }
}

const placeId = (place: Place): string => `${place.segment}:${place.offset}`;

/** Who is named, in one consistent picture: what no name holds in it can get none later. */
async function markNamed(view: View, left: readonly Left[]): Promise<void> {
  const segments = new Map(left.map((one) => [one.segment, one]));
  const byPlace = new Map<string, Extent>();
  const byLogical = new Map<string, Extent[]>();
  for (const one of left) {
    for (const extent of one.extents) {
      byPlace.set(placeId({ segment: one.segment, offset: extent.offset }), extent);
      const id = placeId(extent.logical);
      byLogical.set(id, [...(byLogical.get(id) ?? []), extent]);
    }
  }
  const movedHere = new Map<string, Place>();
  const movedAway = new Set<string>();
  for await (const { key, value } of rowsOf(view, keys.allMoved())) {
    const logical = keys.placeOf(key);
    const now = decodeMoved(value);
    if (segments.has(now.segment)) movedHere.set(placeId(logical), now);
    if (segments.has(logical.segment)) movedAway.add(placeId(logical));
  }
  for (const [id, now] of movedHere) {
    const extent = byPlace.get(placeId(now));
    if (extent !== undefined && placeId(extent.logical) === id) extent.current = true;
  }
  for (const id of movedAway) {
    const extent = byPlace.get(id);
    if (extent !== undefined) extent.current = false;
  }
  for await (const pieces of namedPieces(view)) {
    for (const piece of pieces) {
      const id = placeId(piece);
      for (const extent of byLogical.get(id) ?? []) extent.named = true;
      const now = movedHere.get(id) ?? (movedAway.has(id) ? undefined : piece);
      const home = now && segments.get(now.segment);
      if (now === undefined || home === undefined) continue;
      const found = byPlace.get(placeId(now));
      if (found === undefined || placeId(found.logical) !== id) home.lost.set(now.offset, piece);
    }
  }
}

async function settle(store: Store, left: Left, { onDamage }: RecoverOptions, counts: RecoverCounts): Promise<void> {
  const { segment, lost, sizeBytes } = left;
  counts.segments++;
  for (const [offset, piece] of lost) {
    onDamage(segment, `the extent at ${offset} of ${piece.extentLength} bytes is named and not there`);
  }
  if (sizeBytes === undefined && lost.size === 0) {
    // The number was taken and the server stopped before the file had its name to stay.
    counts.missing++;
    await endRecord(store, segment, undefined);
    return;
  }
  const extents = await trusted(store, left);
  let tailBytes = segmentHeaderBytes;
  let extentBytes = 0;
  for (const { offset, length } of extents) {
    tailBytes = Math.max(tailBytes, offset + extentFootprint(length));
    extentBytes += extentFootprint(length);
  }
  for (const [offset, { extentLength }] of lost) {
    tailBytes = Math.max(tailBytes, offset + extentFootprint(extentLength));
    // Counted, so that the segment is never taken for empty before this too is dropped.
    extentBytes += extentFootprint(extentLength);
  }
  tailBytes = alignUp(tailBytes, directAlignment);
  if (sizeBytes !== undefined) {
    // Another worker settled it meanwhile, and reclaim has taken it away since.
    if (!(await cut(store, segment, Math.min(sizeBytes, tailBytes)))) return;
    if (sizeBytes > tailBytes) counts.truncatedBytes += sizeBytes - tailBytes;
  }
  for (const { length } of left.extents.slice(extents.length)) {
    counts.orphans++;
    counts.orphanBytes += extentFootprint(length);
  }
  const orphans = extents.filter((extent) => !(extent.named && extent.current));
  await buryOrphans(store, segment, orphans, counts);
  await endRecord(store, segment, { ...left.record, state: 'sealed', tailBytes, extentBytes });
}

/**
 * Up to the last extent that has a name, or had one: that was durable. What lies behind it may have been seen in the page
 * cache alone, after a sync that failed and that no later one makes up for: nothing may count on its being there.
 */
async function trusted(store: Store, { segment, extents }: Left): Promise<readonly Extent[]> {
  // A copy that a move left half done has a name and is not what it leads to; one that is noted as moved here was durable,
  // though it may never have had a name.
  const known = extents.findLastIndex(
    ({ named, current, logical, offset }) => current && (named || placeId(logical) !== placeId({ segment, offset })),
  );
  const ends = await store.engine.snapshot(async (view) => {
    for (let end = extents.length; end > known + 1; end -= orphansATransaction) {
      const from = Math.max(known + 1, end - orphansATransaction);
      const tombstones = await view.getMany(
        extents.slice(from, end).map(({ offset }) => keys.dropped(segment, offset)),
      );
      const last = tombstones.findLastIndex((tombstone) => tombstone !== undefined);
      if (last !== -1) return from + last + 1;
    }
    return known + 1;
  });
  return extents.slice(0, ends);
}

/** What is torn, or cannot be trusted, goes; what is left stays. False: the file is gone. */
async function cut(store: Store, segment: number, lengthBytes: number): Promise<boolean> {
  const { disk, directory } = store.content;
  const file = await openIfThere(disk, `${directory}/${segmentFileName(segment)}`, 'change');
  if (file === undefined) return false;
  try {
    if ((await file.size()) > lengthBytes) await file.truncate(lengthBytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncDirectory(directory);
  return true;
}

const orphansATransaction = 256;

async function buryOrphans(
  store: Store,
  segment: number,
  orphans: readonly Extent[],
  counts: RecoverCounts,
): Promise<void> {
  for (let i = 0; i < orphans.length; i += orphansATransaction) {
    const batch = orphans.slice(i, i + orphansATransaction);
    const buried = await store.engine.transact(async (txn) => {
      const known = await txn.getMany(batch.map(({ offset }) => keys.dropped(segment, offset)));
      const fresh = batch.filter((_, at) => known[at] === undefined);
      const tombstones = new Tombstones(txn);
      for (const { offset, length, logical, current, named } of fresh) {
        tombstones.put({ segment, offset }, length);
        // Moved here by a reclaim that found it without a name too.
        if (current && !named) txn.delete(keys.moved(logical.segment, logical.offset));
      }
      return { extents: fresh.length, bytes: tombstones.finish() };
    });
    counts.orphans += buried.extents;
    counts.orphanBytes += buried.bytes;
  }
}

async function endRecord(store: Store, segment: number, record: SegmentRecord | undefined): Promise<void> {
  await store.engine.transact(async (txn) => {
    if ((await readSegment(txn, segment))?.state !== 'open') return;
    if (record === undefined) txn.delete(keys.segment(segment));
    else txn.put(keys.segment(segment), encodeRecord(record));
  });
}
