// Space comes back, content does not go: garbage, reclaim, recovery and fsck over real files.
import assert from 'node:assert/strict';
import { open, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { segmentFileName } from '../content/extent.ts';
import { SegmentScan } from '../content/scan.ts';
import { keys } from '../metadata/keys.ts';
import { fsck } from './fsck.ts';
import { processGarbage } from './garbage.ts';
import { reclaimOnce } from './reclaim.ts';
import { decodeRecord, type SegmentRecord } from './records.ts';
import { recoverSegments } from './recover.ts';
import { createCatalog, nextSegment } from './segments.ts';
import { TestStore } from './store.testing.ts';

const graceMs = 60_000;

function reclaim(held: TestStore, damage: string[] = []) {
  return reclaimOnce(held.store, {
    segmentBytes: held.segmentBytes,
    smallMax: 8,
    graceMs,
    damagePauseMs: 1000,
    onDamage: (segment, what) => damage.push(`${segment}: ${what}`),
  });
}

async function check(held: TestStore) {
  const lines: string[] = [];
  const result = await fsck(held.store, (line) => lines.push(line));
  return { ...result, lines };
}

async function segmentsOf(held: TestStore): Promise<(SegmentRecord & { segment: number })[]> {
  const rows = await held.engine.snapshot((view) => view.scan(keys.segments(), { limit: 1000 }));
  return rows.map((row) => ({ segment: keys.segmentNumberOf(row.key), ...decodeRecord<SegmentRecord>(row.value) }));
}

/** Twenty names of 50 KB: four fill a segment. */
async function fill(held: TestStore): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>();
  for (let i = 0; i < 20; i++) {
    const bytes = held.bytes(50_000);
    contents.set(`name${i}`, bytes);
    await held.put(`name${i}`, bytes);
  }
  return contents;
}

test('content that was dropped gives its space back, and the rest is moved whole', async () => {
  await using held = await TestStore.open();
  const contents = await fill(held);
  for (let i = 0; i < 20; i++) {
    if (i % 4 === 0) continue;
    await held.remove(`name${i}`);
    contents.delete(`name${i}`);
  }
  assert.equal((await processGarbage(held.store, { graceMs, rowsMax: 100 })).rows, 0);
  held.clock.advance(graceMs + 1);
  const garbage = await processGarbage(held.store, { graceMs, rowsMax: 100 });
  assert.deepEqual([garbage.rows, garbage.extents], [15, 15]);
  const before = (await readdir(held.directory)).length;
  let moved = 0;
  for (;;) {
    const counts = await reclaim(held);
    moved += counts.movedExtents;
    if (counts.retired === 0) break;
  }
  assert.ok(moved >= 4, `${moved}`);
  for (const [name, bytes] of contents) assert.ok((await held.read(name)).equals(bytes));
  assert.equal((await check(held)).damage, 0);
  held.clock.advance(graceMs + 1);
  const deleted = (await reclaim(held)).deleted;
  assert.ok(deleted >= 4, `${deleted}`);
  assert.ok((await readdir(held.directory)).length < before);
  // A worker that comes later finds what was moved from files that are gone.
  const another = held.another();
  for (const [name, bytes] of contents) assert.ok((await held.read(name, another)).equals(bytes));
  await another.content.close();
  const { damage, orphans, entries, bytes } = await check(held);
  assert.deepEqual([damage, orphans.extents, entries, bytes], [0, 0, contents.size, contents.size * 50_000]);
});

test('a damaged extent is reported, named by fsck, and keeps its segment from being deleted', async () => {
  await using held = await TestStore.open();
  const contents = await fill(held);
  const [first] = (await segmentsOf(held)).filter((one) => one.state === 'sealed');
  assert.ok(first !== undefined);
  const path = join(held.directory, segmentFileName(first.segment));
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, 10_000);
  await file.write(Buffer.from([(byte[0] as number) ^ 0x10]), 0, 1, 10_000);
  await file.close();
  for (let i = 0; i < 20; i++) if (i !== 0) await held.remove(`name${i}`);
  held.clock.advance(graceMs + 1);
  await processGarbage(held.store, { graceMs, rowsMax: 100 });
  const found = await check(held);
  assert.equal(found.damage, 1);
  assert.ok(found.lines.some((line) => line.includes('"name0"')));
  const damage: string[] = [];
  for (let i = 0; i < 10; i++) await reclaim(held, damage);
  assert.equal(damage.length, 1);
  held.clock.advance(graceMs + 1);
  await reclaim(held, damage);
  assert.ok((await stat(path)).size > 0);
  await assert.rejects(held.read('name0'), { code: 'CONTENT_DAMAGED' });
  assert.ok(contents.has('name0'));
});

test('behind a damaged header of a small extent, those that shared its write are still found', async () => {
  await using held = await TestStore.open();
  await Promise.all(Array.from({ length: 6 }, (_, i) => held.put(`small${i}`, held.bytes(300))));
  const [first] = await segmentsOf(held);
  assert.ok(first !== undefined);
  const walk = async (): Promise<number[]> => {
    const scan = await SegmentScan.open(held.store.content.disk, held.directory, first.segment);
    const offsets: number[] = [];
    for await (const { place } of scan?.extents() ?? []) offsets.push(place.offset);
    await scan?.close();
    return offsets;
  };
  const all = await walk();
  assert.equal(all.length, 6);
  const file = await open(join(held.directory, segmentFileName(first.segment)), 'r+');
  await file.write(Buffer.from('torn'), 0, 4, (all[1] as number) + 8);
  await file.close();
  assert.deepEqual(
    await walk(),
    all.filter((_, i) => i !== 1),
  );
});

