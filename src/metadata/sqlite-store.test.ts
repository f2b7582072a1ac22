// The SQLite files as a whole: what was committed is there after a checkpoint and a reopening, and damage is refused.
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, test } from 'node:test';
import { DamageError } from './engine.ts';
import { OptimisticEngine } from './optimistic-engine.ts';
import { sumsOfDatabase, writeSums } from './page-sums.ts';
import { pageBytes } from './sqlite-file.ts';
import { SqliteStore } from './sqlite-store.ts';
import { checkWal, frameHeaderBytes, walHeaderBytes, walPath } from './wal-check.ts';

const cacheBytes = 1024 * 1024;
const rows = 2000;
const directory = mkdtempSync(join(tmpdir(), 'causeway-store-'));
after(() => rmSync(directory, { recursive: true }));

function openStore(path: string, onBroken: (error: Error) => void): SqliteStore {
  return new SqliteStore({ path, cacheBytes, queueBytesMax: 1 << 28, checkpointBytes: 256 * 1024, onBroken });
}

function open(path: string): { store: SqliteStore; engine: OptimisticEngine } {
  const store = openStore(path, (error) => {
    throw error;
  });
  return { store, engine: new OptimisticEngine({ path, committer: store.committer, cacheBytes, readersMax: 4 }) };
}

const key = (row: number): Buffer => Buffer.from(`row ${row}`);
const value = (row: number): Buffer => Buffer.alloc(300, row & 0xff);

