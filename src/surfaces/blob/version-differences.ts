// What older versions of the Blob service's REST API do otherwise: every documented difference that is served, by the
// version that ended it. What an older version could not have is taken as the newest one takes it: startFrom, tags,
// tiers, CRC-64 and the like mean the same under every version.
import { type Difference, signingDifferences } from '../../identity/version-differences.ts';

export const differences = {
  quotedEtags: {
    since: '2011-08-18',
    before: 'ETags stand without quotes in headers and in List Containers',
    source: 'Version 2011-08-18',
  },
  leaseDuration: {
    since: '2012-02-12',
    before: 'Lease Blob acquires for 60 seconds where no duration is named',
    source: 'Lease Blob',
  },
  releaseEnds: {
    since: '2012-02-12',
    before: 'a lease that was released can be renewed and broken, until it is acquired again',
    source: 'Lease Blob',
  },
  breakAgain: {
    since: '2012-02-12',
    before: 'to break a lease again is refused (409 LeaseAlreadyBroken)',
    source: 'Lease Blob',
  },
  copyState: {
    since: '2012-02-12',
    before: 'Copy Blob answers 201 and leaves no copy state on the blob',
    source: 'Copy Blob',
  },
  copySourceUrl: {
    since: '2012-02-12',
    before: 'x-ms-copy-source may be /account/container/blob, or /account/blob of the root container',
    source: 'Copy Blob',
  },
  sourceLease: {
    since: '2012-02-12',
    before: 'Copy Blob takes x-ms-source-lease-id, a condition on the lease of the source',
    source: 'Copy Blob',
  },
  computedMd5: {
    since: '2012-02-12',
    before: 'Put Blob keeps and answers an MD5 only if the request has one',
    source: 'Put Blob',
  },
  listedEndpoint: {
    since: '2013-08-15',
    before: 'lists name the whole address (AccountName, ContainerName) and have an Url for each row',
    source: 'List Blobs',
  },
  partialProperties: {
    since: '2013-08-15',
    before:
      'Set Blob Service Properties needs Logging and Metrics; Metrics stands for HourMetrics, there and in the answer',
    source: 'Set Blob Service Properties',
  },
  containerLease: {
    since: '2013-08-15',
    before: 'Lease Container changes the ETag and the time of the container',
    source: 'Lease Container',
  },
  listsAppendBlobs: {
    since: '2015-02-21',
    before: 'List Blobs of a page with an append blob is refused (409 FeatureVersionMismatch)',
    source: 'List Blobs',
  },
  createInPolicies: {
    since: '2015-04-05',
    before: 'Get Container ACL with a policy that permits to add or create is refused (409 FeatureVersionMismatch)',
    source: 'Shared access signature error codes',
  },
  anyEtagStaged: {
    since: '2017-04-17',
    before: 'If-Match: * of a Put Block List is met by blocks that wait for their list',
    source: 'Version 2017-04-17',
  },
  anyEtagRead: { since: '2016-05-31', before: 'If-None-Match: * of a read is ignored', source: 'Version 2016-05-31' },
  crcOfBlocks: {
    since: '2019-02-02',
    before: 'Put Block, Put Block List, Append Block and Put Page answer an MD5 of the body, and no CRC-64',
    source: 'Put Block',
  },
  encodedNames: {
    since: '2021-02-12',
    before: 'List Blobs has no encoded form for a name that XML cannot carry',
    source: 'List Blobs',
  },
  tierOfReads: { since: '2026-10-06', before: 'Get Blob does not tell the tier', source: 'Get Blob' },
  bothSums: {
    since: '2026-10-06',
    before: 'an answer has the MD5 of its request’s body or the CRC-64, never both',
    source: 'Put Block',
  },
} as const satisfies Record<string, Difference>;

export type DifferenceName = keyof typeof differences;

/** Whether under `version` the row's `before` holds. */
export function isBefore(version: string, name: DifferenceName): boolean {
  return version < differences[name].since;
}

const mebibyte = 1024 * 1024;

/** The longest body, in MiB, from each version on ("Put Blob", "Put Block" and "Append Block", Remarks). */
export const longest = {
  blob: [
    ['2019-12-12', 5000],
    ['2016-05-31', 256],
    ['2009-09-19', 64],
  ],
  block: [
    ['2019-12-12', 4000],
    ['2016-05-31', 100],
    ['2009-09-19', 4],
  ],
  append: [
    ['2022-11-02', 100],
    ['2009-09-19', 4],
  ],
} as const;

export function bytesMax(of: keyof typeof longest, version: string): number {
  for (const [since, mebibytes] of longest[of]) if (version >= since) return mebibytes * mebibyte;
  return 0;
}

/** Headers of answers that older versions do not have; with `of`, in the answers of these operations only. */
export interface Added {
  readonly since: string;
  readonly names: readonly string[];
  readonly of?: readonly string[];
}

