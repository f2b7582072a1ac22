// The SQLite file of the metadata: its form, and the prepared reads of one connection.
import { closeSync, openSync, readSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { DamageError, type Item, type Key, type Range, type ScanOptions, type Value, type View } from './engine.ts';
import { isSteady } from './keys.ts';

/*
  kv     every record: `v` is the value followed by the CRC-32 of key and value
  state  one row: the number of the last commit, of the last one that wrote a steady key, and the version of this form
  identity  one row: which store it is, as other parts of it say too
*/
const schema = `
  CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, form INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO state (id, seq, form) VALUES (1, 0, 1);
  CREATE TABLE IF NOT EXISTS identity (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL) STRICT;
`;
/** Not in files of an earlier time, where it is added: nobody remembers steady keys yet. */
const steadyColumn = 'ALTER TABLE state ADD COLUMN steady INTEGER NOT NULL DEFAULT 0';
const formVersion = 1;
/** Small enough that a commit writes little, large enough that records of a few hundred bytes pack well. */
export const pageBytes = 4096;
const sumBytes = 4;

/** The record as it is stored: the value with its checksum. */
export function seal(key: Key, value: Value): Buffer {
  const record = Buffer.allocUnsafe(value.length + sumBytes);
  record.set(value);
  record.writeUInt32BE(crc32(value, crc32(key)), value.length);
  return record;
}

/** The value of a stored record; throws `DamageError` where it is not what was written under this key. */
export function unseal(key: Key, record: Uint8Array): Value {
  const end = record.length - sumBytes;
  const value = record.subarray(0, end);
  const sum =
    (((record[end] as number) << 24) |
      ((record[end + 1] as number) << 16) |
      ((record[end + 2] as number) << 8) |
      (record[end + 3] as number)) >>>
    0;
  if (end < 0 || crc32(value, crc32(key)) !== sum) {
    throw new DamageError(`the metadata record under ${Buffer.from(key).toString('hex')} fails its checksum`);
  }
  return value;
}

/** Opens for writing, making the file where it is missing. One process at a time does this. */
export function openWriter(path: string, cacheBytes: number): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    db.exec(`PRAGMA page_size = ${pageBytes}`);
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = FULL');
    // The committer checkpoints by itself, after noting the checksums of the pages that go to the main file.
    db.exec('PRAGMA wal_autocheckpoint = 0');
    db.exec(`PRAGMA cache_size = ${-Math.ceil(cacheBytes / 1024)}`);
    db.exec('PRAGMA cell_size_check = ON');
    db.exec(schema);
    const state = db.prepare('SELECT * FROM state WHERE id = 1').get() as { form: number } | undefined;
    if (state?.form !== formVersion) throw new DamageError(`metadata of an unknown form (${state?.form})`);
    if (!('steady' in state)) db.exec(steadyColumn);
    return db;
  } catch (error) {
    closeAsItIs(path, db);
    throw damageOf(error);
  }
}

/**
 * Closes a writing connection and leaves the log to the next start. The last connection of a file takes its log up when it
 * is closed, and the pages that come to the main file by that would have no sums: so a reading one, which cannot, is last.
 */
export function closeAsItIs(path: string, db: DatabaseSync): void {
  let reader: DatabaseSync | undefined;
  try {
    reader = new DatabaseSync(path, { readOnly: true });
    reader.prepare('SELECT seq FROM state').get();
  } catch {
    // Of a file that is none of ours there is no log to leave.
  }
  db.close();
  reader?.close();
}

const busyMs = 10_000;
const busyStepMs = 50;
const busyCode = 5;

/**
 * Makes sure that no other process has the file open, whatever has become of the lock file beside it: every connection
 * holds a shared lock of the file itself until it is closed. Waits a while for processes that are just ending, then throws
 * an error with the code `EBUSY`. Afterwards readers of other processes may come.
 */
