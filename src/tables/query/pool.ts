// The processes of the query engine that a gateway keeps: few, started when asked for, ended when idle, killed when they must.
import { type ChildProcess, fork } from 'node:child_process';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { QueryEvent, QueryJob, ToEngine } from './protocol.ts';

export interface QueryLimits {
  /** Queries at once. */
  readonly queriesMax: number;
  /** Queries that wait for others to end. */
  readonly queryQueueMax: number;
  readonly queryMemoryBytes: number;
  readonly queryTimeoutMs: number;
  /** Where content lies while it is queried. */
  readonly directory: string;
}

/** How long a process waits for its next query. */
const idleMs = 15_000;
/** Of the process beside the database: the rows on their way, and the program itself. */
const heapMebibytes = 192;
/** What a server that was killed left behind is removed when it is older than any query. */
const leftoverAgeMs = 24 * 60 * 60 * 1000;

const entry = fileURLToPath(new URL('./engine.ts', import.meta.url));

/** The engine's process went away before the query was done. */
export class EngineLostError extends Error {
  readonly code = 'ENGINE_LOST';
}

export class QueryPool {
  readonly limits: QueryLimits;
  readonly #idle: Engine[] = [];
  readonly #waiting: (() => void)[] = [];
  #busy = 0;
  #next = 0;
  #swept = false;

  constructor(limits: QueryLimits) {
    this.limits = limits;
  }

  /** A place to run one query in; undefined if too many wait already, or the signal aborts. */
  async acquire(gone: AbortSignal): Promise<QuerySlot | undefined> {
    if (gone.aborted) return undefined;
    if (this.#busy >= this.limits.queriesMax) {
      if (this.#waiting.length >= this.limits.queryQueueMax) return undefined;
      if (!(await this.#turn(gone))) return undefined;
    } else this.#busy++;
    try {
      const scratch = await this.#scratch();
      return new QuerySlot(scratch, this.#idle, () => this.#release());
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #turn(gone: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        resolve(false);
      };
      const enter = (): void => {
        gone.removeEventListener('abort', leave);
        resolve(true);
      };
      gone.addEventListener('abort', leave, { once: true });
      this.#waiting.push(enter);
    });
  }

  #release(): void {
    // The place goes on to whoever waits longest.
    const enter = this.#waiting.shift();
    if (enter === undefined) this.#busy--;
    else enter();
  }

  async #scratch(): Promise<string> {
    const { directory } = this.limits;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (!this.#swept) {
      this.#swept = true;
      await sweep(directory);
    }
    const scratch = join(directory, `${process.pid}-${this.#next++}-${Date.now().toString(36)}`);
    await mkdir(scratch, { mode: 0o700 });
    return scratch;
  }
}

/** Directories of processes that are gone. */
async function sweep(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const owner = Number(/^(\d+)-/.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(owner)) continue;
    const path = join(directory, name);
    try {
      const isOld = Date.now() - (await stat(path)).mtimeMs > leftoverAgeMs;
      if (isOld || !isAlive(owner)) await rm(path, { recursive: true, force: true });
    } catch {
      // Somebody else removed it.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export class QuerySlot implements AsyncDisposable {
  /** For the query's files; it goes with the slot. */
  readonly scratch: string;
  readonly #idle: Engine[];
  readonly #release: () => void;
  #engine: Engine | undefined;
  #isDone = false;
  #given: Promise<void> | undefined;

  constructor(scratch: string, idle: Engine[], release: () => void) {
    this.scratch = scratch;
    this.#idle = idle;
    this.#release = release;
  }

  /**
   * The events of the query as they come. Throws `EngineLostError`; the signal kills the engine. When the engine has told
   * the last of them the place is free, however slowly they are read.
   */
  async *run(job: QueryJob, stop: AbortSignal): AsyncGenerator<QueryEvent> {
    const engine = this.#idle.pop() ?? new Engine(this.#idle);
    this.#engine = engine;
    const kill = (): void => {
      if (!this.#isDone) engine.kill();
    };
    stop.addEventListener('abort', kill, { once: true });
    if (stop.aborted) kill();
    try {
      const told = engine.start(job, () => {
        this.#isDone = true;
        void this[Symbol.asyncDispose]();
      });
      for (;;) {
        const event = await told.next();
        yield event;
        if (isLast(event)) return;
        engine.more(told);
      }
    } finally {
      stop.removeEventListener('abort', kill);
    }
  }

  /** Gives the place back. A process that is not done is killed: nobody else can tell what it still does. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#given ??= this.#give();
    return this.#given;
  }

  async #give(): Promise<void> {
    const engine = this.#engine;
    if (engine !== undefined) {
      if (this.#isDone && engine.isAlive) engine.rest();
      else {
        engine.kill();
        await engine.ended;
      }
    }
    await rm(this.scratch, { recursive: true, force: true });
    this.#release();
  }
}

const isLast = ({ kind }: QueryEvent): boolean => kind === 'done' || kind === 'refused';

/** What an engine told of one query, and nobody has taken yet. */
class Told {
  readonly #events: QueryEvent[] = [];
  #isLost = false;
  #wake: (() => void) | undefined;

  add(event: QueryEvent): void {
    this.#events.push(event);
    this.#wake?.();
  }

  lose(): void {
    this.#isLost = true;
    this.#wake?.();
  }

  async next(): Promise<QueryEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#isLost) throw new EngineLostError('the process of the query went away');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

class Engine {
  readonly #process: ChildProcess;
  readonly #idle: Engine[];
  readonly ended: Promise<void>;
  /** Of the query that runs. */
  #told: Told | undefined;
  #onLast: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  isAlive = true;

  constructor(idle: Engine[]) {
    this.#idle = idle;
    this.#process = fork(entry, [], {
      // Nothing of the gateway's environment is the engine's business.
      env: { HOME: tmpdir(), TZ: 'UTC' },
      execArgv: [`--max-old-space-size=${heapMebibytes}`],
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
      const end = (): void => {
        this.isAlive = false;
        this.#leave();
        this.#told?.lose();
        resolve();
      };
      this.#process.once('exit', end);
      // A process that could not be started does not exit.
      this.#process.once('error', () => {
        if (this.#process.pid === undefined) end();
      });
    });
  }

  start(job: QueryJob, onLast: () => void): Told {
    clearTimeout(this.#timer);
    this.#process.ref();
    this.#process.channel?.ref();
    const told = new Told();
    this.#told = told;
    this.#onLast = onLast;
    if (!this.isAlive) told.lose();
    this.#send({ kind: 'run', job });
    return told;
  }

  /** An event of `told` was taken: there is room for another. */
  more(told: Told): void {
    if (this.#told === told) this.#send({ kind: 'more' });
  }

  /** Waits for another query, for a while, without keeping the gateway alive. */
  rest(): void {
    this.#process.unref();
    this.#process.channel?.unref();
    this.#idle.push(this);
    this.#timer = setTimeout(() => {
      this.#leave();
      this.kill();
    }, idleMs).unref();
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  #send(message: ToEngine): void {
    if (this.isAlive && this.#process.connected) this.#process.send(message, () => undefined);
  }

  #leave(): void {
    const at = this.#idle.indexOf(this);
    if (at !== -1) this.#idle.splice(at, 1);
  }
}
