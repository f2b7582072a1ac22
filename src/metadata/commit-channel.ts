// The two ends of the stream between a worker's engine and the committer of its server.
import type { Duplex } from 'node:stream';
import type { CommitOutcome, CommitRequest, Committer } from './commit.ts';
import { decodeOutcome, decodeRequest, encodeOutcome, encodeRequest, Frames } from './commit-wire.ts';

/** A committer at the other end of a stream. When the stream ends, whether what waits committed is unknown. */
export class RemoteCommitter implements Committer {
  readonly #send: Sender;
  readonly #waiting = new Map<number, (outcome: CommitOutcome) => void>();
  #nextId = 0;
  #isLost = false;

  constructor(stream: Duplex) {
    this.#send = new Sender(stream);
    const frames = new Frames();
    stream.on('data', (chunk: Buffer) => {
      for (const { id, body } of frames.push(chunk)) {
        this.#waiting.get(id)?.(decodeOutcome(body));
        this.#waiting.delete(id);
      }
    });
    const lose = (): void => {
      this.#isLost = true;
      for (const resolve of this.#waiting.values()) resolve({ kind: 'unknown', message: gone });
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
    this.#send.push(encodeRequest(id, request));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
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
