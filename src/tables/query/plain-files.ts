// The files that the engine reads: the content as it lies there, or records written anew, in files as small as it takes them.
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { RecordTooLongError, recordBytesMax } from './csv-records.ts';

const chunkBytes = 1024 * 1024;

/** The bytes of a file; each chunk is a buffer of its own. */
export function* fileChunks(path: string): Generator<Buffer> {
  const file = openSync(path, 'r');
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(chunkBytes);
      const length = readSync(file, chunk, 0, chunkBytes, null);
      if (length === 0) return;
      yield chunk.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

/** Where to write, and how much. */
export interface Scratch {
  readonly scratch: string;
  readonly scratchBytesMax: number;
}

/**
 * The engine takes 2,048 records at a time, however long they are, but none from the next file. So a file ends with the
 * first record that goes beyond this. JSON takes more: each function parses the record anew, and keeps what it finds.
 */
export const fileBytes = { csv: 8 * 1024 * 1024, json: 2 * 1024 * 1024 } as const;

/** Content is longer than it may be when it is written anew. */
export class ScratchFullError extends Error {
  readonly code = 'SCRATCH_FULL';
}

const lineFeed = 0x0a;

/** Whether 2,048 records of the content, which end with a line feed, may have more bytes than two files of `bytesMax`. */
export function hasLongRecords(path: string, bytesMax: number): boolean {
  if (statSync(path).size <= 2 * bytesMax) return false;
  const recordsPerChunk = (2048 * chunkBytes) / (2 * bytesMax);
  for (const chunk of fileChunks(path)) {
    let count = 0;
    for (let at = chunk.indexOf(lineFeed); at !== -1 && count < recordsPerChunk; count++) {
      at = chunk.indexOf(lineFeed, at + 1);
    }
    if (chunk.length === chunkBytes && count < recordsPerChunk) return true;
  }
  return false;
}

/** Cuts content whose quotes are in order, from `start` on, where records end. Answers the paths. */
export function cutLines(
  path: string,
  { start, quote }: { readonly start: number; readonly quote: string },
  scratch: Scratch,
  bytesMax: number,
): readonly string[] {
  using files = new PlainFiles(scratch, bytesMax);
  const mark = quote === '' ? -1 : quote.charCodeAt(0);
  let isQuoted = false;
  let at = 0;
  for (const chunk of fileChunks(path)) {
    const bytes = chunk.subarray(Math.max(start - at, 0));
    at += chunk.length;
    const end = files.isFull ? recordEnd(bytes, mark, isQuoted) : -1;
    files.write(end === -1 ? bytes : bytes.subarray(0, end));
    if (files.bytes > bytesMax + chunkBytes + recordBytesMax) throw new RecordTooLongError(at - files.bytes);
    if (end !== -1) {
      files.next();
      files.write(bytes.subarray(end));
    }
    if (mark !== -1)
      for (let found = bytes.indexOf(mark); found !== -1; found = bytes.indexOf(mark, found + 1)) isQuoted = !isQuoted;
  }
  return files.end();
}

/** Behind the first line feed that is not within quotes; -1 if there is none. */
function recordEnd(bytes: Buffer, quote: number, isQuoted: boolean): number {
  let at = isQuoted ? bytes.indexOf(quote) + 1 : 0;
  if (isQuoted && at === 0) return -1;
  for (;;) {
    const end = bytes.indexOf(lineFeed, at);
    const open = quote === -1 ? -1 : bytes.indexOf(quote, at);
    if (end === -1 || open === -1 || end < open) return end === -1 ? -1 : end + 1;
    const close = bytes.indexOf(quote, open + 1);
    if (close === -1) return -1;
    at = close + 1;
  }
}

/** Files of whole records, written one after another. */
export class PlainFiles implements Disposable {
  readonly #scratch: string;
  readonly #bytesMax: number;
  readonly #paths: string[] = [];
  #file = -1;
  #bytesLeft: number;
  #texts: string[] = [];
  #characters = 0;
  /** Of the file that is written. */
  bytes = 0;

  /** Each has the records that begin within its first `bytesMax`. */
  constructor({ scratch, scratchBytesMax }: Scratch, bytesMax: number) {
    this.#scratch = scratch;
    this.#bytesMax = bytesMax;
    this.#bytesLeft = scratchBytesMax;
    this.next();
  }

  /** Whether the next record belongs into another file. */
  get isFull(): boolean {
    return this.bytes >= this.#bytesMax;
  }

  next(): void {
    this[Symbol.dispose]();
    const path = join(this.#scratch, `plain-${this.#paths.length}.csv`);
    this.#file = openSync(path, 'wx', 0o600);
    this.#paths.push(path);
    this.bytes = 0;
  }

  /** Adds a record. */
  add(record: string): void {
    this.#texts.push(record);
    this.#characters += record.length;
    if (this.#characters > chunkBytes) this.#flush();
  }

  write(bytes: Buffer): void {
    this.#bytesLeft -= bytes.length;
    if (this.#bytesLeft < 0) throw new ScratchFullError('the content is too long when it is written anew');
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    this.bytes += bytes.length;
  }

  /** Writes what is left. Answers the paths of all. */
  end(): readonly string[] {
    this.#flush();
    this[Symbol.dispose]();
    return this.#paths;
  }

  [Symbol.dispose](): void {
    if (this.#file !== -1) closeSync(this.#file);
    this.#file = -1;
  }

  #flush(): void {
    if (this.isFull) this.next();
    this.write(Buffer.from(this.#texts.join('')));
    this.#texts = [];
    this.#characters = 0;
  }
}
