// What the ledger lets a blob be, before, during and after an operation.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BlobState, Ledger } from './ledger.ts';

const one: BlobState = { content: 1, bytes: 1, tag: 'a' };
const two: BlobState = { content: 2, bytes: 1, tag: 'b' };

test('an operation that was not acknowledged leaves both states, an acknowledged one only its own', () => {
  let now = 10;
  const ledger = new Ledger(() => now);
  const first = ledger.sending('x', one);
  now = 20;
  first();
  now = 30;
  ledger.sending('x', two);
  now = 40;
  assert.deepEqual(ledger.allowedAt('x', 10), ['absent']);
  assert.deepEqual(ledger.allowedAt('x', 15), ['absent', one]);
  assert.deepEqual(ledger.allowedAt('x', 20), [one]);
  assert.deepEqual(ledger.allowedAt('x', 30), [one]);
  assert.deepEqual(ledger.allowedNow('x'), [one, two]);
  assert.throws(() => ledger.current('x'), /in doubt/);
  ledger.settle('x', two);
  assert.deepEqual(ledger.current('x'), two);
  ledger.sending('x', 'absent')();
  assert.deepEqual(ledger.allowedNow('x'), ['absent']);
});

test('a block is owed from its acknowledgement until its blob is being committed', () => {
  let now = 10;
  const ledger = new Ledger(() => now);
  ledger.staged('x', 'one');
  now = 20;
  ledger.committing('x');
  assert.deepEqual(ledger.stagedAt('x', 9), []);
  assert.deepEqual(ledger.stagedAt('x', 15), ['one']);
  assert.deepEqual(ledger.stagedAt('x', 21), []);
});
