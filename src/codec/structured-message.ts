// Structured messages (`XSM/1.0; properties=crc64`): a body in numbered segments, each with its CRC-64, and one of all.
// Numbers are little-endian. Header: version u8, length of the whole u64, flags u16, segments u16. Each segment: its
// number from 1 u16, its length u64, its bytes, their CRC-64. At the end the CRC-64 of the content of all segments.
import { crc64, crc64Combine } from './crc64.ts';

/** What the header that asks for one, or announces one, says. */
export const structuredBody = 'XSM/1.0; properties=crc64';

const version = 1;
const crc64Flag = 1;
const headerBytes = 13;
const segmentHeaderBytes = 10;
const sumBytes = 8;
const segmentsMax = 0xffff;
const segmentBytes = 4 * 1024 * 1024;

/** The most that a message is longer than its content. */
export const framingBytesMax = headerBytes + segmentsMax * (segmentHeaderBytes + sumBytes) + sumBytes;

export type StructuredMessageProblem =
  | { readonly kind: 'malformed'; readonly what: string }
  | { readonly kind: 'crc64-mismatch'; readonly given: bigint; readonly computed: bigint };

/** The message is not one, or not the one that was announced, or its bytes were changed on the way. */
export class StructuredMessageError extends Error {
  readonly problem: StructuredMessageProblem;

  constructor(problem: StructuredMessageProblem) {
    super(problem.kind === 'malformed' ? problem.what : 'a CRC-64 of the message is not that of its bytes');
    this.problem = problem;
  }
}

const malformed = (what: string): StructuredMessageError => new StructuredMessageError({ kind: 'malformed', what });

type Part = 'header' | 'segment-header' | 'content' | 'segment-sum' | 'message-sum' | 'end';

export interface Announced {
  /** Of the whole message, where that was said. */
  readonly messageLength: number | undefined;
  readonly contentLength: number;
}

/** Takes a message in chunks and gives its content back in views of them; nothing is held but a few bytes of framing. */
export class StructuredMessageDecoder {
  readonly #announced: Announced;
  #part: Part = 'header';
  /** The framing of the current part, as far as it came. */
  readonly #frame = Buffer.alloc(headerBytes);
  #framed = 0;
  #taken = 0;
  #messageLength = 0;
  #segments = 0;
  #segment = 0;
  #segmentLength = 0;
  #segmentLeft = 0;
  #segmentSum = 0n;
  #messageSum = 0n;
  #content = 0;

  constructor(announced: Announced) {
    this.#announced = announced;
  }

