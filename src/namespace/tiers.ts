// Access tiers: setting one, and the way out of Archive, which takes its time.
import type { Txn } from '../metadata/engine.ts';
import { readContainer } from './containers.ts';
import { changeWithin, type EntryChange, type EntryOutcome } from './entries.ts';
import type { AccountSettings, DueRecord, EntryRecord, Rehydration } from './records.ts';
import { readSettings } from './settings.ts';
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
      if (record.type !== 'block') return { kind: 'blob-type' } as const;
      const { rehydration, ...rest } = record;
      if (rehydration !== undefined && rehydration.tier !== tier) return { kind: 'rehydrating' } as const;
      if (record.tier === 'Archive' && tier !== 'Archive') {
        // Asked again it may only become quicker.
        const asked = rehydrationOf(settings, tier, priority, nowMs);
        return rehydration !== undefined && rehydration.doneMs <= asked.doneMs
          ? record
          : { ...rest, rehydration: asked };
      }
      return { ...rest, tier, tierChangedMs: nowMs };
    };
    const options = { touches: false, touch: undefined, operation: 'entry-tiered' as const };
    return await changeWithin(store, txn, command, edit, options);
  });
}

/** The work of a `rehydrate` row. */
export async function rehydrate(
  store: Store,
  txn: Txn,
  due: Extract<DueRecord, { kind: 'rehydrate' }>,
): Promise<{ readonly againMs: number } | undefined> {
  const name = { account: due.account, container: due.containerName, name: due.name };
  const container = await readContainer(txn, name);
  if (container?.id !== due.container) return undefined;
  let againMs: number | undefined;
  const nowMs = store.clock.now();
  const edit = (record: EntryRecord) => {
    const { rehydration, ...rest } = record;
    if (rehydration === undefined) return { kind: 'tier-not-set' } as const;
    if (nowMs < rehydration.doneMs) {
      againMs = rehydration.doneMs;
      return { kind: 'rehydrating' } as const;
    }
    return { ...rest, tier: rehydration.tier, tierChangedMs: nowMs };
  };
  const command = { ...name, conditions: {}, cause: { by: 'rehydration', requestId: '' } };
  const options = { touches: false, touch: undefined, operation: 'entry-tiered', ignoresLease: true } as const;
  const { time } = due;
  if (time === undefined) await changeWithin(store, txn, command, edit, options);
  else {
    for (const kind of ['version', 'snapshot'] as const) {
      await changeWithin(store, txn, { ...command, at: { kind, time } }, edit, options);
    }
  }
  return againMs === undefined ? undefined : { againMs };
}
