// Reads a SQLite write-ahead log as SQLite will (https://www.sqlite.org/fileformat2.html, section 4), and tells the torn
// end that a crash leaves from damage that would make SQLite drop acknowledged transactions without a word.
//
// SQLite stops at the first frame whose checksum is wrong. A transaction is synced before the next one is written
// (synchronous=FULL), so a bad frame with a later transaction behind it had been synced: it is damaged. And a frame that
// one flipped bit makes right again was never torn. Assumes SQLite's default of powersafe overwrite: without it, a commit
// frame is repeated to fill a sector.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface WalContents {
  /** Frames that belong to whole transactions. */
  readonly frames: number;
  readonly commits: number;
  readonly pageBytes: number;
  /** The size of the database in pages after the last transaction; 0 without one. */
  readonly databasePages: number;
  /** Where in the log the newest committed content of each page lies. */
  readonly pages: ReadonlyMap<number, number>;
}

export type WalOutcome =
  | ({ readonly kind: 'clean' } & WalContents)
  | ({ readonly kind: 'torn-tail' } & WalContents)
  /** `frame` counts from 1; 0 is the header. */
  | { readonly kind: 'damaged'; readonly frame: number; readonly offset: number };

export const walHeaderBytes = 32;
export const frameHeaderBytes = 24;
const stepBytes = 1 << 20;
/** What a disk writes whole or not at all. */
const sectorBytes = 512;

interface Sum {
  readonly a: number;
  readonly b: number;
}

interface Format {
  readonly pageBytes: number;
  readonly littleEndian: boolean;
  readonly salt: bigint;
}

export function walPath(dbPath: string): string {
  return `${dbPath}-wal`;
}

