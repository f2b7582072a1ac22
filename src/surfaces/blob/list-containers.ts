// List Containers.
import { dayMs } from '../../base/clock.ts';
import { formatHttpDate } from '../../codec/http-date.ts';
import { escapeXml, xmlDeclaration, xmlElement } from '../../codec/xml-write.ts';
import { isSystemContainer } from '../../namespace/accounts.ts';
import { listContainers as list } from '../../namespace/containers.ts';
import { leaseState } from '../../namespace/leases.ts';
import type { ContainerRecord } from '../../namespace/records.ts';
import type { Answer } from '../http/answer.ts';
import type { Call } from './call.ts';
import { BlobError } from './errors.ts';
import { leaseDuration } from './headers-out.ts';
import { includes, isBehind, pageLimit } from './list-parameters.ts';
import { metadataXml } from './metadata-xml.ts';
import { one } from './request.ts';
import { serviceEndpoint } from './service-endpoint.ts';
import { isBefore, withoutNewElements } from './version-differences.ts';

const includable: ReadonlySet<string> = new Set(['metadata', 'deleted', 'system']);

export async function listContainers(call: Call): Promise<Answer> {
  const { query, target, version } = call;
  const prefix = one(query, 'prefix');
  const marker = one(query, 'marker');
  const { limit, given } = pageLimit(query);
  const include = includes(query, includable);
  const from = fromMarker(target.account, marker);
  const wanted = { prefix: prefix ?? '', from, limit, deleted: include.has('deleted') };
  const page = isBehind(from, wanted.prefix)
    ? { containers: [], next: undefined }
    : await list(call.store, target.account, wanted);
  const endpoint = escapeXml(serviceEndpoint(call));
  const isByUrl = isBefore(version, 'listedEndpoint');
  let out = `${xmlDeclaration}<EnumerationResults ${isByUrl ? 'AccountName' : 'ServiceEndpoint'}="${endpoint}">`;
  if (prefix !== undefined) out += xmlElement('Prefix', prefix);
  if (marker !== undefined) out += xmlElement('Marker', marker);
  if (given !== undefined) out += `<MaxResults>${given}</MaxResults>`;
  let rows = '';
  for (const { name, record } of page.containers) {
    // Shown only to those who ask for them.
    if (isSystemContainer(name) && !include.has('system')) continue;
    const url = isByUrl ? `<Url>${endpoint}${encodeURIComponent(name)}</Url>` : '';
    rows += `<Container><Name>${escapeXml(name)}</Name>${url}${containerXml(record, call)}`;
    if (include.has('metadata')) rows += metadataXml(record.metadata);
    rows += '</Container>';
  }
  out += rows === '' ? '<Containers />' : `<Containers>${rows}</Containers>`;
  out += xmlElement('NextMarker', page.next && `/${target.account}/${page.next}`);
  return { status: 200, headers: { 'Content-Type': 'application/xml' }, body: `${out}</EnumerationResults>` };
}

/** The next container's name behind the account's, as the service gives it. */
function fromMarker(account: string, marker: string | undefined): string {
  if (marker === undefined || marker === '') return '';
  const base = `/${account}/`;
  if (!marker.startsWith(base) || marker.includes('\0')) throw new BlobError('OutOfRangeInput');
  return marker.slice(base.length);
}

function containerXml(record: ContainerRecord, { nowMs, version }: Call): string {
  const state = leaseState(record.lease, nowMs);
  const quote = isBefore(version, 'quotedEtags') ? '' : '"';
  let out = '';
  if (record.deletion !== undefined) out += `<Deleted>true</Deleted><Version>${record.deletion.version}</Version>`;
  out += `<Properties><Last-Modified>${formatHttpDate(record.modifiedMs)}</Last-Modified>`;
  // Here the ETag has its quotes, unlike in List Blobs.
  out += `<Etag>${quote}${record.etag}${quote}</Etag><LeaseStatus>${state === 'leased' || state === 'breaking' ? 'locked' : 'unlocked'}</LeaseStatus>`;
  out += `<LeaseState>${state}</LeaseState>`;
  if (state === 'leased') out += `<LeaseDuration>${leaseDuration(record.lease)}</LeaseDuration>`;
  if (record.publicAccess !== 'none') out += `<PublicAccess>${record.publicAccess}</PublicAccess>`;
  out +=
    `<DefaultEncryptionScope>${record.encryptionScope ?? '$account-encryption-key'}</DefaultEncryptionScope>` +
    `<DenyEncryptionScopeOverride>${record.denyScopeOverride === true}</DenyEncryptionScopeOverride>` +
    `<HasImmutabilityPolicy>${record.immutability !== undefined}</HasImmutabilityPolicy>` +
    `<HasLegalHold>${(record.legalHolds?.length ?? 0) > 0}</HasLegalHold>` +
    `<ImmutableStorageWithVersioningEnabled>${record.versionImmutability === true}</ImmutableStorageWithVersioningEnabled>`;
  const { deletion } = record;
  if (deletion !== undefined) {
    const days = Math.max(0, Math.ceil((deletion.purgeMs - nowMs) / dayMs));
    out += `<DeletedTime>${formatHttpDate(deletion.deletedMs)}</DeletedTime><RemainingRetentionDays>${days}</RemainingRetentionDays>`;
  }
  return withoutNewElements(`${out}</Properties>`, version);
}
