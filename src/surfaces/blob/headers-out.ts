// What answers say of an entry or a container, in this protocol's headers.
import { formatHttpDate } from '../../codec/http-date.ts';
import { leaseState } from '../../namespace/leases.ts';
import type { ContainerRecord, ContentHeaders, EntryEncryption, EntryRecord, Lease } from '../../namespace/records.ts';

export const blobTypes = { block: 'BlockBlob', append: 'AppendBlob', page: 'PageBlob' } as const;

export type OutHeaders = Record<string, string | number | undefined>;

export function stamp(record: { readonly etag: string; readonly modifiedMs: number }): OutHeaders {
  return { ETag: `"${record.etag}"`, 'Last-Modified': formatHttpDate(record.modifiedMs) };
}

/** Of an operation that makes a version: of the others the service does not tell which one they changed. */
export function versionStamp(record: EntryRecord): OutHeaders {
  return { ...stamp(record), 'x-ms-version-id': record.version };
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

/** What was never said is a stream of bytes; what was taken away again (an empty text) is not told. */
export function contentTypeOf({ contentType = 'application/octet-stream' }: ContentHeaders): string | undefined {
  return contentType === '' ? undefined : contentType;
}

/** What Get Blob and Get Blob Properties share. */
export function entryHeaders(record: EntryRecord, nowMs: number, isVersion = false): OutHeaders {
  const { headers, copy } = record;
  const out: OutHeaders = {
    'Content-Type': contentTypeOf(headers),
    'Content-Encoding': headers.contentEncoding,
    'Content-Language': headers.contentLanguage,
    'Content-Disposition': headers.contentDisposition,
    'Cache-Control': headers.cacheControl,
    'Accept-Ranges': 'bytes',
    ETag: `"${record.etag}"`,
    'Last-Modified': formatHttpDate(record.modifiedMs),
    'x-ms-creation-time': formatHttpDate(record.createdMs),
    'x-ms-blob-type': blobTypes[record.type],
    'x-ms-server-encrypted': 'true',
    ...encryptionHeaders(record.encryption),
  };
  // Only the current state can be leased, and the service tells of it where it is not named as a version.
  if (record.past === undefined && !isVersion) Object.assign(out, leaseHeaders(record.lease, nowMs));
  for (const name in record.metadata) out[`x-ms-meta-${name}`] = record.metadata[name];
  if (copy !== undefined) {
    out['x-ms-copy-id'] = copy.id;
    out['x-ms-copy-source'] = copy.source;
    out['x-ms-copy-status'] = copy.status;
    out['x-ms-copy-progress'] = `${copy.bytes}/${copy.total}`;
    if (copy.completedMs !== undefined) out['x-ms-copy-completion-time'] = formatHttpDate(copy.completedMs);
  }
  if (record.type === 'append') {
    out['x-ms-blob-committed-block-count'] = record.appendedBlocks ?? 0;
    if (record.isSealed === true) out['x-ms-blob-sealed'] = 'true';
  } else if (record.type === 'page') {
    out['x-ms-blob-sequence-number'] = record.sequence ?? 0;
    if (record.incremental !== undefined) {
      out['x-ms-incremental-copy'] = 'true';
      out['x-ms-copy-destination-snapshot'] = record.incremental.made;
    }
  }
  if (record.tags !== undefined) out['x-ms-tag-count'] = Object.keys(record.tags).length;
  if (record.past?.kind === 'version') out['x-ms-version-id'] = record.past.time;
  else if (record.version !== undefined) {
    out['x-ms-version-id'] = record.version;
    out['x-ms-is-current-version'] = 'true';
  }
  if (record.lastAccessMs !== undefined) out['x-ms-last-access-time'] = formatHttpDate(record.lastAccessMs);
  if (record.immutability !== undefined) Object.assign(out, immutabilityHeaders(record));
  if (record.legalHold !== undefined) out['x-ms-legal-hold'] = 'true';
  return out;
}

/** Of an answer that tells of a blob, or of what was written. */
export function encryptionHeaders(encryption: EntryEncryption | undefined): OutHeaders {
  if (encryption === undefined) return {};
  return {
    'x-ms-encryption-scope': encryption.scope,
    'x-ms-encryption-key-sha256': encryption.keySha256,
  };
}

/** Of an answer to a write. */
export function writtenHeaders(encryption: EntryEncryption | undefined): OutHeaders {
  return { 'x-ms-request-server-encrypted': 'true', ...encryptionHeaders(encryption) };
}

/** Until when a version stays as it is; of a policy that is over too. */
export function immutabilityHeaders({ immutability }: EntryRecord): OutHeaders {
  return {
    'x-ms-immutability-policy-until-date': immutability && formatHttpDate(immutability.untilMs),
    'x-ms-immutability-policy-mode': immutability?.mode,
  };
}

export function archiveStatus({ rehydration }: EntryRecord): string | undefined {
  return rehydration && `rehydrate-pending-to-${rehydration.tier.toLowerCase()}`;
}

/** The tier alone, which Get Blob tells too. */
export function accessTierHeaders(record: EntryRecord): OutHeaders {
  if (record.type !== 'block') return {};
  if (record.tier === undefined) return { 'x-ms-access-tier': 'Hot', 'x-ms-access-tier-inferred': 'true' };
  return {
    'x-ms-access-tier': record.tier,
    'x-ms-access-tier-change-time': record.tierChangedMs && formatHttpDate(record.tierChangedMs),
  };
}

export function tierHeaders(record: EntryRecord): OutHeaders {
  if (record.type !== 'block') return {};
  return {
    ...accessTierHeaders(record),
    'x-ms-archive-status': archiveStatus(record),
    'x-ms-rehydrate-priority': record.rehydration?.priority,
  };
}

export function containerHeaders(record: ContainerRecord, nowMs: number): OutHeaders {
  return {
    ...stamp(record),
    ...metadataHeaders(record.metadata),
    ...leaseHeaders(record.lease, nowMs),
    'x-ms-has-immutability-policy': `${record.immutability !== undefined}`,
    'x-ms-has-legal-hold': `${(record.legalHolds?.length ?? 0) > 0}`,
    'x-ms-immutable-storage-with-versioning-enabled': `${record.versionImmutability === true}`,
    'x-ms-default-encryption-scope': record.encryptionScope ?? '$account-encryption-key',
    'x-ms-deny-encryption-scope-override': record.denyScopeOverride === true ? 'true' : 'false',
    ...publicAccessHeader(record),
  };
}

export function publicAccessHeader(record: ContainerRecord): OutHeaders {
  return record.publicAccess === 'none' ? {} : { 'x-ms-blob-public-access': record.publicAccess };
}
