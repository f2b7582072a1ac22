// Get Blob and Get Blob Properties: the headers of an entry, and its bytes or a range of them.
import { createHash } from 'node:crypto';
import { dayMs } from '../../base/clock.ts';
import { assert } from '../../base/unreachable.ts';
import { crc64, crc64ToBase64 } from '../../codec/crc64.ts';
import { formatHttpDate } from '../../codec/http-date.ts';
import { formatContentRange, requestedRange, resolveRange } from '../../codec/http-range.ts';
import { encodeStructured, structuredBody, structuredLength } from '../../codec/structured-message.ts';
import { changeEntry, getEntry } from '../../namespace/entries.ts';
import type { Conditions } from '../../namespace/preconditions.ts';
import { checkReadable, readContent, readShortContent } from '../../namespace/read.ts';
import type { Entry, EntryRecord } from '../../namespace/records.ts';
import type { Unsealer } from '../../namespace/scopes.ts';
import { checkState } from '../../namespace/states.ts';
import type { Awaitable } from '../../namespace/store.ts';
import type { Answer, AnswerChunk } from '../http/answer.ts';
import type { BlobCall } from './call.ts';
import { readUnsealer } from './encryption-headers.ts';
import { BlobError, failureError, notModified } from './errors.ts';
import { entryTime, isStructured, leaseId, readConditions } from './headers-in.ts';
import { accessTierHeaders, entryHeaders, type OutHeaders, tierHeaders } from './headers-out.ts';
import { checkBlobName } from './names.ts';
import { isBefore } from './version-differences.ts';

/** A range is summed on request up to this length. */
const summedBytesMax = 4 * 1024 * 1024;

export function getBlob(call: BlobCall): Promise<Answer> {
  // Asked before the read begins: what it throws must not leave a promise that nobody waits for.
  return isStructured(call.headers) ? readBlob(call).then(structuredAnswer) : readBlob(call);
}

/** The same answer with its bytes in segments, each with its CRC-64. */
function structuredAnswer(answer: Answer): Answer {
  const { status, headers, body } = answer;
  // There is nothing new: an answer without a body.
  if (body === undefined) return answer;
  const { length, chunks } = typeof body === 'string' || Buffer.isBuffer(body) ? asOneChunk(Buffer.from(body)) : body;
  assert(length !== undefined, 'the length of a blob is known');
  return {
    status,
    headers: {
      ...headers,
      'x-ms-structured-body': structuredBody,
      'x-ms-structured-content-length': length,
    },
    body: { length: structuredLength(length), chunks: encodeStructured(chunks, length) },
  };
}

function asOneChunk(bytes: Buffer): { readonly length: number; readonly chunks: Iterable<AnswerChunk> } {
  return { length: bytes.length, chunks: [{ bytes, release: () => undefined }] };
}

async function readBlob(call: BlobCall): Promise<Answer> {
  const found = await openBlob(call);
  if (found.kind === 'answer') return found.answer;
  const { entry, unsealer, isVersion } = found;
  const { record } = entry;
  const state = checkState('read', record);
  if (state.kind !== 'ok') throw failureError(state);
  noteAccess(call, entry.record);
  const tier = isBefore(call.version, 'tierOfReads') ? {} : accessTierHeaders(record);
  const headers: OutHeaders = { ...entryHeaders(record, call.nowMs, isVersion), ...tier, ...overrides(call) };
  const wantMd5 = isTrue(call, 'x-ms-range-get-content-md5');
  const wantCrc64 = isTrue(call, 'x-ms-range-get-content-crc64');
  if (wantMd5 && wantCrc64) throw new BlobError('BothCrc64AndMd5RangeHeaderPresent');
  const range = resolveRange(requestedRange(call.headers), record.length);
  if (range.kind === 'unsatisfiable') {
    throw new BlobError('InvalidRange', {}, undefined, { 'Content-Range': `bytes */${record.length}` });
  }
  if (range.kind === 'whole') {
    if (wantMd5 || wantCrc64) throw new BlobError('MissingRequiredHeader', { HeaderName: 'x-ms-range' });
    headers['Content-MD5'] = record.headers.contentMd5;
    return { status: 200, headers, body: await bodyOf(call, entry, 0, record.length, unsealer) };
  }
  const { start, length } = range;
  headers['Content-Range'] = formatContentRange(start, length, record.length);
  headers['x-ms-blob-content-md5'] = record.headers.contentMd5;
  if (!wantMd5 && !wantCrc64) return { status: 206, headers, body: await bodyOf(call, entry, start, length, unsealer) };
  if (length > summedBytesMax) throw new BlobError('OutOfRangeInput');
  const bytes = await gather(call, entry, start, length, unsealer);
  if (wantMd5) headers['Content-MD5'] = createHash('md5').update(bytes).digest('base64');
  else headers['x-ms-content-crc64'] = crc64ToBase64(crc64(bytes));
  return { status: 206, headers, body: bytes };
}

