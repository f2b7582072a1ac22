// What a blob allows in which state, asked over the protocol: its type, its tier, its seal, its lease, its conditions.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changeSettings } from '../../namespace/account-settings.ts';
import { testAccount } from './call.testing.ts';
import { type Answered, refused, sasFor, type TestClient, type WholeRequest, withClient } from './dispatch.testing.ts';

const at = (name: string): string => `/${testAccount}/docs/${name}`;
const cause = { by: 'test', requestId: 'none' };

async function done(client: TestClient, request: WholeRequest): Promise<Answered> {
  const answered = await client.send(request);
  assert.ok(answered.status < 300, `${request.method} ${request.url}: ${answered.status} ${answered.text}`);
  return answered;
}

type Headers = Readonly<Record<string, string>>;

const put = (url: string, headers: Headers = {}, body = ''): WholeRequest => ({ method: 'PUT', url, headers, body });
const makes: Readonly<Record<string, (name: string, headers?: Headers) => WholeRequest>> = {
  BlockBlob: (name, headers = {}) => put(at(name), { 'x-ms-blob-type': 'BlockBlob', ...headers }, 'text'),
  AppendBlob: (name, headers = {}) => put(at(name), { 'x-ms-blob-type': 'AppendBlob', ...headers }),
  PageBlob: (name, headers = {}) =>
    put(at(name), { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '512', ...headers }),
};
const types = Object.keys(makes);
const make = (type: string, name: string, headers?: Headers): WholeRequest =>
  (makes[type] as NonNullable<(typeof makes)[string]>)(name, headers);
const block = (name: string, headers: Headers = {}): WholeRequest =>
  put(`${at(name)}?comp=block&blockid=MQ==`, headers, 'x');
const list = (name: string, headers: Headers = {}): WholeRequest =>
  put(`${at(name)}?comp=blocklist`, headers, '<BlockList><Latest>MQ==</Latest></BlockList>');
const copyOf = (from: string, to: string, headers: Headers = {}): WholeRequest =>
  put(at(to), { 'x-ms-copy-source': `http://127.0.0.1:10000${at(from)}`, ...headers });

describe('the type of a blob', () => {
  test('stays whatever is written over it, and is free when the blob is gone', async () => {
    await withClient(async (client) => {
      for (const type of types) await done(client, make(type, `source-${type}`));
      for (const type of types) {
        for (const other of types.filter((one) => one !== type)) {
          await done(client, make(type, 'a'));
          await refused(client, make(other, 'a'), 409, 'InvalidBlobType');
          await refused(client, copyOf(`source-${other}`, 'a'), 409, 'InvalidBlobType');
          assert.equal((await client.send({ method: 'HEAD', url: at('a') })).headers['x-ms-blob-type'], type);
          await done(client, { method: 'DELETE', url: at('a') });
          await done(client, make(other, 'a'));
          await done(client, { method: 'DELETE', url: at('a') });
        }
      }
    });
  });

  test('decides which operations are for it', async () => {
    const operations: Readonly<Record<string, { of: string; request: (name: string) => WholeRequest }>> = {
      'put block': { of: 'BlockBlob', request: (name) => block(name) },
      'put block list': { of: 'BlockBlob', request: (name) => list(name) },
      'get block list': { of: 'BlockBlob', request: (name) => ({ url: `${at(name)}?comp=blocklist` }) },
      'set tier': { of: 'BlockBlob', request: (name) => put(`${at(name)}?comp=tier`, { 'x-ms-access-tier': 'Cool' }) },
      'append block': { of: 'AppendBlob', request: (name) => put(`${at(name)}?comp=appendblock`, {}, 'x') },
      seal: { of: 'AppendBlob', request: (name) => put(`${at(name)}?comp=seal`) },
      'get page ranges': { of: 'PageBlob', request: (name) => ({ url: `${at(name)}?comp=pagelist` }) },
      'clear page': {
        of: 'PageBlob',
        request: (name) => put(`${at(name)}?comp=page`, { 'x-ms-page-write': 'clear', 'x-ms-range': 'bytes=0-511' }),
      },
    };
    await withClient(async (client) => {
      for (const type of types) await done(client, make(type, type));
      for (const { of, request } of Object.values(operations)) {
        for (const type of types.filter((one) => one !== of)) {
          await refused(client, request(type), 409, 'InvalidBlobType');
        }
        await done(client, request(of));
      }
    });
  });

  test('is that of the blocks that wait for their list', async () => {
    await withClient(async (client) => {
      await done(client, make('AppendBlob', 'source'));
      await done(client, block('a'));
      await refused(client, make('AppendBlob', 'a'), 409, 'InvalidBlobType');
      await refused(client, make('PageBlob', 'a'), 409, 'InvalidBlobType');
      await refused(client, copyOf('source', 'a'), 409, 'InvalidBlobType');
      await done(client, list('a'));
    });
  });
});

