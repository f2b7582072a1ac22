// The path that is authorized is the path that is stored: dots, escapes, doubled slashes and backslashes, also in copy sources.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { blobSas } from '../support/blob-sas.ts';
import { type RawAnswer, rawAnswers } from '../support/raw-answers.ts';
import { developmentAccount } from '../support/sas.ts';
import { eventually, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const secret = 'the secret of the other container';
let server: Server;

before(async () => {
  server = await Server.start({ data: join(work, 'data') });
  const open = { headers: { 'x-ms-blob-public-access': 'container' } };
  assert.equal((await server.createContainer('open', open)).status, 201);
  assert.equal((await server.createContainer('closed')).status, 201);
  for (const [path, content] of [
    ['/open/a/b', 'open a/b'],
    ['/closed/secret', secret],
    ['/closed/a/b', 'a/b'],
    ['/closed/dir/x', 'dir/x'],
    ['/closed/dir2/x', secret],
    ['/closed/b', secret],
  ] as const) {
    assert.equal((await server.put(path, Buffer.from(content))).status, 201);
  }
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

/** A request whose path goes out as it is written here: clients put dots right. */
async function raw(method: string, path: string, headers: Record<string, string> = {}, body = ''): Promise<RawAnswer> {
  const connection = await server.connection();
  try {
    const all = {
      host: server.blob.host,
      'x-ms-version': '2022-11-02',
      'content-length': `${body.length}`,
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    connection.socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
    await eventually(() => connection.isClosed || rawAnswers(connection.received).length > 0, 'an answer');
    const [answer] = rawAnswers(connection.received);
    assert.ok(answer, 'there is no answer');
    return answer;
  } finally {
    connection.socket.destroy();
  }
}

const account = `/${developmentAccount}`;

/** Ways to write a path that begins in the open container and means the closed one, if anything puts it right. */
const detours = [
  'open/../closed/secret',
  'open/%2e%2e/closed/secret',
  'open/.%2E/closed/secret',
  'open/..%2Fclosed%2Fsecret',
  'open%2F..%2Fclosed/secret',
  'open%2f..%2fclosed%2fsecret',
  'open/..\\closed\\secret',
  'open\\..\\closed\\secret',
  'open/..%5Cclosed%5Csecret',
  'open/a/../../closed/secret',
  'open//../closed/secret',
  'open/./../closed/secret',
  'open/%252e%252e/closed/secret',
  'open/..;/closed/secret',
  'open/a%00/../../closed/secret',
  'open/%c0%ae%c0%ae/closed/secret',
] as const;

describe('a path that begins in a public container', () => {
  for (const detour of detours) {
    test(`${detour} does not lead out of it`, async () => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await raw(method, `${account}/${detour}`);
        assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
        assert.ok(!answer.body.includes(secret));
      }
    });
  }
  for (const path of [`/${account}/closed/secret`, `${account}//closed/secret`, `/open/..${account}/closed/secret`]) {
    test(`${path} reads nothing`, async () => {
      const answer = await raw('GET', path);
      assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
    });
  }
});

describe('a source of a copy that begins in a public container', () => {
  for (const detour of detours) {
    test(`${detour} does not lead out of it`, async () => {
      const sas = blobSas({ resource: 'c', container: 'open', permissions: 'rcw' });
      for (const more of [{ 'x-ms-blob-type': 'BlockBlob' }, { 'x-ms-requires-sync': 'true' }, {}]) {
        const source = `${server.blob.origin}${account}/${detour}`;
        const answer = await raw('PUT', `${account}/open/copied?${sas}`, { 'x-ms-copy-source': source, ...more });
        assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
        const copied = await raw('GET', `${account}/open/copied`);
        assert.equal(copied.status, 404);
      }
    });
  }
  test('one that is signed for a blob reads that blob alone', async () => {
    const target = `${account}/open/copied?${blobSas({ resource: 'c', container: 'open', permissions: 'rcw' })}`;
    const sas = blobSas({ resource: 'b', container: 'closed', name: 'a/b', permissions: 'r' });
    for (const [name, status] of [
      ['a/b', 201],
      ['a%2Fb', 201],
      ['b', 403],
      ['a/../b', 403],
      ['a/..%2Fb', 403],
      ['secret', 403],
    ] as const) {
      const headers = {
        'x-ms-copy-source': `${server.blob.origin}${account}/closed/${name}?${sas}`,
        'x-ms-blob-type': 'BlockBlob',
      };
      const answer = await raw('PUT', target, headers);
      assert.equal(answer.status, status, `${name}: ${answer.body}`);
      if (status === 201) assert.equal((await raw('GET', `${account}/open/copied`)).body, 'a/b');
    }
  });
});

describe('a signature for one blob', () => {
  const names: [path: string, isThatBlob: boolean][] = [
    ['a/b', true],
    ['a%2Fb', true],
    ['a%2fb', true],
    ['%61/b', true],
    ['a\\b', true],
    ['a%5Cb', true],
    ['a//b', false],
    ['a/./b', true],
    ['a/b/', false],
    ['x/../a/b', true],
    ['a/../a/b', true],
    ['a%252Fb', false],
    ['A/b', false],
    ['b', false],
    ['a/../b', false],
    ['a/b/../../b', false],
    ['a/b%00', false],
    ['a/b;b', false],
  ];
  for (const [path, isThatBlob] of names) {
    test(`${path} ${isThatBlob ? 'is' : 'is not'} that blob`, async () => {
      const sas = blobSas({ resource: 'b', container: 'closed', name: 'a/b', permissions: 'rcwd' });
      const read = await raw('GET', `${account}/closed/${path}?${sas}`);
      if (isThatBlob) {
        assert.deepEqual([read.status, read.body], [200, 'a/b']);
        const written = await raw('PUT', `${account}/closed/${path}?${sas}`, { 'x-ms-blob-type': 'BlockBlob' }, 'a/b');
        assert.equal(written.status, 201);
      } else {
        for (const answer of [read, await raw('DELETE', `${account}/closed/${path}?${sas}`)]) {
          assert.ok([400, 403, 404].includes(answer.status), `${answer.status} ${answer.body}`);
          assert.ok(!answer.body.includes(secret));
        }
      }
    });
  }
  test('what was written by these names is one blob, and the others are as they were', async () => {
    const list = await server.call({ path: '/closed', query: 'restype=container&comp=list' });
    const found = [...list.body.toString().matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, name]) => name);
    assert.deepEqual(found, ['a/b', 'b', 'dir/x', 'dir2/x', 'secret']);
    assert.equal((await server.call({ path: '/closed/b' })).body.toString(), secret);
  });
});