  /** What of the chunk is content. It counts only when `end` did not throw. */
  *take(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#part === 'end') throw malformed('there are bytes after the end of the structured message');
      if (this.#part === 'content') {
        const view = chunk.subarray(at, at + this.#segmentLeft);
        at += view.length;
        this.#taken += view.length;
        this.#segmentSum = crc64(view, this.#segmentSum);
        this.#segmentLeft -= view.length;
        if (this.#segmentLeft === 0) this.#part = 'segment-sum';
        yield view;
        continue;
      }
      const wanted = frameBytes[this.#part];
      const view = chunk.subarray(at, at + wanted - this.#framed);
      this.#frame.set(view, this.#framed);
      at += view.length;
      this.#taken += view.length;
      this.#framed += view.length;
      if (this.#framed < wanted) return;
      this.#framed = 0;
      this.#read(this.#part);
    }
  }

  /** The message is over: throws where it is not whole. */
  end(): void {
    if (this.#part !== 'end') throw malformed('the structured message ends too early');
  }

  #read(part: keyof typeof frameBytes): void {
    switch (part) {
      case 'header':
        this.#readHeader();
        this.#part = this.#segments === 0 ? 'message-sum' : 'segment-header';
        return;
      case 'segment-header':
        this.#readSegmentHeader();
        this.#part = this.#segmentLeft === 0 ? 'segment-sum' : 'content';
        return;
      case 'segment-sum':
        this.#compare(this.#segmentSum);
        this.#messageSum = crc64Combine(this.#messageSum, this.#segmentSum, this.#segmentLength);
        this.#part = this.#segment === this.#segments ? 'message-sum' : 'segment-header';
        return;
      case 'message-sum':
        this.#compare(this.#messageSum);
        if (this.#content !== this.#announced.contentLength) {
          throw malformed(
            'the content of the structured message has another length than x-ms-structured-content-length',
          );
        }
        if (this.#taken !== this.#messageLength)
          throw malformed('the structured message has another length than it says');
        this.#part = 'end';
    }
  }

  #readHeader(): void {
    const { messageLength } = this.#announced;
    if (this.#frame[0] !== version) throw malformed('the version of the structured message is not known');
    this.#messageLength = lengthAt(this.#frame, 1);
    if (messageLength !== undefined && this.#messageLength !== messageLength) {
      throw malformed('the structured message has another length than Content-Length');
    }
    // Another flag could mean another layout.
    if (this.#frame.readUInt16LE(9) !== crc64Flag) throw malformed('the flags of the structured message are not crc64');
    this.#segments = this.#frame.readUInt16LE(11);
  }

  #readSegmentHeader(): void {
    this.#segment++;
    if (this.#frame.readUInt16LE(0) !== this.#segment)
      throw malformed('a segment of the structured message is missing');
    this.#segmentLength = lengthAt(this.#frame, 2);
    this.#segmentLeft = this.#segmentLength;
    this.#segmentSum = 0n;
    this.#content += this.#segmentLength;
    if (this.#content > this.#announced.contentLength) {
      throw malformed('the structured message has more content than x-ms-structured-content-length');
    }
  }

  #compare(computed: bigint): void {
    const given = this.#frame.readBigUInt64LE(0);
    if (given !== computed) throw new StructuredMessageError({ kind: 'crc64-mismatch', given, computed });
  }
}

const frameBytes = {
  header: headerBytes,
  'segment-header': segmentHeaderBytes,
  'segment-sum': sumBytes,
  'message-sum': sumBytes,
} as const;

function lengthAt(frame: Buffer, offset: number): number {
  const length = frame.readBigUInt64LE(offset);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('a length in the structured message is too great');
  return Number(length);
}

/** The content of a message that comes in chunks. Throws `StructuredMessageError`, at the latest at its end. */
export async function* decodeStructured(
  chunks: AsyncIterable<Uint8Array>,
  announced: Announced,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = new StructuredMessageDecoder(announced);
  for await (const chunk of chunks) yield* decoder.take(chunk);
  decoder.end();
}

/** A chunk whose memory is somebody's: `release` is called when nobody reads it any more. */
interface Lent {
  readonly bytes: Buffer;
  release(): void;
}

function layout(contentLength: number, wanted: number): { readonly size: number; readonly count: number } {
  // A count of segments has two bytes: of very long content they are longer.
  const size = Math.max(wanted, Math.ceil(contentLength / segmentsMax));
  return { size, count: Math.max(1, Math.ceil(contentLength / size)) };
}

export function structuredLength(contentLength: number, size = segmentBytes): number {
  const { count } = layout(contentLength, size);
  return headerBytes + count * (segmentHeaderBytes + sumBytes) + contentLength + sumBytes;
}

/** The message of a content of `contentLength` bytes, in chunks that share its memory. */
export async function* encodeStructured(
  chunks: AsyncIterable<Lent> | Iterable<Lent>,
  contentLength: number,
  wantedSegmentBytes = segmentBytes,
): AsyncGenerator<Lent, void, undefined> {
  const { size, count } = layout(contentLength, wantedSegmentBytes);
  let segment = 1;
  let left = Math.min(size, contentLength);
  let unsegmented = contentLength - left;
  let length = left;
  let sum = 0n;
  let messageSum = 0n;
  // Not before there is content for it: what is wrong with its beginning is known before anything goes out.
  let head: Lent | undefined = framing(
    messageHeader(structuredLength(contentLength, wantedSegmentBytes), count),
    segmentHeader(segment, left),
  );
  for await (const chunk of chunks) {
    const shared = new SharedChunk(chunk);
    try {
      if (head !== undefined) yield head;
      head = undefined;
      for (let at = 0; at < chunk.bytes.length; ) {
        const view = chunk.bytes.subarray(at, at + left);
        if (view.length === 0) throw new Error('the content is longer than was said');
        at += view.length;
        sum = crc64(view, sum);
        left -= view.length;
        yield shared.lend(view);
        if (left === 0 && segment < count) {
          messageSum = crc64Combine(messageSum, sum, length);
          length = left = Math.min(size, unsegmented);
          unsegmented -= left;
          const ended = crcBytes(sum);
          sum = 0n;
          yield framing(ended, segmentHeader(++segment, left));
        }
      }
    } finally {
      shared.release();
    }
  }
  if (head !== undefined) yield head;
  if (left !== 0 || segment !== count) throw new Error('the content is shorter than was said');
  yield framing(crcBytes(sum), crcBytes(crc64Combine(messageSum, sum, length)));
}

/** Several views of one chunk, which is given back when the last of them is. */
class SharedChunk {
  readonly #chunk: Lent;
  #holders = 1;

  constructor(chunk: Lent) {
    this.#chunk = chunk;
  }

  lend(bytes: Buffer): Lent {
    this.#holders++;
    return { bytes, release: () => this.release() };
  }

  release(): void {
    if (--this.#holders === 0) this.#chunk.release();
  }
}

const framing = (...parts: readonly Buffer[]): Lent => ({ bytes: Buffer.concat(parts), release: () => undefined });

function messageHeader(messageLength: number, segments: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes[0] = version;
  bytes.writeBigUInt64LE(BigInt(messageLength), 1);
  bytes.writeUInt16LE(crc64Flag, 9);
  bytes.writeUInt16LE(segments, 11);
  return bytes;
}

function segmentHeader(number: number, length: number): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes);
  bytes.writeUInt16LE(number, 0);
  bytes.writeBigUInt64LE(BigInt(length), 2);
  return bytes;
}

function crcBytes(crc: bigint): Buffer {
  const bytes = Buffer.alloc(sumBytes);
  bytes.writeBigUInt64LE(crc);
  return bytes;
}
