// Real SQLite databases in a folder of their own, and copies of them to damage.
import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Random } from '../base/random.ts';
import { walPath } from './wal-check.ts';

export class TestFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'causeway-metadata-'));
  #made = 0;

  file(): string {
    this.#made += 1;
    return join(this.path, `meta-${this.#made}.db`);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A database whose log is checkpointed when the test says so, and never else. */
export function openDatabase(path: string, pageBytes = 4096): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA page_size=${pageBytes}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
    PRAGMA wal_autocheckpoint=0; CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID`);
  return database;
}

/** One transaction of `count` puts over a thousand keys. */
export function putRandom(database: DatabaseSync, random: Random, count: number, keys = 1000): void {
  database.exec('BEGIN IMMEDIATE');
  const put = database.prepare('INSERT OR REPLACE INTO kv VALUES (?, ?)');
  for (let n = 0; n < count; n += 1) put.run(Buffer.from(`key ${random.below(keys)}`), random.bytes(random.below(300)));
  database.exec('COMMIT');
}

/** The files as a crash at this moment would leave them. */
export function copyOf(from: string, to: string): string {
  cpSync(from, to);
  rmSync(`${to}-shm`, { force: true });
  if (existsSync(walPath(from))) cpSync(walPath(from), walPath(to));
  return to;
}

/** Everything that SQLite reads, opening the files as after a crash; opens a copy, because opening changes them. */
export function contentsOf(path: string): string {
  const copy = copyOf(path, `${path}.look`);
  const database = new DatabaseSync(copy);
  try {
    const rows = database.prepare('SELECT hex(k) AS k, hex(v) AS v FROM kv ORDER BY k').all();
    return rows.map((row) => `${row.k}=${row.v}`).join('\n');
  } finally {
    database.close();
    for (const end of ['', '-wal', '-shm']) rmSync(`${copy}${end}`, { force: true });
  }
}

export function edit(path: string, change: (bytes: Buffer) => Buffer): void {
  writeFileSync(path, change(readFileSync(path)));
}

/** In place, so that thousands of flips take no time. */
export function flipBit(path: string, at: number, bit: number): void {
  const file = openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, at);
    writeSync(file, Buffer.of((byte[0] as number) ^ (1 << bit)), 0, 1, at);
  } finally {
    closeSync(file);
  }
}
