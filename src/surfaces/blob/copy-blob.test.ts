// Copies through the whole surface: whose right reads the source, and how its failures are told from the target's.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { crc64, crc64ToBase64 } from '../../codec/crc64.ts';
import { openTestSurface, testAccount } from './call.testing.ts';
import { otherKey, refused, sasFor, TestClient, type WholeRequest } from './dispatch.testing.ts';
import { notVerified } from './source.ts';
import { newestVersion } from './versions.ts';

const at = (path: string): string => `/${testAccount}/${path}`;
const origin = 'http://127.0.0.1:10000';
const newest = { 'x-ms-version': newestVersion };
const md5 = (text: string): string => createHash('md5').update(text).digest('base64');
const sourcePath = at('docs/source');
const sas = (sp = 'r', path = sourcePath, key?: typeof otherKey): string =>
  sasFor(path, { sv: '2024-11-04', sr: 'b', sp, se: '2030-01-01T00:00:00Z' }, key);
const signed = `${origin}${sourcePath}?${sas()}`;
const unsigned = `${origin}${sourcePath}`;

async function withSource(work: (client: TestClient, etag: string) => Promise<void>, access?: string): Promise<void> {
  await using surface = await openTestSurface();
  const client = new TestClient(surface);
  await client.container('docs', access === undefined ? {} : { 'x-ms-blob-public-access': access });
  const made = await client.put(sourcePath, 'hello', {
    'content-type': 'a/b',
    'x-ms-meta-one': '1',
    'x-ms-tags': 'a=b',
  });
  assert.equal(made.status, 201);
  await work(client, `${made.headers.ETag}`);
}

const put = (url: string, headers: Readonly<Record<string, string>>): WholeRequest => ({ method: 'PUT', url, headers });

const copyBlob = (source: string, headers = {}): WholeRequest =>
  put(at('docs/target'), { 'x-ms-copy-source': source, ...headers });

/** The operations that read the source by its address alone. */
const fromUrl: Readonly<Record<string, (source: string, headers?: Readonly<Record<string, string>>) => WholeRequest>> =
  {
    'copy blob from url': (source, headers = {}) => copyBlob(source, { 'x-ms-requires-sync': 'true', ...headers }),
    'put blob from url': (source, headers = {}) => copyBlob(source, { 'x-ms-blob-type': 'BlockBlob', ...headers }),
    'put block from url': (source, headers = {}) =>
      put(at('docs/target?comp=block&blockid=MQ%3D%3D'), { 'x-ms-copy-source': source, ...headers }),
  };

/** As the source would have answered: by status, headers and body (which a 304 leaves out only when it is sent). */
async function unreadable(client: TestClient, request: WholeRequest, status: number, code: string): Promise<void> {
  const { headers, text } = await refused(client, request, status, 'CannotVerifyCopySource');
  assert.equal(headers['x-ms-copy-source-status-code'], `${status}`);
  assert.equal(headers['x-ms-copy-source-error-code'], code);
  const source = `<CopySourceStatusCode>${status}</CopySourceStatusCode><CopySourceErrorCode>${code}</CopySourceErrorCode>`;
  assert.ok(text.includes(`${source}<CopySourceErrorMessage>`), text);
  assert.ok(!text.includes('sig='), 'a signature is in the body');
  const [, said] = /<Message>([^\n<]*)/.exec(text) ?? [];
  const [, sourceSaid] = /<CopySourceErrorMessage>([^\n<]*)/.exec(text) ?? [];
  const isPart = request.url.includes('comp=block');
  assert.equal(said, isPart && status !== 404 ? notVerified : sourceSaid);
}

