// Entries: put, read, change, lease. Each change is one transaction: conditions, lease, immutability, quota, state, journal.
import { assert } from '../base/unreachable.ts';
import { formatTicks, parseTicks } from '../codec/ticks.ts';
import type { Content } from '../content/writer.ts';
import type { Txn, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { countUsage, readContainer } from './containers.ts';
import { type ContentFields, dropContent, nameContent, shareContent } from './contents.ts';
import {
  type EntryName,
  freshTime,
  note,
  pastKey,
  putCurrent,
  putPast,
  putRehydration,
  type Spot,
} from './entry-rows.ts';
import type { Failure } from './failure.ts';
import type { Held } from './fork.ts';
import { type Body, discard, ingest } from './ingest.ts';
import type { Cause, JournalOperation } from './journal.ts';
import { checkLeaseForRead, checkLeaseForWrite, isHeld } from './leases.ts';
import { findPlace, makePlace, type Place } from './paths.ts';
import { type Conditions, checkChange, checkCreate, checkRead, checkWrite } from './preconditions.ts';
import {
  type AccountSettings,
  type ContainerRecord,
  type ContentHeaders,
  type CopyState,
  decodeEntry,
  type Entry,
  type EntryEncryption,
  type EntryImmutability,
  type EntryRecord,
  type EntryType,
  encodeRecord,
  type IncrementalCopy,
  type Lease,
  type Rehydration,
  type UploadRecord,
} from './records.ts';
import { keepsReplaced, keepsVersion, purgeTime, readSettings } from './settings.ts';
import { discardUpload, readUpload } from './staged.ts';
import { type Act, type ActedOn, checkAct, checkPermit, type Permit } from './states.ts';
import { change, newEtag, type Store } from './store.ts';
import { readSweep, swept } from './sweeps.ts';

export type { EntryName } from './entry-rows.ts';

/** A state of the past: a snapshot by its time, or a version by its id, which may be the current one. */
export interface EntryTime {
  readonly kind: 'snapshot' | 'version';
  readonly time: string;
}

export interface EntryAccess extends EntryName {
  readonly conditions: Conditions;
  readonly leaseId?: string;
  /** Absent: the current state. */
  readonly at?: EntryTime;
  /** Absent: whatever the blob is, it was allowed. */
  readonly permit?: Permit | undefined;
}

export interface EntryChange extends EntryAccess {
  readonly cause: Cause;
  /** For what takes long; absent: somebody waits for ever. */
  readonly held?: Held;
}

/** What a write sets, but for the bytes. */
export interface EntryAttributes {
  readonly type?: EntryType;
  readonly headers: ContentHeaders;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tier?: string;
  readonly rehydration?: Rehydration;
  readonly tags?: Readonly<Record<string, string>>;
  readonly copy?: CopyState;
  readonly sequence?: number;
  readonly incremental?: IncrementalCopy;
  readonly appendedBlocks?: number;
  readonly isSealed?: true;
  readonly immutability?: EntryImmutability;
  readonly legalHold?: true;
  readonly encryption?: EntryEncryption;
}

export interface EntryWrite extends EntryChange {
  readonly attributes: EntryAttributes;
  /** The caller may make what is not there, and not replace what is. */
  readonly onlyIfNew?: boolean;
}

export type EntryOutcome = { readonly kind: 'ok'; readonly entry: Entry } | Failure;

export const entryNotFound = { kind: 'entry-not-found' } as const;
export const containerNotFound = { kind: 'container-not-found' } as const;

export async function readEntry(
  view: View,
  container: ContainerRecord,
  name: string,
  at?: EntryTime,
): Promise<Entry | undefined> {
  const place = await findPlace(view, Buffer.from(container.id, 'hex'), name);
  return place && (await readAt(view, place, at));
}

/** A state of the past that is deleted is not there. */
export async function readAt(view: View, place: Place, at: EntryTime | undefined): Promise<Entry | undefined> {
  if (at?.kind !== 'snapshot') {
    const found = await view.get(keys.entry(place.parent, place.leaf));
    const entry = found && decodeEntry(found);
    if (at === undefined || entry?.record.version === at.time) return entry;
  }
  const found = await view.get(pastKey(place, at.time));
  const entry = found && swept(decodeEntry(found), await readSweep(view, place));
  const past = entry?.record.past;
  return past?.kind === at.kind && past.deletedMs === undefined ? entry : undefined;
}

/** The entry as a read sees it: lease and conditions checked. */
export function getEntry(store: Store, access: EntryAccess): Promise<EntryOutcome> {
  return store.engine.snapshot(async (view) => {
    const container = await readContainer(view, access);
    if (container === undefined) return containerNotFound;
    const entry = await readEntry(view, container, access.name, access.at);
    if (entry === undefined) return entryNotFound;
    const permitted = checkPermit(access.permit, entry.record);
    if (permitted.kind !== 'ok') return permitted;
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
  // What is appended to consists of pieces.
  const ingested = await ingest(store, command.body, command.attributes.type === 'append');
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
  const target = await openForWrite(store, txn, command, command.attributes.type ?? 'block');
  if (target.kind !== 'ok') return target;
  await discardUpload(store, txn, target, command.name);
  const named = nameContent(store, txn, content);
  return replaceContent(store, txn, command, target, named);
}

export interface WriteTarget {
  readonly kind: 'ok';
  readonly container: ContainerRecord;
  readonly settings: AccountSettings;
  readonly existing: Entry | undefined;
  /** What is staged under the name. */
  readonly upload: UploadRecord | undefined;
}

/**
 * The container and what stands under the name, if a write with these conditions and this lease may go on. `type` is of
 * what is to stand there, as far as it is known.
 */
export async function openForWrite(
  store: Store,
  view: View,
  command: EntryAccess & { readonly onlyIfNew?: boolean },
  type: EntryType | undefined,
  act: Extract<Act, 'overwrite' | 'commit' | 'follow'> = 'overwrite',
): Promise<WriteTarget | Failure> {
  const container = await readContainer(view, command);
  if (container === undefined) return containerNotFound;
  const settings = await readSettings(view, command.account);
  const existing = await readEntry(view, container, command.name);
  const upload = await readUpload(view, Buffer.from(container.id, 'hex'), command.name);
  const permitted = checkPermit(command.permit, existing?.record);
  if (permitted.kind !== 'ok') return permitted;
  const verdict = checkForWrite(store, command, existing?.record, upload);
  if (verdict.kind !== 'ok') return verdict;
  // Blocks that wait for their list make the name a block blob's already.
  if (upload !== undefined && type !== undefined && type !== 'block') return { kind: 'blob-type' };
  const target: WriteTarget = { kind: 'ok', container, settings, existing, upload };
  if (existing === undefined) return target;
  if (command.onlyIfNew === true) return { kind: 'overwrite-forbidden' };
  const mayAct = checkAct(act, actedOn(store, container, settings, existing.record), type);
  return mayAct.kind === 'ok' ? target : mayAct;
}

function actedOn(store: Store, container: ContainerRecord, settings: AccountSettings, record: EntryRecord): ActedOn {
  return { container, record, keepsVersions: keepsVersion(settings, record), nowMs: store.clock.now() };
}

export interface ChangeTarget extends Omit<WriteTarget, 'upload'> {
  readonly existing: Entry;
  readonly spot: Spot;
}

/** The same for a change of what must be there: whatever the conditions are, what is missing is not found. */
export async function openForChange(
  store: Store,
  view: View,
  command: EntryChange,
  act: Act,
  ignoresLease = false,
): Promise<ChangeTarget | Failure> {
  const container = await readContainer(view, command);
  if (container === undefined) return containerNotFound;
  const settings = await readSettings(view, command.account);
  const place = await findPlace(view, Buffer.from(container.id, 'hex'), command.name);
  const existing = place && (await readAt(view, place, command.at));
  if (place === undefined || existing === undefined) return entryNotFound;
  const permitted = checkPermit(command.permit, existing.record);
  if (permitted.kind !== 'ok') return permitted;
  // Leases are of the current state only.
  if (!ignoresLease && existing.record.past === undefined) {
    const lease = checkLeaseForWrite(existing.record.lease, command.leaseId, store.clock.now(), 'entry');
    if (lease.kind !== 'ok') return lease;
  }
  const verdict = checkChange(command.conditions, existing.record);
  if (verdict.kind !== 'ok') return verdict;
  const mayAct = checkAct(act, actedOn(store, container, settings, existing.record));
  if (mayAct.kind !== 'ok') return mayAct;
  const spot: Spot = { name: command, container, settings, place, cause: command.cause };
  return { kind: 'ok', container, settings, existing, spot };
}

/** A lease of what is staged only is the name's; with its id, `If-None-Match: *` says nothing (recorded of the service). */
function checkForWrite(
  store: Store,
  { leaseId, conditions }: EntryAccess,
  existing: EntryRecord | undefined,
  upload: UploadRecord | undefined,
): { readonly kind: 'ok' } | Failure {
  if (existing !== undefined || upload !== undefined || leaseId !== undefined) {
    const held = leaseOfName(existing, upload);
    const lease = checkLeaseForWrite(held, leaseId, store.clock.now(), 'entry');
    if (lease.kind !== 'ok') return lease;
  }
  if (existing !== undefined) return checkWrite(conditions, existing, leaseId !== undefined);
  return checkCreate(conditions, upload !== undefined);
}

/** The lease of a name, which blocks that wait for their list can have too. */
export function leaseOfName(existing: EntryRecord | undefined, upload: UploadRecord | undefined): Lease | undefined {
  return existing === undefined ? upload?.lease : existing.lease;
}

export interface NamedContent {
  readonly fields: ContentFields;
  readonly inline: Uint8Array | undefined;
}

/**
 * Puts named content under the name; what stood there is kept as the account says, or dropped. A lease that is held stays.
 * `passedOn`: the old content's pieces are the new one's already.
 */
export async function replaceContent(
  store: Store,
  txn: Txn,
  command: EntryWrite,
  target: WriteTarget,
  named: NamedContent,
  passedOn = false,
): Promise<EntryOutcome> {
  const { container, settings, existing } = target;
  const { attributes } = command;
  if (needsVersions(attributes, container)) return { kind: 'versioning-needed' };
  // Chosen before the body was read: by now the container may want another.
  if (!fitsForcedScope(container, attributes.encryption)) return { kind: 'contended' };
  const nowMs = store.clock.now();
  const old = existing?.record;
  const held = leaseOfName(old, target.upload);
  const place = await makePlace(store, txn, Buffer.from(container.id, 'hex'), command.name);
  const spot: Spot = { name: command, container, settings, place, cause: command.cause };
  const time = keepsReplaced(settings, old) ? await freshTime(store, txn, place, old?.version) : undefined;
  const { headers, metadata, type = 'block', ...given } = attributes;
  const record: EntryRecord = {
    id: old?.id ?? store.ids.nextHex(),
    type,
    etag: newEtag(store, old?.etag),
    createdMs: old?.createdMs ?? nowMs,
    modifiedMs: nowMs,
    ...named.fields,
    headers,
    metadata,
    ...(isHeld(held, nowMs) && { lease: held as Lease }),
    ...(type !== 'block' && { generation: store.ids.nextHex() }),
    ...given,
    ...(attributes.tier !== undefined && { tierChangedMs: nowMs }),
    ...(settings.versioning === true && { version: time as string }),
  };
  if (existing === undefined || old === undefined) countUsage(txn, container, record.length);
  else if (time !== undefined) {
    keepReplaced(store, txn, spot, existing, time);
    countUsage(txn, container, record.length);
  } else {
    if (!passedOn) dropContent(store, txn, old);
    countUsage(txn, container, record.length - old.length);
  }
  const entry: Entry = { record, inline: named.inline };
  putRehydration(store, txn, spot, record);
  putCurrent(store, txn, spot, old, entry, 'entry-written');
  return { kind: 'ok', entry };
}

/** Whether what is sealed like this may become a blob of a container that forces its scope on all of them. */
export function fitsForcedScope(container: ContainerRecord, encryption: EntryEncryption | undefined): boolean {
  const { denyScopeOverride, encryptionScope } = container;
  if (denyScopeOverride !== true || encryptionScope === undefined) return true;
  return (encryption?.scope ?? '') === encryptionScope && encryption?.keySha256 === undefined;
}

function needsVersions({ immutability, legalHold }: EntryAttributes, container: ContainerRecord): boolean {
  return (immutability !== undefined || legalHold === true) && container.versionImmutability !== true;
}

/** The state that a newer one takes the place of goes on as a version, or as a snapshot that is deleted already. */
export function keepReplaced(store: Store, txn: Txn, spot: Spot, old: Entry, time: string): void {
  const nowMs = store.clock.now();
  if (keepsVersion(spot.settings, old.record)) {
    // What was written before versioning was on gets an id now, as late as its newer version allows.
    const id = old.record.version ?? justBefore(time);
    putPast(store, txn, spot, old, { kind: 'version', time: id, replacedMs: nowMs });
    return;
  }
  const purgeMs = purgeTime(spot.settings, nowMs);
  assert(purgeMs !== undefined, 'a state is kept by versioning or by soft delete');
  putPast(store, txn, spot, old, { kind: 'snapshot', time, replacedMs: nowMs, deletedMs: nowMs, purgeMs });
}

function justBefore(time: string): string {
  return formatTicks((parseTicks(time) as bigint) - 1n);
}

export interface ChangeOptions {
  /** Gives the entry a new ETag and time of modification; on by default. */
  readonly touches?: boolean;
  /** What the change does to the blob, in the terms of `states.ts`. */
  readonly act: Act;
  /** With versioning, leaves the state before as a version. */
  readonly makesVersion?: boolean;
  readonly operation?: JournalOperation;
  /** The service's own work: whoever has a lease. */
  readonly ignoresLease?: boolean;
}

/** What an edit makes of a record, or why it may not. */
export type Edit = (record: EntryRecord, container: ContainerRecord) => EntryRecord | Failure;

/** Changes a record as `edit` says, of the current state or of one of the past. */
export function changeEntry(
  store: Store,
  command: EntryChange,
  edit: Edit,
  options: ChangeOptions,
): Promise<EntryOutcome> {
  return change(store, (txn) => changeWithin(store, txn, command, edit, options));
}

export async function changeWithin(
  store: Store,
  txn: Txn,
  command: EntryChange,
  edit: Edit,
  options: ChangeOptions,
): Promise<EntryOutcome> {
  const target = await openForChange(store, txn, command, options.act, options.ignoresLease);
  if (target.kind !== 'ok') return target;
  const { existing, spot, settings, container } = target;
  const edited = edit(existing.record, container);
  if ('kind' in edited) return edited;
  const operation = options.operation ?? 'entry-changed';
  const { inline } = existing;
  const { past } = existing.record;
  if (past !== undefined) {
    txn.put(pastKey(spot.place, past.time), encodeRecord(edited, inline));
    if (edited.rehydration !== existing.record.rehydration) putRehydration(store, txn, spot, edited);
    note(store, txn, spot, operation, edited, existing.record);
    return { kind: 'ok', entry: { record: edited, inline } };
  }
  let record = options.touches === false ? edited : touched(store, edited);
  if (options.makesVersion === true && keepsVersion(settings, existing.record)) {
    const time = await freshTime(store, txn, spot.place, existing.record.version);
    // Both have the content now.
    shareContent(txn, existing);
    keepReplaced(store, txn, spot, existing, time);
    countUsage(txn, container, record.length);
    const { version: _, ...rest } = record;
    record = settings.versioning === true ? { ...rest, version: time } : rest;
  }
  const entry: Entry = { record, inline };
  if (record.rehydration !== existing.record.rehydration) putRehydration(store, txn, spot, record);
  putCurrent(store, txn, spot, existing.record, entry, operation);
  return { kind: 'ok', entry };
}

/** As modified now. A lease that had run out cannot be renewed from then on ("Lease Blob", Remarks). */
export function touched(store: Store, { lease, ...rest }: EntryRecord): EntryRecord {
  const nowMs = store.clock.now();
  return {
    ...rest,
    etag: newEtag(store, rest.etag),
    modifiedMs: nowMs,
    ...(isHeld(lease, nowMs) && { lease: lease as Lease }),
  };
}
