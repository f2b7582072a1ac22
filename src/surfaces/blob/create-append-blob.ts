// Put Blob of an append blob: an empty one, for Append Block to add to.
import { putEntry } from '../../namespace/entries.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { sealed, writeSealing } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { contentHeaders, metadata, refuseStructured } from './headers-in.ts';
import { versionStamp, writtenHeaders } from './headers-out.ts';
import { uploadBody } from './upload-body.ts';
import { writeAttributes } from './write-attributes.ts';

export async function createAppendBlob(call: BlobCall): Promise<Answer> {
  const body = emptyUpload(call);
  const sealing = await writeSealing(call);
  const outcome = await putEntry(call.store, {
    ...blobChange(call),
    onlyIfNew: call.allowed.onlyIfNew,
    attributes: {
      type: 'append',
      appendedBlocks: 0,
      headers: contentHeaders(call.headers, true),
      metadata: metadata(call.rawHeaders),
      ...untieredAttributes(call),
      ...sealed(sealing),
    },
    body,
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 201, headers: { ...versionStamp(outcome.entry.record), ...writtenHeaders(sealing?.encryption) } };
}

/** Put Blob of these types brings no bytes. */
export function emptyUpload(call: BlobCall): ReturnType<typeof uploadBody> {
  refuseStructured(call.headers);
  const body = uploadBody(call, Number.MAX_SAFE_INTEGER, false);
  if (body.length !== 0 && body.length !== undefined) {
    throw new BlobError('InvalidHeaderValue', { HeaderName: 'Content-Length', HeaderValue: `${body.length}` });
  }
  return { ...body, lengthMax: 0 };
}

/** Tiers are of block blobs. */
export function untieredAttributes(call: BlobCall): Omit<ReturnType<typeof writeAttributes>, 'tier'> {
  const { tier, ...rest } = writeAttributes(call);
  if (tier !== undefined) throw new BlobError('UnsupportedHeader', { HeaderName: 'x-ms-access-tier' });
  return rest;
}
