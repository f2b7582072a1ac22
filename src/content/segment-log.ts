// The append-only log of one worker: slots and gathered small extents go to the end of its own segment, synced in groups.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { assert } from '../base/unreachable.ts';
import { createMd5State, type Md5Job } from '../codec/md5-lanes.ts';
import type { SegmentCatalog } from './catalog.ts';
import { alignUp, type Disk, type DiskFile, directAlignment } from './disk.ts';
import {
  blockBytes,
  extentFootprint,
  gatherBytesMax,
  headerBytes,
  type LogPiece,
  type Place,
  segmentFileName,
  segmentHeaderBytes,
  slotBytes,
  writeExtentHeader,
  writeSegmentHeader,
} from './extent.ts';
import type { Slot, SlotPool } from './slot-pool.ts';

const md5BlockBytes = 64;

export interface SegmentLogOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly catalog: SegmentCatalog;
  readonly pool: SlotPool;
  readonly clock: Clock;
  readonly random: Random;
  /** A segment takes no more than this; at least a few slots. */
  readonly segmentBytes: number;
}

interface OpenSegment {
  readonly number: number;
  readonly salt: bigint;
  readonly file: DiskFile;
  tail: number;
  /** The footprints of all extents. */
  extentBytes: number;
  /** Everything is synced and the file is closed: a sync that comes late has nothing to do. */
  closed: boolean;
  /** After a failed write or sync nothing of the segment that is not yet acknowledged can be trusted. */
  failed: Error | undefined;
  writing: number;
  /** How many writes have ended, and how many of these are on the disk to stay. */
  ended: number;
  synced: number;
  syncing: Promise<void> | undefined;
  nextSync: Promise<void> | undefined;
}

/** An extent that is written, and durable once `durable` resolved. */
export interface Written {
  readonly piece: LogPiece;
  /** Where it lies; the piece names where it was first written. */
  readonly place: Place;
  readonly segment: OpenSegment;
  /** As which of the segment's writes its own ended, from 1 on. */
  readonly endedAs: number;
  /** CRC-64 of each block of its payload. */
  readonly sums: readonly bigint[];
  /** Of a small extent, if it was asked for. */
  readonly md5?: Buffer;
}

/** A small extent that waits in a gather slot for the next write. */
interface Waiting {
  readonly at: number;
  readonly length: number;
  /** Where it was first written, if that is elsewhere. */
  readonly logical: Place | undefined;
  readonly wantMd5: boolean;
  readonly resolve: (written: Written) => void;
  readonly reject: (error: Error) => void;
}

interface Gather {
  readonly slot: Slot;
  used: number;
  readonly waiting: Waiting[];
}

export class SegmentLog {
  readonly #options: SegmentLogOptions;
  #current: OpenSegment | undefined;
  #opening: Promise<OpenSegment> | undefined;
  #gather: Gather | undefined;
  readonly #sealedGathers: Gather[] = [];
  #flushing: Promise<void> | undefined;
  readonly #open = new Set<OpenSegment>();
  readonly #gatheredMax: number;
  #closed = false;

  constructor(options: SegmentLogOptions) {
    this.#options = options;
    this.#gatheredMax = Math.min(slotBytes, options.segmentBytes - segmentHeaderBytes);
  }

  /** Copies a small payload (at most `gatherBytesMax` bytes) behind others into a shared slot; durable when it resolves. */
  appendSmall(chunks: readonly Uint8Array[], length: number, wantMd5 = false): Promise<Written> {
    return this.#appendGathered(chunks, length, undefined, wantMd5);
  }

