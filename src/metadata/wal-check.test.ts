// Logs that SQLite wrote: whole, torn as by a crash, and damaged.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { seededRandom } from '../base/random.ts';
import { contentsOf, copyOf, edit, flipBit, openDatabase, putRandom, TestFolder } from './database.testing.ts';
import { checkWal, frameHeaderBytes, walHeaderBytes, walPath } from './wal-check.ts';

const frameBytes = frameHeaderBytes + 4096;

/** A log of `transactions`, over the stale frames of a longer, older one; with the log's size after each of them. */
function makeLog(folder: TestFolder, seed: number, transactions: number) {
  const random = seededRandom(seed);
  const path = folder.file();
  const database = openDatabase(path);
  for (let n = 0; n < 6; n += 1) putRandom(database, random, 60, 500);
  database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  const ends: number[] = [];
  const images: Buffer[] = [];
  for (let n = 0; n < transactions; n += 1) {
    putRandom(database, random, 1 + random.below(8), 500);
    const wal = checkWal(path);
    assert.ok(wal.kind === 'clean', wal.kind);
    assert.equal(wal.commits, n + 1);
    ends.push(walHeaderBytes + wal.frames * frameBytes);
    images.push(readFileSync(walPath(path)));
  }
  return { path, database, random, ends, images };
}

test('a log that SQLite wrote is clean, whatever the page size, also over stale frames of an older log', () => {
  using folder = new TestFolder();
  for (const pageBytes of [512, 4096, 65536]) {
    const path = folder.file();
    const database = openDatabase(path, pageBytes);
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    assert.equal(statSync(walPath(path)).size, 0);
    assert.deepEqual(
      { ...checkWal(path), pages: 0 },
      { kind: 'clean', frames: 0, commits: 0, pageBytes: 0, databasePages: 0, pages: 0 },
    );
    const random = seededRandom(pageBytes);
    for (let n = 0; n < 5; n += 1) putRandom(database, random, 50);
    const long = checkWal(path);
    assert.ok(long.kind === 'clean' && long.commits === 5 && long.pageBytes === pageBytes);
    assert.equal(statSync(walPath(path)).size, walHeaderBytes + long.frames * (frameHeaderBytes + pageBytes));
    assert.equal(long.databasePages, database.prepare('PRAGMA page_count').get()?.page_count);
    database.exec('PRAGMA wal_checkpoint(PASSIVE)');
    const main = readFileSync(path);
    const log = readFileSync(walPath(path));
    for (const [page, offset] of long.pages) {
      const inMain = main.subarray((page - 1) * pageBytes, page * pageBytes);
      assert.ok(inMain.equals(log.subarray(offset, offset + pageBytes)), `page ${page}`);
    }
    putRandom(database, random, 3);
    const short = checkWal(path);
    assert.ok(short.kind === 'clean' && short.commits === 1 && short.frames < long.frames);
    database.close();
  }
});

test('a log that is missing or empty is clean; one that ends within its header is torn', () => {
  using folder = new TestFolder();
  const path = folder.file();
  assert.equal(checkWal(path).kind, 'clean');
  writeFileSync(walPath(path), '');
  assert.equal(checkWal(path).kind, 'clean');
  writeFileSync(walPath(path), Buffer.alloc(31, 1));
  assert.equal(checkWal(path).kind, 'torn-tail');
  writeFileSync(walPath(path), Buffer.alloc(20_000));
  assert.equal(checkWal(path).kind, 'torn-tail');
});

test('a log cut at any place is not damaged, and has the transactions that SQLite finds', () => {
  using folder = new TestFolder();
  const { path, database, random, ends } = makeLog(folder, 21, 12);
  const copy = folder.file();
  let torn = 0;
  for (let round = 0; round < 60; round += 1) {
    copyOf(path, copy);
    const size = random.below((ends.at(-1) as number) + 1);
    edit(walPath(copy), (bytes) => bytes.subarray(0, size));
    const wal = checkWal(copy);
    assert.ok(wal.kind !== 'damaged', `cut at ${size}`);
    assert.equal(wal.commits, ends.filter((end) => end <= size).length);
    if (wal.kind === 'torn-tail') torn += 1;
  }
  assert.ok(torn > 30);
  database.close();
});

