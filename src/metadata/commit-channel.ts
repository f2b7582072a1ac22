// The two ends of the stream between a worker's engine and the committer of its server.
import type { Duplex } from 'node:stream';
import type { CommitOutcome, CommitRequest, Committer } from './commit.ts';
import { decodeOutcome, decodeRequest, encodeOutcome, encodeRequest, Frames } from './commit-wire.ts';

/** As many as the committer itself lets wait. */
const waitingBytesMaxDefault = 256 * 1024 * 1024;

export interface RemoteCommitterOptions {
  /** A transaction beyond this many bytes that wait for their outcome is refused at once. */
  readonly waitingBytesMax?: number;
  readonly nowMs?: () => number;
  /** Of the committer at the other end. */
  readonly notesSteady?: boolean;
}

interface Waiting {
  readonly bytes: number;
  readonly resolve: (outcome: CommitOutcome) => void;
}

/** A committer at the other end of a stream. When the stream ends, whether what waits committed is unknown. */
export class RemoteCommitter implements Committer {
  readonly notesSteady: boolean;
  readonly #send: Sender;
  readonly #waitingBytesMax: number;
  readonly #nowMs: () => number;
  readonly #waiting = new Map<number, Waiting>();
  #waitingBytes = 0;
  /** When the other end said something, or the first that waits was sent. */
  #lastMs = 0;
  #nextId = 0;
  #isLost = false;

  constructor(stream: Duplex, options: RemoteCommitterOptions = {}) {
    this.notesSteady = options.notesSteady === true;
    this.#send = new Sender(stream);
    this.#waitingBytesMax = options.waitingBytesMax ?? waitingBytesMaxDefault;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    const frames = new Frames();
    stream.on('data', (chunk: Buffer) => {
      this.#lastMs = this.#nowMs();
      for (const { id, body } of frames.push(chunk)) {
        const waiting = this.#waiting.get(id);
        if (waiting === undefined) continue;
        this.#waiting.delete(id);
        this.#waitingBytes -= waiting.bytes;
        waiting.resolve(decodeOutcome(body));
      }
    });
    const lose = (): void => {
      this.#isLost = true;
      for (const { resolve } of this.#waiting.values()) resolve({ kind: 'unknown', message: gone });
      this.#waiting.clear();
    };
    stream.on('close', lose);
    stream.on('error', lose);
  }

  commit(request: CommitRequest): Promise<CommitOutcome> {
    // It was never sent.
    if (this.#isLost) return Promise.resolve({ kind: 'failed', message: gone, code: 'UNAVAILABLE' });
    this.#nextId = (this.#nextId + 1) >>> 0;
    const id = this.#nextId;
    const frame = encodeRequest(id, request);
    const bytes = frame.length;
    if (this.#waiting.size === 0) this.#lastMs = this.#nowMs();
    else if (this.#waitingBytes + bytes > this.#waitingBytesMax) {
      return Promise.resolve({ kind: 'failed', message: 'too many writes wait for the committer', code: 'CONTENDED' });
    }
    this.#waitingBytes += bytes;
    this.#send.push(frame);
    return new Promise((resolve) => this.#waiting.set(id, { bytes, resolve }));
  }

  /** For how long the committer has said nothing while transactions wait for it; nought where none waits. */
  get silentMs(): number {
    return this.#waiting.size === 0 ? 0 : this.#nowMs() - this.#lastMs;
  }
}

const gone = 'the committer is gone';

/** Serves a worker's requests from this process's committer until the stream ends. */
export function serveCommits(stream: Duplex, committer: Committer): void {
  const send = new Sender(stream);
  const frames = new Frames();
  stream.on('error', () => stream.destroy());
  stream.on('data', (chunk: Buffer) => {
    for (const { id, body } of frames.push(chunk)) {
      void committer.commit(decodeRequest(body)).then((outcome) => send.push(encodeOutcome(id, outcome)));
    }
  });
}

/** Joins what is sent in one turn of the event loop into one write. */
class Sender {
  readonly #stream: Duplex;
  #corked = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  push(frame: Buffer): void {
    if (this.#stream.destroyed) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#stream.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#stream.uncork();
      });
    }
    this.#stream.write(frame);
  }
}