  async #appendGathered(
    chunks: readonly Uint8Array[],
    length: number,
    logical: Place | undefined,
    wantMd5 = false,
  ): Promise<Written> {
    const header = headerBytes(length);
    const need = extentFootprint(length);
    while (this.#gather === undefined || this.#gather.used + need > this.#gatheredMax) {
      this.#sealGather();
      const slot = await this.#options.pool.take();
      if (this.#gather === undefined) this.#gather = { slot, used: 0, waiting: [] };
      else this.#options.pool.give(slot);
    }
    const gather = this.#gather;
    const at = gather.used;
    gather.used += need;
    let position = at + header;
    for (const chunk of chunks) {
      gather.slot.bytes.set(chunk, position);
      position += chunk.length;
    }
    gather.slot.bytes.fill(0, position, gather.used);
    return await new Promise<Written>((resolve, reject) => {
      gather.waiting.push({ at, length, logical, wantMd5, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /** Writes a slot that holds one extent whose payload begins at `headerBytes(length)`; the slot goes back to the pool. */
  async writeSlot(slot: Slot, length: number, blockSums: readonly bigint[], logical?: Place): Promise<Written> {
    const { pool } = this.#options;
    try {
      const end = headerBytes(length) + length;
      const bytes = alignUp(end, directAlignment);
      slot.bytes.fill(0, end, bytes);
      const { segment, position } = await this.#reserve(bytes);
      const piece = this.#seal(segment, slot.bytes, position, length, blockSums, logical);
      const endedAs = await this.#write(segment, slot.bytes.subarray(0, bytes), position);
      return { piece, place: { segment: segment.number, offset: position }, segment, endedAs, sums: blockSums };
    } finally {
      pool.give(slot);
    }
  }

  /** Writes an extent that lies elsewhere to the end of this log, under its logical place; durable when it resolves. */
  async rewrite(payload: Buffer, logical: Place): Promise<Place> {
    if (payload.length <= gatherBytesMax) return (await this.#appendGathered([payload], payload.length, logical)).place;
    const slot = await this.#options.pool.take();
    const from = headerBytes(payload.length);
    payload.copy(slot.bytes, from);
    const placed = await this.writeSlot(slot, payload.length, this.#blockSums(slot, 0, payload.length), logical);
    await this.#sync(placed.segment);
    return placed.place;
  }

  /** Resolves when all of these are on the disk to stay; rejects when one may not be. */
  async durable(written: Iterable<Written>): Promise<void> {
    const segments = new Set<OpenSegment>();
    for (const { segment, endedAs } of written) if (endedAs > segment.synced) segments.add(segment);
    await Promise.all([...segments].map((segment) => this.#sync(segment)));
  }

  /** Ends all segments: what is waiting is written and synced, the catalog learns their length. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#flushing !== undefined) await this.#flushing;
    if (this.#gather !== undefined) this.#options.pool.give(this.#gather.slot);
    this.#gather = undefined;
    await this.#opening?.catch(() => undefined);
    await Promise.all([...this.#open].map((segment) => this.#retire(segment)));
    this.#current = undefined;
  }

  #sealGather(): void {
    if (this.#gather === undefined) return;
    if (this.#gather.waiting.length > 0) this.#sealedGathers.push(this.#gather);
    else this.#options.pool.give(this.#gather.slot);
    this.#gather = undefined;
    if (this.#sealedGathers.length > 0) this.#flushing ??= this.#flush();
  }

  // One gathered write and one sync at a time; what arrives meanwhile makes up the next.
  async #flush(): Promise<void> {
    await nextTurn();
    for (;;) {
      let gather = this.#sealedGathers.shift();
      if (gather === undefined && this.#gather !== undefined && this.#gather.waiting.length > 0) {
        gather = this.#gather;
        this.#gather = undefined;
      }
      if (gather === undefined) break;
      await this.#flushGather(gather);
    }
    this.#flushing = undefined;
  }

  async #flushGather(gather: Gather): Promise<void> {
    const { slot, waiting } = gather;
    try {
      const bytes = alignUp(gather.used, directAlignment);
      slot.bytes.fill(0, gather.used, bytes);
      const { segment, position } = await this.#reserve(bytes);
      const sealed = waiting.map((one) => {
        const extent = slot.bytes.subarray(one.at, one.at + headerBytes(one.length) + one.length);
        const offset = position + one.at;
        const sums = this.#blockSums(slot, one.at, one.length);
        const piece = this.#seal(segment, extent, offset, one.length, sums, one.logical);
        return { piece, place: { segment: segment.number, offset }, segment, sums };
      });
      const write = this.#write(segment, slot.bytes.subarray(0, bytes), position);
      // While the disk is at it.
      const sums = this.#md5Sums(slot, waiting);
      const endedAs = await write;
      await this.#sync(segment);
      for (const [i, one] of waiting.entries()) {
        const md5 = sums.get(one);
        one.resolve({ ...(sealed[i] as Omit<Written, 'endedAs'>), endedAs, ...(md5 && { md5 }) });
      }
    } catch (error) {
      for (const one of waiting) one.reject(error as Error);
    } finally {
      this.#options.pool.give(slot);
    }
  }

  /** The MD5 of those that want one, all in one go. */
  #md5Sums(slot: Slot, waiting: readonly Waiting[]): Map<Waiting, Buffer> {
    const sums = new Map<Waiting, Buffer>();
    const wanting = waiting.filter(({ wantMd5 }) => wantMd5);
    if (wanting.length === 0) return sums;
    const { md5 } = this.#options.pool;
    const jobs = wanting.map(({ at, length }) => ({
      state: createMd5State(),
      offset: slot.base + at + headerBytes(length),
      blocks: Math.floor(length / md5BlockBytes),
    }));
    md5.hash(jobs.filter(({ blocks }) => blocks > 0));
    for (const [i, one] of wanting.entries()) {
      const end = one.at + headerBytes(one.length) + one.length;
      const tail = slot.bytes.subarray(end - (one.length % md5BlockBytes), end);
      sums.set(one, md5.finish((jobs[i] as Md5Job).state, tail));
    }
    return sums;
  }

  /** Of the payload of an extent that begins at `at` of a slot. */
  #blockSums(slot: Slot, at: number, length: number): bigint[] {
    const { crc64 } = this.#options.pool;
    const sums: bigint[] = [];
    const from = slot.base + at + headerBytes(length);
    for (let next = 0; next < length; next += blockBytes) {
      sums.push(crc64.update(0n, from + next, Math.min(blockBytes, length - next)));
    }
    return sums;
  }

  #seal(
    segment: OpenSegment,
    extent: Buffer,
    position: number,
    length: number,
    blockSums: readonly bigint[],
    moved: Place | undefined,
  ): LogPiece {
    const place = { segment: segment.number, offset: position };
    const logical = moved ?? place;
    segment.extentBytes += extentFootprint(length);
    const createdMs = this.#options.clock.now();
    const sum = writeExtentHeader(extent, { salt: segment.salt, place, logical, length, blockSums, createdMs });
    return { ...logical, extentLength: length, sum, start: 0, length };
  }

  async #reserve(bytes: number): Promise<{ segment: OpenSegment; position: number }> {
    assert(segmentHeaderBytes + bytes <= this.#options.segmentBytes, 'a write fits a segment');
    for (;;) {
      const segment = this.#current;
      if (segment !== undefined && segment.tail + bytes <= this.#options.segmentBytes) {
        const position = segment.tail;
        segment.tail += bytes;
        // Counted from here on, so that a rotation waits for it.
        segment.writing++;
        return { segment, position };
      }
      this.#opening ??= this.#rotate().finally(() => {
        this.#opening = undefined;
      });
      await this.#opening;
    }
  }

  async #rotate(): Promise<OpenSegment> {
    const { disk, directory, catalog, random, pool } = this.#options;
    if (this.#closed) throw new Error('the log is closed');
    const full = this.#current;
    this.#current = undefined;
    if (full !== undefined) void this.#retire(full);
    const number = await catalog.allocate();
    const file = await disk.open(`${directory}/${segmentFileName(number)}`, 'append-new');
    const salt = random.bytes(8).readBigUInt64BE();
    try {
      // Memory of its own: a rotation that waited for a slot would wait for writers that wait for it.
      writeSegmentHeader(pool.headerPage, { segment: number, salt });
      await file.write(pool.headerPage, 0);
      await file.sync();
      await disk.syncDirectory(directory);
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    const segment: OpenSegment = {
      number,
      salt,
      file,
      tail: segmentHeaderBytes,
      extentBytes: 0,
      closed: false,
      failed: undefined,
      writing: 0,
      ended: 0,
      synced: 0,
      syncing: undefined,
      nextSync: undefined,
    };
    this.#open.add(segment);
    this.#current = segment;
    return segment;
  }

  /** Answers as which of the segment's writes it ended. */
  async #write(segment: OpenSegment, bytes: Buffer, position: number): Promise<number> {
    try {
      await segment.file.write(bytes, position);
    } catch (error) {
      this.#fail(segment, error as Error);
      throw error;
    } finally {
      segment.writing--;
    }
    if (segment.failed !== undefined) throw segment.failed;
    return ++segment.ended;
  }

  // A sync that starts after a write ended covers it: callers that come while one runs share the next.
  #sync(segment: OpenSegment): Promise<void> {
    if (segment.closed) return segment.failed === undefined ? Promise.resolve() : Promise.reject(segment.failed);
    segment.nextSync ??= (async () => {
      await undefined;
      while (segment.syncing !== undefined) await segment.syncing.catch(() => undefined);
      segment.syncing = segment.nextSync as Promise<void>;
      segment.nextSync = undefined;
      try {
        if (segment.failed !== undefined) throw segment.failed;
        const covered = segment.ended;
        await segment.file.sync();
        if (segment.failed !== undefined) throw segment.failed;
        segment.synced = covered;
      } catch (error) {
        this.#fail(segment, error as Error);
        throw error;
      } finally {
        segment.syncing = undefined;
      }
    })();
    return segment.nextSync;
  }

  // What the kernel did with pages after a failed sync is unknown: the segment is given up, and the next write opens another.
  #fail(segment: OpenSegment, error: Error): void {
    if (segment.failed !== undefined) return;
    segment.failed = error;
    if (this.#current === segment) this.#current = undefined;
    void this.#retire(segment);
  }

  async #retire(segment: OpenSegment): Promise<void> {
    if (!this.#open.delete(segment)) return;
    for (let synced = false; ; ) {
      while (segment.writing > 0 || segment.syncing !== undefined || segment.nextSync !== undefined) {
        await this.#options.clock.sleep(1);
      }
      if (synced || segment.failed !== undefined) break;
      // Contents under way may have written here and have their sync still before them, when the file is closed.
      await this.#sync(segment).catch(() => undefined);
      synced = true;
    }
    segment.closed = true;
    await segment.file.close().catch(() => undefined);
    // A segment whose end the catalog never learns stays "open" there, and is looked over at the next start.
    if (segment.failed !== undefined) return;
    await this.#options.catalog.sealed(segment.number, segment.tail, segment.extentBytes).catch(() => undefined);
  }
}
