// What the gate charges: bytes that moved, to whoever moved them, whatever was announced and however it was signed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRandom } from '../../base/random.ts';
import type { Principal } from '../../identity/authorize.ts';
import { BlobError } from './errors.ts';
import { Gate, type GateSettings, type Visit } from './gate.ts';

const mebibyte = 1024 * 1024;

function world(limits: Partial<GateSettings>) {
  const clock = { nowMs: 0 };
  const settings: GateSettings = {
    workers: 1,
    accountRequestsPerS: 0,
    accountBytesPerS: 0,
    principalRequestsPerS: 0,
    principalBytesPerS: 0,
    requestsInServiceMax: 512,
    requestsContendedMax: 32,
    requestsQueuedMax: 100,
    ...limits,
  };
  const gate = new Gate(settings, systemRandom, () => clock.nowMs);
  const enter = (
    bytes = 0,
    moved = () => 0,
    principal = { kind: 'anonymous' } as Principal,
    signature?: string,
  ): Visit => {
    const visit = gate.visit({ bytes, moved, isGone: () => false }, true);
    const visitor = { account: 'acc', settings: undefined, principal, signature, address: '192.0.2.1' };
    assert.equal(visit.enter(visitor), undefined);
    return visit;
  };
  return { clock, enter };
}

const isBusy = (error: unknown): boolean => error instanceof BlobError && error.errorCode === 'ServerBusy';

describe('bytes', () => {
  test('that are announced and never come stop nobody for longer than a burst takes', () => {
    const { clock, enter } = world({ accountBytesPerS: 1000, principalBytesPerS: 1000 });
    const idle = enter(9e15);
    clock.nowMs = 3100;
    enter().leave();
    idle.leave();
    enter().leave();
  });

  test('that move are charged while they move', async () => {
    const { enter } = world({ accountBytesPerS: mebibyte });
    let moved = 0;
    const visit = enter(0, () => moved);
    enter().leave();
    moved = 10 * mebibyte;
    await sleep(400);
    assert.throws(() => enter(), isBusy);
    // And once.
    visit.leave();
    visit.leave();
  });

  test('that moved are charged once, whatever was announced', () => {
    const { clock, enter } = world({ accountBytesPerS: 1000 });
    for (const announced of [0, 1000, 5000, 9e15]) {
      const visit = enter(announced, () => 5000);
      visit.leave();
      assert.throws(() => enter(), isBusy, `${announced}`);
      clock.nowMs += 1990;
      assert.throws(() => enter(), isBusy, `${announced}`);
      clock.nowMs += 20;
      enter().leave();
      clock.nowMs += 10_000;
    }
  });
});

test('a signature is one principal, however it is written', () => {
  const { enter } = world({ principalRequestsPerS: 1 });
  const principal = { kind: 'sas', grant: {} } as unknown as Principal;
  const signature = Buffer.alloc(32, 0xfb).toString('base64');
  assert.match(signature, /\+.*\+/);
  for (const form of [signature, signature.replace('+', ' '), signature.replaceAll('+', ' ')]) {
    enter(0, () => 0, principal, form).leave();
  }
  assert.throws(() => enter(0, () => 0, principal, signature.replace('+', ' ')), isBusy);
  enter(0, () => 0, principal, Buffer.alloc(32, 1).toString('base64')).leave();
});
