// Snapshots, versions, soft delete, retention and tiers through whole requests, over a store in memory.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changeAccount } from '../../namespace/accounts.ts';
import { changePolicies, type PolicyChanges } from '../../namespace/container-policies.ts';
import { doDue } from '../../namespace/due.ts';
import { emptyOnce } from '../../namespace/emptying.ts';
import { processGarbage } from '../../namespace/garbage.ts';
import type { AccountSettings } from '../../namespace/records.ts';
import { getRestore, restoreStep, startRestore } from '../../namespace/restore.ts';
import { rehydrate } from '../../namespace/tiers.ts';
import { purgePast } from '../../namespace/times.ts';
import { openTestSurface, type TestSurface, testAccount } from './call.testing.ts';
import { type Answered, TestClient } from './dispatch.testing.ts';

const at = (path: string): string => `/${testAccount}/${path}`;
const cause = { by: 'test', requestId: '' };
const dayMs = 24 * 3_600_000;

class Store {
  readonly surface: TestSurface;
  readonly client: TestClient;

  constructor(surface: TestSurface) {
    this.surface = surface;
    this.client = new TestClient(surface);
  }

  async set(settings: AccountSettings): Promise<void> {
    await changeAccount(this.surface.store, testAccount, { settings }, cause);
  }

  async retain(changes: PolicyChanges): Promise<void> {
    const outcome = await changePolicies(
      this.surface.store,
      { account: testAccount, container: 'docs' },
      changes,
      cause,
    );
    assert.equal(outcome.kind, 'ok');
  }

  put(text: string, headers = {}): Promise<Answered> {
    this.surface.clock.advance(1000);
    return this.client.put(at('docs/a'), text, headers);
  }

  async get(query = ''): Promise<string> {
    const { status, code, text } = await this.client.send({ url: at(`docs/a${query}`) });
    return status === 200 ? text : `${status} ${code}`;
  }

  async send(method: string, query: string, headers = {}, body = ''): Promise<Answered> {
    this.surface.clock.advance(1000);
    return await this.client.send({ method, url: at(`docs/a${query}`), headers, body });
  }

  /** Of each blob listed: its name, and what tells its states apart. */
  async list(include: string, more = ''): Promise<string[]> {
    const url = at(`docs?restype=container&comp=list&include=${include}${more}`);
    const { text } = await this.client.send({ url });
    return [...text.matchAll(/<Blob>(.*?)<\/Blob>/g)].map(([, blob = '']) => {
      const name = /<Name>(.*?)<\/Name>/.exec(blob)?.[1] ?? '';
      const marks = ['Snapshot', 'VersionId', 'IsCurrentVersion', 'Deleted', 'HasVersionsOnly'];
      return [name, ...marks.filter((mark) => blob.includes(`<${mark}>`))].join(' ');
    });
  }

  async due(): Promise<void> {
    const { store } = this.surface;
    await doDue(
      store,
      async (txn, record) => {
        if (record.kind === 'purge-past') return await purgePast(store, txn, record);
        return record.kind === 'rehydrate' ? await rehydrate(store, txn, record) : undefined;
      },
      { rowsMax: 100 },
    );
  }
}

async function withStore(settings: AccountSettings, work: (store: Store) => Promise<void>): Promise<void> {
  await using surface = await openTestSurface();
  const store = new Store(surface);
  await store.client.container('docs');
  await store.set(settings);
  await work(store);
}

const code = ({ status, code: named }: Answered): string => `${status} ${named}`;
const header = ({ headers }: Answered, name: string): string => `${headers[name]}`;

