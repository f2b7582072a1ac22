// Put Block From URL: a block that is a range of another blob, shared with it.
import { createHash } from 'node:crypto';
import { crc64, crc64ToBase64 } from '../../codec/crc64.ts';
import { parseRange, resolveRange } from '../../codec/http-range.ts';
import { type CopySource, stageRange } from '../../namespace/copy.ts';
import { stageBlock } from '../../namespace/uploads.ts';
import type { Answer } from '../http/answer.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { conditions, crc64 as crcHeader, md5, required } from './headers-in.ts';
import { blockBytesMax, stageCommand } from './put-block.ts';
import { gatherBytes, sourceError, sourceOf } from './source.ts';

export async function putBlockFromUrl(call: BlobCall): Promise<Answer> {
  const command = stageCommand(call);
  const local = await call.openSource(required(call.headers, 'x-ms-copy-source'));
  const wanted: CopySource = {
    account: local.account,
    container: local.container,
    name: local.blob,
    conditions: conditions(call.headers, 'x-ms-source-'),
  };
  const entry = await sourceOf(call, wanted);
  const source: CopySource = { ...wanted, conditions: { ifMatch: entry.record.etag } };
  const range = resolveRange(parseRange(call.headers['x-ms-source-range']), entry.record.length);
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

/** The sums of the range: checked if they were sent, and told to the client, as for bytes that it sends itself. */
async function sum(call: BlobCall, entry: Awaited<ReturnType<typeof sourceOf>>, offset: number, length: number) {
  const wantedMd5 = md5(call.headers, 'x-ms-source-content-md5');
  const wantedCrc = crcHeader(call.headers, 'x-ms-source-content-crc64');
  const hash = wantedMd5 && createHash('md5');
  let crc = 0n;
  await gatherBytes(call, entry, offset, length, (bytes) => {
    hash?.update(bytes);
    crc = crc64(bytes, crc);
  });
  if (hash !== undefined && !hash.digest().equals(wantedMd5 as Buffer)) throw new BlobError('Md5Mismatch');
  if (wantedCrc !== undefined && wantedCrc !== crc) throw new BlobError('Crc64Mismatch');
  return wantedMd5 === undefined
    ? { 'x-ms-content-crc64': crc64ToBase64(crc) }
    : { 'Content-MD5': wantedMd5.toString('base64') };
}