export function keepOthersOut(db: DatabaseSync): void {
  const untilMs = performance.now() + busyMs;
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  for (;;) {
    try {
      db.exec('BEGIN IMMEDIATE');
      break;
    } catch (error) {
      if (((error as { errcode?: number }).errcode ?? 0) % 256 !== busyCode) throw error;
      if (performance.now() > untilMs) {
        db.exec('PRAGMA locking_mode = NORMAL');
        throw Object.assign(new Error('another process has the metadata open', { cause: error }), { code: 'EBUSY' });
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, busyStepMs);
    }
  }
  db.exec('COMMIT');
  db.exec('PRAGMA locking_mode = NORMAL');
  // The lock becomes a shared one at the end of the next transaction.
  db.exec('BEGIN IMMEDIATE');
  db.exec('COMMIT');
}

/** SQLite's own findings are damage too. */
export function damageOf(error: unknown): unknown {
  const code = (error as { errcode?: number } | undefined)?.errcode;
  // SQLITE_CORRUPT and SQLITE_NOTADB, with their extended codes.
  if (code !== undefined && ((code & 0xff) === 11 || (code & 0xff) === 26)) {
    return new DamageError(`the metadata file is damaged: ${(error as Error).message}`, { cause: error });
  }
  // SQLITE_FULL, and an I/O error for want of space, as any other disk reports it.
  if (code !== undefined && (code & 0xff) === 13) {
    return Object.assign(new Error('the disk of the metadata is full', { cause: error }), { code: 'ENOSPC' });
  }
  return error;
}

const indexHeaderBytes = 48;

type Row = [Uint8Array, Uint8Array];

/** What was got lately: every request asks for the same few records of accounts and containers. */
const keptPlaces = 256;
const keptKeyBytesMax = 256;
const keptValueBytesMax = 8 * 1024;

function keptPlace(key: Key): number {
  const end = key.length - 1;
  let sum = end;
  for (let at = end > 4 ? end - 4 : 0; at <= end; at++) sum = sum * 31 + (key[at] as number);
  return sum % keptPlaces;
}

interface Kept {
  /** For how long it stands: `#picture`, or of a steady key `#steady`. */
  readonly stamp: number;
  readonly key: Key;
  readonly value: Value | undefined;
}

