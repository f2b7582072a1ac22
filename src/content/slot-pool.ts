// Page-aligned memory for direct writes, from which extents are also checksummed in place: a bounded number of slots.
import { assert } from '../base/unreachable.ts';
import { createCrc64, crc64MemoryBytes } from '../codec/crc64.ts';
import { alignUp } from './disk.ts';
import { slotBytes } from './extent.ts';

// A WebAssembly memory is page aligned, which is what O_DIRECT asks for; its first pages hold the CRC's tables.
const wasmPageBytes = 64 * 1024;
const tableBytes = alignUp(crc64MemoryBytes, wasmPageBytes);

export interface Slot {
  readonly bytes: Buffer;
  /** Where the slot begins in the pool's memory: the CRC works on positions there. */
  readonly base: number;
}

export class SlotPool {
  readonly crc64: ReturnType<typeof createCrc64>;
  readonly #free: Slot[] = [];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  readonly #memory: WebAssembly.Memory;
  readonly #slotsMax: number;
  #made = 0;

  constructor(slotsMax: number) {
    const pages = (tableBytes + slotsMax * slotBytes) / wasmPageBytes;
    // Fixed size: growing would detach the buffers that writes in flight point into. Untouched pages cost nothing.
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#slotsMax = slotsMax;
    this.crc64 = createCrc64(this.#memory, 0);
  }

  get hasFree(): boolean {
    return this.#free.length > 0 || this.#made < this.#slotsMax;
  }

  /** A slot if one is free now. */
  tryTake(): Slot | undefined {
    const slot = this.#free.pop();
    if (slot !== undefined || this.#made === this.#slotsMax) return slot;
    const base = tableBytes + this.#made++ * slotBytes;
    return { bytes: Buffer.from(this.#memory.buffer, base, slotBytes), base };
  }

  /** Waits for a slot; whoever holds one gives it back after a disk write, never after a client's pace. */
  take(): Promise<Slot> | Slot {
    return this.tryTake() ?? new Promise((resolve) => this.#waiting.push(resolve));
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
