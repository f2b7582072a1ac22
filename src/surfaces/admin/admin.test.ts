// The admin listener over HTTP: who gets in, what a request may look like, and what an answer says.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createAdminToken, verifyAdminToken } from '../../namespace/admin-tokens.ts';
import type { Store } from '../../namespace/store.ts';
import { createHttpListener, type HttpListener } from '../http/listener.ts';
import { type AdminRequest, adminHandler } from './admin.ts';
import { managementCommands, runRow } from './commands.ts';
import { createManagementStore, type ManualClock } from './store.testing.ts';

const limits = { connectionsMax: 50, headersTimeoutMs: 5000, stallTimeoutMs: 5000, keepAliveTimeoutMs: 5000 };

let store: Store;
let clock: ManualClock;
let listener: HttpListener;
let port: number;
let token: string;
let handle: ReturnType<typeof adminHandler>;
let noted: AdminRequest[];
let causes: string[];
let failures: unknown[];
let problems: string[];

before(async () => {
  listener = createHttpListener(limits, (incoming, response) => handle(incoming, response));
  await new Promise<void>((resolve) => listener.server.listen(0, '127.0.0.1', resolve));
  port = (listener.server.address() as AddressInfo).port;
});
after(() => listener.drain(1000));

beforeEach(async () => {
  ({ store, clock } = createManagementStore());
  noted = [];
  causes = [];
  failures = [];
  problems = [];
  handle = adminHandler({
    hosts: ['h'],
    problems: async () => problems,
    metrics: async () => 'some_metric 1\n',
    clock,
    verifyToken: (text) => verifyAdminToken(store, text),
    run: (row, input, cause) => {
      causes.push(cause.by);
      return runRow({ store, cause, blob: 'http://h:1', actionOf: async () => undefined }, row, input);
    },
    note: (line) => noted.push(line),
    failed: (error) => failures.push(error),
  });
  token = await newToken('test');
});

async function newToken(name: string, expiresMs?: number): Promise<string> {
  const outcome = await createAdminToken(store, name, expiresMs);
  assert.equal(outcome.kind, 'ok');
  return outcome.kind === 'ok' ? outcome.token : '';
}

interface Sent {
  readonly body?: string | object;
  readonly headers?: Record<string, string>;
  readonly authorization?: string | undefined;
}

interface Got {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  /** Of an error. */
  readonly code: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what is tested
  readonly value: any;
}

async function send(method: string, path: string, sent: Sent = {}): Promise<Got> {
  const { body, headers = {} } = sent;
  const authorization = 'authorization' in sent ? sent.authorization : `Bearer ${token}`;
  const text = typeof body === 'object' ? JSON.stringify(body) : body;
  const outgoing = request({
    port,
    method,
    path,
    agent: false,
    headers: {
      ...(authorization !== undefined && { authorization }),
      ...(text !== undefined && { 'content-type': 'application/json' }),
      ...(text !== undefined &&
        !('transfer-encoding' in headers) && { 'content-length': `${Buffer.byteLength(text)}` }),
      ...headers,
    },
  });
  outgoing.end(text);
  const [response] = await once(outgoing, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const answer = Buffer.concat(chunks).toString();
  const isJson = response.headers['content-type'] === 'application/json';
  const value = isJson && answer !== '' ? JSON.parse(answer) : undefined;
  return { status: response.statusCode, headers: response.headers, text: answer, value, code: value?.error?.code };
}

describe('without a credential', () => {
  test('there is health, and for this machine metrics', async () => {
    const bare = { authorization: undefined };
    assert.deepEqual((await send('GET', '/healthz', bare)).text, 'ok\n');
    assert.equal((await send('GET', '/readyz?x=1', bare)).status, 200);
    problems = ['workers: 0 of 2 answer'];
    assert.equal((await send('HEAD', '/readyz', bare)).status, 503);
    assert.match((await send('GET', '/metrics', bare)).text, /some_metric/);
    assert.equal((await send('POST', '/healthz', bare)).status, 405);
    assert.equal(noted.length, 0);
  });

  test('there is nothing under a name of others that points here', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics', '/v1/accounts', '/v1/openapi.json']) {
      const { status, text } = await send('GET', path, { headers: { host: `evil.example.org:${port}` } });
      assert.equal(status, 421, path);
      assert.match(text, /adminHosts/);
      assert.doesNotMatch(text, /metric 1|evil/);
    }
    assert.deepEqual(
      noted.map(({ errorCode }) => errorCode),
      Array(5).fill('HostUnknown'),
    );
    assert.equal((await send('GET', '/metrics', { headers: { host: `h:${port}` } })).status, 200);
  });

  test('there is nothing else, also not whether it exists', async () => {
    const paths = [
      '/',
      '/v1',
      '/v1/accounts',
      '/v1/openapi.json',
      '/v1/nothing',
      '/healthz/',
      '/metrics/',
      '//metrics',
      '/%6detrics',
    ];
    for (const path of paths) {
      const { status, code, headers } = await send('GET', path, { authorization: undefined });
      assert.deepEqual([status, code], [401, 'CredentialMissing'], path);
      assert.equal(headers['www-authenticate'], 'Bearer realm="causeway admin"');
    }
    for (const row of managementCommands) {
      const path = row.path.replace(/\{\w+\}/g, 'abc');
      assert.equal((await send(row.method, path, { authorization: undefined })).status, 401, row.name);
    }
  });
});

