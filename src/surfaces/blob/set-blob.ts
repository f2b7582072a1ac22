// Set Blob Properties, Set Blob Metadata, Set Blob Tier: changes of a blob that leave its bytes alone.
import { changeEntry } from '../../namespace/entries.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { contentHeaders, metadata, required, tier } from './headers-in.ts';
import { stamp } from './headers-out.ts';

/** If any content header is given, all are set: those that are missing are cleared. */
export async function setBlobProperties(call: BlobCall): Promise<Answer> {
  for (const name of ['x-ms-blob-content-length', 'x-ms-sequence-number-action', 'x-ms-blob-sequence-number']) {
    if (call.headers[name] !== undefined) throw new BlobError('InvalidBlobType');
  }
  const headers = contentHeaders(call.headers, false);
  const outcome = await changeEntry(call.store, blobChange(call), () => ({ headers }));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: stamp(outcome.entry.record) };
}

export async function setBlobMetadata(call: BlobCall): Promise<Answer> {
  const named = metadata(call.rawHeaders);
  const outcome = await changeEntry(call.store, blobChange(call), () => ({ metadata: named }));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: { ...stamp(outcome.entry.record), 'x-ms-request-server-encrypted': 'true' } };
}

/** Neither ETag nor Last-Modified change with the tier. */
export async function setBlobTier(call: BlobCall): Promise<Answer> {
  required(call.headers, 'x-ms-access-tier');
  const chosen = tier(call.headers) as string;
  const tierChangedMs = call.nowMs;
  const change = { ...blobChange(call), conditions: {} };
  const outcome = await changeEntry(call.store, change, () => ({ tier: chosen, tierChangedMs }), false);
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: {} };
}
