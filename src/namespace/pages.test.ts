// Page blobs against a buffer: whatever is written, cleared, resized, snapshotted and copied, bytes and books stay right.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../base/random.ts';
import { keys } from '../metadata/keys.ts';
import { copyEntry } from './copy.ts';
import { changeEntry, type EntryTime, getEntry } from './entries.ts';
import { fsck } from './fsck.ts';
import { processGarbage } from './garbage.ts';
import type { PageList } from './page-list.ts';
import { pageBytes, subtractSpans } from './page-regions.ts';
import { bodyOf, checkBooks, create, list, mebibyte, place, put, read, snapshot } from './pages.testing.ts';
import { changePages, clearPages, putPages } from './pages.ts';
import { TestStore } from './store.testing.ts';
import { deleteEntry } from './times.ts';

async function collectGarbage(held: TestStore): Promise<void> {
  held.clock.advance(120_000);
  for (let i = 0; i < 50; i++) await processGarbage(held.store, { graceMs: 60_000, rowsMax: 500 });
}

/** A blob as it should be: bytes, and of each page when it was last written; 0 where it has none. */
interface Model {
  bytes: Buffer;
  pages: number[];
}

function spansOf(pages: readonly number[], isIn: (written: number, page: number) => boolean) {
  const spans: { start: number; end: number }[] = [];
  for (const [page, written] of pages.entries()) {
    if (!isIn(written, page)) continue;
    const start = page * pageBytes;
    const last = spans.at(-1);
    if (last?.end === start) last.end += pageBytes;
    else spans.push({ start, end: start + pageBytes });
  }
  return spans;
}

const copyOf = ({ bytes, pages }: Model): Model => ({ bytes: Buffer.from(bytes), pages: [...pages] });

async function compare(held: TestStore, name: string, model: Model, at?: EntryTime): Promise<void> {
  assert.ok((await read(held, name, at)).equals(model.bytes), `${name} ${at?.time ?? ''} has other bytes`);
  const { written, next } = await list(held, name, at && { at });
  assert.deepEqual(
    written,
    spansOf(model.pages, (when) => when > 0),
  );
  assert.equal(next, undefined);
}

for (const seed of [1, 2, 3]) {
  test(`random changes of page blobs, seed ${seed}`, async () => {
    await using held = await TestStore.open(16 * mebibyte);
    const random = seededRandom(seed);
    const names = ['a', 'b'];
    const models = new Map<string, Model>();
    const snapshots: { name: string; at: EntryTime; model: Model }[] = [];
    for (const name of names) {
      const length = 2.5 * mebibyte;
      await create(held, name, length);
      models.set(name, { bytes: Buffer.alloc(length), pages: new Array(length / pageBytes).fill(0) });
    }
    for (let step = 1; step <= 120; step++) {
      const name = names[random.below(2)] as string;
      const model = models.get(name) as Model;
      const pages = model.pages.length;
      const first = random.below(pages);
      const count = 1 + random.below(Math.min(pages - first, [4, 40, 2500][random.below(3)] as number));
      const [offset, length] = [first * pageBytes, count * pageBytes];
      const choice = random.below(20);
      if (choice < 11) {
        const bytes = random.bytes(length);
        assert.equal(await put(held, name, offset, bytes), 'ok');
        bytes.copy(model.bytes, offset);
        model.pages.fill(step, first, first + count);
      } else if (choice < 14) {
        const outcome = await clearPages(held.store, { ...place, name, offset, length, sequence: {} });
        assert.equal(outcome.kind, 'ok');
        model.bytes.fill(0, offset, offset + length);
        for (let page = first; page < first + count; page++)
          if ((model.pages[page] ?? 0) > 0) model.pages[page] = -step;
      } else if (choice < 16) {
        const after = (1 + random.below(7000)) * pageBytes;
        const outcome = await changePages(held.store, { ...place, name }, { length: after }, (record) => record);
        assert.equal(outcome.kind, 'ok');
        const grown = Buffer.alloc(after);
        model.bytes.copy(grown);
        model.bytes = grown;
        model.pages = Array.from({ length: after / pageBytes }, (_, page) => model.pages[page] ?? 0);
      } else if (choice < 18) {
        snapshots.push({ name, at: await snapshot(held, name), model: copyOf(model) });
      } else if (choice === 18) {
        const from = name === 'a' ? 'b' : 'a';
        const attributes = () => ({ headers: {}, metadata: {} });
        const outcome = await copyEntry(held.store, { ...place, name, source: { ...place, name: from }, attributes });
        assert.equal(outcome.kind, 'ok');
        models.set(name, copyOf(models.get(from) as Model));
      } else if (snapshots.length > 2) {
        const [gone] = snapshots.splice(random.below(snapshots.length), 1);
        assert.ok(gone);
        const outcome = await deleteEntry(held.store, { ...place, name: gone.name, at: gone.at });
        assert.equal(outcome.kind, 'ok');
      }
      held.clock.advance(1);
      if (step % 20 === 0) {
        for (const one of names) await compare(held, one, models.get(one) as Model);
        for (const { name: of, at, model: then } of snapshots) await compare(held, of, then, at);
        await checkBooks(held);
        await collectGarbage(held);
        await checkBooks(held);
      }
      const now = models.get(name) as Model;
      const from = random.below(now.bytes.length);
      const to = from + 1 + random.below(now.bytes.length - from);
      assert.ok((await read(held, name, undefined, from, to)).equals(now.bytes.subarray(from, to)));
    }
    // A page is in the difference where it was written or cleared in between, as far as the blob goes now.
    for (const { name, at, model: then } of snapshots) {
      const now = models.get(name) as Model;
      const { written, cleared } = await list(held, name, { since: at });
      assert.deepEqual(
        written,
        spansOf(now.pages, (when, page) => when > 0 && when !== (then.pages[page] ?? 0)),
      );
      // What was written and cleared in between may be told, as long as its content remembers.
      const lost = spansOf(now.pages, (when, page) => when <= 0 && (then.pages[page] ?? 0) > 0);
      const mayBe = spansOf(now.pages, (when, page) => when <= 0 && (when < 0 || (then.pages[page] ?? 0) > 0));
      assert.deepEqual(subtractSpans(lost, cleared), []);
      assert.deepEqual(subtractSpans(cleared, mayBe), []);
    }
    for (const { name, at } of snapshots) {
      assert.equal((await deleteEntry(held.store, { ...place, name, at })).kind, 'ok');
    }
    for (const name of names) assert.equal((await deleteEntry(held.store, { ...place, name })).kind, 'ok');
    await collectGarbage(held);
    await checkBooks(held);
    assert.equal((await fsck(held.store, () => undefined)).orphans.extents, 0);
    const left = await held.store.engine.snapshot((view) =>
      view.scan({ start: Buffer.from('R'), end: Buffer.from('S') }, { limit: 10 }),
    );
    assert.equal(left.length, 0, 'owners are counted of what is gone');
  });
}

