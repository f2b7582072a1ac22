// Entries: put, read, delete, change, lease. Each change is one transaction: conditions, lease, quota, state, journal.
import type { LogPiece } from '../content/extent.ts';
import type { Content } from '../content/writer.ts';
import type { Awaitable, Txn, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { type ContainerName, countUsage, readContainer } from './containers.ts';
import { type ContentFields, dropContent, nameContent, type PieceRun, piecesFrom } from './contents.ts';
import type { Failure } from './failure.ts';
import { type Body, discard, ingest } from './ingest.ts';
import { appendJournal, type Cause } from './journal.ts';
import { applyLeaseAction, checkLeaseForRead, checkLeaseForWrite, isHeld, type LeaseAction } from './leases.ts';
import { findPlace, makePlace, type Place } from './paths.ts';
import { type Conditions, checkRead, checkWrite } from './preconditions.ts';
import {
  type ContainerRecord,
  type ContentHeaders,
  type CopyState,
  decodeEntry,
  type Entry,
  type EntryRecord,
  encodeRecord,
  type Lease,
  numbersAPiece,
  unpackPieces,
} from './records.ts';
import { discardUpload } from './staged.ts';
import { change, newEtag, type Store } from './store.ts';

export interface EntryName extends ContainerName {
  readonly name: string;
}

export interface EntryAccess extends EntryName {
  readonly conditions: Conditions;
  readonly leaseId?: string;
}

export interface EntryChange extends EntryAccess {
  readonly cause: Cause;
}

/** What a write sets, but for the bytes. */
export interface EntryAttributes {
  readonly headers: ContentHeaders;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tier?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly copy?: CopyState;
}

export interface EntryWrite extends EntryChange {
  readonly attributes: EntryAttributes;
  /** The caller may make what is not there, and not replace what is. */
  readonly onlyIfNew?: boolean;
}

export type EntryOutcome = { readonly kind: 'ok'; readonly entry: Entry } | Failure;

export const entryNotFound = { kind: 'entry-not-found' } as const;
export const containerNotFound = { kind: 'container-not-found' } as const;

export async function readEntry(view: View, container: ContainerRecord, name: string): Promise<Entry | undefined> {
  const place = await findPlace(view, Buffer.from(container.id, 'hex'), name);
  const found = place && (await view.get(keys.entry(place.parent, place.leaf)));
  return found && decodeEntry(found);
}

/** The entry as a read sees it: lease and conditions checked. */
export function getEntry(store: Store, access: EntryAccess): Promise<EntryOutcome> {
  return store.engine.snapshot(async (view) => {
    const container = await readContainer(view, access);
    if (container === undefined) return containerNotFound;
    const entry = await readEntry(view, container, access.name);
    if (entry === undefined) return entryNotFound;
    if (access.leaseId !== undefined) {
      const lease = checkLeaseForRead(entry.record.lease, access.leaseId, store.clock.now(), 'entry');
      if (lease.kind !== 'ok') return lease;
    }
    const verdict = checkRead(access.conditions, entry.record);
    return verdict.kind === 'ok' ? { kind: 'ok', entry } : verdict;
  });
}

export type PutOutcome =
  | { readonly kind: 'ok'; readonly entry: Entry; readonly md5: Buffer | undefined; readonly crc64: bigint }
  | Failure;

/** Put Blob: takes a body in, then gives it the name in one transaction. */
export async function putEntry(store: Store, command: EntryWrite & { readonly body: Body }): Promise<PutOutcome> {
  const ingested = await ingest(store, command.body);
  if (ingested.kind !== 'ok') return ingested;
  const { content } = ingested;
  const { md5 } = content;
  const headers: ContentHeaders =
    md5 !== undefined && command.attributes.headers.contentMd5 === undefined
      ? { ...command.attributes.headers, contentMd5: md5.toString('base64') }
      : command.attributes.headers;
  const outcome = await change(store, (txn) =>
    writeContent(store, txn, { ...command, attributes: { ...command.attributes, headers } }, content),
  );
  if (outcome.kind !== 'ok') await discard(store, content.pieces);
  return outcome.kind === 'ok' ? { ...outcome, md5, crc64: content.crc64 } : outcome;
}

/** Names a new content, after checking whatever a write of this name has to respect. */
export async function writeContent(
  store: Store,
  txn: Txn,
  command: EntryWrite,
  content: Content,
): Promise<EntryOutcome> {
  const target = await openForWrite(store, txn, command);
  if (target.kind !== 'ok') return target;
  await discardUpload(store, txn, Buffer.from(target.container.id, 'hex'), command.name);
  const named = nameContent(store, txn, content);
  return replaceContent(store, txn, command, target, named);
}

export interface WriteTarget {
  readonly kind: 'ok';
  readonly container: ContainerRecord;
  readonly existing: Entry | undefined;
}

/** The container and what stands under the name, if a write with these conditions and this lease may go on. */
export async function openForWrite(
  store: Store,
  txn: View,
  command: EntryAccess & { readonly onlyIfNew?: boolean },
): Promise<WriteTarget | Failure> {
  const container = await readContainer(txn, command);
  if (container === undefined) return containerNotFound;
  const existing = await readEntry(txn, container, command.name);
  const verdict = checkLeaseAndConditions(store, command, existing?.record);
  if (verdict.kind !== 'ok') return verdict;
  if (existing !== undefined && command.onlyIfNew === true) return { kind: 'overwrite-forbidden' };
  return { kind: 'ok', container, existing };
}

interface ChangeTarget extends WriteTarget {
  readonly existing: Entry;
}

/** The same for a change of what must be there: whatever the conditions are, what is missing is not found. */
async function openForChange(store: Store, view: View, command: EntryAccess): Promise<ChangeTarget | Failure> {
  const container = await readContainer(view, command);
  if (container === undefined) return containerNotFound;
  const existing = await readEntry(view, container, command.name);
  if (existing === undefined) return entryNotFound;
  const verdict = checkLeaseAndConditions(store, command, existing.record);
  return verdict.kind === 'ok' ? { kind: 'ok', container, existing } : verdict;
}

function checkLeaseAndConditions(
  store: Store,
  command: EntryAccess,
  existing: EntryRecord | undefined,
): { readonly kind: 'ok' } | Failure {
  if (existing !== undefined || command.leaseId !== undefined) {
    const lease = checkLeaseForWrite(existing?.lease, command.leaseId, store.clock.now(), 'entry');
    if (lease.kind !== 'ok') return lease;
  }
  return checkWrite(command.conditions, existing);
}

/** Whether a change with these conditions and this lease could go on; nothing is changed. */
export function checkEntry(store: Store, access: EntryAccess): Promise<EntryOutcome> {
  return store.engine.snapshot(async (view) => {
    const target = await openForChange(store, view, access);
    return target.kind === 'ok' ? { kind: 'ok', entry: target.existing } : target;
  });
}

/** Puts named content under the name; the old content is dropped, a lease that is held stays. */
export async function replaceContent(
  store: Store,
  txn: Txn,
  command: EntryWrite,
  target: WriteTarget,
  named: { readonly fields: ContentFields; readonly inline: Uint8Array | undefined },
  passedOn = false,
): Promise<EntryOutcome> {
  const { container, existing } = target;
  const { attributes } = command;
  const nowMs = store.clock.now();
  const old = existing?.record;
  const record: EntryRecord = {
    id: old?.id ?? store.ids.nextHex(),
    type: 'block',
    etag: newEtag(store, old?.etag),
    createdMs: old?.createdMs ?? nowMs,
    modifiedMs: nowMs,
    ...named.fields,
    headers: attributes.headers,
    metadata: attributes.metadata,
    ...(isHeld(old?.lease, nowMs) && { lease: old?.lease as Lease }),
    ...(attributes.copy && { copy: attributes.copy }),
    ...(attributes.tier !== undefined && { tier: attributes.tier, tierChangedMs: nowMs }),
    ...(attributes.tags && { tags: attributes.tags }),
  };
  const place = await makePlace(store, txn, Buffer.from(container.id, 'hex'), command.name);
  if (old !== undefined && !passedOn) dropContent(store, txn, old);
  countUsage(txn, container, record.length - (old?.length ?? 0));
  const entry: Entry = { record, inline: named.inline };
  putRecord(store, txn, command, place, entry, 'entry-written');
  return { kind: 'ok', entry };
}

export function deleteEntry(store: Store, command: EntryChange): Promise<EntryOutcome> {
  return change(store, async (txn) => {
    const target = await openForChange(store, txn, command);
    if (target.kind !== 'ok') return target;
    const { container, existing } = target;
    const place = (await findPlace(txn, Buffer.from(container.id, 'hex'), command.name)) as Place;
    txn.delete(keys.entry(place.parent, place.leaf));
    notePrune(txn, container, place, command.name);
    dropContent(store, txn, existing.record);
    countUsage(txn, container, -existing.record.length);
    const { id, etag, length } = existing.record;
    appendJournal(store, txn, { operation: 'entry-deleted', ...nameOf(command), id, etag, length, ...command.cause });
    return { kind: 'ok', entry: existing };
  });
}

/** The directory may have lost its last child: the background looks, so that deletes do not conflict over it. */
function notePrune(txn: Txn, container: ContainerRecord, place: Place, name: string): void {
  const slash = name.lastIndexOf('/');
  if (slash === -1) return;
  txn.put(keys.prune(place.parent), encodeRecord({ container: container.id, name: name.slice(0, slash) }));
}

/** Changes what `edit` gives back, under one new ETag; an edit may refuse. */
export function changeEntry(
  store: Store,
  command: EntryChange,
  edit: (record: EntryRecord) => Partial<EntryRecord>,
  touch = true,
): Promise<EntryOutcome> {
  return change(store, async (txn) => {
    const target = await openForChange(store, txn, command);
    if (target.kind !== 'ok') return target;
    const { container, existing } = target;
    const edited = { ...existing.record, ...edit(existing.record) };
    const record = touch ? touched(store, edited) : edited;
    const place = (await findPlace(txn, Buffer.from(container.id, 'hex'), command.name)) as Place;
    const entry: Entry = { record, inline: existing.inline };
    putRecord(store, txn, command, place, entry, 'entry-changed');
    return { kind: 'ok', entry };
  });
}

/** As modified now. A lease that had run out cannot be renewed from then on ("Lease Blob", Remarks). */
function touched(store: Store, { lease, ...rest }: EntryRecord): EntryRecord {
  const nowMs = store.clock.now();
  return {
    ...rest,
    etag: newEtag(store, rest.etag),
    modifiedMs: nowMs,
    ...(isHeld(lease, nowMs) && { lease: lease as Lease }),
  };
}

export type LeaseOutcome =
  | { readonly kind: 'ok'; readonly entry: Entry; readonly leaseId?: string; readonly remainingS?: number }
  | Failure;

export function leaseEntry(
  store: Store,
  command: Omit<EntryChange, 'leaseId'>,
  action: LeaseAction,
): Promise<LeaseOutcome> {
  return change(store, async (txn) => {
    const container = await readContainer(txn, command);
    if (container === undefined) return containerNotFound;
    const existing = await readEntry(txn, container, command.name);
    if (existing === undefined) return entryNotFound;
    const verdict = checkWrite(command.conditions, existing.record);
    if (verdict.kind !== 'ok') return verdict;
    const outcome = applyLeaseAction(existing.record.lease, action, store.clock.now());
    if (outcome.kind !== 'ok') return outcome;
    const { lease: _, ...rest } = existing.record;
    // A lease action changes neither ETag nor Last-Modified.
    const record: EntryRecord = outcome.lease ? { ...rest, lease: outcome.lease } : rest;
    const place = (await findPlace(txn, Buffer.from(container.id, 'hex'), command.name)) as Place;
    const entry: Entry = { record, inline: existing.inline };
    putRecord(store, txn, command, place, entry, 'entry-changed');
    return {
      kind: 'ok',
      entry,
      ...(outcome.lease && { leaseId: outcome.lease.id }),
      ...(outcome.remainingS !== undefined && { remainingS: outcome.remainingS }),
    };
  });
}

function putRecord(
  store: Store,
  txn: Txn,
  command: EntryName & { readonly cause: Cause },
  place: Place,
  entry: Entry,
  operation: 'entry-written' | 'entry-changed',
): void {
  const { id, etag, length } = entry.record;
  txn.put(keys.entry(place.parent, place.leaf), encodeRecord(entry.record, entry.inline));
  appendJournal(store, txn, { operation, ...nameOf(command), id, etag, length, ...command.cause });
}

function nameOf(name: EntryName): EntryName {
  return { account: name.account, container: name.container, name: name.name };
}
