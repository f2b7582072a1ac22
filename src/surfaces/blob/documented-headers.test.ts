// Headers and parameters that few operations take: what they must not be is left unseen.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { crc64, crc64ToBase64 } from '../../codec/crc64.ts';
import { testAccount } from './call.testing.ts';
import { refused, type WholeRequest, withClient } from './dispatch.testing.ts';

const at = (path: string): string => `/${testAccount}/docs/${path}`;
const md5 = (text: string): string => createHash('md5').update(text).digest('base64');

function keyHeaders(fill: number): Record<string, string> {
  const key = Buffer.alloc(32, fill);
  return {
    'x-ms-encryption-key': key.toString('base64'),
    'x-ms-encryption-key-sha256': createHash('sha256').update(key).digest('base64'),
    'x-ms-encryption-algorithm': 'AES256',
  };
}

test('tags take conditions on their blob, and the sums of their body', async () => {
  await withClient(async (client) => {
    const { headers: made } = await client.put(at('a'));
    const url = at('a?comp=tags');
    const body = '<Tags><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tags>';
    const set = (headers: Record<string, string>) => ({ method: 'PUT', url, body, headers });
    const etag = { 'x-ms-blob-if-match': `${made.ETag}` };
    await refused(client, set({ 'x-ms-blob-if-match': '"other"' }), 412, 'ConditionNotMet');
    await refused(client, set({ ...etag, 'content-md5': md5('other') }), 400, 'Md5Mismatch');
    await refused(client, set({ 'x-ms-content-crc64': 'AAAAAAAAAAA=' }), 400, 'Crc64Mismatch');
    assert.equal((await client.send({ url })).text.includes('<Tag>'), false);
    assert.equal((await client.send(set({ ...etag, 'content-md5': md5(body) }))).status, 204);
    assert.equal((await client.send({ url, headers: etag })).text.includes('<Key>a</Key>'), true);
    const old = { 'x-ms-blob-if-unmodified-since': 'Thu, 01 Jan 2026 00:00:00 GMT' };
    await refused(client, { url, headers: old }, 412, 'ConditionNotMet');
  });
});

test('a snapshot keeps its block list, and has no staged blocks', async () => {
  await withClient(async (client) => {
    const ids = ['one', 'two'].map((id) => Buffer.from(id).toString('base64'));
    const stage = (id: string) => client.put(at(`a?comp=block&blockid=${encodeURIComponent(id)}`), 'text');
    const commit = (list: readonly string[]) => {
      const body = `<BlockList>${list.map((id) => `<Latest>${id}</Latest>`).join('')}</BlockList>`;
      return client.send({ method: 'PUT', url: at('a?comp=blocklist'), body });
    };
    for (const id of ids) assert.equal((await stage(id)).status, 201);
    assert.equal((await commit(ids)).status, 201);
    const { headers } = await client.send({ method: 'PUT', url: at('a?comp=snapshot') });
    const time = `${headers['x-ms-snapshot']}`;
    assert.equal((await commit(ids.slice(0, 1))).status, 201);
    await stage(ids[1] as string);
    const list = async (query: string) => {
      const { text } = await client.send({ url: at(`a?comp=blocklist&blocklisttype=all${query}`) });
      return [...text.matchAll(/<Name>([^<]+)</g)].map(([, id]) => id);
    };
    assert.deepEqual(await list(`&snapshot=${time}`), ids);
    assert.deepEqual(await list(''), ids);
    const { text } = await client.send({ url: at(`a?comp=blocklist&blocklisttype=uncommitted&snapshot=${time}`) });
    assert.ok(text.includes('<UncommittedBlocks />'), text);
    const none = '2020-01-01T00:00:00.0000000Z';
    await refused(client, { url: at(`a?comp=blocklist&snapshot=${none}`) }, 404, 'BlobNotFound');
    await refused(client, { url: at(`a?comp=blocklist&blocklisttype=all&snapshot=${none}`) }, 404, 'BlobNotFound');
  });
});

test('pages under a key are cleared with that key only', async () => {
  await withClient(async (client) => {
    const made = { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '1024', ...keyHeaders(1) };
    assert.equal((await client.send({ method: 'PUT', url: at('disk'), headers: made })).status, 201);
    const clear = (headers: Record<string, string>): WholeRequest => ({
      method: 'PUT',
      url: at('disk?comp=page'),
      headers: { 'x-ms-page-write': 'clear', 'x-ms-range': 'bytes=0-511', ...headers },
    });
    await refused(client, clear({}), 409, 'BlobUsesCustomerSpecifiedEncryption');
    await refused(client, clear(keyHeaders(2)), 409, 'BlobCustomerSpecifiedEncryptionMismatch');
    assert.equal((await client.send(clear(keyHeaders(1)))).status, 201);
  });
});

