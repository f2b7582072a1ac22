// What every operation shares: versions, ids, addresses, refusals, checksums and limits, through the whole surface.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { crc64, crc64ToBase64 } from '../../codec/crc64.ts';
import { testAccount } from './call.testing.ts';
import { type Answered, refused, sasFor, TestClient, type WholeRequest, withClient } from './dispatch.testing.ts';
import { newestVersion, versions } from './versions.ts';

const at = (path: string): string => `/${testAccount}/${path}`;
const md5 = (text: string): string => createHash('md5').update(text).digest('base64');
const crc = (text: string): string => crc64ToBase64(crc64(Buffer.from(text)));

describe('the version', () => {
  const asked = (version: string): WholeRequest => ({ url: at('docs/a'), headers: { 'x-ms-version': version } });

  test('is answered as it was asked for; a newer one as the newest', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/a'));
      for (const version of versions) {
        assert.equal((await client.send(asked(version))).headers['x-ms-version'], version);
      }
      const newer = await client.send(asked('2099-01-01'));
      assert.deepEqual([newer.status, newer.headers['x-ms-version']], [200, newestVersion]);
    });
  });

  test('is refused where it is none, is too old, or is unknown and the server is strict', async () => {
    await withClient(async (client, surface) => {
      for (const version of ['banana', '2009-07-17', '2020-01-01']) {
        await refused(client, asked(version), 400, 'InvalidHeaderValue');
      }
      const strict = new TestClient(surface, { strictVersions: true });
      await refused(strict, asked('2099-01-01'), 400, 'InvalidHeaderValue');
    });
  });

  test('is the signature’s or the account’s where the request names none', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/a'));
      const none = asked('');
      assert.equal((await client.send(none)).headers['x-ms-version'], newestVersion);
      assert.equal((await client.send({ ...none, key: null })).headers['x-ms-version'], '2009-09-19');
      const properties = '<DefaultServiceVersion>2020-10-02</DefaultServiceVersion>';
      await client.send({
        method: 'PUT',
        url: `/${testAccount}?restype=service&comp=properties`,
        body: `<StorageServiceProperties>${properties}</StorageServiceProperties>`,
      });
      assert.equal((await client.send(none)).headers['x-ms-version'], '2020-10-02');
      const anonymous = await client.send({ ...none, key: null });
      assert.equal(anonymous.headers['x-ms-version'], '2020-10-02');
      // The signature's own version; what a header or `api-version` says counts beside newer ones only.
      for (const [sv, header, parameter, served] of [
        ['2021-12-02', '', '', '2021-12-02'],
        ['2018-11-09', '', '', '2018-11-09'],
        ['2019-10-10', '', '', '2019-07-07'],
        ['2014-02-14', '', '2018-03-28', '2018-03-28'],
        ['2014-02-14', '2017-04-17', '2018-03-28', '2017-04-17'],
        ['2013-08-15', '2021-12-02', '2018-03-28', '2013-08-15'],
        ['2012-02-12', '2021-12-02', '', '2012-02-12'],
        ['', '', '', '2020-10-02'],
        ['', '2017-04-17', '', '2017-04-17'],
      ] as const) {
        const se = new Date(client.surface.clock.now() + 3_599_000).toISOString().replace(/\.\d+/, '');
        const sas = sasFor(at('docs/a'), { ...(sv !== '' && { sv }), sr: 'b', sp: 'r', se });
        const url = `${at('docs/a')}?${sas}${parameter === '' ? '' : `&api-version=${parameter}`}`;
        const answered = await client.send({ url, headers: { 'x-ms-version': header }, key: null });
        assert.deepEqual([answered.status, answered.headers['x-ms-version']], [200, served], `${sv} ${header}`);
      }
    });
  });
});

