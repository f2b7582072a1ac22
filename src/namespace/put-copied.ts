// The bytes of a copy's source as a blob of the source's type. Of a page blob, zeros take no room.
import { createHash } from 'node:crypto';
import { crc64 } from '../codec/crc64.ts';
import type { LogPiece } from '../content/extent.ts';
import { type EntryWrite, type PutOutcome, putEntry } from './entries.ts';
import type { Failure } from './failure.ts';
import { type Body, discard, ingest } from './ingest.ts';
import type { PageRun } from './page-regions.ts';
import { createPages, isPageAligned } from './pages.ts';
import type { WrittenChunk } from './read.ts';
import { isOutcomeUnknown, type Store } from './store.ts';

/** So many bytes are taken or left out together. */
const partBytes = 256 * 1024;
/** What is copied anew is named in one transaction: no more parts than this. */
const runsMax = 256 * 1024;

export interface CopiedBody extends Body {
  /** Of a page blob here: what was written of it, instead of all its bytes. Then they have no sums. */
  readonly written?: AsyncIterable<WrittenChunk>;
}

export function putCopied(store: Store, command: EntryWrite & { readonly body: CopiedBody }): Promise<PutOutcome> {
  return command.attributes.type === 'page' ? putPagesWhole(store, command) : putEntry(store, command);
}

async function putPagesWhole(store: Store, command: EntryWrite & { readonly body: CopiedBody }): Promise<PutOutcome> {
  const runs: PageRun[] = [];
  const outcome = await takeIn(store, command, runs).catch(async (error) => {
    if (!isOutcomeUnknown(error)) await discard(store, piecesOf(runs)).catch(() => undefined);
    throw error;
  });
  if (outcome.kind !== 'ok') await discard(store, piecesOf(runs));
  return outcome;
}

/** The extents by whom each is named once. */
function piecesOf(runs: readonly PageRun[]): LogPiece[] {
  return runs.map(({ piece }) => piece);
}

async function takeIn(
  store: Store,
  command: EntryWrite & { readonly body: CopiedBody },
  runs: PageRun[],
): Promise<PutOutcome> {
  const { body } = command;
  if (body.written !== undefined && body.length !== undefined) {
    for await (const { at, part } of rows(body.written)) {
      const failure = await takePart(store, body, runs, at, part);
      if (failure !== undefined) return failure;
    }
    return await name(store, command, body.length, runs, undefined, 0n);
  }
  const md5 = body.md5 && createHash('md5');
  let sum = 0n;
  let length = 0;
  for await (const part of parts(body.chunks)) {
    md5?.update(part);
    sum = crc64(part, sum);
    if (part.some((byte) => byte !== 0)) {
      const failure = await takePart(store, body, runs, length, part);
      if (failure !== undefined) return failure;
    }
    length += part.length;
  }
  const computed = md5?.digest();
  return check(body, length, computed, sum) ?? (await name(store, command, length, runs, computed, sum));
}

async function takePart(
  store: Store,
  body: Body,
  runs: PageRun[],
  from: number,
  part: Buffer,
): Promise<Failure | undefined> {
  if (runs.length >= runsMax) return { kind: 'body-too-large' };
  const chunks = (async function* () {
    yield part;
  })();
  const whole = { chunks, length: part.length, lengthMax: part.length, wantMd5: false, seal: body.seal };
  const taken = await ingest(store, whole, true);
  if (taken.kind !== 'ok') return taken;
  let at = from;
  for (const piece of taken.content.pieces) {
    runs.push({ at, piece });
    at += piece.length;
  }
  return undefined;
}

async function name(
  store: Store,
  command: EntryWrite,
  length: number,
  runs: readonly PageRun[],
  md5: Buffer | undefined,
  sum: bigint,
): Promise<PutOutcome> {
  const outcome = await createPages(store, { ...command, length, runs });
  return outcome.kind === 'ok' ? { ...outcome, md5, crc64: sum } : outcome;
}

function check(body: Body, length: number, md5: Buffer | undefined, sum: bigint): Failure | undefined {
  if (!isPageAligned(length) || (body.length !== undefined && length !== body.length)) return { kind: 'body-length' };
  if (body.md5 !== undefined && md5 !== undefined && !body.md5.equals(md5)) {
    return { kind: 'md5-mismatch', given: body.md5, computed: md5 };
  }
  if (body.crc64 !== undefined && body.crc64 !== sum) {
    return { kind: 'crc64-mismatch', given: body.crc64, computed: sum };
  }
  return undefined;
}

/** What lies in a row, in parts. */
async function* rows(
  written: AsyncIterable<WrittenChunk>,
): AsyncGenerator<{ readonly at: number; readonly part: Buffer }, void, undefined> {
  let part = Buffer.allocUnsafe(partBytes);
  let begin = 0;
  let used = 0;
  for await (const { at, chunk } of written) {
    if (used > 0 && begin + used !== at) {
      yield { at: begin, part: part.subarray(0, used) };
      part = Buffer.allocUnsafe(partBytes);
      used = 0;
    }
    if (used === 0) begin = at;
    for (let from = 0; from < chunk.bytes.length; ) {
      const take = Math.min(partBytes - used, chunk.bytes.length - from);
      part.set(chunk.bytes.subarray(from, from + take), used);
      used += take;
      from += take;
      if (used < partBytes) continue;
      yield { at: begin, part };
      part = Buffer.allocUnsafe(partBytes);
      begin += partBytes;
      used = 0;
    }
    chunk.release();
  }
  if (used > 0) yield { at: begin, part: part.subarray(0, used) };
}

/** The bytes in parts of one length, but for the last. */
async function* parts(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  let part = Buffer.allocUnsafe(partBytes);
  let used = 0;
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const take = Math.min(partBytes - used, chunk.length - from);
      part.set(chunk.subarray(from, from + take), used);
      used += take;
      from += take;
      if (used < partBytes) continue;
      yield part;
      part = Buffer.allocUnsafe(partBytes);
      used = 0;
    }
  }
  if (used > 0) yield part.subarray(0, used);
}