test('a blob is deleted by the time of its tier', async () => {
  await withClient(async (client) => {
    const modified = 'x-ms-access-tier-if-modified-since';
    const unmodified = 'x-ms-access-tier-if-unmodified-since';
    const remove = (headers: Record<string, string>, query = ''): WholeRequest => ({
      method: 'DELETE',
      url: at(`a${query}`),
      headers,
    });
    const now = (): string => new Date(client.surface.clock.now()).toUTCString();
    await client.put(at('a'), 'stays');
    // No tier was ever set.
    await refused(client, remove({ [modified]: 'Thu, 01 Jan 1970 00:00:00 GMT' }), 412, 'ConditionNotMet');
    await refused(
      client,
      remove({ [modified]: now(), [unmodified]: now() }),
      400,
      'MultipleConditionHeadersNotSupported',
    );
    await refused(client, remove({ [unmodified]: 'today' }), 400, 'InvalidHeaderValue');
    const before = now();
    client.surface.clock.advance(2000);
    const tier = { 'x-ms-access-tier': 'Cool' };
    assert.equal((await client.send({ method: 'PUT', url: at('a?comp=tier'), headers: tier })).status, 200);
    await refused(client, remove({ [unmodified]: before }), 412, 'ConditionNotMet');
    await refused(client, remove({ [modified]: now() }), 412, 'ConditionNotMet');
    const { headers } = await client.send({ method: 'PUT', url: at('a?comp=snapshot') });
    const snapshot = `?snapshot=${headers['x-ms-snapshot']}`;
    await refused(client, remove({ [unmodified]: before }, snapshot), 412, 'ConditionNotMet');
    assert.equal((await client.send(remove({ [unmodified]: now() }, snapshot))).status, 202);
    assert.equal((await client.send({ url: at('a') })).text, 'stays');
    assert.equal((await client.send(remove({ [modified]: before }))).status, 202);
    await client.put(at('a'));
    assert.equal((await client.send(remove({ [unmodified]: before }))).status, 202);
  });
});

test('a read tells the tier, from the version on that does', async () => {
  await withClient(async (client) => {
    const read = async (version: string, headers = {}) => {
      const answer = await client.send({ url: at('a'), headers: { 'x-ms-version': version, ...headers } });
      const names = ['x-ms-access-tier', 'x-ms-access-tier-inferred', 'x-ms-access-tier-change-time'];
      return names.map((name) => answer.headers[name]);
    };
    await client.put(at('a'));
    assert.deepEqual(await read('2026-06-06'), [undefined, undefined, undefined]);
    assert.deepEqual(await read('2026-10-06'), ['Hot', 'true', undefined]);
    const tier = { 'x-ms-access-tier': 'Cool' };
    const changed = new Date(client.surface.clock.now()).toUTCString();
    await client.send({ method: 'PUT', url: at('a?comp=tier'), headers: tier });
    client.surface.clock.advance(5000);
    assert.deepEqual(await read('2026-10-06'), ['Cool', undefined, changed]);
    assert.deepEqual(await read('2026-10-06', { 'x-ms-range': 'bytes=0-0' }), ['Cool', undefined, changed]);
  });
});

test('a block is answered with both sums, from the version on that has both', async () => {
  await withClient(async (client) => {
    const stage = async (version: string, headers = {}) => {
      const url = at('a?comp=block&blockid=MQ%3D%3D');
      const answer = await client.put(url, 'text', { 'x-ms-version': version, ...headers });
      return [answer.headers['Content-MD5'], answer.headers['x-ms-content-crc64']];
    };
    const crc = crc64ToBase64(crc64(Buffer.from('text')));
    const given = { 'content-md5': md5('text') };
    assert.deepEqual(await stage('2026-06-06'), [undefined, crc]);
    assert.deepEqual(await stage('2026-06-06', given), [md5('text'), undefined]);
    assert.deepEqual(await stage('2026-10-06'), [undefined, crc]);
    assert.deepEqual(await stage('2026-10-06', given), [md5('text'), crc]);
  });
});

test('times that are not kept are refused, and nothing is done', async () => {
  await withClient(async (client) => {
    await client.put(at('a'), 'stays');
    const since = 'Thu, 01 Jan 2026 00:00:00 GMT';
    const expiring = { 'x-ms-blob-type': 'BlockBlob', 'x-ms-expiry-option': 'Absolute', 'x-ms-expiry-time': since };
    await refused(client, { method: 'PUT', url: at('a'), body: 'goes', headers: expiring }, 400, 'UnsupportedHeader');
    assert.equal((await client.send({ url: at('a') })).text, 'stays');
  });
});

test('a search by tags that would leave out versions is refused', async () => {
  await withClient(async (client) => {
    await client.put(at('a'), 'x', { 'x-ms-tags': 'a=b' });
    const find = (include: string): WholeRequest => ({
      url: `/${testAccount}?comp=blobs&where=${encodeURIComponent("a='b'")}${include}`,
    });
    await refused(client, find('&include=versions'), 400, 'InvalidQueryParameterValue');
    for (const include of ['', '&include=', '&include=none']) {
      assert.ok((await client.send(find(include))).text.includes('<Name>a</Name>'), include);
    }
  });
});

test('properties are set with the scope that the blob has, or with none', async () => {
  await withClient(async (client) => {
    await client.put(at('a'));
    const set = (scope: string): WholeRequest => ({
      method: 'PUT',
      url: at('a?comp=properties'),
      headers: { 'x-ms-blob-content-type': 'text/plain', 'x-ms-encryption-scope': scope },
    });
    assert.equal((await client.send(set('$account-encryption-key'))).status, 200);
    assert.equal((await client.send(set('other'))).status, 409);
  });
});
