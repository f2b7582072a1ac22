// Lease Blob: acquire, renew, change, release, break.
import { leaseEntry } from '../../namespace/lease-entry.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { failureError } from './errors.ts';
import { stamp } from './headers-out.ts';
import { leaseAnswer, parseLeaseAction } from './lease-command.ts';

/** What the service says of blocks that wait for their list. */
const neverCommitted = { etag: '0x701CE1722770000', modifiedMs: Date.UTC(1601, 0) };

export async function leaseBlob(call: BlobCall): Promise<Answer> {
  const action = parseLeaseAction(call);
  const { leaseId: _, ...change } = blobChange(call);
  const outcome = await leaseEntry(call.store, change, action);
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return leaseAnswer(action, stamp(outcome.entry?.record ?? neverCommitted), outcome);
}
