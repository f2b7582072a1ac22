// A process of the engine, as the gateway sees it: what it is told, what it tells, and how it is ended.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { limitedNode, residentBytes, residentBytesMax, watchEveryMs } from './engine-memory.ts';
import type { QueryEvent, QueryJob, ToEngine } from './protocol.ts';

/** How long a process waits for its next query. */
const idleMs = 15_000;
/** Of the process beside the database: the rows on their way, and the program itself. */
const heapMebibytes = 192;
/** A process that once held more gives it back by its end: the next query is not to pay for this one. */
const reusedBytesMax = 256 * 1024 * 1024;

const entry = fileURLToPath(new URL('./engine.ts', import.meta.url));

/** Why a query came to no end of its own. */
export type EngineLoss =
  /** The process went away. */
  | 'crashed'
  /** It took more memory than it may. */
  | 'memory'
  /** It ran longer than it may. */
  | 'time'
  /** Nobody waits for the query any more. */
  | 'left';

/** The engine's process went away before the query was done. */
export class EngineLostError extends Error {
  readonly code = 'ENGINE_LOST';
  readonly loss: EngineLoss;

  constructor(loss: EngineLoss) {
    super(`the process of the query went away: ${loss}`);
    this.loss = loss;
  }
}

export const isLast = ({ kind }: QueryEvent): boolean => kind === 'done' || kind === 'refused';

/** What an engine told of one query, and nobody has taken yet. */
export class Told {
  readonly #events: QueryEvent[] = [];
  #loss: EngineLoss | undefined;
  #wake: (() => void) | undefined;

  add(event: QueryEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  lose(loss: EngineLoss): void {
    this.#loss ??= loss;
    this.#wake?.();
  }

  async next(): Promise<QueryEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#loss !== undefined) throw new EngineLostError(this.#loss);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Runs queries of one account, one after another: what a process may still hold of one, it is not to tell another. */
export class EngineProcess {
  /** One of those that wait for a query of the account, or a new one; then the one that waits longest for nothing ends. */
  static of(account: string, idle: EngineProcess[], memoryBytes: number): EngineProcess {
    const own = idle.findLastIndex((engine) => engine.#account === account);
    const found = idle.splice(own === -1 ? 0 : own, 1)[0];
    if (own !== -1 && found !== undefined) return found;
    found?.kill('left');
    return new EngineProcess(account, idle, memoryBytes);
  }

  readonly #account: string;
  readonly #process: ChildProcess;
  readonly #idle: EngineProcess[];
  readonly #residentMax: number;
  readonly ended: Promise<void>;
  /** Of the query that runs. */
  #told: Told | undefined;
  #onLast: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #seenBytes = 0;
  #loss: EngineLoss | undefined;
  isAlive = true;

  /** `idle` are the processes that wait for a query. */
  private constructor(account: string, idle: EngineProcess[], memoryBytes: number) {
    this.#account = account;
    this.#idle = idle;
    this.#residentMax = residentBytesMax(memoryBytes);
    this.#process = fork(entry, [], {
      ...limitedNode(memoryBytes, [`--max-old-space-size=${heapMebibytes}`]),
      // Nothing of the gateway's environment is the engine's business, and no directory where others could leave it a file.
      env: { TZ: 'UTC' },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#process.on('message', (event: QueryEvent) => {
      this.#told?.add(event);
      if (!isLast(event)) return;
      this.#told = undefined;
      this.#onLast?.();
    });
    this.ended = new Promise((resolve) => {
      const end = (loss: EngineLoss): void => {
        this.isAlive = false;
        clearTimeout(this.#timer);
        this.#leave();
        this.#told?.lose(this.#loss ?? loss);
        if (this.#told !== undefined) this.#onLast?.();
        resolve();
      };
      // Node and the allocators below it abort where there is no more memory for them.
      this.#process.once('exit', (_, signal) => end(signal === 'SIGABRT' ? 'memory' : 'crashed'));
      // A process that could not be started does not exit.
      this.#process.once('error', () => {
        if (this.#process.pid === undefined) end('crashed');
      });
    });
  }

  /** `onLast` is called when it has told its last event, or has ended. */
  start(job: QueryJob, onLast: () => void): Told {
    clearTimeout(this.#timer);
    this.#process.ref();
    this.#process.channel?.ref();
    const told = new Told();
    this.#told = told;
    this.#onLast = onLast;
    if (!this.isAlive) told.lose('crashed');
    this.#send({ kind: 'run', job });
    this.#watch();
    return told;
  }

  /** An event of `told` was taken: there is room for another. */
  more(told: Told): void {
    if (this.#told === told) this.#send({ kind: 'more' });
  }

  /** Waits for another query, for a while, without keeping the gateway alive. */
  rest(): void {
    clearTimeout(this.#timer);
    if (this.#seenBytes > reusedBytesMax) {
      this.kill('left');
      return;
    }
    this.#process.unref();
    this.#process.channel?.unref();
    this.#idle.push(this);
    this.#timer = setTimeout(() => {
      this.#leave();
      this.kill('left');
    }, idleMs).unref();
  }

  kill(loss: EngineLoss): void {
    this.#loss ??= loss;
    this.#process.kill('SIGKILL');
  }

  /** Looks at its memory for as long as a query runs. */
  #watch(): void {
    this.#timer = setTimeout(async () => {
      const bytes = (await residentBytes(this.#process.pid ?? 0)) ?? 0;
      if (this.#told === undefined || !this.isAlive) return;
      this.#seenBytes = Math.max(this.#seenBytes, bytes);
      if (bytes > this.#residentMax) this.kill('memory');
      else this.#watch();
    }, watchEveryMs).unref();
  }

  #send(message: ToEngine): void {
    if (this.isAlive && this.#process.connected) this.#process.send(message, () => undefined);
  }

  #leave(): void {
    const at = this.#idle.indexOf(this);
    if (at !== -1) this.#idle.splice(at, 1);
  }
}
