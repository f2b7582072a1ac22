// Append Block: bytes at the end of an append blob.
import { type Append, type AppendedOutcome, appendBlock, appendsMax } from '../../namespace/append.ts';
import type { Failure } from '../../namespace/failure.ts';
import type { Answer } from '../http/answer.ts';
import { addedSealing, lookAtTarget } from './added-sealing.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { sealed } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { wholeNumber } from './headers-in.ts';
import { type OutHeaders, stamp, writtenHeaders } from './headers-out.ts';
import { answersMd5, blockSumHeaders, uploadBody } from './upload-body.ts';
import { bytesMax } from './version-differences.ts';

export async function appendBlockOf(call: BlobCall): Promise<Answer> {
  const command = appendCommand(call);
  const body = uploadBody(call, bytesMax('append', call.version), answersMd5(call));
  if (body.length === 0) {
    throw new BlobError('InvalidHeaderValue', { HeaderName: 'Content-Length', HeaderValue: '0' });
  }
  const target = await lookAtTarget(call, command, 'append');
  const sealing = await addedSealing(call, target);
  const outcome = await appendBlock(call.store, {
    ...command,
    ...sealed(sealing),
    body: { ...body, seal: sealing?.sealer },
  });
  if (outcome.kind !== 'ok') throw appendError(outcome);
  return { status: 201, headers: { ...appendedHeaders(outcome), ...blockSumHeaders(call, outcome) } };
}

export function appendCommand(call: BlobCall): Append {
  const position = wholeNumber(call.headers, 'x-ms-blob-condition-appendpos');
  const lengthMax = wholeNumber(call.headers, 'x-ms-blob-condition-maxsize');
  return {
    ...blobChange(call),
    append: { ...(position !== undefined && { position }), ...(lengthMax !== undefined && { lengthMax }) },
  };
}

export function appendError(failure: Failure): BlobError {
  if (failure.kind !== 'block-count-exceeded') return failureError(failure);
  const most = appendsMax.toLocaleString('en-US');
  return new BlobError(
    'BlockCountExceedsLimit',
    {},
    `The committed block count cannot exceed the maximum limit of ${most} blocks.`,
  );
}

export function appendedHeaders({
  entry,
  offset,
}: Pick<AppendedOutcome & { kind: 'ok' }, 'entry' | 'offset'>): OutHeaders {
  const { record } = entry;
  return {
    ...stamp(record),
    'x-ms-blob-append-offset': offset,
    'x-ms-blob-committed-block-count': record.appendedBlocks,
    ...writtenHeaders(record.encryption),
  };
}
