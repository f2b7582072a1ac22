// What older versions do otherwise: every row of the tables, under the version before it and under its own.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { openTestSurface, testAccount } from './call.testing.ts';
import { type Answered, sasFor, TestClient, type WholeRequest } from './dispatch.testing.ts';
import {
  addedElements,
  addedHeaders,
  bytesMax,
  type DifferenceName,
  differences,
  longest,
} from './version-differences.ts';
import { versions } from './versions.ts';

const at = (path: string): string => `/${testAccount}/${path}`;
const md5 = (text: string): string => createHash('md5').update(text).digest('base64');
const mebibyte = 1024 * 1024;

class Box {
  readonly client: TestClient;
  constructor(client: TestClient) {
    this.client = client;
  }

  ask(version: string, request: WholeRequest): Promise<Answered> {
    return this.client.send({ ...request, headers: { ...request.headers, 'x-ms-version': version } });
  }

  async told(version: string, request: WholeRequest): Promise<string> {
    const { status, code, text } = await this.ask(version, request);
    return `${status} ${code ?? /<Code>(\w+)/.exec(text)?.[1] ?? ''}`.trim();
  }

  put(version: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const all = { 'x-ms-blob-type': 'BlockBlob', ...headers };
    return this.told(version, { method: 'PUT', url: at(path), body: 'text', headers: all });
  }

  lease(version: string, path: string, headers: Readonly<Record<string, string>>): Promise<Answered> {
    return this.ask(version, { method: 'PUT', url: `${at(path)}?comp=lease`, headers });
  }

  async list(version: string, query = ''): Promise<string> {
    return (await this.ask(version, { url: at(`docs?restype=container&comp=list${query}`) })).text;
  }
}

async function withBox(work: (box: Box) => Promise<void>): Promise<void> {
  await using surface = await openTestSurface();
  const client = new TestClient(surface);
  await client.container('docs');
  await client.put(at('docs/a'), 'text');
  await work(new Box(client));
}

const id = '11111111-2222-4333-8444-555555555555';
const acquire = { 'x-ms-lease-action': 'acquire', 'x-ms-proposed-lease-id': id };
const [renew, release] = ['renew', 'release'].map((name) => ({ 'x-ms-lease-action': name, 'x-ms-lease-id': id }));
const breakIt = { 'x-ms-lease-action': 'break' };
const code = ({ status, text }: Answered): string => `${status} ${/<Code>(\w+)/.exec(text)?.[1] ?? ''}`.trim();

