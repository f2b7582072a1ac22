// Block lists that repeat, drop and reorder what was committed: bytes stay right, and every extent keeps its count of owners.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { dayMs } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { decodeCounter } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { changeContainer, readContainer } from './containers.ts';
import { copyEntry } from './copy.ts';
import { getEntry } from './entries.ts';
import { expireUploads } from './expiry.ts';
import { fsck } from './fsck.ts';
import { processGarbage } from './garbage.ts';
import { readContent } from './read.ts';
import { decodeRecord, encodeRecord, type UploadRecord } from './records.ts';
import { account, cause, TestStore } from './store.testing.ts';
import { deleteEntry } from './times.ts';
import { commitBlocks, type ListedBlock, stageBlock } from './uploads.ts';

const place = { account, container: 'box', conditions: {} };

async function stage(held: TestStore, name: string, id: number, bytes = contentOf(id)): Promise<void> {
  assert.equal(await tryStage(held, name, id, bytes), 'ok');
}

async function tryStage(held: TestStore, name: string, id: number, bytes: Buffer): Promise<string> {
  const body = {
    chunks: (async function* () {
      yield bytes;
    })(),
    length: bytes.length,
    lengthMax: bytes.length,
    wantMd5: false,
  };
  return (await stageBlock(held.store, { ...place, name, blockId: idOf(id), body })).kind;
}

async function commit(held: TestStore, name: string, ids: readonly number[], from: ListedBlock['from']): Promise<void> {
  const blocks = ids.map((id) => ({ id: idOf(id).toString('base64'), from }));
  const attributes = { headers: {}, metadata: {} };
  const outcome = await commitBlocks(held.store, { ...place, name, cause, attributes, blocks });
  assert.equal(outcome.kind, 'ok');
  await expect(held, name, ids);
}

