// A pool of the engine's processes in a directory of its own, and queries of text that is at hand.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultCsv, type InputFormat } from './formats.ts';
import { parseQuery } from './parser.ts';
import { type QueryLimits, QueryPool } from './pool.ts';
import type { QueryEvent } from './protocol.ts';
import type { QuerySlot } from './slot.ts';

export const never = new AbortController().signal;

export const claim = { account: 'one', bytes: 0 };

export const limits = {
  queriesMax: 1,
  queryQueueMax: 1,
  bytesMax: 2 ** 27,
  isPrivate: true,
  memoryBytes: 2 ** 27,
  timeoutMs: 600_000,
};

export async function withPool(
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

export async function start(
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
export const allOf = async (events: AsyncGenerator<QueryEvent>): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const event of events) {
    if (event.kind === 'data') chunks.push(event.bytes);
    if (event.kind === 'error') return event.name;
  }
  return Buffer.concat(chunks).toString();
};

export const children = `/proc/${process.pid}/task/${process.pid}/children`;

export const give = async (slot: QuerySlot | undefined): Promise<void> => await slot?.[Symbol.asyncDispose]();
