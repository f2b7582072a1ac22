// The walls around the engine: whatever statement it might be brought to run, it reaches its one file and its directory.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Database } from './database.ts';

test('a statement reads the one file and nothing else, writes nowhere else, and changes no setting', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-walls-'));
  try {
    const [path, scratch, other] = ['content', 'scratch', 'other'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await mkdir(scratch);
    await writeFile(path, 'a,b\n');
    await writeFile(other, 'secret\n');
    await using database = await Database.open({ path, scratch, memoryBytes: 2 ** 27, scratchBytesMax: 2 ** 24 });
    assert.deepEqual(await database.rows(`SELECT content FROM read_text('${path}')`), [['a,b\n']]);
    const refused = [
      `SELECT * FROM read_text('${other}')`,
      `SELECT * FROM read_csv('${other}')`,
      `SELECT * FROM read_text('${scratch}/../other')`,
      `SELECT * FROM '${other}'`,
      `SELECT * FROM glob('${directory}/*')`,
      `SELECT * FROM read_csv('http://127.0.0.1:1/x')`,
      `COPY (SELECT 1) TO '${other}2'`,
      `ATTACH '${other}2'`,
      `EXPORT DATABASE '${other}2'`,
      'INSTALL httpfs',
      'LOAD httpfs',
      'SET enable_external_access = true',
      'SET threads = 8',
      `SET allowed_paths = ['${other}']`,
      'RESET lock_configuration',
      `PRAGMA memory_limit = '8GB'`,
    ];
    for (const sql of refused) await assert.rejects(database.rows(sql), sql);
    assert.ok(!existsSync(`${other}2`));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('memory is bounded', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'causeway-memory-'));
  try {
    const limits = { memoryBytes: 2 ** 26, scratchBytesMax: 2 ** 22 };
    await using database = await Database.open({ path: join(scratch, 'none'), scratch, ...limits });
    const sql = `SELECT length(string_agg(repeat('x', 1000) || i, ',')) FROM range(1000000) r(i)`;
    await assert.rejects(database.rows(sql), /out of memory/i);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
});
