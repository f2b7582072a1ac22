// Append blobs: in order, at their places, by many at once, and never visible to who has the blob as it was before.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../base/random.ts';
import { keys } from '../metadata/keys.ts';
import { type AppendConditions, appendBlock, appendRange, sealEntry } from './append.ts';
import { copyEntry } from './copy.ts';
import { type EntryTime, getEntry, putEntry } from './entries.ts';
import { fsck } from './fsck.ts';
import { processGarbage } from './garbage.ts';
import { readContent } from './read.ts';
import { account, cause, TestStore } from './store.testing.ts';
import { deleteEntry, snapshotEntry } from './times.ts';

const place = { account, container: 'box', conditions: {}, cause };
const attributes = { type: 'append', headers: {}, metadata: {} } as const;

function bodyOf(bytes: Buffer) {
  const chunks = (async function* () {
    if (bytes.length > 0) yield bytes;
  })();
  return { chunks, length: bytes.length, lengthMax: bytes.length, wantMd5: false };
}

async function create(held: TestStore, name: string): Promise<void> {
  const outcome = await putEntry(held.store, { ...place, name, attributes, body: bodyOf(Buffer.alloc(0)) });
  assert.equal(outcome.kind, 'ok');
}

function append(held: TestStore, name: string, bytes: Buffer, conditions: AppendConditions = {}) {
  return appendBlock(held.store, { ...place, name, append: conditions, body: bodyOf(bytes) });
}

