// The form of an extent in a segment, and of the piece that names it from outside.
import { crc32 } from 'node:zlib';
import { alignUp } from './disk.ts';

/**
 * A run of content in the log. `segment` and `offset` are the extent's logical place: where it was first written.
 * Compaction may move it; then the catalog tells where it is now. `sum` covers the extent's block sums, so it vouches
 * for every byte; `start` and `length` choose a part of the extent's `extentLength` bytes of payload.
 */
export interface LogPiece {
  readonly segment: number;
  readonly offset: number;
  readonly extentLength: number;
  readonly sum: number;
  readonly start: number;
  readonly length: number;
  /**
   * The payload is sealed: `start` and `length` count bytes of its plaintext, `extentLength` what is stored. The number is
   * the mark of its envelope (`envelopeMark`): no other extent, sealed under the same key or not, passes for this one.
   */
  readonly sealed?: number;
}

/** Where an extent lies now. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
}

/** The unit of verification: a range read checks only the blocks that it touches. */
export const blockBytes = 64 * 1024;
/** An extent's payload at most this long shares a write with others. */
export const gatherBytesMax = 64 * 1024;
/** Extents start at multiples of this. */
export const extentAlignment = 64;
/** A segment's first extent follows its header page. */
export const segmentHeaderBytes = 4096;
/** An extent with its header fits one slot of the write pool. */
export const slotBytes = 1024 * 1024;

const magic = 0x43574558; // "CWEX"
const segmentMagic = 0x43575347; // "CWSG"
const fixedBytes = 64;
const sumBytes = 8;
// A whole table of block sums, so that a slot's payload can be filled in before its length is known.
const largeHeaderBytes = fixedBytes + sumBytes * (slotBytes / blockBytes);
/** From here to the end of the block sums nothing changes when an extent moves. */
const stableFrom = 40;

/** The largest payload whose extent fills a slot exactly. */
export const payloadBytesMax = slotBytes - largeHeaderBytes;

/** The header's length: one block sum for a payload of at most a block, a whole table of them for a larger one. */
export function headerBytes(payloadLength: number): number {
  return payloadLength <= blockBytes ? fixedBytes + sumBytes : largeHeaderBytes;
}

/** What an extent takes of its segment, the next one following it. */
export function extentFootprint(payloadLength: number): number {
  return alignUp(headerBytes(payloadLength) + payloadLength, extentAlignment);
}

export interface ExtentHeader {
  readonly salt: bigint;
  readonly place: Place;
  readonly logical: Place;
  readonly length: number;
  /** CRC-32 of the stable part: what a piece carries as `sum`. */
  readonly pieceSum: number;
  /** CRC-64 of each 64 KiB block of the payload. */
  readonly blockSums: readonly bigint[];
}

/** Writes the header before a payload that already lies behind it; answers the piece's sum. */
export function writeExtentHeader(
  target: Buffer,
  header: Omit<ExtentHeader, 'pieceSum'> & { readonly createdMs: number },
): number {
  const end = headerBytes(header.length);
  target.fill(0, 0, end);
  target.writeUInt32BE(magic, 0);
  target.writeBigUInt64BE(header.salt, 8);
  target.writeUInt32BE(header.place.segment, 16);
  target.writeUIntBE(header.place.offset, 26, 6);
  target.writeUIntBE(header.createdMs, 34, 6);
  target.writeUInt32BE(header.logical.segment, stableFrom);
  target.writeUInt32BE(header.length, 44);
  target.writeUIntBE(header.logical.offset, 50, 6);
  target.writeUInt32BE(header.blockSums.length, 56);
  target.writeUInt32BE(1, 60);
  for (let i = 0; i < header.blockSums.length; i++)
    target.writeBigUInt64BE(header.blockSums[i] as bigint, fixedBytes + sumBytes * i);
  target.writeUInt32BE(crc32(target.subarray(8, end)), 4);
  return crc32(target.subarray(stableFrom, end));
}

/** Reads a header; undefined where there is none, or a damaged one. `source` holds at least the whole header. */
export function readExtentHeader(source: Buffer): ExtentHeader | undefined {
  if (source.length < fixedBytes || source.readUInt32BE(0) !== magic) return undefined;
  const length = source.readUInt32BE(44);
  const blockCount = source.readUInt32BE(56);
  const end = headerBytes(length);
  if (length > payloadBytesMax || blockCount !== Math.ceil(length / blockBytes) || source.length < end)
    return undefined;
  if (source.readUInt32BE(60) !== 1) return undefined;
  if (crc32(source.subarray(8, end)) !== source.readUInt32BE(4)) return undefined;
  const blockSums: bigint[] = [];
  for (let i = 0; i < blockCount; i++) blockSums.push(source.readBigUInt64BE(fixedBytes + sumBytes * i));
  return {
    salt: source.readBigUInt64BE(8),
    place: { segment: source.readUInt32BE(16), offset: source.readUIntBE(26, 6) },
    logical: { segment: source.readUInt32BE(stableFrom), offset: source.readUIntBE(50, 6) },
    length,
    pieceSum: crc32(source.subarray(stableFrom, end)),
    blockSums,
  };
}

export interface SegmentHeader {
  readonly segment: number;
  /** Drawn at random: bytes of a payload can never pass for an extent of this segment. */
  readonly salt: bigint;
}

export function writeSegmentHeader(page: Buffer, header: SegmentHeader): void {
  page.fill(0, 0, segmentHeaderBytes);
  page.writeUInt32BE(segmentMagic, 0);
  page.writeUInt32BE(1, 8);
  page.writeUInt32BE(header.segment, 12);
  page.writeBigUInt64BE(header.salt, 16);
  page.writeUInt32BE(crc32(page.subarray(8, segmentHeaderBytes)), 4);
}

export function readSegmentHeader(page: Buffer): SegmentHeader | undefined {
  if (page.length < segmentHeaderBytes || page.readUInt32BE(0) !== segmentMagic) return undefined;
  if (page.readUInt32BE(8) !== 1 || crc32(page.subarray(8, segmentHeaderBytes)) !== page.readUInt32BE(4))
    return undefined;
  return { segment: page.readUInt32BE(12), salt: page.readBigUInt64BE(16) };
}

export function segmentFileName(segment: number): string {
  return `${segment.toString(16).padStart(8, '0')}.seg`;
}

/** Beside the segments: which store they belong to. */
export const storeIdFileName = 'store';

export function segmentOfFileName(name: string): number | undefined {
  const match = /^([0-9a-f]{8})\.seg$/.exec(name);
  return match ? Number.parseInt(match[1] as string, 16) : undefined;
}
