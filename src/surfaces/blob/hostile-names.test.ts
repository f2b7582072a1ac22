// Names that a client chooses and that JavaScript or the store knows for something else: of metadata, tags, parameters, headers.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openTestSurface, testAccount } from './call.testing.ts';
import { TestClient } from './dispatch.testing.ts';
import { encodeMarker } from './list-parameters.ts';

const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'toJSON',
  'valueOf',
  '__defineGetter__',
];
const box = `/${testAccount}/box`;

const headersOf = (): Record<string, string> =>
  Object.fromEntries(names.map((name, index) => [`x-ms-meta-${name}`, `value ${index}`]));

function checkHeaders(headers: Readonly<Record<string, unknown>>): void {
  for (const [index, name] of names.entries()) {
    assert.ok(Object.hasOwn(headers, `x-ms-meta-${name}`), name);
    assert.equal(headers[`x-ms-meta-${name}`], `value ${index}`, name);
  }
}

describe('names that every object has', () => {
  test('are kept as metadata of blobs and containers, by every way in and out', async () => {
    await using surface = await openTestSurface();
    const client = new TestClient(surface);
    await client.container('box', headersOf());
    checkHeaders((await client.send({ url: `${box}?restype=container` })).headers);
    assert.equal((await client.put(`${box}/a`, 'x', headersOf())).status, 201);
    checkHeaders((await client.send({ url: `${box}/a` })).headers);
    checkHeaders((await client.send({ method: 'HEAD', url: `${box}/a` })).headers);
    checkHeaders((await client.send({ url: `${box}/a?comp=metadata` })).headers);
    await client.put(`${box}/b`);
    assert.equal(
      (await client.send({ method: 'PUT', url: `${box}/b?comp=metadata`, headers: headersOf() })).status,
      200,
    );
    checkHeaders((await client.send({ method: 'HEAD', url: `${box}/b` })).headers);
    const from = `http://127.0.0.1:10000${box}/a`;
    const copied = await client.send({ method: 'PUT', url: `${box}/c`, headers: { 'x-ms-copy-source': from } });
    assert.equal(copied.status, 202);
    checkHeaders((await client.send({ method: 'HEAD', url: `${box}/c` })).headers);
    const { text } = await client.send({ url: `${box}?restype=container&comp=list&include=metadata` });
    for (const [index, name] of names.entries()) {
      assert.equal(text.split(`<${name}>value ${index}</${name}>`).length, 4, name);
    }
    const twice = ['x-ms-meta-__proto__', '1', 'X-Ms-Meta-__PROTO__', '2'];
    const { metadata } = await import('./headers-in.ts');
    assert.deepEqual(Object.entries(metadata(twice)), [['__proto__', '1,2']]);
    assert.equal(Object.getPrototypeOf(metadata(twice)), Object.prototype);
  });

  test('are kept as tags, found by them, and met by conditions on them', async () => {
    await using surface = await openTestSurface();
    const client = new TestClient(surface);
    await client.container('box');
    const tags = names.map((name, index) => `${name}=v${index}`).join('&');
    assert.equal((await client.put(`${box}/a`, 'x', { 'x-ms-tags': tags })).status, 201);
    assert.equal((await client.put(`${box}/none`)).status, 201);
    const xml = (await client.send({ url: `${box}/a?comp=tags` })).text;
    for (const [index, name] of names.entries()) {
      assert.ok(xml.includes(`<Tag><Key>${name}</Key><Value>v${index}</Value></Tag>`), name);
      const where = encodeURIComponent(`"${name}"='v${index}'`);
      const found = await client.send({ url: `/${testAccount}/?comp=blobs&where=${where}` });
      assert.equal(found.text.split('<Name>').length, 2, name);
      const condition = { 'x-ms-if-tags': `"${name}" = 'v${index}'` };
      assert.equal((await client.send({ url: `${box}/a`, headers: condition })).status, 200, name);
      assert.equal((await client.send({ url: `${box}/none`, headers: condition })).status, 412, name);
    }
    const body = `<Tags><TagSet><Tag><Key>__proto__</Key><Value>w</Value></Tag></TagSet></Tags>`;
    assert.equal((await client.send({ method: 'PUT', url: `${box}/none?comp=tags`, body })).status, 204);
    assert.ok(
      (await client.send({ url: `${box}/none?comp=tags` })).text.includes('<Key>__proto__</Key><Value>w</Value>'),
    );
  });

  test('mean nothing as parameters, headers and values', async () => {
    await using surface = await openTestSurface();
    const client = new TestClient(surface);
    await client.container('box');
    await client.put(`${box}/a`);
    for (const name of names) {
      assert.equal((await client.send({ url: `${box}/a?${name}=1` })).status, 200, name);
      assert.equal((await client.send({ url: `${box}/a`, headers: { [name.toLowerCase()]: '1' } })).status, 200, name);
      for (const query of [
        `comp=${name}`,
        `restype=${name}&comp=list`,
        `restype=container&comp=list&include=${name}`,
      ]) {
        assert.ok([400, 405].includes((await client.send({ url: `${box}?${query}` })).status), query);
      }
      const method = name.toUpperCase();
      assert.ok([400, 405].includes((await client.send({ method, url: `${box}/a` })).status), name);
      for (const header of ['x-ms-blob-type', 'x-ms-access-tier', 'x-ms-version']) {
        assert.equal((await client.put(`${box}/b`, 'x', { [header]: name })).status, 400, `${header}: ${name}`);
      }
    }
    assert.equal(({} as Record<string, unknown>)['1'], undefined);
  });
});

