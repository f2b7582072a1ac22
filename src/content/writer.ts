// One content on its way in: checksummed in one pass, kept inline if it is small, else in the log; durable when it ends.
import { createHash } from 'node:crypto';
import type { Random } from '../base/random.ts';
import { assert } from '../base/unreachable.ts';
import { crc64, crc64Combine } from '../codec/crc64.ts';
import { blockBytes, gatherBytesMax, headerBytes, type LogPiece, payloadBytesMax } from './extent.ts';
import type { Md5Queue, Md5Stream } from './md5-queue.ts';
import { ContentKey, envelopeBytes, envelopeMark, type Sealer } from './seal.ts';
import { frameStart, sealExtent, sealedBytesMax, sealedGatherBytesMax, sealedLength } from './seal-frames.ts';
import type { SegmentLog, Written } from './segment-log.ts';
import type { Slot, SlotPool } from './slot-pool.ts';

/** Content as an entry's record names it: its bytes inline, or the pieces that make it up, in order. */
export interface Content {
  readonly length: number;
  readonly inline: Uint8Array | undefined;
  readonly pieces: readonly LogPiece[];
}

export interface FinishedContent extends Content {
  /** Azure's CRC-64 of all bytes. */
  readonly crc64: bigint;
  /** If it was asked for. */
  readonly md5: Buffer | undefined;
}

// So many writes of one content are on their way to the disk at once: four keep it busy.
const writesInFlightMax = 4;

export interface WriterOptions {
  readonly inlineBytesMax: number;
  readonly md5Queue: Md5Queue | undefined;
  /** Nobody else looks at the chunks: the memory of one that was copied is given back at once. */
  readonly ownsChunks: boolean;
  /** Whose key seals the content; it is never inline then. */
  readonly seal: { readonly sealer: Sealer; readonly random: Random } | undefined;
}

/**
 * Chunks at least this long are given back. Left to the garbage collector, those of a fast upload start a full collection
 * every few dozen milliseconds: a third of all processor time, measured at 600 MB/s.
 */
const givenBackBytesMin = 16 * 1024;

export class ContentWriter {
  readonly #ownsChunks: boolean;
  readonly #log: SegmentLog;
  readonly #pool: SlotPool;
  readonly #inlineBytesMax: number;
  /** So many bytes are held before they get a slot, or make up an extent without one. */
  readonly #heldBytesMax: number;
  /** The most that is one block when it is stored, and so shares a write. */
  readonly #tailBytesMax: number;
  /** A slot takes this many, from there on. */
  readonly #slotBytesMax: number;
  readonly #slotFrom: number;
  readonly #key: ContentKey | undefined;
  #nextExtent = 0;
  /** Of sealed content: the sum of its plaintext, for the blocks' sums are of what is stored. */
  #plainSum = 0n;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #slot: Slot | undefined;
  #slotUsed = 0;
  #blockSums: bigint[] = [];
  #length = 0;
  readonly #parts: Promise<Written>[] = [];
  readonly #inFlight = new Set<Promise<unknown>>();
  #failure: Error | undefined;
  readonly #md5Queue: Md5Queue | undefined;
  #md5: Md5Stream | undefined;

  /** With a queue, the MD5 is summed as well. */
  constructor(log: SegmentLog, pool: SlotPool, options: WriterOptions) {
    this.#log = log;
    this.#pool = pool;
    const { seal } = options;
    this.#key = seal && new ContentKey(seal.sealer, seal.random);
    this.#inlineBytesMax = seal === undefined ? options.inlineBytesMax : 0;
    this.#heldBytesMax = seal === undefined ? gatherBytesMax : sealedGatherBytesMax;
    this.#tailBytesMax = seal === undefined ? blockBytes : frameStart(1);
    this.#slotBytesMax = seal === undefined ? payloadBytesMax : sealedBytesMax;
    this.#slotFrom = headerBytes(payloadBytesMax) + (seal === undefined ? 0 : envelopeBytes);
    this.#md5Queue = options.md5Queue;
    this.#ownsChunks = options.ownsChunks;
  }

  get length(): number {
    return this.#length;
  }

