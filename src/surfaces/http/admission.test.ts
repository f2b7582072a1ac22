// Who is served next: nobody waits while there is room, and no account takes what belongs to another.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Admission, type AdmissionLimits, type Asked, type Ticket } from './admission.ts';

const limits: AdmissionLimits = { inServiceMax: 8, contendedMax: 8, queuedMax: 50, refusalDelayMs: 5 };

function world(changed: Partial<AdmissionLimits> = {}) {
  const clock = { nowMs: 0 };
  const admission = new Admission({ ...limits, ...changed }, () => clock.nowMs);
  const asked = (account: string, more: Partial<Asked> = {}): Asked => ({
    account,
    bytes: 0,
    moved: () => 0,
    isGone: () => false,
    ...more,
  });
  return { clock, admission, asked };
}

const isNow = (entered: Ticket | Promise<Ticket | undefined>): entered is Ticket => !(entered instanceof Promise);

describe('one account alone', () => {
  test('enters without a promise up to the limit, then waits in order', async () => {
    const { admission, asked } = world();
    const tickets = Array.from({ length: 8 }, () => admission.enter(asked('a')));
    assert.ok(tickets.every(isNow));
    const order: number[] = [];
    const waiting = [1, 2, 3].map((number) => {
      const entered = admission.enter(asked('a'));
      assert.ok(!isNow(entered));
      return entered.then((ticket) => {
        order.push(number);
        return ticket;
      });
    });
    assert.equal(admission.queued, 3);
    for (const ticket of tickets) if (isNow(ticket)) ticket.leave();
    for (const ticket of await Promise.all(waiting)) ticket?.leave();
    assert.deepEqual(order, [1, 2, 3]);
    assert.equal(admission.inService, 0);
    assert.equal(admission.queued, 0);
  });

  test('leaving twice gives one place back', () => {
    const { admission, asked } = world();
    const first = admission.enter(asked('a'));
    const second = admission.enter(asked('a'));
    assert.ok(isNow(first) && isNow(second));
    first.leave();
    first.leave();
    assert.equal(admission.inService, 1);
  });

  test('a queue that is full refuses, after a while', async () => {
    const { admission, asked } = world({ inServiceMax: 1, queuedMax: 2 });
    admission.enter(asked('a'));
    void admission.enter(asked('a'));
    void admission.enter(asked('a'));
    assert.equal(await admission.enter(asked('a')), undefined);
  });

  test('one that is gone when its turn comes is passed over', async () => {
    const { admission, asked } = world({ inServiceMax: 1 });
    const first = admission.enter(asked('a'));
    const gone = admission.enter(asked('a', { isGone: () => true }));
    const third = admission.enter(asked('a'));
    assert.ok(isNow(first));
    first.leave();
    assert.equal(await gone, undefined);
    assert.notEqual(await third, undefined);
  });

  test('those that went away while they waited keep nobody out, and are told at once', async () => {
    const { admission, asked } = world({ inServiceMax: 1, queuedMax: 20 });
    const first = admission.enter(asked('a'));
    let isGone = false;
    const gone = Array.from({ length: 20 }, () => admission.enter(asked('a', { isGone: () => isGone })));
    isGone = true;
    const live = admission.enter(asked('a'));
    assert.deepEqual(
      await Promise.all(gone),
      gone.map(() => undefined),
    );
    assert.equal(admission.queued, 1);
    assert.ok(isNow(first));
    first.leave();
    assert.notEqual(await live, undefined);
  });

  test('those that went away are forgotten also when nobody else comes', async () => {
    const { admission, asked } = world({ inServiceMax: 1 });
    const first = admission.enter(asked('a', { moved: () => 1e12 }));
    assert.equal(await admission.enter(asked('a', { isGone: () => true })), undefined);
    assert.equal(admission.queued, 0);
    assert.ok(isNow(first));
  });

  test('however heavy, one always has a place', () => {
    const { admission, asked } = world({ inServiceMax: 2 });
    assert.ok(isNow(admission.enter(asked('a', { bytes: 2 ** 40 }))));
    assert.ok(!isNow(admission.enter(asked('a'))));
  });
});

