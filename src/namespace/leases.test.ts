// Leases while the machine's clock is set back: they end in time, and never early.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayMs } from '../base/clock.ts';
import { StoreClock } from '../base/store-clock.ts';
import { leaseEntry } from './lease-entry.ts';
import { applyLeaseAction, leaseState } from './leases.ts';
import { account, cause, TestStore } from './store.testing.ts';

const startMs = Date.UTC(2026, 10, 29);

test('a lease of a minute holds for a minute, and for two at most, though the clock is set back by hours', async () => {
  await using held = await TestStore.open();
  await held.put('a', held.bytes(10));
  let monotonicMs = 0;
  let offsetMs = startMs;
  const clock = new StoreClock(undefined, { wallMs: () => monotonicMs + offsetMs, monotonicMs: () => monotonicMs });
  const store = { ...held.store, clock };
  const acquire = async (proposedId: string): Promise<string> => {
    const command = { account, container: 'box', name: 'a', conditions: {}, cause };
    return (await leaseEntry(store, command, { action: 'acquire', durationS: 60, proposedId })).kind;
  };
  const [mine, yours] = ['11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222'];
  assert.equal(await acquire(mine), 'ok');
  offsetMs -= 5 * 3_600_000;
  for (let second = 0; second < 59; second++) {
    monotonicMs += 1000;
    assert.equal(await acquire(yours), 'lease-present', `after ${second + 1} s`);
  }
  monotonicMs += 61_000;
  assert.equal(await acquire(yours), 'ok');
});

test('a lease that a wrong clock gave, which was put right since, is over', () => {
  const id = 'a';
  const wrongMs = startMs + 30 * 365 * dayMs;
  assert.equal(leaseState({ id, durationS: 60, expiresMs: wrongMs }, startMs), 'expired');
  assert.equal(leaseState({ id, durationS: 60, expiresMs: wrongMs, breakMs: wrongMs }, startMs), 'broken');
  assert.equal(leaseState({ id, durationS: 60, expiresMs: startMs + 60_000 }, startMs), 'leased');
  assert.equal(leaseState({ id, durationS: -1 }, startMs), 'leased');
});

test('a break tells the whole seconds that are left', () => {
  const lease = { id: 'a', durationS: 15, expiresMs: startMs + 15_000 };
  const left = (periodS: number | undefined, afterMs: number, breakMs?: number): number | undefined => {
    const action = { action: 'break', ...(periodS !== undefined && { periodS }) } as const;
    const change = applyLeaseAction({ ...lease, ...(breakMs !== undefined && { breakMs }) }, action, startMs + afterMs);
    return change.kind === 'ok' ? change.remainingS : undefined;
  };
  assert.deepEqual([left(undefined, 0), left(undefined, 1), left(5, 1), left(undefined, 14_500)], [15, 14, 5, 0]);
  assert.deepEqual([left(5, 2100, startMs + 3000), left(5, 3000, startMs + 3000)], [0, 0]);
});