describe('an answer', () => {
  test('has an id of its own and the client’s, also where it is a refusal', async () => {
    await withClient(async (client) => {
      const headers = { 'x-ms-client-request-id': 'mine' };
      const first = await client.send({ url: at('docs?restype=container'), headers });
      const second = await refused(client, { url: at('docs/none'), headers }, 404, 'BlobNotFound');
      for (const answered of [first, second]) assert.equal(answered.headers['x-ms-client-request-id'], 'mine');
      assert.notEqual(first.headers['x-ms-request-id'], second.headers['x-ms-request-id']);
      assert.match(second.text, new RegExp(`RequestId:${second.headers['x-ms-request-id']}\n`));
      const odd = await client.send({ url: at('docs/none'), headers: { 'x-ms-client-request-id': 'a\nb' } });
      assert.equal(odd.headers['x-ms-client-request-id'], undefined);
    });
  });

  test('of a verb that a resource does not have names those that it has', async () => {
    await withClient(async (client) => {
      const { headers } = await refused(client, { method: 'PATCH', url: at('docs/a') }, 405, 'UnsupportedHttpVerb');
      assert.equal(headers.Allow, 'GET,HEAD,PUT,DELETE');
    });
  });

  test('of what no account here has is as of such an account, of what is not documented 400', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/a'), 'stays');
      const request = (method: string, query: string, headers = {}): WholeRequest => ({
        method,
        url: at(`docs/a?${query}`),
        headers,
      });
      await refused(client, request('PUT', 'comp=expiry'), 400, 'HierarchicalNamespaceNotEnabled');
      const missing = { method: 'PUT', url: at('docs/none?comp=expiry') };
      await refused(client, missing, 400, 'HierarchicalNamespaceNotEnabled');
      const stats = { url: `/${testAccount}/?restype=service&comp=stats` };
      await refused(client, stats, 400, 'InvalidQueryParameterValue');
      await refused(client, request('GET', 'comp=nonsense'), 400, 'InvalidQueryParameterValue');
      await refused(client, request('GET', 'comp=tags&comp=tags'), 400, 'InvalidQueryParameterValue');
      const encrypted = { 'x-ms-blob-type': 'BlockBlob', 'x-ms-file-request-intent': 'backup' };
      await refused(client, { method: 'PUT', url: at('docs/a'), headers: encrypted }, 400, 'UnsupportedHeader');
      assert.equal((await client.send({ url: at('docs/a') })).text, 'stays');
    });
  });
});

describe('an address', () => {
  test('has a backslash for a slash, and a plus in its query for a space', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/with%20space%5Cb+c'), 'hello');
      assert.equal((await client.send({ url: at('docs/with%20space/b+c') })).text, 'hello');
      const { text } = await client.send({ url: at('docs?restype=container&comp=list&prefix=with+space%2F') });
      assert.match(text, /<Name>with space\/b\+c<\/Name>/);
    });
  });

  test('names the account by its host, too', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/a'), 'hello');
      const headers = { host: `${testAccount}.blob.storage.example` };
      assert.equal((await client.send({ url: '/docs/a', headers })).text, 'hello');
    });
  });

  test('that is no UTF-8, is too long or has a NUL is refused', async () => {
    await withClient(async (client) => {
      await refused(client, { url: at('docs/%ff') }, 400, 'InvalidUri');
      await refused(client, { url: at('docs/a%00b') }, 400, 'InvalidUri');
      assert.equal((await client.put(at(`docs/${'a'.repeat(1024)}`))).status, 201);
      await refused(client, { url: at(`docs/${'a'.repeat(1025)}`) }, 400, 'OutOfRangeInput');
      await refused(client, { url: at(`docs/${'a/'.repeat(300)}a`) }, 400, 'InvalidUri');
    });
  });
});

