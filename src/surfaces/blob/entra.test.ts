// Requests with tokens of Entra ID: who gets in, with which roles, and what an account's settings keep out.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Minting } from '../../identity/issuer.testing.ts';
import { assignRole } from '../../namespace/access.ts';
import { testAccount } from './call.testing.ts';
import { sasFor, type WholeRequest } from './dispatch.testing.ts';
import { blobs, blobUrl, cause, contributor, local, oid, owner, reader, withTokens } from './entra.testing.ts';

const group = '22222222-2222-3333-4444-555555555555';
const listUrl = `/${testAccount}/docs?restype=container&comp=list`;

const put = (url: string, headers: Readonly<Record<string, string>> = {}): WholeRequest => ({
  method: 'PUT',
  url,
  body: 'x',
  headers: { 'x-ms-blob-type': 'BlockBlob', ...headers },
});
const mismatch = '403 AuthorizationPermissionMismatch';

describe('a token', () => {
  test('lets in with a role, and only with one', async () => {
    await withTokens(async ({ tell, send, assign }) => {
      assert.equal(await tell({ url: blobUrl }), mismatch);
      await assign(reader);
      assert.equal((await send({ url: blobUrl })).text, 'hello');
      assert.equal(await tell({ url: listUrl }), '200');
      assert.equal(await tell({ url: `/${testAccount}?comp=list` }), '200');
      assert.equal(await tell(put(blobUrl)), mismatch);
      assert.equal(await tell({ method: 'DELETE', url: blobUrl }), mismatch);
      await assign(contributor, { principal: group, container: 'docs', prefix: 'dir/' });
      assert.equal(await tell(put(`${blobUrl}b`)), mismatch);
      const inGroup = { claims: { groups: [group] } };
      assert.equal(await tell(put(`${blobUrl}b`), inGroup), '201');
      assert.equal(await tell(put(`/${testAccount}/docs/dirb/a`), inGroup), mismatch);
    });
  });

  test('that is no good is 401, and says where one is had', async () => {
    await withTokens(async ({ send, client, issuer, assign }) => {
      await assign(owner);
      const challenge = `Bearer authorization_uri=${issuer.url}/${issuer.tenant}/oauth2/authorize resource_id=https://storage.azure.com`;
      const bad: readonly (readonly [Minting, RegExp])[] = [
        [{ claims: { aud: 'https://management.azure.com' } }, /Audience validation failed/],
        [{ lifetimeS: -400 }, /Lifetime validation failed/],
        [{ claims: { tid: group } }, /Issuer validation failed/],
        [{ header: { kid: 'other' } }, /Signature validation failed/],
      ];
      for (const [minting, detail] of bad) {
        const answered = await send({ url: blobUrl }, minting);
        assert.deepEqual([answered.status, answered.code], [401, 'InvalidAuthenticationInfo']);
        assert.match(answered.text, detail);
        assert.equal(answered.headers['WWW-Authenticate'], challenge);
      }
      for (const authorization of [
        'Bearer',
        'Bearer ',
        'Bearer abc',
        'bearer a.b.c',
        `Bearer ${'a'.repeat(20_000)}.a.a`,
      ]) {
        const answered = await client.send({ url: blobUrl, key: null, peer: local, headers: { authorization } });
        assert.deepEqual(
          [answered.status, answered.code],
          [401, 'InvalidAuthenticationInfo'],
          authorization.slice(0, 20),
        );
        assert.equal(answered.headers['WWW-Authenticate'], challenge);
      }
      const nobody = await client.send({ url: blobUrl, key: null });
      assert.deepEqual([nobody.status, nobody.code], [401, 'NoAuthenticationInformation']);
      assert.equal(nobody.headers['WWW-Authenticate'], challenge);
    });
  });

  test('is not taken over plain http from another machine, whatever a header says', async () => {
    await withTokens(async ({ tell, assign }) => {
      await assign(reader);
      const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '127.0.0.1', forwarded: 'proto=https' };
      const peer = { address: '203.0.113.9', protocol: 'http', isLoopback: false } as const;
      assert.equal(await tell({ url: blobUrl, peer, headers: forwarded }), '403 AuthenticationFailed');
      assert.equal(
        await tell({ url: blobUrl, peer: { address: '127.0.0.1', isLoopback: false } }),
        '403 AuthenticationFailed',
      );
      assert.equal(await tell({ url: blobUrl, peer: { ...peer, protocol: 'https' } }), '200');
    });
  });

  test('never stands in an answer', async () => {
    await withTokens(async ({ issuer, client }) => {
      const token = await issuer.token(oid, { claims: { aud: 'other' } });
      for (const peer of [local, { isLoopback: false }]) {
        const answered = await client.send({
          url: blobUrl,
          key: null,
          peer,
          headers: { authorization: `Bearer ${token}` },
        });
        const all = answered.text + JSON.stringify(answered.headers);
        for (const part of token.split('.')) assert(!all.includes(part));
      }
    });
  });

  test('one of two Authorization headers is never chosen', async () => {
    await withTokens(async ({ client, issuer, assign }) => {
      await assign(owner);
      const authorization = `Bearer ${await issuer.token(oid)}`;
      const url = blobUrl;
      const headers = { authorization, Authorization: 'Bearer other' };
      const answered = await client.send({ url, key: null, peer: local, headers });
      assert.equal(answered.status, 400);
    });
  });

  test('decides where a signature comes with it', async () => {
    await withTokens(async ({ tell, assign, client }) => {
      const expiry = `${new Date(client.surface.clock.now() + 3_600_000).toISOString().slice(0, 19)}Z`;
      const sas = sasFor(blobUrl, { sv: '2020-12-06', sr: 'b', sp: 'rwd', se: expiry });
      assert.equal(await tell({ url: `${blobUrl}?${sas}` }), mismatch);
      await assign(reader);
      assert.equal(await tell({ url: `${blobUrl}?${sas}` }), '200');
      assert.equal(await tell({ method: 'DELETE', url: `${blobUrl}?${sas}` }), mismatch);
    });
  });

  test('whose issuer is not reached lets nobody in, and may be tried again', async () => {
    await withTokens(async ({ tell, assign, issuer }) => {
      await assign(owner);
      issuer.fail(500);
      assert.equal(await tell({ url: blobUrl }), '503 ServerBusy');
    });
  });

  test('is refused where no tenant is trusted, and then nothing speaks of tokens', async () => {
    await withTokens(
      async ({ tell, client }) => {
        assert.equal(await tell({ url: blobUrl }), '401 InvalidAuthenticationInfo');
        const nobody = await client.send({ method: 'PUT', url: blobUrl, key: null });
        assert.equal(nobody.headers['WWW-Authenticate'], 'SharedKey');
      },
      { entraTenants: [] },
    );
  });

  test('of an account that is not there is answered as one without roles', async () => {
    await withTokens(async ({ tell, assign }) => {
      await assign(owner);
      assert.equal(await tell({ url: '/otheraccount/docs/dir/a' }), mismatch);
    });
  });
});

