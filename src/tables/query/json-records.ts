// JSON records, one behind another with a separator between: where each begins, and what is wrong with one.
import { RecordTooLongError, recordBytesMax } from './csv-records.ts';

export interface JsonRecord {
  /** Of its first byte in the whole text. */
  readonly at: number;
  readonly bytes: Buffer;
}

/** The records of a text that comes in chunks; a record without a byte is none. */
export function* jsonRecords(chunks: Iterable<Buffer>, recordSeparator: string): Generator<JsonRecord> {
  const separator = Buffer.from(recordSeparator);
  let pending: Buffer = Buffer.alloc(0);
  let base = 0;
  for (const chunk of chunks) {
    const bytes: Buffer = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let at = 0;
    for (let end = bytes.indexOf(separator); end !== -1; end = bytes.indexOf(separator, at)) {
      if (!isBlank(bytes, at, end)) yield { at: base + at, bytes: bytes.subarray(at, end) };
      at = end + separator.length;
    }
    pending = bytes.subarray(at);
    base += at;
    if (pending.length > recordBytesMax) throw new RecordTooLongError(base);
  }
  if (!isBlank(pending, 0, pending.length)) yield { at: base, bytes: pending };
}

const isBlank = (bytes: Buffer, start: number, end: number): boolean =>
  end === start || (end === start + 1 && bytes[start] === 0x0d);

/** A record on one line. In JSON a break of the line is no more than a space, and other control characters are nothing. */
export function plainJsonRecord(bytes: Buffer): string {
  const oneLine = bytes.toString().replace(/[\r\n]/g, ' ');
  return `${oneLine.replaceAll('\0', '\ufffd').replaceAll('\u0001', '\ufffd')}\n`;
}

/** What is wrong with a text that is no JSON, in the service's words. */
export function describeJsonFault(line: string): string {
  const fault = new JsonCheck(line).fault();
  if (fault === undefined) return 'The record is no JSON that can be read.';
  const token = fault.at < line.length ? `token '${line[fault.at]}'` : 'end of the record';
  const bytes = Buffer.byteLength(line.slice(0, fault.at));
  const expected = fault.expected.map((each) => `'${each}'`);
  const tokens = expected.length === 1 ? 'token' : 'tokens';
  return `Unexpected ${token} at [byte: ${bytes}]. Expecting ${tokens} ${expected.join(', or ')}.`;
}

interface Fault {
  readonly at: number;
  readonly expected: readonly string[];
}

class FaultFound extends Error {
  readonly fault: Fault;
  constructor(fault: Fault) {
    super('not JSON');
    this.fault = fault;
  }
}

const depthMax = 500;

class JsonCheck {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  fault(): Fault | undefined {
    try {
      this.#space();
      if (!'{['.includes(this.#text[this.#at] ?? ' ')) this.#fail('{', '[');
      this.#value(0);
      this.#space();
      return undefined;
    } catch (error) {
      if (error instanceof FaultFound) return error.fault;
      throw error;
    }
  }

  #value(depth: number): void {
    if (depth > depthMax) this.#fail('}');
    this.#space();
    const first = this.#text[this.#at];
    if (first === '{') this.#object(depth);
    else if (first === '[') this.#array(depth);
    else if (first === '"') this.#take(/"(?:[^"\\\p{Cc}]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/uy, '"');
    else this.#take(/true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y, '"', '{', '[');
  }

  #object(depth: number): void {
    this.#at++;
    this.#space();
    if (this.#skip('}')) return;
    for (;;) {
      this.#space();
      this.#take(/"(?:[^"\\\p{Cc}]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/uy, '"');
      this.#space();
      if (!this.#skip(':')) this.#fail(':');
      this.#value(depth + 1);
      this.#space();
      if (this.#skip('}')) return;
      if (!this.#skip(',')) this.#fail(',', '}');
    }
  }

  #array(depth: number): void {
    this.#at++;
    this.#space();
    if (this.#skip(']')) return;
    for (;;) {
      this.#value(depth + 1);
      this.#space();
      if (this.#skip(']')) return;
      if (!this.#skip(',')) this.#fail(',', ']');
    }
  }

  #take(pattern: RegExp, ...expected: string[]): void {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) this.#fail(...expected);
    else this.#at += found.length;
  }

  #skip(text: string): boolean {
    if (this.#text[this.#at] !== text) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    while (' \t\r\n'.includes(this.#text[this.#at] ?? 'x')) this.#at++;
  }

  #fail(...expected: string[]): never {
    throw new FaultFound({ at: this.#at, expected });
  }
}
