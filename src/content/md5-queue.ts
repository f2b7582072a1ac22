// MD5 sums of contents on their way in: what several of them bring is hashed together, in lanes, where it lies.
import type { Clock } from '../base/clock.ts';
import { createMd5State, type Md5Job, type Md5Lanes, type Md5State } from '../codec/md5-lanes.ts';

const md5BlockBytes = 64;
/** So many streams fill all lanes. */
const lanesFull = 8;
/** A stream waits this long for others to share the lanes with. */
const gatherMs = 4;

interface Waiting extends Md5Job {
  readonly done: () => void;
}

export class Md5Queue {
  readonly #lanes: Md5Lanes;
  readonly #clock: Clock;
  /** Room for bytes that lie elsewhere: a gathered extent's worth. */
  readonly #scratch: Buffer;
  readonly #scratchOffset: number;
  #waiting: Waiting[] = [];
  #streams = 0;
  #turn = 0;

  constructor(lanes: Md5Lanes, clock: Clock, scratch: Buffer, scratchOffset: number) {
    this.#lanes = lanes;
    this.#clock = clock;
    this.#scratch = scratch;
    this.#scratchOffset = scratchOffset;
  }

  begin(): Md5Stream {
    this.#streams++;
    return new Md5Stream(this);
  }

  end(): void {
    this.#streams--;
    // Whoever waited for this one's bytes need not any more.
    if (this.#waiting.length > 0 && this.#waiting.length >= Math.min(this.#streams, lanesFull)) this.#run();
  }

  /** Hashes bytes of the pool's memory; one call a state at a time. */
  hash(state: Md5State, offset: number, blocks: number): Promise<void> {
    return new Promise((done) => {
      this.#waiting.push({ state, offset, blocks, done });
      if (this.#waiting.length >= Math.min(this.#streams, lanesFull)) this.#run();
      else if (this.#waiting.length === 1) {
        const turn = this.#turn;
        void this.#clock.sleep(gatherMs).then(() => {
          if (turn === this.#turn) this.#run();
        });
      }
    });
  }

  /** Hashes whole blocks that lie outside the memory, by a copy. */
  hashCopied(state: Md5State, chunks: readonly Uint8Array[], bytes: number): void {
    let at = 0;
    for (const chunk of chunks) {
      const part = chunk.subarray(0, bytes - at);
      this.#scratch.set(part, at);
      at += part.length;
    }
    this.#lanes.hash([{ state, offset: this.#scratchOffset, blocks: bytes / md5BlockBytes }]);
  }

  finish(state: Md5State, tail: Uint8Array): Buffer {
    return this.#lanes.finish(state, tail);
  }

  #run(): void {
    this.#turn++;
    const jobs = this.#waiting;
    this.#waiting = [];
    this.#lanes.hash(jobs);
    for (const job of jobs) job.done();
  }
}

/** One content's sum. Bytes come in order, and in whole blocks of 64 but for the last. */
export class Md5Stream {
  readonly #queue: Md5Queue;
  readonly #state = createMd5State();
  #before: Promise<void> = Promise.resolve();
  #tail: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(queue: Md5Queue) {
    this.#queue = queue;
  }

  /** `bytes` lie at `offset` of the pool's memory, and stay as they are until the promise resolves. */
  add(offset: number, bytes: Buffer): Promise<void> {
    const blocks = this.#keepTail(bytes);
    if (blocks > 0) this.#before = this.#before.then(() => this.#queue.hash(this.#state, offset, blocks));
    return this.#before;
  }

  /** The same for chunks anywhere, of `length` bytes in all: no more than a gathered extent. */
  addCopied(chunks: readonly Uint8Array[], length: number): Promise<void> {
    const rest = length % md5BlockBytes;
    if (rest > 0) this.#tail = Buffer.concat(chunks).subarray(length - rest);
    this.#before = this.#before.then(() => this.#queue.hashCopied(this.#state, chunks, length - rest));
    return this.#before;
  }

  /** The 16 bytes of the sum. */
  async finish(): Promise<Buffer> {
    await this.#before;
    this.end();
    return this.#queue.finish(this.#state, this.#tail);
  }

  /** Nothing more comes; also when the content was given up. */
  end(): void {
    if (!this.#ended) this.#queue.end();
    this.#ended = true;
  }

  #keepTail(bytes: Buffer): number {
    const rest = bytes.length % md5BlockBytes;
    if (rest > 0) this.#tail = Buffer.from(bytes.subarray(bytes.length - rest));
    return (bytes.length - rest) / md5BlockBytes;
  }
}