async function fill(path: string, rows: number): Promise<void> {
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
const older = join(directory, 'older.db');
await fill(older, 100);
for (const end of ['', '.sums', '.mark']) copyFileSync(`${older}${end}`, `${sound}${end}`);
await fill(sound, rows);
const other = join(directory, 'other.db');
await fill(other, 2 * rows);

function copyOf(name: string): string {
  const path = join(directory, name);
  for (const suffix of ['', '.sums', '.mark']) copyFileSync(`${sound}${suffix}`, `${path}${suffix}`);
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
    ['a damaged mark', (path) => flip(`${path}.mark`, 20)],
    ['a missing mark', (path) => rmSync(`${path}.mark`)],
    ['the mark of another store', (path) => copyFileSync(`${other}.mark`, `${path}.mark`)],
    ['another store under its mark', (path) => swap(other, path, ['', '.sums'])],
    ['an older store under its mark', (path) => swap(older, path, ['', '.sums'])],
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

describe('a store from before there were marks', () => {
  const before = (name: string): string => {
    const path = copyOf(name);
    const db = new DatabaseSync(path);
    db.exec('DROP TABLE identity; PRAGMA wal_checkpoint(TRUNCATE)');
    db.close();
    writeSums(path, sumsOfDatabase(path));
    return path;
  };
  const starts: [string, (path: string) => void][] = [
    ['', (path) => rmSync(`${path}.mark`)],
    // A crash came between the mark and the id.
    [', also where it was about to get one', () => undefined],
  ];
  for (const [index, [when, start]] of starts.entries()) {
    test(`gets one, and loses nothing${when}`, async () => {
      const path = before(`before-${index}.db`);
      start(path);
      const ids = new Set<string>();
      for (let turn = 0; turn < 2; turn++) {
        const { store, engine } = open(path);
        ids.add(store.id);
        assert.ok(await engine.snapshot((view) => view.get(key(rows - 1))));
        await engine[Symbol.asyncDispose]();
        store.close();
      }
      assert.equal(ids.size, 1);
    });
  }
});

/** In the middle of what counts: a log that began again holds frames of before behind that, which nobody misses. */
function cutLog(path: string): void {
  const log = checkWal(path);
  assert.ok(log.kind === 'clean' && log.frames > 1);
  truncateSync(walPath(path), walHeaderBytes + (log.frames >> 1) * (frameHeaderBytes + pageBytes));
}

describe('a store that was killed', () => {
  // Its files as a kill leaves them, with and without commits behind the last checkpoint.
  const killed = async (name: string): Promise<{ path: string; earlierLog: Buffer }> => {
    const path = copyOf(name);
    const { store, engine } = open(path);
    const put = (row: number) => engine.transact((txn) => txn.put(key(row), value(row)));
    await put(rows + 1);
    const earlierLog = readFileSync(`${path}-wal`);
    for (let row = rows + 2; row < rows + 300; row++) await put(row);
    const left = join(directory, `left-${name}`);
    for (const suffix of ['', '.sums', '.mark', '-wal']) copyFileSync(`${path}${suffix}`, `${left}${suffix}`);
    await engine[Symbol.asyncDispose]();
    store.close();
    return { path: left, earlierLog };
  };

  test('has everything', async () => {
    const { path } = await killed('killed.db');
    const { store, engine } = open(path);
    for (let row = rows + 1; row < rows + 300; row++) {
      assert.deepEqual(Buffer.from((await engine.snapshot((view) => view.get(key(row))))!), value(row));
    }
    await engine[Symbol.asyncDispose]();
    store.close();
  });

  const damages: [string, (path: string, earlierLog: Buffer) => void][] = [
    ['no log', (path) => rmSync(`${path}-wal`)],
    ['an empty log', (path) => truncateSync(`${path}-wal`, 0)],
    ['an earlier log', (path, earlierLog) => writeFileSync(`${path}-wal`, earlierLog)],
    ['a log that was cut', cutLog],
    ['no log and no mark', (path) => ['-wal', '.mark'].forEach((end) => void rmSync(`${path}${end}`))],
    ['all of an older store but the mark', (path) => swap(older, path, ['', '.sums'])],
    ['another store', (path) => swap(other, path, ['', '.sums'])],
  ];
  for (const [what, damage] of damages) {
    test(`is refused with ${what}, and again`, async () => {
      const { path, earlierLog } = await killed(`${what.replaceAll(' ', '-')}.db`);
      damage(path, earlierLog);
      for (let turn = 0; turn < 2; turn++) {
        assert.throws(
          () => open(path),
          (error) => error instanceof DamageError && error.message.includes('metadata'),
        );
      }
    });
  }

  test('an index that is gone is made again', async () => {
    const { path } = await killed('index.db');
    writeFileSync(`${path}-shm`, Buffer.alloc(32_768, 7));
    const { store, engine } = open(path);
    assert.ok(await engine.snapshot((view) => view.get(key(rows + 299))));
    await engine[Symbol.asyncDispose]();
    store.close();
  });
});

describe('a store whose files go away while it is open', () => {
  for (const end of ['', '-wal', '-shm']) {
    test(`answers that the outcome is unknown without ${end || 'its file'}, and takes nothing more`, async () => {
      const path = copyOf(`gone${end}.db`);
      let broken: Error | undefined;
      const store = openStore(path, (error) => {
        broken = error;
      });
      const engine = new OptimisticEngine({ path, committer: store.committer, cacheBytes, readersMax: 4 });
      await engine.transact((txn) => txn.put(key(1), value(1)));
      rmSync(`${path}${end}`);
      let runs = 0;
      const write = engine.transact((txn) => {
        runs++;
        txn.put(key(2), value(2));
      });
      await assert.rejects(write, { code: 'OUTCOME_UNKNOWN' });
      assert.equal(runs, 1);
      assert.match(`${broken?.message}`, /was removed or replaced/);
      await assert.rejects(
        engine.transact((txn) => txn.put(key(3), value(3))),
        { code: 'UNAVAILABLE' },
      );
      await engine[Symbol.asyncDispose]();
    });
  }
});

/** The files of another store, as if they were this one's. */
function swap(from: string, to: string, ends: readonly string[]): void {
  rmSync(`${to}-wal`, { force: true });
  for (const end of ends) copyFileSync(`${from}${end}`, `${to}${end}`);
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] as number) ^ 4;
  writeFileSync(path, bytes);
}

function zero(path: string, from: number, length: number): void {
  writeFileSync(path, readFileSync(path).fill(0, from, from + length));
}
