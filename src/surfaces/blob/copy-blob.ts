// Copy Blob, Abort Copy Blob, Copy Blob From URL, Put Blob From URL: content that comes from another blob, shared.
import { randomUUID } from 'node:crypto';
import { type CopySource, copyEntry } from '../../namespace/copy.ts';
import { type EntryAttributes, getEntry } from '../../namespace/entries.ts';
import type { Entry } from '../../namespace/records.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { conditions, contentHeaders, headerError, md5, metadata, required, tags, tier } from './headers-in.ts';
import { type OutHeaders, stamp } from './headers-out.ts';
import { gatherBytes, sourceError, sourceOf } from './source.ts';
import { createHash } from 'node:crypto';

/** Copy Blob and Copy Blob From URL: inside the server both are done when they are answered. */
export async function copyBlob(call: BlobCall): Promise<Answer> {
  const id = randomUUID();
  const stamped = await copy(call, (source, url) => {
    const { length } = source.record;
    const copied = { id, source: withoutQuery(url), status: 'success', completedMs: call.nowMs, bytes: length, total: length } as const;
    return { ...inherited(call, source), copy: copied };
  });
  return { status: 202, headers: { ...stamped, 'x-ms-copy-id': id, 'x-ms-copy-status': 'success' } };
}

/** Put Blob From URL: takes the source's properties unless told not to, and never its metadata. */
export async function putBlobFromUrl(call: BlobCall): Promise<Answer> {
  const type = required(call.headers, 'x-ms-blob-type');
  if (type !== 'BlockBlob') throw headerError('x-ms-blob-type', type);
  const takesProperties = call.headers['x-ms-copy-source-blob-properties']?.toLowerCase() !== 'false';
  const answer = await copy(call, (source) => {
    const given = contentHeaders(call.headers, false);
    const chosen = tier(call.headers);
    const indexTags = tags(call.headers);
    return {
      headers: takesProperties ? { ...source.record.headers, ...given } : given,
      metadata: metadata(call.rawHeaders),
      ...(chosen !== undefined && { tier: chosen }),
      ...(indexTags && { tags: indexTags }),
    };
  });
  return { status: 201, headers: { ...answer, 'x-ms-request-server-encrypted': 'true' } };
}

/** Nothing is ever pending here, so there is never anything to abort; the target and its lease are checked all the same. */
export async function abortCopy(call: BlobCall): Promise<Answer> {
  const found = await getEntry(call.store, { ...blobChange(call), conditions: {} });
  if (found.kind !== 'ok') throw failureError(found);
  throw new BlobError('NoPendingCopyOperation');
}

async function copy(call: BlobCall, attributes: (source: Entry, url: string) => EntryAttributes): Promise<OutHeaders> {
  const url = required(call.headers, 'x-ms-copy-source');
  const local = await call.openSource(url);
  const source: CopySource = {
    account: local.account,
    container: local.container,
    name: local.blob,
    conditions: conditions(call.headers, 'x-ms-source-'),
  };
  await checkSourceMd5(call, source);
  const outcome = await copyEntry(call.store, {
    ...blobChange(call),
    onlyIfNew: call.onlyIfNew,
    source,
    attributes: (entry) => attributes(entry, url),
  });
  if (outcome.kind === 'source-failed') throw sourceError(outcome.failure);
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return stamp(outcome.entry.record);
}

/** x-ms-source-content-md5: the bytes are read once to be sure of them. */
async function checkSourceMd5(call: BlobCall, source: CopySource): Promise<void> {
  const wanted = md5(call.headers, 'x-ms-source-content-md5');
  if (wanted === undefined) return;
  const found = await sourceOf(call, source);
  const hash = createHash('md5');
  await gatherBytes(call, found, 0, found.record.length, (bytes) => hash.update(bytes));
  if (!hash.digest().equals(wanted)) throw new BlobError('Md5Mismatch');
}

/** Metadata of the source stays unless other is given; headers and tier come along. */
function inherited(call: BlobCall, source: Entry): EntryAttributes {
  const own = metadata(call.rawHeaders);
  const chosen = tier(call.headers);
  const indexTags = tags(call.headers);
  return {
    headers: source.record.headers,
    metadata: Object.keys(own).length > 0 ? own : source.record.metadata,
    ...(chosen !== undefined && { tier: chosen }),
    ...(indexTags && { tags: indexTags }),
  };
}

function withoutQuery(url: string): string {
  const question = url.indexOf('?');
  return question === -1 ? url : url.slice(0, question);
}
