// Put Block: one block of a blob to be, staged under its id.
import { type StageBlock, stageBlock } from '../../namespace/uploads.ts';
import type { Answer } from '../http/answer.ts';
import { refusePast } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { sealed, writeSealing } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { entryTime, leaseId } from './headers-in.ts';
import { writtenHeaders } from './headers-out.ts';
import { checkBlobName } from './names.ts';
import { one } from './request.ts';
import { answersMd5, blockSumHeaders, uploadBody } from './upload-body.ts';
import { bytesMax } from './version-differences.ts';

const blockIdBytesMax = 64;

export async function putBlock(call: BlobCall): Promise<Answer> {
  const command = stageCommand(call);
  const body = uploadBody(call, bytesMax('block', call.version), answersMd5(call));
  if (body.length === 0) {
    throw new BlobError('InvalidHeaderValue', { HeaderName: 'Content-Length', HeaderValue: '0' });
  }
  const sealing = await writeSealing(call);
  const sealedBody = { ...body, seal: sealing?.sealer };
  const outcome = await stageBlock(call.store, { ...command, ...sealed(sealing), body: sealedBody });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 201, headers: { ...blockSumHeaders(call, outcome), ...writtenHeaders(sealing?.encryption) } };
}

export function stageCommand(call: BlobCall): StageBlock {
  const { target, headers } = call;
  checkBlobName(target.blob);
  refusePast(entryTime(call.query));
  const text = one(call.query, 'blockid');
  if (text === undefined || text === '') {
    throw new BlobError('MissingRequiredQueryParameter', { QueryParameterName: 'blockid' });
  }
  const lease = leaseId(headers);
  return {
    account: target.account,
    container: target.container,
    name: target.blob,
    ...(lease !== undefined && { leaseId: lease }),
    permit: call.allowed.permit,
    blockId: parseBlockId(text),
  };
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The id's bytes: base64 in the request, at most 64 bytes before that. */
export function parseBlockId(text: string): Buffer {
  if (!base64.test(text)) {
    throw new BlobError('InvalidQueryParameterValue', {
      QueryParameterName: 'blockid',
      QueryParameterValue: text,
      Reason: 'Not a valid base64 string.',
    });
  }
  const id = Buffer.from(text, 'base64');
  if (id.length === 0 || id.length > blockIdBytesMax) {
    throw new BlobError('OutOfRangeInput', {}, 'Block ID length cannot exceed 64 bytes.');
  }
  return id;
}
