// Put Blob of a page blob: zeros of the length that it is to have.
import { createPages, isPageAligned, pageBlobBytesMax } from '../../namespace/pages.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { emptyUpload, untieredAttributes } from './create-append-blob.ts';
import { sealed, writeSealing } from './encryption-headers.ts';
import { failureError } from './errors.ts';
import { contentHeaders, headerError, metadata, required, wholeNumber } from './headers-in.ts';
import { versionStamp, writtenHeaders } from './headers-out.ts';
import type { Headers } from './request.ts';

export async function createPageBlob(call: BlobCall): Promise<Answer> {
  const { headers } = call;
  emptyUpload(call);
  required(headers, 'x-ms-blob-content-length');
  const length = pageBlobLength(headers) as number;
  const sequence = wholeNumber(headers, 'x-ms-blob-sequence-number') ?? 0;
  const sealing = await writeSealing(call);
  const outcome = await createPages(call.store, {
    ...blobChange(call),
    onlyIfNew: call.allowed.onlyIfNew,
    length,
    attributes: {
      sequence,
      headers: contentHeaders(headers, true),
      metadata: metadata(call.rawHeaders),
      ...untieredAttributes(call),
      ...sealed(sealing),
    },
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 201, headers: { ...versionStamp(outcome.entry.record), ...writtenHeaders(sealing?.encryption) } };
}

/** `x-ms-blob-content-length`: whole pages, at most 8 TiB. */
export function pageBlobLength(headers: Headers): number | undefined {
  const name = 'x-ms-blob-content-length';
  const length = wholeNumber(headers, name);
  if (length !== undefined && (!isPageAligned(length) || length > pageBlobBytesMax)) {
    throw headerError(name, headers[name]);
  }
  return length;
}
