// Copy Blob, Abort Copy Blob, Copy Blob From URL, Put Blob From URL: another blob's content, shared or brought from afar.
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type CopySource, copyEntry, natureOf } from '../../namespace/copy.ts';
import { type EntryAttributes, getEntry, openForWrite } from '../../namespace/entries.ts';
import type { Failure } from '../../namespace/failure.ts';
import { putCopied } from '../../namespace/put-copied.ts';
import { readWritten } from '../../namespace/read.ts';
import type { Entry } from '../../namespace/records.ts';
import { isSameEncryption } from '../../namespace/scopes.ts';
import { type OnlineTier, rehydrationOf } from '../../namespace/tiers.ts';
import type { Answer } from '../http/answer.ts';
import { type Allowed, bothAllowed } from './allowed.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { sealed, writeSealing } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { contentHeaders, flag, headerError, metadata, rehydratePriority, required, tags, tier } from './headers-in.ts';
import { encryptionHeaders, type OutHeaders, versionStamp, writtenHeaders } from './headers-out.ts';
import { openRemote, remoteTags } from './remote-source.ts';
import { one } from './request.ts';
import {
  type Copied,
  checkSums,
  copySource,
  type FoundSource,
  type SourceSums,
  sharesSeal,
  sourceBody,
  sourceError,
  sourceOf,
  sourceSums,
  sourceUnsealer,
  whileThere,
} from './source.ts';
import { type RemoteAddress, toldSource } from './source-address.ts';
import { askedSumHeaders } from './upload-body.ts';
import { bytesMax, isBefore } from './version-differences.ts';
import { newestVersion } from './versions.ts';
import { retention } from './write-attributes.ts';

/**
 * Copy Blob: done when it is answered, also from another server, where Azure would go on with it by itself. So its status
 * is success at once, and a client that polls for it need not. A source's conditions have a code of their own here.
 */
export async function copyBlob(call: BlobCall): Promise<Answer> {
  let source: FoundSource | undefined;
  try {
    source = await copySource(call, true);
    return (await copyAs(call, source, {}, Number.POSITIVE_INFINITY)).answer;
  } catch (error) {
    const isCondition =
      error instanceof BlobError &&
      error.errorCode === 'CannotVerifyCopySource' &&
      (error.status === 412 || error.status === 304);
    // What is missing here, the caller is told of as if he had asked for it.
    const isMissing =
      source?.kind === 'local' && error instanceof BlobError && error.details.CopySourceErrorCode === 'BlobNotFound';
    if (isCondition) throw new BlobError('SourceConditionNotMet');
    throw isMissing ? new BlobError('BlobNotFound') : error;
  }
}

/** What one request may bring. */
const blobBytesMax = bytesMax('blob', newestVersion);
/** Of a source that is copied within the request ("Copy Blob From URL"). */
const syncCopyBytesMax = 256 * 1024 * 1024;

/** Copy Blob From URL. */
export async function copyBlobFromUrl(call: BlobCall): Promise<Answer> {
  const source = await copySource(call, false);
  const { answer, sums } = await copyAs(call, source, sourceSums(call), syncCopyBytesMax);
  return { ...answer, headers: { ...answer.headers, ...sums } };
}

async function copyAs(
  call: BlobCall,
  source: FoundSource,
  sums: SourceSums,
  lengthMax: number,
): Promise<{ readonly answer: Answer; readonly sums: OutHeaders }> {
  const id = randomUUID();
  // Without a state it could not be asked about: it was done when it was answered.
  const isPlain = isBefore(call.version, 'copyState');
  const url = required(call.headers, 'x-ms-copy-source');
  rehydratePriority(call.headers);
  const outcome = await copy(call, source, sums, lengthMax, (from) => {
    const { type, length } = from;
    const isSealed = type === 'append' && (flag(call.headers, 'x-ms-seal-blob') ?? from.isSealed === true);
    const state = { id, source: toldSource(url), status: 'success', completedMs: call.nowMs } as const;
    const copy = isPlain ? undefined : { ...state, bytes: length, total: length };
    const copied = { ...inherited(call, from), ...(copy && { copy }) };
    return isSealed ? { ...copied, isSealed } : copied;
  });
  if (outcome.kind === 'condition-not-met') throw new BlobError('TargetConditionNotMet');
  if (outcome.kind !== 'ok') throw failureError(outcome);
  const headers = {
    ...versionStamp(outcome.entry.record),
    'x-ms-copy-id': id,
    'x-ms-copy-status': 'success',
    ...encryptionHeaders(outcome.entry.record.encryption),
  };
  return { answer: { status: isPlain ? 201 : 202, headers }, sums: copiedSums(call, outcome) };
}

