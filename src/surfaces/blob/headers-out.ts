// What answers say of an entry or a container, in this protocol's headers.
import { formatHttpDate } from '../../codec/http-date.ts';
import { leaseState } from '../../namespace/leases.ts';
import type { ContainerRecord, EntryRecord, Lease } from '../../namespace/records.ts';

export type OutHeaders = Record<string, string | number | undefined>;

export function stamp(record: { readonly etag: string; readonly modifiedMs: number }): OutHeaders {
  return { ETag: `"${record.etag}"`, 'Last-Modified': formatHttpDate(record.modifiedMs) };
}

/** Lease state and status: locked as long as writes need an id. */
export function leaseHeaders(lease: Lease | undefined, nowMs: number): OutHeaders {
  const state = leaseState(lease, nowMs);
  return {
    'x-ms-lease-status': state === 'leased' || state === 'breaking' ? 'locked' : 'unlocked',
    'x-ms-lease-state': state,
    'x-ms-lease-duration': state === 'leased' ? leaseDuration(lease) : undefined,
  };
}

export function leaseDuration(lease: Lease | undefined): 'infinite' | 'fixed' {
  return lease?.durationS === -1 ? 'infinite' : 'fixed';
}

export function metadataHeaders(metadata: Readonly<Record<string, string>>): OutHeaders {
  const headers: OutHeaders = {};
  for (const name in metadata) headers[`x-ms-meta-${name}`] = metadata[name];
  return headers;
}

/** What Get Blob and Get Blob Properties share. */
export function entryHeaders(record: EntryRecord, nowMs: number): OutHeaders {
  const { headers, copy } = record;
  const out: OutHeaders = {
    'Content-Type': headers.contentType ?? 'application/octet-stream',
    'Content-Encoding': headers.contentEncoding,
    'Content-Language': headers.contentLanguage,
    'Content-Disposition': headers.contentDisposition,
    'Cache-Control': headers.cacheControl,
    'Accept-Ranges': 'bytes',
    ETag: `"${record.etag}"`,
    'Last-Modified': formatHttpDate(record.modifiedMs),
    'x-ms-creation-time': formatHttpDate(record.createdMs),
    'x-ms-blob-type': 'BlockBlob',
    'x-ms-server-encrypted': 'true',
    ...(record.lease === undefined
      ? { 'x-ms-lease-status': 'unlocked', 'x-ms-lease-state': 'available' }
      : leaseHeaders(record.lease, nowMs)),
  };
  for (const name in record.metadata) out[`x-ms-meta-${name}`] = record.metadata[name];
  if (copy !== undefined) {
    out['x-ms-copy-id'] = copy.id;
    out['x-ms-copy-source'] = copy.source;
    out['x-ms-copy-status'] = copy.status;
    out['x-ms-copy-progress'] = `${copy.bytes}/${copy.total}`;
    if (copy.completedMs !== undefined) out['x-ms-copy-completion-time'] = formatHttpDate(copy.completedMs);
  }
  if (record.tags !== undefined) out['x-ms-tag-count'] = Object.keys(record.tags).length;
  return out;
}

export function tierHeaders(record: EntryRecord): OutHeaders {
  if (record.tier === undefined) return { 'x-ms-access-tier': 'Hot', 'x-ms-access-tier-inferred': 'true' };
  return {
    'x-ms-access-tier': record.tier,
    'x-ms-access-tier-change-time': record.tierChangedMs && formatHttpDate(record.tierChangedMs),
  };
}

export function containerHeaders(record: ContainerRecord, nowMs: number): OutHeaders {
  return {
    ...stamp(record),
    ...metadataHeaders(record.metadata),
    ...leaseHeaders(record.lease, nowMs),
    'x-ms-has-immutability-policy': 'false',
    'x-ms-has-legal-hold': 'false',
    'x-ms-immutable-storage-with-versioning-enabled': 'false',
    'x-ms-default-encryption-scope': '$account-encryption-key',
    'x-ms-deny-encryption-scope-override': 'false',
    ...publicAccessHeader(record),
  };
}

export function publicAccessHeader(record: ContainerRecord): OutHeaders {
  return record.publicAccess === 'none' ? {} : { 'x-ms-blob-public-access': record.publicAccess };
}
