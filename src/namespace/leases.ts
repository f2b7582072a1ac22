// Leases: what one is at a moment, what it forbids, and the five actions on it (Azure: "Lease Blob", "Lease Container").
import { dayMs } from '../base/clock.ts';
import type { Failure } from './failure.ts';
import type { Lease } from './records.ts';

export type LeaseState = 'available' | 'leased' | 'expired' | 'breaking' | 'broken';

export function leaseState(lease: Lease | undefined, nowMs: number): LeaseState {
  if (lease === undefined) return 'available';
  if (lease.breakMs !== undefined) return isAhead(lease.breakMs, nowMs) ? 'breaking' : 'broken';
  if (lease.expiresMs !== undefined && !isAhead(lease.expiresMs, nowMs)) return 'expired';
  return 'leased';
}

/** What ends more than a day from now was given by a clock that was wrong, and whose time the store has forgotten. */
function isAhead(endMs: number, nowMs: number): boolean {
  return nowMs < endMs && endMs <= nowMs + dayMs;
}

export function isHeld(lease: Lease | undefined, nowMs: number): boolean {
  const state = leaseState(lease, nowMs);
  return state === 'leased' || state === 'breaking';
}

type Verdict = { readonly kind: 'ok' } | Failure;
const ok = { kind: 'ok' } as const;

/** A write or delete while a lease is held needs its id; an id that is given must be the current one, lease or not. */
export function checkLeaseForWrite(
  lease: Lease | undefined,
  given: string | undefined,
  nowMs: number,
  operation: 'entry' | 'container',
): Verdict {
  if (isHeld(lease, nowMs)) {
    if (given === undefined) return { kind: 'lease-id-missing' };
    return sameId((lease as Lease).id, given) ? ok : { kind: 'lease-mismatch', operation };
  }
  if (given === undefined) return ok;
  if (lease !== undefined && sameId(lease.id, given)) return { kind: 'lease-lost' };
  return { kind: 'lease-not-present', operation };
}

/** A read needs no id, but one that is given must be the current one. */
export function checkLeaseForRead(
  lease: Lease | undefined,
  given: string | undefined,
  nowMs: number,
  operation: 'entry' | 'container',
): Verdict {
  return given === undefined ? ok : checkLeaseForWrite(lease, given, nowMs, operation);
}

export type LeaseAction =
  | { readonly action: 'acquire'; readonly durationS: number; readonly proposedId: string }
  | { readonly action: 'renew'; readonly id: string }
  | { readonly action: 'change'; readonly id: string; readonly proposedId: string }
  /** With `isRenewable` it ends as if its time were over: its id can renew it while nobody else has acquired one. */
  | { readonly action: 'release'; readonly id: string; readonly isRenewable?: boolean }
  /** With `isOnce` one that is broken or breaking is not broken again. */
  | { readonly action: 'break'; readonly periodS?: number; readonly isOnce?: boolean };

export type LeaseChange =
  | { readonly kind: 'ok'; readonly lease: Lease | undefined; readonly remainingS?: number }
  | Failure;

const mismatch = { kind: 'lease-mismatch', operation: 'lease' } as const;
const notPresent = { kind: 'lease-not-present', operation: 'lease' } as const;

/** The lease after an action; the table of outcomes stands in "Lease Blob", Remarks. */
export function applyLeaseAction(lease: Lease | undefined, action: LeaseAction, nowMs: number): LeaseChange {
  const state = leaseState(lease, nowMs);
  switch (action.action) {
    case 'acquire': {
      if (state === 'breaking') {
        return sameId((lease as Lease).id, action.proposedId)
          ? { kind: 'lease-breaking', operation: 'acquire' }
          : { kind: 'lease-present' };
      }
      if (state === 'leased' && !sameId((lease as Lease).id, action.proposedId)) return { kind: 'lease-present' };
      return { kind: 'ok', lease: newLease(action.proposedId, action.durationS, nowMs) };
    }
    case 'renew': {
      if (lease === undefined) return notPresent;
      if (!sameId(lease.id, action.id)) return mismatch;
      if (state === 'breaking' || state === 'broken') return { kind: 'lease-broken' };
      return { kind: 'ok', lease: newLease(lease.id, lease.durationS, nowMs) };
    }
    case 'change': {
      if (lease === undefined || state === 'expired' || state === 'broken') return notPresent;
      if (state === 'breaking') return { kind: 'lease-breaking', operation: 'change' };
      if (!sameId(lease.id, action.id) && !sameId(lease.id, action.proposedId)) return mismatch;
      return { kind: 'ok', lease: { ...lease, id: action.proposedId } };
    }
    case 'release': {
      if (lease === undefined) return notPresent;
      if (!sameId(lease.id, action.id)) return mismatch;
      if (action.isRenewable !== true || lease.durationS === -1) return { kind: 'ok', lease: undefined };
      return { kind: 'ok', lease: { id: lease.id, durationS: lease.durationS, expiresMs: nowMs } };
    }
    case 'break':
      if (action.isOnce === true && (state === 'breaking' || state === 'broken'))
        return { kind: 'lease-broken-already' };
      return breakLease(lease, state, action.periodS, nowMs);
  }
}

function breakLease(
  lease: Lease | undefined,
  state: LeaseState,
  periodS: number | undefined,
  nowMs: number,
): LeaseChange {
  if (lease === undefined) return notPresent;
  if (state === 'broken') return { kind: 'ok', lease, remainingS: 0 };
  if (state === 'expired') return { kind: 'ok', lease: { ...lease, breakMs: nowMs }, remainingS: 0 };
  // What is left of a fixed lease is an upper bound; without a period a fixed lease runs out and an infinite one ends now.
  let endMs: number;
  if (state === 'breaking')
    endMs = Math.min(lease.breakMs as number, nowMs + (periodS ?? Number.POSITIVE_INFINITY) * 1000);
  else if (lease.expiresMs === undefined) endMs = nowMs + (periodS ?? 0) * 1000;
  else endMs = Math.min(lease.expiresMs, nowMs + (periodS ?? Number.POSITIVE_INFINITY) * 1000);
  return {
    kind: 'ok',
    lease: { ...lease, breakMs: endMs },
    // Whole seconds that are left, as the service counts them: 14 of a lease of 15 that was just acquired.
    remainingS: Math.max(0, Math.floor((endMs - nowMs) / 1000)),
  };
}

function newLease(id: string, durationS: number, nowMs: number): Lease {
  return durationS === -1 ? { id, durationS } : { id, durationS, expiresMs: nowMs + durationS * 1000 };
}

function sameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
