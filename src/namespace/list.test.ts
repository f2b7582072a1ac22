// Listing against a plain sorted array: odd names, any delimiter, any prefix, any start, every page size.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createIds } from '../base/ids.ts';
import { seededRandom } from '../base/random.ts';
import { formatTicks } from '../codec/ticks.ts';
import { keys } from '../metadata/keys.ts';
import { MemoryEngine } from '../metadata/memory-engine.ts';
import { createContainer, readContainer } from './containers.ts';
import { type Listed, type ListQuery, listEntries } from './list.ts';
import { makePlace } from './paths.ts';
import { type EntryRecord, encodeRecord, type UploadRecord } from './records.ts';
import { change, type Store } from './store.ts';

interface Names {
  readonly committed: readonly string[];
  /** Names with staged blocks; some are committed as well. */
  readonly staged: readonly string[];
  /** Names whose directories are there though nothing is in them, as after a delete. */
  readonly emptied: readonly string[];
}

const place = { account: 'acc', container: 'box' };
const cause = { by: 'test', requestId: 'r' };

function newStore(): Store {
  const random = seededRandom(7);
  const clock = { now: () => 1_700_000_000_000, sleep: async () => undefined };
  // Listing never touches content.
  const content = undefined as unknown as Store['content'];
  return { engine: new MemoryEngine(), content, clock, wallClock: clock, ids: createIds(clock, random), random };
}

async function storeWith(names: Names): Promise<Store> {
  const store = newStore();
  const made = await createContainer(store, { ...place, metadata: {}, publicAccess: 'none', cause });
  assert.equal(made.kind, 'ok');
  const root = Buffer.from(made.kind === 'ok' ? made.record.id : '', 'hex');
  await change(store, async (txn) => {
    for (const name of names.committed) {
      const { parent, leaf } = await makePlace(store, txn, root, name);
      txn.put(keys.entry(parent, leaf), encodeRecord({ etag: `of ${name}` } as EntryRecord));
    }
    for (const name of names.emptied) await makePlace(store, txn, root, name);
    for (const name of names.staged) txn.put(keys.upload(root, name), encodeRecord({ id: '00' } as UploadRecord));
  });
  return store;
}

async function putSnapshots(store: Store, past: readonly { name: string; isDeleted: boolean }[]): Promise<void> {
  const container = await store.engine.snapshot((view) => readContainer(view, place));
  await change(store, async (txn) => {
    for (const [i, { name, isDeleted }] of past.entries()) {
      const { parent, leaf } = await makePlace(store, txn, Buffer.from(container?.id ?? '', 'hex'), name);
      const ticks = 1_000_000_000_000n + BigInt(i);
      const deleted = isDeleted && { deletedMs: 1, purgeMs: 2 };
      const record = { etag: `of ${name}`, past: { kind: 'snapshot', time: formatTicks(ticks), ...deleted } };
      txn.put(keys.past(parent, leaf, ticks), encodeRecord(record as EntryRecord));
    }
  });
}

type Row = { readonly kind: Listed['kind']; readonly name: string };

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function modelRows(names: Names, query: Omit<ListQuery, 'limit'>): Row[] {
  const kinds = new Map<string, Row['kind']>();
  if (query.uncommitted) for (const name of names.staged) kinds.set(name, 'uncommitted');
  for (const name of names.committed) kinds.set(name, 'entry');
  const rows: Row[] = [];
  for (const name of [...kinds.keys()].sort(byBytes)) {
    if (!name.startsWith(query.prefix) || byBytes(name, query.from) < 0) continue;
    const at = query.delimiter ? name.indexOf(query.delimiter, query.prefix.length) : -1;
    if (at === -1) rows.push({ kind: kinds.get(name) as Row['kind'], name });
    else {
      const rolled = name.slice(0, at + (query.delimiter as string).length);
      if (rows.at(-1)?.name !== rolled || rows.at(-1)?.kind !== 'prefix') rows.push({ kind: 'prefix', name: rolled });
    }
  }
  return rows;
}

