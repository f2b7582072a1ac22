// List Containers and List Blobs: the XML, paging, and what is refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readXml, xmlChild, xmlChildText } from '../../codec/xml-read.ts';
import type { EntryAttributes } from '../../namespace/entries.ts';
import { putEntry } from '../../namespace/entries.ts';
import { stageBlock } from '../../namespace/uploads.ts';
import type { Answer } from '../http/answer.ts';
import {
  containerCall,
  openTestSurface,
  refusal,
  serviceCall,
  type TestRequest,
  type TestSurface,
  testAccount,
} from './call.testing.ts';
import { createContainer } from './create-container.ts';
import { leaseContainer } from './lease-container.ts';
import { listBlobs } from './list-blobs.ts';
import { listContainers } from './list-containers.ts';
import { decodeMarker, encodeMarker } from './list-parameters.ts';

const declaration = '\ufeff<?xml version="1.0" encoding="utf-8"?>';
const endpoint = `http://127.0.0.1:10000/${testAccount}/`;
const date = 'Fri, 02 Jan 2026 03:04:05 GMT';

async function openBox(): Promise<TestSurface> {
  const surface = await openTestSurface();
  await createContainer(containerCall(surface, 'box'));
  return surface;
}

function bodyOf(text: string): {
  chunks: AsyncIterable<Uint8Array>;
  length: number;
  lengthMax: number;
  wantMd5: boolean;
} {
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    yield Buffer.from(text);
  }
  return { chunks: chunks(), length: Buffer.byteLength(text), lengthMax: 1024, wantMd5: true };
}

const cause = { by: 'test', requestId: 'r' };

async function put(surface: TestSurface, name: string, attributes: Partial<EntryAttributes> = {}): Promise<string> {
  const outcome = await putEntry(surface.store, {
    account: testAccount,
    container: 'box',
    name,
    conditions: {},
    cause,
    attributes: { headers: {}, metadata: {}, ...attributes },
    body: bodyOf('x'),
  });
  assert.equal(outcome.kind, 'ok');
  return outcome.kind === 'ok' ? outcome.entry.record.etag : '';
}

function list(surface: TestSurface, query = '', request: TestRequest = {}): Promise<Answer> {
  return listBlobs(containerCall(surface, 'box', { query: `restype=container&comp=list&${query}`, ...request }));
}

interface ReadList {
  readonly names: string[];
  readonly next: string | undefined;
}

/** As a client reads it: names, prefixes with a mark, the marker. */
function read(answer: Answer): ReadList {
  const parsed = readXml(`${answer.body}`, 64 * 1024 * 1024, 1_000_000);
  assert.equal(parsed.kind, 'ok');
  if (parsed.kind !== 'ok') throw new Error('no XML');
  const names = (xmlChild(parsed.root, 'Blobs')?.children ?? []).map((child) => {
    const name = xmlChild(child, 'Name');
    const text = name?.attributes.Encoded === 'true' ? decodeURIComponent(name.text) : (name?.text ?? '');
    return child.name === 'BlobPrefix' ? `[${text}]` : text;
  });
  return { names, next: xmlChildText(parsed.root, 'NextMarker') || undefined };
}

