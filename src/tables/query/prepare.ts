// A blob's content made ready for the engine: read as it is where that is right, written anew where it is not.

import { isUtf8 } from 'node:buffer';
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Expression, Query } from './ast.ts';
import { QueryError } from './ast.ts';
import { csvRecords, plainRecord } from './csv-records.ts';
import { isPlainFormat, surveyCsv } from './csv-survey.ts';
import type { CsvFormat, JsonFormat } from './formats.ts';
import { jsonRecords, plainJsonRecord } from './json-records.ts';
import { type CsvFile, columnOf } from './source.ts';

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

/** Content is longer than it may be when it is written anew. */
export class ScratchFullError extends Error {
  readonly code = 'SCRATCH_FULL';
}

/** What is left to write when the content has been prepared as `path`. */
export function scratchLeft({ scratchBytesMax }: Scratch, path: string, content: string): number {
  return path === content ? scratchBytesMax : Math.max(0, scratchBytesMax - statSync(path).size);
}

/** More columns are no table. */
const columnsMax = 16_384;
/** So many are declared to the engine without a look at how many there are. */
const columnsUncounted = 64;

export function prepareCsv(
  path: string,
  { scratch, scratchBytesMax }: Scratch,
  format: CsvFormat,
  query: Query,
): CsvFile {
  const header = format.hasHeaders ? firstRecord(path, format) : undefined;
  // Extra fields of a record are not read: for fields that are named it is enough to know the last of them.
  const named = query.select.kind === 'all' ? Number.POSITIVE_INFINITY : lastColumn(query, header);
  const wantColumns = named > columnsUncounted;
  const isPlain = isPlainFormat(format);
  const survey = isPlain ? surveyCsv(fileChunks(path), format, wantColumns) : { isIrregular: true, columns: 1 };
  if (!survey.isIrregular) {
    return {
      path,
      separator: format.columnSeparator,
      quote: format.fieldQuote,
      escape: format.fieldQuote,
      columns: bounded(wantColumns ? Math.min(named, survey.columns) : named),
      header,
    };
  }
  const plain = join(scratch, 'plain.csv');
  const columns = rewriteCsv(path, new PlainFile(plain, scratchBytesMax), format);
  return { path: plain, separator: ',', quote: '"', escape: '"', columns: bounded(columns), header };
}

function bounded(columns: number): number {
  if (columns > columnsMax) throw new QueryError(`a record has more than ${columnsMax} fields`);
  return columns;
}

function firstRecord(path: string, format: CsvFormat): string[] | undefined {
  for (const { fields } of csvRecords(fileChunks(path), format)) {
    const names = fields.map((field) => field.toString());
    // A byte order mark is no part of a name.
    if (names[0]?.startsWith('\ufeff')) names[0] = names[0].slice(1);
    return names;
  }
  return undefined;
}

/** The number of the last column that the query names; 1 if it names none. */
function lastColumn(query: Query, header: readonly string[] | undefined): number {
  let last = 1;
  const visit = (expression: Expression): void => {
    if (expression.kind === 'field') {
      const [first, second] = expression.steps;
      const isTable = second?.kind === 'name' && !first.quoted;
      const field = isTable ? second : first;
      last = Math.max(last, columnOf(field, header) + 1);
      return;
    }
    for (const part of Object.values(expression).flat()) {
      if (typeof part === 'object' && part !== null && 'kind' in part) visit(part as Expression);
    }
  };
  if (query.where !== undefined) visit(query.where);
  if (query.select.kind === 'items') for (const { value } of query.select.items) visit(value);
  return last;
}

function rewriteCsv(path: string, file: PlainFile, format: CsvFormat): number {
  let columns = 1;
  try {
    for (const { fields } of csvRecords(fileChunks(path), format)) {
      columns = Math.max(columns, fields.length);
      file.add(plainRecord(fields));
    }
    file.flush();
  } finally {
    file.close();
  }
  return columns;
}

/** The path of the records, one on a line. */
export function prepareJson(path: string, { scratch, scratchBytesMax }: Scratch, format: JsonFormat): string {
  if (format.recordSeparator === '\n' && isPlainText(path)) return path;
  const plain = join(scratch, 'plain.json');
  const file = new PlainFile(plain, scratchBytesMax);
  try {
    for (const { bytes } of jsonRecords(fileChunks(path), format.recordSeparator)) file.add(plainJsonRecord(bytes));
    file.flush();
  } finally {
    file.close();
  }
  return plain;
}

/** Whole characters, without those that the engine takes for the end of a line or of a field. */
function isPlainText(path: string): boolean {
  let tail: Buffer = Buffer.alloc(0);
  for (const chunk of fileChunks(path)) {
    const bytes: Buffer = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
    // A line feed is no part of any character.
    const end = bytes.lastIndexOf(0x0a) + 1;
    const whole = bytes.subarray(0, end);
    if (!isUtf8(whole) || whole.includes(0) || whole.includes(1) || whole.includes(0x0d)) return false;
    tail = bytes.subarray(end);
  }
  return isUtf8(tail) && !tail.includes(0) && !tail.includes(1) && !tail.includes(0x0d);
}

class PlainFile {
  readonly #file: number;
  #bytesLeft: number;
  #texts: string[] = [];
  #characters = 0;

  constructor(path: string, bytesMax: number) {
    this.#bytesLeft = bytesMax;
    this.#file = openSync(path, 'wx', 0o600);
  }

  add(text: string): void {
    this.#texts.push(text);
    this.#characters += text.length;
    if (this.#characters > chunkBytes) this.flush();
  }

  flush(): void {
    const bytes = Buffer.from(this.#texts.join(''));
    this.#bytesLeft -= bytes.length;
    if (this.#bytesLeft < 0) throw new ScratchFullError('the content is too long when it is written anew');
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
    this.#texts = [];
    this.#characters = 0;
  }

  close(): void {
    closeSync(this.#file);
  }
}