test('pages that were written and cleared since a snapshot are in the difference, as far as the blob goes', async () => {
  await using held = await TestStore.open();
  await create(held, 'a', 16 * pageBytes);
  assert.equal(await put(held, 'a', 0, held.bytes(4 * pageBytes)), 'ok');
  const at = await snapshot(held, 'a');
  const clear = async (from: number, count: number): Promise<void> => {
    const range = { offset: from * pageBytes, length: count * pageBytes };
    assert.equal((await clearPages(held.store, { ...place, name: 'a', ...range, sequence: {} })).kind, 'ok');
  };
  const resize = async (pages: number): Promise<void> => {
    const length = pages * pageBytes;
    assert.equal((await changePages(held.store, { ...place, name: 'a' }, { length }, (record) => record)).kind, 'ok');
  };
  const cleared = async (): Promise<number[][]> =>
    (await list(held, 'a', { since: at })).cleared.map(({ start, end }) => [start / pageBytes, end / pageBytes]);
  assert.equal(await put(held, 'a', 4 * pageBytes, held.bytes(4 * pageBytes)), 'ok');
  await clear(4, 4);
  assert.deepEqual(await cleared(), [[4, 8]]);
  // What never was written is not cleared either.
  await clear(10, 2);
  assert.deepEqual(await cleared(), [[4, 8]]);
  assert.equal(await put(held, 'a', 5 * pageBytes, held.bytes(pageBytes)), 'ok');
  assert.deepEqual(await cleared(), [
    [4, 5],
    [6, 8],
  ]);
  await clear(0, 16);
  assert.deepEqual(await cleared(), [[0, 8]]);
  await resize(6);
  await resize(16);
  assert.deepEqual(await cleared(), [[0, 6]]);
  const later = await snapshot(held, 'a');
  assert.deepEqual((await list(held, 'a', { since: later })).cleared, []);
  await checkBooks(held);
});

