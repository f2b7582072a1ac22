// List Blobs, flat and by hierarchy. A page is 5,000 blobs: each is one short-lived string, written into the answer's bytes.
import { dayMs } from '../../base/clock.ts';
import { formatHttpDate } from '../../codec/http-date.ts';
import { escapeXml, xmlDeclaration, xmlElement, xmlNameElement } from '../../codec/xml-write.ts';
import { leaseState } from '../../namespace/leases.ts';
import { type Listed, type ListPage, listEntries, type PastShown } from '../../namespace/list.ts';
import type { EntryRecord } from '../../namespace/records.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerError, containerName } from './container-access.ts';
import { BlobError } from './errors.ts';
import { archiveStatus, blobTypes, leaseDuration } from './headers-out.ts';
import { decodeMarker, encodeMarker, includes, pageLimit, queryError } from './list-parameters.ts';
import { metadataXml, tagsXml } from './metadata-xml.ts';
import { one } from './request.ts';
import { serviceEndpoint } from './service-endpoint.ts';
import { TextBytes } from './text-bytes.ts';
import { isBefore, withoutNewElements } from './version-differences.ts';

const includable: ReadonlySet<string> = new Set([
  'copy',
  'deleted',
  'deletedwithversions',
  'immutabilitypolicy',
  'legalhold',
  'metadata',
  'permissions',
  'snapshots',
  'tags',
  'uncommittedblobs',
  'versions',
]);

export async function listBlobs(call: ContainerCall): Promise<Answer> {
  const { query, version } = call;
  const prefix = one(query, 'prefix');
  const delimiter = one(query, 'delimiter');
  const marker = one(query, 'marker');
  // Under every version: no earlier one had another meaning for them, and clients that send them count on them.
  const startFrom = one(query, 'startfrom');
  const endBefore = one(query, 'endbefore');
  const { limit, given } = pageLimit(query);
  const include = includes(query, includable);
  const hierarchical = delimiter !== undefined && delimiter !== '';
  if (hierarchical && include.has('snapshots')) {
    throw queryError('include', 'snapshots', 'Snapshots cannot be listed with a delimiter.');
  }
  const deletedOnly = onlyDeleted(one(query, 'showonly'));
  const past = pastShown(include, deletedOnly);
  const name = containerName(call);
  const page = await listEntries(call.store, {
    ...name,
    prefix: prefix ?? '',
    delimiter: hierarchical ? delimiter : undefined,
    from: later(decodeMarker(marker), startFrom ?? ''),
    limit,
    uncommitted: include.has('uncommittedblobs'),
    ...(past && { past }),
    hiddenMax,
  });
  if (page.kind !== 'ok') throw containerError(page);
  const container = encodeURIComponent(name.container);
  const endpoint = escapeXml(serviceEndpoint(call));
  const isByUrl = isBefore(version, 'listedEndpoint');
  const named = isByUrl
    ? `ContainerName="${endpoint}${container}"`
    : `ServiceEndpoint="${endpoint}" ContainerName="${container}"`;
  let out = `${xmlDeclaration}<EnumerationResults ${named}>`;
  if (prefix !== undefined) out += xmlElement('Prefix', prefix);
  if (marker !== undefined) out += xmlElement('Marker', marker);
  if (given !== undefined) out += `<MaxResults>${given}</MaxResults>`;
  if (hierarchical) out += xmlElement('Delimiter', delimiter);
  const shown: Shown = {
    nowMs: call.nowMs,
    metadata: include.has('metadata'),
    copy: include.has('copy'),
    tags: include.has('tags'),
    immutability: include.has('immutabilitypolicy'),
    legalHold: include.has('legalhold'),
    encodedNames: !isBefore(version, 'encodedNames'),
    version,
    orMetadata: withoutNewElements('<OrMetadata />', version),
    ...(isByUrl && { base: `${endpoint}${container}/` }),
  };
  if (isBefore(version, 'listsAppendBlobs') && page.items.some(isAppendBlob)) {
    throw new BlobError('FeatureVersionMismatch');
  }
  const { items, next } = endBefore === undefined || endBefore === '' ? page : before(page, endBefore);
  const end = `${xmlElement('NextMarker', next && encodeMarker(next))}</EnumerationResults>`;
  const body = new TextBytes(bytesOfMost * Math.min(items.length, limit) + 4096);
  if (items.length === 0) body.write(`${out}<Blobs />${end}`);
  else {
    body.write(`${out}<Blobs>`);
    for (const listed of items) body.write(listedXml(listed, shown));
    body.write(`</Blobs>${end}`);
  }
  return { status: 200, headers: { 'Content-Type': 'application/xml' }, body: body.end() };
}

/** What of a page lies before a name; from there on nothing is listed. */
function before({ items, next }: ListPage, name: string): Pick<ListPage, 'items' | 'next'> {
  const end = Buffer.from(name);
  const isBefore = (text: string): boolean => Buffer.compare(Buffer.from(text), end) < 0;
  const first = items.findIndex((listed) => !isBefore(listed.name));
  if (first !== -1) return { items: items.slice(0, first), next: undefined };
  return { items, next: next !== undefined && isBefore(next) ? next : undefined };
}

