// Static websites through whole requests: who reads, what stands for a directory, and what is not there.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openTestSurface, testAccount } from './call.testing.ts';
import { type Answered, TestClient } from './dispatch.testing.ts';

const at = (path: string): string => `/${testAccount}/${path}`;

async function withSite(
  site: string,
  work: (get: (path: string, more?: object) => Promise<Answered>, client: TestClient) => Promise<void>,
) {
  await using surface = await openTestSurface();
  const client = new TestClient(surface);
  const properties = `/${testAccount}?restype=service&comp=properties`;
  const body = `<StorageServiceProperties><StaticWebsite>${site}</StaticWebsite></StorageServiceProperties>`;
  assert.equal((await client.send({ method: 'PUT', url: properties, body })).status, 202);
  if (site !== on) await client.container('$web');
  for (const name of ['index.html', 'docs/index.html', 'docs/a b.html', '404.html']) {
    await client.put(at(`$web/${encodeURIComponent(name)}`), `<${name}>`, { 'x-ms-blob-content-type': 'text/html' });
  }
  await work(
    (path, more) =>
      client.send({ url: path, key: null, headers: { host: `${testAccount}.web.localhost:10000` }, ...more }),
    client,
  );
}

const on =
  '<Enabled>true</Enabled><IndexDocument>index.html</IndexDocument><ErrorDocument404Path>404.html</ErrorDocument404Path>';

describe('a website', () => {
  test('is read by anybody, with an index document for each directory', async () => {
    await withSite(on, async (get) => {
      const home = await get('/');
      assert.deepEqual([home.status, home.text, home.headers['Content-Type']], [200, '<index.html>', 'text/html']);
      assert.equal((await get('/docs/')).text, '<docs/index.html>');
      assert.equal((await get('/docs')).text, '<docs/index.html>');
      assert.equal((await get('/docs/a%20b.html?v=1')).text, '<docs/a b.html>');
    });
  });

  test('has a page for what is not there, and takes no changes', async () => {
    await withSite(on, async (get) => {
      const missing = await get('/nothing', {
        headers: { host: `${testAccount}.z5.web.localhost`, range: 'bytes=0-1' },
      });
      assert.deepEqual([missing.status, missing.text], [404, '<404.html>']);
      assert.equal((await get('/index.html', { method: 'PUT', body: 'x' })).status, 405);
      assert.equal((await get('/?restype=container&comp=list')).text, '<index.html>');
    });
  });

  test('has its container from when it is switched on, and keeps what is in it when it is once more', async () => {
    await withSite(on, async (get, client) => {
      const body = `<StorageServiceProperties><StaticWebsite>${on}</StaticWebsite></StorageServiceProperties>`;
      const url = `/${testAccount}?restype=service&comp=properties`;
      assert.equal((await client.send({ method: 'PUT', url, body })).status, 202);
      assert.equal((await get('/')).text, '<index.html>');
    });
  });

  test('tells nothing of tags and leases, by whatever condition it is asked', async () => {
    await withSite(on, async (get, client) => {
      const put = { 'x-ms-blob-content-type': 'text/html', 'x-ms-tags': 'plan=merger' };
      assert.equal((await client.put(at('$web/index.html'), '<index.html>', put)).status, 201);
      const host = `${testAccount}.web.localhost:10000`;
      const lease = '11111111-2222-3333-4444-555555555555';
      for (const asked of [
        { 'x-ms-if-tags': `"plan" = 'merger'` },
        { 'x-ms-if-tags': `"plan" = 'other'` },
        { 'x-ms-if-tags': 'nonsense' },
        { 'x-ms-lease-id': lease },
      ]) {
        const answered = await get('/', { headers: { host, ...asked } });
        assert.deepEqual([answered.status, answered.text], [200, '<index.html>'], JSON.stringify(asked));
      }
      const { headers } = await get('/');
      const etag = { host, 'if-none-match': `${headers.ETag}` };
      assert.equal((await get('/', { headers: etag })).status, 304);
    });
  });

  test('that is off has nothing', async () => {
    await withSite('<Enabled>false</Enabled>', async (get) => {
      const answer = await get('/index.html');
      assert.deepEqual([answer.status, answer.code], [404, 'WebContentNotFound']);
    });
  });
});
