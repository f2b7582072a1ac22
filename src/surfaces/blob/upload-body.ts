// The body of an upload as the namespace takes it: announced length, limits, expected sums.
import { createHash } from 'node:crypto';
import { crc64 as crc64Of, crc64ToBase64 } from '../../codec/crc64.ts';
import {
  decodeStructured,
  framingBytesMax,
  StructuredMessageError,
  structuredBody,
} from '../../codec/structured-message.ts';
import type { Body } from '../../namespace/ingest.ts';
import type { Call } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { contentLength, crc64, headerError, isStructured, md5, required, wholeNumber } from './headers-in.ts';
import type { OutHeaders } from './headers-out.ts';
import type { Headers } from './request.ts';
import { isBefore } from './version-differences.ts';

/** Refuses a length that is missing or beyond `bytesMax` before a byte is read. */
export function uploadBody(call: Call, bytesMax: number, wantMd5: boolean): Body {
  const sent = contentLength(call.headers);
  const structured = isStructured(call.headers) ? structuredUpload(call, sent) : undefined;
  const length = structured === undefined ? sent : structured.length;
  const lengthMax = Math.min(bytesMax, call.settings.bodyBytesMax);
  if (length > lengthMax) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${lengthMax}` });
  const expectedMd5 = md5(call.headers, 'content-md5');
  const expectedCrc64 = crc64(call.headers, 'x-ms-content-crc64');
  if (expectedMd5 !== undefined && expectedCrc64 !== undefined) {
    throw new BlobError('BothCrc64AndMd5HeaderPresent');
  }
  return {
    chunks: structured?.chunks ?? call.body,
    ownsChunks: true,
    length,
    lengthMax,
    wantMd5,
    ...(expectedMd5 && { md5: expectedMd5 }),
    ...(expectedCrc64 !== undefined && { crc64: expectedCrc64 }),
  };
}

/** A message with a CRC-64 for each segment of the body: what is in it, verified, and how long that is. */
function structuredUpload({ headers, body }: Call, sent: number): Pick<Body, 'chunks'> & { length: number } {
  required(headers, 'x-ms-structured-content-length');
  const length = wholeNumber(headers, 'x-ms-structured-content-length') as number;
  // Both are of the whole body: of the message, or of its content, the reference does not say.
  if (headers['content-md5'] !== undefined || headers['x-ms-content-crc64'] !== undefined) {
    throw new BlobError('InvalidInput', {}, 'A structured message carries its own sums: no other may stand beside it.');
  }
  if (sent > length + framingBytesMax) {
    throw headerError('x-ms-structured-content-length', `${length}`);
  }
  return { length, chunks: verified(decodeStructured(body, { messageLength: sent, contentLength: length })) };
}

async function* verified(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* chunks;
  } catch (error) {
    if (!(error instanceof StructuredMessageError)) throw error;
    const { problem } = error;
    throw problem.kind === 'malformed' ? new BlobError('InvalidInput', {}, `${problem.what}.`) : failureError(problem);
  }
}

/** Says that a structured message was understood: clients that sent one insist on it. */
export function structuredHeaders({ headers }: Call): OutHeaders {
  return isStructured(headers) ? { 'x-ms-structured-body': structuredBody } : {};
}

/** Of a body that was read whole: the sums that were sent with it are checked, and come back; with `wantsMd5` in any case. */
export function checkSums(headers: Headers, body: Uint8Array, wantsMd5 = false): Sums {
  const expectedMd5 = md5(headers, 'content-md5');
  const expectedCrc64 = crc64(headers, 'x-ms-content-crc64');
  if (expectedMd5 !== undefined && expectedCrc64 !== undefined) throw new BlobError('BothCrc64AndMd5HeaderPresent');
  const isSummed = wantsMd5 || expectedMd5 !== undefined;
  const computed = isSummed ? createHash('md5').update(body).digest() : undefined;
  if (expectedMd5 !== undefined && computed !== undefined && !computed.equals(expectedMd5)) {
    throw failureError({ kind: 'md5-mismatch', given: expectedMd5, computed });
  }
  const crc = crc64Of(body);
  if (expectedCrc64 !== undefined && expectedCrc64 !== crc) {
    throw failureError({ kind: 'crc64-mismatch', given: expectedCrc64, computed: crc });
  }
  return { md5: computed, crc64: crc };
}

interface Sums {
  readonly md5: Buffer | undefined;
  readonly crc64: bigint;
}

/** Of a whole blob, both sums that were made. */
export function sumHeaders(sums: Sums): OutHeaders {
  return { 'Content-MD5': sums.md5?.toString('base64'), 'x-ms-content-crc64': crc64ToBase64(sums.crc64) };
}

/** Whether the MD5 of a part of a blob comes back also where none was sent. */
export function answersMd5({ version }: Call): boolean {
  return isBefore(version, 'crcOfBlocks');
}

/** Content-MD5 comes back if one was sent, otherwise the CRC-64 ("Put Block", from 2019-02-02 on), by now in any case. */
export function blockSumHeaders(call: Call, sums: Sums): OutHeaders {
  const askedMd5 = call.headers['content-md5'] !== undefined || answersMd5(call) ? sums.md5 : undefined;
  return { ...askedSumHeaders(call, { md5: askedMd5, crc64: sums.crc64 }), ...structuredHeaders(call) };
}

/** The same where `md5` is there only if one was sent. */
export function askedSumHeaders(call: Call, { md5, crc64 }: Sums): OutHeaders {
  const crc = { 'x-ms-content-crc64': crc64ToBase64(crc64) };
  if (md5 === undefined) return crc;
  return { 'Content-MD5': md5.toString('base64'), ...(!isBefore(call.version, 'bothSums') && crc) };
}
