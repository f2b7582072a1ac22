// Followers of the journal: where they stand, and what trimming may take from under them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trimJournal } from './expiry.ts';
import { listFollowers, moveFollower, openFollower, readBehind, removeFollower } from './followers.ts';
import { TestStore } from './store.testing.ts';

const minuteMs = 60_000;
const trim = { ageMs: minuteMs, rowsMax: 100, followerAgeMs: 10 * minuteMs };

function rowsBehind(held: TestStore, cursor: string) {
  return held.engine.snapshot((view) => readBehind(view, cursor, 100));
}

function move(held: TestStore, from: string, to: string): Promise<boolean> {
  return held.engine.transact((txn) => moveFollower(txn, 'one', from, to));
}

test('a follower reads each record once, in order, and only from where it stands', async () => {
  await using held = await TestStore.open();
  const { cursor } = await openFollower(held.store, 'one');
  for (const name of ['a', 'b']) await held.put(name, Buffer.from(name));
  const first = await rowsBehind(held, cursor);
  assert.equal(first.rows.length, 3);
  assert.equal(first.isEnd, true);
  const second = first.rows[1]?.id as string;
  assert.equal(await move(held, cursor, second), true);
  assert.deepEqual((await rowsBehind(held, second)).rows, first.rows.slice(2));
  // Whoever stands where it stood before is too late.
  assert.equal(await move(held, cursor, first.rows[2]?.id as string), false);
  assert.deepEqual(await openFollower(held.store, 'one'), { cursor: second, lost: undefined });
});

test('the journal is kept for its slowest follower, and not for one that is gone', async () => {
  await using held = await TestStore.open();
  await openFollower(held.store, 'one');
  await openFollower(held.store, 'two');
  for (const name of ['a', 'b', 'c']) await held.put(name, Buffer.from(name));
  const { rows } = await rowsBehind(held, '');
  held.clock.advance(2 * minuteMs);
  assert.deepEqual(await trimJournal(held.store, trim), { records: 0 });
  await move(held, '', rows[1]?.id as string);
  assert.deepEqual(await trimJournal(held.store, trim), { records: 0 });
  await removeFollower(held.store, 'two');
  assert.deepEqual(await trimJournal(held.store, trim), { records: 2 });
  assert.deepEqual((await rowsBehind(held, '')).rows, rows.slice(2));
  assert.deepEqual(await openFollower(held.store, 'one'), { cursor: rows[1]?.id, lost: undefined });
});

test('a follower that falls too far behind is told once what it lost, and goes on behind it', async () => {
  await using held = await TestStore.open();
  await openFollower(held.store, 'one');
  for (const name of ['a', 'b', 'c']) await held.put(name, Buffer.from(name));
  const { rows } = await rowsBehind(held, '');
  const [first, second] = rows.map(({ id }) => id) as [string, string];
  await move(held, '', first);
  held.clock.advance(20 * minuteMs);
  assert.deepEqual(await trimJournal(held.store, { ...trim, rowsMax: 2 }), { records: 2 });
  assert.deepEqual(await trimJournal(held.store, { ...trim, rowsMax: 1 }), { records: 1 });
  // It may still hold records that it read before: it must not go on as if nothing were missing.
  assert.equal(await move(held, first, second), false);
  const atMs = held.clock.now();
  const third = rows[2]?.id as string;
  assert.deepEqual(await openFollower(held.store, 'one'), { cursor: third, lost: { until: third, records: 2, atMs } });
  assert.deepEqual(await openFollower(held.store, 'one'), { cursor: third, lost: undefined });
  assert.deepEqual((await rowsBehind(held, third)).rows, rows.slice(3));
  const followers = await held.engine.snapshot((view) => listFollowers(view));
  assert.deepEqual(followers, [{ name: 'one', record: { cursor: third } }]);
});