/** One reading connection: its transaction is one picture of the store. */
export class SqliteReader implements View {
  readonly #db: DatabaseSync;
  readonly #remembersSteady: boolean;
  readonly #get: StatementSync;
  readonly #scan: StatementSync;
  readonly #scanBack: StatementSync;
  readonly #seq: StatementSync;
  readonly #begin: StatementSync;
  readonly #end: StatementSync;
  readonly #indexPath: string;
  #index: number | undefined;
  readonly #header = Buffer.alloc(indexHeaderBytes);
  readonly #pictureHeader = Buffer.alloc(indexHeaderBytes);
  #seqRead = 0;
  /** Whether the picture was renewed in this turn. */
  #isNewest = false;
  readonly #ageing = (): void => {
    this.#isNewest = false;
  };
  readonly #afterThisTurn = (): void => process.nextTick(this.#ageing);
  #picture = 0;
  /** The last commit that wrote a steady key, as a number that is none of a picture. */
  #steady = -1;
  readonly #kept: (Kept | undefined)[] = new Array(keptPlaces).fill(undefined);

  /** `remembersSteady`: whoever commits to the file notes it, which nobody did in earlier times. */
  constructor(path: string, cacheBytes: number, remembersSteady: boolean) {
    this.#remembersSteady = remembersSteady;
    this.#indexPath = `${path}-shm`;
    this.#db = new DatabaseSync(path, { readOnly: true });
    this.#db.exec(`PRAGMA cache_size = ${-Math.ceil(cacheBytes / 1024)}`);
    this.#db.exec('PRAGMA query_only = ON');
    this.#db.exec('PRAGMA cell_size_check = ON');
    this.#get = this.#db.prepare('SELECT v FROM kv WHERE k = ?');
    // A limit that is a parameter and nothing else is planned by: SQLite prepares the statement anew for each value.
    this.#scan = this.#db.prepare('SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k LIMIT +?');
    this.#scanBack = this.#db.prepare('SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k DESC LIMIT +?');
    this.#seq = this.#db.prepare(`SELECT seq, ${remembersSteady ? 'steady' : '0'} FROM state WHERE id = 1`);
    this.#begin = this.#db.prepare('BEGIN');
    this.#end = this.#db.prepare('ROLLBACK');
    for (const statement of [this.#get, this.#scan, this.#scanBack, this.#seq]) statement.setReturnArrays(true);
  }

  /**
   * Takes the newest picture. The last one is it, if nothing was committed since: that is told by the header of SQLite's
   * index of the log, which a commit changes when it is durable and before it is acknowledged (sqlite.org/walformat.html,
   * 2.1). Reading these few bytes costs a fifth of ending one picture and beginning another. Once a turn of the event
   * loop is enough: what this process hears of, a request or the outcome of a commit, it hears in another turn. A turn is a
   * callback and what goes on by promises alone after it: a tick that is asked for meanwhile comes at their end.
   */
  begin(): void {
    if (this.#isNewest) return;
    this.#renew();
    this.#isNewest = true;
    queueMicrotask(this.#afterThisTurn);
  }

  #renew(): void {
    this.#index ??= openSync(this.#indexPath, 'r');
    const read = readSync(this.#index, this.#header, 0, indexHeaderBytes, 0);
    if (this.#db.isTransaction) {
      if (read === indexHeaderBytes && this.#header.equals(this.#pictureHeader)) return;
      this.#end.run();
    }
    // Until all of it is read there is none.
    this.#pictureHeader.fill(0);
    this.#begin.run();
    this.#picture++;
    // The first read is what fixes the picture: it is not older than the header, which was read before.
    const [seq, steady] = this.#seq.get() as unknown as [number, number];
    this.#seqRead = seq;
    this.#steady = -1 - steady;
    this.#header.copy(this.#pictureHeader);
  }

  /** Lets the picture go: one that is held keeps the log from beginning again. */
  end(): void {
    this.#isNewest = false;
    if (!this.#db.isTransaction) return;
    try {
      this.#end.run();
    } catch (error) {
      // Of a damaged file SQLite may refuse even this; the read that needs the damaged page is what reports it.
      if (this.#db.isTransaction) throw error;
    }
  }

  /** The number of the last commit in this picture. */
  seq(): number {
    return this.#seqRead;
  }

  get(key: Key): Value | undefined {
    const place = keptPlace(key);
    const kept = this.#kept[place];
    const stamp = this.#remembersSteady && isSteady(key) ? this.#steady : this.#picture;
    if (kept !== undefined && kept.stamp === stamp && Buffer.compare(kept.key, key) === 0) return kept.value;
    const value = this.#read(key);
    if (key.length <= keptKeyBytesMax && (value === undefined || value.length <= keptValueBytesMax)) {
      this.#kept[place] = { stamp, key, value };
    }
    return value;
  }

  #read(key: Key): Value | undefined {
    try {
      const row = this.#get.get(key) as unknown as [Uint8Array] | undefined;
      return row && unseal(key, row[0]);
    } catch (error) {
      throw damageOf(error);
    }
  }

  getMany(keys: readonly Key[]): (Value | undefined)[] {
    return keys.map((key) => this.get(key));
  }

  scan(range: Range, options: ScanOptions): Item[] {
    try {
      const statement = options.reverse === true ? this.#scanBack : this.#scan;
      const rows = statement.all(range.start, range.end, options.limit) as unknown as Row[];
      return rows.map(([key, record]) => ({ key, value: unseal(key, record) }));
    } catch (error) {
      throw damageOf(error);
    }
  }

  close(): void {
    if (this.#index !== undefined) closeSync(this.#index);
    this.#db.close();
  }
}
