// The simulated machine: two workers' stores over one disk and one metadata engine, which stop and start together.
import type { Clock } from '../src/base/clock.ts';
import { createIds } from '../src/base/ids.ts';
import { type Random, seededRandom } from '../src/base/random.ts';
import { ContentStore } from '../src/content/content-store.ts';
import { MemoryEngine } from '../src/metadata/memory-engine.ts';
import { createCatalog, nextSegment } from '../src/namespace/segments.ts';
import type { Store } from '../src/namespace/store.ts';
import type { Schedule } from './schedule.ts';
import { type DiskBreak, SimDisk } from './sim-disk.ts';

export interface Shape {
  readonly segmentBytes: number;
  readonly inlineBytesMax: number;
  readonly contentBytesMax: number;
}

const directory = 'content';
const workers = 2;

export class World {
  readonly schedule: Schedule;
  readonly shape: Shape;
  readonly #random: Random;
  disk: SimDisk;
  engine: MemoryEngine;
  stores: Store[] = [];
  /** Segments below are of an earlier life. */
  recoverBelow = 0;
  /** A flush of the metadata fails so rarely as one in so many; 0: never. */
  failOneFlushIn = 0;
  #engineFaults = 0;
  #life = { isOver: false };

  constructor(seed: number, schedule: Schedule, shape: Shape, breaks: DiskBreak) {
    this.schedule = schedule;
    this.shape = shape;
    this.#random = seededRandom(seed ^ 0x5eed);
    this.disk = new SimDisk({ schedule, random: seededRandom(seed ^ 0xd15c), breaks });
    this.engine = new MemoryEngine(this.#engineOptions(seed));
  }

  get faults(): number {
    return this.disk.faults + this.#engineFaults;
  }

  /** Starts the workers over what is on the disk. */
  async open(): Promise<void> {
    this.#life = { isOver: false };
    const life = this.#life;
    const { schedule } = this;
    const clock: Clock = {
      now: () => schedule.now(),
      sleep: (ms, signal) => (life.isOver ? new Promise(() => undefined) : schedule.sleep(ms, signal)),
    };
    this.recoverBelow = await schedule.until(nextSegment(this.engine));
    this.stores = Array.from({ length: workers }, () => {
      const random = seededRandom(this.#random.below(2 ** 32));
      const content = new ContentStore({
        disk: this.disk,
        directory,
        catalog: createCatalog(this.engine, clock),
        clock,
        random,
        segmentBytes: this.shape.segmentBytes,
        inlineBytesMax: this.shape.inlineBytesMax,
        slotsMax: 4,
        readBuffersMax: 1,
      });
      return { engine: this.engine, content, clock, wallClock: clock, random, ids: createIds(clock, random) };
    });
  }

  /** The processes end at this moment, and with `power` the machine. */
  crash(kind: 'kill' | 'power'): void {
    this.#life.isOver = true;
    this.schedule.forget();
    this.#engineFaults += this.disk.faults;
    this.disk = this.disk.crash(kind);
    this.engine = this.engine.crash(this.#random);
    this.stores = [];
  }

  /** A stop in good order. */
  async close(): Promise<void> {
    for (const store of this.stores) await this.schedule.until(store.content.close());
    this.#life.isOver = true;
    this.stores = [];
  }

  setFaults(oneIn: number): void {
    this.disk.failOneIn = oneIn;
    this.failOneFlushIn = oneIn;
    if (oneIn === 0) this.disk.isFull = false;
  }

  #engineOptions(seed: number): ConstructorParameters<typeof MemoryEngine>[0] {
    const random = seededRandom(seed ^ 0xf105);
    return {
      asyncReads: seededRandom(seed ^ 0xa54c),
      flush: () =>
        this.schedule.later(() => {
          if (this.failOneFlushIn === 0 || random.below(this.failOneFlushIn) > 0) return;
          this.#engineFaults++;
          throw Object.assign(new Error('the simulated metadata cannot be flushed'), { code: 'EIO' });
        }),
    };
  }
}