export function checkWal(dbPath: string): WalOutcome {
  let file: number;
  try {
    file = openSync(walPath(dbPath), 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { kind: 'clean', ...nothing };
  }
  try {
    return checkFile(file, dbPath);
  } finally {
    closeSync(file);
  }
}

const nothing: WalContents = { frames: 0, commits: 0, pageBytes: 0, databasePages: 0, pages: new Map() };

function checkFile(file: number, dbPath: string): WalOutcome {
  const header = Buffer.alloc(walHeaderBytes);
  const length = readSync(file, header, 0, walHeaderBytes, 0);
  if (length === 0) return { kind: 'clean', ...nothing };
  if (length < walHeaderBytes) return { kind: 'torn-tail', ...nothing };
  const magic = header.readUInt32BE(0);
  const pageBytes = header.readUInt32BE(8);
  const littleEndian = magic === 0x377f0682;
  const seed = storedSum(header, 24);
  const format = { pageBytes, littleEndian, salt: header.readBigUInt64BE(16) };
  const valid =
    (littleEndian || magic === 0x377f0683) &&
    header.readUInt32BE(4) === 3007000 &&
    isPageSize(pageBytes) &&
    same(checksum(header, 0, 24, littleEndian, { a: 0, b: 0 }), seed);
  if (valid) return readFrames(file, format, seed);

  // The header is synced before any frame is written, and it lies in one sector: frames that follow it and agree with
  // each other (or with it) prove that it was whole once.
  for (const size of new Set([pageBytes, databasePageBytes(dbPath)])) {
    if (isPageSize(size) && framesAgree(file, header, size)) return { kind: 'damaged', frame: 0, offset: 0 };
  }
  return { kind: 'torn-tail', ...nothing };
}

function readFrames(file: number, format: Format, seed: Sum): WalOutcome {
  const pages = new Map<number, number>();
  const pending = new Map<number, number>();
  let contents: WalContents = { ...nothing, pageBytes: format.pageBytes, pages };
  let chain = seed;
  let previous: Frame | undefined;
  let bad: Frame | undefined;
  let stale = true;
  for (const frame of framesOf(file, format.pageBytes)) {
    const current = frame.salt === format.salt;
    if (bad === undefined) {
      const sum = frame.sum(format.littleEndian, chain);
      if (current && same(sum, frame.stored)) {
        chain = sum;
        previous = frame;
        pending.set(frame.page, frame.offset + frameHeaderBytes);
        if (frame.databasePages === 0) continue;
        for (const [page, offset] of pending) pages.set(page, offset);
        pending.clear();
        const { commits } = contents;
        contents = { ...contents, frames: frame.index, commits: commits + 1, databasePages: frame.databasePages };
        continue;
      }
      if (oneBitWrong(frame, format, chain, sum)) return { kind: 'damaged', frame: frame.index, offset: frame.offset };
      bad = { ...frame, chained: false, own: sum };
      previous = bad;
      stale = !current;
      continue;
    }
    const before = previous as Frame;
    const chained =
      current &&
      (same(frame.sum(format.littleEndian, before.stored), frame.stored) ||
        (before.own !== undefined && same(frame.sum(format.littleEndian, before.own), frame.stored)));
    const afterCommit = before.salt === format.salt && before.databasePages !== 0;
    if (chained && afterCommit && (before.chained || before.headerInOneSector)) {
      return { kind: 'damaged', frame: bad.index, offset: bad.offset };
    }
    if (current) stale = false;
    previous = { ...frame, chained };
  }
  const whole = pending.size === 0 && stale && (bad !== undefined || endsWithFrame(file, format.pageBytes));
  return { kind: whole ? 'clean' : 'torn-tail', ...contents };
}

function framesAgree(file: number, header: Buffer, pageBytes: number): boolean {
  for (const littleEndian of [true, false]) {
    const seeds = [storedSum(header, 24), checksum(header, 0, 24, littleEndian, { a: 0, b: 0 })];
    let before: Frame | undefined;
    for (const frame of framesOf(file, pageBytes)) {
      const from = before === undefined ? seeds : before.salt === frame.salt ? [before.stored] : [];
      const nonzero = frame.stored.a !== 0 || frame.stored.b !== 0;
      if (nonzero && from.some((sum) => same(frame.sum(littleEndian, sum), frame.stored))) return true;
      before = frame;
    }
  }
  return false;
}

/** Whether one bit (of the frame's salt, checksum, header or page) is all that is wrong: no torn write looks like that. */
function oneBitWrong(frame: Frame, format: Format, seed: Sum, sum: Sum): boolean {
  const wrongSalt = bitsOf(frame.salt ^ format.salt);
  if (wrongSalt > 0) return wrongSalt === 1 && same(sum, frame.stored);
  const wrongSum =
    bitsOf(BigInt(sum.a ^ frame.stored.a) & 0xffffffffn) + bitsOf(BigInt(sum.b ^ frame.stored.b) & 0xffffffffn);
  return wrongSum === 1 || frame.oneBitFrom(format.littleEndian, seed);
}

interface Frame {
  readonly index: number;
  readonly offset: number;
  readonly page: number;
  /** Not 0 in the last frame of a transaction. */
  readonly databasePages: number;
  readonly salt: bigint;
  readonly stored: Sum;
  readonly headerInOneSector: boolean;
  /** Whether its checksum follows from the one before it. */
  readonly chained: boolean;
  /** Of the first bad frame: the checksum that its bytes give, should the stored one be what is wrong. */
  readonly own?: Sum;
  /** Of its header and page, following `seed`. Good until the next frame is read, as is `oneBitFrom`. */
  sum(littleEndian: boolean, seed: Sum): Sum;
  /** Whether flipping one bit gives the stored checksum. */
  oneBitFrom(littleEndian: boolean, seed: Sum): boolean;
}

function* framesOf(file: number, pageBytes: number): Generator<Frame> {
  const frameBytes = frameHeaderBytes + pageBytes;
  const perStep = Math.max(1, Math.floor(stepBytes / frameBytes));
  const step = Buffer.from(new ArrayBuffer(perStep * frameBytes));
  let index = 0;
  for (;;) {
    const start = walHeaderBytes + index * frameBytes;
    const whole = Math.floor(readFully(file, step, start) / frameBytes);
    for (let place = 0; place < whole; place += 1) {
      const at = place * frameBytes;
      const offset = start + at;
      index += 1;
      yield {
        index,
        offset,
        page: step.readUInt32BE(at),
        databasePages: step.readUInt32BE(at + 4),
        salt: step.readBigUInt64BE(at + 8),
        stored: storedSum(step, at + 16),
        headerInOneSector: Math.floor(offset / sectorBytes) === Math.floor((offset + 15) / sectorBytes),
        chained: true,
        sum: (littleEndian, seed) =>
          checksum(step, at + 24, at + frameBytes, littleEndian, checksum(step, at, at + 8, littleEndian, seed)),
        oneBitFrom(littleEndian, seed) {
          const bytes = Buffer.concat([step.subarray(at, at + 8), step.subarray(at + 24, at + frameBytes)]);
          return solveOneBit(bytes, littleEndian, seed, storedSum(step, at + 16));
        },
      };
    }
    if (whole < perStep) return;
  }
}

export function readFully(file: number, into: Buffer, position: number): number {
  let length = 0;
  while (length < into.length) {
    const got = readSync(file, into, length, into.length - length, position + length);
    if (got === 0) break;
    length += got;
  }
  return length;
}

function endsWithFrame(file: number, pageBytes: number): boolean {
  return (fstatSync(file).size - walHeaderBytes) % (frameHeaderBytes + pageBytes) === 0;
}

function storedSum(bytes: Buffer, at: number): Sum {
  return { a: bytes.readInt32BE(at), b: bytes.readInt32BE(at + 4) };
}

const same = (x: Sum, y: Sum): boolean => x.a === y.a && x.b === y.b;

const isPageSize = (size: number): boolean => size >= 512 && size <= 65536 && (size & (size - 1)) === 0;

function bitsOf(word: bigint): number {
  let count = 0;
  for (let left = word; left !== 0n; left &= left - 1n) count += 1;
  return count;
}

const hostLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Two running sums over pairs of 32-bit words, each sum fed into the other (section 4.2). */
function checksum(bytes: Buffer, from: number, to: number, littleEndian: boolean, seed: Sum): Sum {
  let { a, b } = seed;
  const start = bytes.byteOffset + from;
  if (littleEndian === hostLittleEndian && start % 4 === 0) {
    const words = new Int32Array(bytes.buffer, start, (to - from) / 4);
    for (let place = 0; place < words.length; place += 2) {
      a = (a + (words[place] as number) + b) | 0;
      b = (b + (words[place + 1] as number) + a) | 0;
    }
    return { a, b };
  }
  const view = new DataView(bytes.buffer, start, to - from);
  for (let place = 0; place < view.byteLength; place += 8) {
    a = (a + view.getInt32(place, littleEndian) + b) | 0;
    b = (b + view.getInt32(place + 4, littleEndian) + a) | 0;
  }
  return { a, b };
}

/**
 * The sums are linear: adding d to a word adds a multiple of d to each, and the factors depend on the word's place only.
 * So walking back from the end with those factors finds the bit that explains the difference, if there is one.
 */
function solveOneBit(bytes: Buffer, littleEndian: boolean, seed: Sum, wanted: Sum): boolean {
  const given = checksum(bytes, 0, bytes.length, littleEndian, seed);
  const needA = (wanted.a - given.a) | 0;
  const needB = (wanted.b - given.b) | 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const explains = (at: number, factorA: number, factorB: number): boolean => {
    const word = view.getInt32(at, littleEndian);
    for (let bit = 0; bit < 32; bit += 1) {
      const change = word & (1 << bit) ? -(1 << bit) : 1 << bit;
      if (Math.imul(change, factorA) === needA && Math.imul(change, factorB) === needB) return true;
    }
    return false;
  };
  // What adding 1 to the first and to the second sum, as they are after this pair, adds to both in the end.
  let [firstA, firstB, secondA, secondB] = [1, 0, 0, 1];
  for (let at = bytes.length - 8; at >= 0; at -= 8) {
    const bothA = (firstA + secondA) | 0;
    const bothB = (firstB + secondB) | 0;
    if (explains(at + 4, secondA, secondB) || explains(at, bothA, bothB)) return true;
    [firstA, firstB, secondA, secondB] = [bothA, bothB, (bothA + secondA) | 0, (bothB + secondB) | 0];
  }
  return false;
}

/** From the header of the database file; 0 when it has none. */
function databasePageBytes(dbPath: string): number {
  const header = Buffer.alloc(18);
  try {
    const file = openSync(dbPath, 'r');
    try {
      if (readFully(file, header, 0) < header.length) return 0;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return 0;
  }
  const size = header.readUInt16BE(16);
  return size === 1 ? 65536 : size;
}
