// The order of everything in a simulated run, and its time: one seed decides which waiting I/O ends next.
import type { Clock } from '../src/base/clock.ts';
import type { Random } from '../src/base/random.ts';

interface Timer {
  readonly dueMs: number;
  readonly done: () => void;
}

const startMs = Date.UTC(2026, 0, 1);
// So many turns without anything to do, and nothing is on its way that could still come to something by itself.
const idleTurnsMax = 64;

export class Schedule implements Clock {
  readonly #random: Random;
  #events: (() => void)[] = [];
  #timers: Timer[] = [];
  #nowMs = startMs;
  #trace = 0;
  #idle = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  now(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const timer: Timer = { dueMs: this.#nowMs + ms, done: resolve };
      this.#timers.push(timer);
      signal?.addEventListener('abort', () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
        resolve();
      });
    });
  }

  /** Something that ends at a moment of the schedule's choice: `run` happens then. */
  later<T>(run: () => T, turns = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      const event = (left: number) => (): void => {
        if (left > 0) {
          this.#events.push(event(left - 1));
          return;
        }
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      };
      this.#events.push(event(turns));
    });
  }

  /** A power loss: what was on its way never ends. */
  forget(): void {
    this.#events = [];
    this.#timers = [];
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter((timer) => timer.dueMs <= this.#nowMs);
    this.#timers = this.#timers.filter((timer) => timer.dueMs > this.#nowMs);
    for (const timer of due) timer.done();
  }

  /** Lets whoever can go on do so, then ends one thing that waits. Throws when something must go on and nothing can. */
  async turn(mustGoOn: boolean): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#events.length > 0) {
      this.#idle = 0;
      const at = this.#random.below(this.#events.length);
      const [event] = this.#events.splice(at, 1);
      this.note(at);
      if (this.#random.below(4) === 0) this.advance(1);
      event?.();
      return;
    }
    this.#idle = mustGoOn ? this.#idle + 1 : Math.min(3, this.#idle + 1);
    if (this.#idle < 3) return;
    const next = Math.min(...this.#timers.map((timer) => timer.dueMs));
    if (Number.isFinite(next)) this.advance(next - this.#nowMs);
    else if (mustGoOn && this.#idle > idleTurnsMax) throw new Error('nothing can go on any more');
  }

  /** Turns until this has settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    this.#idle = 0;
    while (!settled) await this.turn(true);
    return await promise;
  }

  /** Goes into the sum by which two runs are compared. */
  note(value: number): void {
    this.#trace = (Math.imul(this.#trace ^ value, 0x01000193) + 0x9e3779b9) >>> 0;
  }

  get trace(): number {
    return this.#trace;
  }
}
