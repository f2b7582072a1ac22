// The frames of a sealed extent: AES-256-GCM, one to each block of its payload, so that a range opens what it touches.
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { blockBytes, payloadBytesMax } from './extent.ts';
import { type ContentKey, envelopeBytes } from './seal.ts';

/*
  Frame i is the ciphertext and its tag (16), and ends where block i of the payload ends; the first one follows the
  envelope. Nothing of a frame's place is stored: it is the nonce (extent, frame, whether it is the last) and stands,
  with the length, in the authenticated data. So a frame opens only where it was written, and the one before a cut does
  not pass for the last.
*/
export const tagBytes = 16;
const firstFrameMax = blockBytes - envelopeBytes - tagBytes;
const frameMax = blockBytes - tagBytes;
const format = 1;

/** The most plaintext of an extent that shares a write with others: whole MD5 blocks, with envelope and tag a block. */
export const sealedGatherBytesMax = firstFrameMax - (firstFrameMax % 64);
/** The most plaintext of any extent. */
export const sealedBytesMax = payloadBytesMax - envelopeBytes - tagBytes * Math.ceil(payloadBytesMax / blockBytes);

function framesOf(length: number): number {
  return length <= firstFrameMax ? 1 : 1 + Math.ceil((length - firstFrameMax) / frameMax);
}

/** The payload's length for so much plaintext. */
export function sealedLength(length: number): number {
  return envelopeBytes + length + tagBytes * framesOf(length);
}

/** The plaintext in a payload of this length; undefined where there can be none. */
export function openedLength(payloadLength: number): number | undefined {
  const length = payloadLength - envelopeBytes - tagBytes * Math.ceil(payloadLength / blockBytes);
  return length >= 0 && sealedLength(length) === payloadLength ? length : undefined;
}

/** Where a frame's plaintext begins within its extent's. */
export function frameStart(frame: number): number {
  return frame === 0 ? 0 : firstFrameMax + (frame - 1) * frameMax;
}

/** The frame that holds this byte of the plaintext. */
export function frameAt(offset: number): number {
  return offset < firstFrameMax ? 0 : 1 + Math.floor((offset - firstFrameMax) / frameMax);
}

const nonce = Buffer.alloc(12);
const bound = Buffer.alloc(16);

/** Sets what the next cipher takes of a frame's place: both are copied there. */
function setPlace(extentIndex: number, frame: number, length: number, isLast: boolean): void {
  nonce.writeUInt32BE(extentIndex, 0);
  nonce.writeUInt32BE(frame, 4);
  nonce.writeUInt32BE(isLast ? 1 : 0, 8);
  bound[0] = format;
  bound[1] = isLast ? 1 : 0;
  bound.writeUInt32BE(extentIndex, 4);
  bound.writeUInt32BE(frame, 8);
  bound.writeUInt32BE(length, 12);
}

/** Left to the garbage collector, the ciphers' outputs cost almost as much as the ciphers. */
function giveBack(bytes: Buffer): void {
  const { buffer } = bytes;
  if (bytes.byteLength === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/**
 * Seals in place: `bytes` holds `length` bytes of plaintext from `at + envelopeBytes` on, and then the payload from `at`
 * on, whose length is answered. From the last frame to the first: each moves up by the tags before it.
 */
export function sealExtent(key: ContentKey, bytes: Buffer, at: number, length: number, extentIndex: number): number {
  const frames = framesOf(length);
  for (let frame = frames - 1; frame >= 0; frame--) {
    const start = frameStart(frame);
    const end = Math.min(length, frameStart(frame + 1));
    setPlace(extentIndex, frame, end - start, frame === frames - 1);
    const cipher = createCipheriv('aes-256-gcm', key.frameKey, nonce);
    cipher.setAAD(bound);
    const from = at + envelopeBytes;
    const sealed = cipher.update(bytes.subarray(from + start, from + end));
    cipher.final();
    const target = at + (frame === 0 ? envelopeBytes : frame * blockBytes);
    bytes.set(sealed, target);
    bytes.set(cipher.getAuthTag(), target + sealed.length);
    giveBack(sealed);
  }
  key.writeEnvelope(bytes, at, extentIndex, length);
  return sealedLength(length);
}

/** What opens the frames of one extent. */
export interface FrameKey {
  readonly key: Buffer;
  readonly extentIndex: number;
  /** The plaintext's, of the whole extent. */
  readonly length: number;
}

/**
 * Opens a frame into `target`; answers its length, or undefined where it is not what was written. `block` is its block of
 * the payload, the first one without the envelope.
 */
export function openFrame(
  { key, extentIndex, length }: FrameKey,
  frame: number,
  block: Buffer,
  target: Buffer,
  at: number,
): number | undefined {
  const bytes = block.length - tagBytes;
  const end = Math.min(length, frameStart(frame + 1));
  if (bytes !== end - frameStart(frame)) return undefined;
  setPlace(extentIndex, frame, bytes, end === length);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(bound);
  decipher.setAuthTag(block.subarray(bytes));
  const opened = decipher.update(block.subarray(0, bytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  target.set(opened, at);
  giveBack(opened);
  return bytes;
}
