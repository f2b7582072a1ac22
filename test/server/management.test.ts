// Management of a running server: by commands over its control socket, and by the admin API, with effect on every worker.
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Answer, answerTo, causeway, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const principal = '8a1e0000-0000-4000-8000-000000000001';

async function done(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await causeway(...words);
  assert.deepEqual([code, err], [0, ''], words.join(' '));
  return out;
}

async function refused(code: number, message: RegExp, ...words: readonly string[]): Promise<void> {
  const told = await causeway(...words);
  assert.deepEqual([told.code, told.out], [code, ''], words.join(' '));
  assert.match(told.err, message);
}

function connectionOf(out: string): { account: string; key: string } {
  const [, account = '', key = ''] = /AccountName=([^;]+);AccountKey=([^;]+);/.exec(out) ?? [];
  return { account, key };
}

interface Sent {
  readonly token?: string;
  readonly body?: object;
}

async function send(server: Server, method: string, path: string, { token, body }: Sent = {}): Promise<Answer> {
  const { hostname: host, port } = server.admin;
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body));
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(body !== undefined && { 'content-type': 'application/json' }),
    'content-length': `${bytes.length}`,
  };
  return answerTo(request({ host, port, path, method, headers, agent: false }), bytes);
}

test('settings are changed by commands while the server runs, and without it', async () => {
  const data = join(work, 'settings');
  const at = ['--data', data];
  const server = await Server.start({ data, dev: false });
  try {
    const made = connectionOf(await done('account', 'create', 'photos', ...at));
    assert.equal((await server.createContainer('box', made)).status, 201);
    assert.match(
      await done('account', 'set', 'photos', 'versioning=on', 'soft-delete-days=7', ...at),
      /^versioning=on$/m,
    );
    const conflict = /^causeway: restore-days must be fewer than soft-delete-days\n$/;
    await refused(1, conflict, 'account', 'set', 'photos', 'change-feed=on', 'restore-days=7', ...at);
    await refused(2, /must be a whole number from 1 to 365/, 'account', 'set', 'photos', 'soft-delete-days=366', ...at);
    await refused(1, /there is no account nobody/, 'account', 'set', 'nobody', 'versioning=on', ...at);
    await refused(1, /still has the container box/, 'account', 'delete', 'photos', ...at);

    await done('container', 'set', 'photos', 'box', 'retention-days=30', 'retention-lock=on', ...at);
    await refused(1, /can only be extended/, 'container', 'set', 'photos', 'box', 'retention-days=29', ...at);
    await refused(1, /no container other/, 'container', 'show', 'photos', 'other', ...at);
    await done('container', 'legal-hold', 'photos', 'box', '--add', 'case42,audit', ...at);
    assert.match(await done('container', 'show', 'photos', 'box', ...at), /^legal-holds=audit,case42$/m);

    const role = ['--role', 'Storage Blob Data Reader', '--principal', principal];
    const id = (await done('access', 'assign', 'photos', ...role, ...at)).trim();
    assert.equal(await done('access', 'list', 'photos', ...at), `${id}\t${principal}\tStorage Blob Data Reader\t*\n`);
    const read = ['--principal', principal, '--operation', 'GetBlob', '--container', 'box', '--blob', 'a'];
    assert.match(await done('access', 'check', 'photos', ...read, ...at), new RegExp(`^allowed: .*assignment ${id}`));
    const condition = ['--condition', '(no condition'];
    await refused(2, /the condition: .*character/, 'access', 'assign', 'photos', ...role, ...condition, ...at);
    await done('access', 'unassign', 'photos', id, ...at);
  } finally {
    assert.equal(await server.stop(), 0);
  }
  assert.match(await done('account', 'show', 'photos', ...at), /^versioning=on\nchange-feed=off\nsoft-delete-days=7$/m);
  assert.match(await done('container', 'show', 'photos', 'box', ...at), /^retention-lock=on$/m);
  await done('account', 'create', 'empty', ...at);
  await done('account', 'delete', 'empty', ...at);
  assert.equal(await done('account', 'list', ...at), 'photos\n');
});

