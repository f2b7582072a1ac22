// Delete Blob.
import { checkEntry, deleteEntry } from '../../namespace/entries.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { headerError } from './headers-in.ts';
import { one } from './request.ts';

export async function deleteBlob(call: BlobCall): Promise<Answer> {
  for (const parameter of ['snapshot', 'versionid']) {
    if (one(call.query, parameter) !== undefined) throw new BlobError('BlobNotFound');
  }
  const snapshots = call.headers['x-ms-delete-snapshots']?.toLowerCase();
  if (snapshots !== undefined && snapshots !== 'include' && snapshots !== 'only') {
    throw headerError('x-ms-delete-snapshots', snapshots);
  }
  const change = blobChange(call);
  // There are no snapshots to delete by themselves: the blob is looked at as for its own deletion, and stays.
  const outcome = await (snapshots === 'only' ? checkEntry(call.store, change) : deleteEntry(call.store, change));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 202, headers: { 'x-ms-delete-type-permanent': 'true' } };
}
