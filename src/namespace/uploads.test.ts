// Block lists that repeat, drop and reorder what was committed: bytes stay right, and every extent keeps its count of owners.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../base/random.ts';
import { copyEntry } from './copy.ts';
import { getEntry } from './entries.ts';
import { fsck } from './fsck.ts';
import { processGarbage } from './garbage.ts';
import { readContent } from './read.ts';
import { account, cause, TestStore } from './store.testing.ts';
import { deleteEntry } from './times.ts';
import { commitBlocks, type ListedBlock, stageBlock } from './uploads.ts';

const place = { account, container: 'box', conditions: {} };

async function stage(held: TestStore, name: string, id: number): Promise<void> {
  const bytes = contentOf(id);
  const body = {
    chunks: (async function* () {
      yield bytes;
    })(),
    length: bytes.length,
    lengthMax: bytes.length,
    wantMd5: false,
  };
  const outcome = await stageBlock(held.store, { ...place, name, blockId: idOf(id), body });
  assert.equal(outcome.kind, 'ok');
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