describe('a body', () => {
  const typed = { 'x-ms-blob-type': 'BlockBlob' };

  test('is summed both ways, and refused where a sum is another', async () => {
    await withClient(async (client) => {
      const { headers } = await client.put(at('docs/a'), 'hello');
      assert.deepEqual([headers['Content-MD5'], headers['x-ms-content-crc64']], [md5('hello'), crc('hello')]);
      for (const url of [at('docs/b'), at('docs/b?comp=block&blockid=MQ%3D%3D')]) {
        const wrongMd5 = { ...typed, 'content-md5': md5('other') };
        const first = await refused(
          client,
          { method: 'PUT', url, body: 'hello', headers: wrongMd5 },
          400,
          'Md5Mismatch',
        );
        const sums = `<UserSpecifiedMd5>${md5('other')}</UserSpecifiedMd5><ServerCalculatedMd5>${md5('hello')}</ServerCalculatedMd5>`;
        assert.ok(first.text.includes(sums), first.text);
        const wrongCrc = { ...typed, 'x-ms-content-crc64': crc('other') };
        const second = await refused(
          client,
          { method: 'PUT', url, body: 'hello', headers: wrongCrc },
          400,
          'Crc64Mismatch',
        );
        const crcs = `<UserSpecifiedCrc>${crc('other')}</UserSpecifiedCrc><ServerCalculatedCrc>${crc('hello')}</ServerCalculatedCrc>`;
        assert.ok(second.text.includes(crcs), second.text);
        const both = { ...typed, 'content-md5': md5('hello'), 'x-ms-content-crc64': crc('hello') };
        const twice = { method: 'PUT', url, body: 'hello', headers: both };
        await refused(client, twice, 400, 'BothCrc64AndMd5HeaderPresent');
        const malformed = { ...typed, 'content-md5': 'c2hvcnQ=' };
        await refused(client, { method: 'PUT', url, body: 'hello', headers: malformed }, 400, 'InvalidMd5');
      }
      await refused(client, { url: at('docs/b') }, 404, 'BlobNotFound');
      // The sum that the blob keeps stands in for that of the request.
      const ofBlob = (sum: string, ofBody: string) => ({
        'x-ms-blob-content-md5': md5(sum),
        'content-md5': md5(ofBody),
      });
      await refused(
        client,
        { method: 'PUT', url: at('docs/b'), body: 'hello', headers: { ...typed, ...ofBlob('other', 'hello') } },
        400,
        'Md5Mismatch',
      );
      const kept = await client.put(at('docs/kept'), 'hello', ofBlob('hello', 'other'));
      assert.deepEqual([kept.status, kept.headers['Content-MD5']], [201, md5('hello')]);
      const block = { method: 'PUT', url: at('docs/b?comp=block&blockid=MQ%3D%3D'), body: 'hello' };
      const plain = await client.send(block);
      assert.deepEqual([plain.headers['Content-MD5'], plain.headers['x-ms-content-crc64']], [undefined, crc('hello')]);
      const summed = await client.send({ ...block, headers: { 'content-md5': md5('hello') } });
      assert.deepEqual(
        [summed.headers['Content-MD5'], summed.headers['x-ms-content-crc64']],
        [md5('hello'), undefined],
      );
    });
  });

  test('of a block list is summed, and read strictly', async () => {
    await withClient(async (client) => {
      const url = at('docs/a?comp=blocklist');
      const send = (body: string, headers = {}): WholeRequest => ({ method: 'PUT', url, body, headers });
      const list = '<?xml version="1.0" encoding="utf-8"?><BlockList></BlockList>';
      await refused(client, send(list, { 'content-md5': md5('other') }), 400, 'Md5Mismatch');
      await refused(client, send(list, { 'x-ms-content-crc64': crc('other') }), 400, 'Crc64Mismatch');
      await refused(client, send('<BlockList><Latest>'), 400, 'InvalidXmlDocument');
      await refused(client, send('<Blocks></Blocks>'), 400, 'InvalidXmlDocument');
      await refused(client, send('<BlockList><Other>MQ==</Other></BlockList>'), 400, 'InvalidXmlDocument');
      await refused(client, send('<BlockList><Latest>MQ==</Latest></BlockList>'), 400, 'InvalidBlockList');
      await refused(client, { url: at('docs/a') }, 404, 'BlobNotFound');
      const made = await client.send(send(list, { 'content-md5': md5(list) }));
      assert.equal(made.status, 201);
      assert.deepEqual([made.headers['Content-MD5'], made.headers['x-ms-content-crc64']], [md5(list), crc(list)]);
    });
  });

  test('needs a length, and keeps to its limit', async () => {
    await withClient(async (client, surface) => {
      const headers = { ...typed, 'content-length': '' };
      const url = at('docs/a');
      await refused(client, { method: 'PUT', url, body: 'hello', headers }, 411, 'MissingContentLengthHeader');
      const list = { method: 'PUT', url: at('docs/a?comp=blocklist'), headers: { 'content-length': '' } };
      await refused(client, list, 411, 'MissingContentLengthHeader');
      const chunked = { ...headers, 'transfer-encoding': 'chunked' };
      await refused(client, { method: 'PUT', url, body: 'hello', headers: chunked }, 411, 'MissingContentLengthHeader');
      const small = new TestClient(surface, { bodyBytesMax: 4 });
      await refused(small, { method: 'PUT', url, body: 'hello', headers: typed }, 413, 'RequestBodyTooLarge');
      assert.equal((await client.send({ method: 'PUT', url, body: 'hello', headers: typed })).status, 201);
      const short = { ...typed, 'content-length': '6' };
      await refused(client, { method: 'PUT', url, body: 'other', headers: short }, 400, 'InvalidInput');
      assert.equal((await client.send({ url })).text, 'hello');
    });
  });

  test('of a block has an id of at most 64 bytes, of one length', async () => {
    await withClient(async (client) => {
      const block = (id: Buffer | string, body = 'x'): WholeRequest => {
        const text = typeof id === 'string' ? id : id.toString('base64');
        return { method: 'PUT', url: at(`docs/a?comp=block&blockid=${encodeURIComponent(text)}`), body };
      };
      assert.equal((await client.send(block(Buffer.alloc(64)))).status, 201);
      await refused(client, block(Buffer.alloc(65)), 400, 'OutOfRangeInput');
      await refused(client, block(Buffer.alloc(63)), 400, 'InvalidBlobOrBlock');
      await refused(client, block('not base64!'), 400, 'InvalidQueryParameterValue');
      await refused(client, block(''), 400, 'MissingRequiredQueryParameter');
      await refused(client, block(Buffer.alloc(64), ''), 400, 'InvalidHeaderValue');
    });
  });
});