describe('list blobs', () => {
  test('gives the elements in the order of the service', async () => {
    await using surface = await openBox();
    const etag = await put(surface, 'dir/a&b.txt', {
      headers: { contentType: 'text/plain; charset="utf-8"', cacheControl: 'no-cache', contentMd5: 'nf1+nLgpJTEF5kU=' },
      metadata: { Key: 'va<ue', other: '' },
      tier: 'Cool',
      tags: { project: 'one' },
      copy: {
        id: 'c-1',
        source: 'http://here/x?a=1&b=2',
        status: 'success',
        completedMs: surface.clock.now(),
        bytes: 1,
        total: 1,
      },
    });
    const answer = await list(surface, 'prefix=dir%2F&maxresults=7&include=metadata,copy,tags');
    assert.deepEqual([answer.status, answer.headers['Content-Type']], [200, 'application/xml']);
    assert.equal(
      `${answer.body}`,
      `${declaration}<EnumerationResults ServiceEndpoint="${endpoint}" ContainerName="box"><Prefix>dir/</Prefix>` +
        `<MaxResults>7</MaxResults><Blobs><Blob><Name>dir/a&amp;b.txt</Name><Properties><Creation-Time>${date}</Creation-Time>` +
        `<Last-Modified>${date}</Last-Modified><Etag>${etag}</Etag><Content-Length>1</Content-Length>` +
        '<Content-Type>text/plain; charset=&quot;utf-8&quot;</Content-Type><Content-Encoding /><Content-Language />' +
        '<Content-CRC64 /><Content-MD5>nf1+nLgpJTEF5kU=</Content-MD5><Cache-Control>no-cache</Cache-Control>' +
        '<Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Cool</AccessTier>' +
        `<AccessTierChangeTime>${date}</AccessTierChangeTime><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>` +
        '<CopyId>c-1</CopyId><CopySource>http://here/x?a=1&amp;b=2</CopySource><CopyStatus>success</CopyStatus>' +
        `<CopyProgress>1/1</CopyProgress><CopyCompletionTime>${date}</CopyCompletionTime>` +
        '<ServerEncrypted>true</ServerEncrypted><TagCount>1</TagCount></Properties>' +
        '<Metadata><Key>va&lt;ue</Key><other /></Metadata>' +
        '<Tags><TagSet><Tag><Key>project</Key><Value>one</Value></Tag></TagSet></Tags><OrMetadata /></Blob></Blobs>' +
        '<NextMarker /></EnumerationResults>',
    );
    const plain = `${(await list(surface)).body}`;
    for (const element of ['<Metadata', '<CopyId>', '<Tags>', '<Prefix', '<MaxResults', '<Delimiter', '<Marker']) {
      assert.ok(!plain.includes(element), element);
    }
    assert.ok(plain.includes('<TagCount>1</TagCount>'));
  });

  test('mixes blobs and prefixes in the order of names, and pages over both', async () => {
    await using surface = await openBox();
    for (const name of ['a', 'a!', 'a/1', 'a/2', 'b/1', 'c']) await put(surface, name);
    const all = ['a', 'a!', '[a/]', '[b/]', 'c'];
    const whole = await list(surface, 'delimiter=%2F');
    assert.deepEqual(read(whole), { names: all, next: undefined });
    assert.match(`${whole.body}`, /<Delimiter>\/<\/Delimiter><Blobs>/);
    for (const size of [1, 2, 3, 5, 6]) {
      const found: string[] = [];
      let marker: string | undefined = '';
      while (marker !== undefined) {
        const query: string = `delimiter=/&maxresults=${size}&marker=${encodeURIComponent(marker)}`;
        const page: ReadList = read(await list(surface, query));
        assert.ok(page.names.length <= size);
        found.push(...page.names);
        marker = page.next;
      }
      assert.deepEqual(found, all, `pages of ${size}`);
    }
  });

  test('of nothing is an empty element', async () => {
    await using surface = await openBox();
    assert.equal(
      `${(await list(surface, 'prefix=&delimiter=&marker=')).body}`,
      `${declaration}<EnumerationResults ServiceEndpoint="${endpoint}" ContainerName="box"><Prefix /><Marker />` +
        '<Blobs /><NextMarker /></EnumerationResults>',
    );
    const missing = listBlobs(containerCall(surface, 'none'));
    assert.equal(await refusal(missing), 'ContainerNotFound');
  });

  test('encodes names that XML cannot carry, from the version on that knows how', async () => {
    await using surface = await openBox();
    const name = 'dir\u0001/x\ufffe&%';
    await put(surface, name);
    assert.deepEqual(read(await list(surface)).names, [name]);
    assert.match(`${(await list(surface)).body}`, /<Name Encoded="true">dir%01%2Fx%EF%BF%BE%26%25<\/Name>/);
    assert.deepEqual(read(await list(surface, 'delimiter=/')).names, ['[dir\u0001/]']);
    const old = `${(await list(surface, '', { version: '2020-10-02' })).body}`;
    assert.match(old, /<Name>dir\ufffd\/x\ufffd&amp;%<\/Name>/);
  });

  test('shows names with only staged blocks to those who ask', async () => {
    await using surface = await openBox();
    await put(surface, 'a');
    const staged = {
      account: testAccount,
      container: 'box',
      name: 'b',
      blockId: Buffer.from('1'),
      cause,
      body: bodyOf('x'),
    };
    assert.equal((await stageBlock(surface.store, staged)).kind, 'ok');
    assert.deepEqual(read(await list(surface)).names, ['a']);
    const asked = await list(surface, 'include=uncommittedblobs');
    assert.deepEqual(read(asked).names, ['a', 'b']);
    assert.equal(`${asked.body}`.split('<Etag>').length, 2);
  });

  test('ends before endBefore, under versions that did not have it too', async () => {
    await using surface = await openBox();
    for (const name of ['a', 'b', 'c', 'd']) await put(surface, name);
    const version = '2019-12-12';
    assert.deepEqual(read(await list(surface, 'endBefore=c', { version: '2026-10-06' })).names, ['a', 'b']);
    assert.deepEqual(read(await list(surface, 'endBefore=c', { version })).names, ['a', 'b']);
    assert.deepEqual(read(await list(surface, 'endBefore=bb', { version })).names, ['a', 'b']);
    assert.deepEqual(read(await list(surface, 'endBefore=a', { version })).names, []);
    assert.deepEqual(read(await list(surface, 'endBefore=z', { version })).names, ['a', 'b', 'c', 'd']);
    assert.deepEqual(read(await list(surface, 'endBefore=', { version })).names, ['a', 'b', 'c', 'd']);
    assert.deepEqual(read(await list(surface, 'endBefore=d&startFrom=b', { version })).names, ['b', 'c']);
    const first = read(await list(surface, 'endBefore=c&maxresults=1', { version }));
    assert.deepEqual(first.names, ['a']);
    const second = read(await list(surface, `endBefore=c&maxresults=1&marker=${first.next}`, { version }));
    assert.deepEqual([second.names, second.next], [['b'], undefined]);
  });

  test('begins at startFrom, under versions that did not have it too, and never before the marker', async () => {
    await using surface = await openBox();
    for (const name of ['a', 'b', 'c', 'd']) await put(surface, name);
    assert.deepEqual(read(await list(surface, 'startFrom=b')).names, ['b', 'c', 'd']);
    assert.deepEqual(read(await list(surface, 'startFrom=bb', { version: '2026-02-06' })).names, ['c', 'd']);
    assert.deepEqual(read(await list(surface, 'startFrom=b', { version: '2019-12-12' })).names, ['b', 'c', 'd']);
    assert.deepEqual(read(await list(surface, 'startFrom=b&prefix=d')).names, ['d']);
    assert.deepEqual(read(await list(surface, 'startFrom=e&prefix=d')).names, []);
    const { next } = read(await list(surface, 'startFrom=b&maxresults=2'));
    assert.deepEqual(read(await list(surface, `startFrom=b&maxresults=2&marker=${next}`)).names, ['d']);
  });

  test('has nothing for features that keep no versions, and refuses what it does not know', async () => {
    await using surface = await openBox();
    await put(surface, 'a');
    const harmless =
      'include=snapshots&include=versions,deleted,deletedwithversions,immutabilitypolicy,legalhold,permissions';
    assert.deepEqual(read(await list(surface, harmless)).names, ['a']);
    assert.deepEqual(read(await list(surface, 'showonly=deleted')).names, []);
    const cases: [string, string][] = [
      ['include=everything', 'InvalidQueryParameterValue'],
      ['include=snapshots&delimiter=/', 'InvalidQueryParameterValue'],
      ['showonly=files', 'InvalidQueryParameterValue'],
      ['maxresults=0', 'OutOfRangeQueryParameterValue'],
      ['maxresults=-1', 'OutOfRangeQueryParameterValue'],
      ['maxresults=99999999999', 'InvalidQueryParameterValue'],
      ['maxresults=ten', 'InvalidQueryParameterValue'],
      ['marker=a', 'InvalidQueryParameterValue'],
      ['marker=2!', 'InvalidQueryParameterValue'],
      ['marker=2!_w', 'InvalidQueryParameterValue'],
      ['prefix=a&prefix=b', 'InvalidQueryParameterValue'],
    ];
    for (const [query, code] of cases) assert.equal(await refusal(list(surface, query)), code, query);
    assert.equal(await refusal(list(surface, 'maxresults=5001')), 'none');
  });

  test('takes metadata of any length that a blob may have', async () => {
    await using surface = await openBox();
    const metadata = { long: '\u00e9'.repeat(2000), other: '\uffee'.repeat(2000) };
    for (const name of ['a', 'b', 'c']) await put(surface, name, { metadata });
    const answer = `${(await list(surface, 'include=metadata')).body}`;
    const shown = `<Metadata><long>${metadata.long}</long><other>${metadata.other}</other></Metadata>`;
    assert.equal(answer.split(shown).length, 4);
  });

  test('gives 5,000 a page and no more', async () => {
    await using surface = await openBox();
    const names = Array.from({ length: 5001 }, (_, i) => `n${String(i).padStart(5, '0')}`);
    await Promise.all(names.map((name) => put(surface, name)));
    const first = read(await list(surface, 'maxresults=6000'));
    assert.deepEqual(first.names, names.slice(0, 5000));
    const second = read(await list(surface, `marker=${first.next}`));
    assert.deepEqual(second, { names: names.slice(5000), next: undefined });
  });
});

