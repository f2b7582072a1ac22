// Content on its way out: every block is verified against its checksum before one byte of it is passed on.
import { crc64 } from '../codec/crc64.ts';
import type { SegmentCatalog } from './catalog.ts';
import { alignUp, type Disk, type DiskFile, directAlignment, isNotFound } from './disk.ts';
import {
  blockBytes,
  type ExtentHeader,
  extentAlignment,
  headerBytes,
  type LogPiece,
  type Place,
  payloadBytesMax,
  readExtentHeader,
  segmentFileName,
} from './extent.ts';
import { type Slot, SlotPool } from './slot-pool.ts';

/** Stored bytes are not what was written: they are refused, never served. */
export class ContentDamageError extends Error {
  readonly code = 'CONTENT_DAMAGED';
}

/** Verified bytes; `release` says that they are no longer looked at. */
export interface ReadChunk {
  readonly bytes: Buffer;
  release(): void;
}

interface CachedFile {
  readonly file: Promise<DiskFile>;
  users: number;
  usedMs: number;
}

/** Extents up to this length are read whole, and kept in memory for a while. */
export const smallExtentBytes = blockBytes;
const smallBytesMax = 64 * 1024 * 1024;

const windowBytes = 512 * 1024;
const headerBytesMax = headerBytes(payloadBytesMax);
const filesMax = 256;
const fileIdleMs = 5_000;

export class ContentReader {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #catalog: SegmentCatalog;
  readonly #nowMs: () => number;
  readonly #files = new Map<number, CachedFile>();
  readonly #small = new Map<number, { readonly sum: number; readonly bytes: Buffer }>();
  #smallBytes = 0;
  readonly #windows: SlotPool;

