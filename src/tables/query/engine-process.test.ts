// The processes of the engine: bounded in memory and time from outside, and one that dies takes nothing with it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { EngineLostError } from './engine-process.ts';
import { allOf, children, claim, give, limits, never, start, withPool } from './pool.testing.ts';
import type { QuerySlot } from './slot.ts';

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