test('a last transaction that reached the disk in part only is never called damaged', () => {
  using folder = new TestFolder();
  const { path, database, random, ends, images } = makeLog(folder, 22, 30);
  const copy = copyOf(path, folder.file());
  const seen = { clean: 0, 'torn-tail': 0 };
  for (let round = 0; round < 1500; round += 1) {
    const last = 1 + random.below(images.length - 1);
    const before = images[last - 1] as Buffer;
    const bytes = Buffer.from(images[last] as Buffer);
    // Each sector of the last transaction is there, or still as it was before it.
    const rarely = 2 + random.below(12);
    for (let at = Math.floor((ends[last - 1] as number) / 512) * 512; at < bytes.length; at += 512) {
      if (random.below(rarely) !== 0) continue;
      bytes.fill(0, at, Math.min(at + 512, bytes.length));
      if (at < before.length) before.copy(bytes, at, at, at + 512);
    }
    writeFileSync(walPath(copy), bytes);
    const wal = checkWal(copy);
    assert.ok(wal.kind !== 'damaged', `round ${round}`);
    assert.ok(wal.commits === last || wal.commits === last + 1);
    seen[wal.kind] += 1;
  }
  assert.ok(seen['torn-tail'] > 300 && seen.clean > 20, JSON.stringify(seen));
  database.close();
});

test('a transaction that spilled into the log and was rolled back is not taken for damage', () => {
  using folder = new TestFolder();
  const path = folder.file();
  const database = openDatabase(path);
  const random = seededRandom(4);
  putRandom(database, random, 400);
  database.exec('PRAGMA cache_size=5; PRAGMA cache_spill=5; BEGIN IMMEDIATE');
  database.exec('UPDATE kv SET v = randomblob(900)');
  database.exec('ROLLBACK');
  const whole = checkWal(path);
  assert.ok(whole.kind === 'torn-tail' && whole.commits === 2, 'frames without a commit behind');
  const old = readFileSync(walPath(path));
  const synced = walHeaderBytes + whole.frames * frameBytes;
  assert.ok(old.length > synced + 20 * frameBytes, 'it did spill');
  putRandom(database, random, 20);
  const now = readFileSync(walPath(path));
  const copy = copyOf(path, folder.file());
  for (let round = 0; round < 300; round += 1) {
    const bytes = Buffer.from(now);
    for (let at = Math.floor(synced / 512) * 512; at < bytes.length; at += 512) {
      if (random.below(6) === 0) old.copy(bytes, at, at, Math.min(at + 512, old.length));
    }
    writeFileSync(walPath(copy), bytes);
    assert.notEqual(checkWal(copy).kind, 'damaged', `round ${round}`);
  }
  database.close();
});

test('of 2,000 single flipped bits, each is found, or lies where it changes nothing', () => {
  using folder = new TestFolder();
  const { path, database, random, images } = makeLog(folder, 23, 8);
  const original = contentsOf(path);
  const copy = copyOf(path, folder.file());
  const image = images.at(-1) as Buffer;
  const found = { damaged: 0, harmless: 0 };
  const used = walHeaderBytes + (checkWal(path) as { frames: number }).frames * frameBytes;
  for (let round = 0; round < 2000; round += 1) {
    // Every tenth in the headers, which are few of the bytes.
    const frame = random.below(Math.floor(image.length / frameBytes));
    const inHeader = walHeaderBytes + frame * frameBytes + random.below(frameHeaderBytes);
    const place = round % 10 === 0 ? inHeader : random.below(image.length);
    const at = round % 20 === 0 ? random.below(walHeaderBytes) : place;
    const bit = random.below(8);
    flipBit(walPath(copy), at, bit);
    const wal = checkWal(copy);
    if (wal.kind === 'damaged') {
      found.damaged += 1;
      assert.ok(at >= wal.offset && at < wal.offset + (wal.frame === 0 ? walHeaderBytes : frameBytes), `byte ${at}`);
    } else {
      found.harmless += 1;
      assert.ok(at >= used, `byte ${at} of ${used} is in use`);
      if (found.harmless % 10 === 0) assert.equal(contentsOf(copy), original);
    }
    flipBit(walPath(copy), at, bit);
  }
  assert.ok(found.damaged > 500 && found.harmless > 100, JSON.stringify(found));
  database.close();
});