describe('a signature for a directory', () => {
  for (const [path, reaches] of [
    ['dir/x', true],
    ['dir%2Fx', true],
    ['dir2/x', false],
    ['dir/../dir2/x', false],
    ['dir/..%2Fdir2%2Fx', false],
    ['dir%2F..%2Fdir2/x', false],
    ['dir', false],
    ['di', false],
    ['secret', false],
  ] as const) {
    test(`${path} ${reaches ? 'lies' : 'does not lie'} in it`, async () => {
      const sas = blobSas({ resource: 'd', container: 'closed', name: 'dir', permissions: 'r', depth: 1 });
      const answer = await raw('GET', `${account}/closed/${path}?${sas}`);
      if (reaches) assert.deepEqual([answer.status, answer.body], [200, 'dir/x']);
      else assert.ok([400, 403, 404].includes(answer.status), `${answer.status}`);
      assert.ok(!answer.body.includes(secret));
    });
  }
});

test('dots in names are resolved, doubled slashes stay, and listings tell the names that are stored', async () => {
  assert.equal((await server.createContainer('odd')).status, 201);
  const sas = blobSas({ resource: 'c', container: 'odd', permissions: 'rcwl' });
  const stored: [path: string, name: string][] = [
    ['a/../b', 'b'],
    ['a//b', 'a//b'],
    ['a/./c', 'a/c'],
    ['x%2F..%2Fy', 'y'],
    ['p%5Cq', 'p/q'],
  ];
  for (const [path] of stored) {
    const put = await raw('PUT', `${account}/odd/${path}?${sas}`, { 'x-ms-blob-type': 'BlockBlob' }, path);
    assert.equal(put.status, 201, put.body);
  }
  const list = await server.call({ path: '/odd', query: 'restype=container&comp=list' });
  const found = [...list.body.toString().matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, name]) => name);
  assert.deepEqual(found.sort(), stored.map(([, name]) => name).sort());
  for (const [path] of stored) {
    const read = await raw('GET', `${account}/odd/${path}?${sas}`);
    assert.deepEqual([read.status, read.body], [200, path]);
  }
  for (const [path, name] of stored) assert.equal((await raw('GET', `${account}/odd/${name}?${sas}`)).body, path);
});

test('what a proxy says of the client counts for nothing', async () => {
  const forwarded = {
    'x-forwarded-for': '10.1.2.3',
    'x-real-ip': '10.1.2.3',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.blob.example',
    forwarded: 'for=10.1.2.3;proto=https;host=evil.blob.example',
    'x-original-url': `${account}/open/a/b`,
    'x-rewrite-url': `${account}/open/a/b`,
  };
  const wishes = { resource: 'b', container: 'closed', name: 'a/b', permissions: 'r' } as const;
  const elsewhere = await raw(
    'GET',
    `${account}/closed/a/b?${blobSas({ ...wishes, addresses: '10.1.2.3' })}`,
    forwarded,
  );
  assert.equal(elsewhere.headers['x-ms-error-code'], 'AuthorizationSourceIPMismatch');
  const secure = await raw('GET', `${account}/closed/a/b?${blobSas({ ...wishes, protocols: 'https' })}`, forwarded);
  assert.equal(secure.headers['x-ms-error-code'], 'AuthorizationProtocolMismatch');
  const here = await raw('GET', `${account}/closed/a/b?${blobSas({ ...wishes, addresses: '127.0.0.1' })}`, forwarded);
  assert.deepEqual([here.status, here.body], [200, 'a/b']);
  assert.equal((await raw('GET', `${account}/closed/secret`, forwarded)).status, 404);
});
