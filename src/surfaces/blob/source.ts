// Sources of copies: finding them, reading them, and how their failures are told from the target's.
import { type CopySource, readSource } from '../../namespace/copy.ts';
import { readContent } from '../../namespace/entries.ts';
import type { Failure } from '../../namespace/failure.ts';
import type { Entry } from '../../namespace/records.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';

export async function sourceOf(call: BlobCall, source: CopySource): Promise<Entry> {
  const found = await call.store.engine.snapshot((view) => readSource(view, source));
  if (found.kind !== 'ok') throw sourceError(found);
  return found.entry;
}

export function sourceError(failure: Failure): BlobError {
  switch (failure.kind) {
    case 'condition-not-met':
    case 'not-modified':
      return new BlobError('SourceConditionNotMet');
    case 'entry-not-found':
    case 'container-not-found':
      return new BlobError('CannotVerifyCopySource');
    default:
      return failureError(failure);
  }
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
