// Conditional headers, evaluated against what stands (Azure: "Specifying conditional headers for Blob service operations").
import type { Failure } from './failure.ts';
import { matchesTags, type TagExpression, type Tags } from './tag-expression.ts';

/** ETags are compared without quotes; `*` stands for any. Times are compared by the second. */
export interface Conditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
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

function etagMatches(condition: string, etag: string): boolean {
  return condition === '*' || condition === etag;
}

function modifiedAfter(existing: Stamped, sinceMs: number): boolean {
  return Math.floor(existing.modifiedMs / 1000) > Math.floor(sinceMs / 1000);
}

/** For reads: what has not changed answers 304. If-Match outweighs If-Unmodified-Since, If-None-Match If-Modified-Since. */
export function checkRead(conditions: Conditions, existing: Stamped): Verdict {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs, ifTags } = conditions;
  if (ifTags !== undefined && !matchesTags(ifTags, existing.tags)) return notMet;
  if (ifMatch !== undefined) {
    if (!etagMatches(ifMatch, existing.etag)) return notMet;
  } else if (ifUnmodifiedSinceMs !== undefined && modifiedAfter(existing, ifUnmodifiedSinceMs)) return notMet;
  if (ifNoneMatch !== undefined) {
    if (etagMatches(ifNoneMatch, existing.etag)) return unchanged;
  } else if (ifModifiedSinceMs !== undefined && !modifiedAfter(existing, ifModifiedSinceMs)) return unchanged;
  return ok;
}

/** For writes: everything that fails answers 412, but that `If-None-Match: *` on what exists is a conflict of its own. */
export function checkWrite(conditions: Conditions, existing: Stamped | undefined): Verdict {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs, ifTags } = conditions;
  if (existing === undefined) return ifMatch === undefined && ifTags === undefined ? ok : notMet;
  if (ifTags !== undefined && !matchesTags(ifTags, existing.tags)) return notMet;
  if (ifNoneMatch === '*') return { kind: 'entry-exists' };
  if (ifMatch !== undefined) {
    if (!etagMatches(ifMatch, existing.etag)) return notMet;
  } else if (ifUnmodifiedSinceMs !== undefined && modifiedAfter(existing, ifUnmodifiedSinceMs)) return notMet;
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch === existing.etag) return notMet;
  } else if (ifModifiedSinceMs !== undefined && !modifiedAfter(existing, ifModifiedSinceMs)) return notMet;
  return ok;
}
