// What may not change: time-based retention and legal holds, on a container and on a version. Nobody gets round it: every
// change and every removal of an entry, by whatever surface or task, asks here within its transaction.
import { dayMs } from '../base/clock.ts';
import type { Failure } from './failure.ts';
import type { ContainerRecord, EntryRecord } from './records.ts';

/**
 * `overwrite` makes new content the current state, `change` alters what stands (metadata, headers, pages), `append` adds to
 * it, `snapshot` copies it, `delete` takes the name away, `remove` takes bytes away for good: of a version, a snapshot, a purge.
 */
export type Touch = 'overwrite' | 'change' | 'append' | 'snapshot' | 'delete' | 'remove';

type Verdict =
  | { readonly kind: 'ok' }
  | Extract<Failure, { kind: 'immutable-by-policy' | 'immutable-by-hold' | 'container-protected' }>;

const ok = { kind: 'ok' } as const;
const byPolicy = { kind: 'immutable-by-policy' } as const;
const byHold = { kind: 'immutable-by-hold' } as const;

/** `keepsVersions`: an overwrite or a change of metadata leaves what stood as a version. */
export function checkTouch(
  container: ContainerRecord,
  record: EntryRecord,
  touch: Touch,
  keepsVersions: boolean,
  nowMs: number,
): Verdict {
  const { immutability, legalHolds } = container;
  // Of a container: whatever would be kept, nothing in it is overwritten ("Container-level WORM policies").
  if (legalHolds !== undefined && legalHolds.length > 0) return byHold;
  const isAppend = touch === 'append' && record.type === 'append' && immutability?.protectedAppends !== undefined;
  if (immutability !== undefined && !isAppend) {
    const isRetained = nowMs < record.modifiedMs + immutability.days * dayMs;
    // What was retained may go when its time is over, but never be overwritten.
    if (isRetained || (touch !== 'delete' && touch !== 'remove')) return byPolicy;
  }
  // Of a version: what is kept as an earlier version keeps its policy ("Version-level WORM policies").
  // To end without a newer one is refused: recorded of the service.
  if (keepsVersions && touch === 'overwrite') return ok;
  if (touch === 'snapshot') return ok;
  if (record.legalHold) return byHold;
  return record.immutability !== undefined && nowMs < record.immutability.untilMs ? byPolicy : ok;
}

/** Until when the entry surely stays; undefined where nothing holds it. A hold has no end. */
export function heldUntilMs(container: ContainerRecord, record: EntryRecord): number | undefined {
  if (record.legalHold || (container.legalHolds?.length ?? 0) > 0) return Number.POSITIVE_INFINITY;
  const times: number[] = [];
  if (record.immutability !== undefined) times.push(record.immutability.untilMs);
  if (container.immutability !== undefined) times.push(record.modifiedMs + container.immutability.days * dayMs);
  return times.length === 0 ? undefined : Math.max(...times);
}

/** A container with a policy or a hold goes only when it is empty. */
export function isProtected(container: ContainerRecord): boolean {
  return (
    container.immutability !== undefined ||
    (container.legalHolds?.length ?? 0) > 0 ||
    container.versionImmutability === true
  );
}

export type PolicyChange =
  | { readonly kind: 'set'; readonly untilMs: number; readonly mode: 'unlocked' | 'locked' }
  | { readonly kind: 'remove' };

/** The version's policy after the change: a locked one is only extended ("Set Blob Immutability Policy", Remarks). */
export function changePolicy(
  record: EntryRecord,
  change: PolicyChange,
  nowMs: number,
): { readonly kind: 'ok'; readonly record: EntryRecord } | Failure {
  const { immutability, ...rest } = record;
  if (change.kind === 'remove') {
    if (immutability?.mode === 'locked') return { kind: 'policy-locked' };
    return { kind: 'ok', record: rest };
  }
  if (change.untilMs <= nowMs) return { kind: 'policy-in-the-past' };
  if (immutability?.mode === 'locked' && (change.mode !== 'locked' || change.untilMs < immutability.untilMs)) {
    return { kind: 'policy-locked' };
  }
  return { kind: 'ok', record: { ...rest, immutability: { untilMs: change.untilMs, mode: change.mode } } };
}