test('pages written at once by many clients all arrive, also right after a snapshot', async () => {
  await using held = await TestStore.open(16 * mebibyte);
  await create(held, 'a', 4 * mebibyte);
  const before = held.bytes(4 * mebibyte);
  assert.equal(await put(held, 'a', 0, before), 'ok');
  const at = await snapshot(held, 'a');
  const parts = Array.from({ length: 24 }, (_, i) => ({
    offset: i * 150 * pageBytes,
    bytes: held.bytes(100 * pageBytes),
  }));
  const outcomes = await Promise.all(parts.map(({ offset, bytes }) => put(held, 'a', offset, bytes)));
  assert.deepEqual([...new Set(outcomes)], ['ok']);
  const after = Buffer.from(before);
  for (const { offset, bytes } of parts) bytes.copy(after, offset);
  assert.ok((await read(held, 'a')).equals(after));
  assert.ok((await read(held, 'a', at)).equals(before));
  await collectGarbage(held);
  await checkBooks(held);
  assert.ok((await read(held, 'a', at)).equals(before));
});

test('ranges come in parts of a limit, each from where the one before ended', async () => {
  await using held = await TestStore.open();
  await create(held, 'a', 4 * mebibyte);
  for (let i = 0; i < 7; i++) assert.equal(await put(held, 'a', i * 4 * pageBytes, held.bytes(2 * pageBytes)), 'ok');
  const all = (await list(held, 'a')).written;
  assert.equal(all.length, 7);
  const found = [];
  for (let offset: number | undefined = 0; offset !== undefined; ) {
    const part: PageList = await list(held, 'a', { offset, limit: 3 });
    found.push(...part.written);
    offset = part.next;
  }
  assert.deepEqual(found, all);
});

test('a range behind the end, a blob of another type and a sequence number that is not met are refused', async () => {
  await using held = await TestStore.open();
  await create(held, 'a', 1024);
  assert.equal(await put(held, 'a', 512, held.bytes(1024)), 'page-range');
  await held.put('block', held.bytes(2000));
  assert.equal(await put(held, 'block', 0, held.bytes(512)), 'blob-type');
  const numbered = await changePages(
    held.store,
    { ...place, name: 'a' },
    { sequence: { action: 'update', number: 7 } },
    (record) => record,
  );
  assert.ok(numbered.kind === 'ok' && numbered.entry.record.sequence === 7);
  const kinds = [];
  for (const sequence of [{ atMost: 6 }, { below: 7 }, { equal: 8 }, { atMost: 7, below: 8, equal: 7 }]) {
    const command = { ...place, name: 'a', offset: 0, length: 512, sequence, body: bodyOf(held.bytes(512)) };
    kinds.push((await putPages(held.store, command)).kind);
  }
  assert.deepEqual(kinds, ['sequence-number', 'sequence-number', 'sequence-number', 'ok']);
  await collectGarbage(held);
  await checkBooks(held);
});

test('a blob of 8 TiB of zeros costs nothing, and its end can be written, cleared and cut off', async () => {
  await using held = await TestStore.open(4 * mebibyte);
  const length = 8 * 2 ** 40;
  await create(held, 'a', length);
  const bytes = held.bytes(pageBytes);
  assert.equal(await put(held, 'a', length - pageBytes, bytes), 'ok');
  assert.equal(await put(held, 'a', 0, bytes), 'ok');
  assert.ok((await read(held, 'a', undefined, length - pageBytes, length)).equals(bytes));
  assert.deepEqual((await list(held, 'a')).written, [
    { start: 0, end: 512 },
    { start: length - 512, end: length },
  ]);
  const shorter = await changePages(held.store, { ...place, name: 'a' }, { length: 512 }, (record) => record);
  assert.equal(shorter.kind, 'ok');
  assert.deepEqual((await list(held, 'a')).written, [{ start: 0, end: 512 }]);
  await collectGarbage(held);
  await checkBooks(held);
});

const regions = 300;

/** So long that its pages take several transactions to clear; each mebibyte has one page. */
async function createLong(held: TestStore, name: string): Promise<void> {
  await create(held, name, regions * mebibyte);
  for (let i = 0; i < regions; i++) {
    assert.equal(await put(held, name, i * mebibyte, Buffer.alloc(pageBytes, 65)), 'ok');
  }
}

/** Does something once, right behind the n-th transaction from now on. */
function behindTransaction(held: TestStore, n: number, work: () => Promise<void>): void {
  const { engine } = held;
  const transact = engine.transact.bind(engine);
  let count = 0;
  engine.transact = async (body) => {
    const result = await transact(body);
    if (++count === n) {
      engine.transact = transact;
      await work();
    }
    return result;
  };
}

test('clearing and cutting off in several steps leave alone what has taken the name in between', async () => {
  await using held = await TestStore.open();
  for (const work of ['clear', 'resize', 'resize by a step'] as const) {
    await createLong(held, 'long');
    const found = await getEntry(held.store, { ...place, name: 'long' });
    assert.ok(found.kind === 'ok');
    const command = { ...place, name: 'long', conditions: { ifMatch: found.entry.record.etag } };
    behindTransaction(held, 1, () => createLong(held, 'long'));
    const outcome =
      work === 'clear'
        ? await clearPages(held.store, { ...command, offset: 0, length: regions * mebibyte, sequence: {} })
        : await changePages(held.store, command, { length: work === 'resize' ? 0 : 10 * mebibyte }, (record) => record);
    assert.equal(outcome.kind, 'contended', work);
    const { written, entry } = await list(held, 'long');
    assert.equal(written.length, regions, work);
    assert.equal(entry.record.length, regions * mebibyte, work);
  }
  await checkBooks(held);
});

