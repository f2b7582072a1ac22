// Databases whose pages are changed behind SQLite's back.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type Random, seededRandom } from '../base/random.ts';
import { contentsOf, copyOf, flipBit, openDatabase, putRandom, TestFolder } from './database.testing.ts';
import { PageSums, readSums, sumsOfDatabase, sumsPath, verifyDatabase, writeSums } from './page-sums.ts';
import { checkWal } from './wal-check.ts';

function checkpoint(database: DatabaseSync, sums: PageSums, path: string, mode = 'PASSIVE'): void {
  const wal = sums.applyWal(path);
  assert.equal(wal.kind, 'clean');
  const result = database.prepare(`PRAGMA wal_checkpoint(${mode})`).get();
  assert.equal(result?.busy, 0);
}

/** Checks as at a start: the sums from disk, the pages of the log exempt. */
function verify(path: string) {
  const wal = checkWal(path);
  assert.ok(wal.kind !== 'damaged');
  const stored = readSums(path);
  assert.ok(stored.kind === 'sums', stored.kind);
  return verifyDatabase(path, stored.sums, wal.pages);
}

function makeDatabase(folder: TestFolder, random: Random, rows: number) {
  const path = folder.file();
  const database = openDatabase(path);
  const sums = new PageSums(sumsOfDatabase(path));
  putRandom(database, random, rows, rows * 4);
  checkpoint(database, sums, path);
  return { path, database, sums };
}

test('of 2,000 single flipped bits in the main file, each is found', () => {
  using folder = new TestFolder();
  const random = seededRandom(31);
  const { path, database, sums } = makeDatabase(folder, random, 2500);
  checkpoint(database, sums, path, 'TRUNCATE');
  assert.deepEqual(verify(path), { kind: 'sound' });
  const stored = readSums(path);
  assert.ok(stored.kind === 'sums' && stored.sums.pages.length > 100);
  const image = readFileSync(path);
  assert.equal(image.length, stored.sums.pages.length * 4096);
  const copy = folder.file();
  writeFileSync(copy, image);
  for (let round = 0; round < 2000; round += 1) {
    const at = random.below(image.length);
    const bit = random.below(8);
    flipBit(copy, at, bit);
    assert.deepEqual(verifyDatabase(copy, stored.sums), { kind: 'damaged', page: Math.floor(at / 4096) + 1 });
    flipBit(copy, at, bit);
  }
  assert.deepEqual(verifyDatabase(copy, stored.sums), { kind: 'sound' });
  database.close();
});

test('a main file that is short, zeroed, empty or gone is damaged', () => {
  using folder = new TestFolder();
  const random = seededRandom(32);
  const { path, database, sums } = makeDatabase(folder, random, 500);
  const image = readFileSync(path);
  const damaged = (bytes: Buffer) => {
    writeFileSync(folder.file(), bytes);
    const copy = `${path}.damaged`;
    writeFileSync(copy, bytes);
    return verifyDatabase(copy, sums.sums).kind;
  };
  assert.equal(damaged(image), 'sound');
  assert.equal(damaged(image.subarray(0, image.length - 1)), 'damaged');
  assert.equal(damaged(image.subarray(0, image.length - 4096)), 'damaged');
  assert.equal(damaged(image.subarray(0, 100)), 'damaged');
  assert.equal(damaged(Buffer.alloc(image.length)), 'damaged');
  assert.equal(damaged(Buffer.alloc(0)), 'damaged');
  rmSync(`${path}.damaged`);
  assert.deepEqual(verifyDatabase(`${path}.damaged`, sums.sums), { kind: 'damaged', page: 1 });
  // SQLite would delete the log of an empty file, though all pages are in it.
  truncateSync(`${path}`, 0);
  const everyPage = { has: () => true };
  assert.deepEqual(verifyDatabase(path, sums.sums, everyPage), { kind: 'damaged', page: 1 });
  database.close();
});

test('sums that were changed, cut or are gone are told apart', () => {
  using folder = new TestFolder();
  const path = folder.file();
  assert.deepEqual(readSums(path), { kind: 'absent' });
  const random = seededRandom(33);
  const sums = { pageBytes: 4096, pages: Uint32Array.from({ length: 20 }, () => random.below(2 ** 32)) };
  writeSums(path, sums);
  assert.deepEqual(readSums(path), { kind: 'sums', sums });
  assert.ok(!existsSync(`${sumsPath(path)}.tmp`));
  const image = readFileSync(sumsPath(path));
  for (let at = 0; at < image.length; at += 1) {
    const bytes = Buffer.from(image);
    bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
    writeFileSync(sumsPath(path), bytes);
    assert.deepEqual(readSums(path), { kind: 'damaged' }, `byte ${at}`);
    writeFileSync(sumsPath(path), image.subarray(0, at));
    assert.deepEqual(readSums(path), { kind: 'damaged' }, `cut at ${at}`);
  }
  writeSums(path, { pageBytes: 0, pages: new Uint32Array() });
  assert.deepEqual(readSums(path), { kind: 'sums', sums: { pageBytes: 0, pages: new Uint32Array() } });
});