describe('an archived blob', () => {
  const readable = { sv: '2024-11-04', sr: 'b', sp: 'r', se: '2030-01-01T00:00:00Z' };
  const cool = { 'x-ms-access-tier': 'Cool' };
  const archive = (name: string, query = ''): WholeRequest =>
    put(`${at(name)}?comp=tier${query}`, { 'x-ms-access-tier': 'Archive' });

  test('is neither read nor changed, and told of, tagged, leased, copied to another tier and deleted', async () => {
    await withClient(async (client) => {
      await done(client, make('BlockBlob', 'other'));
      await done(client, block('a'));
      await done(client, list('a'));
      await done(client, archive('a'));
      const refusals = [
        { url: at('a') },
        make('BlockBlob', 'a'),
        block('a'),
        list('a'),
        copyOf('other', 'a'),
        copyOf(`other?${sasFor(at('other'), readable)}`, 'a', { 'x-ms-requires-sync': 'true' }),
        put(`${at('a')}?comp=metadata`, { 'x-ms-meta-a': 'b' }),
        put(`${at('a')}?comp=properties`, { 'x-ms-blob-content-type': 'text/plain' }),
        put(`${at('a')}?comp=snapshot`),
        copyOf('a', 'b'),
      ];
      for (const request of refusals) await refused(client, request, 409, 'BlobArchived');
      const tags = '<Tags><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tags>';
      const lease = { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15' };
      for (const request of [
        { method: 'HEAD', url: at('a') },
        { url: `${at('a')}?comp=metadata` },
        { url: `${at('a')}?comp=blocklist` },
        put(`${at('a')}?comp=tags`, {}, tags),
        put(`${at('a')}?comp=lease`, lease),
        put(`${at('a')}?comp=lease`, { 'x-ms-lease-action': 'break', 'x-ms-lease-break-period': '0' }),
        copyOf('a', 'b', cool),
        { method: 'DELETE', url: at('a') },
      ])
        await done(client, request);
    });
  });

  test('of the past stays in Archive', async () => {
    await withClient(async (client) => {
      const { store } = client.surface;
      assert.equal((await changeSettings(store, testAccount, { versioning: true }, cause)).kind, 'ok');
      const first = await done(client, make('BlockBlob', 'a'));
      const snapshot = (await done(client, put(`${at('a')}?comp=snapshot`))).headers['x-ms-snapshot'];
      await done(client, make('BlockBlob', 'a'));
      for (const query of [`&snapshot=${snapshot}`, `&versionid=${first.headers['x-ms-version-id']}`]) {
        await done(client, archive('a', query));
        await done(client, archive('a', query));
        await refused(client, put(`${at('a')}?comp=tier${query}`, cool), 409, 'BlobOperationNotSupported');
      }
    });
  });
});

test('a copy of a sealed append blob is sealed, unless it is told not to be', async () => {
  await withClient(async (client) => {
    await done(client, make('AppendBlob', 'a'));
    await done(client, put(`${at('a')}?comp=seal`));
    for (const [seal, isSealed] of [
      [undefined, true],
      ['true', true],
      ['false', false],
    ] as const) {
      await done(client, copyOf('a', `copy-${seal}`, seal === undefined ? {} : { 'x-ms-seal-blob': seal }));
      const { headers } = await client.send({ method: 'HEAD', url: at(`copy-${seal}`) });
      assert.equal(headers['x-ms-blob-sealed'], isSealed ? 'true' : undefined);
      const append = put(`${at(`copy-${seal}`)}?comp=appendblock`, {}, 'x');
      if (isSealed) await refused(client, append, 409, 'BlobIsSealed');
      else await done(client, append);
    }
  });
});

describe('blocks that wait for their list', () => {
  const id = '11111111-1111-1111-1111-111111111111';
  const acquire = put(`${at('a')}?comp=lease`, {
    'x-ms-lease-action': 'acquire',
    'x-ms-lease-duration': '-1',
    'x-ms-proposed-lease-id': id,
  });

  test('can be leased, and the blob that they become keeps the lease', async () => {
    await withClient(async (client) => {
      await refused(client, acquire, 404, 'BlobNotFound');
      await done(client, block('a'));
      const leased = await done(client, acquire);
      assert.deepEqual(
        [leased.status, leased.headers['x-ms-lease-id'], leased.headers['Last-Modified']],
        [201, id, 'Mon, 01 Jan 1601 00:00:00 GMT'],
      );
      await refused(client, block('a'), 412, 'LeaseIdMissing');
      await refused(client, list('a'), 412, 'LeaseIdMissing');
      await refused(client, make('BlockBlob', 'a'), 412, 'LeaseIdMissing');
      await done(client, block('a', { 'x-ms-lease-id': id }));
      await done(client, list('a', { 'x-ms-lease-id': id }));
      assert.equal((await client.send({ method: 'HEAD', url: at('a') })).headers['x-ms-lease-state'], 'leased');
      await refused(client, { method: 'DELETE', url: at('a') }, 412, 'LeaseIdMissing');
    });
  });

  test('were modified at no time, so not since any; nothing else is there to compare with', async () => {
    const long = new Date(0).toUTCString();
    await withClient(async (client) => {
      await done(client, block('a'));
      await refused(client, list('a', { 'if-modified-since': long }), 412, 'ConditionNotMet');
      await refused(client, list('a', { 'if-match': '*' }), 412, 'ConditionNotMet');
      await done(client, list('a', { 'if-none-match': '*' }));
      await done(client, block('b'));
      await done(client, list('b', { 'if-unmodified-since': long }));
    });
  });

  test('go to the list that is committed first; a later one finds none', async () => {
    await withClient(async (client) => {
      for (const n of ['MQ==', 'Mg==']) await done(client, put(`${at('a')}?comp=block&blockid=${n}`, {}, n));
      const listed = (n: string): WholeRequest =>
        put(`${at('a')}?comp=blocklist`, {}, `<BlockList><Latest>${n}</Latest></BlockList>`);
      await done(client, listed('MQ=='));
      await refused(client, listed('Mg=='), 400, 'InvalidBlockList');
    });
  });
});
