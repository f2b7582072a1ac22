// The processes of the engine: one that dies or that nobody wants takes nothing with it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { EngineLostError } from './engine-process.ts';
import { defaultCsv, type InputFormat } from './formats.ts';
import { parseQuery } from './parser.ts';
import { type QueryLimits, QueryPool } from './pool.ts';
import type { QueryEvent } from './protocol.ts';
import { queryDirectories, sweepQueries } from './scratch.ts';
import type { QuerySlot } from './slot.ts';

const never = new AbortController().signal;

const claim = { account: 'one', bytes: 0 };
const limits = {
  queriesMax: 1,
  queryQueueMax: 1,
  bytesMax: 2 ** 27,
  isPrivate: true,
  memoryBytes: 2 ** 27,
  timeoutMs: 600_000,
};

async function withPool(
  work: (pool: QueryPool, directory: string) => Promise<void>,
  more: Partial<QueryLimits> = {},
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-pool-'));
  try {
    await work(new QueryPool({ ...limits, directory, ...more }), directory);
    assert.deepEqual(await readdir(directory), []);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function start(
  slot: QuerySlot,
  sql: string,
  content: string | Buffer,
  input: InputFormat = defaultCsv,
): Promise<AsyncGenerator<QueryEvent>> {
  const { file, path } = await slot.content();
  await file.writeFile(content);
  const job = {
    path,
    bytes: content.length,
    scratch: slot.scratch,
    query: parseQuery(sql),
    input,
    output: defaultCsv,
    nowMs: 0,
    memoryBytes: 2 ** 27,
    scratchBytesMax: 2 ** 24,
  };
  return slot.run(job);
}

/** The data, and the name of the error if there is one. */
const allOf = async (events: AsyncGenerator<QueryEvent>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const event of events) {
    if (event.kind === 'data') chunks.push(event.bytes);
    if (event.kind === 'error') return event.name;
  }
  return Buffer.concat(chunks).toString();
};

const children = `/proc/${process.pid}/task/${process.pid}/children`;

test('a process that dies in a query loses that query only', { skip: !existsSync(children) }, async () => {
  await withPool(async (pool) => {
    {
      await using slot = (await pool.acquire(claim, never)) as QuerySlot;
      const events = await start(slot, 'SELECT * FROM BlobStorage', 'abcdefgh\n'.repeat(1_000_000));
      assert.equal((await events.next()).value?.kind, 'started');
      for (const pid of readFileSync(children, 'utf8').trim().split(' ')) process.kill(Number(pid), 'SIGKILL');
      assert.equal(await allOf(events), 'InternalError');
    }
    await using slot = (await pool.acquire(claim, never)) as QuerySlot;
    assert.equal(await allOf(await start(slot, 'SELECT _1 FROM BlobStorage', 'a,b\n')), 'a\n');
  });
});

const processes = (): number => readFileSync(children, 'utf8').split(' ').length;

test('a process is used again, and files of servers that are gone are removed', {
  skip: !existsSync(children),
}, async () => {
  await withPool(async (pool, directory) => {
    const before = processes();
    // No process has this number.
    mkdirSync(join(directory, '4194305-0-x'));
    for (let turn = 0; turn < 3; turn++) {
      await using slot = (await pool.acquire(claim, never)) as QuerySlot;
      assert.equal((await readdir(directory)).length, 1);
      assert.equal(await allOf(await start(slot, 'SELECT COUNT(*) FROM BlobStorage', 'a\n'.repeat(turn))), `${turn}\n`);
    }
    assert.equal(processes(), before + 1);
  });
});

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

const give = async (slot: QuerySlot | undefined): Promise<void> => await slot?.[Symbol.asyncDispose]();

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

/** 2,048 rows of 2 MB of one letter, in little more than a kilobyte. */
async function bomb(): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-bomb-'));
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const path = join(directory, 'bomb.parquet');
    const connection = await instance.connect();
    const rows = `SELECT repeat('a', 2000000) AS a, 1 AS b FROM range(2048)`;
    await connection.run(`COPY (${rows}) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`);
    connection.closeSync();
    return readFileSync(path);
  } finally {
    instance.closeSync();
    await rm(directory, { recursive: true });
  }
}

const parquet = { kind: 'parquet' } as const;

/** The most that a process of the engine has held so far. */
function peakBytes(): number {
  const peaks = readFileSync(children, 'utf8')
    .trim()
    .split(' ')
    .map((pid) => {
      try {
        return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
      } catch {
        return 0;
      }
    });
  return Math.max(0, ...peaks);
}

test('a small file of gigabytes takes no more memory than a query may, and hurts no other', {
  skip: !existsSync(children),
}, async () => {
  const content = await bomb();
  assert.ok(content.length < 4096, `${content.length}`);
  let peak = 0;
  const look = setInterval(() => {
    peak = Math.max(peak, peakBytes());
  }, 5);
  try {
    await withPool(
      async (pool) => {
        const other = (await pool.acquire({ account: 'two', bytes: 0 }, never)) as QuerySlot;
        const rows = 'abcdefgh\n'.repeat(500_000);
        const beside = allOf(await start(other, 'SELECT * FROM BlobStorage', rows));
        for (const sql of [
          'SELECT * FROM BlobStorage',
          'SELECT LOWER(a) FROM BlobStorage',
          'SELECT MAX(a || a) FROM BlobStorage',
        ]) {
          await using slot = (await pool.acquire(claim, never)) as QuerySlot;
          assert.equal(await allOf(await start(slot, sql, content, parquet)), 'ResourcesExceeded', sql);
        }
        assert.equal(await beside, rows);
        await using slot = (await pool.acquire(claim, never)) as QuerySlot;
        assert.equal(await allOf(await start(slot, 'SELECT _1 FROM BlobStorage', 'a,b\n')), 'a\n');
      },
      { queriesMax: 2 },
    );
  } finally {
    clearInterval(look);
  }
  // The kernel's bound: of the two limits it is the higher one, and no process ever passes it.
  assert.ok(peak > 0 && peak < limits.memoryBytes + 1536 * 1024 * 1024, `${peak}`);
});

