// What the namespace stores: every record's fields, and the versioned form in which it is kept.
import { assert } from '../base/unreachable.ts';
import type { LogPiece } from '../content/extent.ts';

export interface AccountRecord {
  readonly id: string;
  readonly createdMs: number;
  /** Base64, two of them, as Azure has: either signs. */
  readonly keys: readonly [string, string];
  /** Set Blob Service Properties, as the surface that owns them stored them. */
  readonly blobService?: unknown;
}

export interface StoredPolicy {
  readonly id: string;
  readonly start?: string;
  readonly expiry?: string;
  readonly permission?: string;
}

export type PublicAccess = 'none' | 'blob' | 'container';

export interface ContainerRecord {
  readonly id: string;
  readonly etag: string;
  readonly createdMs: number;
  readonly modifiedMs: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly publicAccess: PublicAccess;
  readonly policies: readonly StoredPolicy[];
  readonly lease?: Lease;
  /** Most bytes of content that the container may hold. */
  readonly quotaBytes?: number;
}

/** A lease as it was last changed; what it is now follows from the time: see `leases.ts`. */
export interface Lease {
  readonly id: string;
  /** Seconds, or -1 for ever. */
  readonly durationS: number;
  /** When a fixed lease ends by itself. */
  readonly expiresMs?: number;
  /** Set by a break: from then on it is broken. */
  readonly breakMs?: number;
}

export interface ContentHeaders {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly contentDisposition?: string;
  readonly cacheControl?: string;
  /** Base64. */
  readonly contentMd5?: string;
}

export interface CopyState {
  readonly id: string;
  readonly source: string;
  readonly status: 'success' | 'pending' | 'aborted' | 'failed';
  readonly completedMs?: number;
  readonly bytes: number;
  readonly total: number;
}

/** One committed block: its id (base64 as it came), its length, how many pieces it is. */
export type BlockItem = readonly [id: string, length: number, pieces: number];

export interface EntryRecord {
  readonly id: string;
  readonly type: 'block';
  readonly etag: string;
  readonly createdMs: number;
  readonly modifiedMs: number;
  readonly length: number;
  readonly headers: ContentHeaders;
  readonly metadata: Readonly<Record<string, string>>;
  /** Pieces of a short content, six numbers each; a long one stands under its content id. */
  readonly pieces?: readonly number[];
  readonly contentId?: string;
  /** Committed blocks; absent after Put Blob. A long list stands under the content id. */
  readonly blocks?: readonly BlockItem[];
  readonly lease?: Lease;
  readonly copy?: CopyState;
  readonly tier?: string;
  readonly tierChangedMs?: number;
  readonly tags?: Readonly<Record<string, string>>;
}

/** An entry with the bytes that ride in its record. */
export interface Entry {
  readonly record: EntryRecord;
  readonly inline: Uint8Array | undefined;
}

export interface DirectoryRecord {
  readonly id: string;
}

export interface UploadRecord {
  readonly id: string;
  /** When the last block was staged, to the hour: writing it with each block would make them conflict. */
  readonly stagedMs: number;
  readonly createdMs: number;
  /** All block ids of a blob have one length. */
  readonly blockIdBytes: number;
}

export interface BlockRecord {
  readonly length: number;
  readonly pieces: readonly number[];
}

export interface SegmentRecord {
  readonly state: 'open' | 'sealed' | 'retired';
  readonly createdMs: number;
  readonly tailBytes?: number;
  /** The footprints of all extents, dropped or not: see `extentFootprint`. */
  readonly extentBytes?: number;
  /** When reclaim last found damage in it, and so left it as it is. */
  readonly damagedMs?: number;
  /** When a retired segment was emptied: its file goes a while later, behind the last reader. */
  readonly retiredMs?: number;
}

/** What lost an owner: pieces, a long content, or all blocks staged in an upload. */
export interface GarbageRecord {
  readonly pieces?: readonly number[];
  readonly contentId?: string;
  readonly uploadId?: string;
}

/** A directory that may have lost its last child: where it stands, without a final "/". */
export interface PruneRecord {
  readonly container: string;
  readonly name: string;
}

// A record is: its version, the length of the JSON part (u32), that part, and whatever bytes ride along.
const version = 1;

export function encodeRecord(record: object, tail?: Uint8Array): Buffer {
  const json = JSON.stringify(record);
  const jsonBytes = Buffer.byteLength(json);
  const bytes = Buffer.allocUnsafe(5 + jsonBytes + (tail?.length ?? 0));
  bytes[0] = version;
  bytes.writeUInt32BE(jsonBytes, 1);
  bytes.write(json, 5);
  if (tail !== undefined) bytes.set(tail, 5 + jsonBytes);
  return bytes;
}

function jsonEnd(bytes: Uint8Array): number {
  assert(bytes[0] === version, `a record of version ${version}`);
  return (
    5 +
    (((bytes[1] as number) << 24) | ((bytes[2] as number) << 16) | ((bytes[3] as number) << 8) | (bytes[4] as number))
  );
}

/** The caller names the type: what stands under a key is decided by the key table. */
export function decodeRecord<T>(bytes: Uint8Array): T {
  const end = jsonEnd(bytes);
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + 5, end - 5).toString('utf8')) as T;
}

export function decodeEntry(bytes: Uint8Array): Entry {
  const end = jsonEnd(bytes);
  const record = decodeRecord<EntryRecord>(bytes);
  const isInline = record.contentId === undefined && record.pieces === undefined;
  return { record, inline: isInline ? bytes.subarray(end) : undefined };
}

export const numbersAPiece = 6;

export function packPieces(pieces: readonly LogPiece[]): number[] {
  const numbers: number[] = [];
  for (const p of pieces) numbers.push(p.segment, p.offset, p.extentLength, p.sum, p.start, p.length);
  return numbers;
}

export function unpackPieces(numbers: readonly number[]): LogPiece[] {
  const pieces: LogPiece[] = [];
  for (let i = 0; i < numbers.length; i += numbersAPiece) {
    const [segment, offset, extentLength, sum, start, length] = numbers.slice(i, i + numbersAPiece) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    pieces.push({ segment, offset, extentLength, sum, start, length });
  }
  return pieces;
}