test('recovery cuts a torn tail, buries orphans, and leaves what is named and what this run writes', async () => {
  await using held = await TestStore.open();
  const bytes = held.bytes(5000);
  await held.put('kept', bytes);
  // Written, and never named: the server stopped in between.
  const writeOrphan = async (): Promise<void> => {
    const writer = held.store.content.write({ log: true, md5: false, ownsChunks: false });
    writer.append(held.bytes(3000));
    await writer.finish();
  };
  await writeOrphan();
  await held.put('kept too', bytes);
  const [left] = await segmentsOf(held);
  assert.equal(left?.state, 'open');
  const path = join(held.directory, segmentFileName(left?.segment as number));
  const sizeBytes = (await stat(path)).size;
  // Behind all names: it may be in the page cache alone, and the metadata must not say that it is there.
  await writeOrphan();
  const orphanBytes = (await stat(path)).size - sizeBytes;
  await truncate(path, sizeBytes + orphanBytes + 100_000);
  const below = await nextSegment(held.engine);
  const missing = await held.store.content.disk.list(held.directory);
  assert.equal(missing.length, 1);
  // A number whose file never came to be.
  await createCatalog(held.engine, held.clock).allocate();
  held.store = held.another();
  await held.put('new', held.bytes(100));
  const damage: string[] = [];
  const recover = () => recoverSegments(held.store, { below: below + 1, onDamage: (_, what) => damage.push(what) });
  const counts = await recover();
  assert.deepEqual(
    [counts.segments, counts.missing, counts.orphans, counts.truncatedBytes],
    [2, 1, 2, orphanBytes + 100_000],
  );
  assert.equal((await stat(path)).size, sizeBytes);
  assert.equal((await recover()).segments, 0);
  assert.deepEqual(damage, []);
  for (const name of ['kept', 'kept too']) assert.ok((await held.read(name)).equals(bytes));
  assert.equal((await segmentsOf(held))[0]?.tailBytes, sizeBytes);
  const states = (await segmentsOf(held)).map((one) => one.state);
  assert.deepEqual(states, ['sealed', 'open']);
  assert.deepEqual((await check(held)).orphans, { extents: 0, bytes: 0 });
  assert.equal((await check(held)).damage, 0);
});

test('recovery forgets where an extent without a name was moved to, also at the end of a segment', async () => {
  await using held = await TestStore.open();
  // What a commit whose outcome nobody knew may leave: written, and no garbage of anybody.
  const writer = held.store.content.write({ log: true, md5: false, ownsChunks: false });
  writer.append(held.bytes(50_000));
  await writer.finish();
  const contents = await fill(held);
  for (const name of contents.keys()) await held.remove(name);
  held.clock.advance(graceMs + 1);
  await processGarbage(held.store, { graceMs, rowsMax: 100 });
  const moved = async (): Promise<number> =>
    (await held.engine.snapshot((view) => view.scan(keys.allMoved(), { limit: 10 }))).length;
  for (let i = 0; i < 10 && (await moved()) === 0; i++) await reclaim(held);
  assert.equal(await moved(), 1);
  const below = await nextSegment(held.engine);
  held.store = held.another();
  const counts = await recoverSegments(held.store, { below, onDamage: (_, what) => assert.fail(what) });
  assert.deepEqual([counts.orphans, await moved()], [1, 0]);
  assert.equal((await check(held)).damage, 0);
});

test('recovery keeps a named extent that it does not find from being cut off or reclaimed', async () => {
  await using held = await TestStore.open();
  await held.put('lost', held.bytes(5000));
  const [left] = await segmentsOf(held);
  const path = join(held.directory, segmentFileName(left?.segment as number));
  const sizeBytes = (await stat(path)).size;
  const file = await open(path, 'r+');
  await file.write(Buffer.from('worn'), 0, 4, 4096);
  await file.close();
  const below = await nextSegment(held.engine);
  held.store = held.another();
  const damage: string[] = [];
  await recoverSegments(held.store, { below, onDamage: (_, what) => damage.push(what) });
  assert.equal(damage.length, 1);
  assert.equal((await stat(path)).size, sizeBytes);
  for (let i = 0; i < 3; i++) assert.equal((await reclaim(held)).retired, 0);
  assert.ok((await check(held)).damage > 0);
});

test('fsck finds owners that are counted wrong, a name without its directory, and usage that is off', async () => {
  await using held = await TestStore.open();
  await held.put('a/b', held.bytes(500));
  assert.equal((await check(held)).damage, 0);
  const rows = await held.engine.snapshot((view) => view.scan(keys.entries(), { limit: 10 }));
  const directory = rows.find((row) => keys.isDirectory(row.key));
  const entry = rows.find((row) => !keys.isDirectory(row.key));
  assert.ok(directory !== undefined && entry !== undefined);
  await held.engine.transact((txn) => txn.add(keys.extentOwners(1, 4096), 1n));
  assert.equal((await check(held)).damage, 1);
  await held.engine.transact((txn) => txn.add(keys.extentOwners(1, 4096), -1n));
  await held.engine.transact((txn) => txn.delete(directory.key));
  // The name is reached from nowhere, and so the usage is not that of what is reached.
  assert.equal((await check(held)).damage, 2);
  await held.engine.transact((txn) => txn.put(directory.key, directory.value));
  await held.engine.transact((txn) => txn.put(entry.key, Buffer.from('nothing like a record')));
  assert.ok((await check(held)).damage >= 2);
});