describe('roles', () => {
  test('with add and without write make what is new, and overwrite nothing', async () => {
    await withTokens(async ({ tell, client }) => {
      const role = {
        name: 'adder',
        actions: [],
        notActions: [],
        dataActions: [`${blobs}/add/action`],
        notDataActions: [],
      };
      const { putRole } = await import('../../namespace/access.ts');
      assert.equal((await putRole(client.surface.store, testAccount, role, cause)).kind, 'ok');
      const assign = { principal: oid, role: 'adder', isBuiltIn: false };
      assert.equal((await assignRole(client.surface.store, testAccount, assign, cause)).kind, 'ok');
      assert.equal(await tell(put(`${blobUrl}2`)), '201');
      assert.equal(await tell(put(blobUrl)), '403 UnauthorizedBlobOverwrite');
    });
  });

  test('to set tags with a blob, or to ask by them, take their own rights', async () => {
    await withTokens(async ({ tell, assign }) => {
      await assign(contributor);
      assert.equal(await tell(put(blobUrl, { 'x-ms-tags': 'a=b' })), mismatch);
      assert.equal(await tell({ url: blobUrl, headers: { 'x-ms-if-tags': `"a" = 'b'` } }), mismatch);
      assert.equal(await tell({ url: `${listUrl}&include=tags` }), mismatch);
      assert.equal(await tell(put(blobUrl)), '201');
      await assign(owner);
      assert.equal(await tell(put(blobUrl, { 'x-ms-tags': 'a=b' })), '201');
    });
  });

  test('with a condition on tags ask the blob that is there', async () => {
    await withTokens(async ({ tell, assign, client }) => {
      const condition = `@Resource[${blobs}/tags:team<$key_case_sensitive$>] StringEquals 'blue'`;
      await assign(reader, { condition });
      assert.equal((await client.put(`${blobUrl}2`, 'blue', { 'x-ms-tags': 'team=blue' })).status, 201);
      assert.equal((await client.put(`${blobUrl}3`, 'red', { 'x-ms-tags': 'team=red' })).status, 201);
      assert.equal(await tell({ url: `${blobUrl}2` }), '200');
      assert.equal(await tell({ url: `${blobUrl}3` }), mismatch);
      assert.equal(await tell({ url: blobUrl }), mismatch);
      assert.equal(await tell({ url: `${blobUrl}-nothing` }), mismatch, 'what is not there is not told apart');
      assert.equal(await tell({ url: `${blobUrl}2?snapshot=2020-01-01T00:00:00.0000000Z` }), mismatch);
    });
  });

  test('a path is decided by the name that is stored', async () => {
    await withTokens(async ({ tell, assign }) => {
      await assign(owner, { container: 'docs', prefix: 'dir/' });
      const at = (path: string): WholeRequest => put(`/${testAccount}/docs/${path}`);
      for (const path of ['other/x', 'dir', 'dirx/a', '%64irx/a', 'x%2Fdir%2Fa', '%2Fdir/a', 'dir%00/a'])
        assert.notEqual(await tell(at(path)), '201', path);
      for (const path of ['dir/x', '%64ir/x', 'dir%2Fx', 'dir%5Cx']) assert.equal(await tell(at(path)), '201', path);
      // Dots are resolved before it is decided: nothing outside the prefix is written.
      for (const path of ['dir/../escaped', 'dir/%2e%2e/escaped', 'dir/x/../../escaped', 'dir%5C..%5Cescaped'])
        assert.equal(await tell(at(path)), mismatch, path);
      await assign(reader, { container: 'docs' });
      assert.equal(await tell({ url: `/${testAccount}/docs/escaped` }), '404 BlobNotFound');
    });
  });
});

