// Who may in, and every way to be kept out: status and code of each, and that no answer gives a secret away.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openTestSurface, testAccount } from './call.testing.ts';
import {
  type Answered,
  otherKey,
  sasFor,
  secondKey,
  TestClient,
  testKey,
  type WholeRequest,
} from './dispatch.testing.ts';

const blobUrl = `/${testAccount}/docs/dir/a`;
const listUrl = `/${testAccount}/docs?restype=container&comp=list`;
const time = (ms: number): string => new Date(ms).toUTCString();
const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

async function withBlob(work: (client: TestClient, nowMs: number) => Promise<void>, access?: string): Promise<void> {
  await using surface = await openTestSurface();
  const client = new TestClient(surface);
  await client.container('docs', access === undefined ? {} : { 'x-ms-blob-public-access': access });
  assert.equal((await client.put(blobUrl, 'hello')).status, 201);
  await work(client, surface.clock.now());
}

/** Refused with this, in the documented form, and without what only its sender may know. */
async function refused(
  client: TestClient,
  request: WholeRequest,
  status: number,
  code: string,
  detail?: RegExp,
): Promise<Answered> {
  let authorization = '';
  const answered = await client.send({
    ...request,
    tamper: (headers) => {
      request.tamper?.(headers);
      authorization = headers.authorization ?? '';
    },
  });
  assert.deepEqual([answered.status, answered.code], [status, code], answered.text);
  assert.match(
    answered.text,
    new RegExp(`<Error><Code>${code}</Code><Message>[^<]+\\nRequestId:[0-9a-f-]{36}\\nTime:`),
  );
  if (detail !== undefined) assert.match(answered.text, detail);
  const signature = /[?&]sig=([^&]+)/.exec(request.url)?.[1];
  const secrets = ['a2V5', authorization.split(':')[1], signature, signature && decodeURIComponent(signature)];
  for (const secret of secrets) {
    if (secret === undefined || secret === '') continue;
    assert(!answered.text.includes(secret), 'a secret is in the body');
    assert(!JSON.stringify(answered.headers).includes(secret), 'a secret is in the headers');
  }
  return answered;
}

describe('Shared Key', () => {
  test('signs in, with either of the account’s keys only', async () => {
    await withBlob(async (client) => {
      for (const key of [testKey, secondKey]) assert.equal((await client.send({ url: blobUrl, key })).text, 'hello');
      const detail = /The MAC signature found in the HTTP request is not the same as any computed signature/;
      await refused(client, { url: blobUrl, key: otherKey }, 403, 'AuthenticationFailed', detail);
      await refused(client, { url: listUrl, key: otherKey }, 403, 'AuthenticationFailed', detail);
    });
  });

  test('a date that is off by more than 15 minutes is refused, either way', async () => {
    await withBlob(async (client, nowMs) => {
      for (const minutes of [-16, 16]) {
        const headers = { 'x-ms-date': time(nowMs + minutes * 60_000) };
        await refused(client, { url: blobUrl, headers }, 403, 'AuthenticationFailed', /Request date header/);
      }
      for (const minutes of [-14, 14]) {
        const headers = { 'x-ms-date': time(nowMs + minutes * 60_000) };
        assert.equal((await client.send({ url: blobUrl, headers })).status, 200);
      }
    });
  });

  test('a date that is missing or is none is refused', async () => {
    await withBlob(async (client) => {
      const missing = { url: blobUrl, headers: { 'x-ms-date': '' } };
      await refused(client, missing, 403, 'AuthenticationFailed', /mandatory/);
      const none = { url: blobUrl, headers: { 'x-ms-date': 'yesterday' } };
      await refused(client, none, 400, 'InvalidAuthenticationInfo');
    });
  });

  test('a header that is malformed is refused', async () => {
    await withBlob(async (client) => {
      for (const authorization of [
        'SharedKey',
        `SharedKey ${testAccount}`,
        `SharedKey ${testAccount}:`,
        `SharedKey ${testAccount}:short`,
        `SharedKey :${'A'.repeat(43)}=`,
        'Basic dXNlcjpwYXNz',
      ]) {
        const tamper = (headers: Record<string, string>): void => {
          headers.authorization = authorization;
        };
        await refused(client, { url: blobUrl, tamper }, 400, 'InvalidAuthenticationInfo');
      }
    });
  });

  test('another account’s name is refused, an unknown account like a wrong key', async () => {
    await withBlob(async (client) => {
      await refused(client, { url: blobUrl, account: 'otheraccount' }, 403, 'AuthenticationFailed');
      const unknown = { url: '/otheraccount/docs/dir/a', account: 'otheraccount' };
      await refused(client, unknown, 403, 'AuthenticationFailed', /MAC signature/);
    });
  });

  test('whatever is signed cannot be changed', async () => {
    await withBlob(async (client) => {
      const changes: ((headers: Record<string, string>) => void)[] = [
        (headers) => {
          headers['x-ms-meta-a'] = 'added';
        },
        (headers) => {
          headers['x-ms-version'] = '2021-12-02';
        },
        (headers) => {
          headers.range = 'bytes=0-1';
        },
        (headers) => {
          headers['if-match'] = '*';
        },
      ];
      for (const tamper of changes) await refused(client, { url: blobUrl, tamper }, 403, 'AuthenticationFailed');
    });
  });

  test('what a request brings of others’ secrets is not repeated', async () => {
    await withBlob(async (client) => {
      const headers = {
        'x-ms-copy-source': 'http://127.0.0.1:10000/devstoreaccount1/c/a?sp=r&sig=c2VjcmV0LXNpZ25hdHVyZQ%3D%3D&sr=b',
        'x-ms-copy-source-authorization': 'Bearer secret-token',
        'x-ms-encryption-key': 'secret-encryption-key',
      };
      const request = { method: 'PUT', url: blobUrl, headers, key: otherKey };
      const { text } = await refused(client, request, 403, 'AuthenticationFailed', /x-ms-copy-source:/);
      for (const secret of ['c2VjcmV0', 'secret-token', 'secret-encryption-key']) assert(!text.includes(secret), text);
    });
  });
});