describe('a snapshot', () => {
  test('keeps what was there, and goes only by its own deletion', async () => {
    await withStore({}, async (store) => {
      await store.put('one', { 'x-ms-meta-k': 'v' });
      const time = header(await store.send('PUT', '?comp=snapshot'), 'x-ms-snapshot');
      assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
      await store.put('two');
      assert.equal(await store.get(`?snapshot=${time}`), 'one');
      assert.equal(await store.get(), 'two');
      assert.equal(code(await store.send('DELETE', '')), '409 SnapshotsPresent');
      assert.equal(code(await store.send('PUT', `?comp=metadata&snapshot=${time}`)), '400 UnsupportedQueryParameter');
      assert.deepEqual(await store.list('snapshots'), ['a Snapshot', 'a']);
      assert.equal((await store.send('DELETE', `?snapshot=${time}`)).status, 202);
      assert.equal(await store.get(`?snapshot=${time}`), '404 BlobNotFound');
      assert.equal((await store.send('DELETE', '')).status, 202);
    });
  });

  test('can be deleted with its blob or without it, and be copied from', async () => {
    await withStore({}, async (store) => {
      await store.put('one');
      const time = header(await store.send('PUT', '?comp=snapshot'), 'x-ms-snapshot');
      const second = await store.send('PUT', '?comp=snapshot', { 'x-ms-meta-own': '1' });
      assert.notEqual(header(second, 'x-ms-snapshot'), time);
      const head = await store.send('HEAD', `?snapshot=${header(second, 'x-ms-snapshot')}`);
      assert.equal(head.headers['x-ms-meta-own'], '1');
      await store.put('two');
      const source = `http://127.0.0.1:10000${at(`docs/a?snapshot=${time}`)}`;
      const copied = await store.client.put(at('docs/b'), '', { 'x-ms-copy-source': source, 'x-ms-blob-type': '' });
      assert.equal(copied.status, 202);
      assert.equal((await store.client.send({ url: at('docs/b') })).text, 'one');
      assert.equal((await store.send('DELETE', '', { 'x-ms-delete-snapshots': 'only' })).status, 202);
      assert.deepEqual(await store.list('snapshots'), ['a', 'b']);
      await store.send('PUT', '?comp=snapshot');
      assert.equal((await store.send('DELETE', '', { 'x-ms-delete-snapshots': 'include' })).status, 202);
      assert.deepEqual(await store.list('snapshots'), ['b']);
    });
  });
});

describe('versioning', () => {
  test('keeps every state that a write, a change of metadata or a delete replaced', async () => {
    await withStore({ versioning: true }, async (store) => {
      const first = header(await store.put('one'), 'x-ms-version-id');
      const second = header(await store.put('two'), 'x-ms-version-id');
      const third = header(await store.send('PUT', '?comp=metadata', { 'x-ms-meta-k': 'v' }), 'x-ms-version-id');
      assert.ok(first < second && second < third);
      assert.equal(await store.get(`?versionid=${first}`), 'one');
      assert.equal(await store.get(`?versionid=${second}`), 'two');
      assert.equal(await store.get(`?versionid=${third}`), 'two');
      assert.deepEqual(await store.list('versions'), ['a VersionId', 'a VersionId', 'a VersionId IsCurrentVersion']);
      assert.equal(code(await store.send('DELETE', `?versionid=${third}`)), '403 OperationNotAllowedOnRootBlob');
      await store.send('DELETE', '');
      assert.equal(await store.get(), '404 BlobNotFound');
      assert.equal(await store.get(`?versionid=${third}`), 'two');
      assert.deepEqual(await store.list('deletedwithversions'), ['a Deleted HasVersionsOnly']);
      assert.equal((await store.send('DELETE', `?versionid=${first}`)).status, 202);
      assert.equal(await store.get(`?versionid=${first}`), '404 BlobNotFound');
      assert.deepEqual(await store.list('versions'), ['a VersionId', 'a VersionId']);
    });
  });

  test('keeps what was written before it was on, and lists page by page', async () => {
    await withStore({}, async (store) => {
      await store.put('old');
      await store.set({ versioning: true });
      for (let i = 0; i < 5; i++) await store.put(`${i}`);
      const seen: string[] = [];
      for (let marker = ''; ; ) {
        const url = at(`docs?restype=container&comp=list&include=versions&maxresults=2&marker=${marker}`);
        const { text } = await store.client.send({ url });
        for (const [, id] of text.matchAll(/<VersionId>(.*?)<\/VersionId>/g))
          seen.push(await store.get(`?versionid=${id}`));
        marker = encodeURIComponent(/<NextMarker>(.*?)<\/NextMarker>/.exec(text)?.[1] ?? '');
        if (marker === '') break;
      }
      assert.deepEqual(seen, ['old', '0', '1', '2', '3', '4']);
    });
  });
});

