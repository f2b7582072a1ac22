// Incremental copies: a page blob that follows another's snapshots, with a snapshot of its own for each. They share pages.
import type { Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { countUsage } from './containers.ts';
import { shareContent } from './contents.ts';
import { type CopyOutcome, type CopySource, readSource } from './copy.ts';
import { type EntryChange, openForWrite, replaceContent } from './entries.ts';
import { freshTime, note, putPast, type Spot } from './entry-rows.ts';
import { findPlace, type Place } from './paths.ts';
import { type CopyState, type Entry, type EntryEncryption, encodeRecord } from './records.ts';
import { isSameEncryption } from './scopes.ts';
import { change, type Store } from './store.ts';

export interface Increment extends EntryChange {
  readonly source: CopySource;
  /** How the source was sealed when it was found that its copy may be so too. */
  readonly encryption: EntryEncryption | undefined;
  /** The address of the blob whose snapshot it is. */
  readonly sourceUrl: string;
  readonly copyId: string;
}

/** Incremental Copy Blob: the target becomes the source's snapshot, and has a snapshot of that. */
export function copyIncrement(store: Store, command: Increment): Promise<CopyOutcome> {
  return change<CopyOutcome>(store, async (txn) => {
    const source = await readSource(txn, command.source, 'copy-from');
    if (source.kind !== 'ok') return { kind: 'source-failed', failure: source };
    const from = source.entry.record;
    if (from.type !== 'page') return { kind: 'blob-type' };
    if (from.past?.kind !== 'snapshot') return { kind: 'incremental-source' };
    if (!isSameEncryption(from.encryption, command.encryption)) return { kind: 'contended' };
    const target = await openForWrite(store, txn, command, 'page', 'follow');
    if (target.kind !== 'ok') return target;
    const before = target.existing?.record;
    if (before !== undefined && before.incremental?.source !== command.sourceUrl)
      return { kind: 'incremental-mismatch' };
    const taken = from.past.time;
    if (before?.incremental !== undefined && taken <= before.incremental.taken) return { kind: 'incremental-earlier' };
    const copy: CopyState = {
      id: command.copyId,
      source: `${command.sourceUrl}?snapshot=${taken}`,
      status: 'success',
      completedMs: store.clock.now(),
      bytes: from.length,
      total: from.length,
    };
    const attributes = {
      type: 'page',
      headers: from.headers,
      metadata: from.metadata,
      sequence: from.sequence ?? 0,
      copy,
      ...(from.encryption && { encryption: from.encryption }),
      incremental: { source: command.sourceUrl, taken, made: taken },
    } as const;
    const named = shareContent(txn, source.entry);
    const written = await replaceContent(store, txn, { ...command, attributes }, target, named);
    if (written.kind !== 'ok') return written;
    const place = (await findPlace(txn, Buffer.from(target.container.id, 'hex'), command.name)) as Place;
    const { container, settings } = target;
    const spot: Spot = { name: command, container, settings, place, cause: command.cause };
    return { kind: 'ok', entry: await addSnapshot(store, txn, spot, written.entry) };
  });
}

/** The current state, which now names its snapshot. */
async function addSnapshot(store: Store, txn: Txn, spot: Spot, { record, inline }: Entry): Promise<Entry> {
  const { place, container } = spot;
  const made = await freshTime(store, txn, place, record.version);
  const entry: Entry = {
    record: { ...record, ...(record.incremental && { incremental: { ...record.incremental, made } }) },
    inline,
  };
  txn.put(keys.entry(place.parent, place.leaf), encodeRecord(entry.record, inline));
  shareContent(txn, entry);
  countUsage(txn, container, record.length);
  const { version: _, ...state } = entry.record;
  const snapshot = putPast(store, txn, spot, { record: state, inline }, { kind: 'snapshot', time: made });
  note(store, txn, spot, 'snapshot-created', snapshot.record, entry.record);
  return entry;
}