describe('several accounts', () => {
  test('another one has a place at once, however many the first has in service and waiting', () => {
    const { admission, asked } = world();
    for (let i = 0; i < 40; i++) void admission.enter(asked('a'));
    for (let i = 0; i < 4; i++) assert.ok(isNow(admission.enter(asked('b'))), `${i}`);
    assert.ok(!isNow(admission.enter(asked('b'))));
  });

  test('both are served equally, whatever they have waiting', async () => {
    const { admission, asked } = world({ contendedMax: 2, inServiceMax: 4 });
    const served = { a: 0, b: 0 };
    const ask = async (account: 'a' | 'b'): Promise<void> => {
      const ticket = await admission.enter(asked(account));
      if (ticket === undefined) return;
      await turn();
      served[account] += 1;
      ticket.leave();
    };
    const floods = Array.from({ length: 45 }, () => ask('a'));
    const few = Array.from({ length: 10 }, () => ask('b'));
    await Promise.all(few);
    assert.ok(served.a <= 20, `a was served ${served.a} times beside 10 of b`);
    await Promise.all(floods);
    assert.equal(served.a, 45);
  });

  test('who comes back has saved up nothing', async () => {
    const { clock, admission, asked } = world({ contendedMax: 2, inServiceMax: 2 });
    const first = admission.enter(asked('b'));
    assert.ok(isNow(first));
    first.leave();
    for (let i = 0; i < 100; i++) {
      const ticket = await admission.enter(asked('a'));
      ticket?.leave();
    }
    clock.nowMs = 500;
    const served: string[] = [];
    const all = ['a', 'b'].flatMap((account) =>
      Array.from({ length: 20 }, async () => {
        const ticket = await admission.enter(asked(account));
        await turn();
        served.push(account);
        ticket?.leave();
      }),
    );
    await Promise.all(all);
    const early = served.slice(0, 20).filter((account) => account === 'a').length;
    assert.ok(early >= 7 && early <= 13, served.join(''));
  });

  test('large bodies take the places of many small ones', () => {
    const { admission, asked } = world({ contendedMax: 16 });
    void admission.enter(asked('b'));
    const large = Array.from({ length: 10 }, () => admission.enter(asked('a', { bytes: 8 * 1024 * 1024 })));
    assert.equal(large.filter(isNow).length, 1);
  });

  test('what counts for little enters alone, however heavy', () => {
    const { admission, asked } = world();
    const heavy = { isMinor: true, bytes: 64 * 1024 * 1024 };
    const first = admission.enter(asked('?', heavy));
    assert.ok(isNow(first));
    assert.ok(!isNow(admission.enter(asked('?', heavy))));
    first.leave();
    assert.equal(admission.queued, 0);
  });

  test('one that counts for little contends with nobody', () => {
    const { admission, asked } = world();
    const minor = Array.from({ length: 20 }, () => admission.enter(asked('?', { isMinor: true })));
    assert.equal(minor.filter(isNow).length, 4);
    const tickets = Array.from({ length: 8 }, () => admission.enter(asked('a')));
    assert.ok(tickets.every(isNow));
  });

  test('an account that is silent for a second counts no more', () => {
    const { clock, admission, asked } = world();
    const other = admission.enter(asked('b'));
    assert.ok(isNow(other));
    other.leave();
    const four = Array.from({ length: 8 }, () => admission.enter(asked('a')));
    assert.equal(four.filter(isNow).length, 4);
    for (const ticket of four) if (isNow(ticket)) ticket.leave();
    clock.nowMs = 1500;
    const eight = Array.from({ length: 8 }, () => admission.enter(asked('a')));
    assert.equal(admission.inService, 8);
    for (const ticket of eight) if (isNow(ticket)) ticket.leave();
  });
});

test('requests that wait for slow clients give up their places to those that wait', async () => {
  const { clock, admission, asked } = world({ inServiceMax: 2 });
  const slow = [admission.enter(asked('a')), admission.enter(asked('a'))];
  assert.ok(slow.every(isNow));
  const waiting = admission.enter(asked('a'));
  assert.ok(!isNow(waiting));
  clock.nowMs = 2000;
  assert.notEqual(await waiting, undefined);
  for (const ticket of slow) if (isNow(ticket)) ticket.leave();
  (await waiting)?.leave();
  assert.equal(admission.inService, 0);
});
