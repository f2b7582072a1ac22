// The processes of the query engine that a gateway keeps: few, started when asked for, ended when idle, killed when they must.
import { type ChildProcess, fork } from 'node:child_process';
import { statSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { QueryEvent, QueryJob, ToEngine } from './protocol.ts';
import { privateDirectory } from './scratch.ts';

export interface QueryLimits {
  /** Queries at once. */
  readonly queriesMax: number;
  /** Queries that wait for others to end. */
  readonly queryQueueMax: number;
  /** Contents that are queried at the same time have so many bytes together. */
  readonly bytesMax: number;
  /** Where content lies while it is queried. */
  readonly directory: string;
  /** It lies where everybody can write. */
  readonly isPrivate: boolean;
}

/** Who asks for a place, and the bytes of the content that is to be queried. */
export interface QueryClaim {
  readonly account: string;
  readonly bytes: number;
}

interface Waiting extends QueryClaim {
  enter(): void;
}

/** Of places, and of the queue: one account gets no more, so that others find some. */
const shareOf = (count: number): number => Math.ceil(count / 2);
const scratchBytesMin = 1024 * 1024;
/** Accounts whose last turn is remembered. */
const turnsMax = 4096;

/** How long a process waits for its next query. */
const idleMs = 15_000;
/** Of the process beside the database: the rows on their way, and the program itself. */
const heapMebibytes = 192;

const entry = fileURLToPath(new URL('./engine.ts', import.meta.url));

/** The engine's process went away before the query was done. */
export class EngineLostError extends Error {
  readonly code = 'ENGINE_LOST';
}

export class QueryPool {
  readonly limits: QueryLimits;
  readonly #idle: Engine[] = [];
  readonly #waiting: Waiting[] = [];
  /** Queries that run, by account. */
  readonly #running = new Map<string, number>();
  /** The accounts that had a turn, who had it last at the end. */
  readonly #turns = new Set<string>();
  #busy = 0;
  #bytes = 0;
  #next = 0;

  constructor(limits: QueryLimits) {
    this.limits = limits;
  }

  /** A place to run one query in; undefined if too many wait already, or the signal aborts. */
  async acquire(claim: QueryClaim, gone: AbortSignal): Promise<QuerySlot | undefined> {
    if (gone.aborted || claim.bytes > this.limits.bytesMax) return undefined;
    if (this.#fits(claim)) this.#enter(claim);
    else if (!this.#mayWait(claim) || !(await this.#turn(claim, gone))) return undefined;
    try {
      const scratch = await this.#scratch();
      return new QuerySlot(scratch, this.#scratchBytes(claim), this.#idle, () => this.#release(claim));
    } catch (error) {
      this.#release(claim);
      throw error;
    }
  }

  #fits({ account, bytes }: QueryClaim): boolean {
    const { queriesMax, bytesMax } = this.limits;
    if (this.#busy >= queriesMax || this.#bytes + bytes > bytesMax) return false;
    return (this.#running.get(account) ?? 0) < shareOf(queriesMax);
  }

  #mayWait({ account }: QueryClaim): boolean {
    const { queryQueueMax } = this.limits;
    if (this.#waiting.length >= queryQueueMax) return false;
    return this.#waiting.filter((other) => other.account === account).length < shareOf(queryQueueMax);
  }

  /** What the engine may write: the content may grow when it is written anew. All queries together stay within bounds. */
  #scratchBytes({ bytes }: QueryClaim): number {
    const { bytesMax, queriesMax } = this.limits;
    return Math.max(scratchBytesMin, Math.min(bytesMax, Math.max(Math.floor(bytesMax / queriesMax), 3 * bytes)));
  }

  #enter({ account, bytes }: QueryClaim): void {
    this.#busy++;
    this.#bytes += bytes;
    this.#running.set(account, (this.#running.get(account) ?? 0) + 1);
    this.#turns.delete(account);
    this.#turns.add(account);
    for (const oldest of this.#turns) {
      if (this.#turns.size <= turnsMax) break;
      this.#turns.delete(oldest);
    }
  }

  #turn(claim: QueryClaim, gone: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting: Waiting = {
        ...claim,
        enter: () => {
          gone.removeEventListener('abort', leave);
          resolve(true);
        },
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        resolve(false);
      };
      gone.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiting);
    });
  }

  #release({ account, bytes }: QueryClaim): void {
    this.#busy--;
    this.#bytes -= bytes;
    const running = (this.#running.get(account) ?? 1) - 1;
    if (running > 0) this.#running.set(account, running);
    else this.#running.delete(account);
    for (let next = this.#nextTurn(); next !== undefined; next = this.#nextTurn()) {
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#enter(next);
      next.enter();
    }
  }

  /** Whose account's last turn is longest ago; of one account, who waits longest. Large content holds up nobody behind it. */
  #nextTurn(): Waiting | undefined {
    const turns = [...this.#turns];
    let first: Waiting | undefined;
    let firstTurn = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting) {
      const turn = turns.indexOf(waiting.account);
      if (turn >= firstTurn || !this.#fits(waiting)) continue;
      first = waiting;
      firstTurn = turn;
    }
    return first;
  }

  async #scratch(): Promise<string> {
    const { directory } = this.limits;
    if (this.limits.isPrivate) privateDirectory(directory);
    else await mkdir(directory, { recursive: true, mode: 0o700 });
    await sweep(directory);
    const scratch = join(directory, `${process.pid}-${this.#next++}-${Date.now().toString(36)}`);
    await mkdir(scratch, { mode: 0o700 });
    return scratch;
  }
}

/** Directories of workers that are gone, of this run: those of earlier ones went when the server started. */
async function sweep(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const owner = Number(/^(\d+)-/.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(owner)) continue;
    // Somebody else may remove it as well.
    if (!isAlive(owner)) await rm(join(directory, name), { recursive: true, force: true }).catch(() => undefined);
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
  /** So many bytes may be written there beside the content. */
  readonly scratchBytesMax: number;
  #content: FileHandle | undefined;
  readonly #idle: Engine[];
  readonly #release: () => void;
  #engine: Engine | undefined;
  #isDone = false;
  #given: Promise<void> | undefined;

  constructor(scratch: string, scratchBytesMax: number, idle: Engine[], release: () => void) {
    this.scratch = scratch;
    this.scratchBytesMax = scratchBytesMax;
    this.#idle = idle;
    this.#release = release;
  }

  /**
   * A file for the content, and the path under which the engine reads it. Where that can be, it has no name: whatever ends
   * this process, nothing of the content is left. It is open until the place is given back.
   */
  async content(): Promise<{ readonly file: FileHandle; readonly path: string }> {
    const named = join(this.scratch, 'content');
    const file = await open(named, 'wx+', 0o600);
    if (this.#given !== undefined) {
      await file.close();
      throw new EngineLostError('the place of the query was given back');
    }
    this.#content = file;
    if (!isLookedInto()) return { file, path: named };
    await unlink(named);
    return { file, path: `/proc/${process.pid}/fd/${file.fd}` };
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
    try {
      await this.#content?.close();
      await rm(this.scratch, { recursive: true, force: true });
    } finally {
      this.#release();
    }
  }
}

/** Whether processes of the same user reach this one's open files: not if it runs with a right that they have not. */
function isLookedInto(): boolean {
  try {
    return statSync(`/proc/${process.pid}`).uid === process.getuid?.();
  } catch {
    return false;
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