const service = (nowMs: number, more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  sv: '2024-11-04',
  sr: 'b',
  sp: 'r',
  se: iso(nowMs + 60_000),
  ...more,
});

describe('a shared access signature', () => {
  test('reads its blob; a sibling, a child and the list are refused', async () => {
    await withBlob(async (client, nowMs) => {
      await client.put(`/${testAccount}/docs/dir/b`, 'other');
      await client.put(`/${testAccount}/docs/dir/a/b`, 'child');
      const sas = sasFor(blobUrl, service(nowMs));
      assert.equal((await client.send({ url: `${blobUrl}?${sas}`, key: null })).text, 'hello');
      const detail = /Signature did not match\. String to sign used was r/;
      for (const path of ['docs/dir/b', 'docs/dir/a/b', 'docs/dir', 'other/dir/a']) {
        const url = `/${testAccount}/${path}?${sas}`;
        await refused(client, { url, key: null }, 403, 'AuthenticationFailed', detail);
      }
      await refused(client, { url: `${listUrl}&${sas}`, key: null }, 403, 'AuthenticationFailed', detail);
    });
  });

  test('out of its time, of another key, changed or malformed it is refused', async () => {
    await withBlob(async (client, nowMs) => {
      const bad = (fields: Record<string, string>, key = undefined as typeof otherKey | undefined): string =>
        `${blobUrl}?${key ? sasFor(blobUrl, fields, key) : sasFor(blobUrl, fields)}`;
      const expired = bad(service(nowMs, { se: iso(nowMs - 1000) }));
      await refused(
        client,
        { url: expired, key: null },
        403,
        'AuthenticationFailed',
        /not valid in the specified time/,
      );
      const early = bad(service(nowMs, { st: iso(nowMs + 30_000) }));
      await refused(client, { url: early, key: null }, 403, 'AuthenticationFailed', /not valid in the specified time/);
      await refused(client, { url: bad(service(nowMs), otherKey), key: null }, 403, 'AuthenticationFailed');
      const good = bad(service(nowMs));
      for (const url of [
        good.replace('sp=r', 'sp=rwd'),
        good.replace(/se=[^&]+/, 'se=2099-01-01T00%3A00%3A00Z'),
        good.replace('sr=b', 'sr=c'),
        good.replace(/sig=[^&]+/, `sig=${'A'.repeat(43)}%3D`),
      ]) {
        await refused(client, { url, key: null }, 403, 'AuthenticationFailed');
      }
      const unsigned = good.replace(/sig=[^&]+/, 'sig=');
      await refused(client, { url: unsigned, key: null }, 403, 'AuthenticationFailed', /Detail>sig is mandatory/);
      const odd = good.replace(/sp=r/, 'sp=z');
      await refused(client, { url: odd, key: null }, 403, 'AuthenticationFailed', /Detail>sp is not well formed/);
    });
  });

  test('of another account it is refused', async () => {
    await withBlob(async (client, nowMs) => {
      const sas = sasFor('/otheraccount/docs/dir/a', service(nowMs));
      await refused(client, { url: `${blobUrl}?${sas}`, key: null }, 403, 'AuthenticationFailed');
      await refused(client, { url: `/otheraccount/docs/dir/a?${sas}`, key: null }, 403, 'AuthenticationFailed');
    });
  });

  test('allows what it says and no more', async () => {
    await withBlob(async (client, nowMs) => {
      const send = (method: string, sp: string, headers = {}): WholeRequest => ({
        method,
        url: `${blobUrl}?${sasFor(blobUrl, service(nowMs, { sp }))}`,
        headers,
        key: null,
      });
      const typed = { 'x-ms-blob-type': 'BlockBlob' };
      await refused(client, send('DELETE', 'rw'), 403, 'AuthorizationPermissionMismatch');
      await refused(client, send('PUT', 'r', typed), 403, 'AuthorizationPermissionMismatch');
      await refused(client, send('PUT', 'c', typed), 403, 'UnauthorizedBlobOverwrite');
      await refused(client, send('GET', 'w'), 403, 'AuthorizationPermissionMismatch');
      assert.equal((await client.send({ url: blobUrl })).text, 'hello');
      assert.equal((await client.send(send('DELETE', 'd'))).status, 202);
      assert.equal((await client.send(send('PUT', 'c', typed))).status, 201);
    });
  });

  test('keeps to its address and its protocol', async () => {
    await withBlob(async (client, nowMs) => {
      const url = (more: Record<string, string>): string => `${blobUrl}?${sasFor(blobUrl, service(nowMs, more))}`;
      const ranged = url({ sip: '10.0.0.1-10.0.0.9' });
      await refused(client, { url: ranged, key: null }, 403, 'AuthorizationSourceIPMismatch');
      assert.equal((await client.send({ url: ranged, key: null, peer: { address: '10.0.0.5' } })).status, 200);
      const secure = url({ spr: 'https' });
      await refused(client, { url: secure, key: null }, 403, 'AuthorizationProtocolMismatch');
      assert.equal((await client.send({ url: secure, key: null, peer: { protocol: 'https' } })).status, 200);
    });
  });

  test('of an account keeps to its service and its types of resource', async () => {
    await withBlob(async (client, nowMs) => {
      const fields = { sv: '2024-11-04', ss: 'b', srt: 'o', sp: 'rl', se: iso(nowMs + 60_000) };
      const url = (more: Record<string, string>, at = blobUrl): string =>
        `${at}${at.includes('?') ? '&' : '?'}${sasFor(blobUrl, { ...fields, ...more })}`;
      assert.equal((await client.send({ url: url({}), key: null })).text, 'hello');
      await refused(client, { url: url({ ss: 'q' }), key: null }, 403, 'AuthorizationServiceMismatch');
      await refused(client, { url: url({ srt: 's' }), key: null }, 403, 'AuthorizationResourceTypeMismatch');
      await refused(client, { url: url({}, listUrl), key: null }, 403, 'AuthorizationResourceTypeMismatch');
      assert.equal((await client.send({ url: url({ srt: 'c' }, listUrl), key: null })).status, 200);
    });
  });

  test('sets the headers of the answer, and only its own', async () => {
    await withBlob(async (client, nowMs) => {
      const sas = sasFor(blobUrl, service(nowMs, { rsct: 'text/x-a', rscd: 'attachment', rscc: 'no-store' }));
      const got = await client.send({ url: `${blobUrl}?${sas}`, key: null });
      assert.equal(got.headers['Content-Type'], 'text/x-a');
      assert.equal(got.headers['Content-Disposition'], 'attachment');
      assert.equal(got.headers['Cache-Control'], 'no-store');
      const unsigned = await client.send({ url: `${blobUrl}?rsct=text%2Fx-a` });
      assert.equal(unsigned.headers['Content-Type'], 'application/octet-stream');
    });
  });
});

