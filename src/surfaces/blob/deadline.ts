// How long a request may take: as its `timeout` says, and without one as long as the committer commits.
import type { RequestBody } from '../http/body.ts';
import { BlobError } from './errors.ts';
import { queryError } from './list-parameters.ts';
import { one, type Query } from './request.ts';

/** As far as a timer goes. */
const timeoutMsMax = 2 ** 31 - 1;
/** Work that goes on after its request was answered: with more of it, changes are refused until some has ended. */
const abandonedMax = 1024;

/** From the arrival of a request on; nought is no limit, as without the parameter. */
export class Deadline {
  readonly #dueMs: number;
  readonly #passed = new AbortController();

  constructor(timeoutMs: number, body: RequestBody) {
    this.#dueMs = performance.now() + timeoutMs;
    // What a body is made into that is not whole by then changes nothing.
    body.failAfter(timeoutMs, new BlobError('OperationTimedOut'));
  }

  get leftMs(): number {
    return this.#dueMs - performance.now();
  }

  /** Throws OperationTimedOut when it has passed. */
  check(): void {
    if (this.leftMs < 0) throw new BlobError('OperationTimedOut');
  }

  /** Aborts when the request is answered because it has passed. */
  get signal(): AbortSignal {
    return this.#passed.signal;
  }

  pass(): void {
    this.#passed.abort();
  }
}

export function deadlineOf(query: Query, body: RequestBody): Deadline | undefined {
  const text = query.size === 0 ? undefined : one(query, 'timeout');
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,9}$/.test(text)) throw queryError('timeout', text, 'Invalid number.');
  const timeoutMs = Math.min(Number(text) * 1000, timeoutMsMax);
  return timeoutMs === 0 ? undefined : new Deadline(timeoutMs, body);
}

export interface CommitterWatch {
  /** For how long the committer has said nothing while transactions wait for it; nought where none waits. */
  readonly silentMs: number;
}

interface Waiting {
  readonly sinceMs: number;
  readonly body: RequestBody;
  readonly fail: (error: Error) => void;
}

/**
 * Answers requests whose work does not end in time with OperationTimedOut, which leaves open whether it takes effect:
 * a commit cannot be taken back. A commit that was begun goes on to its end; what is held ends.
 */
export class Deadlines {
  readonly #committer: CommitterWatch;
  readonly #silentMsMax: number;
  readonly #onSilent: (silentMs: number) => void;
  /** Changes under way that say no timeout. */
  readonly #waiting = new Set<Waiting>();
  #watch: NodeJS.Timeout | undefined;
  #abandoned = 0;

  /** `onSilent` is called when changes are given up because the committer is silent, at most once a round. */
  constructor(committer: CommitterWatch, silentMsMax: number, onSilent: (silentMs: number) => void) {
    this.#committer = committer;
    this.#silentMsMax = silentMsMax;
    this.#onSilent = onSilent;
  }

  /** The outcome of `work`, or OperationTimedOut when its time is over. Throws ServerBusy before there is too much to wait for. */
  within<T>(
    deadline: Deadline | undefined,
    { body, isChange }: { readonly body: RequestBody; readonly isChange: boolean },
    work: () => Promise<T>,
  ): Promise<T> {
    if (isChange && this.#abandoned >= abandonedMax) throw new BlobError('ServerBusy');
    const working = work();
    if (deadline === undefined && !isChange) return working;
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      let timer: NodeJS.Timeout | undefined;
      const waiting: Waiting = {
        sinceMs: performance.now(),
        body,
        fail: (error) => {
          if (this.#abandoned >= abandonedMax) return;
          isOver = true;
          this.#abandoned++;
          end();
          reject(error);
        },
      };
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      if (deadline !== undefined) {
        const late = (): void => {
          deadline.pass();
          waiting.fail(new BlobError('OperationTimedOut'));
        };
        timer = setTimeout(late, Math.max(0, deadline.leftMs)).unref();
      }
      if (isChange) this.#watchOver(waiting);
      const over = (): void => {
        if (isOver) this.#abandoned--;
        else end();
      };
      working.then(
        (value) => {
          over();
          resolve(value);
        },
        (error: unknown) => {
          over();
          reject(error);
        },
      );
    });
  }

  #watchOver(waiting: Waiting): void {
    this.#waiting.add(waiting);
    this.#watch ??= setInterval(() => this.#round(), Math.ceil(this.#silentMsMax / 10)).unref();
  }

  #round(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
      return;
    }
    const { silentMs } = this.#committer;
    if (silentMs < this.#silentMsMax) return;
    const before = performance.now() - this.#silentMsMax;
    // One whose body is still coming does not wait for the committer.
    const late = [...this.#waiting].filter(({ sinceMs, body }) => sinceMs <= before && !body.isAwaited);
    if (late.length > 0) this.#onSilent(silentMs);
    for (const { fail } of late) fail(new BlobError('OperationTimedOut'));
  }
}