describe('what a review found', () => {
  test('a write that is refused leaves nothing, however far it had come', async () => {
    await withStore({}, async (store) => {
      const ids = Array.from({ length: 40 }, (_, i) => Buffer.from(`b${100 + i}`).toString('base64'));
      for (const id of ids)
        await store.send('PUT', `?comp=block&blockid=${encodeURIComponent(id)}`, {}, 'x'.repeat(5000));
      const list = (some: string[]) => `<BlockList>${some.map((id) => `<Latest>${id}</Latest>`).join('')}</BlockList>`;
      assert.equal((await store.send('PUT', '?comp=blocklist', {}, list(ids))).status, 201);
      const hold = { 'x-ms-legal-hold': 'true' };
      const refused = await store.send('PUT', '?comp=blocklist', hold, list(ids.slice(3)));
      assert.equal(code(refused), '409 VersioningRequired');
      store.surface.clock.advance(3600_000);
      await processGarbage(store.surface.store, { graceMs: 0, rowsMax: 100 });
      assert.equal((await store.get()).length, 200_000);
    });
  });

  test('a version stays one when versioning is switched off', async () => {
    await withStore({ versioning: true }, async (store) => {
      const first = header(await store.put('one'), 'x-ms-version-id');
      await store.set({});
      assert.equal((await store.put('two')).headers['x-ms-version-id'], undefined);
      assert.equal(await store.get(`?versionid=${first}`), 'one');
      assert.deepEqual(await store.list('versions'), ['a VersionId', 'a']);
    });
  });

  test('what is overwritten on its way out of Archive still comes out of it', async () => {
    await withStore({ versioning: true, rehydrationStandardS: 60 }, async (store) => {
      const first = header(await store.put('one', { 'x-ms-access-tier': 'Archive' }), 'x-ms-version-id');
      await store.send('PUT', '?comp=tier', { 'x-ms-access-tier': 'Hot' });
      await store.put('two');
      store.surface.clock.advance(61_000);
      await store.due();
      assert.equal(await store.get(`?versionid=${first}`), 'one');
    });
  });

  test('a block list does not bring an archived blob back', async () => {
    await withStore({}, async (store) => {
      await store.send('PUT', '?comp=block&blockid=YQ==', {}, 'one');
      const list = (from: string) => `<BlockList><${from}>YQ==</${from}></BlockList>`;
      await store.send('PUT', '?comp=blocklist', { 'x-ms-access-tier': 'Archive' }, list('Latest'));
      assert.equal(code(await store.send('PUT', '?comp=blocklist', {}, list('Committed'))), '409 BlobArchived');
    });
  });

  test('nothing is copied into a snapshot under a container’s retention', async () => {
    await withStore({}, async (store) => {
      await store.put('one');
      await store.retain({ retentionDays: 2 });
      assert.equal(code(await store.send('PUT', '?comp=snapshot')), '409 BlobImmutableDueToPolicy');
    });
  });

  test('deleted containers of one name are listed page by page', async () => {
    await withStore({ containerSoftDeleteDays: 3 }, async ({ client }) => {
      for (let i = 0; i < 3; i++) {
        await client.send({ method: 'DELETE', url: at('docs?restype=container') });
        await client.container('docs');
      }
      let listed = 0;
      for (let marker = ''; listed < 10; ) {
        const url = `/${testAccount}?comp=list&include=deleted&maxresults=1&marker=${encodeURIComponent(marker)}`;
        const { text } = await client.send({ url });
        listed += text.match(/<Container>/g)?.length ?? 0;
        marker = /<NextMarker>(.*?)<\/NextMarker>/.exec(text)?.[1] ?? '';
        if (marker === '') break;
      }
      assert.equal(listed, 4);
    });
  });

  test('the end of a deleted container leaves the tags of its successor alone', async () => {
    await withStore({}, async (store) => {
      const tagged = { 'x-ms-tags': 'k=v' };
      await store.put('one', tagged);
      await store.client.send({ method: 'DELETE', url: at('docs?restype=container') });
      await store.client.container('docs');
      await store.put('two', tagged);
      await emptyOnce(store.surface.store, { rowsMax: 100 });
      const where = encodeURIComponent(`k = 'v'`);
      assert.match(
        (await store.client.send({ url: `/${testAccount}?comp=blobs&where=${where}` })).text,
        /<Name>a<\/Name>/,
      );
    });
  });
});

