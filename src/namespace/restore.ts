// Point-in-time restore of a container: every name gets the state that it had at a time, by versions that were kept.
import { dayMs } from '../base/clock.ts';
import { parseTicks, ticksAMs } from '../codec/ticks.ts';
import { decodeCounter, type Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { type ContainerName, countUsage, readContainer } from './containers.ts';
import { shareContent } from './contents.ts';
import { type Again, putDue } from './due.ts';
import { containerNotFound, keepReplaced } from './entries.ts';
import { freshTime, pastPages, putCurrent, putPast, removeCurrent, type Spot } from './entry-rows.ts';
import type { Failure } from './failure.ts';
import { appendJournal, type Cause } from './journal.ts';
import { isHeld } from './leases.ts';
import { listWithin } from './list.ts';
import { makePlace, type Place } from './paths.ts';
import {
  type ContainerRecord,
  type DueRecord,
  decodeEntry,
  decodeRecord,
  type Entry,
  encodeRecord,
} from './records.ts';
import { readSettings } from './settings.ts';
import { checkAct } from './states.ts';
import { change, newEtag, type Store } from './store.ts';

export interface RestoreCommand extends ContainerName {
  readonly toMs: number;
  /** Names from `from` (inclusive) to `until` (exclusive); absent: all. */
  readonly from?: string;
  readonly until?: string;
  readonly cause: Cause;
}

export interface RestoreStatus {
  /** `failed`: versioning was switched off, or the container's quota would be passed; what was restored stays. */
  readonly state: 'running' | 'done' | 'failed';
  /** Of which container of the name it is. */
  readonly container: string;
  readonly toMs: number;
  readonly startedMs: number;
  readonly endedMs?: number;
  /** Names looked at, and what became of them. */
  readonly names: number;
  readonly restored: number;
  readonly deleted: number;
  /** Left as they are: held by a lease, or immutable. */
  readonly refused: number;
}

const statesAStep = 64;

/** Begins a restore, which the background carries out; new versions are made, and none is lost. */
export function startRestore(
  store: Store,
  command: RestoreCommand,
): Promise<{ readonly kind: 'ok'; readonly status: RestoreStatus } | Failure> {
  return change(store, async (txn) => {
    const container = await readContainer(txn, command);
    if (container === undefined) return containerNotFound;
    const { versioning, restoreDays = 0 } = await readSettings(txn, command.account);
    if (versioning !== true || restoreDays === 0) return { kind: 'restore-off' };
    const nowMs = store.clock.now();
    const { toMs } = command;
    if (toMs >= nowMs || toMs < nowMs - restoreDays * dayMs || toMs < container.createdMs) {
      return { kind: 'restore-time' };
    }
    const last = await statusOf(txn, command);
    if (last?.state === 'running' && last.container === container.id) return { kind: 'restore-running' };
    const status: RestoreStatus = {
      state: 'running',
      container: container.id,
      toMs,
      startedMs: nowMs,
      names: 0,
      restored: 0,
      deleted: 0,
      refused: 0,
    };
    putStatus(txn, command, status);
    putDue(store, txn, nowMs, {
      kind: 'restore',
      account: command.account,
      container: container.id,
      containerName: command.container,
      toMs,
      from: command.from ?? '',
      ...(command.until !== undefined && { until: command.until }),
    });
    const { account, container: name, cause } = command;
    appendJournal(store, txn, { operation: 'restore-point', account, container: name, id: container.id, ...cause });
    return { kind: 'ok', status };
  });
}

/** How the last restore of a container stands; undefined: there was none. */
export function getRestore(store: Store, name: ContainerName): Promise<RestoreStatus | undefined> {
  return store.engine.snapshot((view) => statusOf(view, name));
}

function statusKey({ account, container }: ContainerName): Buffer {
  return keys.setting(`restore/${account}/${container}`);
}

async function statusOf(txn: Pick<Txn, 'get'>, name: ContainerName): Promise<RestoreStatus | undefined> {
  const found = await txn.get(statusKey(name));
  return found && decodeRecord<RestoreStatus>(found);
}

function putStatus(txn: Txn, name: ContainerName, status: RestoreStatus): void {
  txn.put(statusKey(name), encodeRecord(status));
}

const everything = { snapshots: false, versions: true, deleted: true, versionsOnly: false, alone: false };

/** The work of a `restore` row: some names, and a row for the rest. */
export async function restoreStep(
  store: Store,
  txn: Txn,
  due: Extract<DueRecord, { kind: 'restore' }>,
): Promise<Again | undefined> {
  const name = { account: due.account, container: due.containerName };
  const container = await readContainer(txn, name);
  const status = await statusOf(txn, name);
  if (status?.container !== due.container || container?.id !== due.container) return undefined;
  const query = { ...name, prefix: '', delimiter: undefined, uncommitted: false, past: everything };
  const page = await listWithin(txn, { ...query, from: due.from, limit: statesAStep });
  if (page.kind !== 'ok') return undefined;
  const names = [...new Set(page.items.map((item) => item.name))].filter(
    (one) => due.until === undefined || Buffer.compare(Buffer.from(one), Buffer.from(due.until)) < 0,
  );
  const counts = { names: names.length, restored: 0, deleted: 0, refused: 0, same: 0 };
  const settings = await readSettings(txn, due.account);
  const ends = (state: 'done' | 'failed', now: RestoreStatus) =>
    putStatus(txn, name, { ...now, state, endedMs: store.clock.now() });
  if (settings.versioning !== true || (await isOverQuota(txn, container))) {
    ends('failed', status);
    return undefined;
  }
  const cause = { by: 'restore', requestId: '' };
  for (const one of names) {
    const place = await makePlace(store, txn, Buffer.from(container.id, 'hex'), one);
    const spot: Spot = { name: { ...name, name: one }, container, settings, place, cause };
    counts[await restoreName(store, txn, spot, container, due.toMs)]++;
  }
  const last = names.at(-1);
  const isEnd =
    page.next === undefined || last === undefined || names.length < new Set(page.items.map((i) => i.name)).size;
  const sum: RestoreStatus = {
    ...status,
    names: status.names + counts.names,
    restored: status.restored + counts.restored,
    deleted: status.deleted + counts.deleted,
    refused: status.refused + counts.refused,
  };
  const nowMs = store.clock.now();
  if (isEnd) ends('done', sum);
  else putStatus(txn, name, sum);
  // All states of the last name were dealt with, also those that did not come on this page.
  return isEnd ? undefined : { againMs: nowMs, record: { ...due, from: `${last}\u0001` } };
}

/** A step may pass the quota by what it restores; the next one then ends the restore. */
async function isOverQuota(txn: Txn, container: ContainerRecord): Promise<boolean> {
  const quota = container.quotaBytes ?? 0;
  if (quota === 0) return false;
  return decodeCounter(await txn.get(keys.usage(Buffer.from(container.id, 'hex')))) >= BigInt(quota);
}

async function restoreName(
  store: Store,
  txn: Txn,
  spot: Spot,
  container: ContainerRecord,
  toMs: number,
): Promise<'restored' | 'deleted' | 'refused' | 'same'> {
  const { place } = spot;
  const found = await txn.get(keys.entry(place.parent, place.leaf));
  const current = found && decodeEntry(found);
  if (current !== undefined && beganMs(current) <= toMs) return 'same';
  const then = await versionAt(txn, place, toMs);
  if (then === undefined && current === undefined) return 'same';
  const nowMs = store.clock.now();
  if (current !== undefined) {
    const act = then === undefined ? 'delete' : 'restore';
    const on = { container, record: current.record, keepsVersions: true, nowMs };
    if (checkAct(act, on).kind !== 'ok' || isHeld(current.record.lease, nowMs)) return 'refused';
  }
  const time = await freshTime(store, txn, place, current?.record.version);
  if (then === undefined) {
    const gone = current as Entry;
    removeCurrent(store, txn, spot, gone.record);
    putPast(store, txn, spot, gone, { kind: 'version', time: gone.record.version ?? time, replacedMs: nowMs });
    return 'deleted';
  }
  if (current !== undefined) keepReplaced(store, txn, spot, current, time);
  shareContent(txn, then);
  countUsage(txn, { ...container, quotaBytes: 0 }, then.record.length);
  // Retention belongs to the version that it was set on.
  const { past: _, immutability: __, legalHold: ___, ...state } = then.record;
  const record = { ...state, etag: newEtag(store, current?.record.etag), modifiedMs: nowMs, version: time };
  putCurrent(store, txn, spot, current?.record, { record, inline: then.inline }, 'entry-written');
  return 'restored';
}

/** The version that was the current state then. Versions follow each other: before the last that had begun there is none. */
async function versionAt(txn: Txn, place: Place, toMs: number): Promise<Entry | undefined> {
  for await (const page of pastPages(txn, place, { before: BigInt(toMs + 1) * ticksAMs })) {
    const last = page.find(({ record }) => record.past?.kind === 'version');
    if (last !== undefined) return (last.record.past?.replacedMs ?? Number.POSITIVE_INFINITY) > toMs ? last : undefined;
  }
  return undefined;
}

/** When a state became the current one. */
function beganMs({ record }: Entry): number {
  const id = record.past?.time ?? record.version;
  const ticks = id === undefined ? undefined : parseTicks(id);
  return ticks === undefined ? record.modifiedMs : Math.max(Number(ticks / ticksAMs), 0);
}
