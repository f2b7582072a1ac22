// Put Block From URL: a block that is a range of another blob, shared with it.
import { createHash } from 'node:crypto';
import { crc64, crc64ToBase64 } from '../../codec/crc64.ts';
import { type HttpRange, parseRange, resolveRange } from '../../codec/http-range.ts';
import { type CopySource, stageRange } from '../../namespace/copy.ts';
import { stageBlock } from '../../namespace/uploads.ts';
import type { Answer } from '../http/answer.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { crc64 as crcHeader, headerError, md5 } from './headers-in.ts';
import { blockBytesMax, stageCommand } from './put-block.ts';
import { cannotVerifySource, copySource, gatherBytes, sourceError, sourceOf } from './source.ts';

export async function putBlockFromUrl(call: BlobCall): Promise<Answer> {
  const command = stageCommand(call);
  const wanted = await copySource(call, false);
  const entry = await sourceOf(call, wanted);
  if (entry.record.tier === 'Archive') throw cannotVerifySource(new BlobError('BlobArchived'));
  const source: CopySource = { ...wanted, conditions: { ifMatch: entry.record.etag } };
  const range = resolveRange(sourceRange(call), entry.record.length);
  if (range.kind === 'unsatisfiable' || entry.record.length === 0) throw new BlobError('InvalidRange');
  const { start, length } = range.kind === 'part' ? range : { start: 0, length: entry.record.length };
  if (length > blockBytesMax) throw new BlobError('RequestBodyTooLarge');
  const sums = await sum(call, entry, start, length);
  const outcome = await stageRange(call.store, { ...command, source, offset: start, length });
  if (outcome.kind === 'source-failed') throw sourceError(outcome.failure);
  if (outcome.kind === 'inline') {
    // Bytes that ride in the source's record have no extent to share: they are staged as a body.
    const chunks = (async function* () {
      yield outcome.bytes;
    })();
    const body = { chunks, length: outcome.bytes.length, lengthMax: outcome.bytes.length, wantMd5: false };
    const staged = await stageBlock(call.store, { ...command, body });
    if (staged.kind !== 'ok') throw failureError(staged);
  } else if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 201, headers: { ...sums, 'x-ms-request-server-encrypted': 'true' } };
}

/** Of what is copied, unlike of what is read, a range that cannot be understood must not be taken for all of it. */
function sourceRange(call: BlobCall): HttpRange {
  const text = call.headers['x-ms-source-range'];
  const range = parseRange(text);
  if (range.kind === 'none' && text !== undefined && text !== '') throw headerError('x-ms-source-range', text);
  return range;
}

/** The sums of the range: checked if they were sent, and told to the client, as for bytes that it sends itself. */
async function sum(call: BlobCall, entry: Awaited<ReturnType<typeof sourceOf>>, offset: number, length: number) {
  const wantedMd5 = md5(call.headers, 'x-ms-source-content-md5');
  const wantedCrc = crcHeader(call.headers, 'x-ms-source-content-crc64');
  if (wantedMd5 !== undefined && wantedCrc !== undefined) throw new BlobError('BothCrc64AndMd5HeaderPresent');
  const hash = wantedMd5 && createHash('md5');
  let crc = 0n;
  await gatherBytes(call, entry, offset, length, (bytes) => {
    hash?.update(bytes);
    crc = crc64(bytes, crc);
  });
  const computed = hash?.digest();
  if (wantedMd5 !== undefined && computed !== undefined && !computed.equals(wantedMd5)) {
    throw failureError({ kind: 'md5-mismatch', given: wantedMd5, computed });
  }
  if (wantedCrc !== undefined && wantedCrc !== crc) {
    throw failureError({ kind: 'crc64-mismatch', given: wantedCrc, computed: crc });
  }
  return wantedMd5 === undefined
    ? { 'x-ms-content-crc64': crc64ToBase64(crc) }
    : { 'Content-MD5': wantedMd5.toString('base64') };
}