describe('soft delete', () => {
  test('brings back what was deleted, with its snapshots, until its days are over', async () => {
    await withStore({ softDeleteDays: 2 }, async (store) => {
      await store.put('one');
      await store.send('PUT', '?comp=snapshot');
      const gone = await store.send('DELETE', '', { 'x-ms-delete-snapshots': 'include' });
      assert.equal(gone.headers['x-ms-delete-type-permanent'], 'false');
      assert.equal(await store.get(), '404 BlobNotFound');
      assert.deepEqual(await store.list('deleted,snapshots'), ['a Snapshot Deleted', 'a Deleted']);
      assert.deepEqual(await store.list('', '&showonly=deleted'), ['a Deleted']);
      assert.equal((await store.send('PUT', '?comp=undelete')).status, 200);
      assert.equal(await store.get(), 'one');
      assert.deepEqual(await store.list('snapshots'), ['a Snapshot', 'a']);
      await store.send('DELETE', '', { 'x-ms-delete-snapshots': 'include' });
      store.surface.clock.advance(3 * dayMs);
      await store.due();
      assert.equal(code(await store.send('PUT', '?comp=undelete')), '404 BlobNotFound');
      assert.deepEqual(await store.list('deleted,snapshots'), []);
    });
  });

  test('keeps what is overwritten as a deleted snapshot', async () => {
    await withStore({ softDeleteDays: 2 }, async (store) => {
      await store.put('one');
      await store.put('two');
      assert.deepEqual(await store.list('deleted,snapshots'), ['a Snapshot Deleted', 'a']);
      await store.send('PUT', '?comp=undelete');
      assert.deepEqual(await store.list('snapshots'), ['a Snapshot', 'a']);
    });
  });

  test('of a version lets it be deleted for good only where the account says so', async () => {
    await withStore({ versioning: true, softDeleteDays: 2 }, async (store) => {
      const first = header(await store.put('one'), 'x-ms-version-id');
      await store.put('two');
      await store.send('DELETE', `?versionid=${first}`);
      assert.deepEqual(await store.list('versions,deleted'), ['a VersionId Deleted', 'a VersionId IsCurrentVersion']);
      const forGood = `?versionid=${first}&deletetype=permanent`;
      assert.equal(code(await store.send('DELETE', forGood)), '409 PermanentDeleteIsOff');
      await store.set({ versioning: true, softDeleteDays: 2, permanentDelete: true });
      const gone = await store.send('DELETE', forGood);
      assert.equal(gone.headers['x-ms-delete-type-permanent'], 'true');
      assert.deepEqual(await store.list('versions,deleted'), ['a VersionId IsCurrentVersion']);
    });
  });

  test('of a container brings it back under its name', async () => {
    await withStore({ containerSoftDeleteDays: 3 }, async (store) => {
      await store.put('one');
      const { client } = store;
      const container = at('docs?restype=container');
      assert.equal((await client.send({ method: 'DELETE', url: container })).status, 202);
      assert.equal(await store.get(), '404 ContainerNotFound');
      const listed = (await client.send({ url: `/${testAccount}?comp=list&include=deleted` })).text;
      const version = /<Deleted>true<\/Deleted><Version>(.*?)<\/Version>/.exec(listed)?.[1] ?? '';
      const headers = { 'x-ms-deleted-container-name': 'docs', 'x-ms-deleted-container-version': version };
      const restored = await client.send({ method: 'PUT', url: `${container}&comp=undelete`, headers });
      assert.equal(restored.status, 201, restored.text);
      assert.equal(await store.get(), 'one');
    });
  });
});

describe('a restore', () => {
  test('gives every name the state that it had at a time', async () => {
    await withStore({ versioning: true, restoreDays: 3 }, async (store) => {
      const { client, surface } = store;
      const put = (name: string, text: string) => client.put(at(`docs/${name}`), text);
      for (const name of ['kept', 'changed', 'deleted', 'dir/deep', 'archived', 'other'])
        await put(name, `${name} then`);
      surface.clock.advance(60_000);
      const toMs = surface.clock.now();
      surface.clock.advance(60_000);
      await put('changed', 'later');
      await put('dir/deep', 'later');
      await put('new', 'later');
      await client.send({ method: 'DELETE', url: at('docs/deleted') });
      const tier = { 'x-ms-access-tier': 'Archive' };
      await put('archived', 'later');
      assert.equal(
        (await client.send({ method: 'PUT', url: at('docs/archived?comp=tier'), headers: tier })).status,
        200,
      );
      await client.send({ method: 'DELETE', url: at('docs/other') });
      const append = { 'x-ms-blob-type': 'AppendBlob' };
      assert.equal((await client.send({ method: 'PUT', url: at('docs/other'), headers: append })).status, 201);
      const name = { account: testAccount, container: 'docs' };
      const started = await startRestore(surface.store, { ...name, toMs, cause });
      assert.equal(started.kind, 'ok');
      for (let i = 0; i < 20 && (await getRestore(surface.store, name))?.state === 'running'; i++) {
        await doDue(
          surface.store,
          async (txn, record) => (record.kind === 'restore' ? restoreStep(surface.store, txn, record) : undefined),
          { rowsMax: 10 },
        );
      }
      const { text } = await client.send({ url: at('docs?restype=container&comp=list') });
      const names = [...text.matchAll(/<Name>(.*?)<\/Name>/g)].map(([, found = '']) => found);
      assert.deepEqual(names, ['archived', 'changed', 'deleted', 'dir/deep', 'kept', 'other']);
      for (const one of names) assert.equal((await client.send({ url: at(`docs/${one}`) })).text, `${one} then`);
      const { restored, deleted, refused } = (await getRestore(surface.store, name)) ?? {};
      assert.deepEqual([restored, deleted, refused], [5, 1, 0]);
      const early = { ...name, toMs: toMs - 9 * dayMs, cause };
      assert.equal((await startRestore(surface.store, early)).kind, 'restore-time');
    });
  });
});

