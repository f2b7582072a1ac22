// What every change of a blob names: where, under which conditions and lease, and why.
import type { EntryChange, EntryTime } from '../../namespace/entries.ts';
import type { BlobCall } from './call.ts';
import { BlobError } from './errors.ts';
import { conditions, entryTime, leaseId } from './headers-in.ts';
import { checkBlobName } from './names.ts';

/** What is done to the current state only was allowed for that, and must not name another. */
export function refusePast(at: EntryTime | undefined): void {
  if (at === undefined) return;
  const parameter = at.kind === 'snapshot' ? 'snapshot' : 'versionid';
  throw new BlobError('UnsupportedQueryParameter', { QueryParameterName: parameter });
}

/** `withTime`: the operation may be of a snapshot or a version; `conditionsOf`: which conditions it takes. */
export function blobChange(call: BlobCall, withTime = false, conditionsOf = conditions): EntryChange {
  const { target, headers } = call;
  checkBlobName(target.blob);
  const lease = leaseId(headers);
  const at = entryTime(call.query);
  if (!withTime) refusePast(at);
  return {
    account: target.account,
    container: target.container,
    name: target.blob,
    conditions: conditionsOf(headers),
    permit: call.allowed.permit,
    ...(lease !== undefined && { leaseId: lease }),
    ...(at && { at }),
    cause: call.cause,
    held: call.hold,
  };
}