describe('names that are longer than any can be', () => {
  const long = 'a'.repeat(10_000);
  test('list nothing, and fail as what they are', async () => {
    await using surface = await openTestSurface();
    const client = new TestClient(surface);
    await client.container('box');
    await client.put(`${box}/a`);
    const list = `${box}?restype=container&comp=list`;
    const where = encodeURIComponent(`"k" = '${long}'`);
    const seen: Record<string, string> = {};
    for (const [what, url] of Object.entries({
      prefix: `${list}&prefix=${long}`,
      'prefix with slashes': `${list}&prefix=${'a/'.repeat(5000)}`,
      'prefix of long names': `${list}&prefix=${`${'a'.repeat(900)}/`.repeat(10)}`,
      'prefix below a delimiter': `${list}&delimiter=%2F&prefix=${long}`,
      'prefix of everything': `${list}&include=snapshots,versions,deleted,uncommittedblobs,metadata&prefix=${long}`,
      delimiter: `${list}&delimiter=${long}`,
      marker: `${list}&marker=${long}`,
      startFrom: `${list}&startFrom=${long}`,
      endBefore: `${list}&endBefore=${long}`,
      containers: `/${testAccount}/?comp=list&prefix=${long}`,
      'containers from': `/${testAccount}/?comp=list&marker=${long}`,
      'marker of the form that is given': `${list}&marker=${encodeMarker(long)}`,
      'containers from a name': `/${testAccount}/?comp=list&marker=/${testAccount}/${long}`,
      'containers from a name, deleted too': `/${testAccount}/?comp=list&include=deleted&prefix=a&marker=/${testAccount}/${long}`,
      'where from': `/${testAccount}/?comp=blobs&where=${encodeURIComponent(`"k"='v'`)}&marker=${long}`,
      'where from far': `/${testAccount}/?comp=blobs&where=${encodeURIComponent(`"k"='v'`)}&marker=____`,
      where: `/${testAccount}/?comp=blobs&where=${where}`,
      'where with a container': `/${testAccount}/?comp=blobs&where=${encodeURIComponent(`@container='${long}' AND "k"='v'`)}`,
      'where with a key': `/${testAccount}/?comp=blobs&where=${encodeURIComponent(`"${long}"='v'`)}`,
      blob: `${box}/${long}`,
      'blob with slashes': `${box}/${'a/'.repeat(5000)}b`,
      container: `/${testAccount}/${long}?restype=container`,
      account: `/${long}/box?restype=container`,
      snapshot: `${box}/a?snapshot=${long}`,
      version: `${box}/a?versionid=${long}`,
      'block list': `${box}/${long}?comp=blocklist`,
      tags: `${box}/${long}?comp=tags`,
    })) {
      const { status, code } = await client.send({ url });
      seen[what] = `${status} ${code ?? ''}`.trim();
    }
    for (const [what, url, headers] of [
      ['put', `${box}/${long}`, { 'x-ms-blob-type': 'BlockBlob' }],
      ['put block', `${box}/${long}?comp=block&blockid=YQ==`, {}],
      ['block id', `${box}/a?comp=block&blockid=${Buffer.alloc(7500).toString('base64').replaceAll('+', '%2B')}`, {}],
      ['copy from', `${box}/b`, { 'x-ms-copy-source': `http://127.0.0.1:10000${box}/${long}` }],
      ['lease', `${box}/${long}?comp=lease`, { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15' }],
      ['scope', `${box}/b`, { 'x-ms-blob-type': 'BlockBlob', 'x-ms-encryption-scope': long }],
      ['new container', `/${testAccount}/${long}?restype=container`, {}],
    ] as const) {
      const { status, code } = await client.send({ method: 'PUT', url, headers });
      seen[what] = `${status} ${code ?? ''}`.trim();
    }
    const tooLong = '400 OutOfRangeInput';
    const noParameter = '400 InvalidQueryParameterValue';
    const others: Record<string, string> = {
      marker: noParameter,
      'containers from': '400 OutOfRangeInput',
      where: noParameter,
      'where with a container': noParameter,
      'where with a key': noParameter,
      snapshot: noParameter,
      version: noParameter,
      account: '403 AuthenticationFailed',
      'copy from': '404 BlobNotFound',
      scope: '400 InvalidHeaderValue',
    };
    const names = ['blob', 'blob with slashes', 'container', 'block list', 'tags', 'put', 'put block', 'block id'];
    for (const name of [...names, 'lease', 'new container']) others[name] = tooLong;
    for (const [what, outcome] of Object.entries(seen)) assert.equal(outcome, others[what] ?? '200', what);
    const { text } = await client.send({ url: `${list}&prefix=${long}` });
    assert.ok(text.includes(`<Prefix>${long}</Prefix><Blobs /><NextMarker />`));
    const behind = `${list}&startFrom=a${long}`;
    assert.ok((await client.send({ url: behind })).text.includes('<Blobs />'));
    await client.put(`${box}/b`);
    assert.ok((await client.send({ url: behind })).text.includes('<Name>b</Name>'));
  });
});
