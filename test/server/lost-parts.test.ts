// A data directory that lost a part is refused in one line, by the server and by fsck.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { assertAll, assertRefusal, putAll, serve } from './lost-parts.ts';
import { causeway, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();

describe('a directory whose server was killed', () => {
  const killed = join(work, 'killed');
  const earlier = join(work, 'earlier');
  const other = join(work, 'other');
  const count = 40;

  before(async () => {
    const server = await Server.start({ data: killed, workers: 1 });
    assert.equal((await server.createContainer('box')).status, 201);
    await putAll(server, 0, 10);
    assert.equal(await server.stop(), 0);
    cpSync(killed, earlier, { recursive: true, filter: (path) => !path.endsWith('.sock') });
    const again = await Server.start({ data: killed, workers: 1 });
    await putAll(again, 10, count);
    again.program.kill();
    await again.program.ended();
    rmSync(join(killed, 'control.sock'), { force: true });
    const another = await Server.start({ data: other, workers: 1 });
    assert.equal(await another.stop(), 0);
  });

  const copied = (name: string): string => {
    const data = join(work, name);
    cpSync(killed, data, { recursive: true });
    return data;
  };
  const remove = (path: string) => (data: string) => rmSync(join(data, path), { recursive: true });
  const replace = (path: string, from: string) => (data: string) => {
    rmSync(join(data, path), { recursive: true });
    cpSync(join(from, path), join(data, path), { recursive: true });
  };
  const segments = (data: string): string[] =>
    readdirSync(join(data, 'content')).filter((name) => name.endsWith('.seg'));
  const segment = (data: string): string => join(data, 'content', segments(data).sort()[0] as string);

  const losses: [string, RegExp, (data: string) => void][] = [
    ['the log', /log is missing/, remove('metadata/meta.db-wal')],
    ['the contents of the log', /acknowledged/, (data) => truncateSync(join(data, 'metadata/meta.db-wal'), 0)],
    ['the main file', /meta\.db is missing/, remove('metadata/meta.db')],
    ['the contents of the main file', /damaged|mark/, (data) => truncateSync(join(data, 'metadata/meta.db'), 0)],
    ['the page checksums', /checksums/, remove('metadata/meta.db.sums')],
    ['the mark', /mark/, remove('metadata/meta.db.mark')],
    [
      'the log and the mark',
      /mark/,
      (data) => ['-wal', '.mark'].forEach((end) => void remove(`metadata/meta.db${end}`)(data)),
    ],
    ['the directory of the metadata', /meta\.db is missing/, remove('metadata')],
    [
      'what the directory of the metadata held',
      /meta\.db is missing/,
      (data) => {
        remove('metadata')(data);
        mkdirSync(join(data, 'metadata'));
      },
    ],
    ['the directory of the content', /content is not there/, remove('content')],
    ['a segment', /\.seg is missing/, (data) => rmSync(segment(data))],
    ['the end of a segment', /\.seg has \d+ bytes, and had/, (data) => truncateSync(segment(data), 8192)],
    ['its metadata for an earlier one', /newer than the metadata/, replace('metadata', earlier)],
    ['its metadata for those of another store', /another store/, replace('metadata', other)],
    ['its main file for that of another store', /damaged|different stores/, replace('metadata/meta.db', other)],
  ];
  for (const [index, [what, says, lose]] of losses.entries()) {
    test(`is refused without ${what}, as often as it is tried, and fsck fails`, async () => {
      const data = copied(`lost ${index}`);
      lose(data);
      assertRefusal(await serve(data), says);
      const { code, out, err } = await causeway('fsck', '--data', data);
      assert.ok(code === 1 || code === 2, `fsck exits with ${code}: ${out}${err}`);
      assertRefusal(await serve(data), says);
    });
  }

  test('is served as it is, also without what can be made again', async () => {
    const data = copied('whole');
    for (const path of ['lock', 'metadata/meta.db-shm']) rmSync(join(data, path), { force: true });
    const server = await Server.start({ data, workers: 1 });
    try {
      await assertAll(server, count);
    } finally {
      assert.equal(await server.stop(), 0);
    }
    assert.equal((await causeway('fsck', '--data', data)).code, 0);
  });

  test('with serveIncomplete what is left of it is served, and the rest is not answered with anything else', async () => {
    const data = copied('incomplete');
    rmSync(segment(data));
    const server = await Server.start({ data, workers: 1, settings: ['serveIncomplete=true'] });
    try {
      const statuses = [];
      for (let index = 0; index < count; index++) statuses.push((await server.call({ path: `/box/${index}` })).status);
      assert.ok(statuses.includes(200) && statuses.includes(500), `${statuses}`);
      assert.deepEqual([...new Set(statuses)].sort(), [200, 500]);
    } finally {
      assert.equal(await server.stop(), 0);
    }
  });
});
