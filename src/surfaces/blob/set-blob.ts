// Set Blob Properties, Set Blob Metadata, Set Blob Tier: changes of a blob that leave its bytes alone.
import { changeEntry, type Edit } from '../../namespace/entries.ts';
import { changePages, type PageProperties } from '../../namespace/pages.ts';
import type { ContentHeaders } from '../../namespace/records.ts';
import { type OnlineTier, setTier } from '../../namespace/tiers.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { encryptionCheck } from './encryption-headers.ts';
import { failureError } from './errors.ts';
import { conditions, contentHeaders, metadata, rehydratePriority, required, tier } from './headers-in.ts';
import { stamp, versionStamp, writtenHeaders } from './headers-out.ts';
import { pageProperties, setsContentHeaders } from './page-properties.ts';
import { pageHeaders } from './put-page.ts';
import type { Headers } from './request.ts';

/** All that are not given are cleared, the type too. */
function newContentHeaders(headers: Headers): ContentHeaders {
  return { contentType: '', ...contentHeaders(headers, false) };
}

/**
 * If any content header is given, all are set: those that are missing are cleared. The blob's encryption scope need not
 * be named: Microsoft's description of the operation (Blob_SetHTTPHeaders) has no header for it, so clients name none.
 */
export async function setBlobProperties(call: BlobCall): Promise<Answer> {
  const pages = pageProperties(call.headers);
  if (pages !== undefined) return await setPageProperties(call, pages);
  const headers = newContentHeaders(call.headers);
  const mismatch = encryptionCheck(call, false);
  const edit: Edit = (record, container) => mismatch(record, container) ?? { ...record, headers };
  const outcome = await changeEntry(call.store, blobChange(call), edit, { act: 'set-headers' });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  const { record } = outcome.entry;
  return { status: 200, headers: record.type === 'page' ? pageHeaders(record) : stamp(record) };
}

/** Length and sequence number alone leave the other properties as they are ("Set Blob Properties", Remarks). */
async function setPageProperties(call: BlobCall, pages: PageProperties): Promise<Answer> {
  const headers = setsContentHeaders(call.headers) ? newContentHeaders(call.headers) : undefined;
  const mismatch = encryptionCheck(call, false);
  const outcome = await changePages(call.store, blobChange(call), pages, (record, container) => {
    return mismatch(record, container) ?? (headers === undefined ? record : { ...record, headers });
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: pageHeaders(outcome.entry.record) };
}

/** With versioning the metadata before stays behind as a version. */
export async function setBlobMetadata(call: BlobCall): Promise<Answer> {
  const named = metadata(call.rawHeaders);
  const options = { makesVersion: true, act: 'set-metadata' } as const;
  const mismatch = encryptionCheck(call);
  const edit: Edit = (record, container) => mismatch(record, container) ?? { ...record, metadata: named };
  const outcome = await changeEntry(call.store, blobChange(call), edit, options);
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 200,
    headers: { ...versionStamp(outcome.entry.record), ...writtenHeaders(outcome.entry.record.encryption) },
  };
}

/** Neither ETag nor Last-Modified change with the tier, and of conditions only those on tags are taken. */
export async function setBlobTier(call: BlobCall): Promise<Answer> {
  required(call.headers, 'x-ms-access-tier');
  const chosen = tier(call.headers) as OnlineTier | 'Archive';
  const { ifTags } = conditions(call.headers);
  const change = { ...blobChange(call, true), conditions: ifTags === undefined ? {} : { ifTags } };
  const outcome = await setTier(call.store, change, chosen, rehydratePriority(call.headers));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  // 202: it is on its way out of Archive.
  return { status: outcome.entry.record.rehydration === undefined ? 200 : 202, headers: {} };
}
