// MD5 of many streams at once, over bytes that lie in one memory: what Put Blob stores as a blob's Content-MD5.
import { assert } from '../base/unreachable.ts';
import { blockBytes, laneCountMax, loadProgram, paddingAt, pointersAt, programBytes, statesAt } from './md5-program.ts';

/** Where a stream's sum stands after the whole blocks hashed so far. */
export interface Md5State {
  readonly words: Int32Array;
  byteCount: number;
}

export interface Md5Job {
  readonly state: Md5State;
  /** Where in the memory the stream goes on, at any alignment. */
  readonly offset: number;
  /** How many blocks of 64 bytes. */
  readonly blocks: number;
}

export interface Md5Lanes {
  /** Hashes every job's blocks into its state. No two jobs of a call have the same state. */
  hash(jobs: readonly Md5Job[]): void;
  /** The 16 bytes of the sum, of what was hashed and then `tail`: less than a block. The state stays as it is. */
  finish(state: Md5State, tail: Uint8Array): Buffer;
}

/** What `createMd5Lanes` takes of the memory for itself, from `scratchOffset` on. */
export const md5LanesMemoryBytes = programBytes;

// Two jobs in four lanes are faster than one after the other, and so are five in eight than four and one.
const lanesOfFour = 4;
// While more jobs wait than there are lanes, the longest take turns of so many blocks: so all end at about one time, and
// the ninth does not go on alone after the others, at a fifth of their speed.
const turnBlocks = 64;
// Rows of the program's memory are eight words.
const rowWords = 8;

export function createMd5State(): Md5State {
  return { words: Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476), byteCount: 0 };
}

interface Waiting {
  readonly state: Md5State;
  offset: number;
  blocks: number;
}

/**
 * The caller leaves `md5LanesMemoryBytes` from `scratchOffset` (a multiple of 16) alone, and does not use one instance
 * from two threads: it works in that part of the memory.
 */
export function createMd5Lanes(memory: WebAssembly.Memory, scratchOffset: number): Md5Lanes {
  assert(scratchOffset % 16 === 0, 'MD5 scratch begins at a multiple of 16');
  assert(scratchOffset + programBytes <= memory.buffer.byteLength, 'the memory holds the MD5 scratch');
  const program = loadProgram(memory, scratchOffset);
  // Made anew for each call: a memory that has grown has another buffer.
  const scratch = (): Int32Array => new Int32Array(memory.buffer, scratchOffset, programBytes / 4);

  const run = (words: Int32Array, laneCount: number, blocks: number): void => {
    if (laneCount === 1) {
      program.one(blocks);
      return;
    }
    // A lane without a job hashes again what the first one does.
    const runs = laneCount <= lanesOfFour ? lanesOfFour : laneCountMax;
    words.fill(words[pointersAt / 4]!, pointersAt / 4 + laneCount, pointersAt / 4 + runs);
    if (runs === lanesOfFour) program.four(blocks);
    else program.eight(blocks);
  };

  const hashTogether = (words: Int32Array, jobs: readonly Waiting[], laneCount: number, blocks: number): void => {
    for (let lane = 0; lane < laneCount; lane++) {
      const { state, offset } = jobs[lane]!;
      words[pointersAt / 4 + lane] = offset;
      for (let word = 0; word < 4; word++) words[statesAt / 4 + word * rowWords + lane] = state.words[word]!;
    }
    run(words, laneCount, blocks);
    for (let lane = 0; lane < laneCount; lane++) {
      const job = jobs[lane]!;
      for (let word = 0; word < 4; word++) job.state.words[word] = words[statesAt / 4 + word * rowWords + lane]!;
      job.state.byteCount += blocks * blockBytes;
      job.offset += blocks * blockBytes;
      job.blocks -= blocks;
    }
  };

  return {
    hash(jobs) {
      const words = scratch();
      const waiting: Waiting[] = [];
      for (const { state, offset, blocks } of jobs) {
        assert(Number.isSafeInteger(blocks) && blocks >= 0, 'blocks are a whole number');
        assert(offset >= 0 && offset + blocks * blockBytes <= memory.buffer.byteLength, 'blocks lie in the memory');
        if (blocks > 0) waiting.push({ state, offset, blocks });
      }
      while (waiting.length > 0) {
        waiting.sort((left, right) => right.blocks - left.blocks);
        const laneCount = Math.min(waiting.length, laneCountMax);
        const shortest = waiting[laneCount - 1]!.blocks;
        const blocks = waiting.length > laneCount ? Math.min(shortest, turnBlocks) : shortest;
        hashTogether(words, waiting, laneCount, blocks);
        for (let at = laneCount - 1; at >= 0; at--) if (waiting[at]!.blocks === 0) waiting.splice(at, 1);
      }
    },

    finish(state, tail) {
      assert(tail.length < blockBytes, 'what is left is less than a block');
      // RFC 1321, sections 3.1 and 3.2: one bit, zeros, and the length in bits as the last eight bytes of a block.
      const blocks = tail.length + 9 <= blockBytes ? 1 : 2;
      const padding = new Uint8Array(memory.buffer, scratchOffset + paddingAt, blocks * blockBytes);
      padding.fill(0);
      padding.set(tail);
      padding[tail.length] = 0x80;
      const words = scratch();
      const byteCount = state.byteCount + tail.length;
      const lengthAt = (paddingAt + blocks * blockBytes) / 4 - 2;
      words[lengthAt] = byteCount << 3;
      words[lengthAt + 1] = Math.floor(byteCount / 2 ** 29);
      for (let word = 0; word < 4; word++) words[statesAt / 4 + word * rowWords] = state.words[word]!;
      words[pointersAt / 4] = scratchOffset + paddingAt;
      program.one(blocks);
      const sum = Buffer.allocUnsafe(16);
      for (let word = 0; word < 4; word++) sum.writeInt32LE(words[statesAt / 4 + word * rowWords]!, 4 * word);
      return sum;
    },
  };
}
