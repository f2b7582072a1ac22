// Copy Blob, Abort Copy Blob, Copy Blob From URL, Put Blob From URL: content that comes from another blob, shared.
import { createHash, randomUUID } from 'node:crypto';
import { type CopySource, copyEntry } from '../../namespace/copy.ts';
import { type EntryAttributes, type EntryOutcome, getEntry } from '../../namespace/entries.ts';
import type { Failure } from '../../namespace/failure.ts';
import type { Entry } from '../../namespace/records.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { contentHeaders, headerError, md5, metadata, required, tags, tier } from './headers-in.ts';
import { stamp } from './headers-out.ts';
import { one } from './request.ts';
import { copySource, gatherBytes, sourceError, sourceOf } from './source.ts';

/** Copy Blob: inside the server it is done when it is answered. */
export async function copyBlob(call: BlobCall): Promise<Answer> {
  const source = await copySource(call, true);
  return await copyAs(call, source, asynchronousSourceError);
}

/** Copy Blob From URL. */
export async function copyBlobFromUrl(call: BlobCall): Promise<Answer> {
  const source = await copySource(call, false);
  await checkSourceMd5(call, source);
  return await copyAs(call, source, sourceError);
}

async function copyAs(
  call: BlobCall,
  source: CopySource,
  sourceFailure: (failure: Failure) => BlobError,
): Promise<Answer> {
  const id = randomUUID();
  const url = required(call.headers, 'x-ms-copy-source');
  const outcome = await copy(call, source, sourceFailure, (from) => {
    const { length } = from.record;
    const state = { id, source: withoutQuery(url), status: 'success', completedMs: call.nowMs } as const;
    return { ...inherited(call, from), copy: { ...state, bytes: length, total: length } };
  });
  if (outcome.kind === 'condition-not-met') throw new BlobError('TargetConditionNotMet');
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 202,
    headers: { ...stamp(outcome.entry.record), 'x-ms-copy-id': id, 'x-ms-copy-status': 'success' },
  };
}

/** Put Blob From URL: takes the source's properties unless told not to, and never its metadata. */
export async function putBlobFromUrl(call: BlobCall): Promise<Answer> {
  const type = required(call.headers, 'x-ms-blob-type');
  if (type !== 'BlockBlob') throw headerError('x-ms-blob-type', type);
  const source = await copySource(call, false);
  await checkSourceMd5(call, source);
  const takesProperties = call.headers['x-ms-copy-source-blob-properties']?.toLowerCase() !== 'false';
  const outcome = await copy(call, source, sourceError, (from) => {
    const given = contentHeaders(call.headers, false);
    return {
      headers: takesProperties ? { ...from.record.headers, ...given } : given,
      metadata: metadata(call.rawHeaders),
      ...tierAndTags(call, from),
    };
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 201,
    headers: { ...stamp(outcome.entry.record), 'x-ms-request-server-encrypted': 'true' },
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

async function copy(
  call: BlobCall,
  source: CopySource,
  sourceFailure: (failure: Failure) => BlobError,
  attributes: (source: Entry) => EntryAttributes,
): Promise<EntryOutcome> {
  const outcome = await copyEntry(call.store, {
    ...blobChange(call),
    onlyIfNew: call.onlyIfNew,
    source,
    attributes: (from) => {
      // An archived source can be copied to another tier only ("Copy Blob", "Copying an archived blob").
      if (from.record.tier === 'Archive' && (tier(call.headers) ?? 'Archive') === 'Archive') {
        throw new BlobError('BlobArchived');
      }
      return attributes(from);
    },
  });
  if (outcome.kind === 'source-failed') throw sourceFailure(outcome.failure);
  return outcome;
}

function asynchronousSourceError(failure: Failure): BlobError {
  return failure.kind === 'condition-not-met' || failure.kind === 'not-modified'
    ? new BlobError('SourceConditionNotMet')
    : sourceError(failure);
}

/** x-ms-source-content-md5: the bytes are read once to be sure of them. */
async function checkSourceMd5(call: BlobCall, source: CopySource): Promise<void> {
  const given = md5(call.headers, 'x-ms-source-content-md5');
  if (given === undefined) return;
  const found = await sourceOf(call, source);
  const hash = createHash('md5');
  await gatherBytes(call, found, 0, found.record.length, (bytes) => hash.update(bytes));
  const computed = hash.digest();
  if (!computed.equals(given)) throw failureError({ kind: 'md5-mismatch', given, computed });
}

/** Metadata of the source stays unless other is given; headers come along. */
function inherited(call: BlobCall, source: Entry): EntryAttributes {
  const own = metadata(call.rawHeaders);
  return {
    headers: source.record.headers,
    metadata: Object.keys(own).length > 0 ? own : source.record.metadata,
    ...tierAndTags(call, source),
  };
}

/** Tags are those of the request, or the source's where it says so ("Copy Blob From URL", x-ms-copy-source-tag-option). */
function tierAndTags(call: BlobCall, source: Entry): Pick<EntryAttributes, 'tier' | 'tags'> {
  const chosen = tier(call.headers);
  const given = tags(call.headers);
  const option = call.headers['x-ms-copy-source-tag-option'] ?? 'REPLACE';
  if (option !== 'REPLACE' && option !== 'COPY') throw headerError('x-ms-copy-source-tag-option', option);
  if (option === 'COPY' && given !== undefined) throw headerError('x-ms-tags', call.headers['x-ms-tags']);
  const kept = option === 'COPY' ? source.record.tags : given;
  return { ...(chosen !== undefined && { tier: chosen }), ...(kept && { tags: kept }) };
}

function withoutQuery(url: string): string {
  const question = url.indexOf('?');
  return question === -1 ? url : url.slice(0, question);
}
