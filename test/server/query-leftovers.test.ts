// Sealed content that is queried when a server is killed: nothing of it is left when the next one stands.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryDirectories } from '../../src/tables/query/scratch.ts';
import { Server, temporaryDirectory } from './program.ts';

const key = Buffer.alloc(32, 7);
const headers = {
  'x-ms-encryption-key': key.toString('base64'),
  'x-ms-encryption-key-sha256': createHash('sha256').update(key).digest('base64'),
  'x-ms-encryption-algorithm': 'AES256',
};
// A record separator of two bytes and fields of quotes: the content is written anew for the engine.
const format =
  '<InputSerialization><Format><Type>delimited</Type><DelimitedTextConfiguration><ColumnSeparator>,</ColumnSeparator>' +
  '<FieldQuote>"</FieldQuote><RecordSeparator>;;</RecordSeparator><EscapeChar></EscapeChar><HasHeaders>false</HasHeaders>' +
  '</DelimitedTextConfiguration></Format></InputSerialization>';
const sql = "SELECT * FROM BlobStorage WHERE _1 LIKE '%a%b%c%d%e%' OR _2 LIKE '%s%e%c%r%e%t%'";
const body = `<QueryRequest><QueryType>SQL</QueryType><Expression>${sql}</Expression>${format}</QueryRequest>`;

test('a server that is killed in a query leaves nothing of sealed content for long', {
  skip: !existsSync('/dev/shm'),
}, async () => {
  const data = temporaryDirectory();
  const first = await Server.start({ data, workers: 1 });
  const { disk, memory } = queryDirectories(data);
  try {
    await first.createContainer('box');
    const text = Buffer.from('top,secret,row;;'.repeat(1_500_000));
    assert.equal((await first.put('/box/sealed', text, headers)).status, 201);
    const query = first
      .call({ method: 'POST', path: '/box/sealed', query: 'comp=query', headers, body: Buffer.from(body) })
      .then(
        () => undefined,
        () => undefined,
      );
    const files = (): string[] =>
      existsSync(memory) ? readdirSync(memory).flatMap((name) => readdirSync(join(memory, name))) : [];
    for (let turn = 0; turn < 2000 && files().length === 0; turn++) await sleep(5);
    assert(!files().includes('content'), 'what was spooled has no name');
    assert(files().length > 0, 'the query was under way');
    first.program.kill();
    await query;
  } finally {
    first.program.kill();
  }
  // As one that had no time to clear up: its number is another process's now.
  for (const directory of [disk, memory]) {
    mkdirSync(join(directory, `${process.pid}-0-x`), { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, `${process.pid}-0-x`, 'plain.csv'), 'secret');
  }
  const second = await Server.start({ data, workers: 1 });
  try {
    assert.deepEqual(readdirSync(memory), []);
    assert.deepEqual(readdirSync(disk), []);
    await second.stop();
  } finally {
    second.program.kill();
    rmSync(memory, { recursive: true, force: true });
  }
});
