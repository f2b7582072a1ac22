// Starting and ending a server for a gate: the ready line, a server that never gets there, and every way to end.

import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from './server.ts';

const ready = `console.log('causeway ready {"blob":"http://127.0.0.1:1","admin":"http://127.0.0.1:2"}');`;

/** A root whose bin/causeway runs the given script instead of the real server. */
async function withServer(script: string, work: (root: string, workDir: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'gate-server-'));
  try {
    await mkdir(join(root, 'bin'));
    await mkdir(join(root, 'work'));
    const program = join(root, 'bin', 'causeway');
    await writeFile(program, `#!${process.execPath}\n${script}\n`);
    await chmod(program, 0o755);
    await work(root, join(root, 'work'));
  } finally {
    await rm(root, { recursive: true });
  }
}

test('the ready line gives the addresses, and SIGTERM the exit code', () =>
  withServer(
    `console.log('{"level":30}'); process.on('SIGTERM', () => process.exit(0)); ${ready} setInterval(() => {}, 1000);`,
    async (root, workDir) => {
      const server = await startServer(root, workDir, { name: 'one' });
      assert.equal(server.access.blob, 'http://127.0.0.1:1');
      assert.equal(server.access.admin, 'http://127.0.0.1:2');
      assert.equal(server.ended(), undefined);
      assert.equal(await server.stop(), 0);
      assert.deepEqual(server.ended(), { code: 0, signal: null });
    },
  ));

test('a server that ends before it is ready says why', () =>
  withServer(`console.error('the data directory is in use'); process.exit(2);`, async (root, workDir) => {
    await assert.rejects(startServer(root, workDir, { name: 'one' }), /ended with 2 .*the data directory is in use/);
  }));

test('kill ends a server at once, and its end is known', () =>
  withServer(`process.on('SIGTERM', () => {}); ${ready} setInterval(() => {}, 1000);`, async (root, workDir) => {
    const server = await startServer(root, workDir, { name: 'one' });
    await server.kill();
    assert.deepEqual(server.ended(), { code: null, signal: 'SIGKILL' });
    assert.equal(await server.stop(), null);
  }));
