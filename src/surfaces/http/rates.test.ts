// Token buckets: bursts, debts, refills, and a bounded number of holders.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type RateOutcome, Rates } from './rates.ts';

const requests = (perS: number) => ({ requestsPerS: perS, bytesPerS: 0 });
const bytes = (perS: number) => ({ requestsPerS: 0, bytesPerS: perS });

function over(outcome: RateOutcome): Extract<RateOutcome, { kind: 'over' }> {
  assert.ok(outcome.kind === 'over');
  return outcome;
}

function takenOf(rates: Rates, perS: number, asked: number, nowMs: number): number {
  let taken = 0;
  for (let i = 0; i < asked; i++) if (rates.take('a', requests(perS), nowMs).kind === 'ok') taken += 1;
  return taken;
}

describe('requests a second', () => {
  test('a burst of three seconds passes, then what the rate gives', () => {
    const rates = new Rates();
    assert.equal(takenOf(rates, 10, 100, 0), 30);
    assert.equal(takenOf(rates, 10, 100, 1000), 10);
    assert.equal(takenOf(rates, 10, 100, 1050), 0);
    assert.equal(takenOf(rates, 10, 100, 100_000), 30);
  });

  test('over a long time no more than the rate passes', () => {
    const rates = new Rates();
    let taken = 0;
    for (let nowMs = 0; nowMs <= 60_000; nowMs += 10) taken += takenOf(rates, 20, 1, nowMs);
    assert.ok(taken >= 20 * 60 && taken <= 20 * 63 + 1, `${taken}`);
  });

  test('who is refused learns for how long', () => {
    const rates = new Rates();
    takenOf(rates, 4, 12, 0);
    const { what, waitMs } = over(rates.take('a', requests(4), 0));
    assert.deepEqual([what, waitMs], ['requests', 250]);
    assert.equal(rates.take('a', requests(4), 250).kind, 'ok');
  });

  test('less than one a second is possible', () => {
    const rates = new Rates();
    assert.equal(takenOf(rates, 0.1, 5, 0), 1);
    assert.equal(takenOf(rates, 0.1, 5, 9000), 0);
    assert.equal(takenOf(rates, 0.1, 5, 10_000), 1);
  });

  test('zero is no limit, and nobody is remembered for it', () => {
    const rates = new Rates();
    assert.equal(takenOf(rates, 0, 1000, 0), 1000);
    assert.equal(rates.size, 0);
  });

  test('a clock that goes back gives nothing and takes nothing', () => {
    const rates = new Rates();
    assert.equal(takenOf(rates, 10, 100, 5000), 30);
    assert.equal(takenOf(rates, 10, 100, 1000), 0);
    assert.equal(takenOf(rates, 10, 100, 2000), 10);
  });
});

describe('bytes a second', () => {
  test('one that is larger than the bucket passes, and leaves a debt that is paid off at the rate', () => {
    const rates = new Rates();
    assert.equal(rates.take('a', bytes(1000), 0).kind, 'ok');
    rates.charge('a', 0, 10_000);
    const { what, waitMs } = over(rates.take('a', bytes(1000), 0));
    assert.equal(what, 'bytes');
    assert.ok(Math.abs(waitMs - 7000) <= 2, `${waitMs}`);
    assert.equal(rates.take('a', bytes(1000), 6900).kind, 'over');
    assert.equal(rates.take('a', bytes(1000), 7002).kind, 'ok');
  });

  test('of what is announced a bucket is charged at the most', () => {
    const rates = new Rates();
    assert.equal(rates.take('a', bytes(1000), 0).kind, 'ok');
    assert.equal(rates.chargeAhead('a', 2000), 2000);
    assert.equal(rates.chargeAhead('a', 9e15), 3000);
    assert.equal(rates.take('a', bytes(1000), 2000).kind, 'over');
    assert.equal(rates.take('a', bytes(1000), 2002).kind, 'ok');
    assert.equal(rates.chargeAhead('nobody', 5), 0);
  });

  test('what was announced and did not come is given back', () => {
    const rates = new Rates();
    assert.equal(rates.take('a', bytes(1000), 0).kind, 'ok');
    rates.charge('a', 0, 10_000);
    rates.charge('a', 0, -10_000);
    assert.equal(rates.take('a', bytes(1000), 0).kind, 'ok');
  });
});

test('holders are bounded: the idle are forgotten first', () => {
  const rates = new Rates(100);
  for (let i = 0; i < 50; i++) rates.take('busy', requests(1), 0);
  for (let i = 0; i < 10_000; i++) rates.take(`other ${i}`, requests(1000), i * 10);
  assert.ok(rates.size <= 100, `${rates.size}`);
  const many = new Rates(100);
  for (let i = 0; i < 10_000; i++) many.take(`other ${i}`, requests(0.001), 0);
  assert.ok(many.size <= 100, `${many.size}`);
});
