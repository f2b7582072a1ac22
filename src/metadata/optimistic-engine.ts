// The engine of a process that reads SQLite itself and leaves commits to the committer, here or across a socket.
import type { CommitOutcome, Committer } from './commit.ts';
import {
  type Awaitable,
  ContentionError,
  CounterLimitError,
  type Engine,
  type Key,
  OutcomeUnknownError,
  type Txn,
  UnavailableError,
  type Value,
  type View,
} from './engine.ts';
import { BoundView, type Footprint, TxnBuffer } from './read-set.ts';
import { SqliteReader } from './sqlite-file.ts';

export interface OptimisticEngineOptions {
  readonly path: string;
  readonly committer: Committer;
  /** Page cache of each reading connection. */
  readonly cacheBytes: number;
  /** Pictures held open at once; more wait. */
  readonly readersMax: number;
  /** False: a connection is closed after each use, so that it keeps no server from starting (`keepOthersOut`). */
  readonly keepsReaders?: boolean;
}

const attemptsMax = 64;
const pictureIdleMs = 20;

export class OptimisticEngine implements Engine {
  readonly #options: OptimisticEngineOptions;
  readonly #idle: SqliteReader[] = [];
  readonly #waiting: ((reader: SqliteReader) => void)[] = [];
  #open = 0;
  #closed = false;
  #busy = 0;
  #drained: (() => void) | undefined;
  #letGo: NodeJS.Timeout | undefined;

  constructor(options: OptimisticEngineOptions) {
    this.#options = options;
  }

  get(key: Key): Awaitable<Value | undefined> {
    const reader = this.#acquire();
    return reader instanceof Promise ? reader.then((idle) => this.#get(idle, key)) : this.#get(reader, key);
  }

  #get(reader: SqliteReader, key: Key): Value | undefined {
    try {
      reader.begin();
      return reader.get(key);
    } finally {
      this.#release(reader);
    }
  }

  async snapshot<T>(work: (view: View) => Awaitable<T>): Promise<T> {
    const acquired = this.#acquire();
    const reader = acquired instanceof Promise ? await acquired : acquired;
    const view = new BoundView(reader);
    try {
      reader.begin();
      return await work(view);
    } finally {
      view.end();
      this.#release(reader);
    }
  }

  async transact<T>(work: (txn: Txn) => Awaitable<T>): Promise<T> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const reader = await this.#acquire();
      const txn = new TxnBuffer(reader);
      let seq: number;
      let result: T;
      let footprint: Footprint;
      try {
        reader.begin();
        seq = reader.seq();
        result = await work(txn);
      } finally {
        footprint = txn.finish();
        this.#release(reader);
      }
      // A transaction that writes nothing saw one consistent picture: there is nothing to validate.
      if (footprint.ops.length === 0) return result;
      const outcome = await this.#options.committer.commit({ seq, ...footprint });
      if (outcome.kind === 'committed') {
        txn.tell(outcome.seq);
        return result;
      }
      if (outcome.kind !== 'conflict') throw errorOf(outcome);
      await backOff(attempt);
    }
    throw new ContentionError(`a transaction met conflicts ${attemptsMax} times`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#busy > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    clearTimeout(this.#letGo);
    for (const reader of this.#idle) reader.close();
    this.#idle.length = 0;
  }

  #acquire(): SqliteReader | Promise<SqliteReader> {
    if (this.#closed) throw new UnavailableError('the store is closed');
    this.#busy++;
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#open < this.#options.readersMax) {
      this.#open++;
      try {
        const { path, cacheBytes, committer } = this.#options;
        return new SqliteReader(path, cacheBytes, committer.notesSteady === true);
      } catch (error) {
        this.#open--;
        this.#busy--;
        throw error;
      }
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  // A reader keeps its picture for the next use, but not for long when there is none.
  #release(reader: SqliteReader): void {
    this.#busy--;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting(reader);
    else if (this.#options.keepsReaders === false) {
      this.#open--;
      reader.close();
    } else this.#idle.push(reader);
    this.#letGo ??= setTimeout(() => {
      this.#letGo = undefined;
      for (const idle of this.#idle) idle.end();
    }, pictureIdleMs).unref();
    if (this.#busy === 0) this.#drained?.();
  }
}

function errorOf(outcome: Exclude<CommitOutcome, { kind: 'committed' | 'conflict' }>): Error {
  if (outcome.kind === 'counter-limit') return new CounterLimitError(outcome.key);
  if (outcome.kind === 'unknown') return new OutcomeUnknownError(outcome.message);
  if (outcome.code === 'CONTENDED') return new ContentionError(outcome.message);
  if (outcome.code === 'UNAVAILABLE') return new UnavailableError(outcome.message);
  return Object.assign(new Error(outcome.message), outcome.code === undefined ? {} : { code: outcome.code });
}

// The first turns go on at once: the conflict is with a commit that is already durable. Later ones leave room to others.
async function backOff(attempt: number): Promise<void> {
  if (attempt >= 4) await new Promise((resolve) => setTimeout(resolve, Math.min(50, attempt)));
}