describe('a credential', () => {
  test('is a token that was made, and has not ended', async () => {
    assert.equal((await send('GET', '/v1/accounts')).status, 200);
    const short = await newToken('short', clock.now() + 1000);
    assert.equal((await send('GET', '/v1/accounts', { authorization: `bearer ${short}` })).status, 200);
    clock.nowMs += 1000;
    assert.equal((await send('GET', '/v1/accounts', { authorization: `Bearer ${short}` })).code, 'CredentialInvalid');
    const other = await newToken('other');
    assert.equal((await send('DELETE', '/v1/admin-tokens/other')).status, 200);
    assert.equal((await send('GET', '/v1/accounts', { authorization: `Bearer ${other}` })).status, 401);
  });

  test('is not nearly one, and no other kind of one', async () => {
    const last = token.at(-1) === 'A' ? 'B' : 'A';
    const wrong = [
      `Bearer ${token.slice(0, -1)}${last}`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token}x`,
      `Bearer ${token.replace('.test.', '.nobody.')}`,
      `Basic ${Buffer.from(`test:${token}`).toString('base64')}`,
      `Bearer ${token} ${token}`,
      `Bearer`,
      token,
      '',
    ];
    for (const authorization of wrong) {
      const { status } = await send('GET', '/v1/accounts', { authorization });
      assert.equal(status, 401, authorization.slice(0, 12));
      clock.nowMs += 60_000;
    }
    assert.equal(
      (await send('GET', `/v1/accounts?authorization=Bearer%20${token}`, { authorization: undefined })).status,
      401,
    );
  });

  test('in two headers is none', async () => {
    const socket = connect(port, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    socket.end(
      `GET /v1/accounts HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nAuthorization: Bearer x\r\n\r\n`,
    );
    await once(socket, 'close');
    assert.match(said, /^HTTP\/1\.1 40[01] /);
    assert.doesNotMatch(said, /accounts"/);
  });

  test('that is wrong too often is answered 429 for a while, and keeps out nobody with a right one', async () => {
    const wrong = () => send('GET', '/v1/accounts', { authorization: 'Bearer wrong' });
    for (let index = 0; index < 10; index++) assert.equal((await wrong()).status, 401);
    const { status, code, headers } = await wrong();
    assert.deepEqual([status, code, headers['retry-after']], [429, 'TooManyFailures', '10']);
    assert.equal((await send('GET', '/v1/accounts')).status, 200);
    assert.equal((await send('GET', '/healthz')).status, 200);
    clock.nowMs += 10_000;
    assert.equal((await wrong()).status, 401);
  });

  test('is taken from this machine, or over TLS, and from nowhere else', async () => {
    const inner = handle;
    const seen: Record<string, [from: string, isEncrypted: boolean]> = {
      '::ffff:127.0.0.1': ['::ffff:127.0.0.1', false],
      '::1': ['::1', false],
      '192.0.2.1': ['192.0.2.1', false],
      '192.0.2.1 by TLS': ['192.0.2.1', true],
    };
    const statuses: Record<string, [number, number]> = {};
    for (const [what, [remoteAddress, encrypted]] of Object.entries(seen)) {
      handle = (incoming, response) => {
        Object.defineProperty(incoming.socket, 'remoteAddress', { value: remoteAddress });
        Object.defineProperty(incoming.socket, 'encrypted', { value: encrypted });
        inner(incoming, response);
      };
      // What a header says about where a request is from is nobody's word.
      const headers = {
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-proto': 'https',
        forwarded: 'for=127.0.0.1;proto=https',
      };
      const bare = await send('GET', '/metrics', { headers, authorization: undefined });
      statuses[what] = [(await send('GET', '/v1/accounts', { headers })).status, bare.status];
    }
    assert.deepEqual(statuses, {
      '::ffff:127.0.0.1': [200, 200],
      '::1': [200, 200],
      '192.0.2.1': [403, 401],
      '192.0.2.1 by TLS': [200, 401],
    });
  });
});

describe('a request', () => {
  test('makes, changes, shows, lists and takes away', async () => {
    const made = await send('PUT', '/v1/accounts/photos');
    assert.equal(made.status, 201);
    assert.equal(made.headers['cache-control'], 'no-store');
    assert.equal(made.value.keys.length, 2);
    const set = await send('PATCH', '/v1/accounts/photos', {
      body: { versioning: true, networkRanges: ['10.0.0.0/8'] },
    });
    assert.deepEqual([set.status, set.value.settings.versioning], [200, true]);
    const { value } = await send('GET', '/v1/accounts/photos');
    assert.deepEqual(value, set.value);
    const list = await send('GET', '/v1/accounts?limit=1');
    assert.deepEqual(
      list.value.accounts.map(({ name }: { name: string }) => name),
      ['photos'],
    );
    const rotated = await send('POST', '/v1/accounts/photos/keys/2');
    assert.notEqual(rotated.value.key, made.value.keys[1]);
    assert.equal((await send('HEAD', '/v1/accounts/photos')).status, 200);
    assert.equal((await send('DELETE', '/v1/accounts/photos')).status, 200);
    assert.deepEqual([(await send('GET', '/v1/accounts/photos')).code], ['AccountNotFound']);
    assert.deepEqual(
      noted.map(({ command, admin, account, status }) => [command, admin, account, status]).slice(0, 2),
      [
        ['account create', 'test', 'photos', 201],
        ['account set', 'test', 'photos', 200],
      ],
    );
    // What the log is given holds no key and no token.
    const line = JSON.stringify(noted);
    for (const secret of [token.split('.')[2], ...made.value.keys, rotated.value.key])
      assert.ok(!line.includes(secret));
  });

  test('names roles and tokens with every character of theirs', async () => {
    await send('PUT', '/v1/accounts/photos');
    const definition = { Name: 'Photo reader (v1.0)', DataActions: ['*'] };
    assert.equal((await send('POST', '/v1/accounts/photos/roles', { body: { definition } })).status, 201);
    const path = `/v1/accounts/photos/roles/${encodeURIComponent(definition.Name)}`;
    assert.equal((await send('DELETE', path)).status, 200);
    assert.equal((await send('DELETE', path)).code, 'RoleNotFound');
  });

  test('that is not well formed is refused, each in its way', async () => {
    const account = '/v1/accounts/photos';
    await send('PUT', account);
    const big = JSON.stringify({ networkRanges: Array.from({ length: 8000 }, () => '10.0.0.0/8') });
    const cases: [method: string, path: string, sent: Sent, status: number, code: string][] = [
      ['GET', '/v1/nothing', {}, 404, 'NotFound'],
      ['GET', '/v1/accounts/', {}, 404, 'NotFound'],
      ['GET', '/v1/accounts/%ff', {}, 400, 'InvalidInput'],
      ['GET', '/v1/accounts/..%2f..', {}, 400, 'InvalidInput'],
      ['GET', '/v1/accounts/photos/../photos', {}, 404, 'NotFound'],
      ['POST', account, {}, 405, 'MethodNotAllowed'],
      ['TRACE', account, {}, 405, 'MethodNotAllowed'],
      ['GET', '/v1/accounts?colour=blue', {}, 400, 'InvalidInput'],
      ['GET', '/v1/accounts?limit=all', {}, 400, 'InvalidInput'],
      ['GET', '/v1/accounts?limit=1&limit=2', {}, 400, 'InvalidInput'],
      ['GET', '/v1/accounts', { body: '{}' }, 400, 'InvalidInput'],
      ['PATCH', `${account}?versioning=true`, {}, 400, 'InvalidInput'],
      ['PATCH', account, { body: '{' }, 400, 'InvalidInput'],
      ['PATCH', account, { body: '[]' }, 400, 'InvalidInput'],
      ['PATCH', account, { body: 'null' }, 400, 'InvalidInput'],
      ['PATCH', account, { body: { colour: 'blue' } }, 400, 'InvalidInput'],
      ['PATCH', account, { body: '{"__proto__":{"versioning":true}}' }, 400, 'InvalidInput'],
      ['PATCH', account, { body: { account: 'other' } }, 400, 'InvalidInput'],
      ['PATCH', account, { body: { versioning: 'true' } }, 400, 'InvalidInput'],
      ['PATCH', account, { body: '['.repeat(60_000) }, 400, 'InvalidInput'],
      ['PATCH', account, { body: '{}', headers: { 'content-type': 'text/plain' } }, 415, 'UnsupportedMediaType'],
      ['PATCH', account, { body: '{}', headers: { 'content-encoding': 'gzip' } }, 415, 'UnsupportedMediaType'],
      ['PATCH', account, { body: big }, 413, 'BodyTooLarge'],
      ['PATCH', account, { body: big, headers: { 'transfer-encoding': 'chunked' } }, 413, 'BodyTooLarge'],
      ['DELETE', account, { body: '{}' }, 400, 'InvalidInput'],
      ['PATCH', account, { body: { restoreDays: 3 } }, 409, 'SettingsConflict'],
    ];
    for (const [method, path, sent, status, code] of cases) {
      const got = await send(method, path, sent);
      assert.deepEqual(
        [got.status, got.code],
        [status, code],
        `${method} ${path} ${JSON.stringify(sent).slice(0, 80)}`,
      );
      assert.deepEqual(Object.keys(got.value), ['error']);
      assert.match(got.value.error.message, /^[^\n]+$/);
    }
    assert.equal((await send('GET', account)).value.settings.versioning, false);
    assert.deepEqual(failures, []);
  });

  test('is not asked for its body before it is known who sends it', async () => {
    const socket = connect(port, '127.0.0.1');
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    socket.write(
      'PATCH /v1/accounts/photos HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
    );
    await once(socket, 'close');
    assert.match(said, /^HTTP\/1\.1 401 /);
    assert.doesNotMatch(said, /100 Continue/);
  });

  test('whose body never comes to its end holds nothing up, and changes nothing', async () => {
    await send('PUT', '/v1/accounts/photos');
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `PATCH /v1/accounts/photos HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"versioning":true}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    assert.equal((await send('GET', '/v1/accounts/photos')).value.settings.versioning, false);
    assert.deepEqual(failures, []);
  });

  test('that the server fails on is told so without why', async () => {
    store.engine.snapshot = async () => {
      throw new Error('the secret of the house');
    };
    handle = adminHandler({
      hosts: [],
      problems: async () => [],
      metrics: async () => '',
      clock,
      verifyToken: async () => 'test',
      run: (row, input, cause) =>
        runRow({ store, cause, blob: 'http://h:1', actionOf: async () => undefined }, row, input),
      note: () => undefined,
      failed: (error) => failures.push(error),
    });
    const { status, code, text } = await send('GET', '/v1/accounts');
    assert.deepEqual([status, code], [500, 'InternalError']);
    assert.doesNotMatch(text, /secret/);
    assert.equal(failures.length, 1);
  });
});

