// The records of delimited text in any form that a request can name: where each begins, and what its fields are.
import type { CsvFormat } from './formats.ts';

export interface CsvRecord {
  /** Of its first byte in the whole text. */
  readonly at: number;
  readonly fields: readonly Buffer[];
}

const carriageReturn = 0x0d;
const lineFeed = 0x0a;

/** A record longer than this is refused, as the engine refuses it. */
export const recordBytesMax = 8 * 1024 * 1024;

/** A record longer than `recordBytesMax`. */
export class RecordTooLongError extends Error {
  readonly at: number;
  constructor(at: number) {
    super('a record is too long');
    this.at = at;
  }
}

/**
 * The records of a text that comes in chunks. A quote opens a quoted field only at its beginning; a carriage return before
 * a line feed goes with it; a record without a byte is none.
 */
export function* csvRecords(chunks: Iterable<Buffer>, format: CsvFormat): Generator<CsvRecord> {
  const separator = Buffer.from(format.columnSeparator);
  const end = Buffer.from(format.recordSeparator);
  const quote = byteOf(format.fieldQuote);
  const mark = byteOf(format.escapeCharacter);
  let pending: Buffer = Buffer.alloc(0);
  let base = 0;
  for (const chunk of withEnd(chunks)) {
    const isLast = chunk === undefined;
    const bytes: Buffer = isLast ? pending : pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let at = 0;
    while (at < bytes.length) {
      const found = parseRecord(bytes, at, isLast, { separator, end, quote, mark });
      if (found === undefined) break;
      if (found.end > at && !found.isEmpty) yield { at: base + at, fields: found.fields };
      at = found.end;
    }
    pending = bytes.subarray(at);
    base += at;
    if (pending.length > recordBytesMax) throw new RecordTooLongError(base);
  }
}

function* withEnd(chunks: Iterable<Buffer>): Generator<Buffer | undefined> {
  yield* chunks;
  yield undefined;
}

const byteOf = (text: string): number => (text === '' ? -1 : (Buffer.from(text)[0] as number));

interface Marks {
  readonly separator: Buffer;
  readonly end: Buffer;
  readonly quote: number;
  readonly mark: number;
}

interface Parsed {
  readonly end: number;
  readonly fields: Buffer[];
  readonly isEmpty: boolean;
}

/** One record from `start` on; undefined if it may go on behind the bytes. */
function parseRecord(bytes: Buffer, start: number, isLast: boolean, marks: Marks): Parsed | undefined {
  const { separator, end, quote, mark } = marks;
  const fields: Buffer[] = [];
  const field: number[] = [];
  const [separatorFirst, endFirst] = [separator[0], end[0]];
  // A separator of several bytes may be cut by the end of the chunk.
  const ahead = Math.max(separator.length, end.length, 2) - 1;
  const safe = isLast ? bytes.length : bytes.length - ahead;
  let isQuoted = false;
  let fieldStart = start;
  let at = start;
  const close = (): void => {
    fields.push(Buffer.from(field));
    field.length = 0;
  };
  while (at < safe) {
    const byte = bytes[at] as number;
    if (mark !== -1 && byte === mark && (mark !== quote || isQuoted) && at + 1 < bytes.length) {
      if (mark !== quote || bytes[at + 1] === quote) {
        field.push(bytes[at + 1] as number);
        at += 2;
        continue;
      }
    }
    if (isQuoted) {
      if (byte !== quote) field.push(byte);
      else if (bytes[at + 1] === quote) field.push(bytes[++at] as number);
      else isQuoted = false;
      at++;
    } else if (byte === quote && at === fieldStart) {
      isQuoted = true;
      at++;
    } else if (byte === separatorFirst && starts(bytes, at, separator)) {
      close();
      at += separator.length;
      fieldStart = at;
    } else if (byte === endFirst && starts(bytes, at, end)) {
      close();
      at += end.length;
      return { end: at, fields, isEmpty: isEmpty(fields, bytes[start] === quote) };
    } else if (byte === carriageReturn && end.length === 1 && endFirst === lineFeed && bytes[at + 1] === lineFeed) {
      at++;
    } else {
      field.push(byte);
      at++;
    }
  }
  if (!isLast) return undefined;
  close();
  return { end: bytes.length, fields, isEmpty: isEmpty(fields, bytes[start] === quote) };
}

const starts = (bytes: Buffer, at: number, text: Buffer): boolean =>
  text.length === 1 || bytes.compare(text, 0, text.length, at, Math.min(at + text.length, bytes.length)) === 0;

const isEmpty = (fields: readonly Buffer[], isQuoted: boolean): boolean =>
  fields.length === 1 && fields[0]?.length === 0 && !isQuoted;

/** A record as the engine reads it without surprises: commas, quotes doubled, line feeds. */
export function plainRecord(fields: readonly Buffer[]): string {
  return `${fields.map((field) => plainField(field.toString())).join(',')}\n`;
}

function plainField(field: string): string {
  // An empty field in quotes, so that a record of it alone is no empty line.
  return field === '' || /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
