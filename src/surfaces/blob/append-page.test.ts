// Append and page blobs in requests: what is refused and how, keys of the customer's own, versions, and retention.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { keys } from '../../metadata/keys.ts';
import { changeSettings } from '../../namespace/account-settings.ts';
import { readContainer } from '../../namespace/containers.ts';
import { fsck } from '../../namespace/fsck.ts';
import { encodeRecord } from '../../namespace/records.ts';
import { openTestSurface, testAccount } from './call.testing.ts';
import { type Answered, sasFor, TestClient } from './dispatch.testing.ts';

const at = (name: string, query = ''): string => `/${testAccount}/box/${name}${query === '' ? '' : `?${query}`}`;
const cause = { by: 'test', requestId: 'r' };

async function withClient(work: (client: TestClient) => Promise<void>): Promise<void> {
  await using surface = await openTestSurface();
  const client = new TestClient(surface);
  await client.container('box');
  await work(client);
  const lines: string[] = [];
  assert.equal((await fsck(surface.store, (line) => lines.push(line))).damage, 0, lines.join('\n'));
}

type Headers = Readonly<Record<string, string>>;

const create = (client: TestClient, name: string, type: 'AppendBlob' | 'PageBlob', headers: Headers = {}) =>
  client.put(at(name), '', { 'x-ms-blob-type': type, ...headers });
const append = (client: TestClient, name: string, body: string | Buffer, headers: Headers = {}) =>
  client.send({ method: 'PUT', url: at(name, 'comp=appendblock'), body, headers });
const putPage = (client: TestClient, name: string, range: string, body: string | Buffer, headers: Headers = {}) =>
  client.send({
    method: 'PUT',
    url: at(name, 'comp=page'),
    body,
    headers: { 'x-ms-page-write': body.length === 0 ? 'clear' : 'update', 'x-ms-range': range, ...headers },
  });

function refusedWith(answer: Answered, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.code], [status, code]);
}

function keyHeaders(fill: number): Headers {
  const key = Buffer.alloc(32, fill);
  return {
    'x-ms-encryption-key': key.toString('base64'),
    'x-ms-encryption-key-sha256': createHash('sha256').update(key).digest('base64'),
    'x-ms-encryption-algorithm': 'AES256',
  };
}

describe('requests that are refused', () => {
  const made = [
    ['an append blob with bytes', 'AppendBlob', 'bytes', {}, 400, 'InvalidHeaderValue'],
    ['a page blob with bytes', 'PageBlob', 'bytes', { 'x-ms-blob-content-length': '512' }, 400, 'InvalidHeaderValue'],
    ['a page blob without a length', 'PageBlob', '', {}, 400, 'MissingRequiredHeader'],
    ['a page blob of half a page', 'PageBlob', '', { 'x-ms-blob-content-length': '256' }, 400, 'InvalidHeaderValue'],
    [
      'a page blob in a tier',
      'PageBlob',
      '',
      { 'x-ms-blob-content-length': '512', 'x-ms-access-tier': 'Cool' },
      400,
      'UnsupportedHeader',
    ],
    ['another type', 'TapeBlob', '', {}, 400, 'InvalidHeaderValue'],
  ] as const;
  for (const [what, type, body, headers, status, code] of made) {
    test(`put blob of ${what}`, async () => {
      await withClient(async (client) => {
        refusedWith(await client.put(at('a'), body, { 'x-ms-blob-type': type, ...headers }), status, code);
      });
    });
  }

  const pages = [
    ['without a range', '', 'x'.repeat(512), {}, 400, 'MissingRequiredHeader'],
    ['without an end', 'bytes=0-', 'x'.repeat(512), {}, 400, 'InvalidHeaderValue'],
    ['of half a page', 'bytes=0-255', 'x'.repeat(256), {}, 400, 'InvalidHeaderValue'],
    ['behind the end', 'bytes=4096-4607', 'x'.repeat(512), {}, 416, 'InvalidPageRange'],
    ['with fewer bytes than its range', 'bytes=0-1023', 'x'.repeat(512), {}, 400, 'InvalidHeaderValue'],
    ['that is cleared with bytes', 'bytes=0-511', 'x', { 'x-ms-page-write': 'clear' }, 400, 'InvalidHeaderValue'],
    ['that is neither', 'bytes=0-511', 'x'.repeat(512), { 'x-ms-page-write': 'keep' }, 400, 'InvalidHeaderValue'],
    ['of 5 MiB', 'bytes=0-5242879', 'x', {}, 413, 'RequestBodyTooLarge'],
    [
      'with a number that is none',
      'bytes=0-511',
      'x'.repeat(512),
      { 'x-ms-if-sequence-number-le': 'x' },
      400,
      'InvalidHeaderValue',
    ],
  ] as const;
  for (const [what, range, body, headers, status, code] of pages) {
    test(`put page ${what}`, async () => {
      await withClient(async (client) => {
        await create(client, 'a', 'PageBlob', { 'x-ms-blob-content-length': '4096' });
        refusedWith(await putPage(client, 'a', range, body, headers), status, code);
        assert.equal((await client.send({ url: at('a') })).text, '\0'.repeat(4096));
      });
    });
  }

  test('append block beyond what its version takes', async () => {
    await withClient(async (client) => {
      await create(client, 'a', 'AppendBlob');
      const long = Buffer.alloc(4 * 1024 * 1024 + 1);
      refusedWith(await append(client, 'a', long, { 'x-ms-version': '2021-12-02' }), 413, 'RequestBodyTooLarge');
      assert.equal((await append(client, 'a', long)).status, 201);
    });
  });
});

