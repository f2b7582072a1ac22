// Incremental Copy Blob: a page blob becomes a snapshot of another, sharing its pages, and keeps a snapshot of that.
import { randomUUID } from 'node:crypto';
import { copyIncrement } from '../../namespace/incremental.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { writeSealing } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { required } from './headers-in.ts';
import { stamp } from './headers-out.ts';
import { copySource, sharesSeal, sourceError, sourceOf } from './source.ts';

/** Done when it is answered, as Copy Blob is. A source on another server is refused: its pages cannot be shared. */
export async function incrementalCopy(call: BlobCall): Promise<Answer> {
  const found = await copySource(call, true);
  if (found.kind === 'remote') {
    throw new BlobError('NotImplemented', {}, 'Incremental copies are of blobs on this server only.');
  }
  const { source } = found;
  if (source.at?.kind !== 'snapshot') throw new BlobError('IncrementalCopySourceMustBeSnapshot');
  const { record } = await sourceOf(call, source, 'copy-from');
  // The pages are shared as they lie there: nothing is sealed anew, and nothing goes in the clear where it must not.
  if (!sharesSeal(call, source, record.encryption, await writeSealing(call))) {
    const message = 'The source is encrypted otherwise than its copy has to be: an incremental copy shares its pages.';
    throw new BlobError('NotImplemented', {}, message);
  }
  const copyId = randomUUID();
  const url = required(call.headers, 'x-ms-copy-source');
  const question = url.indexOf('?');
  const sourceUrl = question === -1 ? url : url.slice(0, question);
  const outcome = await copyIncrement(call.store, {
    ...blobChange(call),
    source,
    encryption: record.encryption,
    sourceUrl,
    copyId,
  });
  if (outcome.kind === 'source-failed') throw sourceError(outcome.failure);
  if (outcome.kind === 'condition-not-met') throw new BlobError('TargetConditionNotMet');
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 202,
    headers: { ...stamp(outcome.entry.record), 'x-ms-copy-id': copyId, 'x-ms-copy-status': 'success' },
  };
}
