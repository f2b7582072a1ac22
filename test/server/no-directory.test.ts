// A path that is no data directory is refused in one line, whatever it is, and no command but two makes one.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { assertRefusal, free, here, serve } from './lost-parts.ts';
import { causeway, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();

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

  test('one whose content is a file system of its own is made', async () => {
    const data = join(work, 'mounted');
    mkdirSync(join(data, 'content', 'lost+found'), { recursive: true });
    assert.equal((await causeway('account', 'create', 'photos', '--data', data)).code, 0);
    assert.equal((await causeway('fsck', '--data', data)).code, 0);
  });
});
