// Processes that are there and do nothing: stopped workers are replaced, and a stopped primary is told to who waits for it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerTo, eventually, Server, signed, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const blob = { 'x-ms-blob-type': 'BlockBlob' };

/** Signed requests that all go over connections that are open already. */
function over(agent: Agent, server: Server) {
  return (method: string, path: string, query?: string, body?: Buffer) => {
    const call = { method, path, ...(query !== undefined && { query }), ...(body && { headers: blob }) };
    const sent = request({ ...signed(server.blob, call, body?.length ?? 0), agent });
    return answerTo(sent, body ?? Buffer.alloc(0));
  };
}

async function readiness(server: Server): Promise<string> {
  const { status, body } = await server.fromAdmin('/readyz');
  return `${status} ${body.toString().trim()}`;
}

async function whileStopped<T>(pids: readonly number[], doing: () => Promise<T>): Promise<T> {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    return await doing();
  } finally {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGCONT');
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
      }
    }
  }
}

describe('a worker that is stopped', () => {
  test('counts no more, is replaced, and the connection that it was handed is served by another', async () => {
    const server = await Server.start({ data: join(work, 'stopped'), settings: ['workerHangMs=2000'] });
    try {
      await server.createContainer('box');
      const before = server.workers();
      const [victim] = before as [number];
      await whileStopped([victim], async () => {
        // Among so many there is one that goes to the stopped worker: only after it is ended is it answered.
        const answers = Promise.all(
          Array.from({ length: 6 }, () => server.call({ path: '/box', query: 'restype=container' })),
        );
        await eventually(
          async () => (await readiness(server)).includes('workers: 1 of 2 answer'),
          'it counts no more',
          30_000,
        );
        assert.deepEqual(
          (await answers).map(({ status }) => status),
          Array(6).fill(200),
        );
        await eventually(() => !server.workers().includes(victim), 'it is ended', 30_000);
      });
      await eventually(async () => (await readiness(server)) === '200 ready', 'another takes its place', 30_000);
      const now = server.workers();
      assert.equal(now.length, 2);
      assert.ok(now.includes(before[1] as number), 'the other one stays');
      assert.ok(server.logLines().some((line) => line.includes('a worker hangs')));
    } finally {
      assert.equal(await server.stop(), 0);
    }
  });

  test('and is the only one ends the connection that it was handed, and another takes its place', async () => {
    const settings = ['workerHangMs=2000'];
    const server = await Server.start({ data: join(work, 'alone'), workers: 1, settings });
    try {
      await server.createContainer('box');
      await whileStopped(server.workers(), async () => {
        await assert.rejects(
          server.call({ path: '/box', query: 'restype=container' }),
          (error: NodeJS.ErrnoException) => error.code === 'ECONNRESET',
        );
      });
      const isServed = async (): Promise<boolean> => {
        const answer = await server.call({ path: '/box', query: 'restype=container' }).catch(() => undefined);
        return answer?.status === 200;
      };
      await eventually(isServed, 'another takes its place', 30_000);
    } finally {
      assert.equal(await server.stop(), 0);
    }
  });

  test('does not keep the server from ending', async () => {
    const server = await Server.start({
      data: join(work, 'ending'),
      settings: ['workerHangMs=1500', 'drainTimeoutMs=500'],
    });
    await whileStopped(server.workers(), async () => {
      assert.equal(await server.stop(), 0);
    });
  });
});

