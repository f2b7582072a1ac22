// How the program starts: its ready line, and every refusal as one line that names the setting, with exit code 2.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { causeway, eventually, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const free = ['--blob-port', '0', '--admin-port', '0', '--workers', '1'] as const;

async function refused(setting: RegExp, ...words: readonly string[]): Promise<string> {
  const { code, out, err } = await causeway('serve', ...words);
  const all = `${words.join(' ')}\n${out}${err}`;
  assert.equal(code, 2, all);
  assert.equal(out, '', all);
  assert.match(err, /^causeway: [^\n]+\n$/, `one line: ${all}`);
  assert.match(err, setting, all);
  return err;
}

test('one ready line says where every listener is, and nothing else is on stdout', async () => {
  const server = await Server.start({ data: join(work, 'ready') });
  try {
    assert.match(
      server.readyLine,
      /^causeway ready \{"blob":"http:\/\/127\.0\.0\.1:\d+","admin":"http:\/\/127\.0\.0\.1:\d+"[^\n]*\}$/,
    );
    assert.notEqual(server.blob.port, '0');
    assert.notEqual(server.blob.port, server.admin.port);
    assert.equal((await server.createContainer('box')).status, 201);
    assert.equal((await server.fromAdmin('/healthz')).status, 200);
  } finally {
    assert.equal(await server.stop(), 0);
  }
  assert.equal(server.program.out, `${server.readyLine}\n`);
});

test('where everything is listened on, or clients use another name, the ready line says what they can use', async () => {
  const words = ['--host', '0.0.0.0'];
  const everywhere = await Server.start({ data: join(work, 'everywhere'), dev: false, words });
  await eventually(() => /there is no account yet/.test(everywhere.program.err), 'it says what to do next');
  assert.equal(await everywhere.stop(), 0);
  assert.match(
    everywhere.readyLine,
    /^causeway ready \{"blob":"http:\/\/127\.0\.0\.1:\d+","admin":"http:\/\/127\.0\.0\.1:\d+"\}$/,
  );
  const data = join(work, 'named');
  const named = await Server.start({ data, dev: false, settings: ['publicHost=https://blobs.example'] });
  try {
    assert.match(
      named.readyLine,
      /^causeway ready \{"blob":"https:\/\/blobs\.example","admin":"http:\/\/127\.0\.0\.1:\d+"\}$/,
    );
    const { out } = await causeway('account', 'create', 'photos', '--data', data);
    assert.match(out, /^DefaultEndpointsProtocol=https;.*;BlobEndpoint=https:\/\/blobs\.example\/photos;\n$/);
  } finally {
    assert.equal(await named.stop(), 0);
  }
});

test('a second server on the same data is refused, and the first goes on', async () => {
  const data = join(work, 'second');
  const server = await Server.start({ data, workers: 1 });
  try {
    await refused(/data: .*another server/, '--dev', '--data', data, ...free);
    assert.equal((await server.createContainer('box')).status, 201);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('a port in use is named by its setting', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const port = `${(taken.address() as { port: number }).port}`;
  try {
    const data = ['--dev', '--data', join(work, 'port'), '--workers', '2'];
    await refused(new RegExp(`blobPort: port ${port} is in use`), ...data, '--blob-port', port, '--admin-port', '0');
    await refused(new RegExp(`adminPort: port ${port} is in use`), ...data, '--blob-port', '0', '--admin-port', port);
  } finally {
    taken.close();
  }
});

test('data that cannot be a directory of ours is refused', async () => {
  const file = join(work, 'file');
  writeFileSync(file, 'not a directory');
  await refused(/data: .*not a directory/, '--dev', '--data', file, ...free);
  await refused(/data: .*not a directory/, '--dev', '--data', join(file, 'below'), ...free);
});

test('a directory without the right to write is refused', async (t) => {
  if (process.getuid?.() === 0) return t.skip('root may write everywhere');
  const closed = join(work, 'closed');
  mkdirSync(closed, { mode: 0o500 });
  await refused(/data: .*right/, '--dev', '--data', join(closed, 'data'), ...free);
});

test('metadata that is damaged is refused', async () => {
  const data = join(work, 'damaged');
  mkdirSync(join(data, 'metadata'), { recursive: true });
  writeFileSync(join(data, 'metadata', 'meta.db'), Buffer.alloc(8192, 7));
  await refused(/data: /, '--dev', '--data', data, ...free);
});

test('settings are checked before anything starts', async () => {
  const config = (name: string, text: string): string => {
    writeFileSync(join(work, name), text);
    return join(work, name);
  };
  const data = ['--data', join(work, 'never')];
  await refused(/^causeway: blobPorts: unknown setting/, ...data, '--config', config('a.yaml', 'blobPorts: 1\n'));
  await refused(/^causeway: workers: must be/, ...data, '--config', config('b.yaml', 'workers: many\n'));
  await refused(/^causeway: config: .*YAML/, ...data, '--config', config('c.yaml', 'workers: [1\n'));
  await refused(/^causeway: config: .*cannot be read/, ...data, '--config', join(work, 'missing.yaml'));
  await refused(/^causeway: blobPort: must be/, ...data, '--blob-port', '65536');
  await refused(/^causeway: stallTimeoutMs: must be/, ...data, '--set', 'stallTimeoutMs=soon');
  await refused(/^causeway: host: must be a loopback/, ...data, ...free, '--dev', '--host', '0.0.0.0');
  await refused(/^causeway: unknown option --nonsense/, ...data, '--nonsense');
});

test('an address that is not of this machine is named by its setting', async () => {
  await refused(/host: /, '--data', join(work, 'host'), '--host', '192.0.2.1', ...free);
});

test('settings come from the config file, and the command line goes before it', async () => {
  const file = join(work, 'good.yaml');
  const data = join(work, 'from file');
  writeFileSync(file, `data: ${JSON.stringify(data)}\nworkers: 3\nrequestLog: false\nlogLevel: info\n`);
  const server = await Server.start({ data, workers: 1, words: ['--config', file] });
  try {
    assert.equal(server.workers().length, 1);
    assert.equal((await server.createContainer('box')).status, 201);
    await eventually(() => server.logLines().some((line) => line.includes('"ready"')), 'a line about being ready');
  } finally {
    assert.equal(await server.stop(), 0);
  }
  assert.ok(!server.program.err.includes('"CreateContainer"'), 'requests are not logged');
});