test('at every moment of a long life with checkpoints, growth and shrinking, the files as they are verify', () => {
  using folder = new TestFolder();
  const random = seededRandom(34);
  const path = folder.file();
  const database = openDatabase(path);
  database.exec('PRAGMA auto_vacuum=INCREMENTAL; VACUUM');
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const sums = new PageSums(sumsOfDatabase(path));
  writeSums(path, sums.sums);
  const sizes = new Set<number>();
  for (let round = 0; round < 60; round += 1) {
    putRandom(database, random, 1 + random.below(80), 3000);
    assert.deepEqual(verify(path), { kind: 'sound' }, `round ${round}`);
    if (random.below(12) === 0) database.exec("DELETE FROM kv WHERE hex(k) LIKE '%1'");
    if (random.below(8) === 0) database.exec('PRAGMA incremental_vacuum(20)');
    if (random.below(3) === 0) {
      assert.notEqual(sums.applyWal(path).kind, 'damaged');
      assert.deepEqual(verify(path), { kind: 'sound' }, 'a crash between the sums and the checkpoint');
      // A crash within the checkpoint: some pages of the log are in the main file.
      const copy = copyOf(path, `${path}.copy`);
      const main = readFileSync(path);
      database.exec(`PRAGMA wal_checkpoint(${['PASSIVE', 'RESTART', 'TRUNCATE'][random.below(3)]})`);
      const after = readFileSync(path);
      const between = Buffer.alloc(Math.max(main.length, after.length));
      for (let at = 0; at < between.length; at += 4096) {
        const from = at >= main.length || (at < after.length && random.below(2) === 0) ? after : main;
        from.copy(between, at, at, at + 4096);
      }
      writeFileSync(copy, between);
      const stored = readSums(path);
      const wal = checkWal(copy);
      assert.ok(stored.kind === 'sums' && wal.kind !== 'damaged');
      assert.deepEqual(
        verifyDatabase(copy, stored.sums, wal.pages),
        { kind: 'sound' },
        'a crash within the checkpoint',
      );
      assert.equal(contentsOf(copy), contentsOf(path));
      sizes.add(after.length);
      assert.deepEqual(verify(path), { kind: 'sound' }, 'after the checkpoint');
    }
  }
  assert.ok(sizes.size > 5);
  database.close();
});

test('a flipped bit is found too when the log holds other pages', () => {
  using folder = new TestFolder();
  const random = seededRandom(35);
  const { path, database } = makeDatabase(folder, random, 1000);
  putRandom(database, random, 3);
  const wal = checkWal(path);
  assert.ok(wal.kind === 'clean' && wal.pages.size > 0);
  const stored = readSums(path);
  assert.ok(stored.kind === 'sums');
  const original = contentsOf(path);
  const copy = copyOf(path, `${path}.copy`);
  const found = { damaged: 0, sound: 0 };
  const inLog = [...wal.pages.keys()];
  for (let round = 0; round < 60; round += 1) {
    const page: number =
      round % 2 === 0 ? 1 + random.below(stored.sums.pages.length) : (inLog[random.below(inLog.length)] as number);
    const at = (page - 1) * 4096 + 100 + random.below(3996);
    flipBit(copy, at, 0);
    const outcome = verifyDatabase(copy, stored.sums, wal.pages);
    assert.equal(outcome.kind, wal.pages.has(page) ? 'sound' : 'damaged');
    if (outcome.kind === 'sound') assert.equal(contentsOf(copy), original, 'SQLite reads the page of the log');
    found[outcome.kind] += 1;
    flipBit(copy, at, 0);
  }
  assert.ok(found.damaged > 10 && found.sound > 10, JSON.stringify(found));
  database.close();
});

test('a damaged log is not taken up', () => {
  using folder = new TestFolder();
  const random = seededRandom(36);
  const { path, database, sums } = makeDatabase(folder, random, 300);
  putRandom(database, random, 10);
  const copy = copyOf(path, `${path}.copy`);
  flipBit(`${copy}-wal`, 2000, 0);
  const before = sums.sums;
  assert.equal(sums.applyWal(copy).kind, 'damaged');
  assert.equal(sums.sums, before);
  assert.deepEqual(readSums(copy), { kind: 'absent' });
  database.close();
});
