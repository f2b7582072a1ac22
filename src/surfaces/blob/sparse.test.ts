// A page blob of 8 TiB that has a few pages, as the source or the target of every operation: none takes long, none holds
// the process, and none goes on for a client that went away.
import assert from 'node:assert/strict';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { unwrapKey, wrapKey } from '../../content/seal.ts';
import { Keyring } from '../../namespace/keyring.ts';
import { createScope } from '../../namespace/scopes.ts';
import { openTestSurface, testAccount } from './call.testing.ts';
import { sasFor, TestClient, type WholeRequest } from './dispatch.testing.ts';

const at = (name: string): string => `/${testAccount}/docs/${name}`;
const cause = { by: 'test', requestId: 'none' };
const tebibyte = 2 ** 40;
const length = 8 * tebibyte;
const readable = { sv: '2024-11-04', sr: 'b', sp: 'r', se: '2030-01-01T00:00:00Z' };

async function withSparse(work: (client: TestClient) => Promise<void>): Promise<void> {
  await using surface = await openTestSurface();
  const key = Buffer.alloc(32, 5);
  const vault = {
    wrap: async (_url: string | undefined, dataKey: Buffer) => ({ wrapped: wrapKey(key, dataKey), keyVersion: '1' }),
    unwrap: async (_url: string | undefined, { wrapped }: { wrapped: Buffer }) => unwrapKey(key, wrapped) as Buffer,
  };
  const { engine } = surface.store;
  const store = {
    ...surface.store,
    keyring: new Keyring({ engine, clock: surface.clock, providers: { local: vault } }),
  };
  await createScope(store, { account: testAccount, scope: 'other', source: 'local', cause });
  const client = new TestClient({ ...surface, store });
  await client.container('docs');
  const make = { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': `${length}` };
  const wide = { method: 'PUT', url: at('wide'), headers: make };
  assert.equal((await client.send(wide)).status, 201);
  for (const start of [0, 3 * tebibyte, length - 512]) {
    const headers = { 'x-ms-page-write': 'update', 'x-ms-range': `bytes=${start}-${start + 511}` };
    const body = 'p'.repeat(512);
    assert.equal((await client.send({ method: 'PUT', url: `${at('wide')}?comp=page`, headers, body })).status, 201);
  }
  await client.send({ method: 'PUT', url: at('append'), headers: { 'x-ms-blob-type': 'AppendBlob' } });
  await client.send({
    method: 'PUT',
    url: at('pages'),
    headers: { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '4194304' },
  });
  await work(client);
}

const put = (name: string, headers: Record<string, string>, query = ''): WholeRequest => ({
  method: 'PUT',
  url: `${at(name)}${query}`,
  headers,
});
const own = { 'x-ms-copy-source': `http://127.0.0.1:10000${at('wide')}` };
const signed = { 'x-ms-copy-source': `http://127.0.0.1:10000${at('wide')}?${sasFor(at('wide'), readable)}` };
const other = { 'x-ms-encryption-scope': 'other' };
const sum = { 'x-ms-source-content-md5': Buffer.alloc(16, 1).toString('base64') };
const sync = { 'x-ms-requires-sync': 'true' };
const block = '?comp=block&blockid=MQ==';
const page = { 'x-ms-page-write': 'update', 'x-ms-range': 'bytes=0-4194303' };
const range = (bytes: number): Record<string, string> => ({ 'x-ms-source-range': `bytes=512-${511 + bytes}` });

const whole = '409 InvalidBlobType';
const tooLarge = '413 RequestBodyTooLarge';
/** What each answers; the ranges are the largest that each takes. */
const operations: readonly (readonly [string, WholeRequest, string])[] = [
  ['copy', put('a', own), '202'],
  ['copy into another scope', put('b', { ...own, ...other }), '202'],
  ['copy over it', put('wide', { ...own, ...other }), '202'],
  ['sync copy', put('c', { ...signed, ...sync }), tooLarge],
  ['sync copy with a sum', put('c', { ...signed, ...sync, ...sum }), tooLarge],
  ['sync copy into another scope', put('c', { ...signed, ...sync, ...other }), tooLarge],
  ['put from URL', put('d', { ...signed, 'x-ms-blob-type': 'BlockBlob' }), tooLarge],
  ['put from URL with a sum', put('d', { ...signed, ...sum, 'x-ms-blob-type': 'BlockBlob' }), tooLarge],
  ['put block from URL', put('e', signed, block), tooLarge],
  ['append block from URL', put('append', signed, '?comp=appendblock'), tooLarge],
  ['append a range', put('append', { ...signed, ...range(64 << 20) }, '?comp=appendblock'), '201'],
  ['put page from URL', put('pages', { ...signed, ...range(4 << 20), ...page }, '?comp=page'), '201'],
  ['snapshot', put('wide', other, '?comp=snapshot'), '201'],
  ['page ranges', { url: `${at('wide')}?comp=pagelist` }, '200'],
  ['clear all', put('a', { 'x-ms-page-write': 'clear', 'x-ms-range': `bytes=0-${length - 1}` }, '?comp=page'), '201'],
  ['resize', put('a', { 'x-ms-blob-content-length': '512' }, '?comp=properties'), '200'],
  ['resize again', put('a', { 'x-ms-blob-content-length': `${length}` }, '?comp=properties'), '200'],
  [
    'query',
    {
      method: 'POST',
      url: `${at('wide')}?comp=query`,
      body: '<QueryRequest><QueryType>SQL</QueryType><Expression>SELECT * FROM BlobStorage</Expression></QueryRequest>',
    },
    whole,
  ],
  [
    'a sum of a range',
    { url: at('wide'), headers: { 'x-ms-range': 'bytes=512-4194815', 'x-ms-range-get-content-md5': 'true' } },
    '206',
  ],
  ['delete', { method: 'DELETE', url: at('wide'), headers: { 'x-ms-delete-snapshots': 'include' } }, '202'],
];

test('every operation answers at once, and lets others have their turn', async () => {
  await withSparse(async (client) => {
    for (const [label, request, expected] of operations) {
      const delays = monitorEventLoopDelay({ resolution: 5 });
      delays.enable();
      const startedMs = performance.now();
      const { status, code, text } = await client.send(request);
      const tookMs = performance.now() - startedMs;
      delays.disable();
      assert.equal(code === undefined ? `${status}` : `${status} ${code}`, expected, `${label}: ${text.slice(0, 300)}`);
      // Bringing a gigabyte of zeros would take seconds.
      assert.ok(tookMs < 5000, `${label} took ${tookMs} ms`);
      assert.ok(delays.max / 1e6 < 1000, `${label} held the process for ${delays.max / 1e6} ms`);
    }
    const copied = await client.send({ url: `${at('b')}?comp=pagelist` });
    assert.equal(copied.text.match(/<PageRange>/g)?.length, 3, 'a copy has the pages of its source, and no others');
  });
});

test('work ends when its client is gone', async () => {
  await withSparse(async (client) => {
    const large = { ...signed, 'x-ms-source-range': `bytes=512-${511 + 3_900 * 2 ** 20}` };
    for (const [label, request] of [
      ['put block from URL', put('e', large, block)],
      ['put block from URL with a sum', put('e', { ...large, ...sum }, block)],
      ['put block into another scope', put('f', { ...large, ...other }, block)],
    ] as const) {
      const leaving = new AbortController();
      let ended = false;
      const sent = client.send({ ...request, hold: (work) => work(leaving.signal) }).finally(() => {
        ended = true;
      });
      await sleep(50);
      assert.equal(ended, false, `${label} was over before its client left`);
      leaving.abort();
      const startedMs = performance.now();
      const { status } = await sent;
      assert.ok(status >= 400);
      assert.ok(performance.now() - startedMs < 2000, `${label} went on for ${performance.now() - startedMs} ms`);
    }
    const list = await client.send({
      url: `/${testAccount}/docs?restype=container&comp=list&include=uncommittedblobs`,
    });
    assert.doesNotMatch(list.text, /<Name>[ef]<\/Name>/);
  });
});
