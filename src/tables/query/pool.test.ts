// Places for queries: whose turn it is, and what lies where while they run.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allOf, children, claim, give, limits, never, start, withPool } from './pool.testing.ts';
import { QueryPool } from './pool.ts';
import { queryDirectories, sweepQueries } from './scratch.ts';
import type { QuerySlot } from './slot.ts';

test('who waits gets the place in turn, may leave, and is turned away where too many wait', async () => {
  await withPool(async (pool) => {
    const first = (await pool.acquire(claim, never)) as QuerySlot;
    const leaving = new AbortController();
    const second = pool.acquire(claim, leaving.signal);
    assert.equal(await pool.acquire(claim, never), undefined);
    leaving.abort();
    assert.equal(await second, undefined);
    const third = pool.acquire(claim, never);
    await first[Symbol.asyncDispose]();
    await (await third)?.[Symbol.asyncDispose]();
    const fourth = await pool.acquire(claim, never);
    assert.ok(fourth);
    await fourth[Symbol.asyncDispose]();
  });
});

test('one account takes half of the places and of the queue, and accounts that wait take turns', async () => {
  const of = (account: string, bytes = 0) => ({ account, bytes });
  await withPool(
    async (pool) => {
      const running = [await pool.acquire(of('one'), never), await pool.acquire(of('one'), never)];
      const order: string[] = [];
      const waits = (account: string): Promise<QuerySlot | undefined> => {
        const slot = pool.acquire(of(account), never);
        void slot.then((given) => order.push(given === undefined ? `${account} refused` : account));
        return slot;
      };
      const ones = [waits('one'), waits('one'), waits('one')];
      const two = await pool.acquire(of('two'), never);
      assert.ok(two);
      assert.deepEqual(order, ['one refused']);
      // The last one that is free is for an account that runs nothing.
      const last = waits('two');
      const three = await pool.acquire(of('three'), never);
      assert.ok(three);
      assert.deepEqual(order, ['one refused']);
      await give(two);
      await give(await last);
      await give(running[0]);
      await give(running[1]);
      for (const slot of ones) await give(await slot);
      await give(three);
      assert.deepEqual(order, ['one refused', 'two', 'one', 'one']);
    },
    { queriesMax: 4, queryQueueMax: 4 },
  );
});

test('with one place, an account that asks for much does not go before one that asks for little', async () => {
  await withPool(
    async (pool) => {
      const order: string[] = [];
      const waits = (account: string): Promise<void> =>
        pool.acquire({ account, bytes: 0 }, never).then((slot) => {
          order.push(account);
          return give(slot);
        });
      const first = await pool.acquire({ account: 'one', bytes: 0 }, never);
      const all = [waits('one'), waits('one'), waits('one'), waits('two'), waits('two')];
      await give(first);
      await Promise.all(all);
      assert.deepEqual(order, ['two', 'one', 'two', 'one', 'one']);
    },
    { queryQueueMax: 8 },
  );
});

test('contents that are queried at once have no more bytes together than there is room for', async () => {
  await withPool(
    async (pool) => {
      assert.equal(await pool.acquire({ account: 'one', bytes: 101 }, never), undefined);
      const large = await pool.acquire({ account: 'one', bytes: 80 }, never);
      let isIn = false;
      const waiting = pool.acquire({ account: 'two', bytes: 21 }, never).then((slot) => {
        isIn = true;
        return slot;
      });
      const small = await pool.acquire({ account: 'two', bytes: 20 }, never);
      assert.ok(small);
      await give(small);
      assert.equal(isIn, false);
      await give(large);
      await give(await waiting);
    },
    { queriesMax: 4, queryQueueMax: 4, bytesMax: 100 },
  );
});

test('content has no name while it is queried', { skip: !existsSync(children) }, async () => {
  await withPool(async (pool) => {
    await using slot = (await pool.acquire(claim, never)) as QuerySlot;
    const events = await start(slot, 'SELECT * FROM BlobStorage', 'a,b\n');
    assert.deepEqual(await readdir(slot.scratch), []);
    assert.equal(await allOf(events), 'a,b\n');
  });
});

test('a directory in memory that is a link, or open to others, is refused', async () => {
  await withPool(async (pool, directory) => {
    chmodSync(directory, 0o755);
    await assert.rejects(pool.acquire(claim, never), /not this user's own/);
    chmodSync(directory, 0o700);
    await give(await pool.acquire(claim, never));
  });
  const target = await mkdtemp(join(tmpdir(), 'causeway-pool-'));
  const link = `${target}-link`;
  await symlink(target, link);
  try {
    await assert.rejects(new QueryPool({ ...limits, directory: link }).acquire(claim, never), /not this user's own/);
  } finally {
    await rm(link);
    await rm(target, { recursive: true });
  }
});

test('what queries of an earlier run left is removed when a server starts, and of its data directory only', {
  skip: !existsSync('/dev/shm'),
}, async () => {
  const [data, other] = [await mkdtemp(join(tmpdir(), 'causeway-a-')), await mkdtemp(join(tmpdir(), 'causeway-b-'))];
  const [own, others] = [queryDirectories(data), queryDirectories(other)];
  try {
    for (const directory of [own.disk, own.memory, others.memory]) {
      // A process of this number is there: it is another one.
      const left = join(directory, `${process.pid}-0-x`);
      mkdirSync(left, { recursive: true, mode: 0o700 });
      writeFileSync(join(left, 'plain.csv'), 'secret');
    }
    assert.equal(sweepQueries(data), undefined);
    assert.deepEqual(await readdir(own.disk), []);
    assert.deepEqual(await readdir(own.memory), []);
    assert.equal((await readdir(others.memory)).length, 1);
    chmodSync(own.memory, 0o777);
    assert.match(`${sweepQueries(data)}`, /not this user's own/);
  } finally {
    for (const path of [data, other, own.memory, others.memory]) await rm(path, { recursive: true, force: true });
  }
});
