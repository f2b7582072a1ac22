// The time that a store goes by: the machine's clock, but never backwards, however that clock is set.
import { type Clock, systemClock } from './clock.ts';

/** Where a store's time stands: `timeMs` when the machine's monotonic clock stood at `monotonicMs`. */
export interface StoreTime {
  readonly timeMs: number;
  readonly monotonicMs: number;
}

export interface StoreClockSources {
  /** Milliseconds since 1970-01-01 UTC, which may be set. */
  readonly wallMs: () => number;
  /** Milliseconds that only ever pass, the same for all processes of a machine. */
  readonly monotonicMs: () => number;
}

/** While it is ahead, the store's time passes at this part of the real one, until the machine's clock has come up. */
const catchUpRate = 1 / 2;

export class StoreClock implements Clock {
  readonly #sources: StoreClockSources;
  readonly #sleep: Clock['sleep'];
  #timeMs: number;
  #monotonicMs: number;

  /** Not before `from`, which another process of the same store has seen. */
  constructor(from?: StoreTime, sources: StoreClockSources = machine, sleep: Clock['sleep'] = systemClock.sleep) {
    this.#sources = sources;
    this.#sleep = sleep;
    this.#timeMs = from?.timeMs ?? sources.wallMs();
    this.#monotonicMs = from?.monotonicMs ?? sources.monotonicMs();
  }

  now(): number {
    const { wallMs, monotonicMs } = this.#sources;
    const nowMs = monotonicMs();
    const caughtUpMs = this.#timeMs + (nowMs - this.#monotonicMs) * catchUpRate;
    this.#monotonicMs = nowMs;
    this.#timeMs = Math.max(wallMs(), caughtUpMs);
    return Math.floor(this.#timeMs);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#sleep(ms, signal);
  }

  /** For another process to go on from. */
  time(): StoreTime {
    this.now();
    return { timeMs: this.#timeMs, monotonicMs: this.#monotonicMs };
  }

  /** How far it is ahead of the machine's clock. */
  aheadMs(): number {
    return this.now() - Math.floor(this.#sources.wallMs());
  }

  /** The store was used until then: its time goes on from there. */
  advanceTo(timeMs: number): void {
    this.#timeMs = Math.max(this.#timeMs, timeMs);
  }
}

const machine: StoreClockSources = {
  wallMs: () => Date.now(),
  monotonicMs: () => Number(process.hrtime.bigint() / 1000n) / 1000,
};
