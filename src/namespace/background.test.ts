// The loops behind a store: each task is done by one worker, errors are told and tried again, everything ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keys } from '../metadata/keys.ts';
import { MemoryEngine } from '../metadata/memory-engine.ts';
import { type BackgroundOptions, runBackground } from './background.ts';
import { deleteContainer } from './containers.ts';
import { fsck } from './fsck.ts';
import { nextSegment } from './segments.ts';
import { account, cause, TestClock, TestStore } from './store.testing.ts';
import { holdTask } from './tasks.ts';

test('a task has one holder, until its lease runs out', async () => {
  const holder = { engine: new MemoryEngine(), clock: new TestClock() };
  const task = (owner: string) => ({ name: 'garbage', owner, leaseMs: 1000 });
  const order: string[] = [];
  const held = await holdTask(holder, task('first'), async () => {
    order.push('first');
    assert.equal(await holdTask(holder, task('second'), async () => order.push('second')), undefined);
    return 7;
  });
  assert.deepEqual(held, { result: 7 });
  await holdTask(holder, task('second'), async () => order.push('second'));
  assert.deepEqual(order, ['first', 'second']);
});

test('the lease of a holder that is gone runs out, and one that works on is renewed', async () => {
  const engine = new MemoryEngine();
  const clock = new TestClock();
  const stuck = { now: () => clock.now(), sleep: () => new Promise<void>(() => undefined) };
  // Its renewal never comes round: it stands for a worker that was killed.
  void holdTask(
    { engine, clock: stuck },
    { name: 't', owner: 'dead', leaseMs: 1000 },
    () => new Promise(() => undefined),
  );
  await new Promise((resolve) => setImmediate(resolve));
  const take = () => holdTask({ engine, clock }, { name: 't', owner: 'next', leaseMs: 1000 }, async () => 'mine');
  assert.equal(await take(), undefined);
  clock.advance(1001);
  assert.deepEqual(await take(), { result: 'mine' });
  await holdTask({ engine, clock }, { name: 't', owner: 'long', leaseMs: 300 }, async () => {
    for (let i = 0; i < 50; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(await take(), undefined);
    }
  });
});

test('what was dropped goes in the background, from two workers at once, and nothing else does', async () => {
  await using held = await TestStore.open();
  for (let i = 0; i < 30; i++) await held.put(`d/${i}/x`, held.bytes(20_000));
  for (let i = 0; i < 29; i++) await held.remove(`d/${i}/x`);
  const kept = await held.read('d/29/x');
  const another = held.another();
  const ended = new AbortController();
  const errors: unknown[] = [];
  const options: BackgroundOptions = {
    owner: 'one',
    recoverBelow: await nextSegment(held.engine),
    segmentBytes: held.segmentBytes,
    onError: (_, error) => errors.push(error),
    onDamage: (_, what) => errors.push(what),
  };
  const running = [
    runBackground(held.store, { ...options, owner: 'one', recoverBelow: 0 }, ended.signal),
    runBackground(another, { ...options, owner: 'two', recoverBelow: 0 }, ended.signal),
  ];
  const rowsLeft = () =>
    held.engine.snapshot(async (view) => {
      const garbage = await view.scan(keys.allGarbage(), { limit: 100 });
      const prune = await view.scan(keys.allPrune(), { limit: 100 });
      const retired = await view.scan(keys.allDropped(), { limit: 1000 });
      return garbage.length + prune.length + (retired.length > 5 ? 1 : 0);
    });
  const deadlineMs = Date.now() + 20_000;
  while ((await rowsLeft()) > 0 && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(await rowsLeft(), 0);
  ended.abort();
  await Promise.all(running);
  assert.deepEqual(errors, []);
  assert.ok((await held.read('d/29/x')).equals(kept));
  assert.equal((await fsck(held.store, () => undefined)).damage, 0);
  await another.content.close();
});

test('a deleted container is emptied, and a task that fails is told of and tried again', async () => {
  await using held = await TestStore.open();
  for (let i = 0; i < 12; i++) await held.put(`a/b${i % 3}/c${i}`, held.bytes(2_000));
  await deleteContainer(held.store, { account, container: 'box', conditions: {}, cause });
  let failures = 3;
  const failing = {
    ...held.store,
    engine: {
      get: (key) => held.engine.get(key),
      snapshot: (work) => held.engine.snapshot(work),
      transact: (work) => (failures-- > 0 ? Promise.reject(new Error('not now')) : held.engine.transact(work)),
      [Symbol.asyncDispose]: async () => undefined,
    } satisfies typeof held.store.engine,
  };
  const ended = new AbortController();
  const told: string[] = [];
  const running = runBackground(
    failing,
    {
      owner: 'one',
      recoverBelow: 0,
      segmentBytes: held.segmentBytes,
      onError: (task) => told.push(task),
      onDamage: (_, what) => told.push(what),
    },
    ended.signal,
  );
  const isEmpty = () =>
    held.engine.snapshot(async (view) => {
      const left = await Promise.all(
        [keys.entries(), keys.allEmptying(), keys.allUsage()].map((range) => view.scan(range, { limit: 1 })),
      );
      return left.every((rows) => rows.length === 0);
    });
  const deadlineMs = Date.now() + 20_000;
  while (!(await isEmpty()) && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(await isEmpty());
  ended.abort();
  await running;
  assert.equal(told.length, 3);
  assert.equal((await fsck(held.store, () => undefined)).damage, 0);
});
