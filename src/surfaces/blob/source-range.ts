// A range of a copy's source, here or on another server, as a body of the target.
import { type HttpRange, parseRange, resolveRange } from '../../codec/http-range.ts';
import type { CopySource } from '../../namespace/copy.ts';
import type { Body } from '../../namespace/ingest.ts';
import type { Entry } from '../../namespace/records.ts';
import type { Sealing, Unsealer } from '../../namespace/scopes.ts';
import type { BlobCall } from './call.ts';
import { BlobError } from './errors.ts';
import { headerError } from './headers-in.ts';
import { openRemote } from './remote-source.ts';
import { type FoundSource, sourceBody, sourceOf, sourceUnsealer } from './source.ts';

export interface RangeWanted {
  readonly lengthMax: number;
  /** Exactly so many bytes. */
  readonly length?: number;
}

export interface LocalRange {
  readonly entry: Entry;
  readonly offset: number;
  readonly length: number;
  readonly unsealer: Unsealer | undefined;
}

/** Of what is copied, unlike of what is read, a range that cannot be understood must not be taken for all of it. */
export function sourceRange(call: BlobCall): HttpRange {
  const text = call.headers['x-ms-source-range'];
  const range = parseRange(text);
  if (range.kind === 'none' && text !== undefined && text !== '') throw headerError('x-ms-source-range', text);
  return range;
}

export async function localRange(call: BlobCall, source: CopySource, wanted: RangeWanted): Promise<LocalRange> {
  const entry = await sourceOf(call, source, 'read');
  const { record } = entry;
  const range = resolveRange(sourceRange(call), record.length);
  if (range.kind === 'unsatisfiable' || record.length === 0) throw new BlobError('InvalidRange');
  const { start, length } = range.kind === 'part' ? range : { start: 0, length: record.length };
  checkLength(length, wanted);
  return { entry, offset: start, length, unsealer: sourceUnsealer(call, entry) };
}

function checkLength(length: number, { lengthMax, length: exact }: RangeWanted): void {
  if (length > lengthMax) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${lengthMax}` });
  if (length === 0 || (exact !== undefined && length !== exact)) throw new BlobError('InvalidRange');
}

/** Runs `use` with the range's bytes; the client's connection is kept meanwhile. */
export async function withSourceBody<T>(
  call: BlobCall,
  found: FoundSource,
  wanted: RangeWanted,
  sealing: Sealing | undefined,
  use: (body: Body) => Promise<T>,
): Promise<T> {
  if (found.kind === 'local') {
    const { entry, offset, length, unsealer } = await localRange(call, found.source, wanted);
    return await call.hold((gone) => use(sourceBody(call, entry, { offset, length }, unsealer, sealing, gone)));
  }
  const { lengthMax } = wanted;
  return await call.hold(async (gone) => {
    using source = await openRemote(call, found.address, { range: sourceRange(call), lengthMax }, gone);
    const { chunks, length } = source;
    checkLength(length, wanted);
    return await use({ chunks, length, lengthMax: length, wantMd5: false, seal: sealing?.sealer });
  });
}
