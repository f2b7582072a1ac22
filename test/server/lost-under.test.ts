// A server whose data directory goes away under it ends, and what it acknowledged is there.
import assert from 'node:assert/strict';
import { closeSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertAll, assertRefusal, content, free, putAll } from './lost-parts.ts';
import { causeway, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();

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