test('a blob with a snapshot is cut off in transactions of bounded size', async () => {
  await using held = await TestStore.open();
  await create(held, 'long', 3 * regions * mebibyte);
  for (let i = 0; i < 3 * regions; i++)
    assert.equal(await put(held, 'long', i * mebibyte, Buffer.alloc(pageBytes, 65)), 'ok');
  await snapshot(held, 'long');
  assert.equal(await put(held, 'long', 0, Buffer.alloc(pageBytes, 66)), 'ok');
  const { engine } = held;
  const transact = engine.transact.bind(engine);
  let most = 0;
  engine.transact = (work) =>
    transact(async (txn) => {
      let rows = 0;
      const scan = txn.scan.bind(txn);
      txn.scan = async (range, options) => {
        const found = await scan(range, options);
        rows += found.length;
        most = Math.max(most, rows);
        return found;
      };
      return await work(txn);
    });
  const outcome = await changePages(held.store, { ...place, name: 'long' }, { length: pageBytes }, (record) => record);
  engine.transact = transact;
  assert.equal(outcome.kind, 'ok');
  assert.ok(most <= 300, `${most} rows in one transaction`);
  await checkBooks(held);
});

test('a list of the pages of a long blob lets others have a turn', async () => {
  await using held = await TestStore.open();
  await createLong(held, 'long');
  const at = await snapshot(held, 'long');
  assert.equal(await put(held, 'long', 0, Buffer.alloc(pageBytes, 66)), 'ok');
  for (const more of [{}, { since: at }]) {
    let turns = 0;
    setImmediate(() => turns++);
    await list(held, 'long', more);
    assert.equal(turns, 1);
  }
});

test('clearing in several steps goes on in its blob, also when others write it and snapshot it in between', async () => {
  await using held = await TestStore.open();
  await createLong(held, 'long');
  behindTransaction(held, 1, async () => {
    await snapshot(held, 'long');
    assert.equal(await put(held, 'long', 0, Buffer.alloc(pageBytes, 66)), 'ok');
  });
  const range = { offset: 0, length: regions * mebibyte, sequence: {} };
  assert.equal((await clearPages(held.store, { ...place, name: 'long', ...range })).kind, 'ok');
  assert.equal((await list(held, 'long')).written.length, 1);
  await checkBooks(held);
});

test('a full disk while shared pages are copied is a refusal that leaves nothing', async () => {
  await using held = await TestStore.open();
  await createLong(held, 'long');
  await snapshot(held, 'long');
  await collectGarbage(held);
  const { engine } = held;
  const transact = engine.transact.bind(engine);
  let count = 0;
  engine.transact = async (body) => {
    // The look, the guard, the pieces and their end; the pages' first rows; then nothing fits, but for what cleans up.
    if (++count === 6) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    return await transact(body);
  };
  assert.equal(await put(held, 'long', 0, Buffer.alloc(pageBytes, 66)), 'no-space');
  assert.ok(count >= 6);
  engine.transact = transact;
  await collectGarbage(held);
  const left = await engine.snapshot((view) => view.scan(keys.allGarbage(), { limit: 10 }));
  assert.deepEqual(left, []);
  assert.equal((await list(held, 'long')).written.length, regions);
  await checkBooks(held);
});

test('whoever sets metadata all the time does not keep a write from its copy of shared pages', async () => {
  await using held = await TestStore.open();
  await createLong(held, 'long');
  await snapshot(held, 'long');
  const { engine } = held;
  const transact = engine.transact.bind(engine);
  let count = 0;
  engine.transact = async (body) => {
    const result = await transact(body);
    if (++count % 4 === 0) {
      const metadata = { count: `${count}` };
      engine.transact = transact;
      await changeEntry(held.store, { ...place, name: 'long' }, (record) => ({ ...record, metadata }), {
        act: 'set-metadata',
      });
      engine.transact = stirred;
    }
    return result;
  };
  const stirred = engine.transact;
  assert.equal(await put(held, 'long', 0, Buffer.alloc(pageBytes, 66)), 'ok');
  engine.transact = transact;
  assert.ok(count < 60, `${count} transactions`);
  assert.equal((await read(held, 'long', undefined, 0, 1))[0], 66);
  await checkBooks(held);
});