describe('copy blob', () => {
  test('reads a private source of the same account by its key', async () => {
    await withSource(async (client) => {
      const answered = await client.send(copyBlob(unsigned));
      assert.deepEqual([answered.status, answered.headers['x-ms-copy-status']], [202, 'success']);
      const { headers, text } = await client.send({ url: at('docs/target') });
      assert.equal(text, 'hello');
      assert.equal(headers['x-ms-copy-id'], answered.headers['x-ms-copy-id']);
      assert.equal(headers['x-ms-copy-source'], unsigned);
      assert.deepEqual([headers['Content-Type'], headers['x-ms-meta-one']], ['a/b', '1']);
    });
  });

  test('by a SAS of its own does not read what the source’s address does not let it', async () => {
    await withSource(async (client) => {
      const target = at('docs/target');
      const request = { ...copyBlob(unsigned), url: `${target}?${sas('rw', target)}`, key: null };
      await unreadable(client, request, 401, 'NoAuthenticationInformation');
      assert.equal((await client.send({ ...request, headers: { 'x-ms-copy-source': signed } })).status, 202);
    });
  });

  test('keeps the signature of its source out of what it tells', async () => {
    await withSource(async (client) => {
      await client.send(copyBlob(signed));
      const { headers } = await client.send({ method: 'HEAD', url: at('docs/target') });
      const told = String(headers['x-ms-copy-source']);
      assert.ok(told.startsWith(`${unsigned}?sv=`) && !told.includes('sig='), told);
    });
  });

  test('tells conditions of the source from those of the target', async () => {
    await withSource(async (client, etag) => {
      const other = { 'x-ms-source-if-match': '"0x1"' };
      await refused(client, copyBlob(unsigned, other), 412, 'SourceConditionNotMet');
      await refused(client, copyBlob(unsigned, { 'x-ms-source-if-none-match': etag }), 412, 'SourceConditionNotMet');
      await client.put(at('docs/target'), 'old');
      await refused(client, copyBlob(unsigned, { 'if-match': '"0x1"' }), 412, 'TargetConditionNotMet');
      await refused(client, copyBlob(unsigned, { 'if-none-match': '*' }), 409, 'BlobAlreadyExists');
      assert.equal((await client.send({ url: at('docs/target') })).text, 'old');
    });
  });

  test('of an archived source needs another tier', async () => {
    await withSource(async (client) => {
      await client.send(put(`${sourcePath}?comp=tier`, { 'x-ms-access-tier': 'Archive' }));
      await refused(client, copyBlob(unsigned), 409, 'BlobArchived');
      assert.equal((await client.send(copyBlob(unsigned, { 'x-ms-access-tier': 'Cool' }))).status, 202);
      const { headers } = await client.send({ method: 'HEAD', url: at('docs/target') });
      assert.equal(headers['x-ms-archive-status'], 'rehydrate-pending-to-cool');
      await refused(client, { url: at('docs/target') }, 409, 'BlobArchived');
    });
  });

  test('has nothing to abort', async () => {
    await withSource(async (client) => {
      const { headers } = await client.send(copyBlob(unsigned));
      const url = at(`docs/target?comp=copy&copyid=${headers['x-ms-copy-id']}`);
      await refused(client, put(url, { 'x-ms-copy-action': 'abort' }), 409, 'NoPendingCopyOperation');
      await refused(client, put(url, {}), 400, 'MissingRequiredHeader');
      const unnamed = put(at('docs/target?comp=copy'), { 'x-ms-copy-action': 'abort' });
      await refused(client, unnamed, 400, 'MissingRequiredQueryParameter');
    });
  });
});

for (const [name, request] of Object.entries(fromUrl)) {
  describe(name, () => {
    test('reads by its source’s signature, and by nothing else', async () => {
      await withSource(async (client) => {
        assert.ok((await client.send(request(signed))).status < 300);
        await unreadable(client, request(unsigned), 401, 'NoAuthenticationInformation');
        const wrong = `${unsigned}?${sas('r', sourcePath, otherKey)}`;
        await unreadable(client, request(wrong), 403, 'AuthenticationFailed');
        await unreadable(client, request(`${unsigned}?${sas('w')}`), 403, 'AuthorizationPermissionMismatch');
        const bearer = { 'x-ms-copy-source-authorization': 'Bearer abc' };
        await unreadable(client, request(unsigned, bearer), 403, 'AuthenticationFailed');
      });
    });

    test('reads what is public', async () => {
      await withSource(async (client) => {
        assert.ok((await client.send(request(unsigned))).status < 300);
      }, 'blob');
    });

    test('tells what is not there, what does not fit, and what is elsewhere', async () => {
      await withSource(async (client, etag) => {
        const none = at('docs/none');
        await unreadable(client, request(`${origin}${none}?${sas('r', none)}`), 404, 'BlobNotFound');
        await unreadable(client, request(signed, { 'x-ms-source-if-match': '"0x1"' }), 412, 'ConditionNotMet');
        await unreadable(client, request(signed, { 'x-ms-source-if-none-match': etag }), 304, 'ConditionNotMet');
        await refused(client, request('http://elsewhere.example/a/b/c'), 400, 'CannotVerifyCopySource');
        await refused(client, request('no address'), 400, 'InvalidHeaderValue');
        await refused(client, request(signed, { 'x-ms-source-content-md5': md5('other') }), 400, 'Md5Mismatch');
        const summed = await client.send(request(signed, { 'x-ms-source-content-md5': md5('hello'), ...newest }));
        assert.ok(summed.status < 300);
        const sums = [summed.headers['Content-MD5'], summed.headers['x-ms-content-crc64']];
        assert.deepEqual(sums, [md5('hello'), crc64ToBase64(crc64(Buffer.from('hello')))]);
      });
    });
  });
}

