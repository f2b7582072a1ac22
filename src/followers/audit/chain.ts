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

export interface SealedLine extends ChainPoint {
  /** With the line feed. */
  readonly line: string;
}

/** `json` is an object with at least one member. */
export function sealLine(previous: ChainPoint, json: string): SealedLine {
  const seq = previous.seq + 1;
  const body = `{"Seq":${seq},${json.slice(1, -1)}`;
  const sum = hash('sha256', previous.hash + body, 'hex');
  return { seq, hash: sum, line: `${body},"Hash":"${sum}"}\n` };
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