test('shared-key access that is switched off is refused by every worker at once, and comes back', async () => {
  const data = join(work, 'effect');
  const server = await Server.start({ data, dev: false, workers: 3 });
  try {
    const made = connectionOf(await done('account', 'create', 'photos', '--data', data));
    assert.equal((await server.createContainer('box', made)).status, 201);
    const statuses = async (): Promise<string> => {
      const seen = new Set<number>();
      for (let index = 0; index < 12; index++)
        seen.add((await server.call({ path: '/box', query: 'restype=container', ...made })).status);
      return [...seen].join();
    };
    assert.equal(await statuses(), '200');
    await done('account', 'set', 'photos', 'shared-key-access=off', '--data', data);
    assert.equal(await statuses(), '403');
    await done('account', 'set', 'photos', 'shared-key-access=on', '--data', data);
    assert.equal(await statuses(), '200');
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('the admin API does what the commands do, for who has a token, and tells the log who that was', async () => {
  const data = join(work, 'api');
  const server = await Server.start({ data, dev: false });
  let secrets: string[] = [];
  try {
    for (const path of ['/v1/accounts', '/v1/openapi.json', '/', '/v2']) {
      const bare = await send(server, 'GET', path);
      assert.deepEqual([bare.status, bare.headers['www-authenticate']], [401, 'Bearer realm="causeway admin"']);
    }
    assert.equal((await send(server, 'PUT', '/v1/admin-tokens/mine')).status, 401);
    assert.equal((await send(server, 'PUT', '/v1/accounts/photos', { token: 'causeway-admin.deploy.x' })).status, 401);
    for (const path of ['/healthz', '/readyz', '/metrics']) assert.equal((await send(server, 'GET', path)).status, 200);

    const token = (await done('admin-token', 'create', 'deploy', '--days', '1', '--data', data)).trim();
    const made = await send(server, 'PUT', '/v1/accounts/photos', { token });
    assert.equal(made.status, 201);
    const { keys } = JSON.parse(made.body.toString()) as { keys: string[] };
    const [key = ''] = keys;
    assert.equal((await server.createContainer('box', { account: 'photos', key })).status, 201);
    const set = await send(server, 'PATCH', '/v1/accounts/photos', { token, body: { versioning: true } });
    assert.equal(set.status, 200);
    assert.match(await done('account', 'show', 'photos', '--data', data), /^versioning=on$/m);
    const bad = await send(server, 'PATCH', '/v1/accounts/photos', { token, body: { versoning: true } });
    assert.deepEqual(JSON.parse(bad.body.toString()), {
      error: { code: 'InvalidInput', message: 'versoning: there is no such field' },
    });
    const path = '/v1/accounts/photos/containers/box';
    const quota = await send(server, 'PATCH', path, { token, body: { quotaBytes: 1000 } });
    assert.equal(quota.status, 200);
    const body = { 'x-ms-blob-type': 'BlockBlob' };
    const over = { account: 'photos', key, method: 'PUT', path: '/box/big', body: Buffer.alloc(2000), headers: body };
    assert.notEqual((await server.call(over)).status, 201);
    assert.equal((await server.call({ ...over, body: Buffer.alloc(500) })).status, 201);

    await done('admin-token', 'revoke', 'deploy', '--data', data);
    assert.equal((await send(server, 'GET', '/v1/accounts', { token })).status, 401);
    secrets = [token, token.split('.')[2] as string, ...keys];
  } finally {
    assert.equal(await server.stop(), 0);
  }
  const lines = server.logLines().map((line) => JSON.parse(line) as Record<string, unknown>);
  const changes = lines.filter(({ msg, command }) => msg === 'admin request' && command !== undefined);
  assert.deepEqual(
    changes.map(({ admin, command, account, status }) => [admin, command, account, status]).slice(0, 2),
    [
      ['deploy', 'account create', 'photos', 201],
      ['deploy', 'account set', 'photos', 200],
    ],
  );
  assert.ok(lines.some(({ msg, command }) => msg === 'management command' && command === 'admin-token create'));
  for (const secret of secrets) assert.ok(!server.program.err.includes(secret), 'a secret is in the log');
});

test('the control socket answers what it does not know, and goes on', async () => {
  const data = join(work, 'socket');
  const server = await Server.start({ data, dev: false });
  const ask = (line: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(join(data, 'control.sock'));
      let said = '';
      socket.on('data', (chunk) => {
        said += chunk;
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(said));
      socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
      socket.write(line);
    });
  try {
    for (const line of ['{}\n', 'null\n', 'no json\n', '{"command":"account list"}\n', '{"command":7,"input":{}}\n'])
      assert.match(await ask(line), /"code":"InvalidInput"/, line);
    assert.match(await ask('{"command":"account explode","input":{}}\n'), /"code":"CommandNotFound"/);
    assert.equal(await ask(`${'x'.repeat(100_000)}\n`), '');
    assert.match(await ask('{"command":"account list","input":{}}\n'), /"accounts":\[\]/);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('the control socket comes back where it was removed, and goes with its server', async () => {
  const data = join(work, 'lost-socket');
  const server = await Server.start({ data, dev: false });
  const socket = join(data, 'control.sock');
  try {
    rmSync(socket);
    for (let i = 0; i < 100 && !existsSync(socket); i++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.match(await done('account', 'create', 'photos', '--data', data), /photos/);
    assert.match(server.program.err, /the socket for commands was removed/);
  } finally {
    assert.equal(await server.stop(), 0);
  }
  assert.ok(!existsSync(socket));
});
