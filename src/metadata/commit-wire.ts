// Commit requests and their outcomes as frames of bytes, for a committer in another process of the same server.
import type { CommitOutcome, CommitRequest } from './commit.ts';
import type { Key, Range } from './engine.ts';
import type { Op } from './read-set.ts';

/*
  frame     length (u32, of what follows), id (u32), body
  request   seq (f64), reads, ranges, ops: each a count (u32) and that many
  bytes     length (u32), bytes
  op        kind (u8), then: 0 put key value | 1 delete key | 2 deleteRange start end | 3 add key delta (i64)
            | 4 add with max: key delta max | 5 putStamped prefix place (u32) value
  outcome   kind (u8): 0 committed: seq (f64) | 1 conflict | 2 counter limit: key | 3 failed: message code
*/

const opKinds = { put: 0, delete: 1, deleteRange: 2, add: 3, addMax: 4, putStamped: 5 } as const;
const outcomeKinds = ['committed', 'conflict', 'counter-limit', 'failed', 'unknown'] as const;

/** A frame is at most this long: a value's limit and room for the rest. */
export const frameBytesMax = 512 * 1024 * 1024;

class Writer {
  #bytes = Buffer.allocUnsafe(4096);
  #at = 8;

  constructor(id: number) {
    this.#bytes.writeUInt32BE(id, 4);
  }
  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }
  u32(value: number): void {
    this.#room(4);
    this.#at = this.#bytes.writeUInt32BE(value, this.#at);
  }
  f64(value: number): void {
    this.#room(8);
    this.#at = this.#bytes.writeDoubleBE(value, this.#at);
  }
  i64(value: bigint): void {
    this.#room(8);
    this.#at = this.#bytes.writeBigInt64BE(value, this.#at);
  }
  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }
  finish(): Buffer {
    this.#bytes.writeUInt32BE(this.#at - 4, 0);
    return this.#bytes.subarray(0, this.#at);
  }
  #room(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + count));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  u8(): number {
    return this.#bytes.readUInt8(this.#at++);
  }
  u32(): number {
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }
  f64(): number {
    const value = this.#bytes.readDoubleBE(this.#at);
    this.#at += 8;
    return value;
  }
  i64(): bigint {
    const value = this.#bytes.readBigInt64BE(this.#at);
    this.#at += 8;
    return value;
  }
  bytes(): Buffer {
    const length = this.u32();
    if (this.#at + length > this.#bytes.length) throw new RangeError('a frame ends within a field');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
  many<T>(one: () => T): T[] {
    const count = this.u32();
    const all: T[] = [];
    for (let i = 0; i < count; i++) all.push(one());
    return all;
  }
}

export function encodeRequest(id: number, request: CommitRequest): Buffer {
  const out = new Writer(id);
  out.f64(request.seq);
  out.u32(request.reads.length);
  for (const key of request.reads) out.bytes(key);
  out.u32(request.ranges.length);
  for (const range of request.ranges) {
    out.bytes(range.start);
    out.bytes(range.end);
  }
  out.u32(request.ops.length);
  for (const op of request.ops) encodeOp(out, op);
  return out.finish();
}

function encodeOp(out: Writer, op: Op): void {
  switch (op.kind) {
    case 'put':
      out.u8(opKinds.put);
      out.bytes(op.key);
      out.bytes(op.value);
      return;
    case 'delete':
      out.u8(opKinds.delete);
      out.bytes(op.key);
      return;
    case 'deleteRange':
      out.u8(opKinds.deleteRange);
      out.bytes(op.range.start);
      out.bytes(op.range.end);
      return;
    case 'add':
      out.u8(op.max === undefined ? opKinds.add : opKinds.addMax);
      out.bytes(op.key);
      out.i64(op.delta);
      if (op.max !== undefined) out.i64(op.max);
      return;
    case 'putStamped':
      out.u8(opKinds.putStamped);
      out.bytes(op.prefix);
      out.u32(op.place);
      out.bytes(op.value);
  }
}

export function decodeRequest(body: Buffer): CommitRequest {
  const input = new Reader(body);
  const seq = input.f64();
  const reads: Key[] = input.many(() => input.bytes());
  const ranges: Range[] = input.many(() => ({ start: input.bytes(), end: input.bytes() }));
  const ops = input.many(() => decodeOp(input));
  return { seq, reads, ranges, ops };
}

function decodeOp(input: Reader): Op {
  const kind = input.u8();
  switch (kind) {
    case opKinds.put:
      return { kind: 'put', key: input.bytes(), value: input.bytes() };
    case opKinds.delete:
      return { kind: 'delete', key: input.bytes() };
    case opKinds.deleteRange:
      return { kind: 'deleteRange', range: { start: input.bytes(), end: input.bytes() } };
    case opKinds.add:
      return { kind: 'add', key: input.bytes(), delta: input.i64() };
    case opKinds.addMax:
      return { kind: 'add', key: input.bytes(), delta: input.i64(), max: input.i64() };
    case opKinds.putStamped:
      return { kind: 'putStamped', prefix: input.bytes(), place: input.u32(), value: input.bytes() };
    default:
      throw new RangeError(`an operation of unknown kind ${kind}`);
  }
}

export function encodeOutcome(id: number, outcome: CommitOutcome): Buffer {
  const out = new Writer(id);
  out.u8(outcomeKinds.indexOf(outcome.kind));
  if (outcome.kind === 'committed') out.f64(outcome.seq);
  if (outcome.kind === 'counter-limit') out.bytes(outcome.key);
  if (outcome.kind === 'unknown') out.bytes(Buffer.from(outcome.message));
  if (outcome.kind === 'failed') {
    out.bytes(Buffer.from(outcome.message));
    out.bytes(Buffer.from(outcome.code ?? ''));
  }
  return out.finish();
}

export function decodeOutcome(body: Buffer): CommitOutcome {
  const input = new Reader(body);
  const kind = outcomeKinds[input.u8()];
  switch (kind) {
    case 'committed':
      return { kind, seq: input.f64() };
    case 'conflict':
      return { kind };
    case 'counter-limit':
      return { kind, key: input.bytes() };
    case 'unknown':
      return { kind, message: input.bytes().toString() };
    case 'failed': {
      const message = input.bytes().toString();
      const code = input.bytes().toString();
      return { kind, message, code: code === '' ? undefined : code };
    }
    default:
      throw new RangeError('an outcome of unknown kind');
  }
}

/** Cuts a stream of bytes into frames; a body stays valid as long as the chunks that it came in. */
export class Frames {
  #rest: Buffer = Buffer.alloc(0);
  #more: Buffer[] = [];
  #moreBytes = 0;

  *push(chunk: Buffer): Generator<{ id: number; body: Buffer }> {
    this.#more.push(chunk);
    this.#moreBytes += chunk.length;
    const have = this.#rest.length + this.#moreBytes;
    // A long frame comes in many chunks: they are joined once, when it is whole.
    if (this.#rest.length >= 4 && have < 4 + this.#rest.readUInt32BE(0)) return;
    let bytes = this.#rest.length === 0 && this.#more.length === 1 ? chunk : Buffer.concat([this.#rest, ...this.#more]);
    this.#more = [];
    this.#moreBytes = 0;
    while (bytes.length >= 8) {
      const length = bytes.readUInt32BE(0);
      if (length < 4 || length > frameBytesMax) throw new RangeError(`a frame of ${length} bytes`);
      if (bytes.length < 4 + length) break;
      yield { id: bytes.readUInt32BE(4), body: bytes.subarray(8, 4 + length) };
      bytes = bytes.subarray(4 + length);
    }
    this.#rest = bytes;
  }
}
