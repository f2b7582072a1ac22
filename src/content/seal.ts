// Sealed content: how a content's data key is wrapped, derived from and committed to, and the envelope that carries it.
import { createCipheriv, createDecipheriv, hash, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Random } from '../base/random.ts';

/*
  The payload of a sealed extent is an envelope and frames (`seal-frames.ts`). The envelope, numbers big endian:

    0  format (1)   1  kind of key (1)   2  zero (2)    4  extent's index in its content (4)   8  plaintext length (4)
   12  zero (4)    16  key id (16)      32  stream id (16)    48  wrapped data key (40)       88  commitment (32)   120  zero (8)

  Each content has a data key of its own, drawn at random, and so a nonce made of places (extent, frame) never repeats
  under a key. The data key encrypts nothing itself: HKDF makes the key of the frames and the commitment from it, with the
  stream id as salt. AES-GCM alone commits to no key: two keys can be found under which one frame opens to two texts.
*/
export const envelopeBytes = 128;
export const dataKeyBytes = 32;
export const keyIdBytes = 16;
const format = 1;
const wrappedBytes = 40;
const commitmentBytes = 32;
const derivation = 'causeway sealed content 1';

/** Whose key wrapped a data key: an encryption scope's, or one that the client brings with every request. */
export type KeyKind = 'scope' | 'customer';

export interface Envelope {
  readonly kind: KeyKind;
  readonly keyId: Buffer;
  readonly wrapped: Buffer;
  readonly streamId: Buffer;
  readonly commitment: Buffer;
  readonly extentIndex: number;
  /** Of the plaintext in this extent. */
  readonly length: number;
}

/** A key that wraps the data keys of new contents. */
export interface Sealer {
  readonly kind: KeyKind;
  readonly keyId: Buffer;
  wrap(dataKey: Buffer): Buffer;
}

/** Whoever can open envelopes. Throws, or rejects, where the key is not to be had. */
export interface Unsealer {
  /** Undefined: the wrapped key is not one that this key wrapped. */
  dataKey(envelope: Envelope): Buffer | undefined | Promise<Buffer | undefined>;
}

const keyWrapIv = Buffer.alloc(8, 0xa6);

/** AES-256 key wrap (RFC 3394). */
export function wrapKey(wrappingKey: Buffer, key: Buffer): Buffer {
  const cipher = createCipheriv('id-aes256-wrap', wrappingKey, keyWrapIv);
  return Buffer.concat([cipher.update(key), cipher.final()]);
}

/** Undefined where this key did not wrap it. */
export function unwrapKey(wrappingKey: Buffer, wrapped: Buffer): Buffer | undefined {
  try {
    const decipher = createDecipheriv('id-aes256-wrap', wrappingKey, keyWrapIv);
    return Buffer.concat([decipher.update(wrapped), decipher.final()]);
  } catch {
    return undefined;
  }
}

interface Derived {
  readonly frameKey: Buffer;
  readonly commitment: Buffer;
}

function derive(dataKey: Buffer, streamId: Buffer): Derived {
  const bytes = Buffer.from(hkdfSync('sha256', dataKey, streamId, derivation, dataKeyBytes + commitmentBytes));
  return { frameKey: bytes.subarray(0, dataKeyBytes), commitment: bytes.subarray(dataKeyBytes) };
}

/** What one content is sealed with: a fresh data key, and the envelope of each of its extents. */
export class ContentKey {
  readonly frameKey: Buffer;
  readonly #template = Buffer.alloc(envelopeBytes);

  constructor(sealer: Sealer, random: Random) {
    const dataKey = random.bytes(dataKeyBytes);
    const streamId = random.bytes(keyIdBytes);
    const { frameKey, commitment } = derive(dataKey, streamId);
    this.frameKey = frameKey;
    this.#template[0] = format;
    this.#template[1] = sealer.kind === 'scope' ? 1 : 2;
    sealer.keyId.copy(this.#template, 16);
    streamId.copy(this.#template, 32);
    sealer.wrap(dataKey).copy(this.#template, 48);
    commitment.copy(this.#template, 88);
    dataKey.fill(0);
  }

  writeEnvelope(target: Buffer, at: number, extentIndex: number, length: number): void {
    this.#template.copy(target, at);
    target.writeUInt32BE(extentIndex, at + 4);
    target.writeUInt32BE(length, at + 8);
  }
}

/**
 * What a piece knows of the envelope at the head of its extent: 53 bits of its SHA-256. An envelope says by itself which
 * content and which extent of it follows, so an extent in another's place would open without a fault. Envelopes hold what
 * the server drew at random: nobody can look for two of one mark but by writing that many.
 */
export function envelopeMark(payload: Buffer): number {
  const digest = hash('sha256', payload.subarray(0, envelopeBytes), 'buffer');
  return digest.readUInt32BE(0) * 2 ** 21 + (digest.readUInt32BE(4) >>> 11);
}

/** Undefined where none of this format begins. */
export function readEnvelope(payload: Buffer): Envelope | undefined {
  if (payload.length < envelopeBytes || payload[0] !== format) return undefined;
  const kind = payload[1] === 1 ? 'scope' : payload[1] === 2 ? 'customer' : undefined;
  const isZero = payload.readUInt16BE(2) === 0 && payload.readUInt32BE(12) === 0 && payload.readBigUInt64BE(120) === 0n;
  if (kind === undefined || !isZero) return undefined;
  // Copies: the memory that was read into is used again.
  const field = (from: number, length: number): Buffer => Buffer.from(payload.subarray(from, from + length));
  return {
    kind,
    keyId: field(16, keyIdBytes),
    streamId: field(32, keyIdBytes),
    wrapped: field(48, wrappedBytes),
    commitment: field(88, commitmentBytes),
    extentIndex: payload.readUInt32BE(4),
    length: payload.readUInt32BE(8),
  };
}

/** The key of the frames; undefined where this data key is not the one that the envelope was made with. */
export function openEnvelope(envelope: Envelope, dataKey: Buffer): Buffer | undefined {
  const { frameKey, commitment } = derive(dataKey, envelope.streamId);
  return timingSafeEqual(commitment, envelope.commitment) ? frameKey : undefined;
}
