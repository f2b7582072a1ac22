// Records of the journal, and the names by which others know them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { MemoryEngine } from '../metadata/memory-engine.ts';
import { appendJournal, readJournal } from './journal.ts';
import type { Store } from './store.ts';

test('who asked for a change is told its records, and finds them by that', async () => {
  const engine = new MemoryEngine();
  const store = { engine, clock: systemClock } as unknown as Store;
  const ids: string[] = [];
  const noted = (id: string) => ids.push(id);
  const cause = { by: 'PutBlob', requestId: 'r', noted };
  for (const name of ['a', 'b']) {
    await engine.transact((txn) => {
      appendJournal(store, txn, { operation: 'entry-written', account: 'acc', name, ...cause });
      appendJournal(store, txn, { operation: 'entry-changed', account: 'acc', name });
    });
  }
  assert.equal(ids.length, 2);
  assert.deepEqual(ids, ids.toSorted());
  const found = await engine.snapshot((view) => Promise.all(ids.map((id) => readJournal(view, id))));
  assert.deepEqual(
    found.map((record) => [record?.operation, record?.name, record?.requestId, record && 'noted' in record]),
    [
      ['entry-written', 'a', 'r', false],
      ['entry-written', 'b', 'r', false],
    ],
  );
  assert.equal(await engine.snapshot((view) => readJournal(view, 'ff')), undefined);
});
