// Access tiers: setting one, and the way out of Archive, which takes its time.
import type { Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { readContainer } from './containers.ts';
import type { Again } from './due.ts';
import { changeWithin, type EntryChange, type EntryOutcome } from './entries.ts';
import { note, pastKey } from './entry-rows.ts';
import { findPlace } from './paths.ts';
import {
  type AccountSettings,
  type DueRecord,
  decodeEntry,
  type EntryRecord,
  encodeRecord,
  type Rehydration,
} from './records.ts';
import { readSettings } from './settings.ts';
import { checkState } from './states.ts';
import { change, type Store } from './store.ts';

export type OnlineTier = Rehydration['tier'];
export type Priority = Rehydration['priority'];

/** "Rehydrate from Archive": up to 15 hours with standard priority, mostly under an hour with high. */
const standardS = 3 * 3600;
const highS = 600;

export function rehydrationOf(
  settings: AccountSettings,
  tier: OnlineTier,
  priority: Priority,
  nowMs: number,
): Rehydration {
  const seconds =
    priority === 'High' ? (settings.rehydrationHighS ?? highS) : (settings.rehydrationStandardS ?? standardS);
  return { tier, priority, doneMs: nowMs + seconds * 1000 };
}

/** Set Blob Tier: at once, or out of Archive as a rehydration. Neither ETag nor time of modification change. */
export function setTier(
  store: Store,
  command: EntryChange,
  tier: OnlineTier | 'Archive',
  priority: Priority,
): Promise<EntryOutcome> {
  return change<EntryOutcome>(store, async (txn) => {
    const settings = await readSettings(txn, command.account);
    const nowMs = store.clock.now();
    const edit = (record: EntryRecord) => {
      const { rehydration, ...rest } = record;
      if (rehydration !== undefined && rehydration.tier !== tier) return { kind: 'rehydrating' } as const;
      if (record.tier === 'Archive' && tier !== 'Archive') {
        const mayThaw = checkState('thaw', record);
        if (mayThaw.kind !== 'ok') return mayThaw;
        // Asked again it may only become quicker.
        const asked = rehydrationOf(settings, tier, priority, nowMs);
        if (rehydration !== undefined && rehydration.doneMs <= nowMs) return { ...rest, tier, tierChangedMs: nowMs };
        return rehydration !== undefined && rehydration.doneMs <= asked.doneMs
          ? record
          : { ...rest, rehydration: asked };
      }
      return { ...rest, tier, tierChangedMs: nowMs };
    };
    const options = { touches: false, act: 'set-tier', operation: 'entry-tiered' } as const;
    return await changeWithin(store, txn, command, edit, options);
  });
}

/** The work of a `rehydrate` row, whatever became of the blob and its container meanwhile. */
export async function rehydrate(
  store: Store,
  txn: Txn,
  due: Extract<DueRecord, { kind: 'rehydrate' }>,
): Promise<Again | undefined> {
  const place = await findPlace(txn, Buffer.from(due.container, 'hex'), due.name);
  if (place === undefined) return undefined;
  const key = due.time === undefined ? keys.entry(place.parent, place.leaf) : pastKey(place, due.time);
  const found = await txn.get(key);
  if (found === undefined) return undefined;
  const { record: before, inline } = decodeEntry(found);
  const { rehydration, ...rest } = before;
  if (rehydration === undefined) return undefined;
  const nowMs = store.clock.now();
  if (nowMs < rehydration.doneMs) return { againMs: rehydration.doneMs };
  const record: EntryRecord = { ...rest, tier: rehydration.tier, tierChangedMs: nowMs };
  txn.put(key, encodeRecord(record, inline));
  const name = { account: due.account, container: due.containerName, name: due.name };
  const container = await readContainer(txn, name);
  if (container?.id !== due.container) return undefined;
  const settings = await readSettings(txn, due.account);
  const cause = { by: 'rehydration', requestId: '' };
  note(store, txn, { name, container, settings, place, cause }, 'entry-tiered', record, before);
  return undefined;
}
