// How a server ends and goes on: SIGTERM with requests under way, and a worker that is killed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checksumOf, contentOf } from '../support/content.ts';
import { answerTo, eventually, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const blob = { 'x-ms-blob-type': 'BlockBlob' } as const;

test('SIGTERM lets an upload end with its answer, takes no more connections, and exits with 0', async () => {
  const data = join(work, 'drain');
  const server = await Server.start({ data });
  const content = contentOf(1, 3_000_000);
  await server.createContainer('box');
  const sent = server.begin({ method: 'PUT', path: '/box/slow', headers: blob }, content.length);
  const answer = answerTo(sent);
  sent.write(content.subarray(0, 1_000_000));
  await sleep(300);
  const stopping = server.stop();
  await sleep(500);
  await assert.rejects(server.createContainer('late'), 'no new connection is taken');
  assert.ok(!server.program.isOver, 'it waits for the upload');
  sent.write(content.subarray(1_000_000, 2_000_000));
  await sleep(200);
  sent.end(content.subarray(2_000_000));
  const { status, headers } = await answer;
  assert.equal(status, 201);
  assert.equal(headers.connection, 'close');
  assert.equal(await stopping, 0);
  const again = await Server.start({ data });
  try {
    const found = await again.call({ path: '/box/slow' });
    assert.equal(found.status, 200);
    assert.equal(checksumOf(found.body), checksumOf(content));
  } finally {
    assert.equal(await again.stop(), 0);
  }
});

test('what takes longer than drainTimeoutMs is cut, leaves no entry, and the exit code is still 0', async () => {
  const data = join(work, 'cut');
  const server = await Server.start({ data, settings: ['drainTimeoutMs=700'] });
  await server.createContainer('box');
  const sent = server.begin({ method: 'PUT', path: '/box/endless', headers: blob }, 1_000_000);
  const answer = answerTo(sent);
  answer.catch(() => undefined);
  sent.write(Buffer.alloc(1000));
  await sleep(300);
  const started = performance.now();
  assert.equal(await server.stop(), 0);
  const tookMs = performance.now() - started;
  assert.ok(tookMs > 600 && tookMs < 10_000, `${tookMs} ms`);
  await assert.rejects(answer);
  const again = await Server.start({ data });
  try {
    assert.equal((await again.call({ path: '/box/endless' })).status, 404);
  } finally {
    assert.equal(await again.stop(), 0);
  }
});

test('a primary that is killed leaves its port to the next server at once', async () => {
  const data = join(work, 'port');
  let server = await Server.start({ data });
  for (let round = 0; round < 3; round++) {
    const { port } = server.blob;
    server.program.child.kill('SIGKILL');
    await server.program.ended();
    server = await Server.start({ data, words: ['--blob-port', port] });
    assert.equal(server.blob.port, port);
    await server.createContainer(`box${round}`);
  }
  assert.equal(await server.stop(), 0);
});

test('workers that are killed under load are replaced, and nothing that was acknowledged is lost', async () => {
  const data = join(work, 'killed');
  const server = await Server.start({ data, workers: 2 });
  try {
    await server.createContainer('box');
    const acknowledged = new Map<string, string>();
    let refused = 0;
    let going = true;
    const load = async (client: number): Promise<void> => {
      for (let index = 0; going; index++) {
        const name = `${client}-${index}`;
        const content = contentOf(client * 10_000 + index, 200 + ((index * 7919) % 150_000));
        try {
          const sent = server.begin({ method: 'PUT', path: `/box/${name}`, headers: blob }, content.length);
          // node:cluster leaves a connection open that it was just handing to a worker which died.
          const { status } = await answerTo(sent, content, 5000);
          if (status === 201) acknowledged.set(name, checksumOf(content));
          else refused++;
        } catch {
          refused++;
          // While no worker is there: how long that is, is the machine's affair.
          await sleep(200);
        }
      }
    };
    const clients = Array.from({ length: 6 }, (_, client) => load(client));
    const before = server.workers();
    assert.equal(before.length, 2);
    for (let round = 0; round < 4; round++) {
      await sleep(600);
      const victim = server.workers()[round % 2];
      if (victim !== undefined) process.kill(victim, 'SIGKILL');
    }
    await sleep(300);
    going = false;
    await Promise.all(clients);
    const isReady = async (): Promise<boolean> => (await server.fromAdmin('/readyz')).status === 200;
    await eventually(isReady, 'all workers are there again', 20_000);
    const now = server.workers();
    assert.equal(now.length, 2);
    assert.ok(now.every((pid) => !before.includes(pid)));
    assert.ok(acknowledged.size > 20, `${acknowledged.size} acknowledged`);
    for (const [name, checksum] of acknowledged) {
      const { status, body } = await server.call({ path: `/box/${name}` });
      assert.equal(status, 200, name);
      assert.equal(checksumOf(body), checksum, name);
    }
    assert.ok(server.program.err.includes('another takes its place'));
    assert.ok(refused < acknowledged.size, `${refused} refused`);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('a worker that is killed while it starts is replaced too', async () => {
  const server = await Server.start({ data: join(work, 'early'), workers: 1 });
  try {
    const seen = new Set<number>();
    for (let round = 0; round < 3; round++) {
      const isNew = (): boolean => server.workers().some((pid) => !seen.has(pid));
      await eventually(isNew, 'a new worker', 20_000);
      for (const pid of server.workers()) {
        seen.add(pid);
        process.kill(pid, 'SIGKILL');
      }
    }
    const isReady = async (): Promise<boolean> => (await server.fromAdmin('/readyz')).status === 200;
    await eventually(isReady, 'a worker serves', 20_000);
    assert.equal((await server.createContainer('box')).status, 201);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});
