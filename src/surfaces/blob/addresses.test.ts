// What an address names: dots and backslashes in names, whole addresses in the request line, and what a listing may show.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { testAccount } from './call.testing.ts';
import { sasFor, type TestClient, type WholeRequest, withClient } from './dispatch.testing.ts';

const at = (name: string): string => `/${testAccount}/docs/${name}`;
const put = (name: string): WholeRequest => ({
  method: 'PUT',
  url: at(name),
  headers: { 'x-ms-blob-type': 'BlockBlob' },
  body: name,
});

async function names(client: TestClient): Promise<string[]> {
  const { text } = await client.send({ url: `/${testAccount}/docs?restype=container&comp=list` });
  return [...text.matchAll(/<Name>(.*?)<\/Name>/g)].map(([, name]) => name as string);
}

describe('dots in a name', () => {
  test('are resolved as in any address, however they are written', async () => {
    for (const [asked, stored] of [
      ['./a', 'a'],
      ['a/./c', 'a/c'],
      ['a/../b', 'b'],
      ['a/b/..', 'a/'],
      ['a/b/.', 'a/b/'],
      ['%2E/a', 'a'],
      ['.%2Fa', 'a'],
      ['a/%2e%2E/b', 'b'],
      ['a%5C..%5Cb', 'b'],
      ['a//../b', 'a/b'],
    ] as const) {
      await withClient(async (client) => {
        assert.equal((await client.send(put(asked))).status, 201, asked);
        assert.deepEqual(await names(client), [stored], asked);
        assert.equal((await client.send({ url: at(asked) })).text, asked);
        assert.equal((await client.send({ method: 'DELETE', url: at(stored) })).status, 202);
      });
    }
  });

  test('lead nowhere out of the container, and name something', async () => {
    await withClient(async (client) => {
      await client.container('other');
      for (const name of ['..', '.', '../x', 'a/../..', 'a/..', '../other/x', '%2e%2e/other/x', 'a/../../other/x']) {
        const { status, code } = await client.send(put(name));
        assert.deepEqual([status, code], [400, 'InvalidUri'], name);
      }
      assert.deepEqual(await names(client), []);
    });
  });

  test('that are no part of their own stay, at the end too', async () => {
    await withClient(async (client) => {
      const all = ['...', '..a', '.a', 'a.', 'a..', 'a./b', 'dir./f'];
      for (const name of all) assert.equal((await client.send(put(name))).status, 201);
      assert.deepEqual(await names(client), [...all].sort());
      for (const name of all) assert.equal((await client.send({ url: at(name) })).text, name);
    });
  });

  test('of a source are resolved too', async () => {
    await withClient(async (client) => {
      await client.send(put('a'));
      const headers = { 'x-ms-copy-source': `http://127.0.0.1:10000${at('x/../a')}` };
      assert.equal((await client.send({ method: 'PUT', url: at('b'), headers })).status, 202);
      assert.equal((await client.send({ url: at('b') })).text, 'a');
    });
  });
});

test('a request line may name the whole address, and its host is the one that counts', async () => {
  await withClient(async (client) => {
    await client.send(put('a'));
    const { url } = { url: at('a') };
    for (const whole of [`http://127.0.0.1:10000${url}`, `https://elsewhere:1${url}`]) {
      assert.equal((await client.send({ url, line: whole })).text, 'a', whole);
    }
    const hostStyle = await client.send({ url: '/docs/a', line: `http://${testAccount}.blob.localhost/docs/a` });
    assert.equal(hostStyle.text, 'a');
    for (const line of ['*', 'docs/a', 'ftp://127.0.0.1/x']) {
      const { status, code } = await client.send({ url, line });
      assert.deepEqual([status, code], [400, 'InvalidUri'], line);
    }
  });
});

test('metadata is plain text', async () => {
  await withClient(async (client) => {
    for (const value of ['caf\u00e9', 'a\u007fb', 'a\u0001b']) {
      const headers = { 'x-ms-blob-type': 'BlockBlob', 'x-ms-meta-a': value };
      const { status, code } = await client.send({ method: 'PUT', url: at('a'), headers });
      assert.deepEqual([status, code], [400, 'InvalidMetadata'], value);
    }
  });
});

test('a signature to list shows versions and what was deleted, and tags only to who may read tags', async () => {
  await withClient(async (client) => {
    await client.put(at('a'), 'x', { 'x-ms-tags': 'a=b' });
    const list = `/${testAccount}/docs?restype=container&comp=list`;
    const signed = (sp: string, include: string): WholeRequest => {
      const fields = { sv: '2024-11-04', sr: 'c', sp, se: '2030-01-01T00:00:00Z' };
      return { url: `${list}&include=${include}&${sasFor(`/${testAccount}/docs`, fields)}`, key: null };
    };
    for (const include of ['metadata', 'versions', 'deleted', 'snapshots', 'uncommittedblobs', 'deletedwithversions']) {
      assert.equal((await client.send(signed('l', include))).status, 200, include);
    }
    const { status, code } = await client.send(signed('l', 'tags'));
    assert.deepEqual([status, code], [403, 'AuthorizationPermissionMismatch']);
    assert.match((await client.send(signed('lt', 'tags'))).text, /<Key>a<\/Key>/);
  });
});

