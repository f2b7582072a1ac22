// Deleting and undeleting many states of one name: what is true of them at once is a row, and their own rows follow it.
import { dayMs } from '../base/clock.ts';
import type { Txn, View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { readContainer } from './containers.ts';
import { type Again, putDue } from './due.ts';
import { note, pastKey, putPast, removePast, type Spot } from './entry-rows.ts';
import type { Place } from './paths.ts';
import {
  type DueRecord,
  decodeEntry,
  decodeRecord,
  type Entry,
  encodeRecord,
  type Past,
  type SweepRecord,
} from './records.ts';
import { readSettings } from './settings.ts';
import type { Store } from './store.ts';

/** Up to so many states change with their name, in one transaction. */
export const statesAtOnceMax = 256;
const rowsAStep = 256;

export async function readSweep(view: View, { parent, leaf }: Place): Promise<SweepRecord | undefined> {
  const found = await view.get(keys.sweep(parent, leaf));
  return found && decodeRecord<SweepRecord>(found);
}

/** The state as it is, whatever its row says until its turn has come; undefined: it is gone. */
export function swept(entry: Entry, sweep: SweepRecord | undefined): Entry | undefined {
  const past = entry.record.past as Past;
  if (sweep === undefined || past.time > sweep.until) return entry;
  if (sweep.kind === 'undelete') return past.deletedMs === undefined ? entry : withPast(entry, restored(past));
  if (past.kind !== 'snapshot' || past.deletedMs !== undefined) return entry;
  const { deletedMs, purgeMs } = sweep;
  return purgeMs === undefined ? undefined : withPast(entry, { ...past, deletedMs, purgeMs });
}

/** A base that something newer stands in front of is an earlier state like any other. */
export function restored({ kind, time, replacedMs }: Past): Past {
  const past: Past = { kind: kind === 'version' ? kind : 'snapshot', time };
  return replacedMs === undefined ? past : { ...past, replacedMs };
}

function withPast({ record, inline }: Entry, past: Past): Entry {
  return { record: { ...record, past }, inline };
}

/** From now on it is so. One of another kind must have ended before: false. */
export async function startSweep(
  store: Store,
  txn: Txn,
  { name, container, place, cause }: Spot,
  what: Pick<SweepRecord, 'kind' | 'until' | 'purgeMs'>,
): Promise<boolean> {
  const before = await readSweep(txn, place);
  const isSoft = (sweep: Pick<SweepRecord, 'purgeMs'>): boolean => sweep.purgeMs !== undefined;
  if (before !== undefined && (before.kind !== what.kind || isSoft(before) !== isSoft(what))) return false;
  const nowMs = store.clock.now();
  const { by, requestId } = cause;
  txn.put(
    keys.sweep(place.parent, place.leaf),
    encodeRecord({ ...what, deletedMs: nowMs, by, requestId } satisfies SweepRecord),
  );
  if (before !== undefined) return true;
  putDue(store, txn, nowMs, {
    kind: 'sweep-past',
    account: name.account,
    container: container.id,
    containerName: name.container,
    name: name.name,
    parent: place.parent.toString('hex'),
    leaf: place.leaf,
  });
  return true;
}

/** The work of a `sweep-past` row: some rows, and again for the rest. */
export async function sweepPast(
  store: Store,
  txn: Txn,
  due: Extract<DueRecord, { kind: 'sweep-past' }>,
): Promise<Again | undefined> {
  const place: Place = { parent: Buffer.from(due.parent, 'hex'), leaf: due.leaf };
  const sweep = await readSweep(txn, place);
  if (sweep === undefined) return undefined;
  const name = { account: due.account, container: due.containerName, name: due.name };
  const container = await readContainer(txn, name);
  const nowMs = store.clock.now();
  // A deleted container may come back, or is emptied with all that is in it.
  if (container?.id !== due.container) return { againMs: nowMs + dayMs };
  const { by, requestId } = sweep;
  const settings = await readSettings(txn, due.account);
  const spot: Spot = { name, container, settings, place, cause: { by, requestId } };
  const { start, end } = keys.pastOf(place.parent, place.leaf);
  const from = sweep.done === undefined ? start : after(pastKey(place, sweep.done));
  const rows = await txn.scan({ start: from, end }, { limit: rowsAStep });
  let done = sweep.done;
  for (const row of rows) {
    const entry = decodeEntry(row.value);
    const { time } = entry.record.past as Past;
    if (time > sweep.until) break;
    done = time;
    const becomes = swept(entry, sweep);
    if (becomes === entry) continue;
    if (sweep.kind === 'delete') note(store, txn, spot, 'past-deleted', entry.record, entry.record);
    if (becomes === undefined) removePast(store, txn, spot, entry);
    else putPast(store, txn, spot, entry, becomes.record.past as Past);
  }
  const key = keys.sweep(place.parent, place.leaf);
  if (rows.length < rowsAStep || done === undefined || done >= sweep.until) {
    txn.delete(key);
    return undefined;
  }
  txn.put(key, encodeRecord({ ...sweep, done } satisfies SweepRecord));
  return { againMs: nowMs };
}