describe('nobody', () => {
  const read = { url: blobUrl, key: null };
  const list = { url: listUrl, key: null };
  const write = { method: 'PUT', url: blobUrl, key: null, headers: { 'x-ms-blob-type': 'BlockBlob' } };

  test('reads and lists nothing of a private container', async () => {
    await withBlob(async (client) => {
      await refused(client, read, 404, 'ResourceNotFound');
      await refused(client, list, 404, 'ResourceNotFound');
      const { headers } = await refused(client, write, 401, 'NoAuthenticationInformation');
      assert.ok(headers['WWW-Authenticate']);
      const missing = await client.send({ url: `/${testAccount}/none/a`, key: null });
      assert.deepEqual([missing.status, missing.code], [404, 'ResourceNotFound']);
    });
  });

  test('reads blobs of public access "blob", and does not list them', async () => {
    await withBlob(async (client) => {
      assert.equal((await client.send(read)).text, 'hello');
      await refused(client, list, 404, 'ResourceNotFound');
      await refused(client, write, 401, 'NoAuthenticationInformation');
    }, 'blob');
  });

  test('reads and lists with public access "container", and writes nothing', async () => {
    await withBlob(async (client) => {
      assert.equal((await client.send(read)).text, 'hello');
      assert.equal((await client.send(list)).status, 200);
      await refused(client, write, 401, 'NoAuthenticationInformation');
      await refused(client, { method: 'DELETE', url: blobUrl, key: null }, 401, 'NoAuthenticationInformation');
      const acl = { url: `/${testAccount}/docs?restype=container&comp=acl`, key: null };
      assert.ok((await client.send(acl)).status >= 400);
      const services = { url: `/${testAccount}?comp=list`, key: null };
      assert.ok((await client.send(services)).status >= 400);
    }, 'container');
  });
});