describe('markers', () => {
  test('carry any name, and nothing that was not made as one is taken', () => {
    const name = fc
      .string({ unit: 'binary', minLength: 1 })
      .filter((text) => text.isWellFormed() && !text.includes('\0'));
    fc.assert(fc.property(name, (text) => decodeMarker(encodeMarker(text)) === text));
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (text === '') return true;
        try {
          return encodeMarker(decodeMarker(text)) === text;
        } catch {
          return true;
        }
      }),
    );
  });
});

describe('list containers', () => {
  const containers = (surface: TestSurface, query = ''): Promise<Answer> =>
    listContainers(serviceCall(surface, { query: `comp=list&${query}` }));
  const namesIn = (answer: Answer): string[] =>
    [...`${answer.body}`.matchAll(/<Name>([^<]*)<\/Name>/g)].map((one) => one[1] ?? '');
  const nextIn = (answer: Answer): string => /<NextMarker>([^<]*)<\/NextMarker>/.exec(`${answer.body}`)?.[1] ?? '';

  test('gives the elements in the order of the service', async () => {
    await using surface = await openTestSurface();
    const headers = { 'x-ms-meta-key': 'val', 'x-ms-blob-public-access': 'blob' };
    const made = await createContainer(containerCall(surface, 'box', { headers }));
    const acquire = { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '-1' };
    await leaseContainer(containerCall(surface, 'box', { headers: acquire }));
    assert.equal(
      (await containers(surface, 'include=metadata&prefix=bo&maxresults=3')).body,
      `${declaration}<EnumerationResults ServiceEndpoint="${endpoint}"><Prefix>bo</Prefix><MaxResults>3</MaxResults><Containers>` +
        `<Container><Name>box</Name><Properties><Last-Modified>${date}</Last-Modified><Etag>${made.headers.ETag}</Etag>` +
        '<LeaseStatus>locked</LeaseStatus><LeaseState>leased</LeaseState><LeaseDuration>infinite</LeaseDuration>' +
        '<PublicAccess>blob</PublicAccess><DefaultEncryptionScope>$account-encryption-key</DefaultEncryptionScope>' +
        '<DenyEncryptionScopeOverride>false</DenyEncryptionScopeOverride><HasImmutabilityPolicy>false</HasImmutabilityPolicy>' +
        '<HasLegalHold>false</HasLegalHold><ImmutableStorageWithVersioningEnabled>false</ImmutableStorageWithVersioningEnabled>' +
        '</Properties><Metadata><key>val</key></Metadata></Container></Containers><NextMarker /></EnumerationResults>',
    );
  });

  test('pages by a marker of the service’s form, within a prefix', async () => {
    await using surface = await openTestSurface();
    for (const name of ['aaa', 'box1', 'box2', 'box3', 'zzz']) await createContainer(containerCall(surface, name));
    const first = await containers(surface, 'prefix=box&maxresults=2');
    assert.deepEqual(namesIn(first), ['box1', 'box2']);
    assert.equal(nextIn(first), `/${testAccount}/box3`);
    const second = await containers(surface, `prefix=box&maxresults=2&marker=${encodeURIComponent(nextIn(first))}`);
    assert.deepEqual([namesIn(second), nextIn(second)], [['box3'], '']);
    assert.deepEqual(namesIn(await containers(surface, `prefix=box&marker=/${testAccount}/zzz`)), []);
    assert.deepEqual(namesIn(await containers(surface, `marker=/${testAccount}/box3`)), ['box3', 'zzz']);
    for (const [query, code] of [
      ['marker=box1', 'OutOfRangeInput'],
      ['marker=/other/box1', 'OutOfRangeInput'],
      ['maxresults=0', 'OutOfRangeQueryParameterValue'],
      ['include=snapshots', 'InvalidQueryParameterValue'],
    ] as const) {
      assert.equal(await refusal(containers(surface, query)), code, query);
    }
  });

  test('shows system containers to those who ask', async () => {
    await using surface = await openTestSurface();
    assert.match(`${(await containers(surface)).body}`, /<Containers \/>/);
    for (const name of ['$logs', '$web', 'box']) await createContainer(containerCall(surface, name));
    assert.deepEqual(namesIn(await containers(surface)), ['$web', 'box']);
    assert.deepEqual(namesIn(await containers(surface, 'include=system,deleted')), ['$logs', '$web', 'box']);
  });

  test('names the endpoint that the caller used', async () => {
    await using surface = await openTestSurface();
    const headers = { host: `${testAccount}.blob.example.test` };
    const { body } = await listContainers(serviceCall(surface, { query: 'comp=list', headers }));
    assert.match(`${body}`, new RegExp(`ServiceEndpoint="http://${testAccount}.blob.example.test/"`));
  });
});