async function read(held: TestStore, name: string, at?: EntryTime): Promise<Buffer> {
  const found = await getEntry(held.store, { ...place, name, ...(at && { at }) });
  assert.ok(found.kind === 'ok', found.kind);
  const chunks: Buffer[] = [];
  for await (const chunk of readContent(held.store, found.entry, 0, found.entry.record.length)) {
    chunks.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  return Buffer.concat(chunks);
}

async function settle(held: TestStore): Promise<void> {
  held.clock.advance(120_000);
  for (let i = 0; i < 50; i++) await processGarbage(held.store, { graceMs: 60_000, rowsMax: 500 });
  const lines: string[] = [];
  assert.equal((await fsck(held.store, (line) => lines.push(line))).damage, 0, lines.join('\n'));
}

for (const seed of [1, 2]) {
  test(`random appends, snapshots and copies, seed ${seed}`, async () => {
    await using held = await TestStore.open(4 * 1024 * 1024);
    const random = seededRandom(seed);
    const models = new Map<string, Buffer>();
    const snapshots: { name: string; at: EntryTime; bytes: Buffer }[] = [];
    for (const name of ['a', 'b']) {
      await create(held, name);
      models.set(name, Buffer.alloc(0));
    }
    for (let step = 0; step < 300; step++) {
      const name = ['a', 'b'][random.below(2)] as string;
      const bytes = models.get(name) as Buffer;
      const choice = random.below(40);
      if (choice < 30) {
        const more = random.bytes(1 + random.below(choice === 0 ? 200_000 : 900));
        const outcome = await append(held, name, more);
        assert.ok(outcome.kind === 'ok' && outcome.offset === bytes.length);
        models.set(name, Buffer.concat([bytes, more]));
      } else if (choice < 35) {
        const from = ['a', 'b'][random.below(2)] as string;
        const source = models.get(from) as Buffer;
        if (source.length < 2) continue;
        const sourceOffset = random.below(source.length - 1);
        const length = 1 + random.below(Math.min(5000, source.length - sourceOffset));
        const range = { source: { ...place, name: from }, sourceOffset, length, append: {} };
        assert.equal((await appendRange(held.store, { ...place, name, ...range })).kind, 'ok');
        models.set(name, Buffer.concat([bytes, source.subarray(sourceOffset, sourceOffset + length)]));
      } else if (choice < 38) {
        const outcome = await snapshotEntry(held.store, { ...place, name });
        assert.ok(outcome.kind === 'ok');
        const time = outcome.entry.record.past?.time as string;
        snapshots.push({ name, at: { kind: 'snapshot', time }, bytes });
      } else if (choice === 38) {
        const from = name === 'a' ? 'b' : 'a';
        const command = {
          ...place,
          name,
          source: { ...place, name: from },
          attributes: () => ({ headers: {}, metadata: {} }),
        };
        assert.equal((await copyEntry(held.store, command)).kind, 'ok');
        models.set(name, models.get(from) as Buffer);
      } else if (snapshots.length > 1) {
        const [gone] = snapshots.splice(random.below(snapshots.length), 1);
        assert.ok(gone);
        assert.equal((await deleteEntry(held.store, { ...place, name: gone.name, at: gone.at })).kind, 'ok');
      }
      held.clock.advance(1);
      if (step % 50 !== 49) continue;
      await settle(held);
      for (const [of, expected] of models) assert.ok((await read(held, of)).equals(expected));
      for (const { name: of, at, bytes: then } of snapshots) assert.ok((await read(held, of, at)).equals(then));
    }
    for (const { name, at } of snapshots) await deleteEntry(held.store, { ...place, name, at });
    for (const name of ['a', 'b']) assert.equal((await deleteEntry(held.store, { ...place, name })).kind, 'ok');
    await settle(held);
    assert.equal((await fsck(held.store, () => undefined)).orphans.extents, 0);
    const left = await held.store.engine.snapshot((view) => view.scan(keys.allExtentOwners(), { limit: 10 }));
    assert.equal(left.length, 0, 'owners are counted of what is gone');
  });
}

for (const before of [0, 40]) {
  test(`32 clients append at once to a blob of ${before} blocks that has a snapshot`, async () => {
    await using held = await TestStore.open(4 * 1024 * 1024);
    await create(held, 'a');
    for (let i = 0; i < before; i++) assert.equal((await append(held, 'a', Buffer.from('....'))).kind, 'ok');
    const taken = await snapshotEntry(held.store, { ...place, name: 'a' });
    assert.ok(taken.kind === 'ok');
    const blocks = Array.from({ length: 32 }, (_, i) => Buffer.from(`<${String(i).padStart(2, '0')}>`));
    const outcomes = await Promise.all(blocks.map((block) => append(held, 'a', block)));
    const bytes = await read(held, 'a');
    assert.equal(bytes.length, 4 * (before + 32));
    for (const [i, outcome] of outcomes.entries()) {
      assert.ok(outcome.kind === 'ok', outcome.kind);
      assert.ok(bytes.subarray(outcome.offset, outcome.offset + 4).equals(blocks[i] as Buffer));
    }
    const at = { kind: 'snapshot', time: taken.entry.record.past?.time as string } as const;
    assert.equal((await read(held, 'a', at)).length, 4 * before);
    await settle(held);
  });
}

test('conditions on the place and on the length, and a seal, are kept', async () => {
  await using held = await TestStore.open();
  await create(held, 'a');
  assert.equal((await append(held, 'a', Buffer.from('12345'), { position: 0, lengthMax: 5 })).kind, 'ok');
  assert.equal((await append(held, 'a', Buffer.from('6'), { position: 0 })).kind, 'append-position');
  assert.equal((await append(held, 'a', Buffer.from('6'), { lengthMax: 5 })).kind, 'append-too-large');
  await held.put('block', held.bytes(20));
  assert.equal((await append(held, 'block', Buffer.from('6'))).kind, 'blob-type');
  const seal = (name: string, append: AppendConditions) => sealEntry(held.store, { ...place, name, append });
  assert.equal((await seal('block', {})).kind, 'blob-type');
  assert.equal((await seal('a', { position: 4 })).kind, 'append-position');
  assert.equal((await seal('a', { position: 5 })).kind, 'ok');
  assert.equal((await seal('a', {})).kind, 'ok');
  assert.equal((await append(held, 'a', Buffer.from('6'))).kind, 'sealed');
  assert.equal((await read(held, 'a')).toString(), '12345');
  await settle(held);
});

test('a server that stops while it copies a shared content leaves nothing behind that stays', async () => {
  await using held = await TestStore.open(4 * 1024 * 1024);
  await create(held, 'a');
  for (let i = 0; i < 600; i++) assert.equal((await append(held, 'a', Buffer.from('....'))).kind, 'ok');
  const { engine } = held.store;
  const contents = async (): Promise<number> => {
    const rows = await engine.snapshot((view) => view.scan(keys.allPieces(), { limit: 10_000 }));
    return new Set(rows.map(({ key }) => keys.idOf(key).toString('hex'))).size;
  };
  let stopsSeen = 0;
  for (let stopAt = 1; stopAt < 9; stopAt++) {
    assert.equal((await snapshotEntry(held.store, { ...place, name: 'a' })).kind, 'ok');
    const length = (await read(held, 'a')).length;
    let transactions = 0;
    const stopping = {
      ...held.store,
      engine: {
        get: engine.get.bind(engine),
        snapshot: engine.snapshot.bind(engine),
        transact: <T>(work: Parameters<typeof engine.transact<T>>[0]): Promise<T> => {
          if (++transactions === stopAt) throw new Error('stopped');
          return engine.transact(work);
        },
        [Symbol.asyncDispose]: async () => undefined,
      },
    };
    const body = bodyOf(Buffer.from('more'));
    const appended = await appendBlock(stopping, { ...place, name: 'a', append: {}, body }).catch(() => undefined);
    if (appended === undefined) stopsSeen++;
    // Whether the last transaction was done or not: all of it, or nothing.
    const after = await read(held, 'a');
    assert.ok(after.length === length || after.length === length + 4);
    await settle(held);
    assert.equal((await deleteEntry(held.store, { ...place, name: 'a', snapshots: 'only' })).kind, 'ok');
    held.clock.advance(2 * 3_600_000);
    await settle(held);
    assert.equal(await contents(), 1, 'rows of a copy that nobody has are still there');
  }
  assert.ok(stopsSeen > 3, `it was stopped ${stopsSeen} times`);
});
