// Set Blob Properties, Set Blob Metadata, Set Blob Tier: changes of a blob that leave its bytes alone.
import { changeEntry } from '../../namespace/entries.ts';
import { type OnlineTier, setTier } from '../../namespace/tiers.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { conditions, contentHeaders, metadata, rehydratePriority, required, tier } from './headers-in.ts';
import { stamp } from './headers-out.ts';

/** If any content header is given, all are set: those that are missing are cleared. */
export async function setBlobProperties(call: BlobCall): Promise<Answer> {
  for (const name of ['x-ms-blob-content-length', 'x-ms-sequence-number-action', 'x-ms-blob-sequence-number']) {
    if (call.headers[name] !== undefined) throw new BlobError('InvalidBlobType');
  }
  const headers = contentHeaders(call.headers, false);
  const outcome = await changeEntry(call.store, blobChange(call), (record) => ({ ...record, headers }));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: stamp(outcome.entry.record) };
}

/** With versioning the metadata before stays behind as a version. */
export async function setBlobMetadata(call: BlobCall): Promise<Answer> {
  const named = metadata(call.rawHeaders);
  const options = { makesVersion: true };
  const outcome = await changeEntry(
    call.store,
    blobChange(call),
    (record) => ({ ...record, metadata: named }),
    options,
  );
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: { ...stamp(outcome.entry.record), 'x-ms-request-server-encrypted': 'true' } };
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
