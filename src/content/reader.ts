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
import { type Envelope, envelopeBytes, envelopeMark, openEnvelope, readEnvelope, type Unsealer } from './seal.ts';
import { type FrameKey, frameAt, frameStart, openedLength, openFrame } from './seal-frames.ts';
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
  #framesOpened = 0;

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
  async *read(
    pieces: readonly LogPiece[],
    offset: number,
    length: number,
    unsealer?: Unsealer,
  ): AsyncGenerator<ReadChunk, void, undefined> {
    let opener: ExtentOpener | undefined;
    let skip = offset;
    let left = length;
    for (const piece of pieces) {
      if (left === 0) return;
      if (skip >= piece.length) {
        skip -= piece.length;
        continue;
      }
      const take = Math.min(left, piece.length - skip);
      if (piece.sealed !== undefined) {
        opener ??= new ExtentOpener(unsealer, this.#nowMs);
        yield* this.#readSealedPiece(piece, piece.start + skip, take, opener);
      } else yield* this.#readPiece(piece, piece.start + skip, take);
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
    return (await this.#takeUp(piece, id)).subarray(from, from + length);
  }

  /** The same of a sealed piece. It is kept as it is stored: without its key, what is in memory says nothing either. */
  async readSmallSealed(piece: LogPiece, offset: number, length: number, unsealer?: Unsealer): Promise<Buffer> {
    const id = piece.segment * 2 ** 30 + piece.offset / extentAlignment;
    const kept = this.#small.get(id);
    const payload = kept !== undefined && kept.sum === piece.sum ? kept.bytes : await this.#takeUp(piece, id);
    const key = await new ExtentOpener(unsealer, this.#nowMs).open(piece, payload);
    const bytes = Buffer.allocUnsafeSlow(key.length);
    this.#framesOpened++;
    if (openFrame(key, 0, payload.subarray(envelopeBytes), bytes, 0) === undefined) throw damage(piece, unopened);
    return bytes.subarray(piece.start + offset, piece.start + offset + length);
  }

  get framesOpened(): number {
    return this.#framesOpened;
  }

  async #takeUp(piece: LogPiece, id: number): Promise<Buffer> {
    const { cached, place } = await this.#locate(piece);
    try {
      const head = headerBytes(piece.extentLength);
      const bytes = Buffer.allocUnsafeSlow(head + piece.extentLength);
      if ((await (await cached.file).read(bytes, place.offset)) !== bytes.length)
        throw damage(piece, 'its segment ends before it');
      const payload = bytes.subarray(head);
      if (crc64(payload) !== checkHeader(bytes, piece).blockSums[0]) throw damage(piece, 'it fails its checksum');
      this.#keep(id, piece.sum, payload);
      return payload;
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

  /**
   * Whole frames into a window, opened there one after the other. The piece vouches for the envelope, the envelope for the
   * key and the place of every frame, and a frame's tag for more than its block's sum does: so the sums are left to those
   * who read without a key.
   */
  async *#readSealedPiece(
    piece: LogPiece,
    from: number,
    length: number,
    opener: ExtentOpener,
  ): AsyncGenerator<ReadChunk, void, undefined> {
    const { cached, place } = await this.#locate(piece);
    try {
      const file = await cached.file;
      const head = headerBytes(piece.extentLength);
      let key: OpenedKey | undefined;
      let at = from;
      const end = from + length;
      while (at < end) {
        const chunk = this.#take();
        try {
          const first = frameAt(at);
          const room = Math.min(chunk.buffer.length, windowBytes + headerBytesMax);
          // The first read of an extent from its beginning brings the header and the envelope along.
          const withHeader = key === undefined && first === 0;
          if (key === undefined && !withHeader) {
            const target = chunk.buffer.subarray(0, head + envelopeBytes);
            if ((await file.read(target, place.offset)) !== target.length) throw damage(piece, shortened);
            checkHeader(target, piece);
            key = await opener.open(piece, target.subarray(head));
          }
          if (key !== undefined) key = await opener.again(piece, key);
          const frames = Math.max(1, Math.floor((room - (withHeader ? head : 0)) / blockBytes));
          const last = Math.min(frameAt(end - 1), first + frames - 1);
          const start = withHeader ? place.offset : place.offset + head + first * blockBytes;
          const stop = place.offset + head + Math.min(piece.extentLength, (last + 1) * blockBytes);
          const target = chunk.buffer.subarray(0, stop - start);
          if ((await file.read(target, start)) !== target.length) throw damage(piece, shortened);
          if (key === undefined) {
            checkHeader(target, piece);
            key = await opener.open(piece, target.subarray(head));
          }
          const payload = withHeader ? target.subarray(head) : target;
          const base = frameStart(first);
          let opened = 0;
          for (let frame = first; frame <= last; frame++) {
            const block = (frame - first) * blockBytes;
            const skip = frame === 0 ? envelopeBytes : 0;
            this.#framesOpened++;
            const stored = payload.subarray(block + skip, block + blockBytes);
            const bytes = openFrame(key, frame, stored, target, opened);
            if (bytes === undefined) throw damage(piece, unopened);
            opened += bytes;
          }
          const next = Math.min(end, base + opened);
          yield { bytes: target.subarray(at - base, next - base), release: chunk.release };
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

const shortened = 'its segment ends before it';
const unopened = 'its seal is broken';

/** How long a read that is under way goes on with a key before it asks for it again: it may be revoked meanwhile. */
const keyMs = 15_000;

interface OpenedKey extends FrameKey {
  readonly envelope: Envelope;
}

/** Opens the envelopes of a content's extents; those of one data key are unwrapped once in `keyMs`. */
class ExtentOpener {
  readonly #unsealer: Unsealer | undefined;
  readonly #nowMs: () => number;
  #last: { readonly envelope: Envelope; readonly key: Buffer; readonly askedMs: number } | undefined;

  constructor(unsealer: Unsealer | undefined, nowMs: () => number) {
    this.#unsealer = unsealer;
    this.#nowMs = nowMs;
  }

  async open(piece: LogPiece, payload: Buffer): Promise<OpenedKey> {
    if (envelopeMark(payload) !== piece.sealed) throw damage(piece, 'another envelope lies there, or it is damaged');
    const envelope = readEnvelope(payload);
    const length = openedLength(piece.extentLength);
    if (envelope === undefined || length === undefined || envelope.length !== length) {
      throw damage(piece, 'its envelope is damaged');
    }
    return { key: await this.#keyOf(piece, envelope), extentIndex: envelope.extentIndex, length, envelope };
  }

  /** The key of an extent whose reading goes on. */
  async again(piece: LogPiece, opened: OpenedKey): Promise<OpenedKey> {
    return { ...opened, key: await this.#keyOf(piece, opened.envelope) };
  }

  async #keyOf(piece: LogPiece, envelope: Envelope): Promise<Buffer> {
    const last = this.#last;
    const askedMs = this.#nowMs();
    if (last !== undefined && isSameKey(last.envelope, envelope)) {
      const age = askedMs - last.askedMs;
      if (age >= 0 && age < keyMs) return last.key;
    }
    if (this.#unsealer === undefined) throw new Error('sealed content is read without a key');
    const dataKey = await this.#unsealer.dataKey(envelope);
    const key = dataKey && openEnvelope(envelope, dataKey);
    if (key === undefined) throw damage(piece, 'its key is not the one that it was sealed with');
    this.#last = { envelope, key, askedMs };
    return key;
  }
}

function isSameKey(one: Envelope, other: Envelope): boolean {
  return (
    one.streamId.equals(other.streamId) &&
    one.wrapped.equals(other.wrapped) &&
    one.commitment.equals(other.commitment) &&
    one.keyId.equals(other.keyId) &&
    one.kind === other.kind
  );
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