test('the list of ranges takes whole pages, and is not modified where nothing changed', async () => {
  await withClient(async (client) => {
    await create(client, 'a', 'PageBlob', { 'x-ms-blob-content-length': '4096' });
    await putPage(client, 'a', 'bytes=512-1535', 'x'.repeat(1024));
    const url = at('a', 'comp=pagelist');
    const list = await client.send({ url, headers: { 'x-ms-range': 'bytes=700-800' } });
    assert.match(list.text, /<PageList><PageRange><Start>512<\/Start><End>1023<\/End><\/PageRange><\/PageList>/);
    for (const parts of ['&maxresults=1', '&marker=0']) {
      const whole = await client.send({ url: `${url}${parts}` });
      assert.match(whole.text, /<\/PageRange><NextMarker \/><\/PageList>/);
    }
    const none = await client.send({ url, headers: { 'If-None-Match': `${list.headers.ETag}` } });
    assert.equal(none.status, 304);
    refusedWith(await client.send({ url: `${url}&maxresults=0` }), 400, 'OutOfRangeQueryParameterValue');
    refusedWith(await client.send({ url: `${url}&marker=x` }), 400, 'InvalidQueryParameterValue');
    refusedWith(await client.send({ url: `${url}&prevsnapshot=x` }), 400, 'InvalidQueryParameterValue');
  });
});

test('bytes that are added are sealed with the key of the blob, and with no other', async () => {
  await withClient(async (client) => {
    const [one, two] = [keyHeaders(1), keyHeaders(2)];
    await create(client, 'a', 'AppendBlob', one);
    await create(client, 'p', 'PageBlob', { ...one, 'x-ms-blob-content-length': '2048' });
    await create(client, 'plain', 'AppendBlob');
    for (let i = 0; i < 40; i++) assert.equal((await append(client, 'a', `<${i}>`, one)).status, 201);
    assert.equal((await putPage(client, 'p', 'bytes=512-1023', 'y'.repeat(512), one)).status, 201);
    refusedWith(await append(client, 'a', 'x'), 409, 'BlobUsesCustomerSpecifiedEncryption');
    refusedWith(await append(client, 'a', 'x', two), 409, 'BlobCustomerSpecifiedEncryptionMismatch');
    refusedWith(await append(client, 'plain', 'x', one), 409, 'BlobDoesNotUseCustomerSpecifiedEncryption');
    refusedWith(
      await putPage(client, 'p', 'bytes=0-511', 'z'.repeat(512), two),
      409,
      'BlobCustomerSpecifiedEncryptionMismatch',
    );
    const whole = Array.from({ length: 40 }, (_, i) => `<${i}>`).join('');
    assert.equal((await client.send({ url: at('a'), headers: one })).text, whole);
    const pages = `${'\0'.repeat(512)}${'y'.repeat(512)}${'\0'.repeat(1024)}`;
    assert.equal((await client.send({ url: at('p'), headers: one })).text, pages);
    assert.notEqual((await client.send({ url: at('p') })).status, 200);
    // A source with a key: its bytes are opened, and sealed again or not.
    const expiry = new Date(client.surface.clock.now() + 3_600_000).toISOString().replace(/\.\d+/, '');
    const query = sasFor(at('a'), { sv: '2020-12-06', sr: 'b', sp: 'r', se: expiry });
    const source: Record<string, string> = { 'x-ms-copy-source': `http://127.0.0.1:10000${at('a', query)}` };
    for (const [name, value] of Object.entries(one)) source[name.replace('x-ms-', 'x-ms-source-')] = value;
    assert.equal((await append(client, 'plain', '', { ...source, 'x-ms-source-range': 'bytes=3-8' })).status, 201);
    assert.equal((await client.send({ url: at('plain') })).text, whole.slice(3, 9));
  });
});

