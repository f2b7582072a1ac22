// Files that the server itself keeps in containers of its own: no versions, no soft delete, no events of the change feed.
import { createHash } from 'node:crypto';
import type { LogPiece } from '../content/extent.ts';
import type { Txn, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { readAccount } from './accounts.ts';
import { type ContainerName, countUsage, readContainer } from './containers.ts';
import { dropContent, isOnlyOwner } from './contents.ts';
import { readEntry } from './entries.ts';
import { putCurrent, type Spot } from './entry-rows.ts';
import { appendJournal, type Cause } from './journal.ts';
import { makePlace } from './paths.ts';
import { type ContainerRecord, type Entry, type EntryRecord, encodeRecord, packPieces } from './records.ts';
import { newEtag, type Store } from './store.ts';

/** A container in a transaction that writes files into it. */
export interface ServiceContainer {
  readonly name: ContainerName;
  readonly record: ContainerRecord;
  /** As which the journal notes the writes. */
  readonly cause: Cause;
}

/** The container of an account, made if it is missing; undefined where there is no such account. */
export async function openServiceContainer(
  store: Store,
  txn: Txn,
  name: ContainerName,
  cause: Cause,
): Promise<(ServiceContainer & { readonly isNew: boolean }) | undefined> {
  if ((await readAccount(txn, name.account)) === undefined) return undefined;
  const found = await readContainer(txn, name);
  if (found !== undefined) return { name, record: found, cause, isNew: false };
  const nowMs = store.clock.now();
  const record: ContainerRecord = {
    id: store.ids.nextHex(),
    etag: newEtag(store, undefined),
    createdMs: nowMs,
    modifiedMs: nowMs,
    metadata: {},
    publicAccess: 'none',
    policies: [],
  };
  txn.put(keys.container(name.account, name.container), encodeRecord(record));
  const { account, container } = name;
  const noted = { account, container, id: record.id, etag: record.etag };
  appendJournal(store, txn, { operation: 'container-created', ...noted, ...cause });
  return { name, record, cause, isNew: true };
}

/** A short file, replaced as a whole. */
export async function putServiceFile(
  store: Store,
  txn: Txn,
  container: ServiceContainer,
  name: string,
  contentType: string,
  bytes: Buffer,
): Promise<void> {
  const before = await readEntry(txn, container.record, name);
  const contentMd5 = createHash('md5').update(bytes).digest('base64');
  const record: EntryRecord = {
    ...freshRecord(store, before?.record),
    type: 'block',
    length: bytes.length,
    headers: { contentType, contentMd5 },
  };
  if (before !== undefined) dropContent(store, txn, before.record);
  await put(store, txn, container, name, before?.record, { record, inline: bytes });
}

/** The file that `appendServiceFile` would add to: undefined if there is none, or a copy has the same content. */
export async function readAppendable(
  view: View,
  container: ContainerRecord,
  name: string,
): Promise<EntryRecord | undefined> {
  const record = (await readEntry(view, container, name))?.record;
  return record !== undefined && (await isOnlyOwner(view, record)) ? record : undefined;
}

/**
 * Adds pieces, durable already, at the end of a file that must have this length; with length 0 it is made. False, and
 * nothing written: it is otherwise. What an append costs does not depend on the length.
 */
export async function appendServiceFile(
  store: Store,
  txn: Txn,
  container: ServiceContainer,
  name: string,
  append: {
    readonly contentType: string;
    readonly at: number;
    readonly pieces: readonly LogPiece[];
    readonly length: number;
  },
): Promise<boolean> {
  const found = await readEntry(txn, container.record, name);
  const before = append.at === 0 ? undefined : await readAppendable(txn, container.record, name);
  if ((found?.record.length ?? 0) !== append.at || (append.at > 0 && before === undefined)) return false;
  const contentId = before?.contentId ?? store.ids.nextHex();
  const packed = packPieces(append.pieces);
  txn.put(keys.pieces(Buffer.from(contentId, 'hex'), append.at), encodeRecord({ pieces: packed }));
  const record: EntryRecord = {
    ...freshRecord(store, before),
    type: 'append',
    length: append.at + append.length,
    headers: { contentType: append.contentType },
    contentId,
    appendedBlocks: (before?.appendedBlocks ?? 0) + 1,
  };
  await put(store, txn, container, name, before, { record, inline: undefined });
  return true;
}

function freshRecord(store: Store, before: EntryRecord | undefined) {
  const nowMs = store.clock.now();
  return {
    id: before?.id ?? store.ids.nextHex(),
    etag: newEtag(store, before?.etag),
    createdMs: before?.createdMs ?? nowMs,
    modifiedMs: nowMs,
    metadata: {},
  };
}

async function put(
  store: Store,
  txn: Txn,
  { name, record: container, cause }: ServiceContainer,
  file: string,
  before: EntryRecord | undefined,
  entry: Entry,
): Promise<void> {
  const place = await makePlace(store, txn, Buffer.from(container.id, 'hex'), file);
  // What the server has to write has no limit.
  countUsage(txn, { ...container, quotaBytes: 0 }, entry.record.length - (before?.length ?? 0));
  const spot: Spot = { name: { ...name, name: file }, container, settings: {}, place, cause };
  putCurrent(store, txn, spot, before, entry, 'entry-written');
}
