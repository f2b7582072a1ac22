// Put Blob: a whole block blob in one request, or the beginning of an append or a page blob.
import { putEntry } from '../../namespace/entries.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { createAppendBlob } from './create-append-blob.ts';
import { createPageBlob } from './create-page-blob.ts';
import { sealed, writeSealing } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { contentHeaders, headerError, metadata, required } from './headers-in.ts';
import { versionStamp, writtenHeaders } from './headers-out.ts';
import { structuredHeaders, sumHeaders, uploadBody } from './upload-body.ts';
import { bytesMax, isBefore } from './version-differences.ts';
import { writeAttributes } from './write-attributes.ts';

export async function putBlob(call: BlobCall): Promise<Answer> {
  const { store, headers } = call;
  const type = required(headers, 'x-ms-blob-type');
  // Of accounts with a hierarchical namespace; somebody counts on the blob's being gone then.
  for (const name of ['x-ms-expiry-option', 'x-ms-expiry-time']) {
    if (headers[name] !== undefined) throw new BlobError('UnsupportedHeader', { HeaderName: name });
  }
  if (type === 'AppendBlob') return await createAppendBlob(call);
  if (type === 'PageBlob') return await createPageBlob(call);
  if (type !== 'BlockBlob') throw headerError('x-ms-blob-type', type);
  const stored = contentHeaders(headers, true);
  const sealing = await writeSealing(call);
  // Kept as the blob's, unless the client gave it one of its own.
  const wantsMd5 = !isBefore(call.version, 'computedMd5') || headers['content-md5'] !== undefined;
  const outcome = await putEntry(store, {
    ...blobChange(call),
    onlyIfNew: call.allowed.onlyIfNew,
    attributes: {
      headers: stored,
      metadata: metadata(call.rawHeaders),
      ...writeAttributes(call),
      ...sealed(sealing),
    },
    body: {
      ...uploadBody(call, bytesMax('blob', call.version), wantsMd5),
      // The blob's own sum is checked in the place of the request's: real Azure stores no other than the right one.
      ...(stored.contentMd5 !== undefined && { md5: Buffer.from(stored.contentMd5, 'base64') }),
      seal: sealing?.sealer,
    },
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 201,
    headers: {
      ...versionStamp(outcome.entry.record),
      ...sumHeaders(outcome),
      ...structuredHeaders(call),
      ...writtenHeaders(sealing?.encryption),
    },
  };
}