async function page(store: Store, query: ListQuery): Promise<{ rows: Row[]; next: string | undefined }> {
  const found = await listEntries(store, query);
  assert.equal(found.kind, 'ok');
  if (found.kind !== 'ok') throw new Error('not listed');
  for (const item of found.items) {
    if (item.kind === 'entry') assert.equal(item.entry.record.etag, `of ${item.name}`);
  }
  return { rows: found.items.map(({ kind, name }) => ({ kind, name })), next: found.next };
}

const segment = fc.constantFrom(
  '',
  'a',
  'b',
  'ab',
  'a!',
  '!',
  'a.',
  'a-b',
  '-',
  '0',
  '~',
  'a\u0001',
  ' ',
  'é',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '😀',
  '\u{10ffff}',
  'a\u{10ffff}b',
);
const name = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((segments) => segments.join('/'))
  .filter((text) => text !== '');
const delimiter = fc.constantFrom(
  undefined,
  '',
  '/',
  '/',
  '/',
  '-',
  'a',
  '!',
  '//',
  'a/',
  '/a',
  'ab',
  '😀',
  '\u{10ffff}',
);

/** Cut anywhere between code points, or something that is no beginning of any name. */
function beginningOf(one: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const cut = fc.tuple(one, fc.nat(8)).map(([text, length]) => Array.from(text).slice(0, length).join(''));
  return fc.oneof(
    { weight: 4, arbitrary: cut },
    { weight: 1, arbitrary: name },
    { weight: 3, arbitrary: fc.constant('') },
  );
}

const cases = fc
  .record({
    committed: fc.uniqueArray(name, { maxLength: 24 }),
    staged: fc.uniqueArray(name, { maxLength: 6 }),
    emptied: fc.uniqueArray(name, { maxLength: 4 }),
  })
  .chain((names) => {
    const known = [...names.committed, ...names.staged, ...names.emptied];
    const one = known.length === 0 ? name : fc.constantFrom(...known);
    const from = fc.oneof(
      fc.constant(''),
      beginningOf(one),
      one,
      fc.tuple(one, fc.constantFrom('/', '!', '0', '\u{10ffff}', 'a/b')).map(([text, more]) => text + more),
    );
    const query = fc.record({ prefix: beginningOf(one), delimiter, from, uncommitted: fc.boolean() });
    return fc.record({ names: fc.constant(names), query });
  });

