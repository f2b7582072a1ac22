// The second half of fsck: the books of extents and segments, and the bytes themselves.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isNotFound } from '../content/disk.ts';
import { extentFootprint, type Place, segmentOfFileName, storeIdFileName } from '../content/extent.ts';
import { type FoundExtent, SegmentScan } from '../content/scan.ts';
import { decodeCounter, type View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import type { ExtentNames, Findings } from './fsck-findings.ts';
import { placesNow } from './garbage.ts';
import { decodeRecord, type SegmentRecord } from './records.ts';
import { rowsOf } from './references.ts';
import { isCut } from './segment-files.ts';
import { decodeMoved, nextSegmentIn, readSegment } from './segments.ts';
import type { Store } from './store.ts';

/** The counters of owners and of dropped bytes against what is there. */
export async function checkBooks(view: View, findings: Findings): Promise<void> {
  for await (const { key, value } of rowsOf(view, keys.allExtentOwners())) {
    const { segment, offset } = keys.placeOf(key);
    if (findings.extents.get(segment)?.has(offset)) continue;
    findings.damaged(`the extent ${segment}:${offset} has no owner, and ${decodeCounter(value) + 1n} are counted`);
  }
  await inBatches(findings.allExtents(), async (batch) => {
    const counters = await view.getMany(batch.map(({ segment, offset }) => keys.extentOwners(segment, offset)));
    for (const [i, { segment, offset, times }] of batch.entries()) {
      const counted = decodeCounter(counters[i]) + 1n;
      if (counted === BigInt(times)) continue;
      findings.damaged(`the extent ${segment}:${offset} is listed ${times} times, and ${counted} owners are counted`);
    }
  });
  const dropped = new Map<number, number>();
  for await (const { key, value } of rowsOf(view, keys.allDropped())) {
    const { segment } = keys.placeOf(key);
    const footprint = extentFootprint(decodeRecord<{ length: number }>(value).length);
    dropped.set(segment, (dropped.get(segment) ?? 0) + footprint);
  }
  for await (const { key, value } of rowsOf(view, keys.allDroppedBytes())) {
    const segment = keys.segmentNumberOf(key);
    const counted = Number(decodeCounter(value));
    const found = dropped.get(segment) ?? 0;
    if (counted !== found) {
      findings.damaged(`segment ${segment} has ${found} dropped bytes, and ${counted} are counted`);
    }
    dropped.delete(segment);
  }
  await checkMoved(view, findings);
  for (const segment of dropped.keys()) findings.damaged(`the dropped bytes of segment ${segment} are not counted`);
}

/** A moved extent that was dropped must not be remembered as moved: its place may be anybody's later. */
async function checkMoved(view: View, findings: Findings): Promise<void> {
  for await (const { key, value } of rowsOf(view, keys.allMoved())) {
    const logical = keys.placeOf(key);
    const now = decodeMoved(value);
    const isNamed = findings.extents.get(logical.segment)?.has(logical.offset) === true;
    if (isNamed || (await view.get(keys.dropped(now.segment, now.offset))) === undefined) continue;
    findings.damaged(`the extent ${logical.segment}:${logical.offset} is dropped, and still noted as moved`);
  }
}

/** Reads every extent that something needs once, in the order of the disk, and checks that none of them is dropped. */
export async function verifyExtents(store: Store, view: View, findings: Findings): Promise<void> {
  const placed: { extent: ExtentNames; now: Place }[] = [];
  await inBatches(findings.allExtents(), async (batch) => {
    const places = await placesNow(view, batch);
    const tombstones = await view.getMany(places.map(({ segment, offset }) => keys.dropped(segment, offset)));
    for (const [i, extent] of batch.entries()) {
      const now = places[i] as Place;
      if (tombstones[i] !== undefined) {
        findings.damaged(`the extent ${extent.segment}:${extent.offset} is named and dropped`);
      }
      if (extent.isNeeded) placed.push({ extent, now });
    }
  });
  placed.sort((a, b) => a.now.segment - b.now.segment || a.now.offset - b.now.offset);
  const bytes = placed.reduce((sum, { extent }) => sum + extent.length, 0);
  let verified = 0;
  for (const { extent } of placed) {
    findings.progress(() => `content: ${Math.floor((100 * verified) / bytes)} % of ${bytes} bytes verified`);
    verified += extent.length;
    const { segment, offset, length, sum } = extent;
    const piece = { segment, offset, extentLength: length, sum, start: 0, length };
    try {
      for await (const chunk of store.content.read([piece], 0, length)) chunk.release();
    } catch (error) {
      findings.damagedExtents.add(extent);
      findings.damaged((error as Error).message);
    }
  }
}

/** Every extent of every segment back to what names it. */
export async function checkSegments(store: Store, view: View, findings: Findings): Promise<void> {
  const { disk, directory } = store.content;
  for await (const { key, value } of rowsOf(view, keys.segments())) {
    const segment = keys.segmentNumberOf(key);
    const record = decodeRecord<SegmentRecord>(value);
    if (record.state === 'retired') continue;
    const scan = await SegmentScan.open(disk, directory, segment);
    if (scan === undefined) {
      // An open one is named before it has a file.
      if (record.state === 'sealed') findings.damaged(`the file of segment ${segment} is missing`);
      continue;
    }
    try {
      await checkSegment(scan, record, view, findings);
    } finally {
      await scan.close();
    }
  }
  const next = await nextSegmentIn(view);
  for (const name of await listed(store)) {
    const segment = segmentOfFileName(name);
    if (segment !== undefined && segment >= next)
      findings.damaged(`${name} is newer than the metadata, which does not know it`);
    else if (name === storeIdFileName) continue;
    else if (segment === undefined) findings.note(`a file that is no segment: ${name}`);
    else if ((await readSegment(view, segment)) === undefined) findings.note(`a segment without a record: ${name}`);
  }
}

async function listed({ content }: Store): Promise<string[]> {
  try {
    return await content.disk.list(content.directory);
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

async function checkSegment(scan: SegmentScan, record: SegmentRecord, view: View, findings: Findings): Promise<void> {
  const { segment } = scan;
  findings.progress(() => `segments: segment ${segment}`);
  let standingBytes = 0;
  let batch: FoundExtent[] = [];
  const look = async (): Promise<void> => {
    const tombstones = await view.getMany(batch.map(({ place }) => keys.dropped(place.segment, place.offset)));
    const places = await placesNow(
      view,
      batch.map(({ header }) => header.logical),
    );
    for (const [i, { place, header }] of batch.entries()) {
      const now = places[i] as Place;
      const { logical, length } = header;
      if (tombstones[i] === undefined) standingBytes += extentFootprint(length);
      const isNamed = findings.extents.get(logical.segment)?.has(logical.offset) === true;
      const isCurrent = now.segment === place.segment && now.offset === place.offset;
      if (tombstones[i] !== undefined || (isNamed && isCurrent)) continue;
      findings.orphans.extents++;
      findings.orphans.bytes += length;
    }
    batch = [];
    await nextTurn();
  };
  for await (const found of scan.extents()) {
    batch.push(found);
    if (batch.length === batchSize) await look();
  }
  await look();
  if (record.state !== 'sealed' || record.extentBytes === undefined) return;
  const { tailBytes = 0 } = record;
  if (isCut(scan.sizeBytes, tailBytes)) {
    findings.damaged(`the file of segment ${segment} has ${scan.sizeBytes} bytes, and had ${tailBytes}`);
  }
  const left = record.extentBytes - Number(decodeCounter(await view.get(keys.droppedBytes(segment))));
  if (scan.header === undefined && left > 0) findings.damaged(`the header of segment ${segment}`);
  if (standingBytes < left) {
    findings.damaged(
      `segment ${segment} has extents of ${standingBytes} bytes, and ${left} were written and not dropped`,
    );
  }
}

const batchSize = 256;

async function inBatches<T>(items: Iterable<T>, work: (batch: readonly T[]) => Promise<void>): Promise<void> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < batchSize) continue;
    await work(batch);
    batch = [];
    await nextTurn();
  }
  if (batch.length > 0) await work(batch);
}
