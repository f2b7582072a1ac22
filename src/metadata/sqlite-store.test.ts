// The SQLite files as a whole: what was committed is there after a checkpoint and a reopening, and damage is refused.
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { DamageError } from './engine.ts';
import { OptimisticEngine } from './optimistic-engine.ts';
import { SqliteStore } from './sqlite-store.ts';

const cacheBytes = 1024 * 1024;
const rows = 2000;
const directory = mkdtempSync(join(tmpdir(), 'causeway-store-'));
after(() => rmSync(directory, { recursive: true }));

function open(path: string): { store: SqliteStore; engine: OptimisticEngine } {
  const onBroken = (error: Error): never => {
    throw error;
  };
  const store = new SqliteStore({ path, cacheBytes, queueBytesMax: 1 << 28, checkpointBytes: 256 * 1024, onBroken });
  return { store, engine: new OptimisticEngine({ path, committer: store.committer, cacheBytes, readersMax: 4 }) };
}

const key = (row: number): Buffer => Buffer.from(`row ${row}`);
const value = (row: number): Buffer => Buffer.alloc(300, row & 0xff);

async function fill(path: string): Promise<void> {
  const { store, engine } = open(path);
  // Many small groups, so that the log passes its limit and is taken into the main file several times.
  for (let from = 0; from < rows; from += 100) {
    await engine.transact((txn) => {
      for (let row = from; row < from + 100; row++) txn.put(key(row), value(row));
    });
  }
  await engine[Symbol.asyncDispose]();
  store.close();
}

const sound = join(directory, 'sound.db');
await fill(sound);

function copyOf(name: string): string {
  const path = join(directory, name);
  for (const suffix of ['', '.sums']) copyFileSync(`${sound}${suffix}`, `${path}${suffix}`);
  return path;
}

describe('a store', () => {
  test('has everything after checkpoints and a reopening', async () => {
    const { store, engine } = open(copyOf('reopened.db'));
    for (let row = 0; row < rows; row += 7) {
      assert.deepEqual(Buffer.from((await engine.snapshot((view) => view.get(key(row))))!), value(row));
    }
    await engine[Symbol.asyncDispose]();
    store.close();
  });

  const damages: [string, (path: string) => void][] = [
    ['a flipped bit', (path) => flip(path, statSync(path).size >> 1)],
    ['a flipped bit in its first page', (path) => flip(path, 30)],
    ['a zeroed page', (path) => zero(path, 4096 * 5, 4096)],
    ['a file of zeros', (path) => zero(path, 0, statSync(path).size)],
    ['a file that was cut', (path) => truncateSync(path, statSync(path).size - 4096)],
    ['an empty file', (path) => truncateSync(path, 0)],
    ['damaged checksums', (path) => flip(`${path}.sums`, 40)],
    ['missing checksums', (path) => rmSync(`${path}.sums`)],
  ];
  for (const [what, damage] of damages) {
    test(`refuses ${what}`, () => {
      const path = copyOf(`${what.replaceAll(' ', '-')}.db`);
      damage(path);
      assert.throws(
        () => open(path),
        (error) => error instanceof DamageError && error.message.includes('metadata'),
      );
    });
  }
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] as number) ^ 4;
  writeFileSync(path, bytes);
}

function zero(path: string, from: number, length: number): void {
  writeFileSync(path, readFileSync(path).fill(0, from, from + length));
}
