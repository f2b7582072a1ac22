// Append Block From URL: a range of another blob at the end of an append blob, shared with it where that can be.
import { appendBlock, appendRange } from '../../namespace/append.ts';
import type { CopySource } from '../../namespace/copy.ts';
import type { Sealing } from '../../namespace/scopes.ts';
import type { Answer } from '../http/answer.ts';
import { addedSealing, lookAtTarget } from './added-sealing.ts';
import { appendCommand, appendError, appendedHeaders } from './append-block.ts';
import type { BlobCall } from './call.ts';
import { sealed } from './encryption-headers.ts';
import { checkSums, copySource, sharesSeal, sourceError, sourceSums } from './source.ts';
import { localRange, type RangeWanted, withSourceBody } from './source-range.ts';
import { askedSumHeaders } from './upload-body.ts';
import { bytesMax } from './version-differences.ts';

export async function appendBlockFromUrl(call: BlobCall): Promise<Answer> {
  const command = appendCommand(call);
  const found = await copySource(call, false);
  const target = await lookAtTarget(call, command, 'append');
  const sealing = await addedSealing(call, target);
  const wanted: RangeWanted = { lengthMax: bytesMax('append', call.version) };
  if (found.kind === 'local') {
    const shared = await appendShared(call, command, found.source, wanted, sealing);
    if (shared !== undefined) return shared;
  }
  const sums = sourceSums(call);
  const outcome = await withSourceBody(call, found, wanted, sealing, (body) =>
    appendBlock(call.store, { ...command, ...sealed(sealing), body: { ...body, ...sums } }),
  );
  if (outcome.kind !== 'ok') throw appendError(outcome);
  return {
    status: 201,
    headers: { ...appendedHeaders(outcome), ...askedSumHeaders(call, { md5: sums.md5, crc64: outcome.crc64 }) },
  };
}

/** Undefined: the source's pieces cannot be the blob's as well, and the bytes must be brought. */
async function appendShared(
  call: BlobCall,
  command: ReturnType<typeof appendCommand>,
  source: CopySource,
  wanted: RangeWanted,
  sealing: Sealing | undefined,
): Promise<Answer | undefined> {
  const { entry, offset, length, unsealer } = await localRange(call, source, wanted);
  if (!sharesSeal(call, source, entry.record.encryption, sealing)) return undefined;
  const expected = sourceSums(call);
  const sums = await call.hold((gone) => checkSums(call, entry, offset, length, expected, unsealer, gone));
  const same: CopySource = { ...source, conditions: { ifMatch: entry.record.etag } };
  const outcome = await appendRange(call.store, { ...command, source: same, sourceOffset: offset, length });
  if (outcome.kind === 'body-needed') return undefined;
  if (outcome.kind === 'source-failed') throw sourceError(outcome.failure);
  if (outcome.kind !== 'ok') throw appendError(outcome);
  return { status: 201, headers: { ...appendedHeaders(outcome), ...askedSumHeaders(call, sums) } };
}
