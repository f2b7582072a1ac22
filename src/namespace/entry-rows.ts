// The rows of a name: its current state and its past, and what goes with every change of them: index tags, usage, journal.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { formatTicks, parseTicks, ticksAMs } from '../codec/ticks.ts';
import type { Txn, View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { type ContainerName, countUsage } from './containers.ts';
import { dropContent } from './contents.ts';
import { putDue } from './due.ts';
import { appendJournal, type Cause, type FeedDetails, type JournalOperation } from './journal.ts';
import type { Place } from './paths.ts';
import {
  type AccountSettings,
  type ContainerRecord,
  decodeEntry,
  decodeRecord,
  type Entry,
  type EntryRecord,
  encodeRecord,
  type Past,
  type SweepRecord,
} from './records.ts';
import type { Store } from './store.ts';
import { indexTags } from './tag-index.ts';

export interface EntryName extends ContainerName {
  readonly name: string;
}

/** A name in a transaction that changes it. */
export interface Spot {
  readonly name: EntryName;
  readonly container: ContainerRecord;
  readonly settings: AccountSettings;
  readonly place: Place;
  readonly cause: Cause;
}

/** Puts the current state. `before` is what stood there, and is dropped or kept by the caller. */
export function putCurrent(
  store: Store,
  txn: Txn,
  spot: Spot,
  before: EntryRecord | undefined,
  entry: Entry,
  operation: JournalOperation,
): void {
  const { place, container, name } = spot;
  txn.put(keys.entry(place.parent, place.leaf), encodeRecord(entry.record, entry.inline));
  indexTags(txn, name, container, before?.tags, entry.record.tags);
  note(store, txn, spot, operation, entry.record, before);
}

/** Takes the name away; what becomes of its content is the caller's. */
export function removeCurrent(store: Store, txn: Txn, spot: Spot, before: EntryRecord): void {
  const { place, container, name } = spot;
  txn.delete(keys.entry(place.parent, place.leaf));
  indexTags(txn, name, container, before.tags, undefined);
  notePrune(txn, spot);
  note(store, txn, spot, 'entry-deleted', before, before);
}

export function note(
  store: Store,
  txn: Txn,
  { name, settings, cause }: Spot,
  operation: JournalOperation,
  record: EntryRecord,
  before: EntryRecord | undefined,
): void {
  const { id, etag, length } = record;
  const { account, container } = name;
  const feed = settings.changeFeed === true && { feed: feedOf(record, before) };
  const change = { operation, account, container, name: name.name, id, etag, length };
  appendJournal(store, txn, { ...change, ...cause, ...feed });
}

function feedOf(record: EntryRecord, before: EntryRecord | undefined): FeedDetails {
  return {
    type: record.type,
    ...(record.headers.contentType !== undefined && { contentType: record.headers.contentType }),
    ...(record.version !== undefined && { version: record.version }),
    ...(record.past !== undefined && { past: record.past.kind, time: record.past.time }),
    ...(record.tier !== undefined && { tier: record.tier }),
    ...(record.sequence !== undefined && { sequence: record.sequence }),
    ...(record.rehydration !== undefined && { rehydration: record.rehydration.tier }),
    modifiedMs: record.modifiedMs,
    ...(before !== undefined && {
      before: {
        etag: before.etag,
        length: before.length,
        modifiedMs: before.modifiedMs,
        ...(before.tier !== undefined && { tier: before.tier }),
        ...(before.version !== undefined && { version: before.version }),
      },
    }),
  };
}

/** The directory may have lost its last child: the background looks, so that deletes do not conflict over it. */
export function notePrune(txn: Txn, { container, place, name }: Pick<Spot, 'container' | 'place' | 'name'>): void {
  const slash = name.name.lastIndexOf('/');
  if (slash === -1) return;
  txn.put(keys.prune(place.parent), encodeRecord({ container: container.id, name: name.name.slice(0, slash) }));
}

/** A time for a new version or snapshot, later than all that the name has. */
export async function freshTime(store: Store, view: View, place: Place, current: string | undefined): Promise<string> {
  let ticks = BigInt(store.clock.now()) * ticksAMs + BigInt(store.random.below(Number(ticksAMs)));
  const [last] = await view.scan(keys.pastOf(place.parent, place.leaf), { limit: 1, reverse: true });
  if (last !== undefined) ticks = later(ticks, keys.ticksOf(last.key));
  // What has just been swept away was there too.
  const swept = await view.get(keys.sweep(place.parent, place.leaf));
  if (swept !== undefined) ticks = later(ticks, parseTicks(decodeRecord<SweepRecord>(swept).until) as bigint);
  const currentTicks = current === undefined ? undefined : parseTicks(current);
  if (currentTicks !== undefined) ticks = later(ticks, currentTicks);
  return formatTicks(ticks);
}

// One time stays free between the two: for the id of what was written without one.
function later(ticks: bigint, than: bigint): bigint {
  return ticks > than + 1n ? ticks : than + 2n;
}

/**
 * Keeps a state under the name's past. Its content must be its own by now: handed over by the current state, or shared.
 * A lease stays with the current state, and tags of the past are not indexed.
 */
export function putPast(store: Store, txn: Txn, spot: Spot, entry: Entry, past: Past): Entry {
  const { lease: _, ...rest } = entry.record;
  const record: EntryRecord = { ...rest, past };
  const { parent, leaf } = spot.place;
  txn.put(pastKey(spot.place, past.time), encodeRecord(record, entry.inline));
  putRehydration(store, txn, spot, record);
  if (past.purgeMs !== undefined) {
    const due = { container: spot.container.id, account: spot.name.account, name: spot.name.name };
    putDue(store, txn, past.purgeMs, {
      kind: 'purge-past',
      ...due,
      containerName: spot.name.container,
      parent: parent.toString('hex'),
      leaf,
      time: past.time,
    });
  }
  return { record, inline: entry.inline };
}

/** Has a rehydration end at its time. */
export function putRehydration(store: Store, txn: Txn, { name, container }: Spot, record: EntryRecord): void {
  if (record.rehydration === undefined) return;
  putDue(store, txn, record.rehydration.doneMs, {
    kind: 'rehydrate',
    account: name.account,
    container: container.id,
    containerName: name.container,
    name: name.name,
    ...(record.past !== undefined && { time: record.past.time }),
  });
}

export function pastKey({ parent, leaf }: Place, time: string): Buffer {
  return keys.past(parent, leaf, parseTicks(time) as bigint);
}

/** A state of the past goes for good, with its content. */
export function removePast(store: Store, txn: Txn, spot: Spot, entry: Entry): void {
  const { record } = entry;
  txn.delete(pastKey(spot.place, (record.past as Past).time));
  dropContent(store, txn, record);
  countUsage(txn, spot.container, -record.length);
  notePrune(txn, spot);
}

const pastPage = 500;

/** The past of a name from the oldest on, or from before `before` backwards; others have a turn between two pages. */
export async function* pastPages(
  view: View,
  { parent, leaf }: Place,
  backwards?: { readonly before: bigint | undefined },
): AsyncGenerator<readonly Entry[], void, undefined> {
  let { start, end } = keys.pastOf(parent, leaf);
  if (backwards?.before !== undefined) end = keys.past(parent, leaf, backwards.before);
  const reverse = backwards !== undefined;
  for (;;) {
    const rows = await view.scan({ start, end }, { limit: pastPage, reverse });
    yield rows.map((row) => decodeEntry(row.value));
    const last = rows.at(-1);
    if (last === undefined || rows.length < pastPage) return;
    if (reverse) end = last.key;
    else start = after(last.key);
    await nextTurn();
  }
}
