// Sources of copies: finding them, reading them, and how their failures are told from the target's.
import { type CopySource, readSource } from '../../namespace/copy.ts';
import { readContent } from '../../namespace/entries.ts';
import type { Failure } from '../../namespace/failure.ts';
import type { Entry } from '../../namespace/records.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { conditions, required } from './headers-in.ts';

/**
 * What the request copies from. Copy Blob may read with the caller's own key; the operations "From URL" read as anybody
 * would who has the address and nothing else.
 */
export async function copySource(call: BlobCall, withOwnKey: boolean): Promise<CopySource> {
  const url = required(call.headers, 'x-ms-copy-source');
  if (call.headers['x-ms-copy-source-authorization'] !== undefined) {
    // Only tokens of Microsoft Entra ID go here, and none are served yet.
    throw cannotVerifySource(new BlobError('InvalidAuthenticationInfo', {}, notAuthenticated, {}, 401));
  }
  const local = await call.openSource(url, withOwnKey);
  return {
    account: local.account,
    container: local.container,
    name: local.blob,
    conditions: conditions(call.headers, 'x-ms-source-'),
  };
}

export const notAuthenticated =
  'Server failed to authenticate the request. Please refer to the information in the www-authenticate header.';

export async function sourceOf(call: BlobCall, source: CopySource): Promise<Entry> {
  const found = await call.store.engine.snapshot((view) => readSource(view, source));
  if (found.kind !== 'ok') throw sourceError(found);
  return found.entry;
}

/** The failure as it is told to whoever reads the source through its address. */
export function sourceError(failure: Failure): BlobError {
  const error = failureError(failure);
  if (failure.kind !== 'not-modified') return cannotVerifySource(error);
  return cannotVerifySource(new BlobError('ConditionNotMet', {}, undefined, {}, 304));
}

/** What the source would have answered a reader, in the terms of the copy's own answer ("Put Block From URL"). */
export function cannotVerifySource(error: BlobError): BlobError {
  const { status, errorCode, message } = error;
  return new BlobError(
    'CannotVerifyCopySource',
    {
      CopySourceStatusCode: `${status}`,
      CopySourceErrorCode: errorCode,
      CopySourceErrorMessage: message,
    },
    message,
    { 'x-ms-copy-source-status-code': `${status}`, 'x-ms-copy-source-error-code': errorCode },
    status,
  );
}

/** Passes a range of the source through `each`, in bounded chunks. */
export async function gatherBytes(
  call: BlobCall,
  entry: Entry,
  offset: number,
  length: number,
  each: (bytes: Buffer) => void,
): Promise<void> {
  for await (const chunk of readContent(call.store, entry, offset, length)) {
    each(chunk.bytes);
    chunk.release();
  }
}