test('lost sectors are found by the transactions that stand behind them', () => {
  using folder = new TestFolder();
  const { path, database, random, ends, images } = makeLog(folder, 24, 20);
  const copy = copyOf(path, folder.file());
  const image = images.at(-1) as Buffer;
  for (let round = 0; round < 500; round += 1) {
    const bytes = Buffer.from(image);
    const sectors = 1 + random.below(20);
    const end = (ends.at(-3) as number) - sectors * 512;
    const at = Math.floor(random.below(end) / 512) * 512;
    if (random.below(2) === 0) bytes.fill(0, at, at + sectors * 512);
    else random.bytes(sectors * 512).copy(bytes, at);
    // A part of a page that holds nothing may be zeros already.
    if (bytes.equals(image)) continue;
    writeFileSync(walPath(copy), bytes);
    const wal = checkWal(copy);
    assert.equal(wal.kind, 'damaged', `${sectors} sectors at ${at}`);
  }
  database.close();
});

test('a commit frame that lost its page is found by one transaction behind it', () => {
  using folder = new TestFolder();
  const { path, database, random, ends } = makeLog(folder, 26, 12);
  const image = readFileSync(walPath(path));
  const copy = copyOf(path, folder.file());
  // Its header says that it ended a transaction, and it is believed where a sector holds the header's first part whole.
  let believed = 0;
  for (const end of ends.slice(0, -1)) {
    const bytes = Buffer.from(image);
    random.bytes(1024).copy(bytes, end - 2048);
    writeFileSync(walPath(copy), bytes);
    if (((end - frameBytes) % 512) + 16 > 512) continue;
    believed += 1;
    assert.deepEqual(checkWal(copy), {
      kind: 'damaged',
      frame: (end - walHeaderBytes) / frameBytes,
      offset: end - frameBytes,
    });
  }
  assert.ok(believed > 5);
  database.close();
});

test('a torn header whose first half is of an older commit frame does not look like a commit', () => {
  using folder = new TestFolder();
  const path = folder.file();
  const database = openDatabase(path);
  const random = seededRandom(27);
  for (let n = 0; n < 60; n += 1) putRandom(database, random, 1, 30);
  database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  const older = readFileSync(walPath(path));
  putRandom(database, random, 1500, 3000);
  const wal = checkWal(path);
  // The header of this frame lies across two sectors, cut between the size of the database and the salt.
  const at = walHeaderBytes + 41 * frameBytes;
  assert.equal(at % 512, 504);
  assert.ok(wal.kind === 'clean' && wal.commits === 1 && wal.frames > 43);
  assert.ok(older.readUInt32BE(at + 4) > 0, 'the older frame was a commit');
  edit(walPath(path), (bytes) => {
    older.copy(bytes, at, at, at + 8);
    return bytes;
  });
  const torn = checkWal(path);
  assert.ok(torn.kind === 'torn-tail' && torn.commits === 0, torn.kind);
  database.close();
});

test('a log of the other byte order is read as SQLite reads it', () => {
  using folder = new TestFolder();
  const { path, database } = makeLog(folder, 25, 4);
  const original = contentsOf(path);
  const wanted = checkWal(path);
  const copy = copyOf(path, folder.file());
  edit(walPath(copy), (bytes) => {
    let [a, b] = [0, 0];
    const sum = (from: number, to: number) => {
      for (let at = from; at < to; at += 8) {
        a = (a + bytes.readUInt32BE(at) + b) >>> 0;
        b = (b + bytes.readUInt32BE(at + 4) + a) >>> 0;
      }
    };
    const store = (at: number) => {
      bytes.writeUInt32BE(a, at);
      bytes.writeUInt32BE(b, at + 4);
    };
    bytes.writeUInt32BE(0x377f0683, 0);
    sum(0, 24);
    store(24);
    for (let at = walHeaderBytes; at < bytes.length; at += frameBytes) {
      if (!bytes.subarray(at + 8, at + 16).equals(bytes.subarray(16, 24))) break;
      sum(at, at + 8);
      sum(at + frameHeaderBytes, at + frameBytes);
      store(at + 16);
    }
    return bytes;
  });
  assert.equal(contentsOf(copy), original, 'SQLite takes it');
  assert.deepEqual(checkWal(copy), wanted);
  flipBit(walPath(copy), walHeaderBytes + frameBytes + 1000, 2);
  assert.deepEqual(checkWal(copy), { kind: 'damaged', frame: 2, offset: walHeaderBytes + frameBytes });
  rmSync(copy);
  database.close();
});
