// The face of the content floor: one store a process, over the shared directory of segments.
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { SegmentCatalog } from './catalog.ts';
import type { Disk } from './disk.ts';
import type { LogPiece, Place } from './extent.ts';
import { slotBytes } from './extent.ts';
import type { Md5Queue } from './md5-queue.ts';
import { ContentReader, type ReadChunk } from './reader.ts';
import type { Sealer, Unsealer } from './seal.ts';
import { SegmentLog } from './segment-log.ts';
import { SlotPool } from './slot-pool.ts';
import { ContentWriter } from './writer.ts';

export interface ContentStoreOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly catalog: SegmentCatalog;
  readonly clock: Clock;
  readonly random: Random;
  readonly segmentBytes: number;
  /** Content up to this length is given back inline instead of being written to the log. */
  readonly inlineBytesMax: number;
  /** Memory for writes: so many slots of 1 MiB at the most. */
  readonly slotsMax: number;
  /** Memory for reads in large windows: so many of 512 KiB at the most. */
  readonly readBuffersMax: number;
}

export class ContentStore {
  readonly disk: Disk;
  readonly directory: string;
  readonly #pool: SlotPool;
  readonly #md5Queue: Md5Queue;
  readonly #log: SegmentLog;
  readonly #reader: ContentReader;
  readonly #inlineBytesMax: number;
  readonly #random: Random;

  constructor(options: ContentStoreOptions) {
    const { disk, directory, catalog, clock, random, segmentBytes } = options;
    this.disk = disk;
    this.directory = directory;
    this.#random = random;
    this.#pool = new SlotPool(options.slotsMax, slotBytes);
    this.#md5Queue = this.#pool.md5Queue(clock);
    this.#log = new SegmentLog({ disk, directory, catalog, clock, random, segmentBytes, pool: this.#pool });
    this.#reader = new ContentReader({
      disk,
      directory,
      catalog,
      nowMs: () => clock.now(),
      buffersMax: options.readBuffersMax,
    });
    this.#inlineBytesMax = inlineLimit(options.inlineBytesMax);
  }

  /**
   * A new content; with `log` even a small one goes to the log, with `md5` its MD5 is summed, with `ownsChunks` the memory
   * of what is appended belongs to the writer, with `seal` it is encrypted under that key, and in the log however small.
   */
  write(options: {
    readonly log: boolean;
    readonly md5: boolean;
    readonly ownsChunks: boolean;
    readonly seal?: Sealer | undefined;
  }): ContentWriter {
    const { seal } = options;
    return new ContentWriter(this.#log, this.#pool, {
      inlineBytesMax: options.log ? 0 : this.#inlineBytesMax,
      md5Queue: options.md5 ? this.#md5Queue : undefined,
      ownsChunks: options.ownsChunks,
      seal: seal && { sealer: seal, random: this.#random },
    });
  }

  /**
   * Verified bytes of a range of these pieces; `unsealer` opens those that are sealed. Throws `ContentDamageError` where
   * they are not what was written, and what the unsealer throws.
   */
  read(
    pieces: readonly LogPiece[],
    offset: number,
    length: number,
    unsealer?: Unsealer,
  ): AsyncGenerator<ReadChunk, void, undefined> {
    return this.#reader.read(pieces, offset, length, unsealer);
  }

  /** A range of one piece of a small extent (`smallExtentBytes`), as one buffer. Throws `ContentDamageError`. */
  readSmall(piece: LogPiece, offset: number, length: number, unsealer?: Unsealer): Promise<Buffer> {
    return piece.sealed !== undefined
      ? this.#reader.readSmallSealed(piece, offset, length, unsealer)
      : this.#reader.readSmall(piece, offset, length);
  }

  /** Frames opened so far: what ranges of sealed content cost. */
  get framesOpened(): number {
    return this.#reader.framesOpened;
  }

  /** Writes an extent's payload again, at the end of this process's log, under its logical place; durable when it resolves. */
  async rewrite(payload: Buffer, logical: Place): Promise<Place> {
    return await this.#log.rewrite(payload, logical);
  }

  closeIdle(): Promise<void> {
    return this.#reader.closeIdle();
  }

  async close(): Promise<void> {
    await this.#log.close();
    await this.#reader.close();
  }
}

const inlineBytesLimit = 64 * 1024;

function inlineLimit(bytes: number): number {
  return Math.min(bytes, inlineBytesLimit);
}
