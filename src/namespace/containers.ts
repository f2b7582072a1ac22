// Containers: create, delete, list, properties, metadata, access policies, lease.
import { dayMs } from '../base/clock.ts';
import { CounterLimitError, type Txn, type View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { putDue } from './due.ts';
import type { Failure } from './failure.ts';
import { holdsEntry } from './holds.ts';
import { isProtected } from './immutable.ts';
import { appendJournal, type Cause } from './journal.ts';
import { applyLeaseAction, checkLeaseForRead, checkLeaseForWrite, type LeaseAction } from './leases.ts';
import { type Conditions, checkChange, checkRead } from './preconditions.ts';
import {
  type ContainerRecord,
  type DueRecord,
  decodeRecord,
  encodeRecord,
  type PublicAccess,
  type StoredPolicy,
} from './records.ts';
import { readSettings } from './settings.ts';
import { change, newEtag, type Store } from './store.ts';

export interface ContainerName {
  readonly account: string;
  readonly container: string;
}

export interface ContainerAccess extends ContainerName {
  readonly conditions: Conditions;
  readonly leaseId?: string;
  readonly cause: Cause;
}

export type ContainerOutcome = { readonly kind: 'ok'; readonly record: ContainerRecord } | Failure;

const notFound = { kind: 'container-not-found' } as const;

export async function readContainer(view: View, name: ContainerName): Promise<ContainerRecord | undefined> {
  const found = await view.get(keys.container(name.account, name.container));
  return found && decodeContainer(found);
}

// Every operation reads its container's record, and it seldom changes: the last ones decoded are known by their bytes.
const decodedPlaces = 64;
const decoded: { readonly bytes: Uint8Array; readonly record: ContainerRecord }[] = [];

function decodeContainer(bytes: Uint8Array): ContainerRecord {
  const place = ((bytes[bytes.length >> 1] as number) + bytes.length) % decodedPlaces;
  const known = decoded[place];
  if (known !== undefined && (known.bytes === bytes || Buffer.compare(known.bytes, bytes) === 0)) return known.record;
  const record = decodeRecord<ContainerRecord>(bytes);
  decoded[place] = { bytes, record };
  return record;
}

export function createContainer(
  store: Store,
  command: ContainerName & {
    readonly metadata: Readonly<Record<string, string>>;
    readonly publicAccess: PublicAccess;
    readonly quotaBytes?: number;
    readonly encryptionScope?: string;
    readonly denyScopeOverride?: boolean;
    readonly versionImmutability?: boolean;
    readonly cause: Cause;
  },
): Promise<ContainerOutcome> {
  return change(store, async (txn) => {
    if ((await readContainer(txn, command)) !== undefined) return { kind: 'container-exists' };
    const nowMs = store.clock.now();
    const record: ContainerRecord = {
      id: store.ids.nextHex(),
      etag: newEtag(store, undefined),
      createdMs: nowMs,
      modifiedMs: nowMs,
      metadata: command.metadata,
      publicAccess: command.publicAccess,
      policies: [],
      ...(command.quotaBytes !== undefined && { quotaBytes: command.quotaBytes }),
      ...(command.encryptionScope !== undefined && { encryptionScope: command.encryptionScope }),
      ...(command.denyScopeOverride === true && { denyScopeOverride: true }),
      ...(command.versionImmutability === true && { versionImmutability: true }),
    };
    write(store, txn, command, record, 'container-created', command.cause);
    return { kind: 'ok', record };
  });
}

/** The container's name is free at once; its entries go in the background. */
export function deleteContainer(store: Store, command: ContainerAccess): Promise<ContainerOutcome> {
  return change(store, async (txn) => {
    const record = await readContainer(txn, command);
    if (record === undefined) return notFound;
    const verdict = guardWrite(store, record, command);
    if (verdict.kind !== 'ok') return verdict;
    if (isProtected(record) && (await holdsEntry(txn, Buffer.from(record.id, 'hex'), true)))
      return { kind: 'container-protected' };
    txn.delete(keys.container(command.account, command.container));
    const { containerSoftDeleteDays: days = 0 } = await readSettings(txn, command.account);
    if (days > 0) keepDeleted(store, txn, command, record, days);
    else txn.put(keys.emptying(Buffer.from(record.id, 'hex')), encodeRecord(nameOf(command)));
    appendJournal(store, txn, { operation: 'container-deleted', ...nameOf(command), id: record.id, ...command.cause });
    return { kind: 'ok', record };
  });
}

function keepDeleted(store: Store, txn: Txn, name: ContainerName, record: ContainerRecord, days: number): void {
  const deletedMs = store.clock.now();
  const purgeMs = deletedMs + days * dayMs;
  const version = store.random.bytes(8).toString('hex').toUpperCase();
  const { lease: _, ...rest } = record;
  const kept: ContainerRecord = { ...rest, deletion: { version, deletedMs, purgeMs } };
  txn.put(keys.deletedContainer(name.account, name.container, version), encodeRecord(kept));
  putDue(store, txn, purgeMs, { kind: 'purge-container', ...nameOf(name), version });
}

/** Restore Container: under its own name or another, which must be free; everything in it is as it was. */
export function undeleteContainer(
  store: Store,
  command: ContainerName & { readonly deleted: string; readonly version: string; readonly cause: Cause },
): Promise<ContainerOutcome> {
  return change(store, async (txn) => {
    const key = keys.deletedContainer(command.account, command.deleted, command.version);
    const found = await txn.get(key);
    if (found === undefined) return notFound;
    if ((await readContainer(txn, command)) !== undefined) return { kind: 'container-exists' };
    // Index tags name the container that they were set in.
    if (command.container !== command.deleted) return { kind: 'container-renamed' };
    const { deletion: _, ...record } = decodeRecord<ContainerRecord>(found);
    txn.delete(key);
    write(store, txn, command, record, 'container-created', command.cause);
    return { kind: 'ok', record };
  });
}

/** The work of a `purge-container` row: its name is gone already, and its entries go in the background. */
export async function purgeContainer(
  txn: Txn,
  due: Extract<DueRecord, { kind: 'purge-container' }>,
): Promise<undefined> {
  const key = keys.deletedContainer(due.account, due.container, due.version);
  const found = await txn.get(key);
  if (found === undefined) return;
  txn.delete(key);
  const { id } = decodeRecord<ContainerRecord>(found);
  txn.put(keys.emptying(Buffer.from(id, 'hex')), encodeRecord(nameOf(due)));
}

export async function getContainer(store: Store, command: Omit<ContainerAccess, 'cause'>): Promise<ContainerOutcome> {
  const found = await store.engine.snapshot((view) => readContainer(view, command));
  if (found === undefined) return notFound;
  const lease = checkLeaseForRead(found.lease, command.leaseId, store.clock.now(), 'container');
  if (lease.kind !== 'ok') return lease;
  const verdict = checkRead(command.conditions, found);
  return verdict.kind === 'ok' ? { kind: 'ok', record: found } : verdict;
}

export interface ContainerChanges {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly publicAccess?: PublicAccess;
  readonly policies?: readonly StoredPolicy[];
  /** 0 lifts the quota. */
  readonly quotaBytes?: number;
}

/** Sets what is given and leaves the rest. A lease that is held does not forbid it, but an id that is given must fit. */
export function changeContainer(
  store: Store,
  command: ContainerAccess,
  changes: ContainerChanges,
): Promise<ContainerOutcome> {
  return change(store, async (txn) => {
    const found = await readContainer(txn, command);
    if (found === undefined) return notFound;
    const lease = checkLeaseForRead(found.lease, command.leaseId, store.clock.now(), 'container');
    if (lease.kind !== 'ok') return lease;
    const verdict = checkChange(command.conditions, found);
    if (verdict.kind !== 'ok') return verdict;
    const record = { ...found, ...changes, etag: newEtag(store, found.etag), modifiedMs: store.clock.now() };
    write(store, txn, command, record, 'container-changed', command.cause);
    return { kind: 'ok', record };
  });
}

export type ContainerLeaseOutcome =
  | { readonly kind: 'ok'; readonly record: ContainerRecord; readonly leaseId?: string; readonly remainingS?: number }
  | Failure;

/** With `touches` the container gets another ETag and time. */
export function leaseContainer(
  store: Store,
  command: Omit<ContainerAccess, 'leaseId'> & { readonly touches?: boolean },
  action: LeaseAction,
): Promise<ContainerLeaseOutcome> {
  return change(store, async (txn) => {
    const found = await readContainer(txn, command);
    if (found === undefined) return notFound;
    const verdict = checkChange(command.conditions, found);
    if (verdict.kind !== 'ok') return verdict;
    const outcome = applyLeaseAction(found.lease, action, store.clock.now());
    if (outcome.kind !== 'ok') return outcome;
    const { lease: _, ...same } = found;
    const touched = { etag: newEtag(store, found.etag), modifiedMs: store.clock.now() };
    const rest = command.touches === true ? { ...same, ...touched } : same;
    const record: ContainerRecord = outcome.lease ? { ...rest, lease: outcome.lease } : rest;
    write(store, txn, command, record, 'container-changed', command.cause);
    return {
      kind: 'ok',
      record,
      ...(outcome.lease && { leaseId: outcome.lease.id }),
      ...(outcome.remainingS !== undefined && { remainingS: outcome.remainingS }),
    };
  });
}

export interface ContainerPage {
  readonly containers: readonly { readonly name: string; readonly record: ContainerRecord }[];
  /** Where the next page begins; undefined at the end. */
  readonly next: string | undefined;
}

export function listContainers(
  store: Store,
  account: string,
  page: { readonly prefix: string; readonly from: string; readonly limit: number; readonly deleted?: boolean },
): Promise<ContainerPage> {
  return store.engine.snapshot(async (view) => {
    const limit = page.limit + 1;
    const { prefix } = page;
    // A page may go on at a deleted container: its name, and which deletion it was.
    const [name = '', version] = page.from.split('/');
    const isBehind = name > prefix;
    const live = keys.containers(account, prefix);
    const first = keys.container(account, name);
    const start = isBehind ? (version === undefined ? first : after(first)) : live.start;
    const items = await view.scan({ start, end: live.end }, { limit });
    const containers = items.map(({ key, value }) => ({
      name: keys.containerNameOf(account, key),
      record: decodeRecord<ContainerRecord>(value),
    }));
    if (page.deleted === true) {
      const gone = keys.deletedContainers(account, prefix);
      const from = version === undefined ? keys.deletedContainers(account, name).start : undefined;
      const goneStart = isBehind ? (from ?? keys.deletedContainer(account, name, version as string)) : gone.start;
      for (const { key, value } of await view.scan({ start: goneStart, end: gone.end }, { limit })) {
        const record = decodeRecord<ContainerRecord>(value);
        containers.push({ name: keys.deletedContainerOf(account, key).container, record });
      }
      // A stable sort: what is deleted stands behind what is there.
      containers.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    }
    const [over] = containers.splice(page.limit);
    const deletion = over?.record.deletion;
    const next = over && (deletion === undefined ? over.name : `${over.name}/${deletion.version}`);
    return { containers, next };
  });
}

/** Counts content in or out of a container; a quota refuses what would pass it. */
export function countUsage(txn: Txn, container: ContainerRecord, bytes: number): void {
  if (bytes === 0) return;
  const key = keys.usage(Buffer.from(container.id, 'hex'));
  const quota = container.quotaBytes ?? 0;
  if (bytes > 0 && quota > 0) {
    if (bytes > quota) throw new CounterLimitError(key);
    txn.add(key, BigInt(bytes), BigInt(quota));
  } else txn.add(key, BigInt(bytes));
}

function guardWrite(store: Store, record: ContainerRecord, command: ContainerAccess): { kind: 'ok' } | Failure {
  const lease = checkLeaseForWrite(record.lease, command.leaseId, store.clock.now(), 'container');
  return lease.kind === 'ok' ? checkChange(command.conditions, record) : lease;
}

function nameOf(name: ContainerName): ContainerName {
  return { account: name.account, container: name.container };
}

function write(
  store: Store,
  txn: Txn,
  name: ContainerName,
  record: ContainerRecord,
  operation: 'container-created' | 'container-changed',
  cause: Cause,
): void {
  txn.put(keys.container(name.account, name.container), encodeRecord(record));
  appendJournal(store, txn, { operation, ...nameOf(name), id: record.id, etag: record.etag, ...cause });
}