describe('metadata', () => {
  const put = (headers: Record<string, string>): WholeRequest => ({
    method: 'PUT',
    url: at('docs/a'),
    headers: { 'x-ms-blob-type': 'BlockBlob', ...headers },
  });

  test('keeps the case of its names, and to the documented rules', async () => {
    await withClient(async (client) => {
      assert.equal((await client.send(put({ 'x-ms-meta-One': ' 1 ', 'x-ms-meta-_2': '2' }))).status, 201);
      const { headers } = await client.send({ method: 'HEAD', url: at('docs/a') });
      assert.deepEqual([headers['x-ms-meta-One'], headers['x-ms-meta-_2']], ['1', '2']);
      await refused(client, put({ 'x-ms-meta-': 'x' }), 400, 'EmptyMetadataKey');
      await refused(client, put({ 'x-ms-meta-1a': 'x' }), 400, 'InvalidMetadata');
      await refused(client, put({ 'x-ms-meta-a-b': 'x' }), 400, 'InvalidMetadata');
      assert.equal((await client.send(put({ 'x-ms-meta-a': 'x'.repeat(8191) }))).status, 201);
      await refused(client, put({ 'x-ms-meta-a': 'x'.repeat(8192) }), 400, 'MetadataTooLarge');
    });
  });
});

describe('conditions', () => {
  test('of a read answer 304 without a body, 412, or 400 for what no answer can meet', async () => {
    await withClient(async (client) => {
      const { headers: made } = await client.put(at('docs/a'), 'hello');
      const etag = `${made.ETag}`;
      for (const method of ['GET', 'HEAD']) {
        const read = (headers: Record<string, string>): WholeRequest => ({ method, url: at('docs/a'), headers });
        const unchanged = await refused(client, read({ 'if-none-match': etag }), 304, 'ConditionNotMet');
        assert.equal(unchanged.text, '');
        // As recorded of the service, which tells nothing but the code.
        assert.equal(unchanged.headers.ETag, undefined);
        await refused(client, read({ 'if-match': '"0x1"' }), 412, 'ConditionNotMet');
        await refused(client, read({ 'if-none-match': '*' }), 400, 'UnsatisfiableCondition');
        await refused(client, read({ 'if-modified-since': 'yesterday' }), 400, 'InvalidHeaderValue');
        assert.equal((await client.send(read({ 'if-match': '*' }))).status, 200);
      }
    });
  });

  test('of a change of nothing are not asked: it is not found; a write of nothing is refused', async () => {
    await withClient(async (client) => {
      const headers = {
        'if-match': '"0x1"',
        'x-ms-blob-type': 'BlockBlob',
        'x-ms-lease-action': 'acquire',
        'x-ms-lease-duration': '-1',
      };
      const url = at('docs/none');
      await refused(client, { method: 'PUT', url, headers }, 412, 'ConditionNotMet');
      await refused(client, { method: 'GET', url, headers }, 404, 'BlobNotFound');
      await refused(client, { method: 'DELETE', url, headers }, 404, 'BlobNotFound');
      for (const comp of ['metadata', 'properties', 'lease']) {
        await refused(client, { method: 'PUT', url: `${url}?comp=${comp}`, headers }, 404, 'BlobNotFound');
      }
      const leased = { 'x-ms-lease-id': '00000000-0000-0000-0000-000000000001' };
      await refused(client, { method: 'DELETE', url, headers: leased }, 404, 'BlobNotFound');
      const typed = { ...leased, 'x-ms-blob-type': 'BlockBlob' };
      await refused(client, { method: 'PUT', url, headers: typed }, 412, 'LeaseNotPresentWithBlobOperation');
    });
  });
});

