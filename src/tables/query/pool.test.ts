// The processes of the engine: one that dies or that nobody wants takes nothing with it.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultCsv } from './formats.ts';
import { parseQuery } from './parser.ts';
import { EngineLostError, QueryPool, type QuerySlot } from './pool.ts';
import type { QueryEvent } from './protocol.ts';

const never = new AbortController().signal;

async function withPool(work: (pool: QueryPool, directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-pool-'));
  const limits = { queriesMax: 1, queryQueueMax: 1, queryMemoryBytes: 2 ** 27, queryTimeoutMs: 10_000, directory };
  try {
    await work(new QueryPool(limits), directory);
    assert.deepEqual(await readdir(directory), []);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function start(slot: QuerySlot, sql: string, content: string): Promise<AsyncGenerator<QueryEvent>> {
  const path = join(slot.scratch, 'content');
  await writeFile(path, content);
  const job = {
    path,
    bytes: content.length,
    scratch: slot.scratch,
    query: parseQuery(sql),
    input: defaultCsv,
    output: defaultCsv,
    nowMs: 0,
    memoryBytes: 2 ** 27,
    scratchBytesMax: 2 ** 24,
  };
  return slot.run(job, never);
}

const allOf = async (events: AsyncGenerator<QueryEvent>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const event of events) if (event.kind === 'data') chunks.push(event.bytes);
  return Buffer.concat(chunks).toString();
};

const children = `/proc/${process.pid}/task/${process.pid}/children`;

test('a process that dies in a query loses that query only', { skip: !existsSync(children) }, async () => {
  await withPool(async (pool) => {
    {
      await using slot = (await pool.acquire(never)) as QuerySlot;
      const events = await start(slot, 'SELECT * FROM BlobStorage', 'abcdefgh\n'.repeat(1_000_000));
      assert.equal((await events.next()).value?.kind, 'started');
      for (const pid of readFileSync(children, 'utf8').trim().split(' ')) process.kill(Number(pid), 'SIGKILL');
      await assert.rejects(allOf(events), EngineLostError);
    }
    await using slot = (await pool.acquire(never)) as QuerySlot;
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
      await using slot = (await pool.acquire(never)) as QuerySlot;
      assert.equal((await readdir(directory)).length, 1);
      assert.equal(await allOf(await start(slot, 'SELECT COUNT(*) FROM BlobStorage', 'a\n'.repeat(turn))), `${turn}\n`);
    }
    assert.equal(processes(), before + 1);
  });
});

test('who waits gets the place in turn, may leave, and is turned away where too many wait', async () => {
  await withPool(async (pool) => {
    const first = (await pool.acquire(never)) as QuerySlot;
    const leaving = new AbortController();
    const second = pool.acquire(leaving.signal);
    assert.equal(await pool.acquire(never), undefined);
    leaving.abort();
    assert.equal(await second, undefined);
    const third = pool.acquire(never);
    await first[Symbol.asyncDispose]();
    await (await third)?.[Symbol.asyncDispose]();
    const fourth = await pool.acquire(never);
    assert.ok(fourth);
    await fourth[Symbol.asyncDispose]();
  });
});
