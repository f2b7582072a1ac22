// The past of an entry: snapshots, versions and what was deleted softly. Taking, deleting, undeleting, and purging them.
import { dayMs } from '../base/clock.ts';
import { formatTicks, parseTicks } from '../codec/ticks.ts';
import type { Item, Txn, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { countUsage, readContainer } from './containers.ts';
import { dropContent, shareContent } from './contents.ts';
import {
  containerNotFound,
  type EntryChange,
  type EntryOutcome,
  entryNotFound,
  keepReplaced,
  openForChange,
} from './entries.ts';
import {
  freshTime,
  note,
  pastKey,
  pastPages,
  putCurrent,
  putPast,
  putRehydration,
  removeCurrent,
  removePast,
  type Spot,
} from './entry-rows.ts';
import type { Failure } from './failure.ts';
import { heldUntilMs } from './immutable.ts';
import { checkLeaseForRead } from './leases.ts';
import { findPlace, type Place } from './paths.ts';
import { checkChange } from './preconditions.ts';
import {
  type ContainerRecord,
  type DueRecord,
  decodeEntry,
  type Entry,
  type EntryRecord,
  encodeRecord,
  type Past,
  type SweepRecord,
} from './records.ts';
import { keepsVersion, purgeTime, readSettings } from './settings.ts';
import { checkAct, checkPermit } from './states.ts';
import { change, newEtag, type Store } from './store.ts';
import { readSweep, restored, startSweep, statesAtOnceMax, swept } from './sweeps.ts';

/** Snapshot Blob: a copy of the state as it is, which shares its content. With `metadata` it has that instead. */
export type SnapshotOutcome =
  /** `version`: of the current state, which with versioning is a new one. */
  { readonly kind: 'ok'; readonly entry: Entry; readonly version?: string } | Failure;

export function snapshotEntry(
  store: Store,
  command: EntryChange & {
    readonly metadata?: Readonly<Record<string, string>>;
    /** What else keeps this caller from making one. */
    readonly refusal?: (record: EntryRecord, container: ContainerRecord) => Failure | undefined;
  },
): Promise<SnapshotOutcome> {
  return change<SnapshotOutcome>(store, async (txn) => {
    const spot = await spotOf(txn, command);
    if ('kind' in spot) return spot;
    const found = await txn.get(keys.entry(spot.place.parent, spot.place.leaf));
    if (found === undefined) return entryNotFound;
    const existing = decodeEntry(found);
    const nowMs = store.clock.now();
    const permitted = checkPermit(command.permit, existing.record);
    if (permitted.kind !== 'ok') return permitted;
    const lease = checkLeaseForRead(existing.record.lease, command.leaseId, nowMs, 'entry');
    if (lease.kind !== 'ok') return lease;
    const verdict = checkChange(command.conditions, existing.record);
    if (verdict.kind !== 'ok') return verdict;
    const refusal = command.refusal?.(existing.record, spot.container);
    if (refusal !== undefined) return refusal;
    const { container } = spot;
    const mayAct = checkAct('snapshot', { container, record: existing.record, keepsVersions: true, nowMs });
    if (mayAct.kind !== 'ok') return mayAct;
    const time = await freshTime(store, txn, spot.place, existing.record.version);
    const { version: _, ...state } = existing.record;
    const record: EntryRecord =
      command.metadata === undefined
        ? state
        : { ...state, metadata: command.metadata, etag: newEtag(store, state.etag), modifiedMs: nowMs };
    shareContent(txn, existing);
    countUsage(txn, spot.container, record.length);
    const entry = putPast(store, txn, spot, { record, inline: existing.inline }, { kind: 'snapshot', time });
    note(store, txn, spot, 'snapshot-created', entry.record, existing.record);
    const version = newVersion(store, txn, spot, existing, time);
    return { kind: 'ok', entry, ...(version !== undefined && { version }) };
  });
}

/** With versioning a snapshot makes a version as well ("Blob versioning", Versioning and snapshots). */
function newVersion(store: Store, txn: Txn, spot: Spot, existing: Entry, snapshot: string): string | undefined {
  if (spot.settings.versioning !== true) return existing.record.version;
  const version = formatTicks((parseTicks(snapshot) as bigint) + 2n);
  shareContent(txn, existing);
  countUsage(txn, spot.container, existing.record.length);
  keepReplaced(store, txn, spot, existing, version);
  const { parent, leaf } = spot.place;
  txn.put(keys.entry(parent, leaf), encodeRecord({ ...existing.record, version }, existing.inline));
  return version;
}

async function spotOf(txn: View, command: EntryChange): Promise<Spot | Failure> {
  const container = await readContainer(txn, command);
  if (container === undefined) return containerNotFound;
  const place = await findPlace(txn, Buffer.from(container.id, 'hex'), command.name);
  if (place === undefined) return entryNotFound;
  return { name: command, container, settings: await readSettings(txn, command.account), place, cause: command.cause };
}

export interface DeleteCommand extends EntryChange {
  /** Of the current state: its snapshots go with it, or go alone. Undefined: there must be none. */
  readonly snapshots?: 'include' | 'only';
  /** A snapshot or version that was deleted softly goes for good. */
  readonly permanent?: boolean;
  /** What else keeps what is named from being deleted. */
  readonly refusal?: (record: EntryRecord) => Failure | undefined;
}

export type DeleteOutcome =
  /** `kept`: as a version, or for the days of soft delete. */
  { readonly kind: 'ok'; readonly entry: Entry; readonly kept: boolean } | Failure;

export function deleteEntry(store: Store, command: DeleteCommand): Promise<DeleteOutcome> {
  return change<DeleteOutcome>(store, (txn) => {
    if (command.permanent === true) return deleteForGood(store, txn, command);
    return command.at === undefined ? deleteCurrent(store, txn, command) : deletePast(store, txn, command);
  });
}

async function deleteCurrent(store: Store, txn: Txn, command: DeleteCommand): Promise<DeleteOutcome> {
  const target = await openForChange(store, txn, command, command.snapshots === 'only' ? 'note' : 'delete');
  if (target.kind !== 'ok') return target;
  const { existing, spot, settings } = target;
  const refusal = command.refusal?.(existing.record);
  if (refusal !== undefined) return refusal;
  const snapshots = await liveSnapshots(store, txn, spot, command.snapshots === undefined);
  if ('kind' in snapshots) return snapshots;
  if (snapshots.length > 0 && command.snapshots === undefined) return { kind: 'snapshots-present' };
  // Recorded of the service.
  if (snapshots.length === 0 && command.snapshots === 'only') return entryNotFound;
  let kept = purgeTime(settings, store.clock.now()) !== undefined;
  if (snapshots.length <= statesAtOnceMax) for (const snapshot of snapshots) dropPast(store, txn, spot, snapshot);
  else if (!(await sweep(store, txn, spot, 'delete'))) return { kind: 'contended' };
  if (command.snapshots === 'only') return { kind: 'ok', entry: existing, kept };
  const { record } = existing;
  const nowMs = store.clock.now();
  const purgeMs = purgeTime(settings, nowMs);
  removeCurrent(store, txn, spot, record);
  if (keepsVersion(settings, record)) {
    const time = record.version ?? (await freshTime(store, txn, spot.place, undefined));
    putPast(store, txn, spot, existing, { kind: 'version', time, replacedMs: nowMs });
    kept = true;
  } else if (purgeMs !== undefined) {
    const time = await freshTime(store, txn, spot.place, record.version);
    putPast(store, txn, spot, existing, { kind: 'base', time, replacedMs: nowMs, deletedMs: nowMs, purgeMs });
  } else {
    dropContent(store, txn, record);
    countUsage(txn, spot.container, -record.length);
  }
  return { kind: 'ok', entry: existing, kept };
}

/** All of them, or, where they are more than go at once, more than that; or why one of them must stay. */
async function liveSnapshots(store: Store, txn: Txn, spot: Spot, oneIsEnough: boolean): Promise<Entry[] | Failure> {
  const { container } = spot;
  // Only there may one be held that others are not.
  const looksAtAll = container.immutability !== undefined || container.versionImmutability === true;
  let before: SweepRecord | undefined;
  const found: Entry[] = [];
  for await (const page of pastPages(txn, spot.place)) {
    // Most names have no past: what becomes of it need not be asked then.
    if (page.length > 0) before ??= await readSweep(txn, spot.place);
    for (const row of page) {
      const entry = swept(row, before);
      const past = entry?.record.past;
      if (entry === undefined || past?.kind !== 'snapshot' || past.deletedMs !== undefined) continue;
      const verdict = oneIsEnough ? { kind: 'ok' as const } : mayRemove(store, spot, entry.record);
      if (verdict.kind !== 'ok') return verdict;
      if (found.length <= statesAtOnceMax) found.push(entry);
    }
    if (oneIsEnough && found.length > 0) break;
    if (!looksAtAll && found.length > statesAtOnceMax) break;
  }
  return found;
}

/** Of all states that there are by now. False: another sweep of the name is not done yet. */
async function sweep(store: Store, txn: Txn, spot: Spot, kind: SweepRecord['kind']): Promise<boolean> {
  const { parent, leaf } = spot.place;
  const [last] = await txn.scan(keys.pastOf(parent, leaf), { limit: 1, reverse: true });
  const until = (decodeEntry((last as Item).value).record.past as Past).time;
  const purgeMs = kind === 'delete' ? purgeTime(spot.settings, store.clock.now()) : undefined;
  return await startSweep(store, txn, spot, { kind, until, ...(purgeMs !== undefined && { purgeMs }) });
}

async function deletePast(store: Store, txn: Txn, command: DeleteCommand): Promise<DeleteOutcome> {
  const target = await openForChange(store, txn, command, 'note');
  if (target.kind !== 'ok') return target;
  const { existing, spot } = target;
  if (existing.record.past === undefined) return { kind: 'current-version' };
  // What is deleted now must not come back by a sweep that is not done yet.
  if ((await readSweep(txn, spot.place))?.kind === 'undelete') return { kind: 'contended' };
  const refusal = command.refusal?.(existing.record);
  if (refusal !== undefined) return refusal;
  const verdict = mayRemove(store, spot, existing.record);
  if (verdict.kind !== 'ok') return verdict;
  return { kind: 'ok', entry: existing, kept: dropPast(store, txn, spot, existing) };
}

async function deleteForGood(store: Store, txn: Txn, command: DeleteCommand): Promise<DeleteOutcome> {
  const spot = await spotOf(txn, command);
  if ('kind' in spot) return spot;
  if (command.at === undefined) return entryNotFound;
  const found = await txn.get(pastKey(spot.place, command.at.time));
  const entry = found && swept(decodeEntry(found), await readSweep(txn, spot.place));
  const past = entry?.record.past;
  if (spot.settings.permanentDelete !== true) return { kind: 'permanent-delete-off' };
  if (entry === undefined || past?.kind !== command.at.kind || past.deletedMs === undefined) return entryNotFound;
  const permitted = checkPermit(command.permit, entry.record);
  if (permitted.kind !== 'ok') return permitted;
  const refusal = command.refusal?.(entry.record);
  if (refusal !== undefined) return refusal;
  const verdict = mayRemove(store, spot, entry.record);
  if (verdict.kind !== 'ok') return verdict;
  removePast(store, txn, spot, entry);
  note(store, txn, spot, 'past-deleted', entry.record, entry.record);
  return { kind: 'ok', entry, kept: false };
}

function mayRemove(store: Store, { container }: Spot, record: EntryRecord): ReturnType<typeof checkAct> {
  return checkAct('delete-past', { container, record, keepsVersions: false, nowMs: store.clock.now() });
}

/** Softly where the account says so; answers whether it is kept. */
function dropPast(store: Store, txn: Txn, spot: Spot, entry: Entry): boolean {
  const nowMs = store.clock.now();
  const purgeMs = purgeTime(spot.settings, nowMs);
  note(store, txn, spot, 'past-deleted', entry.record, entry.record);
  if (purgeMs === undefined) removePast(store, txn, spot, entry);
  else putPast(store, txn, spot, entry, { ...(entry.record.past as Past), deletedMs: nowMs, purgeMs });
  return purgeMs !== undefined;
}

/** Undelete Blob: all that was deleted softly comes back; without a current state the last deleted one is that again. */
export function undeleteEntry(store: Store, command: EntryChange): Promise<EntryOutcome> {
  return change<EntryOutcome>(store, async (txn) => {
    const spot = await spotOf(txn, command);
    if ('kind' in spot) return spot;
    const { place, settings } = spot;
    const found = await txn.get(keys.entry(place.parent, place.leaf));
    let current = found && decodeEntry(found);
    const under = await readSweep(txn, place);
    const { deleted, last, latestBase } = await deletedStates(txn, place, under, current === undefined);
    if (current === undefined && last === undefined) return entryNotFound;
    // What came back now would be taken for what is to be deleted.
    if (under?.kind === 'delete' && last !== undefined) return { kind: 'contended' };
    let base = current === undefined ? latestBase : undefined;
    // Decided about as what it will be.
    const permitted = checkPermit(command.permit, current?.record ?? (base && unpast(base.record)));
    if (permitted.kind !== 'ok') return permitted;
    if (deleted.length > statesAtOnceMax) {
      if (!(await sweep(store, txn, spot, 'undelete'))) return { kind: 'contended' };
    } else {
      for (const entry of deleted) {
        if (entry !== base) putPast(store, txn, spot, entry, restored(entry.record.past as Past));
      }
    }
    if (base !== undefined) {
      const record = unpast(base.record);
      txn.delete(pastKey(place, (base.record.past as Past).time));
      if (settings.versioning === true && record.version === undefined) {
        const version = await freshTime(store, txn, place, undefined);
        base = { record: { ...record, version }, inline: base.inline };
      } else base = { record, inline: base.inline };
      putRehydration(store, txn, spot, base.record);
      putCurrent(store, txn, spot, undefined, base, 'entry-undeleted');
      current = base;
    }
    const entry = current ?? (last as Entry);
    if (base === undefined && last !== undefined) note(store, txn, spot, 'entry-undeleted', entry.record, undefined);
    return { kind: 'ok', entry };
  });
}

function unpast({ past: _, ...record }: EntryRecord): EntryRecord {
  return record;
}

interface DeletedStates {
  /** All of them, from the latest on, or, where they are more than come back at once, more than that. */
  readonly deleted: readonly Entry[];
  readonly last: Entry | undefined;
  /** Looked for as far as it is wanted. */
  readonly latestBase: Entry | undefined;
}

async function deletedStates(
  txn: Txn,
  place: Place,
  before: SweepRecord | undefined,
  wantsBase: boolean,
): Promise<DeletedStates> {
  const deleted: Entry[] = [];
  let latestBase: Entry | undefined;
  for await (const page of pastPages(txn, place, { before: undefined })) {
    for (const row of page) {
      const entry = swept(row, before);
      if (entry?.record.past?.deletedMs === undefined) continue;
      if (deleted.length <= statesAtOnceMax) deleted.push(entry);
      if (entry.record.past.kind === 'base') latestBase ??= entry;
    }
    if (deleted.length > statesAtOnceMax && (!wantsBase || latestBase !== undefined)) break;
  }
  return { deleted, last: deleted[0], latestBase };
}

/** The work of a `purge-past` row: what was deleted softly goes when its days are over, and nothing holds it. */
export async function purgePast(
  store: Store,
  txn: Txn,
  due: Extract<DueRecord, { kind: 'purge-past' }>,
): Promise<{ readonly againMs: number } | undefined> {
  const place = { parent: Buffer.from(due.parent, 'hex'), leaf: due.leaf };
  const found = await txn.get(pastKey(place, due.time));
  const entry = found && swept(decodeEntry(found), await readSweep(txn, place));
  const purgeMs = entry?.record.past?.purgeMs;
  if (entry === undefined || purgeMs === undefined) return undefined;
  const nowMs = store.clock.now();
  if (nowMs < purgeMs) return { againMs: purgeMs };
  const name = { account: due.account, container: due.containerName, name: due.name };
  const container = await readContainer(txn, name);
  // A deleted container may come back, or is emptied with all that is in it.
  if (container?.id !== due.container) return { againMs: nowMs + dayMs };
  const heldMs = heldUntilMs(container, entry.record);
  if (heldMs !== undefined && nowMs < heldMs) return { againMs: Math.min(heldMs, nowMs + dayMs) };
  const settings = await readSettings(txn, due.account);
  const cause = { by: 'purge', requestId: '' };
  removePast(store, txn, { name, container, settings, place, cause }, entry);
  return undefined;
}
