// A body on its way in: one loop that checks its length, sums it and writes it; durable when it is given back.
import type { LogPiece } from '../content/extent.ts';
import type { Sealer } from '../content/seal.ts';
import type { FinishedContent } from '../content/writer.ts';
import { dropPieces } from './contents.ts';
import type { Failure } from './failure.ts';
import { change, isNoSpace, type Store } from './store.ts';

export interface Body {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** What the sender announced; undefined for a chunked body. */
  readonly length: number | undefined;
  /** The most that is taken. */
  readonly lengthMax: number;
  /** Expected sums, checked before anything is committed. */
  readonly md5?: Buffer;
  readonly crc64?: bigint;
  /** The chunks are nobody else's: their memory may be given back as soon as they are copied. */
  readonly ownsChunks?: boolean;
  /** Whether the sum is wanted though none is expected. */
  readonly wantMd5: boolean;
  /** By which key the content is sealed; without one it is stored as it comes. */
  readonly seal?: Sealer | undefined;
}

export type Ingested = { readonly kind: 'ok'; readonly content: FinishedContent } | Failure;

/** Throws what the body throws (a sender that went away); what had been written by then is dropped. */
export async function ingest(store: Store, body: Body, log = false): Promise<Ingested> {
  const writer = store.content.write({
    log,
    md5: body.wantMd5 || body.md5 !== undefined,
    ownsChunks: body.ownsChunks === true,
    seal: body.seal,
  });
  try {
    for await (const chunk of body.chunks) {
      if (writer.length + chunk.length > body.lengthMax) {
        return await giveUp(store, await writer.abort(), { kind: 'body-too-large' });
      }
      const wait = writer.append(chunk);
      if (wait !== undefined) await wait;
    }
    if (body.length !== undefined && writer.length !== body.length) {
      return await giveUp(store, await writer.abort(), { kind: 'body-length' });
    }
    const content = await writer.finish();
    const unequal = compareSums(body, content.md5, content.crc64);
    if (unequal !== undefined) return await giveUp(store, content.pieces, unequal);
    return { kind: 'ok', content };
  } catch (error) {
    const pieces = await writer.abort();
    await discard(store, pieces).catch(() => undefined);
    if (isNoSpace(error)) return { kind: 'no-space' };
    throw error;
  }
}

function compareSums(body: Body, md5: Buffer | undefined, crc64: bigint): Failure | undefined {
  if (body.md5 !== undefined && !body.md5.equals(md5 as Buffer)) {
    return { kind: 'md5-mismatch', given: body.md5, computed: md5 as Buffer };
  }
  if (body.crc64 !== undefined && body.crc64 !== crc64) {
    return { kind: 'crc64-mismatch', given: body.crc64, computed: crc64 };
  }
  return undefined;
}

/** Accounts the space of content that gets no name as dropped. */
export async function discard(store: Store, pieces: readonly LogPiece[]): Promise<void> {
  if (pieces.length > 0) await change(store, (txn) => dropPieces(store, txn, pieces));
}

async function giveUp(store: Store, pieces: readonly LogPiece[], failure: Failure): Promise<Failure> {
  await discard(store, pieces);
  return failure;
}
