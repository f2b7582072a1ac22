// A data directory that lost a part is refused in one line, by the server and by fsck; one that loses it under a server ends it.
import assert from 'node:assert/strict';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { run } from '../../src/cli/run.ts';
import { causeway, type Ended, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const free = ['--blob-port', '0', '--admin-port', '0', '--workers', '1'] as const;
const blobBytes = 20_000;

const content = (index: number): Buffer => Buffer.alloc(blobBytes, `blob ${index} `);
const serve = (data: string, ...more: string[]): Promise<Ended> =>
  causeway('serve', '--dev', '--data', data, ...free, ...more);

/** What `causeway` says of what it refuses before it opens anything. */
async function here(...words: string[]): Promise<Ended> {
  const said = { out: '', err: '' };
  const code = await run(words, {
    out: (line) => {
      said.out += `${line}\n`;
    },
    err: (line) => {
      said.err += `${line}\n`;
    },
    server: () => import('../../src/server.ts'),
  });
  return { code, ...said };
}

function assertRefusal({ code, out, err }: Ended, what: RegExp): void {
  assert.equal(code, 2, out + err);
  assert.equal(out, '');
  assert.match(err, /^causeway: data: [^\n]+\n$/, 'one line');
  assert.match(err, what);
}

async function putAll(server: Server, from: number, to: number): Promise<void> {
  for (let index = from; index < to; index++)
    assert.equal((await server.put(`/box/${index}`, content(index))).status, 201);
}

async function assertAll(server: Server, to: number): Promise<void> {
  for (let index = 0; index < to; index++) {
    const found = await server.call({ path: `/box/${index}` });
    assert.ok(found.status === 200 && found.body.equals(content(index)), `blob ${index}: ${found.status}`);
  }
}

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

describe('a server whose directory goes away under it', () => {
  const losses: [string, (data: string) => void][] = [
    ['its lock', (data) => rmSync(join(data, 'lock'))],
    [
      'another lock in its place',
      (data) => {
        renameSync(join(data, 'lock'), join(data, 'lock.old'));
        closeSync(openSync(join(data, 'lock'), 'w'));
      },
    ],
    ['its main file', (data) => renameSync(join(data, 'metadata/meta.db'), join(data, 'metadata/gone'))],
    ['its content', (data) => renameSync(join(data, 'content'), join(data, 'elsewhere'))],
    ['all of it', (data) => renameSync(data, `${data} moved`)],
  ];
  for (const [index, [what, lose]] of losses.entries()) {
    test(`ends with a line and a code that is not 0, without ${what}`, async () => {
      const data = join(work, `under ${index}`);
      const server = await Server.start({ data, workers: 1 });
      try {
        lose(data);
        assert.equal(await server.program.ended(), 1);
        const lines = server.logLines().filter((line) => line.includes('"fatal"'));
        assert.equal(lines.length, 1, server.program.err);
        assert.match(lines[0] as string, /removed or replaced/);
      } finally {
        server.program.kill();
      }
    });
  }

  test('acknowledges nothing that a second server does not have', async () => {
    const data = join(work, 'second');
    const first = await Server.start({ data, workers: 1 });
    try {
      assert.equal((await first.createContainer('box')).status, 201);
      let acknowledged = 0;
      const load = (async () => {
        for (;;) {
          const done = await first.put(`/box/${acknowledged}`, content(acknowledged)).catch(() => undefined);
          if (done?.status !== 201) return;
          acknowledged++;
        }
      })();
      while (acknowledged < 5) await new Promise((resolve) => setTimeout(resolve, 20));
      rmSync(join(data, 'lock'));
      const second = await Server.start({ data, workers: 1 });
      try {
        await load;
        assert.equal(await first.program.ended(), 1);
        await assertAll(second, acknowledged);
      } finally {
        assert.equal(await second.stop(), 0);
      }
    } finally {
      first.program.kill();
    }
  });

  test('keeps a second one out as long as it has the metadata open, also when it stands still', async () => {
    const data = join(work, 'stands still');
    const first = await Server.start({ data, workers: 1 });
    try {
      assert.equal((await first.createContainer('box')).status, 201);
      await putAll(first, 0, 3);
      first.program.child.kill('SIGSTOP');
      rmSync(join(data, 'lock'));
      for (const words of [
        ['serve', ...free],
        ['account', 'list'],
        ['account', 'create', 'more'],
      ])
        assertRefusal(await causeway(...words, '--data', data), /another process has its metadata open/);
    } finally {
      first.program.kill();
    }
  });
});

describe('a path that is no data directory', () => {
  const file = join(work, 'a file');
  const link = join(work, 'a link to nothing');
  const loop = join(work, 'a link to itself');

  before(() => {
    writeFileSync(file, 'text');
    symlinkSync(join(work, 'nothing', 'here'), link);
    symlinkSync(loop, loop);
    writeFileSync(join(work, 'nul.yaml'), 'data: "a\\0b"\n');
    mkdirSync(join(work, 'lock is a directory', 'lock'), { recursive: true });
  });

  const paths = [
    '/proc/foo',
    '/proc/self/foo/bar',
    '/proc/1/mem/x',
    '/sys/foo/bar',
    '/dev/null',
    '/dev/null/below',
    file,
    join(file, 'below'),
    link,
    loop,
    join(work, 'a'.repeat(300)),
    `/${'b/'.repeat(3000)}`,
    join(work, 'lock is a directory'),
  ];
  test('of /proc, in a process of its own, is refused as soon', async () => {
    assertRefusal(await serve('/proc/foo'), /cannot be made there/);
  });

  for (const path of paths) {
    test(`${path.length > 80 ? `${path.slice(0, 80)}...` : path.replace(work, 'WORK')} is refused in one line`, async () => {
      assertRefusal(await here('serve', '--dev', '--data', path, ...free), /./);
      assertRefusal(await here('account', 'create', 'photos', '--data', path), /./);
    });
  }

  test('one with a NUL is refused in one line', async () => {
    const { code, err } = await causeway('serve', '--dev', '--config', join(work, 'nul.yaml'), ...free);
    assert.equal(code, 2, err);
    assert.match(err, /^causeway: data: [^\n]+\n$/);
  });

  const commands = [
    ['account', 'list'],
    ['account', 'show', 'photos'],
    ['account', 'rotate-key', 'photos'],
    ['account', 'delete', 'photos'],
    ['container', 'show', 'photos', 'box'],
    ['scope', 'list', 'photos'],
    ['access', 'list', 'photos'],
    ['admin-token', 'list'],
    ['admin-token', 'create', 'ci'],
    ['audit', 'verify'],
    ['audit', 'export'],
    ['fsck'],
  ];
  for (const words of commands) {
    test(`'${words.join(' ')}' makes no store of it`, async () => {
      const missing = join(work, 'mistyped');
      assertRefusal(await here(...words, '--data', missing), /no data of Causeway/);
      assert.ok(!existsSync(missing));
      const foreign = join(work, 'foreign');
      mkdirSync(foreign, { recursive: true });
      writeFileSync(join(foreign, 'notes'), 'mine');
      assertRefusal(await here(...words, '--data', foreign), /no data of Causeway/);
      assert.deepEqual(readdirSync(foreign), ['notes']);
    });
  }

  test("'account create' and 'serve' make one", async () => {
    const data = join(work, 'made', 'by', 'create');
    assert.equal((await causeway('account', 'create', 'photos', '--data', data)).code, 0);
    assert.equal(statSync(data).mode & 0o777, 0o700);
    assert.equal((await causeway('account', 'list', '--data', data)).out, 'photos\n');
  });
});
