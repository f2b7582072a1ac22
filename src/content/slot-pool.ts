// Page-aligned memory for direct writes and for reads, checksummed in place: a bounded number of slots of one size.
import type { Clock } from '../base/clock.ts';
import { assert } from '../base/unreachable.ts';
import { crc64MemoryBytes, createCrc64 } from '../codec/crc64.ts';
import { createMd5Lanes, type Md5Lanes, md5LanesMemoryBytes } from '../codec/md5-lanes.ts';
import { alignUp } from './disk.ts';
import { gatherBytesMax, segmentHeaderBytes } from './extent.ts';
import { Md5Queue } from './md5-queue.ts';

// A WebAssembly memory is page aligned, which is what O_DIRECT asks for; its first pages hold what the sums work with,
// a page for the headers of new segments, and room for bytes to be summed that lie elsewhere.
const wasmPageBytes = 64 * 1024;
const md5From = alignUp(crc64MemoryBytes, wasmPageBytes);
const headerFrom = md5From + alignUp(md5LanesMemoryBytes, wasmPageBytes);
const scratchFrom = headerFrom + alignUp(segmentHeaderBytes, wasmPageBytes);
const slotsFrom = scratchFrom + alignUp(gatherBytesMax, wasmPageBytes);

export interface Slot {
  readonly bytes: Buffer;
  /** Where the slot begins in the pool's memory: the CRC works on positions there. */
  readonly base: number;
}

export class SlotPool {
  readonly crc64: ReturnType<typeof createCrc64>;
  /** For one log's segment headers, of which it writes one at a time. */
  readonly headerPage: Buffer;
  readonly #free: Slot[] = [];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  readonly #memory: WebAssembly.Memory;
  readonly #slotsMax: number;
  readonly #slotBytes: number;
  readonly #kept: number;
  #md5: Md5Lanes | undefined;
  #made = 0;

  /** `slotBytes` is a multiple of 4096. */
  constructor(slotsMax: number, slotBytes: number) {
    const pages = Math.ceil((slotsFrom + slotsMax * slotBytes) / wasmPageBytes);
    this.#slotBytes = slotBytes;
    // Fixed size: growing would detach the buffers that writes in flight point into. Untouched pages cost nothing.
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#slotsMax = slotsMax;
    this.#kept = Math.min(2, Math.ceil(slotsMax / 2));
    this.headerPage = Buffer.from(this.#memory.buffer, headerFrom, segmentHeaderBytes);
    this.crc64 = createCrc64(this.#memory, 0);
  }

  /** MD5 of what lies in the slots; made when it is first asked for. */
  get md5(): Md5Lanes {
    this.#md5 ??= createMd5Lanes(this.#memory, md5From);
    return this.#md5;
  }

  md5Queue(clock: Clock): Md5Queue {
    const scratch = Buffer.from(this.#memory.buffer, scratchFrom, gatherBytesMax);
    return new Md5Queue(this.md5, clock, scratch, scratchFrom);
  }

  /** Whether `tryTake` would give one. */
  get hasFree(): boolean {
    return this.#free.length + this.#slotsMax - this.#made > this.#kept;
  }

  /**
   * A slot to be filled at a client's pace, if one is free now. The last few are kept for `take`: writers that hold
   * slots until others get one for a gathered write would wait for each other.
   */
  tryTake(): Slot | undefined {
    return this.hasFree ? this.#takeAny() : undefined;
  }

  #takeAny(): Slot | undefined {
    const slot = this.#free.pop();
    if (slot !== undefined || this.#made === this.#slotsMax) return slot;
    const base = slotsFrom + this.#made++ * this.#slotBytes;
    return { bytes: Buffer.from(this.#memory.buffer, base, this.#slotBytes), base };
  }

  /** Waits for a slot; whoever holds one gives it back after a disk write, never after a client's pace. */
  take(): Promise<Slot> | Slot {
    return this.#takeAny() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(slot: Slot): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting(slot);
    else {
      assert(this.#free.length < this.#slotsMax, 'a slot is given back once');
      this.#free.push(slot);
    }
  }
}
