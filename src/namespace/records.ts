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
  /** Base64: what user delegation keys are made from. A new one ends all that were given out. */
  readonly delegationSecret?: string;
  readonly settings?: AccountSettings;
  /** How often its roles or their holders were changed: whoever keeps them knows by the account that they are others. */
  readonly accessChanges?: number;
}

/** What Azure sets through its management plane. Absent is off, or Azure's default where that is said. */
export interface AccountSettings {
  readonly versioning?: boolean;
  readonly changeFeed?: boolean;
  /** Days for which deleted blobs, snapshots and versions are kept. */
  readonly softDeleteDays?: number;
  /** Whether a soft-deleted snapshot or version may be deleted for good before its time. */
  readonly permanentDelete?: boolean;
  readonly containerSoftDeleteDays?: number;
  /** Days back to which a container can be restored; needs versioning, the change feed and soft delete. */
  readonly restoreDays?: number;
  readonly lastAccessTracking?: boolean;
  /** Whether the account's keys, and signatures made with them, are taken (on by default). */
  readonly sharedKeyAccess?: boolean;
  /** Whether containers may be public (on by default). */
  readonly publicAccess?: boolean;
  /** Tier of blobs that name none: Hot by default. */
  readonly defaultTier?: 'Hot' | 'Cool' | 'Cold';
  /** How long a rehydration from Archive takes, by its priority. */
  readonly rehydrationStandardS?: number;
  readonly rehydrationHighS?: number;
  readonly networkRules?: NetworkRules;
  /** A second, over all workers; absent is no limit but the server's. */
  readonly requestsPerS?: number;
  readonly bytesPerS?: number;
  /** The encryption scope of content that names none; absent: it is not encrypted. */
  readonly encryptionScope?: string;
}

export interface NetworkRules {
  /** What happens to an address that no range holds. */
  readonly defaultAction: 'allow' | 'deny';
  /** Addresses and CIDR ranges that are allowed. */
  readonly ranges: readonly string[];
}

/** Who may do what in an account, by tokens of Entra ID. */
export interface AccessRecord {
  readonly assignments: readonly RoleAssignmentRecord[];
  /** Roles of the account's own. */
  readonly roles: readonly CustomRoleRecord[];
}

export interface RoleAssignmentRecord {
  readonly id: string;
  /** Object id of a user, a group, a service principal or a managed identity. */
  readonly principal: string;
  /** The name of a built-in role or of a custom one. */
  readonly role: string;
  /** Absent: the whole account. */
  readonly container?: string;
  /** A path below the container: what is at it and below, by whole parts of names. */
  readonly prefix?: string;
  /** An attribute condition (ABAC, version 2.0), as it was given. */
  readonly condition?: string;
  readonly createdMs: number;
}

export interface CustomRoleRecord {
  readonly name: string;
  readonly description?: string;
  /** As Azure writes them, `*` allowed: Microsoft.Storage/storageAccounts/blobServices/... */
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
  readonly dataActions: readonly string[];
  readonly notDataActions: readonly string[];
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
  /** Time-based retention of everything in it. */
  readonly immutability?: ContainerImmutability;
  /** Tags of its legal holds; while there is one, nothing in it changes or goes. */
  readonly legalHolds?: readonly string[];
  /** Its versions may have policies and holds of their own. */
  readonly versionImmutability?: boolean;
  /** Encryption scope of what names none, and whether a request may name another. */
  readonly encryptionScope?: string;
  readonly denyScopeOverride?: boolean;
  /** A deleted container: which deletion it was, when, and when it goes for good. */
  readonly deletion?: { readonly version: string; readonly deletedMs: number; readonly purgeMs: number };
}