describe('immutability', () => {
  test('of a container’s retention stops every change and delete until it is over', async () => {
    await withStore({}, async (store) => {
      await store.put('one');
      await store.retain({ retentionDays: 2, retentionLock: true });
      const refused = '409 BlobImmutableDueToPolicy';
      assert.equal(code(await store.put('two')), refused);
      assert.equal(code(await store.send('DELETE', '')), refused);
      assert.equal(code(await store.send('PUT', '?comp=metadata', { 'x-ms-meta-k': 'v' })), refused);
      assert.equal(code(await store.send('PUT', '?comp=properties')), refused);
      const container = await store.client.send({ method: 'DELETE', url: at('docs?restype=container') });
      assert.equal(code(container), '409 ContainerProtectedFromDeletion');
      store.surface.clock.advance(3 * dayMs);
      assert.equal(code(await store.put('two')), refused);
      assert.equal((await store.send('DELETE', '')).status, 202);
    });
  });

  test('of a version outlasts overwrites, soft delete and the purge', async () => {
    await withStore({ versioning: true, softDeleteDays: 1 }, async (store) => {
      await store.retain({ versionImmutability: true });
      const until = new Date(store.surface.clock.now() + 9 * dayMs).toUTCString();
      const headers = { 'x-ms-immutability-policy-until-date': until, 'x-ms-immutability-policy-mode': 'Locked' };
      const first = header(await store.put('one', headers), 'x-ms-version-id');
      assert.equal((await store.put('two')).status, 201);
      const removal = await store.send('DELETE', `?versionid=${first}`);
      assert.equal(code(removal), '409 BlobImmutableDueToPolicy');
      const shorter = new Date(store.surface.clock.now() + dayMs).toUTCString();
      const policy = { ...headers, 'x-ms-immutability-policy-until-date': shorter };
      const shortened = await store.send('PUT', `?comp=immutabilityPolicies&versionid=${first}`, policy);
      assert.equal(code(shortened), '409 BlobImmutableDueToPolicy');
      const lifted = await store.send('DELETE', `?comp=immutabilityPolicies&versionid=${first}`);
      assert.equal(code(lifted), '409 BlobImmutableDueToPolicy');
      store.surface.clock.advance(10 * dayMs);
      assert.equal((await store.send('DELETE', `?versionid=${first}`)).status, 202);
      const hold = { 'x-ms-legal-hold': 'true' };
      await store.send('PUT', '?comp=legalhold', hold);
      const current = header(await store.send('HEAD', ''), 'x-ms-version-id');
      assert.equal(code(await store.send('DELETE', '')), '409 BlobImmutableDueToLegalHold');
      assert.equal((await store.put('three')).status, 201);
      assert.equal(code(await store.send('DELETE', `?versionid=${current}`)), '409 BlobImmutableDueToLegalHold');
    });
  });
});

describe('tiers', () => {
  test('let go of Archive after the time of their priority', async () => {
    await withStore({ rehydrationStandardS: 3600, rehydrationHighS: 60 }, async (store) => {
      await store.put('one', { 'x-ms-access-tier': 'Archive' });
      assert.equal(await store.get(), '409 BlobArchived');
      const hot = { 'x-ms-access-tier': 'Hot' };
      assert.equal((await store.send('PUT', '?comp=tier', hot)).status, 202);
      const head = await store.send('HEAD', '');
      assert.equal(head.headers['x-ms-archive-status'], 'rehydrate-pending-to-hot');
      assert.equal(head.headers['x-ms-access-tier'], 'Archive');
      const cool = await store.send('PUT', '?comp=tier', { 'x-ms-access-tier': 'Cool' });
      assert.equal(code(cool), '409 BlobBeingRehydrated');
      assert.equal((await store.send('PUT', '?comp=tier', { ...hot, 'x-ms-rehydrate-priority': 'High' })).status, 202);
      store.surface.clock.advance(61_000);
      await store.due();
      assert.equal(await store.get(), 'one');
      assert.equal((await store.send('HEAD', '')).headers['x-ms-archive-status'], undefined);
    });
  });
});

