// The book of segments: which numbers were given, what state each file is in, where extents lie after compaction.
import type { Clock } from '../base/clock.ts';
import type { SegmentCatalog } from '../content/catalog.ts';
import type { Place } from '../content/extent.ts';
import { decodeCounter, type Engine, encodeCounter, type View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, encodeRecord, type SegmentRecord } from './records.ts';

/** The setting that holds the last segment number given. */
const numberSetting = 'segment';

/** What the content log asks, answered from metadata. */
export function createCatalog(engine: Engine, clock: Clock): SegmentCatalog {
  return {
    allocate: () =>
      engine.transact(async (txn) => {
        const key = keys.setting(numberSetting);
        const number = decodeCounter(await txn.get(key)) + 1n;
        txn.put(key, encodeCounter(number));
        const record: SegmentRecord = { state: 'open', createdMs: clock.now() };
        txn.put(keys.segment(Number(number)), encodeRecord(record));
        return Number(number);
      }),
    sealed: (segment, tailBytes, extentBytes) =>
      engine.transact(async (txn) => {
        const found = await readSegment(txn, segment);
        if (found?.state !== 'open') return;
        const record: SegmentRecord = { ...found, state: 'sealed', tailBytes, extentBytes };
        txn.put(keys.segment(segment), encodeRecord(record));
      }),
    relocated: (logical) =>
      engine.snapshot(async (view) => {
        const found = await view.get(keys.moved(logical.segment, logical.offset));
        return found && decodeMoved(found);
      }),
  };
}

/**
 * The first number that no segment has yet. Read when a server starts, before anything of it writes, it divides what
 * an earlier run left open, to which nobody appends any more, from what this one opens.
 */
export function nextSegment(engine: Engine): Promise<number> {
  return engine.snapshot(nextSegmentIn);
}

export async function nextSegmentIn(view: View): Promise<number> {
  return Number(decodeCounter(await view.get(keys.setting(numberSetting)))) + 1;
}

export async function readSegment(view: View, segment: number): Promise<SegmentRecord | undefined> {
  const found = await view.get(keys.segment(segment));
  return found && decodeRecord<SegmentRecord>(found);
}

/** Where a moved extent lies: the value under `keys.moved`. */
export function encodeMoved(place: Place): Buffer {
  return encodeRecord(place);
}

export function decodeMoved(value: Uint8Array): Place {
  const { segment, offset } = decodeRecord<Place>(value);
  return { segment, offset };
}