export const addedHeaders: readonly Added[] = [
  { since: '2011-08-18', names: ['Accept-Ranges'] },
  {
    since: '2012-02-12',
    names: [
      ...['x-ms-lease-state', 'x-ms-lease-duration', 'x-ms-copy-id', 'x-ms-copy-source', 'x-ms-copy-status'],
      ...['x-ms-copy-progress', 'x-ms-copy-completion-time'],
    ],
  },
  { since: '2013-08-15', names: ['Content-Disposition'] },
  { since: '2013-08-15', names: ['ETag', 'Last-Modified'], of: ['LeaseBlob', 'LeaseContainer'] },
  { since: '2015-12-11', names: ['x-ms-server-encrypted', 'x-ms-request-server-encrypted'] },
  {
    since: '2016-05-31',
    names: ['x-ms-blob-content-md5', 'x-ms-incremental-copy', 'x-ms-copy-destination-snapshot'],
  },
  { since: '2016-05-31', names: ['x-ms-blob-public-access'], of: ['GetContainerProperties'] },
  {
    since: '2017-04-17',
    names: ['x-ms-access-tier', 'x-ms-access-tier-inferred', 'x-ms-access-tier-change-time', 'x-ms-archive-status'],
  },
  { since: '2017-07-29', names: ['x-ms-error-code', 'x-ms-delete-type-permanent'] },
  { since: '2017-11-09', names: ['x-ms-creation-time', 'x-ms-has-immutability-policy', 'x-ms-has-legal-hold'] },
  {
    since: '2019-02-02',
    names: [
      ...['x-ms-content-crc64', 'x-ms-encryption-key-sha256', 'x-ms-encryption-scope'],
      ...['x-ms-default-encryption-scope', 'x-ms-deny-encryption-scope-override'],
    ],
  },
  { since: '2019-07-07', names: ['x-ms-is-hns-enabled'] },
  {
    since: '2019-12-12',
    names: [
      ...['x-ms-version-id', 'x-ms-is-current-version', 'x-ms-tag-count', 'x-ms-blob-sealed'],
      'x-ms-rehydrate-priority',
    ],
  },
  { since: '2020-02-10', names: ['x-ms-last-access-time'] },
  {
    since: '2020-06-12',
    names: [
      ...['x-ms-immutable-storage-with-versioning-enabled', 'x-ms-immutability-policy-until-date'],
      ...['x-ms-immutability-policy-mode', 'x-ms-legal-hold'],
    ],
  },
];

/** Elements of List Containers, List Blobs and Get Blob Service Properties that older versions do not have. */
export const addedElements: readonly Added[] = [
  {
    since: '2012-02-12',
    names: [
      ...['LeaseState', 'LeaseDuration', 'CopyId', 'CopySource', 'CopyStatus', 'CopyProgress'],
      'CopyCompletionTime',
    ],
  },
  { since: '2013-08-15', names: ['Content-Disposition', 'MinuteMetrics', 'Cors'] },
  { since: '2015-12-11', names: ['ServerEncrypted'] },
  { since: '2016-05-31', names: ['PublicAccess', 'IncrementalCopy'] },
  { since: '2017-04-17', names: ['AccessTier', 'AccessTierInferred', 'AccessTierChangeTime', 'ArchiveStatus'] },
  { since: '2017-07-29', names: ['DeleteRetentionPolicy'] },
  { since: '2017-11-09', names: ['Creation-Time', 'HasImmutabilityPolicy', 'HasLegalHold'] },
  { since: '2018-03-28', names: ['StaticWebsite'] },
  {
    since: '2019-02-02',
    names: [
      ...['Content-CRC64', 'CustomerProvidedKeySha256', 'EncryptionScope', 'DefaultEncryptionScope'],
      'DenyEncryptionScopeOverride',
    ],
  },
  { since: '2019-12-12', names: ['OrMetadata', 'TagCount', 'Sealed', 'RehydratePriority'] },
  { since: '2020-02-10', names: ['LastAccessTime', 'AllowPermanentDelete'] },
  { since: '2020-06-12', names: ['ImmutableStorageWithVersioningEnabled'] },
];

/** From here on no header is too new. */
const lastAdded = addedHeaders.at(-1)?.since ?? '';

/** Takes from an answer's headers what its version does not have, and the quotes of its ETag. */
export function inOlderForm(headers: Record<string, string | number | undefined>, version: string, name: string): void {
  if (version >= lastAdded) return;
  for (const { since, names, of } of addedHeaders) {
    if (version >= since || (of !== undefined && !of.includes(name))) continue;
    for (const header of names) if (headers[header] !== undefined) headers[header] = undefined;
  }
  if (isBefore(version, 'quotedEtags') && headers.ETag !== undefined) headers.ETag = `${headers.ETag}`.slice(1, -1);
}

const newElements = new Map<string, RegExp | undefined>();

/** Takes from XML, in which no text that clients chose may stand as an element, what its version does not have. */
export function withoutNewElements(xml: string, version: string): string {
  let form = newElements.get(version);
  if (form === undefined && !newElements.has(version)) {
    const names = addedElements.filter(({ since }) => version < since).flatMap((added) => added.names);
    form = names.length === 0 ? undefined : new RegExp(`<(${names.join('|')})(?: />|>.*?</\\1>)`, 'gs');
    newElements.set(version, form);
  }
  return form === undefined ? xml : xml.replace(form, '');
}

/** The version that a SAS alone decides, whatever else the request says; undefined where it may say something. */
export function versionBySas(sv: string | undefined): string | undefined {
  const { signedVersion, ownVersion } = signingDifferences;
  return sv !== undefined && sv >= signedVersion.since && sv < ownVersion.since ? sv : undefined;
}