describe('put block from url', () => {
  test('takes a range, and refuses what it cannot understand or reach', async () => {
    await withSource(async (client) => {
      const block = (range: string): WholeRequest =>
        fromUrl['put block from url']?.(signed, { 'x-ms-source-range': range }) as WholeRequest;
      await refused(client, block('bytes=5-'), 416, 'InvalidRange');
      await refused(client, block('bytes=-2'), 400, 'InvalidHeaderValue');
      assert.equal((await client.send(block('bytes=1-2'))).status, 201);
      const list = '<BlockList><Latest>MQ==</Latest></BlockList>';
      await client.send({ method: 'PUT', url: at('docs/target?comp=blocklist'), body: list });
      assert.equal((await client.send({ url: at('docs/target') })).text, 'el');
    });
  });
});

describe('tags of a copy', () => {
  test('are those of the request, or the source’s where it asks for them', async () => {
    await withSource(async (client) => {
      const tagged = `${origin}${sourcePath}?${sas('rt')}`;
      const copied = async (headers: Record<string, string>): Promise<unknown> => {
        assert.equal((await client.send(copyBlob(tagged, { 'x-ms-requires-sync': 'true', ...headers }))).status, 202);
        return (await client.send({ method: 'HEAD', url: at('docs/target') })).headers['x-ms-tag-count'];
      };
      assert.equal(await copied({}), undefined);
      assert.equal(await copied({ 'x-ms-tags': 'c=d&e=f' }), 2);
      assert.equal(await copied({ 'x-ms-copy-source-tag-option': 'COPY' }), 1);
      const both = { 'x-ms-requires-sync': 'true', 'x-ms-copy-source-tag-option': 'COPY', 'x-ms-tags': 'c=d' };
      await refused(client, copyBlob(tagged, both), 409, 'InvalidHeaderValue');
    });
  });
});

describe('a batch', () => {
  const body = (parts: readonly string[]): string =>
    `${parts.map((part) => `--b\r\nContent-Type: application/http\r\n\r\n${part}\r\n`).join('')}--b--\r\n`;
  const request = (parts: readonly string[], url = `/${testAccount}?comp=batch`): WholeRequest => ({
    method: 'POST',
    url,
    body: body(parts),
    headers: { 'content-type': 'multipart/mixed; boundary=b' },
  });

  test('takes each part by its own credential, whose headers are only its own', async () => {
    await withSource(async (client) => {
      const remove = sasFor(sourcePath, { sv: '2024-11-04', sr: 'b', sp: 'd', se: '2030-01-01T00:00:00Z' });
      const parts = [
        `DELETE ${sourcePath} HTTP/1.1\r\n`,
        `DELETE ${sourcePath}?${sas()} HTTP/1.1\r\n`,
        `DELETE ${sourcePath}?${remove} HTTP/1.1\r\n`,
      ];
      const { status, text } = await client.send(request(parts));
      assert.equal(status, 202);
      const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => match[1]);
      assert.deepEqual(statuses, ['401', '403', '202']);
      assert.match(text, /x-ms-version: 2024-11-04\r\n/);
      await refused(client, { url: sourcePath }, 404, 'BlobNotFound');
    });
  });

  test('is taken at the account’s own path as if that were a container', async () => {
    await withSource(async (client) => {
      const url = `/${testAccount}?restype=container&comp=batch`;
      const { status } = await client.send(request([`DELETE ${sourcePath} HTTP/1.1\r\n`], url));
      assert.equal(status, 202);
    });
  });
});