async function expect(held: TestStore, name: string, ids: readonly number[]): Promise<void> {
  const found = await getEntry(held.store, { ...place, name });
  assert.ok(found.kind === 'ok');
  const chunks: Buffer[] = [];
  for await (const chunk of readContent(held.store, found.entry, 0, found.entry.record.length)) {
    chunks.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  assert.ok(Buffer.concat(chunks).equals(Buffer.concat(ids.map(contentOf))));
}

async function checkBooks(held: TestStore): Promise<void> {
  const lines: string[] = [];
  assert.equal((await fsck(held.store, (line) => lines.push(line))).damage, 0, lines.join('\n'));
}

const idOf = (id: number): Buffer => Buffer.from(`block-${String(id).padStart(6, '0')}`);
const contentOf = (id: number): Buffer => seededRandom(id + 1).bytes(100 + (id % 50));

// Below and above the length at which pieces and blocks get rows of their own.
for (const count of [10, 40, 600]) {
  test(`a list of ${count} blocks is committed again in other ways`, async () => {
    await using held = await TestStore.open(4 * 1024 * 1024);
    const all = Array.from({ length: count }, (_, id) => id);
    for (const id of all) await stage(held, 'a', id);
    await commit(held, 'a', all, 'uncommitted');
    await commit(held, 'a', all, 'committed');
    await checkBooks(held);
    await commit(held, 'a', all.toReversed(), 'latest');
    await commit(held, 'a', [...all, ...all.slice(0, 5), 0, 0], 'committed');
    await checkBooks(held);
    await commit(held, 'a', [...all.slice(3), 3, 3], 'committed');
    await stage(held, 'a', count + 1);
    await commit(held, 'a', [...all.slice(5), count + 1, count + 1], 'latest');
    await checkBooks(held);

    // A copy owns the content as a whole: from then on nothing may be taken from it.
    const source = { ...place, name: 'a' };
    const attributes = () => ({ headers: {}, metadata: {} });
    assert.equal((await copyEntry(held.store, { ...place, name: 'b', cause, source, attributes })).kind, 'ok');
    const copied = [...all.slice(5), count + 1, count + 1];
    await commit(held, 'a', all.slice(7), 'committed');
    await commit(held, 'b', copied.slice(2), 'committed');
    await expect(held, 'a', all.slice(7));
    await checkBooks(held);

    held.clock.advance(120_000);
    for (let i = 0; i < 50; i++) await processGarbage(held.store, { graceMs: 60_000, rowsMax: 500 });
    await expect(held, 'a', all.slice(7));
    await expect(held, 'b', copied.slice(2));
    await checkBooks(held);
    for (const name of ['a', 'b']) assert.equal((await deleteEntry(held.store, { ...place, name, cause })).kind, 'ok');
    held.clock.advance(120_000);
    for (let i = 0; i < 50; i++) await processGarbage(held.store, { graceMs: 60_000, rowsMax: 500 });
    await checkBooks(held);
    assert.equal((await fsck(held.store, () => undefined)).orphans.extents, 0);
  });
}

describe('staged blocks count as usage of their container', () => {
  const quotaBytes = 10_000;
  const openWithQuota = async (): Promise<TestStore> => {
    const held = await TestStore.open();
    assert.equal((await changeContainer(held.store, { ...place, cause }, { quotaBytes })).kind, 'ok');
    return held;
  };
  const usage = (held: TestStore): Promise<number> =>
    held.store.engine.snapshot(async (view) => {
      const container = await readContainer(view, place);
      assert.ok(container);
      return Number(decodeCounter(await view.get(keys.usage(Buffer.from(container.id, 'hex')))));
    });
  const bytes = (length: number): Buffer => Buffer.alloc(length, 7);
  const drop = { headers: {}, metadata: {} };

  test('up to the quota, and no further', async () => {
    await using held = await openWithQuota();
    await stage(held, 'a', 1, bytes(6000));
    assert.equal(await usage(held), 6000);
    assert.equal(await tryStage(held, 'a', 2, bytes(4001)), 'quota-exceeded');
    assert.equal(await tryStage(held, 'b', 1, bytes(4001)), 'quota-exceeded');
    await stage(held, 'b', 1, bytes(4000));
    await assert.rejects(held.put('c', bytes(1)), /quota-exceeded/);
    // One in the place of another counts as the difference.
    await stage(held, 'a', 1, bytes(100));
    assert.equal(await usage(held), 4100);
    await checkBooks(held);
  });

  test('until they are committed: what becomes content counts once, and the rest no longer', async () => {
    await using held = await openWithQuota();
    await stage(held, 'a', 1, bytes(6000));
    await stage(held, 'a', 2, bytes(4000));
    const blocks = [{ id: idOf(1).toString('base64'), from: 'uncommitted' as const }];
    const command = { ...place, name: 'a', cause, attributes: drop, blocks };
    assert.equal((await commitBlocks(held.store, command)).kind, 'ok');
    assert.equal(await usage(held), 6000);
    await stage(held, 'a', 3, bytes(4000));
    await held.put('a', bytes(9999));
    assert.equal(await usage(held), 9999);
    await held.remove('a');
    assert.equal(await usage(held), 0);
    await checkBooks(held);
  });

  test('until they expire', async () => {
    await using held = await openWithQuota();
    await stage(held, 'a', 1, bytes(10_000));
    held.clock.advance(8 * dayMs);
    assert.deepEqual(await expireUploads(held.store, { ageMs: 7 * dayMs }), { uploads: 1 });
    assert.equal(await usage(held), 0);
    await stage(held, 'b', 1, bytes(10_000));
    await checkBooks(held);
  });

  test('but not those of an upload from before they were counted', async () => {
    await using held = await openWithQuota();
    await stage(held, 'a', 1, bytes(3000));
    await held.store.engine.transact(async (txn) => {
      const [row] = await txn.scan(keys.allUploads(), { limit: 1 });
      assert.ok(row);
      const { isCounted: _, ...before } = decodeRecord<UploadRecord>(row.value);
      txn.put(row.key, encodeRecord(before));
      txn.delete(keys.uploadBytes(Buffer.from(before.id, 'hex')));
      txn.add(keys.usage(keys.idOf(row.key)), -3000n);
    });
    await checkBooks(held);
    await stage(held, 'a', 1, bytes(5000));
    await stage(held, 'a', 2, bytes(5000));
    assert.equal(await usage(held), 0);
    await held.put('a', bytes(10));
    assert.equal(await usage(held), 10);
    await checkBooks(held);
  });

  test('and fsck finds a count that is off', async () => {
    await using held = await openWithQuota();
    await stage(held, 'a', 1, bytes(3000));
    await held.store.engine.transact(async (txn) => {
      const [row] = await txn.scan(keys.allUploads(), { limit: 1 });
      assert.ok(row);
      txn.add(keys.uploadBytes(Buffer.from(decodeRecord<UploadRecord>(row.value).id, 'hex')), 1n);
    });
    assert.equal((await fsck(held.store, () => undefined)).damage, 1);
  });
});