describe('copies', () => {
  const source = (path: string): string => `http://127.0.0.1:10000/${testAccount}/${path}`;
  const copy = (path: string, headers: Readonly<Record<string, string>>): WholeRequest => ({
    method: 'PUT',
    url: `/${testAccount}/docs/copy`,
    headers: { 'x-ms-copy-source': source(path), ...headers },
  });
  const sync = { 'x-ms-requires-sync': 'true' };

  test('read their source by the token of x-ms-copy-source-authorization', async () => {
    await withTokens(async ({ client, issuer, assign }) => {
      const by = async (minting: Minting = {}): Promise<string> => {
        const headers = { ...sync, 'x-ms-copy-source-authorization': `Bearer ${await issuer.token(oid, minting)}` };
        const { status, code, headers: answered } = await client.send({ ...copy('docs/dir/a', headers), peer: local });
        return `${status} ${code} ${answered['x-ms-copy-source-error-code']}`;
      };
      assert.equal(await by(), '403 CannotVerifyCopySource AuthorizationPermissionMismatch');
      await assign(reader, { container: 'docs', prefix: 'dir/' });
      assert.match(await by(), /^202/);
      assert.equal(await by({ lifetimeS: -400 }), '401 CannotVerifyCopySource InvalidAuthenticationInfo');
      assert.equal(
        await by({ claims: { aud: 'https://graph.microsoft.com' } }),
        '401 CannotVerifyCopySource InvalidAuthenticationInfo',
      );
    });
  });

  test('within an account read by the token of the copy itself, as far as it may read', async () => {
    await withTokens(async ({ tell, assign, client }) => {
      assert.equal((await client.put(`/${testAccount}/docs/hidden/a`, 'secret')).status, 201);
      await assign(contributor, { container: 'docs', prefix: 'dir' });
      await assign(contributor, { container: 'docs', prefix: 'copy' });
      assert.equal(await tell(copy('docs/dir/a', {})), '202');
      assert.equal(await tell(copy('docs/hidden/a', {})), '403 CannotVerifyCopySource');
      assert.equal(await tell(copy('docs/dir/../hidden/a', {})), '403 CannotVerifyCopySource');
      assert.equal(
        await tell(copy('docs/dir/a', sync)),
        '401 CannotVerifyCopySource',
        'the synchronous copy needs its own',
      );
    });
  });
});