  constructor(options: {
    disk: Disk;
    directory: string;
    catalog: SegmentCatalog;
    nowMs: () => number;
    buffersMax: number;
  }) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#catalog = options.catalog;
    this.#nowMs = options.nowMs;
    this.#windows = new SlotPool(options.buffersMax, alignUp(windowBytes + headerBytesMax, directAlignment));
  }

  /** The bytes from `offset`, `length` of them, in chunks of bounded size. Throws `ContentDamageError`. */
  async *read(pieces: readonly LogPiece[], offset: number, length: number): AsyncGenerator<ReadChunk, void, undefined> {
    let skip = offset;
    let left = length;
    for (const piece of pieces) {
      if (left === 0) return;
      if (skip >= piece.length) {
        skip -= piece.length;
        continue;
      }
      const take = Math.min(left, piece.length - skip);
      yield* this.#readPiece(piece, piece.start + skip, take);
      skip = 0;
      left -= take;
    }
    if (left > 0) throw new ContentDamageError('the pieces of a content are shorter than its length');
  }

  /**
   * A range of one piece whose extent is at most `smallExtentBytes` long, as one buffer of its own. What was read lately
   * comes from memory: an extent never changes, so it is verified when it is taken up.
   */
  async readSmall(piece: LogPiece, offset: number, length: number): Promise<Buffer> {
    // Segments are at most 64 GiB long, and there are fewer than eight million.
    const id = piece.segment * 2 ** 30 + piece.offset / extentAlignment;
    const from = piece.start + offset;
    const kept = this.#small.get(id);
    if (kept !== undefined && kept.sum === piece.sum) return kept.bytes.subarray(from, from + length);
    const { cached, place } = await this.#locate(piece);
    try {
      const head = headerBytes(piece.extentLength);
      const bytes = Buffer.allocUnsafeSlow(head + piece.extentLength);
      if ((await (await cached.file).read(bytes, place.offset)) !== bytes.length)
        throw damage(piece, 'its segment ends before it');
      const payload = bytes.subarray(head);
      if (crc64(payload) !== checkHeader(bytes, piece).blockSums[0]) throw damage(piece, 'it fails its checksum');
      this.#keep(id, piece.sum, payload);
      return payload.subarray(from, from + length);
    } finally {
      cached.users--;
      cached.usedMs = this.#nowMs();
    }
  }

  // Half of what is kept goes when there is no room: the older half, in the order in which it came.
  #keep(id: number, sum: number, bytes: Buffer): void {
    if (this.#smallBytes + bytes.length > smallBytesMax) {
      for (const [old, { bytes: dropped }] of this.#small) {
        this.#small.delete(old);
        this.#smallBytes -= dropped.length;
        if (this.#smallBytes <= smallBytesMax / 2) break;
      }
    }
    if (!this.#small.has(id)) this.#smallBytes += bytes.length;
    this.#small.set(id, { sum, bytes });
  }

  /** Closes files that nobody read for a while, so that reclaimed segments give their space back. */
  async closeIdle(): Promise<void> {
    const before = this.#nowMs() - fileIdleMs;
    for (const [segment, cached] of this.#files) {
      if (cached.users === 0 && cached.usedMs < before) await this.#drop(segment, cached);
    }
  }

  async close(): Promise<void> {
    for (const [segment, cached] of this.#files) await this.#drop(segment, cached);
  }

  async *#readPiece(piece: LogPiece, from: number, length: number): AsyncGenerator<ReadChunk, void, undefined> {
    const { cached, place } = await this.#locate(piece);
    try {
      const file = await cached.file;
      const head = headerBytes(piece.extentLength);
      let header: ExtentHeader | undefined;
      let at = from;
      const end = from + length;
      while (at < end) {
        const chunk = this.#take();
        try {
          const firstBlock = Math.floor(at / blockBytes);
          // The first read of an extent from its beginning brings the header along.
          const withHeader = header === undefined && firstBlock === 0;
          if (header === undefined && !withHeader) header = await this.#readHeader(file, piece, place, chunk.buffer);
          const room = Math.min(chunk.buffer.length, windowBytes + headerBytesMax) - (withHeader ? head : 0);
          const blocks = Math.max(1, Math.floor(room / blockBytes));
          const until = Math.min(
            piece.extentLength,
            (firstBlock + blocks) * blockBytes,
            Math.ceil(end / blockBytes) * blockBytes,
          );
          const start = withHeader ? place.offset : place.offset + head + firstBlock * blockBytes;
          const bytes = place.offset + head + until - start;
          const target = chunk.buffer.subarray(0, bytes);
          if ((await file.read(target, start)) !== bytes) throw damage(piece, 'its segment ends before it');
          if (header === undefined) header = checkHeader(target, piece);
          const payload = withHeader ? target.subarray(head) : target;
          this.#verify(chunk, withHeader ? head : 0, payload.length, header, firstBlock, piece);
          const base = firstBlock * blockBytes;
          const next = Math.min(end, until);
          yield { bytes: payload.subarray(at - base, next - base), release: chunk.release };
          at = next;
        } catch (error) {
          chunk.release();
          throw error;
        }
      }
    } finally {
      cached.users--;
      cached.usedMs = this.#nowMs();
    }
  }

  async #readHeader(file: DiskFile, piece: LogPiece, place: Place, scratch: Buffer): Promise<ExtentHeader> {
    const target = scratch.subarray(0, headerBytes(piece.extentLength));
    if ((await file.read(target, place.offset)) !== target.length) throw damage(piece, 'its segment ends before it');
    return checkHeader(target, piece);
  }

  async #locate(piece: LogPiece): Promise<{ cached: CachedFile; place: Place }> {
    let place: Place = { segment: piece.segment, offset: piece.offset };
    // Compaction may move an extent between the look-up and the open; each turn finds it at a newer place.
    for (let turn = 0; turn < 8; turn++) {
      try {
        return { cached: await this.#file(place.segment), place };
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      const moved = await this.#catalog.relocated({ segment: piece.segment, offset: piece.offset });
      if (moved === undefined) throw damage(piece, 'its segment is missing');
      place = moved;
    }
    throw damage(piece, 'its segment is missing wherever it was moved');
  }

  async #file(segment: number): Promise<CachedFile> {
    let cached = this.#files.get(segment);
    if (cached === undefined) {
      if (this.#files.size >= filesMax) await this.#evict();
      cached = this.#files.get(segment);
    }
    if (cached === undefined) {
      const file = this.#disk.open(`${this.#directory}/${segmentFileName(segment)}`, 'read');
      cached = { file, users: 0, usedMs: this.#nowMs() };
      this.#files.set(segment, cached);
      file.catch(() => this.#files.delete(segment));
    }
    cached.users++;
    try {
      await cached.file;
      return cached;
    } catch (error) {
      cached.users--;
      throw error;
    }
  }

  async #evict(): Promise<void> {
    let oldest: [number, CachedFile] | undefined;
    for (const entry of this.#files) {
      if (entry[1].users === 0 && (oldest === undefined || entry[1].usedMs < oldest[1].usedMs)) oldest = entry;
    }
    if (oldest !== undefined) await this.#drop(oldest[0], oldest[1]);
  }

  async #drop(segment: number, cached: CachedFile): Promise<void> {
    this.#files.delete(segment);
    const file = await cached.file.catch(() => undefined);
    await file?.close();
  }

  // Memory goes out in large windows; when slow readers hold all of them, the rest read block by block.
  #take(): Window {
    const slot = this.#windows.tryTake();
    if (slot === undefined) {
      return { buffer: Buffer.allocUnsafeSlow(blockBytes + headerBytesMax), slot: undefined, release: () => undefined };
    }
    let held = true;
    const release = (): void => {
      if (held) this.#windows.give(slot);
      held = false;
    };
    return { buffer: slot.bytes, slot, release };
  }

  /** Checks blocks from `firstBlock` on, which lie from `at` on in the window. */
  #verify(window: Window, at: number, length: number, header: ExtentHeader, firstBlock: number, piece: LogPiece): void {
    const { slot } = window;
    for (let next = 0, block = firstBlock; next < length; next += blockBytes, block++) {
      const bytes = Math.min(blockBytes, length - next);
      const sum =
        slot === undefined
          ? crc64(window.buffer.subarray(at + next, at + next + bytes))
          : this.#windows.crc64.update(0n, slot.base + at + next, bytes);
      if (sum !== header.blockSums[block]) throw damage(piece, `block ${block} fails its checksum`);
    }
  }
}

/** A buffer to read into: in the pool's memory, where it is checked in place, or beside it. */
interface Window {
  readonly buffer: Buffer;
  readonly slot: Slot | undefined;
  readonly release: () => void;
}

function checkHeader(bytes: Buffer, piece: LogPiece): ExtentHeader {
  const header = readExtentHeader(bytes);
  if (header === undefined) throw damage(piece, 'its header is damaged');
  if (header.pieceSum !== piece.sum || header.length !== piece.extentLength)
    throw damage(piece, 'another extent lies there');
  return header;
}

function damage(piece: LogPiece, what: string): ContentDamageError {
  return new ContentDamageError(`extent ${piece.segment}:${piece.offset} of ${piece.extentLength} bytes: ${what}`);
}