describe('conditions', () => {
  const etags = (...all: (string | undefined)[]): string => all.map((etag) => etag ?? '"0x1"').join(', ');
  const early = new Date(0).toUTCString();
  const late = new Date(Date.UTC(2030, 0)).toUTCString();

  test('of a read may be lists of ETags, and go together', async () => {
    await withClient(async (client) => {
      const pages = { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '512' };
      const etag = `${(await client.send({ method: 'PUT', url: at('a'), headers: pages })).headers.ETag}`;
      for (const [headers, status] of [
        [{ 'if-match': etags(undefined, etag) }, 200],
        [{ 'if-match': etags(undefined, undefined) }, 412],
        [{ 'if-none-match': etags(undefined, etag) }, 304],
        [{ 'if-none-match': etags(undefined, undefined) }, 200],
        [{ 'if-match': etag, 'if-unmodified-since': early }, 412],
        [{ 'if-match': etag, 'if-unmodified-since': late }, 200],
        [{ 'if-match': etag, 'if-unmodified-since': late, 'if-none-match': etag, 'if-modified-since': early }, 200],
        [{ 'if-match': etag, 'if-unmodified-since': late, 'if-none-match': etag, 'if-modified-since': late }, 304],
        [{ 'if-none-match': etag, 'if-modified-since': early }, 200],
        [{ 'if-none-match': '"0x1"', 'if-modified-since': late }, 200],
      ] as const) {
        for (const [method, query] of [
          ['GET', ''],
          ['HEAD', ''],
          ['GET', '?comp=pagelist'],
        ] as const) {
          const answered = await client.send({ method, url: `${at('a')}${query}`, headers });
          assert.equal(answered.status, status, `${method} ${query} ${JSON.stringify(headers)}`);
        }
      }
    });
  });

  test('of a write are one ETag, and only the pairs that go together', async () => {
    await withClient(async (client) => {
      const etag = `${(await client.put(at('a'))).headers.ETag}`;
      const set = (headers: Record<string, string>): WholeRequest => ({
        method: 'PUT',
        url: `${at('a')}?comp=lease`,
        headers: { 'x-ms-lease-action': 'break', ...headers },
      });
      for (const headers of [
        { 'if-match': etags(undefined, etag) },
        { 'if-none-match': etags(undefined, undefined) },
        { 'if-match': etag, 'if-none-match': '"0x1"' },
        { 'if-match': etag, 'if-modified-since': early },
        { 'if-unmodified-since': late, 'if-modified-since': early },
      ]) {
        const { status, code } = await client.send(set(headers));
        assert.deepEqual([status, code], [400, 'MultipleConditionHeadersNotSupported'], JSON.stringify(headers));
      }
      for (const headers of [
        { 'if-match': etag, 'if-unmodified-since': early },
        { 'if-none-match': '"0x1"', 'if-modified-since': late },
      ]) {
        const { status, code } = await client.send(set(headers));
        assert.deepEqual([status, code], [409, 'LeaseNotPresentWithLeaseOperation'], 'of two, the ETag decides');
      }
    });
  });

  test('that there be nothing are for what makes a blob; with the id of its lease they say nothing', async () => {
    const id = '11111111-1111-1111-1111-111111111111';
    const isNew = { 'if-none-match': '*' };
    const make = (headers: Record<string, string> = {}): WholeRequest => ({
      method: 'PUT',
      url: at('a'),
      headers: { 'x-ms-blob-type': 'BlockBlob', ...isNew, ...headers },
    });
    await withClient(async (client) => {
      assert.equal((await client.send(make())).status, 201);
      const again = await client.send(make());
      assert.deepEqual([again.status, again.code], [409, 'BlobAlreadyExists']);
      for (const comp of ['metadata', 'properties', 'snapshot']) {
        const { status } = await client.send({ method: 'PUT', url: `${at('a')}?comp=${comp}`, headers: isNew });
        assert.ok(status < 300, comp);
      }
      const lease = {
        'x-ms-lease-action': 'acquire',
        'x-ms-lease-duration': '-1',
        'x-ms-proposed-lease-id': id,
      };
      await client.send({ method: 'PUT', url: `${at('a')}?comp=lease`, headers: lease });
      const unleased = await client.send(make());
      assert.deepEqual([unleased.status, unleased.code], [412, 'LeaseIdMissing'], 'the lease is asked first');
      assert.equal((await client.send(make({ 'x-ms-lease-id': id }))).status, 201);
      const remove = { method: 'DELETE', url: at('a') };
      const headers = { ...isNew, 'x-ms-lease-id': id, 'x-ms-delete-snapshots': 'include' };
      assert.equal((await client.send({ ...remove, headers })).status, 202);
    });
  });
});