describe('listing', () => {
  test('gives what a sorted array of the names gives, page by page, for every page size', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ names, query }) => {
        const store = await storeWith(names);
        const expected = modelRows(names, { ...place, ...query });
        for (const limit of new Set([1, 2, 3, 5, expected.length, expected.length + 1, 5000])) {
          if (limit === 0) continue;
          let from = query.from;
          for (let done = 0; ; done += limit) {
            const { rows, next } = await page(store, { ...place, ...query, from, limit });
            assert.deepEqual(rows, expected.slice(done, done + limit));
            assert.equal(next, expected[done + limit]?.name);
            if (next === undefined) break;
            from = next;
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  test('ends a page early where much is hidden, and the pages are together what one is', async () => {
    const hiding = fc.record({
      names: fc.record({
        committed: fc.uniqueArray(name, { maxLength: 8 }),
        staged: fc.uniqueArray(name, { maxLength: 6 }),
        emptied: fc.constant([]),
      }),
      past: fc.array(fc.record({ name, isDeleted: fc.boolean() }), { maxLength: 40 }),
      shown: fc.record({ snapshots: fc.boolean(), deleted: fc.boolean(), alone: fc.boolean() }),
      query: fc.record({ delimiter, uncommitted: fc.boolean() }),
      hiddenMax: fc.integer({ min: 1, max: 5 }),
      limit: fc.integer({ min: 1, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(hiding, async ({ names, past, shown, query, hiddenMax, limit }) => {
        const store = await storeWith(names);
        await putSnapshots(store, past);
        const all = { ...place, ...query, prefix: '', past: { ...shown, versions: false, versionsOnly: false } };
        const whole = await page(store, { ...all, from: '', limit: 5000 });
        const found: Row[] = [];
        let pages = 0;
        for (let from: string | undefined = ''; from !== undefined; pages++) {
          assert.ok(pages <= names.committed.length + names.staged.length + past.length + 1, 'goes on for ever');
          const { rows, next }: Awaited<ReturnType<typeof page>> = await page(store, {
            ...all,
            from,
            limit,
            hiddenMax,
          });
          assert.ok(rows.length <= limit);
          found.push(...rows);
          from = next;
        }
        assert.deepEqual(found, whole.rows);
      }),
      { numRuns: 400 },
    );
  });

  test('bounds what a page passes with a delimiter too, over however many walks', async () => {
    const groups = Array.from({ length: 60 }, (_, group) => `g${String(group).padStart(2, '0')},`);
    const each = 30;
    const hiddenMax = 1000;
    const committed = groups.flatMap((group) => Array.from({ length: each }, (_, i) => `${group}a${i}`));
    const store = await storeWith({ committed, staged: [], emptied: [] });
    // The one that is shown of a group comes behind all that are not.
    await putSnapshots(
      store,
      groups.map((group) => ({ name: `${group}b`, isDeleted: true })),
    );
    const past = { snapshots: true, versions: false, deleted: true, versionsOnly: false, alone: true };
    const query = { ...place, prefix: '', delimiter: ',', uncommitted: false, past, limit: 5000 };
    const found: string[] = [];
    let pages = 0;
    for (let from: string | undefined = ''; from !== undefined; pages++) {
      const { rows, next }: Awaited<ReturnType<typeof page>> = await page(store, { ...query, from, hiddenMax });
      found.push(...rows.map((row) => row.name));
      from = next;
    }
    assert.deepEqual(found, groups);
    assert.ok(pages >= (groups.length * each) / hiddenMax, `${pages} pages`);
  });

  test('of an unknown container says so', async () => {
    const store = newStore();
    const query = { ...place, prefix: '', delimiter: undefined, from: '', limit: 10, uncommitted: false };
    assert.deepEqual(await listEntries(store, query), { kind: 'container-not-found' });
  });

  test('rolls up what begins with the last code point of all behind the delimiter', async () => {
    const committed = ['a/\u{10ffff}', 'a/\u{10ffff}\u{10ffff}x', 'a/b', 'a0'];
    const store = await storeWith({ committed, staged: [], emptied: [] });
    const query = { ...place, prefix: '', delimiter: '/', from: '', limit: 10, uncommitted: false };
    const { rows } = await page(store, query);
    assert.deepEqual(rows, [
      { kind: 'prefix', name: 'a/' },
      { kind: 'entry', name: 'a0' },
    ]);
  });

  test('skips what lies behind a prefix instead of reading it', async () => {
    const committed = Array.from({ length: 20 }, (_, i) => `p${String(i).padStart(2, '0')}-`).flatMap((prefix) =>
      Array.from({ length: 300 }, (_, i) => `${prefix}${i}`),
    );
    const store = await storeWith({ committed, staged: [], emptied: [] });
    let read = 0;
    const counting: Store = {
      ...store,
      engine: {
        get: (key) => store.engine.get(key),
        transact: (work) => store.engine.transact(work),
        snapshot: (work) =>
          store.engine.snapshot((view) =>
            work({
              get: (key) => view.get(key),
              getMany: (wanted) => view.getMany(wanted),
              scan: async (range, options) => {
                const rows = await view.scan(range, options);
                read += rows.length;
                return rows;
              },
            }),
          ),
        [Symbol.asyncDispose]: async () => undefined,
      },
    };
    const query = { ...place, prefix: '', delimiter: '-', from: '', limit: 5000, uncommitted: false };
    const { rows } = await page(counting, query);
    assert.equal(rows.length, 20);
    assert.ok(read <= 20 * 20, `read ${read} rows of 6,000 for 20 prefixes`);
  });
});
