// Containers: create, list, properties, metadata, access policies, public access, conditions, names and delete.

import assert from 'node:assert/strict';
import { type Checks, collect, fields, inMinutes, type Kit, put, refused, type Sdk } from '../kit.ts';
import { raw } from '../raw.ts';

export const containers: Checks = {
  'create answers 201; again is ContainerAlreadyExists': async (kit) => {
    const container = kit.service.getContainerClient(kit.name());
    const answer = await container.create({ metadata: { K: 'v' } });
    assert.equal(answer._response.status, 201);
    assert(answer.etag && answer.lastModified, 'no ETag or Last-Modified');
    await refused(container.create(), 409, 'ContainerAlreadyExists');
    assert.equal((await container.createIfNotExists()).succeeded, false);
    fields(await container.getProperties(), {
      etag: answer.etag,
      metadata: { k: 'v' },
      leaseState: 'available',
      leaseStatus: 'unlocked',
      hasImmutabilityPolicy: false,
      hasLegalHold: false,
      blobPublicAccess: undefined,
    });
    const gone = await container.delete();
    assert.equal(gone._response.status, 202);
    assert.equal(await container.exists(), false);
    await refused(container.delete(), 404, 'ContainerNotFound');
    assert.equal((await container.deleteIfExists()).succeeded, false);
  },

  'of ten creators one wins': async (kit) => {
    const container = kit.service.getContainerClient(kit.name());
    const tries = await Promise.all(Array.from({ length: 10 }, () => container.createIfNotExists()));
    assert.equal(tries.filter((answer) => answer.succeeded).length, 1);
    await container.delete();
  },

  'delete takes the blobs with it': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a/b');
    await container.delete();
    await refused(blob.getProperties(), 404, 'ContainerNotFound');
    await refused(container.getProperties(), 404, 'ContainerNotFound');
  },

  'names against the rules are refused': async (kit) => {
    for (const name of ['Upper', 'under_score', '-first', 'last-', 'two--hyphens', 'dot.ted']) {
      await refused(kit.service.getContainerClient(name).create(), 400, 'InvalidResourceName');
    }
    for (const name of ['ab', 'x'.repeat(64)]) {
      await refused(kit.service.getContainerClient(name).create(), 400, 'OutOfRangeInput', 'InvalidResourceName');
    }
    const longest = kit.service.getContainerClient(kit.name().padEnd(63, '0'));
    await longest.create();
    await longest.delete();
  },

  '$root and $web exist as names': async (kit) => {
    for (const name of ['$root', '$web']) {
      const container = kit.service.getContainerClient(name);
      await container.createIfNotExists();
      await put(container, 'index.html', 'x');
      await container.delete();
    }
  },

  'set metadata replaces it and changes the etag': async (kit) => {
    const container = await kit.container({ metadata: { old: '1' } });
    const before = await container.getProperties();
    const answer = await container.setMetadata({ new: '2' });
    assert.equal(answer._response.status, 200);
    assert.notEqual(answer.etag, before.etag);
    fields(await container.getProperties(), { metadata: { new: '2' }, etag: answer.etag });
    const path = `/${container.containerName}`;
    const got = await raw(kit.access, { method: 'GET', path, query: { restype: 'container', comp: 'metadata' } });
    assert.deepEqual([got.status, got.headers['x-ms-meta-new']], [200, '2']);
  },

  'blob writes leave the container’s etag': async (kit) => {
    const container = await kit.container();
    const { etag } = await container.getProperties();
    await put(container, 'a');
    fields(await container.getProperties(), { etag });
  },

  'conditions on set metadata and delete': async (kit) => {
    const container = await kit.container();
    await refused(
      container.setMetadata({}, { conditions: { ifModifiedSince: inMinutes(60) } }),
      412,
      'ConditionNotMet',
    );
    await refused(container.delete({ conditions: { ifModifiedSince: inMinutes(60) } }), 412, 'ConditionNotMet');
    await refused(container.delete({ conditions: { ifUnmodifiedSince: inMinutes(-60) } }), 412, 'ConditionNotMet');
    await container.delete({ conditions: { ifModifiedSince: inMinutes(-60) } });
  },

  'stored access policies come back as they were set': async (kit) => {
    const container = await kit.container();
    const startsOn = new Date('2024-01-02T03:04:05Z');
    const expiresOn = new Date('2044-01-02T03:04:05Z');
    const policies = [
      { id: 'policy-1', accessPolicy: { startsOn, expiresOn, permissions: 'rwd' } },
      { id: 'two <&> ü', accessPolicy: { permissions: 'l' } },
    ];
    const before = await container.getProperties();
    const answer = await container.setAccessPolicy(undefined, policies);
    assert.equal(answer._response.status, 200);
    assert.notEqual(answer.etag, before.etag);
    const got = await container.getAccessPolicy();
    assert.equal(got.blobPublicAccess, undefined);
    assert.equal(got.signedIdentifiers.length, 2);
    const [first, second] = got.signedIdentifiers;
    assert.deepEqual([first.id, second.id], ['policy-1', 'two <&> ü']);
    fields(first.accessPolicy, { startsOn, expiresOn, permissions: 'rwd' });
    assert.equal(second.accessPolicy.permissions, 'l');
    await container.setAccessPolicy();
    assert.deepEqual((await container.getAccessPolicy()).signedIdentifiers, []);
  },

  'six policies are refused, an id of 65 characters too': async (kit) => {
    const container = await kit.container();
    const policy = (id: string): object => ({ id, accessPolicy: { permissions: 'r', expiresOn: inMinutes(60) } });
    const six = ['1', '2', '3', '4', '5', '6'].map(policy);
    await refused(container.setAccessPolicy(undefined, six), 400);
    await refused(container.setAccessPolicy(undefined, [policy('i'.repeat(65))]), 400);
  },

  'a private container refuses anonymous reads': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'secret');
    for (const answer of [await anonymous(kit, container, 'a'), await anonymous(kit, container)]) {
      assert([401, 403, 404, 409].includes(answer.status), `answered ${answer.status}`);
      assert(!answer.text.includes('secret') && answer.code, answer.text);
    }
  },

  'public access "blob" lets anyone read blobs, not list': async (kit) => {
    const container = await kit.container({ access: 'blob' });
    await put(container, 'a', 'open');
    fields(await container.getProperties(), { blobPublicAccess: 'blob' });
    fields(await container.getAccessPolicy(), { blobPublicAccess: 'blob' });
    assert.equal((await anonymous(kit, container, 'a')).text, 'open');
    const listed = await anonymous(kit, container);
    assert([401, 403, 404].includes(listed.status), `list answered ${listed.status}`);
    const path = `/${container.containerName}/b`;
    const headers = { 'x-ms-blob-type': 'BlockBlob' };
    const written = await raw(kit.access, { method: 'PUT', path, headers, body: 'x', sign: 'none' });
    assert([401, 403, 404].includes(written.status), `write answered ${written.status}`);
  },

  'public access "container" lets anyone list': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'open');
    await container.setAccessPolicy('container');
    fields(await container.getProperties(), { blobPublicAccess: 'container' });
    const listed = await anonymous(kit, container);
    assert.equal(listed.status, 200);
    assert.match(listed.text, /<Name>a<\/Name>/);
    assert.equal((await anonymous(kit, container, 'a')).text, 'open');
    await container.setAccessPolicy();
    const closed = await anonymous(kit, container, 'a');
    assert.notEqual(closed.status, 200);
  },

  'an unknown public access is refused': async (kit) => {
    const container = kit.service.getContainerClient(kit.name());
    const path = `/${container.containerName}`;
    const headers = { 'x-ms-blob-public-access': 'everyone' };
    const answer = await raw(kit.access, { method: 'PUT', path, query: { restype: 'container' }, headers });
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidHeaderValue']);
    assert.equal(await container.exists(), false);
  },

  'list containers by prefix, with metadata, in pages': async (kit) => {
    const prefix = kit.name('list');
    const wanted = ['a', 'b', 'c', 'd', 'e'].map((letter) => `${prefix}-${letter}`);
    for (const name of wanted) await kit.service.getContainerClient(name).create({ metadata: { name } });
    const items = await collect<Sdk>(kit.service.listContainers({ prefix, includeMetadata: true }));
    assert.deepEqual(
      items.map((item) => item.name),
      wanted,
    );
    assert.deepEqual(items[0].metadata, { name: wanted[0] });
    const head = await kit.service.getContainerClient(wanted[0]).getProperties();
    fields(items[0].properties, {
      etag: head.etag,
      lastModified: head.lastModified,
      leaseState: 'available',
      leaseStatus: 'unlocked',
      hasImmutabilityPolicy: false,
      hasLegalHold: false,
    });
    const plainItems = await collect<Sdk>(kit.service.listContainers({ prefix }));
    assert.equal(plainItems[0].metadata, undefined);
    for (const maxPageSize of [1, 2, 5000]) {
      const pages = await collect<Sdk>(kit.service.listContainers({ prefix }).byPage({ maxPageSize }));
      assert.deepEqual(
        pages.flatMap((page) => page.containerItems.map((item: Sdk) => item.name)),
        wanted,
      );
      assert.equal(pages.length, Math.ceil(5 / maxPageSize));
    }
    for (const name of wanted) await kit.service.deleteContainer(name);
    assert.deepEqual(await collect(kit.service.listContainers({ prefix })), []);
  },
};

function anonymous(kit: Kit, container: Sdk, blob?: string): ReturnType<typeof raw> {
  const path = blob ? `/${container.containerName}/${blob}` : `/${container.containerName}`;
  const query = blob ? {} : { restype: 'container', comp: 'list' };
  return raw(kit.access, { method: 'GET', path, query, sign: 'none' });
}
