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

const place = { fieldStart: 0, plain: 1, quoted: 2, closed: 3 } as const;

class Survey {
  readonly #quote: number;
  readonly #separator: number;
  readonly #needsCrLf: boolean;
  readonly #wantColumns: boolean;
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
  }

  /** Ended outside of quotes, with whole characters. */
  get isWhole(): boolean {
    this.columns = Math.max(this.columns, this.#fields);
    return this.#state !== place.quoted && this.#tail.length === 0 && !this.#isReturn;
  }

  take(chunk: Buffer): void {
    if (!this.#isText(chunk)) this.isIrregular = true;
    this.#sawQuote ||= this.#quote !== -1 && chunk.includes(this.#quote);
    const hasReturn = this.#isReturn || chunk.includes(carriageReturn) || this.#needsCrLf;
    // Without a quote so far every separator is one, and only who counts them has to look.
    if (!this.isIrregular && (this.#sawQuote || hasReturn || this.#wantColumns)) this.#walk(chunk);
    else if (chunk.length > 0) this.#state = stateAfter(chunk.at(-1) as number, this.#separator);
  }

  #isText(chunk: Buffer): boolean {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    const end = characterEnd(bytes);
    this.#tail = Buffer.from(bytes.subarray(end));
    return isUtf8(bytes.subarray(0, end)) && !bytes.includes(0);
  }

  #walk(chunk: Buffer): void {
    const [quote, separator] = [this.#quote, this.#separator];
    let state = this.#state;
    let fields = this.#fields;
    let isReturn = this.#isReturn;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (state === place.quoted) {
        if (byte === quote) state = place.closed;
        continue;
      }
      // A return that no line feed follows is data here, and an end of the line to the engine.
      if (isReturn && byte !== lineFeed) this.isIrregular = true;
      if (byte === lineFeed) {
        if (this.#needsCrLf && !isReturn) this.isIrregular = true;
        if (fields > this.columns) this.columns = fields;
        fields = 1;
        state = place.fieldStart;
      } else if (byte === separator) {
        fields++;
        state = place.fieldStart;
      } else if (byte === quote && state !== place.plain) {
        // Twice within quotes it is one of the text.
        state = place.quoted;
      } else if (byte !== carriageReturn) {
        if (state === place.closed) this.isIrregular = true;
        state = place.plain;
      }
      isReturn = byte === carriageReturn;
      if (this.isIrregular) return;
    }
    this.#state = state;
    this.#fields = fields;
    this.#isReturn = isReturn;
  }
}

function stateAfter(byte: number, separator: number): number {
  return byte === lineFeed || byte === separator ? place.fieldStart : place.plain;
}

/** Where the last whole character of UTF-8 ends. */
function characterEnd(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