describe('a range', () => {
  test('is summed on request, by one sum and up to 4 MiB', async () => {
    await withClient(async (client) => {
      await client.put(at('docs/a'), Buffer.alloc(4 * 1024 * 1024 + 1, 'x'));
      const read = (headers: Record<string, string>): WholeRequest => ({ url: at('docs/a'), headers });
      const [wantMd5, wantCrc] = [{ 'x-ms-range-get-content-md5': 'true' }, { 'x-ms-range-get-content-crc64': 'true' }];
      const range = { 'x-ms-range': 'bytes=1-3' };
      assert.equal((await client.send(read({ ...range, ...wantMd5 }))).headers['Content-MD5'], md5('xxx'));
      assert.equal((await client.send(read({ ...range, ...wantCrc }))).headers['x-ms-content-crc64'], crc('xxx'));
      await refused(client, read({ ...range, ...wantMd5, ...wantCrc }), 400, 'BothCrc64AndMd5RangeHeaderPresent');
      await refused(client, read(wantMd5), 400, 'MissingRequiredHeader');
      await refused(client, read({ ...wantMd5, 'x-ms-range': 'bytes=0-4194304' }), 400, 'OutOfRangeInput');
      const past = await refused(client, read({ range: 'bytes=4194305-' }), 416, 'InvalidRange');
      assert.equal(past.headers['Content-Range'], 'bytes */4194305');
    });
  });
});

describe('a deletion', () => {
  test('says that it is for good, and of snapshots alone leaves the blob', async () => {
    await withClient(async (client) => {
      const remove = (headers = {}): WholeRequest => ({ method: 'DELETE', url: at('docs/a'), headers });
      const only = remove({ 'x-ms-delete-snapshots': 'only' });
      await refused(client, only, 404, 'BlobNotFound');
      await client.put(at('docs/a'));
      await refused(client, remove({ 'x-ms-delete-snapshots': 'all' }), 400, 'InvalidHeaderValue');
      await refused(client, only, 404, 'BlobNotFound');
      await client.send({ method: 'PUT', url: at('docs/a?comp=snapshot') });
      assert.equal((await client.send(only)).status, 202);
      assert.equal((await client.send({ url: at('docs/a') })).status, 200);
      const gone = await client.send(remove({ 'x-ms-delete-snapshots': 'include' }));
      assert.deepEqual([gone.status, gone.headers['x-ms-delete-type-permanent']], [202, 'true']);
      await refused(client, remove(), 404, 'BlobNotFound');
    });
  });
});

