// Delete Blob.
import { deleteEntry } from '../../namespace/entries.ts';
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
  const snapshots = call.headers['x-ms-delete-snapshots'];
  if (snapshots !== undefined && snapshots !== 'include' && snapshots !== 'only') {
    throw headerError('x-ms-delete-snapshots', snapshots);
  }
  // There are no snapshots to delete by themselves.
  if (snapshots === 'only') return { status: 202, headers: {} };
  const outcome = await deleteEntry(call.store, blobChange(call));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 202, headers: { 'x-ms-delete-type-permanent': 'true' } };
}