test('a process that holds more memory than it may is ended from outside', async () => {
  await withPool(
    async (pool) => {
      await using slot = (await pool.acquire(claim, never)) as QuerySlot;
      assert.equal(await allOf(await start(slot, slow, slowContent)), 'ResourcesExceeded');
    },
    // Less than the program alone.
    { memoryBytes: -(2 ** 29) + 2 ** 23 },
  );
});

test('rows of one letter are read a few at a time, and what the gateway is told comes in small pieces', async () => {
  const content = await bomb();
  await withPool(async (pool) => {
    await using slot = (await pool.acquire(claim, never)) as QuerySlot;
    let bytes = 0;
    for await (const event of await start(slot, 'SELECT a FROM BlobStorage LIMIT 100', content, parquet)) {
      assert.notEqual(event.kind, 'error');
      if (event.kind !== 'data') continue;
      assert.ok(event.bytes.length <= 2 ** 20);
      bytes += event.bytes.length;
    }
    assert.equal(bytes, 100 * 2_000_001);
  });
});

/** What each `%` stands for is tried out within the others. */
const slow = `SELECT COUNT(*) FROM BlobStorage WHERE _1 LIKE '%a%a%a%' || _2`;
const slowContent = `${'a'.repeat(1_000_000)},b\n`;

test('a query that takes too long is ended, and its place free, though nobody reads what it says', async () => {
  await withPool(
    async (pool) => {
      const slot = (await pool.acquire(claim, never)) as QuerySlot;
      const events = await start(slot, slow, slowContent);
      // Where the machine is busy, nothing had been told by then.
      const outcome = events.next().then(
        () => allOf(events),
        (error) => (error instanceof EngineLostError && error.loss === 'time' ? 'OperationTimedOut' : error),
      );
      const next = (await pool.acquire(claim, never)) as QuerySlot;
      assert.equal(await outcome, 'OperationTimedOut');
      await give(next);
    },
    { timeoutMs: 3000 },
  );
});

const enginesNow = (): string[] => readFileSync(children, 'utf8').trim().split(' ').sort();

test('a process runs the queries of one account, and there are no more than places', {
  skip: !existsSync(children),
}, async () => {
  await withPool(async (pool) => {
    const asked = async (account: string): Promise<string[]> => {
      await using slot = (await pool.acquire({ account, bytes: 0 }, never)) as QuerySlot;
      assert.equal(await allOf(await start(slot, 'SELECT _1 FROM BlobStorage', 'a,b\n')), 'a\n');
      return enginesNow().filter((pid) => !before.includes(pid));
    };
    const before = enginesNow();
    const ones = await asked('one');
    assert.deepEqual(await asked('one'), ones);
    const two = (await asked('two')).filter((pid) => !ones.includes(pid));
    assert.equal(two.length, 1);
    // What ended may be there for a moment still.
    while (enginesNow().filter((pid) => !before.includes(pid)).length > 1) await new Promise(setImmediate);
  });
});

/** Starts a query that does not end, and says which process runs it. */
const gateway = `
  import { readFileSync } from 'node:fs';
  import { QueryPool } from '${new URL('./pool.ts', import.meta.url)}';
  import { parseQuery } from '${new URL('./parser.ts', import.meta.url)}';
  import { defaultCsv } from '${new URL('./formats.ts', import.meta.url)}';
  const { limits, sql } = JSON.parse(process.argv[1]);
  const content = 'a'.repeat(1_000_000) + ',b\\n';
  const pool = new QueryPool(limits);
  const slot = await pool.acquire({ account: 'one', bytes: 0 }, new AbortController().signal);
  const { file, path } = await slot.content();
  await file.writeFile(content);
  const format = { input: defaultCsv, output: defaultCsv, nowMs: 0 };
  const space = { scratch: slot.scratch, memoryBytes: 2 ** 27, scratchBytesMax: 2 ** 24 };
  const events = slot.run({ path, bytes: content.length, query: parseQuery(sql), ...format, ...space });
  for await (const { kind } of events) {
    if (kind === 'progress') console.log(readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim());
  }
`;

test('a process whose gateway dies ends in the middle of a statement', { skip: !existsSync(children) }, async () => {
  await withPool(async (_, directory) => {
    const argument = JSON.stringify({ limits: { ...limits, directory }, sql: slow });
    const parent = spawn(process.execPath, ['--input-type=module', '-e', gateway, argument], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const engine = Number(line.toString().trim().split('\n')[0]);
    const isAlive = (): boolean => {
      try {
        return !/^State:\s+Z/m.test(readFileSync(`/proc/${engine}/status`, 'latin1'));
      } catch {
        return false;
      }
    };
    assert.ok(isAlive());
    parent.kill('SIGKILL');
    while (isAlive()) await new Promise((resolve) => setTimeout(resolve, 20));
    // What it left without a name is the next one's to remove.
    for (const name of await readdir(directory)) assert.deepEqual(await readdir(join(directory, name)), []);
    for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true });
  });
});
