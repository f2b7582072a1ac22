// Conditional headers, evaluated against what stands (Azure: "Specifying conditional headers for Blob service operations").
import type { Failure } from './failure.ts';
import { matchesTags, type TagExpression, type Tags } from './tag-expression.ts';

/** ETags are compared without quotes; `*` stands for any. Times are compared by the second. */
export interface Conditions {
  /** One of them. */
  readonly ifMatch?: string | readonly string[];
  /** None of them. */
  readonly ifNoneMatch?: string | readonly string[];
  readonly ifModifiedSinceMs?: number;
  readonly ifUnmodifiedSinceMs?: number;
  /** Of blobs only. */
  readonly ifTags?: TagExpression;
}

export interface Stamped {
  readonly etag: string;
  readonly modifiedMs: number;
  readonly tags?: Tags;
}

type Verdict =
  | { readonly kind: 'ok' }
  | Extract<Failure, { kind: 'condition-not-met' | 'not-modified' | 'entry-exists' }>;

const ok = { kind: 'ok' } as const;
const notMet = { kind: 'condition-not-met' } as const;
const unchanged = { kind: 'not-modified' } as const;

function etagMatches(condition: string | readonly string[], etag: string): boolean {
  if (typeof condition !== 'string') return condition.some((one) => etagMatches(one, etag));
  return condition === '*' || condition === etag;
}

function modifiedAfter(existing: Stamped, sinceMs: number): boolean {
  return Math.floor(existing.modifiedMs / 1000) > Math.floor(sinceMs / 1000);
}

/**
 * For reads: `If-Match && If-Unmodified-Since && (If-None-Match || If-Modified-Since)`; what has not changed answers 304
 * ("Specifying conditional headers", read operations).
 */
export function checkRead(conditions: Conditions, existing: Stamped): Verdict {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs, ifTags } = conditions;
  if (ifTags !== undefined && !matchesTags(ifTags, existing.tags)) return notMet;
  if (ifMatch !== undefined && !etagMatches(ifMatch, existing.etag)) return notMet;
  if (ifUnmodifiedSinceMs !== undefined && modifiedAfter(existing, ifUnmodifiedSinceMs)) return notMet;
  if (ifNoneMatch === undefined && ifModifiedSinceMs === undefined) return ok;
  const isOther = ifNoneMatch !== undefined && !etagMatches(ifNoneMatch, existing.etag);
  const isNewer = ifModifiedSinceMs !== undefined && modifiedAfter(existing, ifModifiedSinceMs);
  return isOther || isNewer ? ok : unchanged;
}

/**
 * For a write of a whole blob over what exists: all that fails answers 412, but that `If-None-Match: *` is a conflict of
 * its own. `isLeased`: the writer has shown the lease's id, and that goes before it (recorded of the service).
 */
export function checkWrite(conditions: Conditions, existing: Stamped, isLeased = false): Verdict {
  const isNew = conditions.ifNoneMatch === '*' && !isLeased;
  const verdict = checkChange(conditions, existing);
  return verdict.kind === 'ok' && isNew ? { kind: 'entry-exists' } : verdict;
}

/** Where nothing stands. Blocks that wait for their list were modified at no time, so not since any. */
export function checkCreate({ ifMatch, ifModifiedSinceMs, ifTags }: Conditions, isStaged: boolean): Verdict {
  if (ifMatch !== undefined || ifTags !== undefined) return notMet;
  return isStaged && ifModifiedSinceMs !== undefined ? notMet : ok;
}

/** For a change of what exists. Of two conditions on ETag and time the ETag decides; `If-None-Match: *` says nothing here. */
export function checkChange(conditions: Conditions, existing: Stamped): Verdict {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs, ifTags } = conditions;
  if (ifTags !== undefined && !matchesTags(ifTags, existing.tags)) return notMet;
  if (ifMatch !== undefined) {
    if (!etagMatches(ifMatch, existing.etag)) return notMet;
  } else if (ifUnmodifiedSinceMs !== undefined && modifiedAfter(existing, ifUnmodifiedSinceMs)) return notMet;
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== '*' && etagMatches(ifNoneMatch, existing.etag)) return notMet;
  } else if (ifModifiedSinceMs !== undefined && !modifiedAfter(existing, ifModifiedSinceMs)) return notMet;
  return ok;
}
