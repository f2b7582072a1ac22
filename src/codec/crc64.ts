// CRC-64 as Azure Storage computes it (`x-ms-content-crc64`): the NVMe polynomial, reflected, ones in and out.
import { assert } from '../base/unreachable.ts';
import { type Crc64Program, loadProgram, programBytes } from './crc64-program.ts';

export interface Crc64 {
  /** The CRC of what `crc` covers followed by `length` bytes at `offset` of the memory; `0n` covers nothing. */
  update(crc: bigint, offset: number, length: number): bigint;
}

/** What `createCrc64` takes of the memory for itself, from `tablesOffset` on. */
export const crc64MemoryBytes = programBytes;

/**
 * Sums bytes that lie in `memory` in place, without a copy. The caller leaves `crc64MemoryBytes` from `tablesOffset`
 * (a multiple of 16) alone, and does not use one instance from two threads: it works in scratch space of the memory.
 */
export function createCrc64(memory: WebAssembly.Memory, tablesOffset: number): Crc64 {
  assert(tablesOffset % 16 === 0, 'CRC tables begin at a multiple of 16');
  assert(tablesOffset + programBytes <= memory.buffer.byteLength, 'the memory holds the CRC tables');
  const program = loadProgram(memory, tablesOffset);
  return { update: (crc, offset, length) => BigInt.asUintN(64, program.update(crc, offset, length)) };
}

// Ordinary buffers are copied into a window of a memory of this module's own, which stays in the processor's cache.
const windowBytes = 128 * 1024;
const pageBytes = 64 * 1024;
interface Own {
  readonly program: Crc64Program;
  readonly window: Uint8Array;
  readonly windowAt: number;
}
let own: Own | undefined;

function ownProgram(): Own {
  if (own === undefined) {
    const windowAt = Math.ceil(programBytes / pageBytes) * pageBytes;
    const pages = (windowAt + windowBytes) / pageBytes;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const window = new Uint8Array(memory.buffer, windowAt, windowBytes);
    own = { program: loadProgram(memory, 0), window, windowAt };
  }
  return own;
}

/** The CRC of what `previous` covers followed by `bytes`. */
export function crc64(bytes: Uint8Array, previous = 0n): bigint {
  const { program, window, windowAt } = ownProgram();
  let crc = previous;
  for (let at = 0; at < bytes.length; at += windowBytes) {
    const part = bytes.length <= windowBytes ? bytes : bytes.subarray(at, at + windowBytes);
    window.set(part);
    crc = program.update(crc, windowAt, part.length);
  }
  return BigInt.asUintN(64, crc);
}

/** The CRC of two runs of bytes in a row, from the CRC of each and the length of the second: a few microseconds. */
export function crc64Combine(first: bigint, second: bigint, secondLength: number): bigint {
  assert(Number.isSafeInteger(secondLength) && secondLength >= 0, 'a length is a whole number');
  return BigInt.asUintN(64, ownProgram().program.shift(first, secondLength)) ^ second;
}

/** As in the header: the eight bytes, lowest first, in base64. */
export function crc64ToBase64(crc: bigint): string {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, crc));
  return bytes.toString('base64');
}

export function crc64FromBase64(text: string): bigint | undefined {
  // Eight bytes are eleven digits and one '='; the last digit carries four bits only.
  if (!/^[A-Za-z0-9+/]{10}[AEIMQUYcgkosw048]=$/.test(text)) return undefined;
  return Buffer.from(text, 'base64').readBigUInt64LE();
}