describe('tags', () => {
  const tagsBody = (tags: Record<string, string>): string => {
    const rows = Object.entries(tags).map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`);
    return `<Tags><TagSet>${rows.join('')}</TagSet></Tags>`;
  };
  const findUrl = (where: string, container = ''): string => {
    const query = `comp=blobs&where=${encodeURIComponent(where)}`;
    return container === '' ? `/${testAccount}?${query}` : at(`${container}?restype=container&${query}`);
  };
  const find = async (store: Store, where: string, container = ''): Promise<string[]> => {
    const { text, status } = await store.client.send({ url: findUrl(where, container) });
    return status === 200 ? [...text.matchAll(/<Name>(.*?)<\/Name>/g)].map(([, name = '']) => name) : [`${status}`];
  };

  test('are found by any comparison, in an account and in a container', async () => {
    await withStore({}, async (store) => {
      await store.client.container('more');
      for (const [name, tags] of Object.entries({
        'docs/x': 'year=2024&kind=report',
        'docs/sub/y': 'year=2025&kind=report',
        'more/z': 'year=2025',
      })) {
        await store.client.put(at(name), 'x', { 'x-ms-tags': tags });
      }
      assert.deepEqual(await find(store, `"kind" = 'report'`), ['sub/y', 'x']);
      assert.deepEqual(await find(store, `"year" > '2024'`), ['sub/y', 'z']);
      assert.deepEqual(await find(store, `"year" >= '2024' AND "kind" = 'report' AND "year" < '2025'`), ['x']);
      assert.deepEqual(await find(store, `@container = 'more' AND year = '2025'`), ['z']);
      assert.deepEqual(await find(store, `year = '2025'`, 'docs'), ['sub/y']);
      const { text } = await store.client.send({ url: findUrl('year') });
      assert.match(text, /<Message>Error parsing query at or near character position 5: a comparison is expected\n/);
      const both = await store.client.send({ url: findUrl(`@container = 'docs' AND year = '2025'`, 'docs') });
      assert.match(both.text, /<Message>Error parsing query: Cannot have container in both uri and query\n/);
      await store.client.send({ method: 'DELETE', url: at('docs/x') });
      await store.client.put(at('docs/sub/y'), 'x');
      assert.deepEqual(await find(store, `"kind" = 'report'`), []);
      await store.client.send({ method: 'DELETE', url: at('more?restype=container') });
      assert.deepEqual(await find(store, `"year" > '2024'`), []);
    });
  });

  test('are set and read by themselves, and conditions look at them', async () => {
    await withStore({}, async (store) => {
      const etag = header(await store.put('one'), 'ETag');
      assert.equal((await store.send('PUT', '?comp=tags', {}, tagsBody({ a: '1', b: '2' }))).status, 204);
      assert.match((await store.send('GET', '?comp=tags')).text, /<Key>a<\/Key><Value>1<\/Value>/);
      const head = await store.send('HEAD', '');
      assert.deepEqual([head.headers['x-ms-tag-count'], head.headers.ETag], [2, etag]);
      const where = (condition: string) => ({ 'x-ms-if-tags': condition });
      assert.equal((await store.send('GET', '', where(`a = '1' AND (b = '9' OR b = '2')`))).status, 200);
      assert.equal(code(await store.send('GET', '', where(`a <> '1'`))), '412 ConditionNotMet');
      assert.equal(code(await store.put('two', where(`"b" = '3'`))), '412 ConditionNotMet');
      assert.equal(code(await store.send('GET', '', where('a ='))), '400 InvalidHeaderValue');
      const many = Array.from({ length: 1000 }, (_, i) => `a <> 'v${i}'`).join(' AND ');
      assert.equal((await store.send('GET', '', where(many))).status, 200);
      assert.equal(code(await store.send('GET', '', where(`${many} AND b = '2'`))), '400 InvalidHeaderValue');
      const eleven = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`t${i}`, 'v']));
      assert.equal(code(await store.send('PUT', '?comp=tags', {}, tagsBody(eleven))), '400 InvalidTags');
    });
  });
});
