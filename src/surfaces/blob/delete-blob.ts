// Delete Blob and Undelete Blob.
import { deleteEntry, undeleteEntry } from '../../namespace/times.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { headerError } from './headers-in.ts';
import { one } from './request.ts';

/** A condition that would not be looked at must not delete. */
const tierConditions = ['x-ms-access-tier-if-modified-since', 'x-ms-access-tier-if-unmodified-since'];

export async function deleteBlob(call: BlobCall): Promise<Answer> {
  const snapshots = call.headers['x-ms-delete-snapshots']?.toLowerCase();
  if (snapshots !== undefined && snapshots !== 'include' && snapshots !== 'only') {
    throw headerError('x-ms-delete-snapshots', snapshots);
  }
  for (const name of tierConditions) {
    if (call.headers[name] !== undefined) throw new BlobError('UnsupportedHeader', { HeaderName: name });
  }
  const change = blobChange(call, true);
  if (snapshots !== undefined && change.at !== undefined) throw new BlobError('InvalidQueryParameterValue');
  const type = one(call.query, 'deletetype')?.toLowerCase();
  if (type !== undefined && type !== 'permanent') {
    throw new BlobError('InvalidQueryParameterValue', { QueryParameterName: 'deletetype', QueryParameterValue: type });
  }
  const outcome = await deleteEntry(call.store, {
    ...change,
    ...(snapshots !== undefined && { snapshots }),
    ...(type !== undefined && { permanent: true }),
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 202, headers: { 'x-ms-delete-type-permanent': `${!outcome.kept}` } };
}

export async function undeleteBlob(call: BlobCall): Promise<Answer> {
  const outcome = await undeleteEntry(call.store, blobChange(call));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: {} };
}
