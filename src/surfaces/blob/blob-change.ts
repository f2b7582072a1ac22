// What every change of a blob names: where, under which conditions and lease, and why.
import type { EntryChange } from '../../namespace/entries.ts';
import type { BlobCall } from './call.ts';
import { conditions, leaseId } from './headers-in.ts';
import { checkBlobName } from './names.ts';

export function blobChange(call: BlobCall): EntryChange {
  const { target, headers } = call;
  checkBlobName(target.blob);
  const lease = leaseId(headers);
  return {
    account: target.account,
    container: target.container,
    name: target.blob,
    conditions: conditions(headers),
    ...(lease !== undefined && { leaseId: lease }),
    cause: call.cause,
  };
}
