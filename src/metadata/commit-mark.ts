// What must be there, noted outside of the database in `<database>.mark`: which store it is, and the last acknowledged commit.
//
// A log that was taken away, or put back from an earlier time, leaves a database that is sound and older. The mark tells:
// it is written after each sync of the log and before the commits are acknowledged. It is not synced by itself: after a
// kill it is exact, and after a power cut it is some earlier mark, below which the log had been synced. So what it names
// was durable in any case. It is synced when a store opens and closes, and before each checkpoint.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncDirectory } from '../base/sync-directory.ts';

export interface Mark {
  /** Of the store: 32 hexadecimal digits. */
  readonly id: string;
  /** Whether the log holds, or may hold, what the main file does not: then it must be there. */
  readonly isOpen: boolean;
  /** The last commit that was acknowledged. */
  readonly seq: number;
  /** The store's time then: see base/store-clock.ts. */
  readonly timeMs: number;
}

const magic = Buffer.from('cw-mark1');
const idAt = magic.length;
const openAt = idAt + 16;
const seqAt = openAt + 4;
const timeAt = seqAt + 8;
const sumAt = timeAt + 8;
/** Far less than a sector, which a disk writes whole or not at all. */
const markBytes = sumAt + 4;

function markPath(dbPath: string): string {
  return `${dbPath}.mark`;
}

function encode({ id, isOpen, seq, timeMs }: Mark, bytes = Buffer.alloc(markBytes)): Buffer {
  magic.copy(bytes);
  bytes.write(id, idAt, 'hex');
  bytes.writeUInt32BE(isOpen ? 1 : 0, openAt);
  bytes.writeDoubleBE(seq, seqAt);
  bytes.writeDoubleBE(timeMs, timeAt);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, sumAt)), sumAt);
  return bytes;
}

export function readMark(dbPath: string): { kind: 'mark'; mark: Mark } | { kind: 'absent' } | { kind: 'damaged' } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(markPath(dbPath));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { kind: 'absent' };
  }
  const isWhole = bytes.length === markBytes && bytes.subarray(0, idAt).equals(magic);
  if (!isWhole || bytes.readUInt32BE(sumAt) !== crc32(bytes.subarray(0, sumAt))) return { kind: 'damaged' };
  const mark = {
    id: bytes.toString('hex', idAt, openAt),
    isOpen: bytes.readUInt32BE(openAt) === 1,
    seq: bytes.readDoubleBE(seqAt),
    timeMs: bytes.readDoubleBE(timeAt),
  };
  return { kind: 'mark', mark };
}

/** The first mark of a store; whole and on disk when this returns. */
export function makeMark(dbPath: string, mark: Mark): void {
  const path = markPath(dbPath);
  const file = openSync(`${path}.tmp`, 'w', 0o600);
  try {
    writeSync(file, encode(mark));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.tmp`, path);
  syncDirectory(dirname(path));
}

/** The mark of a store that is in use. */
export class CommitMark {
  readonly #file: number;
  readonly #bytes = Buffer.alloc(markBytes);
  #mark: Mark;

  constructor(dbPath: string, mark: Mark) {
    this.#mark = mark;
    this.#file = openSync(markPath(dbPath), 'r+');
  }

  get mark(): Mark {
    return this.#mark;
  }

  /** Before the commit is acknowledged, and after it is durable. A disk that does not take it leaves the mark before. */
  note(seq: number, timeMs: number): void {
    this.#mark = { ...this.#mark, seq, timeMs };
    try {
      writeSync(this.#file, encode(this.#mark, this.#bytes), 0, markBytes, 0);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
    }
  }

  sync(change: Partial<Mark> = {}): void {
    this.#mark = { ...this.#mark, ...change };
    writeSync(this.#file, encode(this.#mark, this.#bytes), 0, markBytes, 0);
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}
