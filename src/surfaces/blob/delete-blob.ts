// Delete Blob and Undelete Blob.
import { type DeleteCommand, deleteEntry, undeleteEntry } from '../../namespace/times.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { date, headerError } from './headers-in.ts';
import { type Headers, one } from './request.ts';

export async function deleteBlob(call: BlobCall): Promise<Answer> {
  const snapshots = call.headers['x-ms-delete-snapshots']?.toLowerCase();
  if (snapshots !== undefined && snapshots !== 'include' && snapshots !== 'only') {
    throw headerError('x-ms-delete-snapshots', snapshots);
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
    refusal: tierCondition(call.headers),
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 202, headers: { 'x-ms-delete-type-permanent': `${!outcome.kept}` } };
}

/** On the time at which the tier was set last; one that never was has not been modified since any time. */
function tierCondition(headers: Headers): NonNullable<DeleteCommand['refusal']> {
  const sinceMs = date(headers, 'x-ms-access-tier-if-modified-since');
  const untilMs = date(headers, 'x-ms-access-tier-if-unmodified-since');
  if (sinceMs !== undefined && untilMs !== undefined) throw new BlobError('MultipleConditionHeadersNotSupported');
  return ({ tierChangedMs }) => {
    const isLater = (ms: number): boolean =>
      tierChangedMs !== undefined && Math.floor(tierChangedMs / 1000) > Math.floor(ms / 1000);
    const isMet = (sinceMs === undefined || isLater(sinceMs)) && (untilMs === undefined || !isLater(untilMs));
    return isMet ? undefined : { kind: 'condition-not-met' };
  };
}

export async function undeleteBlob(call: BlobCall): Promise<Answer> {
  const outcome = await undeleteEntry(call.store, blobChange(call));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: {} };
}
