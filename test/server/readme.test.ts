// What the README says under "Run it for yourself" works as it stands there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { causewayCommand } from '../support/causeway-server.ts';
import { causeway, Server, temporaryDirectory } from './program.ts';

const root = join(import.meta.dirname, '../..');

test('an account, a container, a server and a signature are a few lines, and curl is enough to use them', async () => {
  const section =
    /^## Run it for yourself\n([\s\S]*?)\n## /m.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1] ?? '';
  const [first = '', second = '', ...more] = [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(
    (block) => block[1],
  );
  assert.equal(more.length, 0);
  const work = temporaryDirectory();
  mkdirSync(join(work, 'bin'));
  symlinkSync(causewayCommand, join(work, 'bin/causeway'));
  const run = (script: string) => {
    const ran = spawnSync('sh', ['-e', '-c', script], { cwd: work, encoding: 'utf8', timeout: 60_000 });
    assert.equal(ran.status, 0, `${ran.stderr}${ran.stdout}`);
    return ran.stdout;
  };

  const lines = first.trim().split('\n');
  assert.equal(lines.pop(), 'bin/causeway serve --data ./data');
  const [connection = '', container] = run(lines.join('\n')).trim().split('\n');
  assert.match(connection, /^DefaultEndpointsProtocol=http;AccountName=myaccount;AccountKey=[^;]{88};BlobEndpoint=/);
  assert.equal(container, 'http://127.0.0.1:10000/myaccount/photos');
  // On whatever ports are free.
  const server = await Server.start({ data: join(work, 'data'), dev: false, workers: 1 });
  try {
    assert.equal(run(second), 'Hello from curl\n');
    const shown = await causeway('account', 'connection-string', 'myaccount', '--data', join(work, 'data'));
    const [key] = /AccountKey=[^;]*/.exec(connection) ?? [];
    const endpoint = `BlobEndpoint=${server.blob.origin}/myaccount;`;
    assert.equal(shown.out, `DefaultEndpointsProtocol=http;AccountName=myaccount;${key};${endpoint}\n`);
    for (const secret of [key?.slice('AccountKey='.length) ?? '', 'sig=']) {
      assert.ok(!server.program.err.includes(secret), 'a secret is in the log');
    }
  } finally {
    assert.equal(await server.stop(), 0);
  }
});
