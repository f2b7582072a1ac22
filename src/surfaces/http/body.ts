// A request's body as an async iterable: one chunk at a time, with the socket paused while nobody asks.
import type { IncomingMessage } from 'node:http';

/** The sender went away, or fell silent, before the body was whole. */
export class BodyCutError extends Error {
  readonly code = 'BODY_CUT';
}

const queueMax = 4;

/** The stream's own iterator costs several times this one for a body of one chunk. */
export class RequestBody implements AsyncIterable<Buffer> {
  readonly #request: IncomingMessage;
  readonly #askFor: (() => void) | undefined;
  readonly #queue: Buffer[] = [];
  #ended = false;
  #failure: Error | undefined;
  #late: Error | undefined;
  #wake: (() => void) | undefined;
  #listening = false;
  bytes = 0;

  /** `askFor` tells a sender that waits for it (`Expect: 100-continue`) to send the body: called when somebody reads. */
  constructor(request: IncomingMessage, askFor?: () => void) {
    this.#request = request;
    this.#askFor = askFor;
  }

  /** Whether the sender was never asked for the body: it may send it or not, so the connection cannot go on. */
  get isHeldBack(): boolean {
    return this.#askFor !== undefined && !this.#listening;
  }

  /** Whether somebody waits for more of it. */
  get isAwaited(): boolean {
    return this.#wake !== undefined;
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    this.#listen();
    return { next: () => this.#next(), return: async () => ({ done: true, value: undefined }) };
  }

  /** The whole body, or undefined if it is longer than `bytesMax`. */
  async whole(bytesMax: number): Promise<Buffer | undefined> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this) {
      bytes += chunk.length;
      if (bytes > bytesMax) return undefined;
      chunks.push(chunk);
    }
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
  }

  /** One that is not whole by then fails whoever reads it; what is left of it can still be drained. */
  failAfter(ms: number, failure: Error): void {
    const timer = setTimeout(() => {
      if (this.#ended) return;
      this.#late = failure;
      this.#wake?.();
      this.#wake = undefined;
    }, ms).unref();
    this.#request.once('close', () => clearTimeout(timer));
  }

  /** Reads what nobody wanted, so that the connection can go on; false if that is more than `bytesMax`. */
  async drain(bytesMax: number): Promise<boolean> {
    if (this.#request.readableEnded || this.#request.complete) {
      this.#request.resume();
      return true;
    }
    this.#listen();
    let bytes = 0;
    try {
      for (;;) {
        const { done, value } = await this.#next(true);
        if (done === true) return true;
        bytes += value.length;
        if (bytes > bytesMax) return false;
      }
    } catch {
      return false;
    }
  }

  async #next(isDrained = false): Promise<IteratorResult<Buffer>> {
    for (;;) {
      if (this.#late !== undefined && !isDrained) throw this.#late;
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        if (this.#queue.length === 0 && this.#request.isPaused()) this.#request.resume();
        return { done: false, value: chunk };
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #listen(): void {
    if (this.#listening) return;
    this.#listening = true;
    this.#askFor?.();
    const request = this.#request;
    const wake = (): void => {
      this.#wake?.();
      this.#wake = undefined;
    };
    request.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      this.#queue.push(chunk);
      if (this.#queue.length >= queueMax) request.pause();
      wake();
    });
    request.on('end', () => {
      this.#ended = true;
      wake();
    });
    const cut = (): void => {
      if (!this.#ended) this.#failure ??= new BodyCutError('the request ended before its body was whole');
      wake();
    };
    request.on('error', cut);
    request.on('close', cut);
    if (request.destroyed) cut();
  }
}
