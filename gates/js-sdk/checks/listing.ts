// List Blobs, flat and by hierarchy: order, prefix, delimiter, pages, what is included, and names that XML cannot hold.

import assert from 'node:assert/strict';
import { blockId, type Checks, collect, fields, md5, put, refused, type Sdk } from '../kit.ts';
import { raw } from '../raw.ts';

const oddNames = [
  'plain',
  'with space and  two',
  'unicode-ä-日本語-🚀',
  'percent%20%zz',
  'hash#question?amp&eq=',
  'plus+minus-tilde~',
  'quote"apostrophe\'',
  'less<greater>',
  'trailing.dot.',
  'a/deep/path/with/five/parts',
  'colon:semi;at@comma,',
  'brackets[]{}()|^`',
  '..dots/...x',
];

export const listing: Checks = {
  'list of an empty container': async (kit) => {
    const container = await kit.container();
    assert.deepEqual(await collect(container.listBlobsFlat()), []);
    assert.deepEqual(await collect(container.listBlobsByHierarchy('/')), []);
  },

  'flat list is in the order of names with all properties': async (kit) => {
    const container = await kit.container();
    for (const name of ['b', 'a/z', 'a', 'a!', 'a0', 'Z', 'ä']) {
      await put(container, name, 'hello', { blobHTTPHeaders: { blobContentType: 'a/b', blobContentLanguage: 'de' } });
    }
    const items = await collect<Sdk>(container.listBlobsFlat());
    assert.deepEqual(names(items), ['Z', 'a', 'a!', 'a/z', 'a0', 'b', 'ä']);
    const head = await container.getBlobClient('a').getProperties();
    fields(items[1].properties, {
      contentLength: 5,
      contentType: 'a/b',
      contentLanguage: 'de',
      contentMD5: md5(Buffer.from('hello')),
      blobType: 'BlockBlob',
      etag: head.etag.replaceAll('"', ''),
      lastModified: head.lastModified,
      createdOn: head.createdOn,
      leaseState: 'available',
      leaseStatus: 'unlocked',
      serverEncrypted: true,
      accessTier: 'Hot',
      accessTierInferred: true,
    });
    assert.equal(items[1].metadata, undefined, 'metadata that was not asked for');
  },

  'prefix narrows a flat list': async (kit) => {
    const container = await filled(kit, ['a', 'ab', 'ab/c', 'abc', 'b', 'A']);
    assert.deepEqual(names(await collect(container.listBlobsFlat({ prefix: 'ab' }))), ['ab', 'ab/c', 'abc']);
    assert.deepEqual(await collect(container.listBlobsFlat({ prefix: 'none' })), []);
  },

  'hierarchy gives blobs and prefixes of one level': async (kit) => {
    const container = await filled(kit, ['a', 'a/b', 'a/c/d', 'a/c/e', 'b/x', 'c']);
    const top = await collect<Sdk>(container.listBlobsByHierarchy('/'));
    assert.deepEqual(kinds(top), ['blob a', 'blob c', 'prefix a/', 'prefix b/']);
    const below = await collect<Sdk>(container.listBlobsByHierarchy('/', { prefix: 'a/' }));
    assert.deepEqual(kinds(below), ['blob a/b', 'prefix a/c/']);
    const other = await collect<Sdk>(container.listBlobsByHierarchy('/c', { prefix: 'a' }));
    assert.deepEqual(kinds(other), ['blob a', 'blob a/b', 'prefix a/c']);
  },

  'hierarchy with a longer delimiter': async (kit) => {
    const container = await filled(kit, ['a--b', 'a--c', 'a-d', 'b']);
    assert.deepEqual(kinds(await collect<Sdk>(container.listBlobsByHierarchy('--'))), [
      'blob a-d',
      'blob b',
      'prefix a--',
    ]);
  },

  'hierarchy answers blobs and prefixes mixed in the order of names': async (kit) => {
    const container = await filled(kit, ['a', 'a/b', 'a0', 'b/x', 'c']);
    const answer = await raw(kit.access, list(container, { delimiter: '/' }));
    const order = [...answer.text.matchAll(/<Name>([^<]*)<\/Name>/g)].map((match) => match[1]);
    assert.deepEqual(order, ['a', 'a/', 'a0', 'b/', 'c']);
  },

  'pages of 1, 2 and 5000 give every name once': async (kit) => {
    const all = Array.from({ length: 9 }, (_, index) => `p${index}`);
    const container = await filled(kit, all);
    for (const maxPageSize of [1, 2, 5000]) {
      const pages = await collect<Sdk>(container.listBlobsFlat().byPage({ maxPageSize }));
      assert.equal(pages.length, Math.ceil(all.length / maxPageSize), `pages of ${maxPageSize}`);
      assert.deepEqual(
        pages.flatMap((page) => names(page.segment.blobItems)),
        all,
      );
      assert.equal(pages.at(-1).continuationToken || '', '');
      assert.equal(pages[0].maxPageSize, maxPageSize);
    }
  },

  'pages of a hierarchy give every prefix once': async (kit) => {
    const container = await filled(kit, ['a/1', 'a/2', 'a/3', 'b/1', 'b/2', 'c', 'd/1']);
    for (const maxPageSize of [1, 2, 3]) {
      const pages = await collect<Sdk>(container.listBlobsByHierarchy('/').byPage({ maxPageSize }));
      const found = pages.flatMap((page) => [
        ...(page.segment.blobPrefixes ?? []).map((item: Sdk) => item.name),
        ...names(page.segment.blobItems),
      ]);
      assert.deepEqual(found.sort(), ['a/', 'b/', 'c', 'd/'], `pages of ${maxPageSize}`);
    }
  },

  'a continuation token goes on in another client': async (kit) => {
    const container = await filled(kit, ['a', 'b', 'c', 'd']);
    const first = (await container.listBlobsFlat().byPage({ maxPageSize: 2 }).next()).value;
    const other = kit.connect().getContainerClient(container.containerName);
    const continuationToken = first.continuationToken;
    const rest = (await other.listBlobsFlat().byPage({ maxPageSize: 10, continuationToken }).next()).value;
    assert.deepEqual(names(rest.segment.blobItems), ['c', 'd']);
  },

  'a page goes on after its last name was deleted': async (kit) => {
    const container = await filled(kit, ['a', 'b', 'c', 'd']);
    const pages = container.listBlobsFlat().byPage({ maxPageSize: 2 });
    await pages.next();
    await container.deleteBlob('b');
    await container.deleteBlob('c');
    assert.deepEqual(names((await pages.next()).value.segment.blobItems), ['d']);
  },

  'maxresults 0 is refused, beyond 5000 is cut to it': async (kit) => {
    const container = await filled(kit, ['a']);
    const zero = await raw(kit.access, list(container, { maxresults: '0' }));
    assert.deepEqual([zero.status, zero.code], [400, 'OutOfRangeQueryParameterValue']);
    const word = await raw(kit.access, list(container, { maxresults: 'many' }));
    assert.deepEqual([word.status, word.code], [400, 'InvalidQueryParameterValue']);
    const many = await raw(kit.access, list(container, { maxresults: '6000' }));
    assert.equal(many.status, 200, many.text);
  },

  'the answer repeats prefix, marker, delimiter and maxresults': async (kit) => {
    const container = await filled(kit, ['a<&b1', 'a<&b2']);
    const answer = await raw(kit.access, list(container, { prefix: 'a<&', delimiter: '/', maxresults: '1' }));
    assert.match(answer.headers['content-type'] ?? '', /^application\/xml/);
    assert.match(
      answer.text,
      /^\uFEFF?<\?xml version="1.0" encoding="utf-8"\?><EnumerationResults ServiceEndpoint="[^"]+" ContainerName="[^"]+">/,
    );
    assert.match(answer.text, /<Prefix>a&lt;&amp;<\/Prefix>/);
    assert.match(answer.text, /<MaxResults>1<\/MaxResults><Delimiter>\/<\/Delimiter>/);
    assert.match(answer.text, /<NextMarker>[^<]+<\/NextMarker><\/EnumerationResults>$/);
  },

  'an unknown marker is refused': async (kit) => {
    const container = await filled(kit, ['a']);
    const answer = await raw(kit.access, list(container, { marker: 'not-a-marker-of-this-service' }));
    assert.equal(answer.status, 400);
    assert.match(answer.code ?? '', /^(OutOfRangeInput|InvalidQueryParameterValue)$/);
  },

  'include metadata': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'x', { metadata: { Key: 'v<&>', other: '' } });
    await put(container, 'b');
    const [a, b] = await collect<Sdk>(container.listBlobsFlat({ includeMetadata: true }));
    assert.deepEqual(a.metadata, { Key: 'v<&>', other: '' });
    // An empty element is an empty text to this SDK's parser.
    assert.deepEqual(b.metadata || {}, {});
  },

  'include uncommitted blobs': async (kit) => {
    const container = await filled(kit, ['b']);
    await container.getBlockBlobClient('a').stageBlock(blockId(1), 'x', 1);
    await container.getBlockBlobClient('b').stageBlock(blockId(1), 'x', 1);
    assert.deepEqual(names(await collect(container.listBlobsFlat())), ['b']);
    const items = await collect<Sdk>(container.listBlobsFlat({ includeUncommitedBlobs: true }));
    assert.deepEqual(names(items), ['a', 'b']);
    assert.equal(items[0].properties.contentLength, 0);
  },

  'include copy': async (kit) => {
    const container = await filled(kit, ['a']);
    const source = container.getBlobClient('a').url;
    await (await container.getBlobClient('b').beginCopyFromURL(source)).pollUntilDone();
    const [a, b] = await collect<Sdk>(container.listBlobsFlat({ includeCopy: true }));
    assert.equal(a.properties.copyStatus, undefined);
    fields(b.properties, { copyStatus: 'success', copyProgress: '1/1' });
    assert(b.properties.copyId && b.properties.copyCompletedOn && b.properties.copySource, 'copy id, time or source');
  },

  'include of kinds that there are none of changes nothing': async (kit) => {
    const container = await filled(kit, ['a']);
    const options = { includeSnapshots: true, includeDeleted: true, includeVersions: true, includeTags: true };
    assert.deepEqual(names(await collect(container.listBlobsFlat(options))), ['a']);
  },

  'an unknown include is refused': async (kit) => {
    const container = await filled(kit, ['a']);
    const answer = await raw(kit.access, list(container, { include: 'everything' }));
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidQueryParameterValue']);
  },

  'odd names are listed, read and deleted as they are': async (kit) => {
    const container = await kit.container();
    for (const name of oddNames) await put(container, name, name);
    const items = await collect<Sdk>(container.listBlobsFlat());
    assert.deepEqual(names(items).sort(), [...oddNames].sort());
    for (const name of oddNames) {
      assert.equal((await container.getBlobClient(name).downloadToBuffer()).toString(), name, name);
      await container.deleteBlob(name);
    }
    assert.deepEqual(await collect(container.listBlobsFlat()), []);
  },

  // Azure "will replace "\\" with "/" in the blob names", as its SDKs' own tests note; the SDKs count on it when signing.
  'a backslash in a name is a slash': async (kit) => {
    const container = await kit.container();
    await put(container, 'back\\slash', 'x');
    assert.deepEqual(names(await collect(container.listBlobsFlat())), ['back/slash']);
    const blob = container.getBlobClient('back\\slash');
    assert.equal((await blob.downloadToBuffer()).toString(), 'x');
  },

  'names that XML cannot hold are listed encoded': async (kit) => {
    const container = await kit.container();
    const wild = ['ctl-\u0001-x', 'non-\uFFFE-x', 'dir\u0002/blob'];
    for (const name of wild) await put(container, name, 'x');
    const items = await collect<Sdk>(container.listBlobsFlat());
    assert.deepEqual(names(items).sort(), [...wild].sort());
    const answer = await raw(kit.access, list(container, {}));
    assert.match(answer.text, /<Name Encoded="true">ctl-%01-x<\/Name>/);
    const prefixes = kinds(await collect<Sdk>(container.listBlobsByHierarchy('/'))).filter((kind) =>
      kind.startsWith('prefix'),
    );
    assert.deepEqual(prefixes, ['prefix dir\u0002/']);
  },

  'a name of 1,024 characters is taken, of 1,025 refused': async (kit) => {
    const container = await kit.container();
    await put(container, 'n'.repeat(1024));
    await refused(put(container, 'n'.repeat(1025)), 400, 'InvalidUri', 'InvalidResourceName', 'OutOfRangeInput');
    assert.equal((await collect(container.listBlobsFlat())).length, 1);
  },

  'startFrom begins at a name': async (kit) => {
    const container = await filled(kit, ['a', 'b', 'b/1', 'c', 'd']);
    assert.deepEqual(names(await collect(container.listBlobsFlat({ startFrom: 'b/' }))), ['b/1', 'c', 'd']);
    assert.deepEqual(names(await collect(container.listBlobsFlat({ startFrom: 'c' }))), ['c', 'd']);
    const top = await collect<Sdk>(container.listBlobsByHierarchy('/', { startFrom: 'b' }));
    assert.deepEqual(kinds(top), ['blob b', 'blob c', 'blob d', 'prefix b/']);
    // As in Azure's recordings: a prefix is listed when a name under it is at or after the start.
    const within = await collect<Sdk>(container.listBlobsByHierarchy('/', { startFrom: 'b/1' }));
    assert.deepEqual(kinds(within), ['blob c', 'blob d', 'prefix b/']);
  },

  'list of a missing container is ContainerNotFound': async (kit) => {
    await refused(collect(kit.service.getContainerClient(kit.name()).listBlobsFlat()), 404, 'ContainerNotFound');
  },

  'two thousand names in pages of 300': async (kit) => {
    const container = await kit.container();
    const all = Array.from(
      { length: 2000 },
      (_, index) => `dir-${index % 10}/${String(index).padStart(5, '0')}`,
    ).sort();
    const queue = [...all];
    const worker = async (): Promise<void> => {
      for (let name = queue.pop(); name !== undefined; name = queue.pop()) await put(container, name, '');
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    const pages = await collect<Sdk>(container.listBlobsFlat().byPage({ maxPageSize: 300 }));
    assert.deepEqual(
      pages.flatMap((page) => names(page.segment.blobItems)),
      all,
    );
    assert.equal((await collect(container.listBlobsByHierarchy('/'))).length, 10);
  },
};

async function filled(kit: Sdk, all: readonly string[]): Promise<Sdk> {
  const container = await kit.container();
  for (const name of all) await put(container, name);
  return container;
}

function list(container: Sdk, query: Record<string, string>): Parameters<typeof raw>[1] {
  return {
    method: 'GET',
    path: `/${container.containerName}`,
    query: { restype: 'container', comp: 'list', ...query },
  };
}

const names = (items: readonly Sdk[]): string[] => items.map((item) => item.name);
const kinds = (items: readonly Sdk[]): string[] => items.map((item) => `${item.kind} ${item.name}`).sort();
