// Blob index tags: set, read, found, and as a condition.

import assert from 'node:assert/strict';
import { type Checks, collect, type Kit, put, refused, type Sdk, sleep, text } from '../kit.ts';

// The index of Azure follows the blobs after a moment; a check waits for it as a client has to.
const indexedMsMax = 10_000;

/** The names found by an expression, as soon as there are so many. */
async function find(where: Sdk, expression: string, count: number): Promise<string[]> {
  const end = Date.now() + indexedMsMax;
  for (;;) {
    const names = (await collect<Sdk>(where.findBlobsByTags(expression))).map(({ name }) => name);
    if (names.length === count || Date.now() > end) return names;
    await sleep(100);
  }
}

/** A tag's value that no other check uses. */
const own = (kit: Kit): string => kit.name('v');

export const tags: Checks = {
  'tags come back as they were set, and change neither ETag nor time': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x');
    const before = await blob.getProperties();
    const wanted = { project: 'one two', 'a+b': '-./:=_', empty: '' };
    await blob.setTags(wanted);
    assert.deepEqual((await blob.getTags()).tags, wanted);
    const after = await blob.getProperties();
    assert.deepEqual([after.etag, after.lastModified, after.tagCount], [before.etag, before.lastModified, 3]);
    await blob.setTags({});
    assert.deepEqual((await blob.getTags()).tags, {});
    assert.equal((await blob.getProperties()).tagCount, undefined);
  },

  'an upload, a block list and a copy set tags': async (kit) => {
    const container = await kit.container();
    const first = await put(container, 'a', 'x', { tags: { one: '1' } });
    assert.deepEqual((await first.getTags()).tags, { one: '1' });
    const second = container.getBlockBlobClient('b');
    await second.uploadData(Buffer.alloc(20), { blockSize: 10, maxSingleShotSize: 1, tags: { two: '2' } });
    assert.deepEqual((await second.getTags()).tags, { two: '2' });
    const third = container.getBlockBlobClient('c');
    await (await third.beginCopyFromURL(first.url, { tags: { three: '3' } })).pollUntilDone();
    assert.deepEqual((await third.getTags()).tags, { three: '3' });
    await first.upload('y', 1);
    assert.deepEqual((await first.getTags()).tags, {}, 'an overwritten blob kept its tags');
  },

  'a listing tells tags when it is asked to': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'x', { tags: { one: '1', two: '2' } });
    const [plain] = await collect<Sdk>(container.listBlobsFlat());
    assert.deepEqual([plain.tags, plain.properties.tagCount], [undefined, 2]);
    const [item] = await collect<Sdk>(container.listBlobsFlat({ includeTags: true }));
    assert.deepEqual(item.tags, { one: '1', two: '2' });
  },

  'blobs are found by their tags in the account': async (kit) => {
    const [first, second, value] = [await kit.container(), await kit.container(), own(kit)];
    await put(first, 'a', 'x', { tags: { key: value, other: '1' } });
    await put(second, 'b/c', 'x', { tags: { key: value } });
    await put(second, 'd', 'x', { tags: { key: 'another' } });
    const found = await find(kit.service, `key='${value}'`, 2);
    assert.deepEqual(found.sort(), ['a', 'b/c']);
    const [item] = await collect<Sdk>(kit.service.findBlobsByTags(`key='${value}' AND other='1'`));
    assert.deepEqual(
      [item.name, item.containerName, item.tags, item.tagValue],
      ['a', first.containerName, { key: value, other: '1' }, ''],
    );
  },

  'blobs are found in one container, by address and by expression': async (kit) => {
    const [first, second, value] = [await kit.container(), await kit.container(), own(kit)];
    await put(first, 'a', 'x', { tags: { key: value } });
    await put(second, 'b', 'x', { tags: { key: value } });
    assert.deepEqual(await find(first, `key='${value}'`, 1), ['a']);
    const expression = `@container='${second.containerName}' AND key='${value}'`;
    assert.deepEqual(await find(kit.service, expression, 1), ['b']);
  },

  'values are compared as text, in ranges': async (kit) => {
    const container = await kit.container();
    for (const day of ['2024-01-05', '2024-02-01', '2024-02-28', '2024-03-01']) {
      await put(container, day, 'x', { tags: { day, kind: 'report' } });
    }
    assert.equal((await find(container, "day >= '2024-01-01'", 4)).length, 4);
    const february = ['2024-02-01', '2024-02-28'];
    assert.deepEqual(await find(container, "day >= '2024-02-01' AND day < '2024-03-01'", 2), february);
    assert.deepEqual(await find(container, "day > '2024-02-01' AND day <= '2024-02-28' AND kind = 'report'", 1), [
      '2024-02-28',
    ]);
    assert.deepEqual(await find(container, "day = '2024-02-28' AND kind = 'other'", 0), []);
  },

  'names with spaces stand in double quotes': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'x', { tags: { 'of the day': 'it is so' } });
    assert.deepEqual(await find(container, '"of the day" = \'it is so\'', 1), ['a']);
  },

  'many are found in pages': async (kit) => {
    const container = await kit.container();
    const wanted = Array.from({ length: 7 }, (_, n) => `blob-${n}`);
    for (const name of wanted) await put(container, name, 'x', { tags: { page: 'yes' } });
    await find(container, "page='yes'", 7);
    const pages: string[][] = [];
    for await (const page of container.findBlobsByTags("page='yes'").byPage({ maxPageSize: 3 })) {
      pages.push(page.blobs.map(({ name }: Sdk) => name));
    }
    assert.deepEqual(pages.flat().sort(), wanted);
    assert(
      pages.every((page) => page.length <= 3),
      JSON.stringify(pages),
    );
  },

  'what is retagged, overwritten or deleted is not found by what it had': async (kit) => {
    const container = await kit.container();
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => put(container, name, 'x', { tags: { t: '1' } })));
    assert.equal((await find(container, "t='1'", 3)).length, 3);
    await a.setTags({ t: '2' });
    await b.upload('y', 1);
    await c.delete();
    assert.deepEqual(await find(container, "t='1'", 0), []);
    assert.deepEqual(await find(container, "t='2'", 1), ['a']);
  },

  'a condition on tags lets through or refuses': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x', { tags: { state: 'done', n: '5' } });
    const good = { tagConditions: "state = 'done' AND n >= '3'" };
    const bad = { tagConditions: "state = 'open' OR n <> '5'" };
    assert.equal((await blob.download(0, 1, { conditions: good }))._response.status, 206);
    await blob.getProperties({ conditions: good });
    await blob.setMetadata({ a: '1' }, { conditions: good });
    await refused(blob.download(0, 1, { conditions: bad }), 412, 'ConditionNotMet');
    await refused(blob.getProperties({ conditions: bad }), 412, 'ConditionNotMet');
    await refused(blob.upload('y', 1, { conditions: bad }), 412, 'ConditionNotMet');
    await refused(blob.setTags({}, { conditions: bad }), 412, 'ConditionNotMet');
    await refused(blob.getTags({ conditions: bad }), 412, 'ConditionNotMet');
    await refused(blob.createSnapshot({ conditions: bad }), 412, 'ConditionNotMet');
    await refused(blob.delete({ conditions: bad }), 412, 'ConditionNotMet');
    assert.equal(await text(blob), 'x');
    await blob.delete({ conditions: good });
  },

  'tags beyond the limits are refused': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'x');
    const eleven = Object.fromEntries(Array.from({ length: 11 }, (_, n) => [`k${n}`, 'v']));
    await refused(blob.setTags(eleven), 400);
    await refused(blob.setTags({ ['k'.repeat(129)]: 'v' }), 400);
    await refused(blob.setTags({ k: 'v'.repeat(257) }), 400);
    await refused(blob.setTags({ k: 'a&b' }), 400);
    await refused(kit.service.getContainerClient(kit.name()).getBlobClient('a').getTags(), 404, 'ContainerNotFound');
    assert.deepEqual((await blob.getTags()).tags, {});
  },

  'an expression that is none is refused': async (kit) => {
    for (const expression of ["key='", 'key', "key = 'a' OR key = 'b'", "'a' = key", "key LIKE 'a'"]) {
      await refused(collect(kit.service.findBlobsByTags(expression)), 400, 'InvalidQueryParameterValue');
    }
  },

  'a SAS needs the right to tags': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x', { tags: { k: 'v' } });
    const expiresOn = new Date(Date.now() + 3_600_000);
    const sas = async (letters: string): Promise<Sdk> =>
      kit.blobAt(await blob.generateSasUrl({ permissions: kit.sdk.BlobSASPermissions.parse(letters), expiresOn }));
    await refused((await sas('rw')).getTags(), 403, 'AuthorizationPermissionMismatch');
    await refused((await sas('rw')).setTags({ k: 'w' }), 403, 'AuthorizationPermissionMismatch');
    await refused((await sas('w')).upload('y', 1, { tags: { k: 'w' } }), 403, 'AuthorizationPermissionMismatch');
    assert.deepEqual((await (await sas('t')).getTags()).tags, { k: 'v' });
    await (await sas('wt')).upload('y', 1, { tags: { k: 'w' } });
    const found = (letters: string): Promise<Sdk[]> =>
      container
        .generateSasUrl({ permissions: kit.sdk.ContainerSASPermissions.parse(letters), expiresOn })
        .then((url: string) => collect<Sdk>(kit.containerAt(url).findBlobsByTags("k='w'")));
    await refused(found('rl'), 403, 'AuthorizationPermissionMismatch');
    assert.equal((await found('f')).length, 1);
  },
};