describe('a lease that has run out', () => {
  const id = '11111111-1111-1111-1111-111111111111';
  const lease = (headers: Record<string, string>): WholeRequest => ({
    method: 'PUT',
    url: at('docs/a?comp=lease'),
    headers,
  });
  const acquire = lease({
    'x-ms-lease-action': 'acquire',
    'x-ms-lease-duration': '15',
    'x-ms-proposed-lease-id': id,
  });
  const renew = lease({ 'x-ms-lease-action': 'renew', 'x-ms-lease-id': id });
  const changes: Readonly<Record<string, WholeRequest>> = {
    'put blob': { method: 'PUT', url: at('docs/a'), headers: { 'x-ms-blob-type': 'BlockBlob' } },
    'put block list': { method: 'PUT', url: at('docs/a?comp=blocklist'), body: '<BlockList></BlockList>' },
    'set metadata': { method: 'PUT', url: at('docs/a?comp=metadata') },
    'set properties': { method: 'PUT', url: at('docs/a?comp=properties') },
  };

  test('is renewed', async () => {
    await withClient(async (client, surface) => {
      await client.put(at('docs/a'));
      assert.equal((await client.send(acquire)).status, 201);
      surface.clock.advance(16_000);
      const written = { method: 'PUT', url: at('docs/a?comp=metadata'), headers: { 'x-ms-lease-id': id } };
      await refused(client, written, 412, 'LeaseLost');
      assert.equal((await client.send(renew)).status, 200);
      await refused(client, { method: 'DELETE', url: at('docs/a') }, 412, 'LeaseIdMissing');
    });
  });

  for (const [name, change] of Object.entries(changes)) {
    test(`is gone after ${name}`, async () => {
      await withClient(async (client, surface) => {
        await client.put(at('docs/a'));
        await client.send(acquire);
        await refused(client, change, 412, 'LeaseIdMissing');
        surface.clock.advance(16_000);
        assert.ok((await client.send(change)).status < 300);
        await refused(client, renew, 409, 'LeaseNotPresentWithLeaseOperation');
      });
    });
  }
});

describe('cross-origin answers', () => {
  test('name the metadata that they expose, one by one', async () => {
    await withClient(async (client) => {
      const rule =
        '<CorsRule><AllowedOrigins>https://one.example</AllowedOrigins><AllowedMethods>GET</AllowedMethods>' +
        '<AllowedHeaders>*</AllowedHeaders><ExposedHeaders>x-ms-meta-*,ETag</ExposedHeaders>' +
        '<MaxAgeInSeconds>5</MaxAgeInSeconds></CorsRule>';
      await client.send({
        method: 'PUT',
        url: `/${testAccount}?restype=service&comp=properties`,
        body: `<StorageServiceProperties><Cors>${rule}</Cors></StorageServiceProperties>`,
      });
      await client.put(at('docs/a'), 'x', { 'x-ms-meta-one': '1' });
      const read = (origin: string): Promise<Answered> => client.send({ url: at('docs/a'), headers: { origin } });
      const allowed = await read('https://one.example');
      assert.equal(allowed.headers['Access-Control-Allow-Origin'], 'https://one.example');
      assert.equal(allowed.headers['Access-Control-Expose-Headers'], 'ETag,x-ms-meta-one');
      const other = await read('https://two.example');
      assert.deepEqual([other.status, other.headers['Access-Control-Allow-Origin']], [200, undefined]);
    });
  });
});

describe('the bare address', () => {
  const plain = { key: null, headers: { 'x-ms-version': '' } };
  test('says in a line what this is', async () => {
    await withClient(async (client) => {
      for (const method of ['GET', 'HEAD']) {
        const said = await client.send({ method, url: '/', ...plain });
        assert.deepEqual(
          [said.status, said.code, said.headers['Content-Type']],
          [200, undefined, 'text/plain; charset=utf-8'],
        );
        assert.match(said.text, /^This is Causeway: [^\n]*\n$/);
      }
    });
  });
  test('is the API to whatever may be meant for it', async () => {
    await withClient(async (client) => {
      const asked: [request: object, status: number][] = [
        [{ url: '/', ...plain, method: 'PUT' }, 400],
        [{ url: '/', key: null }, 400],
        [{ url: '/?comp=list', ...plain }, 401],
        [{ url: '/', ...plain, headers: { 'x-ms-version': '', authorization: 'Bearer x' } }, 400],
        [{ url: '/?comp=list', headers: { host: `${testAccount}.blob.localhost` } }, 200],
        [{ url: '/', key: null, headers: { 'x-ms-version': '', host: `${testAccount}.blob.localhost` } }, 400],
      ];
      for (const [request, status] of asked) {
        const answered = await client.send(request as Parameters<typeof client.send>[0]);
        assert.equal(answered.status, status, JSON.stringify(request));
        assert.match(answered.text, /^\ufeff?<\?xml/);
      }
    });
  });
});
