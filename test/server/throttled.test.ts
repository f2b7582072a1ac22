// Limits of requests and bytes a second: how they are refused, and whom they hold for. That the SDKs get through, gates show.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, headOf, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const perS = 20;
const burstS = 3;
const blob = { 'x-ms-blob-type': 'BlockBlob' } as const;

function refusedOf(answers: readonly Answer[]): Answer[] {
  return answers.filter(({ status }) => status === 503);
}

describe('an account with a limit of requests', () => {
  let server: Server;
  before(async () => {
    server = await Server.start({
      data: join(work, 'requests'),
      workers: 1,
      settings: [`accountRequestsPerS=${perS}`],
    });
    assert.equal((await server.createContainer('box')).status, 201);
  });
  after(async () => {
    assert.equal(await server.stop(), 0);
  });

  test('gets its burst, and then ServerBusy with Retry-After in Azure’s form', async () => {
    await sleep(burstS * 1000 + 200);
    const answers: Answer[] = [];
    for (let i = 0; i < 150; i++) answers.push(await server.call({ path: '/box', query: 'restype=container' }));
    const served = answers.filter(({ status }) => status === 200).length;
    assert.ok(served >= perS * burstS && served < 130, `${served} of 150 at once`);
    const refused = refusedOf(answers);
    assert.equal(served + refused.length, 150);
    for (const { headers, body } of refused) {
      assert.equal(headers['x-ms-error-code'], 'ServerBusy');
      const seconds = Number(headers['retry-after']);
      assert.ok(seconds >= 1 && seconds <= 4, `${headers['retry-after']}`);
      assert.ok(headers['x-ms-request-id']);
      assert.match(
        body.toString(),
        /<Code>ServerBusy<\/Code><Message>Operations per second is over the account limit\./,
      );
    }
    // Not all of them at the same second.
    assert.ok(new Set(refused.map(({ headers }) => headers['retry-after'])).size > 1);
  });

  test('is not used up by those who only name it', async () => {
    await sleep(burstS * 1000 + 200);
    for (let i = 0; i < perS * burstS * 2; i++) {
      const key = Buffer.alloc(64, 1).toString('base64');
      assert.equal((await server.call({ path: '/box', query: 'restype=container', key })).status, 403);
    }
    assert.equal((await server.call({ path: '/box', query: 'restype=container' })).status, 200);
  });
});

test('what is over the limit is refused before its body is sent, and asked for none', async () => {
  const settings = ['accountRequestsPerS=1'];
  const server = await Server.start({ data: join(work, 'unsent'), workers: 1, settings });
  try {
    for (let i = 0; i < 2 * burstS; i++) await server.createContainer('box');
    for (const [more, body] of [
      [{ expect: '100-continue' }, ''],
      [{}, ''],
      [{}, 'the beginning of it'],
    ] as const) {
      const connection = await server.connection();
      const headers = { ...blob, ...more };
      connection.socket.write(headOf(server, { method: 'PUT', path: '/box/unsent', headers }, 1_000_000) + body);
      await connection.until(/^HTTP\/1\.1 503 [\s\S]*<\/Error>/);
      assert.doesNotMatch(connection.received, /100 Continue/);
      connection.socket.destroy();
    }
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

describe('an account with a limit of bytes', () => {
  test('may send one large upload, and pays for it before the next', async () => {
    const server = await Server.start({
      data: join(work, 'bytes'),
      workers: 1,
      settings: ['accountBytesPerS=1000000'],
    });
    try {
      assert.equal((await server.createContainer('box')).status, 201);
      assert.equal((await server.put('/box/large', Buffer.alloc(5_000_000))).status, 201);
      const refused = await server.put('/box/next', Buffer.alloc(10));
      assert.equal(refused.status, 503);
      assert.match(refused.body.toString(), /Ingress is over the account limit/);
      const read = await server.call({ path: '/box/large' });
      assert.equal(read.status, 503);
      assert.match(read.body.toString(), /Egress is over the account limit/);
      await sleep(3500);
      assert.equal((await server.put('/box/next', Buffer.alloc(10))).status, 201);
    } finally {
      assert.equal(await server.stop(), 0);
    }
  });
});

test('one identity that floods leaves the rest of its account what it has', async () => {
  const settings = ['accountRequestsPerS=1000', `principalRequestsPerS=${perS}`];
  const server = await Server.start({ data: join(work, 'principal'), workers: 1, settings });
  try {
    assert.equal(
      (await server.createContainer('open', { headers: { 'x-ms-blob-public-access': 'blob' } })).status,
      201,
    );
    assert.equal((await server.put('/open/blob', Buffer.from('x'))).status, 201);
    const url = `${server.blob.origin}/devstoreaccount1/open/blob`;
    const statuses: number[] = [];
    for (let i = 0; i < 100; i++) {
      const response = await fetch(url);
      await response.arrayBuffer();
      statuses.push(response.status);
    }
    assert.ok(statuses.includes(503) && statuses.includes(200), `${statuses}`);
    assert.equal((await server.call({ path: '/open', query: 'restype=container' })).status, 200);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});
