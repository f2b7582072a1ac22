// Snapshot Blob.
import type { Past } from '../../namespace/records.ts';
import { snapshotEntry } from '../../namespace/times.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { encryptionCheck } from './encryption-headers.ts';
import { failureError } from './errors.ts';
import { metadata } from './headers-in.ts';
import { stamp } from './headers-out.ts';

export async function snapshotBlob(call: BlobCall): Promise<Answer> {
  const own = metadata(call.rawHeaders);
  const hasOwn = Object.keys(own).length > 0;
  const outcome = await snapshotEntry(call.store, {
    ...blobChange(call),
    ...(hasOwn && { metadata: own }),
    refusal: encryptionCheck(call),
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  const { record } = outcome.entry;
  return {
    status: 201,
    headers: {
      ...stamp(record),
      'x-ms-version-id': outcome.version,
      'x-ms-snapshot': (record.past as Past).time,
      // Only metadata of its own is written.
      'x-ms-request-server-encrypted': `${hasOwn}`,
    },
  };
}
