// Append Blob Seal: an append blob takes no more blocks from then on.
import { sealEntry } from '../../namespace/append.ts';
import type { Answer } from '../http/answer.ts';
import { appendCommand } from './append-block.ts';
import type { BlobCall } from './call.ts';
import { failureError } from './errors.ts';
import { stamp } from './headers-out.ts';

export async function sealBlob(call: BlobCall): Promise<Answer> {
  const outcome = await sealEntry(call.store, appendCommand(call));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 200, headers: { ...stamp(outcome.entry.record), 'x-ms-blob-sealed': 'true' } };
}
