// A checksum for each page of the database file, beside it in `<database>.sums`: SQLite itself would serve a changed page.
//
// The main file changes in checkpoints only, so whoever checkpoints does this, with no commit in between (and with
// SQLite's own checkpoints off: wal_autocheckpoint=0, and none of another connection when it closes):
//   1. `applyWal`: takes up every page that the log holds and makes the new sums durable;
//   2. the checkpoint.
// A page that the log holds may be old or new in the main file after a crash. It is not checked there: SQLite reads it
// from the log, whose frames have checksums of their own (wal-check.ts).
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncDirectory } from '../base/sync-directory.ts';
import { checkWal, readFully, type WalOutcome, walPath } from './wal-check.ts';

export interface Sums {
  readonly pageBytes: number;
  /** Of page n at place n - 1. */
  readonly pages: Uint32Array;
}

export type DatabaseOutcome = { readonly kind: 'sound' } | { readonly kind: 'damaged'; readonly page: number };

const magic = Buffer.from('cw-sums1');
const headerBytes = magic.length + 8;
const stepBytes = 1 << 20;

export function sumsPath(dbPath: string): string {
  return `${dbPath}.sums`;
}

/** The sums are whole on disk when this returns; a crash leaves the old ones or the new ones. */
export function writeSums(dbPath: string, sums: Sums): void {
  const bytes = Buffer.alloc(headerBytes + sums.pages.length * 4 + 4);
  magic.copy(bytes);
  bytes.writeUInt32BE(sums.pageBytes, magic.length);
  bytes.writeUInt32BE(sums.pages.length, magic.length + 4);
  for (const [place, sum] of sums.pages.entries()) bytes.writeUInt32BE(sum, headerBytes + place * 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  const path = sumsPath(dbPath);
  const file = openSync(`${path}.tmp`, 'w');
  try {
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
    fsyncSync(file);
  } catch (error) {
    // Of a disk that is full it takes nothing.
    rmSync(`${path}.tmp`, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.tmp`, path);
  syncDirectory(dirname(path));
}

export function readSums(dbPath: string): { kind: 'sums'; sums: Sums } | { kind: 'absent' } | { kind: 'damaged' } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(sumsPath(dbPath));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { kind: 'absent' };
  }
  if (bytes.length < headerBytes + 4 || bytes.readUInt32BE(bytes.length - 4) !== crc32(bytes.subarray(0, -4))) {
    return { kind: 'damaged' };
  }
  const count = bytes.readUInt32BE(magic.length + 4);
  if (!bytes.subarray(0, magic.length).equals(magic) || bytes.length !== headerBytes + count * 4 + 4) {
    return { kind: 'damaged' };
  }
  const pages = Uint32Array.from({ length: count }, (_, place) => bytes.readUInt32BE(headerBytes + place * 4));
  return { kind: 'sums', sums: { pageBytes: bytes.readUInt32BE(magic.length), pages } };
}

/** The sums of the database file as it is, to begin with: right after it was made, before anything relies on it. */
export function sumsOfDatabase(dbPath: string): Sums {
  const header = Buffer.alloc(18);
  const file = openSync(dbPath, 'r');
  try {
    if (readFully(file, header, 0) < header.length) return { pageBytes: 0, pages: new Uint32Array() };
    const size = header.readUInt16BE(16);
    const pageBytes = size === 1 ? 65536 : size;
    const pages = new Uint32Array(Math.floor(fstatSync(file).size / pageBytes));
    for (const [page, bytes] of pagesOf(file, pageBytes, pages.length)) pages[page - 1] = crc32(bytes);
    return { pageBytes, pages };
  } finally {
    closeSync(file);
  }
}

/**
 * Checks every page but those that the log holds (`exceptPages`); a page that is not there at all is damage too. The first
 * page must be there in any case: SQLite deletes the log of an empty database file.
 */
export function verifyDatabase(
  dbPath: string,
  sums: Sums,
  exceptPages: { has(page: number): boolean } = new Set<number>(),
): DatabaseOutcome {
  let file: number;
  try {
    file = openSync(dbPath, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return sums.pages.length === 0 ? { kind: 'sound' } : { kind: 'damaged', page: 1 };
  }
  try {
    if (sums.pages.length > 0 && fstatSync(file).size < sums.pageBytes) return { kind: 'damaged', page: 1 };
    let next = 1;
    const missing = (to: number) => {
      for (; next < to; next += 1) if (!exceptPages.has(next)) return true;
      return false;
    };
    for (const [page, bytes] of pagesOf(file, sums.pageBytes, sums.pages.length)) {
      next = page + 1;
      if (!exceptPages.has(page) && crc32(bytes) !== sums.pages[page - 1]) return { kind: 'damaged', page };
    }
    return missing(sums.pages.length + 1) ? { kind: 'damaged', page: next } : { kind: 'sound' };
  } finally {
    closeSync(file);
  }
}

/** The whole pages of a file, at most `count`. The bytes are good until the next page. */
function* pagesOf(file: number, pageBytes: number, count: number): Generator<[page: number, bytes: Buffer]> {
  if (pageBytes === 0) return;
  const perStep = stepBytes / pageBytes;
  const step = Buffer.allocUnsafe(stepBytes);
  for (let first = 1; first <= count; first += perStep) {
    const whole = Math.floor(readFully(file, step, (first - 1) * pageBytes) / pageBytes);
    for (let place = 0; place < whole && first + place <= count; place += 1) {
      yield [first + place, step.subarray(place * pageBytes, (place + 1) * pageBytes)];
    }
    if (whole < perStep) return;
  }
}

/** The sums of a database that is in use. */
export class PageSums {
  #sums: Sums;
  /**
   * Of the main file, and kept: a process that closes any descriptor of a file gives up its locks on it (POSIX), those of
   * SQLite that keep a second server out among them.
   */
  #main: number | undefined;

  constructor(sums: Sums) {
    this.#sums = sums;
  }

  /** After the database is closed. */
  close(): void {
    if (this.#main !== undefined) closeSync(this.#main);
    this.#main = undefined;
  }

  get sums(): Sums {
    return this.#sums;
  }

  /**
   * Takes up what the log holds and writes the sums. Call it right before each checkpoint, with no commit in between.
   * If the log is damaged, nothing is written, and the checkpoint must not happen.
   */
  applyWal(dbPath: string): WalOutcome {
    const wal = checkWal(dbPath);
    if (wal.kind === 'damaged' || wal.commits === 0) return wal;
    const pages = new Uint32Array(wal.databasePages);
    pages.set(this.#sums.pages.subarray(0, pages.length));
    const known = Math.min(this.#sums.pages.length, pages.length);
    const log = openSync(walPath(dbPath), 'r');
    this.#main ??= openSync(dbPath, 'r');
    try {
      const bytes = Buffer.allocUnsafe(wal.pageBytes);
      const inOrder = [...wal.pages].sort(([, a], [, b]) => a - b);
      for (const [page, offset] of inOrder) {
        // A page beyond the end belonged to a database that has shrunk since.
        if (page > pages.length) continue;
        if (readFully(log, bytes, offset) < bytes.length) throw new Error('the log became shorter while it was read');
        pages[page - 1] = crc32(bytes);
      }
      // SQLite may leave a new page unwritten (a free one, or the one of the file locks): it stays as the file has it.
      for (let page = known + 1; page <= pages.length; page += 1) {
        if (wal.pages.has(page)) continue;
        bytes.fill(0);
        readSync(this.#main, bytes, 0, bytes.length, (page - 1) * bytes.length);
        pages[page - 1] = crc32(bytes);
      }
    } finally {
      closeSync(log);
    }
    const sums = { pageBytes: wal.pageBytes, pages };
    writeSums(dbPath, sums);
    this.#sums = sums;
    return wal;
  }
}
