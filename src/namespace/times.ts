// The past of an entry: snapshots, versions and what was deleted softly. Taking, deleting, undeleting, and purging them.
import { dayMs } from '../base/clock.ts';
import { formatTicks, parseTicks } from '../codec/ticks.ts';
import type { Txn, View } from '../metadata/engine.ts';
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
  putCurrent,
  putPast,
  putRehydration,
  readPast,
  removeCurrent,
  removePast,
  type Spot,
} from './entry-rows.ts';
import type { Failure } from './failure.ts';
import { heldUntilMs } from './immutable.ts';
import { checkLeaseForRead } from './leases.ts';
import { findPlace } from './paths.ts';
import { checkChange } from './preconditions.ts';
import {
  type ContainerRecord,
  type DueRecord,
  decodeEntry,
  type Entry,
  type EntryRecord,
  encodeRecord,
  type Past,
} from './records.ts';
import { keepsVersion, purgeTime, readSettings } from './settings.ts';
import { checkAct, checkPermit } from './states.ts';
import { change, newEtag, type Store } from './store.ts';

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
  const snapshots = (await readPast(txn, spot.place)).filter(
    ({ record: { past } }) => past?.kind === 'snapshot' && past.deletedMs === undefined,
  );
  if (snapshots.length > 0 && command.snapshots === undefined) return { kind: 'snapshots-present' };
  for (const snapshot of snapshots) {
    const verdict = mayRemove(store, spot, snapshot.record);
    if (verdict.kind !== 'ok') return verdict;
  }
  let kept = purgeTime(settings, store.clock.now()) !== undefined;
  for (const snapshot of snapshots) dropPast(store, txn, spot, snapshot);
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

async function deletePast(store: Store, txn: Txn, command: DeleteCommand): Promise<DeleteOutcome> {
  const target = await openForChange(store, txn, command, 'note');
  if (target.kind !== 'ok') return target;
  const { existing, spot } = target;
  if (existing.record.past === undefined) return { kind: 'current-version' };
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
  const entry = found && decodeEntry(found);
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
    const deleted = (await readPast(txn, place)).filter(({ record }) => record.past?.deletedMs !== undefined);
    if (current === undefined && deleted.length === 0) return entryNotFound;
    const permitted = checkPermit(command.permit, current?.record);
    if (permitted.kind !== 'ok') return permitted;
    let base = current === undefined ? deleted.findLast(({ record }) => record.past?.kind === 'base') : undefined;
    for (const entry of deleted) {
      if (entry === base) continue;
      const { kind, time, replacedMs } = entry.record.past as Past;
      // A base that something newer stands in front of is an earlier state like any other.
      const past: Past = { kind: kind === 'version' ? kind : 'snapshot', time };
      putPast(store, txn, spot, entry, replacedMs === undefined ? past : { ...past, replacedMs });
    }
    if (base !== undefined) {
      const { past, ...record } = base.record;
      txn.delete(pastKey(place, (past as Past).time));
      if (settings.versioning === true && record.version === undefined) {
        const version = await freshTime(store, txn, place, undefined);
        base = { record: { ...record, version }, inline: base.inline };
      } else base = { record, inline: base.inline };
      putRehydration(store, txn, spot, base.record);
      putCurrent(store, txn, spot, undefined, base, 'entry-undeleted');
      current = base;
    }
    const entry = current ?? (deleted.at(-1) as Entry);
    if (base === undefined && deleted.length > 0) note(store, txn, spot, 'entry-undeleted', entry.record, undefined);
    return { kind: 'ok', entry };
  });
}

/** The work of a `purge-past` row: what was deleted softly goes when its days are over, and nothing holds it. */
export async function purgePast(
  store: Store,
  txn: Txn,
  due: Extract<DueRecord, { kind: 'purge-past' }>,
): Promise<{ readonly againMs: number } | undefined> {
  const place = { parent: Buffer.from(due.parent, 'hex'), leaf: due.leaf };
  const found = await txn.get(pastKey(place, due.time));
  const entry = found && decodeEntry(found);
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