describe('an account', () => {
  test('that takes no keys refuses them, and signatures made with them', async () => {
    await withTokens(async ({ set, client, tell, assign }) => {
      await assign(reader);
      await set({ sharedKeyAccess: false });
      const expiry = `${new Date(client.surface.clock.now() + 3_600_000).toISOString().slice(0, 19)}Z`;
      const service = sasFor(blobUrl, { sv: '2020-12-06', sr: 'b', sp: 'r', se: expiry });
      const ofAccount = sasFor(blobUrl, { sv: '2020-12-06', ss: 'b', srt: 'o', sp: 'r', se: expiry });
      for (const request of [
        { url: blobUrl },
        { url: `${blobUrl}?${service}`, key: null },
        { url: `${blobUrl}?${ofAccount}`, key: null },
      ]) {
        const { status, code } = await client.send(request);
        assert.deepEqual([status, code], [403, 'KeyBasedAuthenticationNotPermitted'], request.url);
      }
      assert.equal(await tell({ url: blobUrl }), '200');
      await set({ sharedKeyAccess: null });
      assert.equal((await client.send({ url: blobUrl })).status, 200);
    });
  });

  test('whose network rules keep an address out tells it nothing', async () => {
    await withTokens(async ({ set, client, tell, assign }) => {
      await assign(owner);
      await set({ networkRules: { defaultAction: 'deny', ranges: ['10.0.0.0/8'] } });
      const outside = { address: '203.0.113.9', protocol: 'https' } as const;
      const forwarded = { 'x-forwarded-for': '10.0.0.1', 'x-real-ip': '10.0.0.1', forwarded: 'for=10.0.0.1' };
      const refusal = '403 AuthorizationFailure';
      assert.equal(await tell({ url: blobUrl, peer: outside, headers: forwarded }), refusal);
      for (const request of [
        { url: blobUrl, peer: outside },
        { url: blobUrl, peer: outside, key: null },
        {
          method: 'OPTIONS',
          url: blobUrl,
          peer: outside,
          key: null,
          headers: { origin: 'https://a.example', 'access-control-request-method': 'GET' },
        },
        { url: `${blobUrl}?comp=nonsense`, peer: outside },
      ]) {
        const { status, code, headers } = await client.send(request);
        assert.equal(`${status} ${code}`, refusal, request.url);
        assert(!('Access-Control-Allow-Origin' in headers));
      }
      assert.equal(await tell({ url: blobUrl, peer: { ...outside, address: '10.1.2.3' } }), '200');
    });
  });

  test('without public access has none, and makes none', async () => {
    await withTokens(async ({ set, client }) => {
      await client.container('public', { 'x-ms-blob-public-access': 'container' });
      const url = `/${testAccount}/public/a`;
      assert.equal((await client.put(url, 'x')).status, 201);
      assert.equal((await client.send({ url, key: null })).status, 200);
      await set({ publicAccess: false });
      const told = async (request: WholeRequest): Promise<string> => {
        const { status, code } = await client.send(request);
        return `${status} ${code}`;
      };
      assert.equal(await told({ url, key: null }), '409 PublicAccessNotPermitted');
      const headers = { 'x-ms-blob-public-access': 'blob' };
      const create = { method: 'PUT', url: `/${testAccount}/new?restype=container` };
      assert.equal(await told({ ...create, headers }), '409 PublicAccessNotPermitted');
      assert.equal(
        await told({ method: 'PUT', url: `/${testAccount}/docs?restype=container&comp=acl`, headers }),
        '409 PublicAccessNotPermitted',
      );
      assert.equal(await told(create), '201 undefined');
    });
  });
});
