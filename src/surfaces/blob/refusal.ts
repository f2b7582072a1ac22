// What bytes are answered that are no request: an error in Azure's form, from below the dispatcher.
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../base/clock.ts';
import { formatHttpDate } from '../../codec/http-date.ts';
import { type Fault, plainRefusal, type Refusal } from '../http/listener.ts';
import { BlobError, type ErrorCode, errorAnswer } from './errors.ts';
import { newestVersion } from './versions.ts';

const codes = {
  malformed: ['InvalidInput', 'The request is not valid HTTP.'],
  'headers-too-large': ['InvalidInput', 'The headers of the request are too large, or too many.'],
  'headers-late': ['OperationTimedOut', undefined],
  expectation: ['InvalidHeaderValue', 'The expectation of the request cannot be met.'],
} as const satisfies Record<Fault, readonly [ErrorCode, string | undefined]>;

export function blobRefusal(fault: Fault): Refusal {
  const { status, reason } = plainRefusal(fault);
  const [code, message] = codes[fault];
  const requestId = randomUUID();
  const nowMs = systemClock.now();
  const { headers, body } = errorAnswer(new BlobError(code, {}, message, {}, status), requestId, nowMs);
  const all: Record<string, string> = {};
  for (const name in headers) if (headers[name] !== undefined) all[name] = `${headers[name]}`;
  const own = { 'x-ms-request-id': requestId, 'x-ms-version': newestVersion, Server: 'Causeway-Blob/1.0' };
  return { status, reason, headers: { ...all, ...own, Date: formatHttpDate(nowMs) }, body: body as string };
}
