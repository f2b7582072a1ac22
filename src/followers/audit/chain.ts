// The form of a record on the disk: a line of JSON whose last member is the hash over the one before and the line itself.
import { hash } from 'node:crypto';

/*
  {"Seq":12,"Type":"StorageBlobLogs",...,"Hash":"<64 hexadecimal digits>"}

  Hash is the SHA-256 of the hash of record 11 (its 64 digits) and the bytes of the line before `,"Hash":`. Seq begins
  at 1 and goes on through the files of a chain; before the first record stands `noHash`.
*/

export const noHash = '0'.repeat(64);

/** Where a chain stands. */
export interface ChainPoint {
  readonly seq: number;
  readonly hash: string;
}

const hashDigits = noHash.length;
/** What a line has beside the record: `{"Seq":`, up to fifteen digits, a comma, `,"Hash":""}`, the digits, a line feed. */
export const sealBytesMax = 7 + 15 + 1 + 11 + hashDigits + 1;

/** Seals lines one after the other, in memory that it uses again. */
export class LineSealer {
  #head: ChainPoint;
  /** The last hash and, behind it, the body of the line: what the next hash is made of. */
  #scratch = Buffer.alloc(4096);

  constructor(head: ChainPoint) {
    this.#head = head;
    this.#scratch.write(head.hash, 0, 'latin1');
  }

  /** The last line's. */
  get head(): ChainPoint {
    return this.#head;
  }

  /**
   * Writes a line, with its line feed, to `target`, which has room for it, and answers where it ends. `from` to `to` of
   * `source` is a JSON object with at least one member.
   */
  seal(source: Buffer, from: number, to: number, target: Buffer, at: number): number {
    const most = hashDigits + sealBytesMax + to - from;
    if (this.#scratch.length < most) {
      const wider = Buffer.alloc(most * 2);
      this.#scratch.copy(wider, 0, 0, hashDigits);
      this.#scratch = wider;
    }
    const scratch = this.#scratch;
    const seq = this.#head.seq + 1;
    let end = hashDigits + scratch.write(`{"Seq":${seq},`, hashDigits, 'latin1');
    // Without its braces.
    end += source.copy(scratch, end, from + 1, to - 1);
    const sum = hash('sha256', scratch.subarray(0, end), 'hex');
    const next = at + scratch.copy(target, at, hashDigits, end);
    scratch.write(sum, 0, 'latin1');
    this.#head = { seq, hash: sum };
    return next + target.write(`,"Hash":"${sum}"}\n`, next, 'latin1');
  }
}

export interface ParsedLine extends ChainPoint {
  /** What is hashed after the hash of the record before. */
  readonly body: Buffer;
}

const head = Buffer.from('{"Seq":');
const tailPattern = /^,"Hash":"([0-9a-f]{64})"\}$/;
const tailBytes = ',"Hash":""}'.length + 64;

/** Undefined for what is no line of an audit file. It takes the line apart and believes nothing of it. */
export function parseLine(line: Buffer): ParsedLine | undefined {
  if (line.length < head.length + 1 + tailBytes || line.compare(head, 0, head.length, 0, head.length) !== 0) {
    return undefined;
  }
  const body = line.subarray(0, line.length - tailBytes);
  const tail = tailPattern.exec(line.toString('latin1', line.length - tailBytes));
  const comma = line.indexOf(0x2c);
  const digits = line.toString('latin1', head.length, comma);
  if (tail === null || !/^[1-9][0-9]{0,14}$/.test(digits)) return undefined;
  return { seq: Number(digits), hash: tail[1] as string, body };
}

export function isSealed(line: ParsedLine, previousHash: string): boolean {
  return hash('sha256', Buffer.concat([Buffer.from(previousHash), line.body]), 'hex') === line.hash;
}

/** The members of a line; undefined where it is no JSON object. */
export function membersOf(line: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
