// Content on its way out: every block is verified against its checksum before one byte of it is passed on.
import { crc32 } from 'node:zlib';
import type { SegmentCatalog } from './catalog.ts';
import { type Disk, type DiskFile, isNotFound } from './disk.ts';
import {
  blockBytes,
  type ExtentHeader,
  extentAlignment,
  headerBytes,
  type LogPiece,
  type Place,
  readExtentHeader,
  segmentFileName,
} from './extent.ts';

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
const filesMax = 256;
const fileIdleMs = 30_000;

export class ContentReader {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #catalog: SegmentCatalog;
  readonly #nowMs: () => number;
  readonly #files = new Map<number, CachedFile>();
  readonly #small = new Map<number, { readonly sum: number; readonly bytes: Buffer }>();
  #smallBytes = 0;
  readonly #buffers: Buffer[] = [];
  readonly #buffersMax: number;
  #buffersMade = 0;

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
    this.#buffersMax = options.buffersMax;
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
    const id = piece.segment * 2 ** 20 + piece.offset / extentAlignment;
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
      verifyBlocks(payload, checkHeader(bytes, piece), 0, piece);
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
          const room = chunk.buffer.length - (withHeader ? head : 0);
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
          verifyBlocks(payload, header, firstBlock, piece);
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

  // Half of the memory goes out in large windows; when slow readers hold that, the rest read block by block.
  #take(): { buffer: Buffer; release: () => void } {
    const large = this.#buffers.pop() ?? (this.#buffersMade < this.#buffersMax ? this.#make() : undefined);
    if (large === undefined) {
      return { buffer: Buffer.allocUnsafeSlow(blockBytes + headerBytes(windowBytes)), release: () => undefined };
    }
    let held = true;
    const release = (): void => {
      if (held) this.#buffers.push(large);
      held = false;
    };
    return { buffer: large, release };
  }

  #make(): Buffer {
    this.#buffersMade++;
    return Buffer.allocUnsafeSlow(windowBytes + headerBytes(windowBytes));
  }
}

function checkHeader(bytes: Buffer, piece: LogPiece): ExtentHeader {
  const header = readExtentHeader(bytes);
  if (header === undefined) throw damage(piece, 'its header is damaged');
  if (header.pieceSum !== piece.sum || header.length !== piece.extentLength)
    throw damage(piece, 'another extent lies there');
  return header;
}

function verifyBlocks(payload: Buffer, header: ExtentHeader, firstBlock: number, piece: LogPiece): void {
  for (let at = 0, block = firstBlock; at < payload.length; at += blockBytes, block++) {
    const sum = crc32(payload.subarray(at, Math.min(payload.length, at + blockBytes)));
    if (sum !== header.blockSums[block]) throw damage(piece, `block ${block} fails its checksum`);
  }
}

function damage(piece: LogPiece, what: string): ContentDamageError {
  return new ContentDamageError(`extent ${piece.segment}:${piece.offset} of ${piece.extentLength} bytes: ${what}`);
}
