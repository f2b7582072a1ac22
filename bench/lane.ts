// One connection's part in a job: sends a request, judges the answer, sends the next.
import { Connection } from './connection.ts';
import type { Job } from './job.ts';

/** What all lanes of a job share. */
export interface JobState {
  readonly job: Job;
  next: number;
  /** The window is closed: what runs may end, nothing starts. */
  stopping: boolean;
  readonly random: () => number;
  completed(startedAt: number, bytes: number, right: boolean, problem: string): void;
  missing(): void;
}

export interface Request {
  readonly first: Buffer;
  readonly rest: Buffer | undefined;
  readonly bytes: number;
}

export abstract class Lane {
  readonly state: JobState;
  readonly index: number;
  #connection: Connection;
  #startedAt = 0;
  #request: Request | undefined;
  receivedBytes = 0;
  idle = true;

  constructor(state: JobState, index: number) {
    this.state = state;
    this.index = index;
    this.#connection = this.#connect();
  }

  /** The next request, or undefined when this lane has nothing left to do. */
  abstract next(): Request | undefined;
  /** Says what is wrong with an answer, or undefined. */
  abstract judge(status: number, lengthBytes: number): string | undefined;
  body(_chunk: Buffer, _start: number, _end: number): void {}
  /** The payload that an answered request moved. */
  moved(request: Request, _lengthBytes: number): number {
    return request.bytes;
  }

  run(): void {
    const request = this.state.stopping ? undefined : this.next();
    this.#request = request;
    if (request === undefined) {
      this.idle = true;
      return;
    }
    this.idle = false;
    this.receivedBytes = 0;
    this.#startedAt = performance.now();
    this.#connection.send(request.first, request.rest);
  }

  /** The share of the running operation that is done: without it, a few slow large operations would blur the window. */
  progress(): number {
    const request = this.#request;
    if (this.idle || request === undefined || request.bytes === 0) return 0;
    return Math.min(1, Math.max(this.receivedBytes, this.#connection.sentBytes) / request.bytes);
  }

  close(): void {
    this.#connection.close();
  }

  #connect(): Connection {
    return new Connection(this.state.job.port, {
      body: (chunk, start, end) => {
        this.body(chunk, start, end);
        this.receivedBytes += end - start;
      },
      answered: (status, length) => {
        const request = this.#request as Request;
        const problem = this.judge(status, length);
        this.state.completed(this.#startedAt, this.moved(request, length), problem === undefined, problem ?? '');
        this.run();
      },
      failed: (error) => {
        this.#connection = this.#connect();
        this.state.completed(this.#startedAt, 0, false, error.message);
        this.run();
      },
    });
  }
}