describe('a primary that is stopped', () => {
  test('is told to changes that wait for it, and to nobody else; its workers live on', async () => {
    const settings = ['workerHangMs=1000', 'commitTimeoutMs=3000'];
    const server = await Server.start({ data: join(work, 'primary'), workers: 1, settings });
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const send = over(agent, server);
    try {
      await server.createContainer('box');
      assert.equal((await server.put('/box/before', Buffer.from('before'))).status, 201);
      const open = await Promise.all(Array.from({ length: 8 }, () => send('GET', '/box/before')));
      assert.ok(open.every(({ status }) => status === 200));
      const before = server.workers();
      await whileStopped([server.program.child.pid as number], async () => {
        const started = performance.now();
        const [asked, unasked, read] = await Promise.all([
          send('PUT', '/box/asked', 'timeout=1', Buffer.from('asked')),
          send('PUT', '/box/unasked', undefined, Buffer.from('unasked')),
          send('GET', '/box/before'),
        ]);
        assert.equal(read.body.toString(), 'before');
        for (const { status, headers, body } of [asked, unasked]) {
          assert.deepEqual([status, headers['x-ms-error-code']], [500, 'OperationTimedOut']);
          assert.match(body.toString(), /<Code>OperationTimedOut<\/Code><Message>The operation could not be completed/);
        }
        assert.ok(performance.now() - started < 30_000);
        // Over new connections as well, which the worker takes itself after a while.
        const late = server.call({ method: 'PUT', path: '/box/late', query: 'timeout=1', headers: blob });
        const [fresh, refusedLate] = await Promise.all([server.call({ path: '/box/before' }), late]);
        assert.equal(fresh.body.toString(), 'before');
        assert.deepEqual([refusedLate.status, refusedLate.headers['x-ms-error-code']], [500, 'OperationTimedOut']);
        // Longer than it takes to be taken for one that hangs.
        await sleep(3000);
        assert.equal((await send('GET', '/box/before')).status, 200);
      });
      const isBack = async (): Promise<boolean> =>
        (await send('PUT', '/box/after', undefined, Buffer.from('x'))).status === 201;
      await eventually(isBack, 'changes are taken again', 30_000);
      await sleep(1500);
      assert.deepEqual(server.workers(), before);
      assert.equal(await readiness(server), '200 ready');
      // What was told to be open: either way it is one whole blob, or none.
      for (const name of ['asked', 'unasked']) {
        const { status, body } = await send('GET', `/box/${name}`);
        assert.ok(status === 404 || (status === 200 && body.toString() === name), `${name}: ${status}`);
      }
      assert.ok(server.logLines().some((line) => line.includes('the committer does not answer')));
      // A second time as well: the worker has got the socket anew.
      await whileStopped([server.program.child.pid as number], async () => {
        assert.equal((await server.call({ path: '/box/before' })).body.toString(), 'before');
      });
      assert.equal((await server.put('/box/end', Buffer.from('end'))).status, 201);
    } finally {
      agent.destroy();
      assert.equal(await server.stop(), 0);
    }
  });

  test('leaves connections to its worker that count as others do, and are served to their end', async () => {
    const connectionsMax = 5;
    const settings = ['workerHangMs=1000', `connectionsMax=${connectionsMax}`];
    const server = await Server.start({ data: join(work, 'standby'), workers: 1, settings });
    const bytes = Buffer.alloc(1 << 20, 3);
    let stopped: Promise<number | null> | undefined;
    try {
      await server.createContainer('box');
      const before = await Promise.all(Array.from({ length: connectionsMax }, () => server.connection()));
      // The worker has them all.
      for (const connection of before) {
        connection.socket.write(`GET / HTTP/1.1\r\nhost: ${server.blob.host}\r\n\r\n`);
        await connection.until(/^HTTP/);
      }
      const upload = await whileStopped([server.program.child.pid as number], async () => {
        const isTaking = (): boolean => server.logLines().some((line) => line.includes('takes new connections itself'));
        await eventually(isTaking, 'the worker takes connections', 30_000);
        const more = await Promise.all(Array.from({ length: connectionsMax }, () => server.connection()));
        await eventually(() => more.every(({ isClosed }) => isClosed), 'those that are too many are closed', 30_000);
        assert.ok(before.every(({ isClosed }) => !isClosed));
        for (const { socket } of before) socket.destroy();
        const isServed = async (): Promise<boolean> => {
          const answer = await server.call({ path: '/box', query: 'restype=container' }).catch(() => undefined);
          return answer?.status === 200;
        };
        await eventually(isServed, 'their places are free again', 30_000);
        // Its answer is not waited for here.
        const sent = server.begin({ method: 'PUT', path: '/box/slow', headers: blob }, bytes.length);
        sent.write(bytes.subarray(0, 1000));
        await once(sent, 'socket');
        await sleep(500);
        return sent;
      });
      const answer = answerTo(upload);
      stopped = server.stop();
      await sleep(1500);
      upload.end(bytes.subarray(1000));
      assert.equal((await answer).status, 201);
    } finally {
      assert.equal(await (stopped ?? server.stop()), 0);
    }
  });
});