export interface ContainerImmutability {
  readonly days: number;
  readonly state: 'unlocked' | 'locked';
  /** Appending to what is retained: to append blobs, or also to block blobs by lists that only add. */
  readonly protectedAppends?: 'append' | 'all';
  /** How often it was extended since it was locked. */
  readonly extensions?: number;
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

export type EntryType = 'block' | 'append' | 'page';

export interface EntryRecord {
  readonly id: string;
  readonly type: EntryType;
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
  /** On its way out of Archive. */
  readonly rehydration?: Rehydration;
  readonly tags?: Readonly<Record<string, string>>;
  /** Its version id, a time as `formatTicks` writes it; absent where it was written without versioning. */
  readonly version?: string;
  /** An append blob: blocks so far, and whether it takes no more. */
  readonly appendedBlocks?: number;
  readonly isSealed?: true;
  /** A page blob's sequence number. */
  readonly sequence?: number;
  /** Of what is changed in place: drawn anew when another blob takes the name, and kept by every change. */
  readonly generation?: string;
  /** A page blob: how often its pages were changed in this generation. */
  readonly pageChanges?: number;
  /** A page blob: its pages were copied for a change since a snapshot or a copy of them was made. */
  readonly isForked?: true;
  /** Of a page blob that follows another's snapshots. */
  readonly incremental?: IncrementalCopy;
  readonly immutability?: EntryImmutability;
  readonly legalHold?: true;
  readonly lastAccessMs?: number;
  readonly encryption?: EntryEncryption;
  /** Of what is no longer, or never was, the current state: see `times.ts`. */
  readonly past?: Past;
}

/** What an incremental copy is of: the blob, the last snapshot of it that was taken over, and which snapshot that is here. */
export interface IncrementalCopy {
  readonly source: string;
  readonly taken: string;
  readonly made: string;
}

/** A snapshot, an earlier version, or a deleted blob. */
export interface Past {
  readonly kind: 'snapshot' | 'version' | 'base';
  /** Its snapshot time or version id; of a deleted blob, when it was deleted. */
  readonly time: string;
  /** Until when it was the current state. */
  readonly replacedMs?: number;
  /** Soft-deleted: when, and when it goes for good. */
  readonly deletedMs?: number;
  readonly purgeMs?: number;
}

export interface Rehydration {
  readonly tier: 'Hot' | 'Cool' | 'Cold';
  readonly priority: 'Standard' | 'High';
  readonly doneMs: number;
}

export interface EntryImmutability {
  readonly untilMs: number;
  readonly mode: 'unlocked' | 'locked';
}

/** With which key the content is encrypted: of an encryption scope, or the customer's own, known by its SHA-256 (base64). */
export interface EntryEncryption {
  readonly scope?: string;
  readonly keySha256?: string;
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
  /** All blocks that are staged for a blob are sealed alike. */
  readonly encryption?: EntryEncryption;
  /** Of a name that has no blob yet. */
  readonly lease?: Lease;
  /** Whether its blocks count as usage of the container: those of an upload from before they did are not counted. */
  readonly isCounted?: true;
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

/** What is to be done at a time; the row's key begins with it. */
export type DueRecord =
  | {
      readonly kind: 'purge-past';
      readonly account: string;
      /** The container's id and name. */
      readonly container: string;
      readonly containerName: string;
      readonly name: string;
      /** The place of the name, and which of its past states. */
      readonly parent: string;
      readonly leaf: string;
      readonly time: string;
    }
  | {
      readonly kind: 'purge-container';
      readonly account: string;
      readonly container: string;
      readonly version: string;
    }
  | {
      readonly kind: 'restore';
      readonly account: string;
      /** The container's id and name. */
      readonly container: string;
      readonly containerName: string;
      readonly toMs: number;
      /** The name to go on with, and behind the last one. */
      readonly from: string;
      readonly until?: string;
    }
  | {
      readonly kind: 'sweep-past';
      readonly account: string;
      /** The container's id and name. */
      readonly container: string;
      readonly containerName: string;
      readonly name: string;
      readonly parent: string;
      readonly leaf: string;
    }
  | {
      readonly kind: 'rehydrate';
      readonly account: string;
      readonly container: string;
      readonly containerName: string;
      readonly name: string;
      /** Absent: the current state. */
      readonly time?: string;
    };

/** Of a name with many states: what has become of those up to a time, whose rows follow step by step. */
export interface SweepRecord {
  /** Deleted snapshots, or all that was deleted softly and is back. */
  readonly kind: 'delete' | 'undelete';
  /** The last time that it is about. */
  readonly until: string;
  readonly deletedMs: number;
  /** Of what is deleted softly. */
  readonly purgeMs?: number;
  /** Rows up to here were done. */
  readonly done?: string;
  readonly by: string;
  readonly requestId: string;
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

const two21 = 2 ** 21;
const two32 = 2 ** 32;

/**
 * A sealed piece is told by the sign of its `extentLength`, which no extent has as 0. The mark of its envelope lies above
 * the 21 bits that a length can take and, what is left of it, above the 32 of the sum.
 */
export function packPieces(pieces: readonly LogPiece[]): number[] {
  const numbers: number[] = [];
  for (const { segment, offset, extentLength, sum, start, length, sealed } of pieces) {
    if (sealed === undefined) numbers.push(segment, offset, extentLength, sum, start, length);
    else {
      const marked = -(extentLength + (sealed % two32) * two21);
      numbers.push(segment, offset, marked, sum + Math.floor(sealed / two32) * two32, start, length);
    }
  }
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
    if (extentLength < 0) {
      const sealed = Math.floor(-extentLength / two21) + Math.floor(sum / two32) * two32;
      pieces.push({ segment, offset, extentLength: -extentLength % two21, sum: sum % two32, start, length, sealed });
    } else pieces.push({ segment, offset, extentLength, sum, start, length });
  }
  return pieces;
}