export async function getBlobProperties(call: BlobCall): Promise<Answer> {
  const found = await openBlob(call);
  if (found.kind === 'answer') return found.answer;
  const { record } = found.entry;
  const headers: OutHeaders = {
    ...entryHeaders(record, call.nowMs, found.isVersion),
    ...tierHeaders(record),
    ...overrides(call),
    'Content-Length': record.length,
    'Content-MD5': record.headers.contentMd5,
  };
  return { status: 200, headers };
}

/** Get Blob Metadata answers with the metadata alone. */
export async function getBlobMetadata(call: BlobCall): Promise<Answer> {
  const found = await openBlob(call);
  if (found.kind === 'answer') return found.answer;
  const { record } = found.entry;
  const headers: OutHeaders = { ETag: `"${record.etag}"`, 'Last-Modified': formatHttpDate(record.modifiedMs) };
  for (const name in record.metadata) headers[`x-ms-meta-${name}`] = record.metadata[name];
  return { status: 200, headers };
}

export type OpenedBlob =
  | {
      readonly kind: 'entry';
      readonly entry: Entry;
      readonly unsealer: Unsealer | undefined;
      /** It was asked for by the id of its version. */
      readonly isVersion: boolean;
    }
  | { readonly kind: 'answer'; readonly answer: Answer };

/** The entry that a read asks for, if its conditions hold, or the answer where there is nothing new. */
export async function openBlob(call: BlobCall): Promise<OpenedBlob> {
  const { target, headers } = call;
  checkBlobName(target.blob);
  const at = entryTime(call.query);
  const lease = leaseId(headers);
  const outcome = await getEntry(call.store, {
    account: target.account,
    container: target.container,
    name: target.blob,
    conditions: conditionsOf(call),
    permit: call.allowed.permit,
    ...(at && { at }),
    ...(lease !== undefined && { leaseId: lease }),
  });
  if (outcome.kind === 'not-modified') {
    // A read only if there is nothing to read: no answer could ever meet it.
    if (headers['if-none-match']?.trim() === '*') throw new BlobError('UnsatisfiableCondition');
    return { kind: 'answer', answer: notModified() };
  }
  if (outcome.kind !== 'ok') throw failureError(outcome);
  const { entry } = outcome;
  const unsealer = readUnsealer(call, entry.record.encryption);
  return { kind: 'entry', entry, unsealer, isVersion: at?.kind === 'version' };
}

function conditionsOf({ headers, version }: BlobCall): Conditions {
  const asked = readConditions(headers);
  if (asked.ifNoneMatch !== '*' || !isBefore(version, 'anyEtagRead')) return asked;
  const { ifNoneMatch: _, ...others } = asked;
  return others;
}

function bodyOf(
  call: BlobCall,
  entry: Entry,
  offset: number,
  length: number,
  unsealer: Unsealer | undefined,
): Awaitable<NonNullable<Answer['body']>> {
  if (length === 0) return '';
  const short = readShortContent(call.store, entry, offset, length, unsealer);
  if (short !== undefined) return short;
  const long = { length, chunks: readContent(call.store, entry, offset, length, unsealer) };
  if (entry.record.encryption === undefined) return long;
  return checkReadable(call.store, call.target.account, entry).then(() => long);
}

async function gather(
  call: BlobCall,
  entry: Entry,
  offset: number,
  length: number,
  unsealer: Unsealer | undefined,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for await (const chunk of readContent(call.store, entry, offset, length, unsealer)) {
    at += chunk.bytes.copy(bytes, at);
    chunk.release();
  }
  return bytes;
}

/** One in 24 hours is noted ("Access time tracking"), behind the answer; one that fails is noted by the next read. */
export function noteAccess(call: BlobCall, { lastAccessMs = 0, past }: EntryRecord): void {
  const { nowMs, store, target } = call;
  if (call.accountSettings.lastAccessTracking !== true || past !== undefined) return;
  if (nowMs - lastAccessMs < dayMs) return;
  const name = { account: target.account, container: target.container, name: target.blob };
  const cause = { by: 'last-access', requestId: call.requestId };
  const options = { touches: false, act: 'note', operation: 'entry-leased', ignoresLease: true } as const;
  const edit = (record: EntryRecord): EntryRecord => ({ ...record, lastAccessMs: nowMs });
  changeEntry(store, { ...name, conditions: {}, cause }, edit, options).catch(() => undefined);
}

function isTrue(call: BlobCall, header: string): boolean {
  return call.headers[header]?.toLowerCase() === 'true';
}

const overridable = [
  ['cache-control', 'Cache-Control'],
  ['content-disposition', 'Content-Disposition'],
  ['content-encoding', 'Content-Encoding'],
  ['content-language', 'Content-Language'],
  ['content-type', 'Content-Type'],
] as const;

/** A SAS may set the answer's headers. */
function overrides(call: BlobCall): OutHeaders {
  const headers: OutHeaders = {};
  if (call.principal.kind !== 'sas') return headers;
  for (const [name, header] of overridable) {
    const value = call.principal.grant.overrides[name];
    if (value !== undefined) headers[header] = value;
  }
  return headers;
}
