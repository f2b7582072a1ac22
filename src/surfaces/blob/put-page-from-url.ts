// Put Page From URL: pages of a page blob from a range of another blob.
import { putPages } from '../../namespace/pages.ts';
import type { Answer } from '../http/answer.ts';
import { addedSealing, lookAtTarget } from './added-sealing.ts';
import type { BlobCall } from './call.ts';
import { sealed } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { headerError, required } from './headers-in.ts';
import { writtenHeaders } from './headers-out.ts';
import { pageChange, pageHeaders, putPageBytesMax } from './put-page.ts';
import { copySource, sourceSums } from './source.ts';
import { withSourceBody } from './source-range.ts';
import { askedSumHeaders } from './upload-body.ts';

/** So few bytes are brought, also from a blob beside it, rather than shared. */
export async function putPageFromUrl(call: BlobCall): Promise<Answer> {
  const mode = required(call.headers, 'x-ms-page-write').toLowerCase();
  if (mode !== 'update') throw headerError('x-ms-page-write', mode);
  required(call.headers, 'x-ms-source-range');
  const command = pageChange(call);
  const { length } = command;
  if (length > putPageBytesMax) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${putPageBytesMax}` });
  const found = await copySource(call, false);
  const target = await lookAtTarget(call, command, 'change-pages');
  const sealing = await addedSealing(call, target);
  const sums = sourceSums(call);
  const outcome = await withSourceBody(call, found, { lengthMax: putPageBytesMax, length }, sealing, (body) =>
    putPages(call.store, { ...command, ...sealed(sealing), body: { ...body, ...sums } }),
  );
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 201,
    headers: {
      ...pageHeaders(outcome.entry.record),
      ...askedSumHeaders(call, { md5: sums.md5, crc64: outcome.crc64 }),
      ...writtenHeaders(sealing?.encryption),
    },
  };
}