  /** Takes a chunk, which must not change until `finish`; a promise asks the caller to wait before the next. */
  append(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    this.#length += chunk.length;
    if (this.#slot === undefined) {
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
      if (this.#heldBytes <= this.#heldBytesMax) return undefined;
      this.#unhold();
    } else this.#fill(chunk);
    return this.#inFlight.size < writesInFlightMax ? undefined : this.#waitForRoom();
  }

  /** Ends the content: resolves when every byte is durable. Small content is given back inline and costs no write here. */
  async finish(): Promise<FinishedContent> {
    if (this.#slot === undefined && this.#parts.length === 0 && this.#heldBytes <= this.#inlineBytesMax) {
      const inline = this.#held.length === 1 ? (this.#held[0] as Uint8Array) : Buffer.concat(this.#held);
      return { length: this.#length, inline, pieces: [], crc64: crc64(inline), md5: this.#md5OfHeld() };
    }
    // Content of one small extent is summed with the others of its write.
    const isOneExtent = this.#md5 === undefined && this.#md5Queue !== undefined;
    if (this.#slot !== undefined) {
      const slot = this.#slot;
      const used = this.#slotUsed;
      if (used > this.#tailBytesMax) this.#submitSlot();
      else {
        const from = this.#slotFrom;
        const tail = slot.bytes.subarray(from, from + used);
        this.#slot = undefined;
        const summed = used > 0 ? this.#md5?.add(slot.base + from, tail) : undefined;
        const extent = this.#nextExtent++;
        const append = async (): Promise<Written> => {
          try {
            await summed;
            return this.#key === undefined
              ? await this.#log.appendSmall([tail], used)
              : await this.#appendSealed(this.#key, slot.bytes, from - envelopeBytes, used, extent);
          } finally {
            this.#pool.give(slot);
          }
        };
        if (used > 0) this.#track(append());
        else this.#pool.give(slot);
      }
    } else if (this.#heldBytes > 0) this.#submitHeld(isOneExtent);
    const parts = await Promise.all(this.#parts);
    await this.#log.durable(parts);
    const pieces = parts.map(({ piece }) => piece);
    const md5 = isOneExtent ? parts[0]?.md5 : await this.#md5?.finish();
    const crc = this.#key === undefined ? sumOf(parts) : this.#plainSum;
    return { length: this.#length, inline: undefined, pieces, crc64: crc, md5 };
  }

  /**
   * Gives up; answers the pieces that had been written, whose space the caller must account as dropped. They are made
   * durable before: what the books say was written must be found after a power loss. What cannot be made durable lies in
   * a segment that failed, and recovery finds it without a name.
   */
  async abort(): Promise<LogPiece[]> {
    if (this.#slot !== undefined) this.#pool.give(this.#slot);
    this.#slot = undefined;
    this.#held = [];
    this.#heldBytes = 0;
    this.#failure ??= new Error('the content was given up');
    this.#md5?.end();
    const settled = await Promise.allSettled(this.#parts);
    const written = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const durable: LogPiece[] = [];
    for (const inSegment of Map.groupBy(written, (one) => one.segment).values()) {
      await this.#log.durable(inSegment).then(
        () => durable.push(...inSegment.map(({ piece }) => piece)),
        () => undefined,
      );
    }
    return durable;
  }

  // What was held moves into a slot of its own. Without a free one it shares a gathered write: slow senders that fill
  // the pool make others' extents smaller, but never make them wait.
  #unhold(): void {
    this.#md5 ??= this.#md5Queue?.begin();
    const slot = this.#pool.tryTake();
    if (slot === undefined) {
      // Whole extents only: what follows must begin at a block of the MD5.
      while (this.#heldBytes >= this.#heldBytesMax) this.#submitHeld();
      return;
    }
    this.#slot = slot;
    this.#slotUsed = 0;
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const chunk of held) this.#fill(chunk);
  }

  /** Of content that goes inline. */
  #md5OfHeld(): Buffer | undefined {
    if (this.#md5Queue === undefined) return undefined;
    const hash = createHash('md5');
    for (const chunk of this.#held) hash.update(chunk);
    return hash.digest();
  }

  #submitHeld(wantMd5 = false): void {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    while (this.#held.length > 0 && bytes < this.#heldBytesMax) {
      const first = this.#held[0] as Uint8Array;
      const room = this.#heldBytesMax - bytes;
      chunks.push(first.length <= room ? first : first.subarray(0, room));
      if (first.length <= room) this.#held.shift();
      else this.#held[0] = first.subarray(room);
      bytes += Math.min(first.length, room);
    }
    this.#heldBytes -= bytes;
    const summed = this.#md5?.addCopied(chunks, bytes);
    const append = async (): Promise<Written> => {
      const written = await (this.#key === undefined
        ? this.#log.appendSmall(chunks, bytes, wantMd5)
        : this.#appendHeldSealed(this.#key, chunks, bytes, wantMd5));
      await summed;
      for (const chunk of chunks) this.#giveBack(chunk);
      return written;
    };
    this.#track(append());
  }

  #fill(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#slot === undefined) {
        // The slot just filled went to the disk and no other is free.
        this.#held.push(rest);
        this.#heldBytes += rest.length;
        if (this.#heldBytes > this.#heldBytesMax) this.#unhold();
        else if (this.#pool.hasFree) this.#unhold();
        return;
      }
      const slot = this.#slot;
      const left = this.#slotBytesMax - this.#slotUsed;
      const room = Math.min(left, blockBytes - (this.#slotUsed % blockBytes));
      const part = rest.length <= room ? rest : rest.subarray(0, room);
      const from = this.#slotFrom + this.#slotUsed;
      slot.bytes.set(part, from);
      if (this.#key === undefined) this.#sumBlock(slot.base + from, part.length);
      else this.#plainSum = this.#pool.crc64.update(this.#plainSum, slot.base + from, part.length);
      this.#slotUsed += part.length;
      if (this.#slotUsed === this.#slotBytesMax) this.#submitSlot();
      rest = rest.subarray(part.length);
    }
    this.#giveBack(chunk);
  }

  /** Bytes that are put at the end of the slot, all of one block. */
  #sumBlock(offset: number, length: number): void {
    const begun = this.#slotUsed % blockBytes !== 0;
    const last = this.#blockSums.length - 1;
    const crc = this.#pool.crc64.update(begun ? (this.#blockSums[last] as bigint) : 0n, offset, length);
    if (begun) this.#blockSums[last] = crc;
    else this.#blockSums.push(crc);
  }

  #giveBack(chunk: Uint8Array): void {
    const { buffer, byteLength } = chunk;
    if (!this.#ownsChunks || byteLength < givenBackBytesMin || byteLength !== buffer.byteLength) return;
    if (buffer instanceof ArrayBuffer) buffer.transfer(0);
  }

  #submitSlot(): void {
    const slot = this.#slot;
    assert(slot !== undefined, 'a slot is submitted once');
    this.#slot = undefined;
    const used = this.#slotUsed;
    const sums = this.#blockSums;
    this.#slotUsed = 0;
    this.#blockSums = [];
    const from = this.#slotFrom;
    const key = this.#key;
    const extent = this.#nextExtent++;
    const summed = this.#md5?.add(slot.base + from, slot.bytes.subarray(from, from + used));
    const write = (): Promise<Written> =>
      key === undefined ? this.#log.writeSlot(slot, used, sums) : this.#writeSealed(key, slot, used, extent);
    this.#track(summed === undefined ? write() : summed.then(write));
  }

  async #writeSealed(key: ContentKey, slot: Slot, length: number, extent: number): Promise<Written> {
    const from = headerBytes(payloadBytesMax);
    const payload = sealExtent(key, slot.bytes, from, length, extent);
    const sums: bigint[] = [];
    for (let at = 0; at < payload; at += blockBytes) {
      sums.push(this.#pool.crc64.update(0n, slot.base + from + at, Math.min(blockBytes, payload - at)));
    }
    const mark = envelopeMark(slot.bytes.subarray(from));
    return asSealed(await this.#log.writeSlot(slot, payload, sums), length, mark);
  }

  /** A small extent: `bytes` have room for the envelope at `at` and for the tag behind the plaintext. */
  async #appendSealed(key: ContentKey, bytes: Buffer, at: number, length: number, extent: number): Promise<Written> {
    const payload = sealExtent(key, bytes, at, length, extent);
    const stored = bytes.subarray(at, at + payload);
    const mark = envelopeMark(stored);
    return asSealed(await this.#log.appendSmall([stored], payload), length, mark);
  }

  async #appendHeldSealed(
    key: ContentKey,
    chunks: readonly Uint8Array[],
    length: number,
    wantMd5: boolean,
  ): Promise<Written> {
    const extent = this.#nextExtent++;
    const bytes = Buffer.allocUnsafe(sealedLength(length));
    let at = envelopeBytes;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    const plain = bytes.subarray(envelopeBytes, at);
    this.#plainSum = crc64(plain, this.#plainSum);
    // The lanes would sum what is stored.
    const md5 = wantMd5 ? createHash('md5').update(plain).digest() : undefined;
    const written = await this.#appendSealed(key, bytes, 0, length, extent);
    return md5 === undefined ? written : { ...written, md5 };
  }

  #track(part: Promise<Written>): void {
    this.#parts.push(part);
    this.#inFlight.add(part);
    part.then(
      () => this.#inFlight.delete(part),
      (error) => {
        this.#inFlight.delete(part);
        this.#failure ??= error as Error;
      },
    );
  }

  async #waitForRoom(): Promise<void> {
    while (this.#inFlight.size >= writesInFlightMax) await Promise.race(this.#inFlight).catch(() => undefined);
  }
}

function asSealed(written: Written, length: number, mark: number): Written {
  return { ...written, piece: { ...written.piece, length, sealed: mark } };
}

/** The CRC-64 of all parts in a row, from those of their blocks. */
function sumOf(parts: readonly Written[]): bigint {
  let whole = 0n;
  let any = false;
  for (const { piece, sums } of parts) {
    for (let i = 0; i < sums.length; i++) {
      const length = Math.min(blockBytes, piece.length - i * blockBytes);
      whole = any ? crc64Combine(whole, sums[i] as bigint, length) : (sums[i] as bigint);
      any = true;
    }
  }
  return whole;
}
