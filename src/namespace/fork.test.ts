// Rows that others own too are copied before they are changed: whatever happens meanwhile, nothing is lost or left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyOf, checkBooks, create, mebibyte, place, put, read, snapshot } from './pages.testing.ts';
import { putPages } from './pages.ts';
import { TestStore } from './store.testing.ts';
import type { Store } from './store.ts';

/** A blob of 200 regions, with a snapshot that owns their rows as well. */
async function fillShared(held: TestStore): Promise<void> {
  await create(held, 'shared', 200 * mebibyte);
  for (let region = 0; region < 200; region++) {
    assert.equal(await put(held, 'shared', region * mebibyte, Buffer.alloc(512, region)), 'ok');
  }
  await snapshot(held, 'shared');
}

/** The store as another process has it, which says so before each transaction. */
function watching(held: TestStore, onTransact: () => void): Store {
  const store = held.another();
  const { engine } = store;
  const transact = ((...given: Parameters<typeof engine.transact>) => {
    onTransact();
    return engine.transact(...given);
  }) as typeof engine.transact;
  return { ...store, engine: Object.assign(Object.create(engine) as typeof engine, { transact }) };
}

test('a copy of rows for a change that nobody waits for any more ends, and changes nothing', async () => {
  await using held = await TestStore.open();
  await fillShared(held);
  const leaving = new AbortController();
  let commits = 0;
  let heldOnce = 0;
  const store = watching(held, () => {
    if (++commits === 5) leaving.abort();
  });
  const command = {
    ...place,
    name: 'shared',
    offset: 0,
    length: 512,
    sequence: {},
    body: bodyOf(Buffer.alloc(512, 1)),
  };
  const given = await putPages(store, {
    ...command,
    held: (work) => {
      heldOnce++;
      return work(leaving.signal);
    },
  });
  assert.deepEqual([given.kind, heldOnce], ['given-up', 1]);
  assert.ok(commits < 12, `${commits} transactions`);
  assert.deepEqual(await read(held, 'shared', undefined, 0, 512), Buffer.alloc(512, 0));
  await checkBooks(held);
  assert.equal(await put(held, 'shared', 0, Buffer.alloc(512, 1)), 'ok');
  assert.deepEqual(await read(held, 'shared', undefined, 0, 512), Buffer.alloc(512, 1));
  await checkBooks(held);
});

test('a copy of rows goes on where it was left, whoever leaves: in the end the change is made', async () => {
  await using held = await TestStore.open();
  await fillShared(held);
  let left = 0;
  let leaving = new AbortController();
  const store = watching(held, () => {
    if (--left === 0) leaving.abort();
  });
  const kinds: string[] = [];
  for (let attempt = 0; attempt < 20 && kinds.at(-1) !== 'ok'; attempt++) {
    leaving = new AbortController();
    // Far fewer than the copy takes.
    left = 6;
    const command = { ...place, name: 'shared', offset: 0, length: 512, sequence: {} };
    const body = bodyOf(Buffer.alloc(512, 1));
    const outcome = await putPages(store, { ...command, body, held: (work) => work(leaving.signal) });
    kinds.push(outcome.kind);
  }
  assert.ok(kinds.length > 3 && kinds.at(-1) === 'ok', kinds.join(' '));
  for (const region of [1, 77, 199]) {
    const start = region * mebibyte;
    assert.deepEqual(await read(held, 'shared', undefined, start, start + 512), Buffer.alloc(512, region));
  }
  assert.deepEqual(await read(held, 'shared', undefined, 0, 512), Buffer.alloc(512, 1));
  await checkBooks(held);
});
