// A walk over a segment's extents, without anything that names them: for reclaim, recovery and fsck.
import { crc64 } from '../codec/crc64.ts';
import { type Disk, type DiskFile, openIfThere } from './disk.ts';
import {
  blockBytes,
  type ExtentHeader,
  extentAlignment,
  extentFootprint,
  headerBytes,
  type Place,
  payloadBytesMax,
  readExtentHeader,
  readSegmentHeader,
  type SegmentHeader,
  segmentFileName,
  segmentHeaderBytes,
} from './extent.ts';

export interface FoundExtent {
  readonly place: Place;
  readonly header: ExtentHeader;
}

const windowBytes = 64 * 1024;
const headerBytesMax = headerBytes(payloadBytesMax);

export class SegmentScan {
  readonly segment: number;
  readonly sizeBytes: number;
  /** Undefined: the first page was never written, or it is damaged. Then an extent is known by its place alone. */
  readonly header: SegmentHeader | undefined;
  readonly #file: DiskFile;
  readonly #window = Buffer.allocUnsafe(windowBytes);
  #windowAt = 0;
  #windowLength = 0;

  /** Undefined where there is no such file. */
  static async open(disk: Disk, directory: string, segment: number): Promise<SegmentScan | undefined> {
    const file = await openIfThere(disk, `${directory}/${segmentFileName(segment)}`, 'read');
    if (file === undefined) return undefined;
    try {
      const sizeBytes = await file.size();
      const page = Buffer.alloc(segmentHeaderBytes);
      await file.read(page, 0);
      const header = readSegmentHeader(page);
      return new SegmentScan(segment, file, sizeBytes, header?.segment === segment ? header : undefined);
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  private constructor(segment: number, file: DiskFile, sizeBytes: number, header: SegmentHeader | undefined) {
    this.segment = segment;
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.header = header;
  }

  /**
   * Every extent whose header holds and whose bytes are all within the file. Where no header is, the walk looks at every
   * later place where one may begin: behind one damaged header the small extents that shared its write are still found.
   */
  async *extents(): AsyncGenerator<FoundExtent, void, undefined> {
    let at = segmentHeaderBytes;
    while (at < this.sizeBytes) {
      const header = await this.#headerAt(at);
      if (header === undefined) {
        at += extentAlignment;
        continue;
      }
      yield { place: { segment: this.segment, offset: at }, header };
      at += extentFootprint(header.length);
    }
  }

  /** The payload; undefined when it is not what was written. */
  async payload({ place, header }: FoundExtent): Promise<Buffer | undefined> {
    const payload = Buffer.allocUnsafe(header.length);
    const from = place.offset + headerBytes(header.length);
    if ((await this.#file.read(payload, from)) !== payload.length) return undefined;
    for (let at = 0, block = 0; at < payload.length; at += blockBytes, block++) {
      const sum = crc64(payload.subarray(at, Math.min(payload.length, at + blockBytes)));
      if (sum !== header.blockSums[block]) return undefined;
    }
    return payload;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #headerAt(at: number): Promise<ExtentHeader | undefined> {
    const wanted = Math.min(headerBytesMax, this.sizeBytes - at);
    if (at < this.#windowAt || at + wanted > this.#windowAt + this.#windowLength) {
      this.#windowLength = await this.#file.read(this.#window, at);
      this.#windowAt = at;
    }
    const from = at - this.#windowAt;
    const header = readExtentHeader(this.#window.subarray(from, Math.min(from + headerBytesMax, this.#windowLength)));
    if (header === undefined || header.place.segment !== this.segment || header.place.offset !== at) return undefined;
    if (this.header !== undefined && header.salt !== this.header.salt) return undefined;
    return at + headerBytes(header.length) + header.length <= this.sizeBytes ? header : undefined;
  }
}