/** About a second's work. "The service may return fewer results than specified by maxresults" ("List Blobs", Remarks). */
const hiddenMax = 20_000;

/** Most blobs' elements are shorter; the bytes grow for those that are not. */
const bytesOfMost = 768;

/** Other choices belong to accounts with a hierarchical namespace ("List Blobs", URI parameters). */
function onlyDeleted(showOnly: string | undefined): boolean {
  if (showOnly === undefined || showOnly === '') return false;
  if (showOnly.toLowerCase() !== 'deleted') throw queryError('showonly', showOnly);
  return true;
}

function pastShown(include: ReadonlySet<string>, deletedOnly: boolean): PastShown | undefined {
  if (deletedOnly) return { snapshots: false, versions: false, deleted: true, versionsOnly: false, alone: true };
  const past = {
    snapshots: include.has('snapshots'),
    versions: include.has('versions'),
    deleted: include.has('deleted'),
    versionsOnly: include.has('deletedwithversions'),
  };
  return Object.values(past).some(Boolean) ? { ...past, alone: false } : undefined;
}

function later(a: string, b: string): string {
  return Buffer.compare(Buffer.from(a), Buffer.from(b)) >= 0 ? a : b;
}

interface Shown {
  readonly nowMs: number;
  readonly metadata: boolean;
  readonly copy: boolean;
  readonly tags: boolean;
  readonly immutability: boolean;
  readonly legalHold: boolean;
  readonly encodedNames: boolean;
  readonly version: string;
  readonly orMetadata: string;
  /** Of each row's address, where rows have one. */
  readonly base?: string;
}

const isAppendBlob = (listed: Listed): boolean => listed.kind === 'entry' && listed.entry.record.type === 'append';

const uncommittedState =
  '<AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus>' +
  '<LeaseState>available</LeaseState><ServerEncrypted>false</ServerEncrypted></Properties><OrMetadata /></Blob>';

function listedXml(listed: Listed, shown: Shown): string {
  switch (listed.kind) {
    case 'entry':
      return blobXml(listed.name, listed.entry.record, shown, listed.versionsOnly === true);
    case 'prefix':
      return `<BlobPrefix>${nameXml(listed.name, shown)}</BlobPrefix>`;
    case 'uncommitted':
      // What its first commit will give it is left out ("List Blobs", Uncommitted blobs in the response).
      return (
        `<Blob>${nameXml(listed.name, shown)}<Properties><Content-Length>0</Content-Length>` +
        '<BlobType>BlockBlob</BlobType>' +
        withoutNewElements(uncommittedState, shown.version)
      );
  }
}

// One look for whatever needs care keeps the common name cheap.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const needsCare = /[&<>"\0-\x1f\ud800-\udfff\ufffe\uffff]/;

function nameXml(name: string, shown: Shown): string {
  if (!needsCare.test(name)) return `<Name>${name}</Name>`;
  return shown.encodedNames ? xmlNameElement('Name', name) : `<Name>${escapeXml(name)}</Name>`;
}

function text(value: string): string {
  return needsCare.test(value) ? escapeXml(value) : value;
}

