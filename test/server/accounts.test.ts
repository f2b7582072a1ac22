// Accounts by the command line, beside a running server and without one; and that nothing is let in by default.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { developmentAccount, developmentKey } from '../support/sas.ts';
import { causeway, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();

interface Made {
  readonly account: string;
  readonly key: string;
  readonly endpoint: string;
}

/** Reads the one line that a command prints. */
function connectionOf(out: string): Made {
  const found =
    /^DefaultEndpointsProtocol=http;AccountName=([a-z0-9]+);AccountKey=([A-Za-z0-9+/]{86}==);BlobEndpoint=(http:[^;\n]+);\n$/.exec(
      out,
    );
  assert.ok(found !== null, out);
  const [, account, key, endpoint] = found as unknown as [string, string, string, string];
  return { account, key, endpoint };
}

async function make(data: string, name: string): Promise<Made> {
  const { code, out, err } = await causeway('account', 'create', name, '--data', data);
  assert.equal(code, 0, err);
  return connectionOf(out);
}

test('without --dev nobody is let in until an account is created', async () => {
  const data = join(work, 'empty');
  const server = await Server.start({ data, dev: false });
  try {
    const known = { account: developmentAccount, key: developmentKey };
    assert.equal((await server.createContainer('box', known)).status, 403);
    assert.equal((await server.call({ path: '/', query: 'comp=list', ...known })).status, 403);
    const { out } = await causeway('account', 'list', '--data', data);
    assert.equal(out, '');
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('an account made while the server runs works at once, at the address that is printed', async () => {
  const data = join(work, 'running');
  const server = await Server.start({ data, dev: false });
  try {
    const made = await make(data, 'photos');
    assert.equal(made.endpoint, `${server.blob.origin}/photos`);
    assert.equal((await server.createContainer('box', made)).status, 201);
    const again = await causeway('account', 'create', 'photos', '--data', data);
    assert.equal(again.code, 1);
    assert.match(again.err, /^causeway: account photos exists already\nhint: [^\n]*connection-string photos[^\n]*\n$/);
    assert.equal(again.out, '', 'no key is shown where none was asked for');
    const other = await make(data, 'other');
    assert.notEqual(other.key, made.key);
    assert.equal((await server.createContainer('mine', { account: 'photos', key: other.key })).status, 403);
    const list = await causeway('account', 'list', '--data', data);
    assert.equal(list.out, 'other\nphotos\n');
  } finally {
    assert.equal(await server.stop(), 0);
  }
  assert.ok(!server.program.err.includes('AccountKey'));
});

test('an account made without a server works when one starts', async () => {
  const data = join(work, 'stopped');
  const made = await make(data, 'early');
  assert.equal(made.endpoint, 'http://127.0.0.1:10000/early');
  const server = await Server.start({ data, dev: false });
  try {
    assert.equal((await server.createContainer('box', made)).status, 201);
  } finally {
    assert.equal(await server.stop(), 0);
  }
  assert.equal((await causeway('account', 'list', '--data', data)).out, 'early\n');
});

test('a replaced key is refused by every worker at once, and the other key stays', async () => {
  const data = join(work, 'rotate');
  const server = await Server.start({ data, dev: false, workers: 3 });
  try {
    const old = await make(data, 'turning');
    assert.equal((await server.createContainer('box', old)).status, 201);
    const second = await causeway('account', 'rotate-key', 'turning', '--key', '2', '--data', data);
    assert.equal(second.code, 0, second.err);
    const other = connectionOf(second.out);
    // Every worker knows the account by now.
    for (let index = 0; index < 12; index++)
      assert.equal((await server.call({ path: '/box', query: 'restype=container', ...old })).status, 200);
    const { code, out, err } = await causeway('account', 'rotate-key', 'turning', '--data', data);
    assert.equal(code, 0, err);
    const fresh = connectionOf(out);
    assert.notEqual(fresh.key, old.key);
    for (let index = 0; index < 9; index++)
      assert.equal((await server.call({ path: '/box', query: 'restype=container', ...old })).status, 403);
    for (const key of [fresh.key, other.key])
      assert.equal((await server.call({ path: '/box', query: 'restype=container', ...old, key })).status, 200);
    const missing = await causeway('account', 'rotate-key', 'nobody', '--data', data);
    assert.equal(missing.code, 1);
    assert.match(missing.err, /^causeway: there is no account nobody\nhint: [^\n]+\n$/);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('a key that was replaced without a server is refused when one starts', async () => {
  const data = join(work, 'rotate stopped');
  const old = await make(data, 'quiet');
  const fresh = connectionOf((await causeway('account', 'rotate-key', 'quiet', '--data', data)).out);
  const server = await Server.start({ data, dev: false });
  try {
    assert.equal((await server.createContainer('box', old)).status, 403);
    assert.equal((await server.createContainer('box', fresh)).status, 201);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('names and data that cannot be are refused in one line', async () => {
  for (const name of ['Ab', 'UPPER', 'with-dash', 'a'.repeat(25)]) {
    const { code, err } = await causeway('account', 'create', name, '--data', join(work, 'names'));
    assert.equal(code, 2);
    assert.match(err, /^causeway: the name of an account [^\n]+\n$/);
  }
  const damaged = join(work, 'damaged');
  mkdirSync(join(damaged, 'metadata'), { recursive: true });
  writeFileSync(join(damaged, 'metadata', 'meta.db'), Buffer.alloc(8192, 7));
  const { code, err } = await causeway('account', 'list', '--data', damaged);
  assert.equal(code, 2);
  assert.match(err, /^causeway: data: [^\n]+\n$/);
});
