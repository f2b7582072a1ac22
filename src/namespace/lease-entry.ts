// Lease Blob: of an entry, or of blocks that wait for their list.
import type { Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { readContainer } from './containers.ts';
import { containerNotFound, type EntryChange, entryNotFound, readAt } from './entries.ts';
import { putCurrent, type Spot } from './entry-rows.ts';
import type { Failure } from './failure.ts';
import { applyLeaseAction, type LeaseAction } from './leases.ts';
import { findPlace } from './paths.ts';
import { checkChange, checkCreate } from './preconditions.ts';
import {
  type ContainerRecord,
  type Entry,
  type EntryRecord,
  encodeRecord,
  type Lease,
  type UploadRecord,
} from './records.ts';
import { readSettings } from './settings.ts';
import { readUpload } from './staged.ts';
import { checkPermit } from './states.ts';
import { change, type Store } from './store.ts';

export type LeaseOutcome =
  | {
      readonly kind: 'ok';
      /** Undefined: the lease is of blocks that wait for their list. */
      readonly entry: Entry | undefined;
      readonly leaseId?: string;
      readonly remainingS?: number;
    }
  | Failure;

export function leaseEntry(
  store: Store,
  command: Omit<EntryChange, 'leaseId' | 'at'>,
  action: LeaseAction,
): Promise<LeaseOutcome> {
  return change<LeaseOutcome>(store, async (txn) => {
    const container = await readContainer(txn, command);
    if (container === undefined) return containerNotFound;
    const place = await findPlace(txn, Buffer.from(container.id, 'hex'), command.name);
    const existing = place && (await readAt(txn, place, undefined));
    if (place === undefined || existing === undefined) return leaseUpload(store, txn, command, container, action);
    const permitted = checkPermit(command.permit, existing.record);
    if (permitted.kind !== 'ok') return permitted;
    const verdict = checkChange(command.conditions, existing.record);
    if (verdict.kind !== 'ok') return verdict;
    const outcome = applyLeaseAction(existing.record.lease, action, store.clock.now());
    if (outcome.kind !== 'ok') return outcome;
    const { lease: _, ...rest } = existing.record;
    // A lease action changes neither ETag nor Last-Modified.
    const record: EntryRecord = outcome.lease ? { ...rest, lease: outcome.lease } : rest;
    const entry: Entry = { record, inline: existing.inline };
    const settings = await readSettings(txn, command.account);
    const spot: Spot = { name: command, container, settings, place, cause: command.cause };
    putCurrent(store, txn, spot, existing.record, entry, 'entry-leased');
    return { kind: 'ok', entry, ...leaseFacts(outcome) };
  });
}

/** Blocks that wait for their list can be leased; the blob that they become keeps the lease. */
async function leaseUpload(
  store: Store,
  txn: Txn,
  command: Omit<EntryChange, 'leaseId' | 'at'>,
  container: ContainerRecord,
  action: LeaseAction,
): Promise<LeaseOutcome> {
  const containerId = Buffer.from(container.id, 'hex');
  const upload = await readUpload(txn, containerId, command.name);
  if (upload === undefined) return entryNotFound;
  const permitted = checkPermit(command.permit, undefined);
  if (permitted.kind !== 'ok') return permitted;
  const verdict = checkCreate(command.conditions, true);
  if (verdict.kind !== 'ok') return verdict;
  const outcome = applyLeaseAction(upload.lease, action, store.clock.now());
  if (outcome.kind !== 'ok') return outcome;
  const { lease: _, ...rest } = upload;
  const leased: UploadRecord = outcome.lease ? { ...rest, lease: outcome.lease } : rest;
  txn.put(keys.upload(containerId, command.name), encodeRecord(leased));
  return { kind: 'ok', entry: undefined, ...leaseFacts(outcome) };
}

function leaseFacts({ lease, remainingS }: { readonly lease?: Lease | undefined; readonly remainingS?: number }) {
  return { ...(lease && { leaseId: lease.id }), ...(remainingS !== undefined && { remainingS }) };
}
