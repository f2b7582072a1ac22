// A store's time: it follows the machine's clock forwards, never back, and comes down to it again without standing still.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from './random.ts';
import { StoreClock } from './store-clock.ts';

const hourMs = 3_600_000;
const startMs = Date.UTC(2026, 10, 29);

/** A machine whose clock can be set while time passes. */
class Machine {
  monotonicMs = 1000;
  #offsetMs = startMs - 1000;

  readonly sources = { wallMs: () => this.wallMs, monotonicMs: () => this.monotonicMs };

  get wallMs(): number {
    return this.monotonicMs + this.#offsetMs;
  }

  pass(ms: number): void {
    this.monotonicMs += ms;
  }

  setClock(byMs: number): void {
    this.#offsetMs += byMs;
  }
}

test('it is the machine’s clock while that goes forwards', () => {
  const machine = new Machine();
  const clock = new StoreClock(undefined, machine.sources);
  for (const ms of [0, 1, 500, hourMs]) {
    machine.pass(ms);
    assert.equal(clock.now(), machine.wallMs);
  }
  machine.setClock(hourMs);
  assert.equal(clock.now(), machine.wallMs);
  assert.equal(clock.aheadMs(), 0);
});

test('a clock set back by hours makes a minute last two at most, and never less than one', () => {
  const machine = new Machine();
  const clock = new StoreClock(undefined, machine.sources);
  const endMs = clock.now() + 60_000;
  machine.pass(10_000);
  clock.now();
  machine.setClock(-5 * hourMs);
  machine.pass(49_000);
  assert.ok(clock.now() < endMs, 'it is not over before a minute of real time');
  machine.pass(51_000);
  assert.ok(clock.now() >= endMs, 'it is over after two');
});

test('it comes down to the machine’s clock in twice the time that this was set back by', () => {
  const machine = new Machine();
  const clock = new StoreClock(undefined, machine.sources);
  clock.now();
  machine.setClock(-hourMs);
  assert.equal(clock.aheadMs(), hourMs);
  machine.pass(hourMs);
  assert.equal(clock.aheadMs(), hourMs / 2);
  machine.pass(hourMs);
  assert.equal(clock.aheadMs(), 0);
  machine.pass(1234);
  assert.equal(clock.now(), machine.wallMs);
});

test('it never goes back, however the clock is set', () => {
  const random = seededRandom(7);
  const machine = new Machine();
  const clock = new StoreClock(undefined, machine.sources);
  let lastMs = clock.now();
  for (let step = 0; step < 10_000; step++) {
    if (random.below(10) === 0) machine.setClock(random.below(2 * hourMs) - hourMs);
    else machine.pass(random.below(1000));
    const nowMs = clock.now();
    assert.ok(nowMs >= lastMs && nowMs >= Math.floor(machine.wallMs), `step ${step}`);
    lastMs = nowMs;
  }
});

test('another process goes on where this one stands, and so does a store that is opened again', () => {
  const machine = new Machine();
  const clock = new StoreClock(undefined, machine.sources);
  machine.setClock(-hourMs);
  const time = clock.time();
  machine.pass(1000);
  assert.equal(new StoreClock(time, machine.sources).now(), clock.now());
  const opened = new StoreClock(undefined, machine.sources);
  opened.advanceTo(clock.now());
  assert.equal(opened.now(), clock.now());
  opened.advanceTo(startMs - hourMs);
  assert.equal(opened.now(), clock.now(), 'an older time is none to go back to');
});