/** The elements in the order in which the service gives them. */
function blobXml(name: string, record: EntryRecord, shown: Shown, versionsOnly: boolean): string {
  const { headers, lease, copy, tags } = record;
  const created = formatHttpDate(record.createdMs);
  const url = shown.base === undefined ? '' : urlXml(shown.base, name, record);
  let out = `<Blob>${nameXml(name, shown)}${timeXml(record, versionsOnly)}${url}<Properties><Creation-Time>${created}</Creation-Time><Last-Modified>${
    record.modifiedMs === record.createdMs ? created : formatHttpDate(record.modifiedMs)
  }</Last-Modified><Etag>${record.etag}</Etag><Content-Length>${record.length}</Content-Length>`;
  // Only an empty one has another form, and most are the same few.
  if (headers.contentType === '') out += '<Content-Type />';
  else out += `<Content-Type>${text(headers.contentType ?? 'application/octet-stream')}</Content-Type>`;
  out +=
    headers.contentEncoding === undefined
      ? '<Content-Encoding />'
      : xmlElement('Content-Encoding', headers.contentEncoding);
  out +=
    headers.contentLanguage === undefined
      ? '<Content-Language />'
      : xmlElement('Content-Language', headers.contentLanguage);
  out += '<Content-CRC64 />';
  out +=
    headers.contentMd5 === undefined ? '<Content-MD5 />' : `<Content-MD5>${text(headers.contentMd5)}</Content-MD5>`;
  out += headers.cacheControl === undefined ? '<Cache-Control />' : xmlElement('Cache-Control', headers.cacheControl);
  out +=
    headers.contentDisposition === undefined
      ? '<Content-Disposition />'
      : xmlElement('Content-Disposition', headers.contentDisposition);
  if (record.type === 'page') {
    out += `<x-ms-blob-sequence-number>${record.sequence ?? 0}</x-ms-blob-sequence-number>`;
  }
  out += `<BlobType>${blobTypes[record.type]}</BlobType>`;
  if (record.type !== 'block') out += record.isSealed === true ? '<Sealed>true</Sealed>' : '';
  else if (record.tier === undefined)
    out += '<AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>';
  else {
    out += `<AccessTier>${record.tier}</AccessTier>${rehydrationXml(record)}`;
    if (record.tierChangedMs !== undefined) {
      out += `<AccessTierChangeTime>${formatHttpDate(record.tierChangedMs)}</AccessTierChangeTime>`;
    }
  }
  // Only the current state can be leased; of a deleted one the service tells the status alone.
  if (record.past !== undefined) out += record.past.kind === 'base' ? '<LeaseStatus />' : '';
  else if (lease === undefined) out += '<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>';
  else {
    const state = leaseState(lease, shown.nowMs);
    out += `<LeaseStatus>${state === 'leased' || state === 'breaking' ? 'locked' : 'unlocked'}</LeaseStatus><LeaseState>${state}</LeaseState>`;
    if (state === 'leased') out += `<LeaseDuration>${leaseDuration(lease)}</LeaseDuration>`;
  }
  if (shown.copy && copy !== undefined) {
    out += `<CopyId>${copy.id}</CopyId>${xmlElement('CopySource', copy.source)}<CopyStatus>${copy.status}</CopyStatus><CopyProgress>${copy.bytes}/${copy.total}</CopyProgress>`;
    if (copy.completedMs !== undefined) {
      out += `<CopyCompletionTime>${formatHttpDate(copy.completedMs)}</CopyCompletionTime>`;
    }
  }
  if (shown.copy && record.incremental !== undefined) out += '<IncrementalCopy>true</IncrementalCopy>';
  out += '<ServerEncrypted>true</ServerEncrypted>';
  const { encryption } = record;
  if (encryption?.keySha256 !== undefined) {
    out += `<CustomerProvidedKeySha256>${encryption.keySha256}</CustomerProvidedKeySha256>`;
  }
  if (encryption?.scope !== undefined) out += `<EncryptionScope>${encryption.scope}</EncryptionScope>`;
  out += stateXml(record, shown);
  if (tags !== undefined) out += `<TagCount>${Object.keys(tags).length}</TagCount>`;
  out = `${withoutNewElements(out, shown.version)}</Properties>`;
  if (shown.metadata) out += metadataXml(record.metadata);
  if (shown.tags && tags !== undefined) out += tagsXml(tags);
  return `${out}${shown.orMetadata}</Blob>`;
}

function urlXml(base: string, name: string, { past }: EntryRecord): string {
  const path = name.split('/').map(encodeURIComponent).join('/');
  return `<Url>${base}${path}${past?.kind === 'snapshot' ? `?snapshot=${past.time}` : ''}</Url>`;
}

/** Which state it is, where a name has several. */
function timeXml({ past, version }: EntryRecord, versionsOnly: boolean): string {
  if (versionsOnly) return '<Deleted>true</Deleted><HasVersionsOnly>true</HasVersionsOnly>';
  if (past === undefined) {
    return version === undefined ? '' : `<VersionId>${version}</VersionId><IsCurrentVersion>true</IsCurrentVersion>`;
  }
  const deleted = past.deletedMs === undefined ? '' : '<Deleted>true</Deleted>';
  if (past.kind === 'snapshot') return `<Snapshot>${past.time}</Snapshot>${deleted}`;
  return past.kind === 'version' ? `<VersionId>${past.time}</VersionId>${deleted}` : deleted;
}

function rehydrationXml(record: EntryRecord): string {
  const { rehydration } = record;
  if (rehydration === undefined) return '';
  return `${xmlElement('ArchiveStatus', archiveStatus(record))}<RehydratePriority>${rehydration.priority}</RehydratePriority>`;
}

/** What few blobs have. */
function stateXml(record: EntryRecord, shown: Shown): string {
  const { past, immutability } = record;
  const { nowMs } = shown;
  let out = '';
  if (past?.deletedMs !== undefined) {
    const days = Math.max(0, Math.ceil(((past.purgeMs ?? nowMs) - nowMs) / dayMs));
    out += `<DeletedTime>${formatHttpDate(past.deletedMs)}</DeletedTime><RemainingRetentionDays>${days}</RemainingRetentionDays>`;
  }
  if (shown.immutability && immutability !== undefined) {
    out += `<ImmutabilityPolicyUntilDate>${formatHttpDate(immutability.untilMs)}</ImmutabilityPolicyUntilDate>`;
    out += `<ImmutabilityPolicyMode>${immutability.mode}</ImmutabilityPolicyMode>`;
  }
  if (shown.legalHold && record.legalHold !== undefined) out += '<LegalHold>true</LegalHold>';
  if (record.lastAccessMs !== undefined) {
    out += `<LastAccessTime>${formatHttpDate(record.lastAccessMs)}</LastAccessTime>`;
  }
  return out;
}
