// A look over delimited text before the engine reads it: what it would take another way than the service does.
import { isUtf8 } from 'node:buffer';
import type { CsvFormat } from './formats.ts';

export interface CsvSurvey {
  /** The engine would not read it as it is: it is written anew first. */
  readonly isIrregular: boolean;
  /** The most fields that a record has; counted only if they were asked for. */
  readonly columns: number;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Whether a format is one of those that the engine reads by itself. */
export function isPlainFormat(format: CsvFormat): boolean {
  const { columnSeparator, fieldQuote, recordSeparator, escapeCharacter } = format;
  const lines = recordSeparator === '\n' || recordSeparator === '\r\n';
  const escapes = escapeCharacter === '' || escapeCharacter === fieldQuote;
  const ascii = /^[\x20-\x7e\t]$/;
  const quotes = fieldQuote === '' || ascii.test(fieldQuote);
  return lines && escapes && quotes && ascii.test(columnSeparator) && columnSeparator !== fieldQuote;
}

/** Surveys a text in a plain format. */
export function surveyCsv(chunks: Iterable<Buffer>, format: CsvFormat, wantColumns: boolean): CsvSurvey {
  const survey = new Survey(format, wantColumns);
  for (const chunk of chunks) {
    survey.take(chunk);
    if (survey.isIrregular) break;
  }
  return { isIrregular: survey.isIrregular || !survey.isWhole, columns: survey.columns };
}

/** What stands before the next byte. */
const place = { fieldStart: 0, plain: 1, quoted: 2, closed: 3 } as const;

class Survey {
  readonly #quote: number;
  readonly #separator: number;
  readonly #needsCrLf: boolean;
  readonly #wantColumns: boolean;
  /** The bytes outside of quotes that mean something; all others are passed over. */
  readonly #special = new Uint8Array(256);
  #state: number = place.fieldStart;
  #fields = 1;
  #isReturn = false;
  #tail: Buffer = Buffer.alloc(0);
  #sawQuote = false;
  columns = 1;
  isIrregular = false;

  constructor(format: CsvFormat, wantColumns: boolean) {
    this.#quote = format.fieldQuote === '' ? -1 : format.fieldQuote.charCodeAt(0);
    this.#separator = format.columnSeparator.charCodeAt(0);
    this.#needsCrLf = format.recordSeparator === '\r\n';
    this.#wantColumns = wantColumns;
    this.#special[carriageReturn] = 1;
    if (this.#quote !== -1) this.#special[this.#quote] = 1;
    if (wantColumns || this.#needsCrLf) this.#special[lineFeed] = 1;
    if (wantColumns) this.#special[this.#separator] = 1;
  }

  /** Ended outside of quotes, with whole characters. */
  get isWhole(): boolean {
    this.columns = Math.max(this.columns, this.#fields);
    return this.#state !== place.quoted && this.#tail.length === 0 && !this.#isReturn;
  }

  take(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (!this.#isText(chunk)) this.isIrregular = true;
    if (this.isIrregular) return;
    this.#sawQuote ||= this.#quote !== -1 && chunk.includes(this.#quote);
    const hasReturn = this.#isReturn || chunk.includes(carriageReturn) || this.#needsCrLf;
    // Without a quote so far every separator is one, and only who counts them has to look.
    if (this.#sawQuote || hasReturn || this.#wantColumns) this.#walk(chunk);
    else this.#state = this.#stateAfter(chunk.at(-1) as number);
  }

  #isText(chunk: Buffer): boolean {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    const end = characterEnd(bytes);
    this.#tail = Buffer.from(bytes.subarray(end));
    return isUtf8(bytes.subarray(0, end)) && !bytes.includes(0);
  }

  #walk(chunk: Buffer): void {
    const quote = this.#quote;
    const separator = this.#separator;
    const needsCrLf = this.#needsCrLf;
    const special = this.#special;
    let state = this.#state;
    let fields = this.#fields;
    let columns = this.columns;
    let at = 0;
    if (this.#isReturn && chunk[0] !== lineFeed) this.isIrregular = true;
    let isReturn = this.#isReturn;
    this.#isReturn = false;
    while (at < chunk.length && !this.isIrregular) {
      if (state === place.quoted) {
        const close = chunk.indexOf(quote, at);
        at = close === -1 ? chunk.length : close + 1;
        if (close !== -1) state = place.closed;
        continue;
      }
      const byte = chunk[at] as number;
      if (state === place.closed) {
        // Twice within quotes it is one of the text; what else follows a closed field is lost on the engine.
        state = byte === quote ? place.quoted : this.#stateAfter(byte);
        if (state === place.plain && byte !== carriageReturn) this.isIrregular = true;
        if (state === place.quoted) {
          at++;
          continue;
        }
      }
      if (special[byte] === 0) {
        do at++;
        while (at < chunk.length && special[chunk[at] as number] === 0);
        state = this.#stateAfter(chunk[at - 1] as number);
        isReturn = false;
        continue;
      }
      if (byte === lineFeed) {
        if (needsCrLf && !isReturn) this.isIrregular = true;
        if (fields > columns) columns = fields;
        fields = 1;
        state = place.fieldStart;
      } else if (byte === separator) {
        fields++;
        state = place.fieldStart;
      } else if (byte === quote) {
        // Behind blanks the engine takes it for the beginning of quotes.
        if (state !== place.fieldStart) this.isIrregular = true;
        state = place.quoted;
      }
      isReturn = byte === carriageReturn;
      at++;
      // A return that no line feed follows is data here, and an end of the line to the engine.
      if (isReturn && at < chunk.length && chunk[at] !== lineFeed) this.isIrregular = true;
    }
    this.#isReturn = isReturn;
    this.#state = state;
    this.#fields = fields;
    this.columns = columns;
  }

  #stateAfter(byte: number): number {
    return byte === lineFeed || byte === this.#separator ? place.fieldStart : place.plain;
  }
}

/** Where the last whole character of UTF-8 ends. */
export function characterEnd(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