type Row = (box: Box, before: string, since: string) => Promise<void>;
const rows: Record<DifferenceName, Row> = {
  quotedEtags: async (box, before, since) => {
    const etag = async (version: string): Promise<string> =>
      `${(await box.ask(version, { url: at('docs/a') })).headers.ETag}`;
    assert.equal(await etag(since), `"${await etag(before)}"`);
    const url = `/${testAccount}?comp=list`;
    assert.match((await box.ask(before, { url })).text, /<Etag>0x/);
    assert.match((await box.ask(since, { url })).text, /<Etag>"0x/);
    const match = { 'if-match': await etag(before) };
    assert.equal((await box.ask(before, { url: at('docs/a'), headers: match })).status, 200);
  },
  leaseDuration: async (box, before, since) => {
    assert.equal(code(await box.lease(since, 'docs/a', acquire)), '400 MissingRequiredHeader');
    assert.equal((await box.lease(before, 'docs/a', acquire)).status, 201);
    const { headers } = await box.ask(since, { method: 'HEAD', url: at('docs/a') });
    assert.deepEqual([headers['x-ms-lease-state'], headers['x-ms-lease-duration']], ['leased', 'fixed']);
    const broken = await box.lease(before, 'docs/a', breakIt);
    assert.deepEqual([broken.status, broken.headers['x-ms-lease-time']], [202, 60]);
  },
  releaseEnds: async (box, before, since) => {
    for (const [version, renewed, brokenToo] of [
      [before, '200', '202'],
      [since, '409 LeaseNotPresentWithLeaseOperation', '409 LeaseNotPresentWithLeaseOperation'],
    ] as const) {
      const path = `docs/released-${version}`;
      await box.put(since, path);
      await box.lease(since, path, { ...acquire, 'x-ms-lease-duration': '60' });
      assert.equal((await box.lease(version, path, release!)).status, 200);
      assert.equal(await box.put(since, `${path}-other`), '201');
      assert.equal(code(await box.lease(version, path, renew!)), renewed);
      await box.lease(version, path, release!);
      assert.equal(code(await box.lease(version, path, breakIt)), brokenToo);
    }
  },
  breakAgain: async (box, before, since) => {
    await box.lease(since, 'docs/a', { ...acquire, 'x-ms-lease-duration': '60' });
    assert.equal((await box.lease(before, 'docs/a', breakIt)).status, 202);
    assert.equal(code(await box.lease(before, 'docs/a', breakIt)), '409 LeaseAlreadyBroken');
    assert.equal((await box.lease(since, 'docs/a', breakIt)).status, 202);
  },
  copyState: async (box, before, since) => {
    const source = { 'x-ms-copy-source': `http://127.0.0.1:10000${at('docs/a')}` };
    for (const [version, status, isThere] of [
      [before, 201, false],
      [since, 202, true],
    ] as const) {
      const url = at(`docs/copy-${version}`);
      assert.equal((await box.ask(version, { method: 'PUT', url, headers: source })).status, status);
      const { headers } = await box.ask('2021-12-02', { method: 'HEAD', url });
      assert.equal(headers['x-ms-copy-id'] !== undefined, isThere);
    }
  },
  copySourceUrl: async (box, before, since) => {
    await box.client.container('$root');
    await box.put(since, '$root/r');
    for (const path of ['docs/a', 'r', 'docs/none']) {
      const copy = (version: string): Promise<string> =>
        box.told(version, { method: 'PUT', url: at('docs/b'), headers: { 'x-ms-copy-source': at(path) } });
      assert.match(await copy(before), path === 'docs/none' ? /^404 / : /^201$/);
      assert.equal(await copy(since), '400 InvalidHeaderValue');
    }
    const shot = await box.ask(before, { method: 'PUT', url: at('docs/a?comp=snapshot') });
    await box.client.put(at('docs/a'), 'changed');
    const source = `${at('docs/a')}?snapshot=${encodeURIComponent(`${shot.headers['x-ms-snapshot']}`)}`;
    await box.ask(before, { method: 'PUT', url: at('docs/b'), headers: { 'x-ms-copy-source': source } });
    assert.equal((await box.ask(before, { url: at('docs/b') })).text, 'text');
  },
  sourceLease: async (box, before, since) => {
    const copy = async (version: string): Promise<number> => {
      const headers = { 'x-ms-copy-source': `http://127.0.0.1:10000${at('docs/a')}`, 'x-ms-source-lease-id': id };
      return (await box.ask(version, { method: 'PUT', url: at('docs/b'), headers })).status;
    };
    assert.deepEqual([await copy(before), await copy(since)], [412, 202]);
    await box.lease(since, 'docs/a', { ...acquire, 'x-ms-lease-duration': '-1' });
    assert.equal(await copy(before), 201);
  },
  computedMd5: async (box, before, since) => {
    const kept = async (version: string, headers = {}): Promise<unknown[]> => {
      const made = await box.ask(version, {
        method: 'PUT',
        url: at('docs/m'),
        body: 'text',
        headers: { 'x-ms-blob-type': 'BlockBlob', ...headers },
      });
      return [made.headers['Content-MD5'], (await box.ask(since, { url: at('docs/m') })).headers['Content-MD5']];
    };
    assert.deepEqual(await kept(before), [undefined, undefined]);
    assert.deepEqual(await kept(before, { 'content-md5': md5('text') }), [md5('text'), md5('text')]);
    assert.deepEqual(await kept(since), [md5('text'), md5('text')]);
  },
  listedEndpoint: async (box, before, since) => {
    const host = `http://127.0.0.1:10000/${testAccount}/`;
    await box.put(since, 'docs/d%20e/f');
    const old = await box.list(before);
    assert.match(old, new RegExp(`<EnumerationResults ContainerName="${host}docs">`));
    assert.match(old, new RegExp(`<Name>d e/f</Name><Url>${host}docs/d%20e/f</Url><Properties>`));
    const own = await box.list(since);
    assert.match(own, new RegExp(`<EnumerationResults ServiceEndpoint="${host}" ContainerName="docs">`));
    assert.doesNotMatch(own, /<Url>/);
    const url = `/${testAccount}?comp=list`;
    const containers = (await box.ask(before, { url })).text;
    assert.match(containers, new RegExp(`<EnumerationResults AccountName="${host}"><Containers>`));
    assert.match(containers, new RegExp(`<Name>docs</Name><Url>${host}docs</Url><Properties>`));
    assert.match((await box.ask(since, { url })).text, new RegExp(`<EnumerationResults ServiceEndpoint="${host}">`));
  },
  partialProperties: async (box, before, since) => {
    const url = `/${testAccount}?restype=service&comp=properties`;
    const retention = '<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>';
    const metrics = `<Version>1.0</Version><Enabled>true</Enabled><IncludeAPIs>true</IncludeAPIs>${retention}`;
    const logging = `<Logging><Version>1.0</Version><Delete>true</Delete><Read>false</Read><Write>false</Write>${retention}</Logging>`;
    const set = (version: string, inner: string): Promise<string> => {
      const body = `<StorageServiceProperties>${inner}</StorageServiceProperties>`;
      return box.told(version, { method: 'PUT', url, body });
    };
    assert.equal(await set(before, logging), '400 InvalidXmlDocument');
    assert.equal(await set(since, logging), '202');
    assert.equal(await set(since, `${logging}<Metrics>${metrics}</Metrics>`), '400 InvalidXmlDocument');
    assert.equal(await set(before, `${logging}<Metrics>${metrics}</Metrics>`), '202');
    const root = (await box.ask(before, { url })).text.replace(/^.*<StorageServiceProperties>/s, '');
    assert.match(root, /^<Logging>.*<\/Logging><Metrics>.*<\/Metrics><\/StorageServiceProperties>$/s);
    const own = (await box.ask(since, { url })).text;
    assert.match(
      own,
      /<HourMetrics><Version>1.0<\/Version><Enabled>true<\/Enabled>.*<\/MinuteMetrics><Cors \/><\/Stor/,
    );
  },
  containerLease: async (box, before, since) => {
    const url = at('docs?restype=container');
    const etag = async (): Promise<unknown> => (await box.ask('2021-12-02', { url })).headers.ETag;
    const headers = { ...acquire, 'x-ms-lease-duration': '-1' };
    for (const [version, isSame] of [
      [since, true],
      [before, false],
    ] as const) {
      const first = await etag();
      assert.equal((await box.ask(version, { method: 'PUT', url: `${url}&comp=lease`, headers })).status, 201);
      assert.equal((await etag()) === first, isSame);
    }
  },
  listsAppendBlobs: async (box, before, since) => {
    assert.doesNotMatch(await box.list(before), /<Code>/);
    await box.ask(since, { method: 'PUT', url: at('docs/log'), headers: { 'x-ms-blob-type': 'AppendBlob' } });
    assert.match(await box.list(before), /<Code>FeatureVersionMismatch</);
    assert.match(await box.list(since), /<BlobType>AppendBlob</);
  },
  createInPolicies: async (box, before, since) => {
    const url = at('docs?restype=container&comp=acl');
    for (const [permission, status] of [
      ['rwd', '200'],
      ['rac', '409 FeatureVersionMismatch'],
    ] as const) {
      const policy = `<SignedIdentifier><Id>a</Id><AccessPolicy><Permission>${permission}</Permission></AccessPolicy></SignedIdentifier>`;
      await box.ask(since, { method: 'PUT', url, body: `<SignedIdentifiers>${policy}</SignedIdentifiers>` });
      assert.equal(await box.told(before, { url }), status);
      assert.equal(await box.told(since, { url }), '200');
    }
  },
  anyEtagStaged: async (box, before, since) => {
    const list = '<BlockList><Latest>AAAA</Latest></BlockList>';
    for (const [version, status] of [
      [since, '412 ConditionNotMet'],
      [before, '201'],
    ] as const) {
      await box.ask(version, { method: 'PUT', url: at('docs/staged?comp=block&blockid=AAAA'), body: 'text' });
      const commit = { method: 'PUT', url: at('docs/staged?comp=blocklist'), body: list, headers: { 'if-match': '*' } };
      assert.equal(await box.told(version, commit), status);
    }
  },
  anyEtagRead: async (box, before, since) => {
    const read = { url: at('docs/a'), headers: { 'if-none-match': '*' } };
    assert.equal(await box.told(before, read), '200');
    assert.equal(await box.told(since, read), '400 UnsatisfiableCondition');
  },
  crcOfBlocks: async (box, before, since) => {
    await box.ask(since, { method: 'PUT', url: at('docs/log'), headers: { 'x-ms-blob-type': 'AppendBlob' } });
    const list = '<BlockList><Latest>AAAA</Latest></BlockList>';
    for (const [path, body] of [
      ['docs/b?comp=block&blockid=AAAA', 'text'],
      ['docs/b?comp=blocklist', list],
      ['docs/log?comp=appendblock', 'text'],
    ] as const) {
      const sums = async (version: string): Promise<unknown[]> => {
        const { status, headers } = await box.ask(version, { method: 'PUT', url: at(path), body });
        assert.equal(status, 201, path);
        return [headers['Content-MD5'], headers['x-ms-content-crc64'] !== undefined];
      };
      assert.deepEqual(await sums(before), [md5(body), false], path);
      assert.deepEqual(await sums(since), [undefined, true], path);
    }
  },
  encodedNames: async (box, before, since) => {
    await box.put(since, 'docs/%01');
    assert.doesNotMatch(await box.list(before), /Encoded="true"/);
    assert.match(await box.list(since), /<Name Encoded="true">%01</);
  },
  tierOfReads: async (box, before, since) => {
    const tier = async (version: string): Promise<unknown> =>
      (await box.ask(version, { url: at('docs/a') })).headers['x-ms-access-tier'];
    assert.deepEqual([await tier(before), await tier(since)], [undefined, 'Hot']);
  },
  bothSums: async (box, before, since) => {
    const crc = async (version: string): Promise<boolean> => {
      const headers = { 'content-md5': md5('text') };
      const put = { method: 'PUT', url: at('docs/b?comp=block&blockid=AAAA'), body: 'text', headers };
      return (await box.ask(version, put)).headers['x-ms-content-crc64'] !== undefined;
    };
    assert.deepEqual([await crc(before), await crc(since)], [false, true]);
  },
};

const versionBefore = (since: string): string => versions.findLast((version) => version < since) as string;

for (const [name, row] of Object.entries(rows)) {
  const { before, since } = differences[name as DifferenceName];
  test(`before ${since}: ${before}`, () => withBox((box) => row(box, versionBefore(since), since)));
}

test('answers have no header that their version does not have, and every other', async () => {
  await withBox(async (box) => {
    const source = { 'x-ms-copy-source': `http://127.0.0.1:10000${at('docs/a')}` };
    await box.ask('2021-12-02', { method: 'PUT', url: at('docs/c'), headers: source });
    const read: WholeRequest = { url: at('docs/c'), headers: { 'x-ms-range': 'bytes=0-1' } };
    const leased: WholeRequest = {
      method: 'PUT',
      url: at('docs/c?comp=lease'),
      headers: { ...acquire, 'x-ms-lease-duration': '-1' },
    };
    const asked: WholeRequest[] = [
      ...[leased, { method: 'HEAD', url: at('docs/c') }, read, { url: at('docs/none') }],
      ...[{ url: at('docs?restype=container') }, { url: at('?restype=account&comp=properties') }],
      { method: 'PUT', url: at('docs/p'), body: 'text', headers: { 'x-ms-blob-type': 'BlockBlob' } },
    ];
    const seen = new Set<string>();
    for (const version of versions) {
      for (const [index, request] of asked.entries()) {
        const headers = (await box.ask(version, request)).headers;
        const given = Object.keys(headers).filter((name) => headers[name] !== undefined);
        for (const { since, names, of } of addedHeaders) {
          if (of !== undefined && !(of.includes('LeaseBlob') ? index === 0 : index === 4)) continue;
          for (const name of names.filter((one) => given.includes(one))) {
            assert(version >= since, `${name} under ${version}`);
            seen.add(`${name} ${since} ${version === since || !versions.includes(since as never)}`);
          }
        }
      }
    }
    for (const name of [
      'Accept-Ranges 2011-08-18',
      'x-ms-copy-id 2012-02-12',
      'ETag 2013-08-15',
      'x-ms-error-code 2017-07-29',
    ])
      assert(seen.has(`${name} true`), `${name} comes with its version`);
    for (const name of [
      'x-ms-server-encrypted 2015-12-11',
      'x-ms-blob-content-md5 2016-05-31',
      'x-ms-creation-time 2017-11-09',
    ])
      assert(seen.has(`${name} true`), `${name} comes with its version`);
    for (const name of [
      'x-ms-content-crc64 2019-02-02',
      'x-ms-is-hns-enabled 2019-07-07',
      'x-ms-access-tier 2017-04-17',
    ])
      assert(seen.has(`${name} true`), `${name} comes with its version`);
  });
});

test('lists have no element that their version does not have, and their metadata stays as it is', async () => {
  await withBox(async (box) => {
    await box.put('2021-12-02', 'docs/b', { 'x-ms-meta-leasestate': 'mine', 'x-ms-meta-Cors': 'kept' });
    const names = new Map<string, string>();
    for (const version of versions) {
      const xml = await box.list(version, '&include=metadata,copy');
      assert.match(xml, /<leasestate>mine<\/leasestate>/);
      assert.match(xml, /<Cors>kept<\/Cors>/);
      const properties = xml.replaceAll(/<Metadata>.*?<\/Metadata>/g, '');
      for (const { since, names: added } of addedElements) {
        for (const name of added) {
          if (!new RegExp(`<${name}[ >]`).test(properties)) continue;
          assert(version >= since, `${name} under ${version}`);
          if (!names.has(name)) names.set(name, version);
        }
      }
    }
    const first = (name: string): string | undefined => names.get(name);
    assert.deepEqual(
      ['LeaseState', 'ServerEncrypted', 'AccessTier', 'Creation-Time', 'Content-CRC64', 'OrMetadata'].map(first),
      [...['2012-02-12', '2015-12-11', '2017-04-17', '2017-11-09', '2019-02-02', '2019-12-12']],
    );
    const oldest = await box.list('2009-09-19');
    assert.match(
      oldest,
      /<Properties><Last-Modified>[^<]*<\/Last-Modified><Etag>0x[0-9A-F]*<\/Etag><Content-Length>4<\/Content-Length><Content-Type>application\/octet-stream<\/Content-Type><Content-Encoding \/><Content-Language \/><Content-MD5>[^<]*<\/Content-MD5><Cache-Control \/><BlobType>BlockBlob<\/BlobType><LeaseStatus>unlocked<\/LeaseStatus><\/Properties><\/Blob>/,
    );
  });
});

test('a body is as long as its version allows', async () => {
  await withBox(async (box) => {
    for (const [of, limits] of Object.entries(longest)) {
      for (const [since, most] of limits) assert.equal(bytesMax(of as keyof typeof longest, since), most * mebibyte);
    }
    assert.deepEqual([bytesMax('blob', '2018-03-28'), bytesMax('block', '2015-12-11')], [256 * mebibyte, 4 * mebibyte]);
    const announced = (version: string, path: string, bytes: number): Promise<string> =>
      box.told(version, {
        method: 'PUT',
        url: at(path),
        headers: { 'x-ms-blob-type': 'BlockBlob', 'content-length': `${bytes}` },
      });
    for (const [version, blob, block] of [
      ['2015-12-11', 64, 4],
      ['2019-07-07', 256, 100],
      ['2019-12-12', 5000, 4000],
    ] as const) {
      assert.equal(await announced(version, 'docs/l', blob * mebibyte + 1), '413 RequestBodyTooLarge');
      assert.equal(await announced(version, 'docs/l', blob * mebibyte), '400 InvalidInput', 'the body is shorter');
      const staged = 'docs/l?comp=block&blockid=AAAA';
      assert.equal(await announced(version, staged, block * mebibyte + 1), '413 RequestBodyTooLarge');
      assert.equal(await announced(version, staged, block * mebibyte), '400 InvalidInput', 'the body is shorter');
    }
  });
});

test('what an older signature does not permit is not there', async () => {
  await withBox(async (box) => {
    const told = async (sv: string, sp: string, path = 'docs/a'): Promise<string> => {
      const sas = sasFor(at('docs/a'), { sv, sr: 'b', sp, se: '2030-01-01T00:00:00Z' });
      return await box.told('2021-12-02', { url: `${at(path)}?${sas}`, key: null });
    };
    assert.equal(await told('2015-02-21', 'w'), '404 ResourceNotFound');
    assert.equal(await told('2015-04-05', 'w'), '403 AuthorizationPermissionMismatch');
    assert.equal(await told('2015-02-21', 'r'), '200');
    assert.equal(await told('2015-02-21', 'r', 'docs/b'), '403 AuthenticationFailed');
  });
});

test('whoever names no version and does not sign is served as the oldest', async () => {
  await withBox(async (box) => {
    const url = at('docs?restype=container&comp=acl');
    await box.client.send({ method: 'PUT', url, headers: { 'x-ms-blob-public-access': 'container' } });
    const none = { headers: { 'x-ms-version': '' }, key: null };
    const read = await box.client.send({ ...none, url: at('docs/a') });
    assert.deepEqual([read.status, read.text, read.headers['x-ms-version']], [200, 'text', '2009-09-19']);
    assert.match(`${read.headers.ETag}`, /^0x/);
    const listed = await box.client.send({ ...none, url: at('docs?restype=container&comp=list') });
    assert.match(listed.text, /<Url>/);
    const missing = await box.client.send({ ...none, url: at('docs/none') });
    assert.deepEqual([missing.status, missing.code], [404, undefined]);
    const newer = await box.client.send({ ...none, url: at('docs/a?api-version=2021-12-02') });
    assert.match(`${newer.headers.ETag}`, /^"0x/);
  });
});
