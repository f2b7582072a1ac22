// The bytes of a copy's source as a blob of the source's type. Of a page blob, zeros take no room.
import { createHash } from 'node:crypto';
import { crc64 } from '../codec/crc64.ts';
import type { LogPiece } from '../content/extent.ts';
import { type EntryWrite, type PutOutcome, putEntry } from './entries.ts';
import type { Failure } from './failure.ts';
import { type Body, discard, ingest } from './ingest.ts';
import type { PageRun } from './page-regions.ts';
import { createPages, isPageAligned } from './pages.ts';
import type { Store } from './store.ts';

/** So many bytes are taken or left out together. */
const partBytes = 256 * 1024;

export function putCopied(store: Store, command: EntryWrite & { readonly body: Body }): Promise<PutOutcome> {
  return command.attributes.type === 'page' ? putPagesWhole(store, command) : putEntry(store, command);
}

async function putPagesWhole(store: Store, command: EntryWrite & { readonly body: Body }): Promise<PutOutcome> {
  const runs: PageRun[] = [];
  const outcome = await takeIn(store, command, runs).catch(async (error) => {
    await discard(store, piecesOf(runs)).catch(() => undefined);
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
  command: EntryWrite & { readonly body: Body },
  runs: PageRun[],
): Promise<PutOutcome> {
  const { body } = command;
  const md5 = body.md5 && createHash('md5');
  let sum = 0n;
  let length = 0;
  for await (const part of parts(body.chunks)) {
    md5?.update(part);
    sum = crc64(part, sum);
    if (part.some((byte) => byte !== 0)) {
      const chunks = (async function* () {
        yield part;
      })();
      const whole = { chunks, length: part.length, lengthMax: part.length, wantMd5: false, seal: body.seal };
      const taken = await ingest(store, whole, true);
      if (taken.kind !== 'ok') return taken;
      let at = length;
      for (const piece of taken.content.pieces) {
        runs.push({ at, piece });
        at += piece.length;
      }
    }
    length += part.length;
  }
  const computed = md5?.digest();
  const unequal = check(body, length, computed, sum);
  if (unequal !== undefined) return unequal;
  const outcome = await createPages(store, { ...command, length, runs });
  return outcome.kind === 'ok' ? { ...outcome, md5: computed, crc64: sum } : outcome;
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