/** As far as the bytes were read: those that are shared with their source only are where a sum of them was sent. */
function copiedSums(call: BlobCall, { md5, crc64 }: Extract<CopyOutcome, { kind: 'ok' }>): OutHeaders {
  if (crc64 === undefined) return { 'Content-MD5': md5?.toString('base64') };
  return askedSumHeaders(call, { md5, crc64 });
}

/** Put Blob From URL: takes the source's properties unless told not to, and never its metadata. */
export async function putBlobFromUrl(call: BlobCall): Promise<Answer> {
  const type = required(call.headers, 'x-ms-blob-type');
  if (type !== 'BlockBlob') throw headerError('x-ms-blob-type', type);
  const source = await copySource(call, false);
  const sums = sourceSums(call);
  const takesProperties = call.headers['x-ms-copy-source-blob-properties']?.toLowerCase() !== 'false';
  const outcome = await copy(call, source, sums, blobBytesMax, (from) => {
    const given = contentHeaders(call.headers, false);
    return {
      type: 'block',
      headers: takesProperties ? { ...from.headers, ...given } : given,
      metadata: metadata(call.rawHeaders),
      ...tierAndTags(call, from),
    };
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 201,
    headers: {
      ...versionStamp(outcome.entry.record),
      ...copiedSums(call, outcome),
      ...writtenHeaders(outcome.entry.record.encryption),
    },
  };
}

/** Nothing is ever pending here, so there is never anything to abort; the target and its lease are checked all the same. */
export async function abortCopy(call: BlobCall): Promise<Answer> {
  const action = required(call.headers, 'x-ms-copy-action');
  if (action.toLowerCase() !== 'abort') throw headerError('x-ms-copy-action', action);
  const id = one(call.query, 'copyid');
  if (id === undefined || id === '') {
    throw new BlobError('MissingRequiredQueryParameter', { QueryParameterName: 'copyid' });
  }
  const found = await getEntry(call.store, { ...blobChange(call), conditions: {} });
  if (found.kind !== 'ok') throw failureError(found);
  throw new BlobError('NoPendingCopyOperation');
}

type CopyOutcome =
  | {
      readonly kind: 'ok';
      readonly entry: Entry;
      readonly md5?: Buffer | undefined;
      readonly crc64?: bigint | undefined;
    }
  | Failure;

/** `lengthMax` is the most that the operation takes from its source. */
function copy(
  call: BlobCall,
  source: FoundSource,
  sums: SourceSums,
  lengthMax: number,
  attributes: (source: Copied) => EntryAttributes,
): Promise<CopyOutcome> {
  return source.kind === 'remote'
    ? copyRemote(call, source.address, sums, Math.min(lengthMax, blobBytesMax), attributes)
    : copyLocal(call, source.source, sums, lengthMax, attributes);
}

async function copyLocal(
  call: BlobCall,
  source: CopySource,
  sums: SourceSums,
  lengthMax: number,
  attributes: (source: Copied) => EntryAttributes,
): Promise<CopyOutcome> {
  const target = blobChange(call);
  const sealing = await writeSealing(call);
  const looked = await sourceOf(call, source, 'copy-from');
  const taken = takesTags(call) ? (looked.record.tags ?? {}) : undefined;
  const change = { ...target, ...(await allowedWith(call, taken)) };
  const { encryption, length, type, tier: sourceTier } = looked.record;
  if (length > lengthMax) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${lengthMax}` });
  const isAsked = sums.md5 !== undefined || sums.crc64 !== undefined;
  const unsealer = sourceUnsealer(call, looked);
  const own = attributes(looked.record);
  // Pages are not in a row, as a block blob's pieces are.
  if (!sharesSeal(call, source, encryption, sealing) || (type === 'page' && own.type === 'block')) {
    if (sourceTier === 'Archive') throw new BlobError('BlobArchived');
    return await call.hold((gone) => {
      const body = { ...sourceBody(call, looked, { offset: 0, length }, unsealer, sealing, gone), ...sums };
      const isSparse = type === 'page' && own.type === undefined && !isAsked;
      const written = isSparse
        ? whileThere(readWritten(call.store, looked.record, 0, length, unsealer), gone)
        : undefined;
      return putCopied(call.store, {
        ...change,
        attributes: { ...natureOf(looked.record), ...own, ...sealed(sealing) },
        body: { ...body, ...(written && { written }) },
      });
    });
  }
  // The bytes are read once to be sure of them.
  const summed = isAsked ? await call.hold((gone) => checkSums(call, looked, 0, length, sums, unsealer, gone)) : {};
  const outcome = await copyEntry(call.store, {
    ...change,
    source,
    attributes: (from) => {
      // Another blob stands there by now, or it has tags that nobody decided about: the client may try again.
      if (!isSameEncryption(from.record.encryption, encryption)) throw new BlobError('ServerBusy');
      if (taken !== undefined && !isDeepStrictEqual(from.record.tags ?? {}, taken)) throw new BlobError('ServerBusy');
      // An archived source can be copied to another tier only ("Copy Blob", "Copying an archived blob").
      const given = { ...attributes(from.record), ...(encryption && { encryption }) };
      if (from.record.tier !== 'Archive') return given;
      const online = tier(call.headers) ?? 'Archive';
      if (online === 'Archive') throw new BlobError('BlobArchived');
      // It takes as long as the source's own rehydration would.
      const priority = rehydratePriority(call.headers);
      const rehydration = rehydrationOf(call.accountSettings, online as OnlineTier, priority, call.nowMs);
      return { ...given, tier: 'Archive', rehydration };
    },
  });
  if (outcome.kind === 'source-failed') throw sourceError(outcome.failure);
  return outcome.kind === 'ok' ? { ...outcome, ...summed } : outcome;
}

async function copyRemote(
  call: BlobCall,
  address: RemoteAddress,
  sums: SourceSums,
  lengthMax: number,
  attributes: (source: Copied) => EntryAttributes,
): Promise<CopyOutcome> {
  const change = { ...blobChange(call), onlyIfNew: call.allowed.onlyIfNew };
  const sealing = await writeSealing(call);
  // Looked at again when it is written; before, it spares bringing what could not be.
  const target = await call.store.engine.snapshot((view) => openForWrite(call.store, view, change, undefined));
  if (target.kind !== 'ok') return target;
  return await call.hold(async (gone) => {
    const kept = takesTags(call) ? await remoteTags(call, address, gone) : undefined;
    const allowed = { ...change, ...(await allowedWith(call, takesTags(call) ? (kept ?? {}) : undefined)) };
    using source = await openRemote(call, address, { range: { kind: 'none' }, lengthMax }, gone);
    const { chunks, length, properties } = source;
    const body = { chunks, length, lengthMax: length, wantMd5: false, ...sums, seal: sealing?.sealer };
    const own = attributes({ ...properties, ...(kept && { tags: kept }) });
    return await putCopied(call.store, {
      ...allowed,
      attributes: { ...natureOf(properties), ...own, ...sealed(sealing) },
      body,
    });
  });
}

/** Metadata of the source stays unless other is given; headers come along. */
function inherited(call: BlobCall, source: Copied): EntryAttributes {
  const own = metadata(call.rawHeaders);
  return {
    headers: source.headers,
    metadata: Object.keys(own).length > 0 ? own : source.metadata,
    ...tierAndTags(call, source),
  };
}

/** Tags are those of the request, or the source's where it says so ("Copy Blob From URL", x-ms-copy-source-tag-option). */
function tierAndTags(
  call: BlobCall,
  source: Copied,
): Pick<EntryAttributes, 'tier' | 'tags' | 'immutability' | 'legalHold'> {
  const chosen = tier(call.headers);
  const kept = takesTags(call) ? source.tags : tags(call.headers);
  return { ...(chosen !== undefined && { tier: chosen }), ...(kept && { tags: kept }), ...retention(call) };
}

/** Nothing may be replaced where the caller may only make what is new, be it because of the tags that come along. */
async function allowedWith(call: BlobCall, taken: Readonly<Record<string, string>> | undefined): Promise<Allowed> {
  return taken === undefined ? call.allowed : bothAllowed(call.allowed, await call.authorizeTags(taken));
}

/** Both of them are a conflict ("Copy Blob From URL", x-ms-copy-source-tag-option), for which no code is documented. */
function takesTags(call: BlobCall): boolean {
  const option = call.headers['x-ms-copy-source-tag-option'] ?? 'REPLACE';
  if (option !== 'REPLACE' && option !== 'COPY') throw headerError('x-ms-copy-source-tag-option', option);
  const given = call.headers['x-ms-tags'];
  if (option === 'COPY' && given !== undefined && given !== '') {
    throw new BlobError('InvalidHeaderValue', { HeaderName: 'x-ms-tags' }, undefined, {}, 409);
  }
  return option === 'COPY';
}
