// Every row of the table of operations, asked by everybody who may not: no handler has its own idea of who may come in.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openTestSurface, type TestSurface, testAccount } from './call.testing.ts';
import { otherKey, sasFor, TestClient, testKey, type WholeRequest } from './dispatch.testing.ts';
import { type Operation, operations } from './operations.ts';

const paths = {
  service: `/${testAccount}/`,
  container: `/${testAccount}/private`,
  blob: `/${testAccount}/private/dir/a`,
};
const neighbour = `/${testAccount}/private/dir/b`;
const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
const hourMs = 3_600_000;

let surface: TestSurface;
let client: TestClient;

before(async () => {
  surface = await openTestSurface();
  client = new TestClient(surface);
  await client.container('private');
  await client.container('public', { 'x-ms-blob-public-access': 'container' });
  for (const path of [paths.blob, neighbour]) assert.equal((await client.put(path, 'the content')).status, 201);
});

after(() => surface[Symbol.asyncDispose]());

function requestOf({ level, method, restype, comp }: Operation, query = ''): WholeRequest & { readonly url: string } {
  const parameters = [restype && `restype=${restype}`, comp && `comp=${comp}`, query].filter(Boolean);
  const url = `${paths[level]}${parameters.length === 0 ? '' : `?${parameters.join('&')}`}`;
  // Enough for any row whose `when` looks at headers; which of them is taken does not matter, for all are asked.
  return { method, url, headers: { 'x-ms-blob-type': 'BlockBlob' } };
}

const serviceSas = (path: string, fields: Readonly<Record<string, string>>, key = testKey): string =>
  sasFor(
    path,
    { sv: '2022-11-02', sp: 'racwdxltmeopi', se: iso(surface.clock.now() + hourMs), sr: 'b', ...fields },
    key,
  );
const accountSas = (fields: Readonly<Record<string, string>>, key = testKey): string =>
  sasFor(
    paths.service,
    { sv: '2022-11-02', ss: 'b', srt: 'sco', sp: 'rwdlacupx', se: iso(surface.clock.now() + hourMs), ...fields },
    key,
  );

const strangers: [who: string, request: (operation: Operation) => WholeRequest][] = [
  ['nobody', (operation) => ({ ...requestOf(operation), key: null })],
  ['a wrong key', (operation) => ({ ...requestOf(operation), key: otherKey })],
  ['an unknown scheme', (operation) => withAuthorization(operation, 'Basic YTpi')],
  ['an empty authorization', (operation) => withAuthorization(operation, 'SharedKey ')],
  ['a token that nobody signed', (operation) => withAuthorization(operation, 'Bearer eyJhbGciOiJub25lIn0.e30.')],
  ['another account', (operation) => ({ ...requestOf(operation), account: 'other' })],
  ['a SAS of a wrong key', (operation) => bySas(operation, accountSas({}, otherKey))],
  ['a SAS that is over', (operation) => bySas(operation, accountSas({ se: iso(surface.clock.now() - hourMs) }))],
  ['a SAS for queues', (operation) => bySas(operation, accountSas({ ss: 'q' }))],
  [
    'a SAS for a service that there is not',
    (operation) => bySas(operation, accountSas({ ss: 'q' }).replace('ss=q', 'ss=z')),
  ],
  ['a SAS without a service', (operation) => bySas(operation, accountSas({ ss: 'q' }).replace('ss=q&', ''))],
  ['a SAS for the blob beside it', (operation) => bySas(operation, serviceSas(neighbour, {}))],
  ['a SAS with a signature alone', (operation) => bySas(operation, `sig=${encodeURIComponent(`${'A'.repeat(43)}=`)}`)],
];

function withAuthorization(operation: Operation, value: string): WholeRequest {
  return { ...requestOf(operation), key: null, tamper: (headers) => Object.assign(headers, { authorization: value }) };
}

function bySas(operation: Operation, sas: string): WholeRequest {
  return { ...requestOf(operation, sas), key: null };
}

describe('every operation refuses', () => {
  for (const [who, request] of strangers) {
    test(who, async () => {
      for (const operation of operations) {
        const { status, code, text } = await client.send(request(operation));
        const shown = `${operation.name} (${operation.level}): ${status} ${code}`;
        assert.ok([400, 401, 403, 404].includes(status), shown);
        assert.ok(code !== undefined && text.includes(`<Code>${code}</Code>`), shown);
        assert.ok(!text.includes('the content'), shown);
      }
      const kept = await client.send({ url: paths.blob });
      assert.deepEqual([kept.status, kept.text], [200, 'the content']);
    });
  }

  test('a signature by another name of it, in the query or in a header', async () => {
    for (const operation of operations) {
      const { url, method, headers } = requestOf(operation);
      const sas = accountSas({});
      const asHeader = Object.fromEntries(new URLSearchParams(sas));
      const answered = await client.send({
        url,
        method,
        headers: { ...headers, ...asHeader },
        key: null,
      } as WholeRequest);
      assert.ok([400, 401, 403, 404].includes(answered.status), `${operation.name}: ${answered.status}`);
    }
  });
});

test('an authorization header that is wrong is not made good by a signature in the query', async () => {
  const url = `${paths.blob}?${accountSas({})}`;
  assert.equal((await client.send({ url, key: null })).status, 200);
  for (const authorization of ['Basic YTpi', 'SharedKey other:AAAA', 'Bearer a.b.c']) {
    const request = {
      url,
      key: null,
      tamper: (headers: Record<string, string>) => Object.assign(headers, { authorization }),
    };
    const { status } = await client.send(request);
    assert.ok([400, 401, 403].includes(status), `${authorization}: ${status}`);
  }
});

test('what names no operation is refused, also to the owner', async () => {
  for (const query of [
    'comp=nothing',
    'restype=nothing',
    'comp=list&comp=acl',
    'restype=container&comp=',
    'comp=LEASE2',
  ]) {
    for (const path of Object.values(paths)) {
      for (const method of ['GET', 'PUT', 'DELETE', 'POST', 'HEAD', 'PATCH']) {
        const { status } = await client.send({ method, url: `${path}?${query}` });
        assert.ok(
          [400, 405].includes(status) || (query.endsWith('comp=') && status < 500),
          `${method} ${path}?${query}: ${status}`,
        );
      }
    }
  }
});