test('a change is made in the name of its token', async () => {
  const authorization = `Bearer ${await newToken('night-shift')}`;
  await send('PUT', '/v1/accounts/pictures', { authorization, body: {} });
  await send('GET', '/v1/accounts');
  assert.deepEqual(causes, ['admin night-shift', 'admin test']);
});

test('a connection goes on after an answer', async () => {
  const socket = connect(port, '127.0.0.1');
  let said = '';
  socket.on('data', (chunk) => {
    said += chunk;
  });
  const head = (connection: string) =>
    `GET /v1/accounts HTTP/1.1\r\nHost: h\r\nConnection: ${connection}\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  socket.write(head('keep-alive') + head('close'));
  await once(socket, 'close');
  assert.equal(said.match(/^HTTP\/1\.1 200 OK/gm)?.length, 2);
});

test('the API describes every command', async () => {
  const { status, value } = await send('GET', '/v1/openapi.json');
  assert.equal(status, 200);
  for (const row of managementCommands) {
    const operation = value.paths[row.path][row.method.toLowerCase()];
    assert.equal(operation.operationId, row.name.replaceAll(' ', '-'));
  }
  const { properties } = value.paths['/v1/accounts/{account}'].patch.requestBody.content['application/json'].schema;
  assert.ok(properties.versioning !== undefined && properties.account === undefined);
});
