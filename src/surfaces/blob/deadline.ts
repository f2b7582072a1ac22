// The `timeout` parameter: how long a client gives its request until everything is there that it is made of.
import type { RequestBody } from '../http/body.ts';
import { BlobError } from './errors.ts';
import { queryError } from './list-parameters.ts';
import { one, type Query } from './request.ts';

/** As far as a timer goes. */
const timeoutMsMax = 2 ** 31 - 1;

/**
 * From now on: a body that is not whole in time fails with OperationTimedOut, and so does what comes back when it is
 * called too late. Neither has changed anything by then. Nought is no limit, as without the parameter.
 */
export function deadlineOf(query: Query, body: RequestBody): (() => void) | undefined {
  const text = query.size === 0 ? undefined : one(query, 'timeout');
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,9}$/.test(text)) throw queryError('timeout', text, 'Invalid number.');
  const timeoutMs = Math.min(Number(text) * 1000, timeoutMsMax);
  if (timeoutMs === 0) return undefined;
  const startedMs = performance.now();
  body.failAfter(timeoutMs, new BlobError('OperationTimedOut'));
  return () => {
    if (performance.now() - startedMs > timeoutMs) throw new BlobError('OperationTimedOut');
  };
}