test('a block of a page blob has its zeros', async () => {
  await withClient(async (client) => {
    await create(client, 'p', 'PageBlob', { 'x-ms-blob-content-length': '2048' });
    await putPage(client, 'p', 'bytes=512-1023', 'y'.repeat(512));
    const expiry = new Date(client.surface.clock.now() + 3_600_000).toISOString().replace(/\.\d+/, '');
    const query = sasFor(at('p'), { sv: '2020-12-06', sr: 'b', sp: 'r', se: expiry });
    const headers = {
      'x-ms-copy-source': `http://127.0.0.1:10000${at('p', query)}`,
      'x-ms-source-range': 'bytes=256-1279',
    };
    const staged = await client.send({ method: 'PUT', url: at('b', 'comp=block&blockid=MQ%3D%3D'), headers });
    assert.equal(staged.status, 201);
    const body = '<BlockList><Latest>MQ==</Latest></BlockList>';
    assert.equal((await client.send({ method: 'PUT', url: at('b', 'comp=blocklist'), body })).status, 201);
    const wanted = `${'\0'.repeat(256)}${'y'.repeat(512)}${'\0'.repeat(256)}`;
    assert.equal((await client.send({ url: at('b') })).text, wanted);
  });
});

test('with versioning neither an append nor a page makes a version, and replacing the blob does', async () => {
  await withClient(async (client) => {
    const { store } = client.surface;
    const outcome = await changeSettings(store, testAccount, { versioning: true }, cause);
    assert.equal(outcome.kind, 'ok');
    for (const [name, type, headers] of [
      ['a', 'AppendBlob', {}],
      ['p', 'PageBlob', { 'x-ms-blob-content-length': '512' }],
    ] as const) {
      const first = await create(client, name, type, headers);
      const changed = await (type === 'AppendBlob'
        ? append(client, name, 'y'.repeat(512))
        : putPage(client, name, 'bytes=0-511', 'y'.repeat(512)));
      assert.deepEqual([changed.status, changed.headers['x-ms-version-id']], [201, undefined]);
      const read = await client.send({ method: 'HEAD', url: at(name) });
      assert.equal(read.headers['x-ms-version-id'], first.headers['x-ms-version-id']);
      assert.equal((await create(client, name, type, headers)).status, 201);
      const before = await client.send({ url: at(name, `versionid=${first.headers['x-ms-version-id']}`) });
      assert.equal(before.text, 'y'.repeat(512));
    }
  });
});

test('retention lets an append blob grow where it says so, and nothing else', async () => {
  await withClient(async (client) => {
    await create(client, 'a', 'AppendBlob');
    await create(client, 'p', 'PageBlob', { 'x-ms-blob-content-length': '512' });
    const retain = async (more: object): Promise<void> => {
      const name = { account: testAccount, container: 'box' };
      await client.surface.store.engine.transact(async (txn) => {
        const container = await readContainer(txn, name);
        const immutability = { days: 5, state: 'locked', ...more };
        txn.put(keys.container(name.account, name.container), encodeRecord({ ...container, immutability }));
      });
    };
    await retain({});
    refusedWith(await append(client, 'a', 'x'), 409, 'BlobImmutableDueToPolicy');
    refusedWith(await putPage(client, 'p', 'bytes=0-511', 'y'.repeat(512)), 409, 'BlobImmutableDueToPolicy');
    await retain({ protectedAppends: 'append' });
    assert.equal((await append(client, 'a', 'x')).status, 201);
    refusedWith(await putPage(client, 'p', 'bytes=0-511', 'y'.repeat(512)), 409, 'BlobImmutableDueToPolicy');
    refusedWith(await create(client, 'a', 'AppendBlob'), 409, 'BlobImmutableDueToPolicy');
    assert.equal((await client.send({ url: at('a') })).text, 'x');
  });
});
