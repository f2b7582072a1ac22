// Put Page: writes pages of a page blob, or clears them.
import { requestedRange } from '../../codec/http-range.ts';
import { clearPages, isPageAligned, type PageChange, putPages } from '../../namespace/pages.ts';
import type { EntryRecord } from '../../namespace/records.ts';
import type { Answer } from '../http/answer.ts';
import { addedSealing, lookAtTarget } from './added-sealing.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { encryptionCheck, sealed } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { headerError, refuseStructured, required, wholeNumber } from './headers-in.ts';
import { type OutHeaders, stamp, writtenHeaders } from './headers-out.ts';
import type { Headers } from './request.ts';
import { answersMd5, blockSumHeaders, uploadBody } from './upload-body.ts';

export const putPageBytesMax = 4 * 1024 * 1024;

export async function putPage(call: BlobCall): Promise<Answer> {
  const mode = required(call.headers, 'x-ms-page-write').toLowerCase();
  if (mode !== 'update' && mode !== 'clear') throw headerError('x-ms-page-write', mode);
  const command = pageChange(call);
  return mode === 'clear' ? await clear(call, command) : await update(call, command);
}

async function clear(call: BlobCall, command: PageChange): Promise<Answer> {
  refuseStructured(call.headers);
  const { length } = uploadBody(call, Number.MAX_SAFE_INTEGER, false);
  if (length !== 0) throw headerError('Content-Length', `${length}`);
  const { record, container } = await lookAtTarget(call, command, 'change-pages');
  const unequal = encryptionCheck(call)(record, container);
  if (unequal !== undefined) throw failureError(unequal);
  const outcome = await clearPages(call.store, command);
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 201, headers: pageHeaders(outcome.entry.record) };
}

async function update(call: BlobCall, command: PageChange): Promise<Answer> {
  if (command.length > putPageBytesMax) {
    throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${putPageBytesMax}` });
  }
  const body = uploadBody(call, putPageBytesMax, answersMd5(call));
  if (body.length !== command.length) {
    throw headerError('Content-Length', `${body.length}`);
  }
  const target = await lookAtTarget(call, command, 'change-pages');
  const sealing = await addedSealing(call, target);
  const outcome = await putPages(call.store, {
    ...command,
    ...sealed(sealing),
    body: { ...body, seal: sealing?.sealer },
  });
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 201,
    headers: {
      ...pageHeaders(outcome.entry.record),
      ...blockSumHeaders(call, outcome),
      ...writtenHeaders(sealing?.encryption),
    },
  };
}

export function pageHeaders(record: EntryRecord): OutHeaders {
  return { ...stamp(record), 'x-ms-blob-sequence-number': record.sequence ?? 0 };
}

/** The range, which must be of whole pages, and the conditions on the sequence number. */
export function pageChange(call: BlobCall): PageChange {
  const { headers } = call;
  const text = headers['x-ms-range'] ?? headers.range;
  if (text === undefined || text === '') throw new BlobError('MissingRequiredHeader', { HeaderName: 'x-ms-range' });
  const range = requestedRange(headers);
  const isWhole =
    range.kind === 'range' && range.end !== undefined && isPageAligned(range.start) && isPageAligned(range.end + 1);
  // The service calls it by this name whichever header it came in.
  if (!isWhole) throw headerError('Range', text);
  const length = (range.end as number) + 1 - range.start;
  const atMost = sequenceNumber(headers, 'x-ms-if-sequence-number-le');
  const below = sequenceNumber(headers, 'x-ms-if-sequence-number-lt');
  const equal = sequenceNumber(headers, 'x-ms-if-sequence-number-eq');
  const sequence = {
    ...(atMost !== undefined && { atMost }),
    ...(below !== undefined && { below }),
    ...(equal !== undefined && { equal }),
  };
  return { ...blobChange(call), offset: range.start, length, sequence };
}

/** One below nought has a code of its own. */
function sequenceNumber(headers: Headers, name: string): number | undefined {
  if (/^-\d+$/.test(headers[name] ?? '')) throw new BlobError('InvalidInput');
  return wholeNumber(headers, name);
}
