// Who of the queries that a gateway is asked for may run: so many at once, by turns between accounts.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineProcess } from './engine-process.ts';
import { privateDirectory } from './scratch.ts';
import { QuerySlot } from './slot.ts';

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
  /** Of the database that runs a query. */
  readonly memoryBytes: number;
  /** A query that has had its place for so long is ended, whoever waits for it. */
  readonly timeoutMs: number;
}

/** Who asks for a place, and the bytes of the content that is to be queried. */
export interface QueryClaim {
  readonly account: string;
  readonly bytes: number;
}

interface Waiting extends QueryClaim {
  enter(): void;
}

/** Of places, and of the queue: one account gets no more, and the last one free is for an account that runs nothing. */
const shareOf = (count: number): number => Math.ceil(count / 2);
const scratchBytesMin = 1024 * 1024;
/** Accounts whose last turn is remembered. */
const turnsMax = 4096;

export class QueryPool {
  readonly limits: QueryLimits;
  readonly #idle: EngineProcess[] = [];
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
      const { memoryBytes, timeoutMs } = this.limits;
      const { account } = claim;
      const limits = { account, scratchBytesMax: this.#scratchBytes(claim), memoryBytes, timeoutMs };
      return new QuerySlot(scratch, limits, this.#idle, () => this.#release(claim));
    } catch (error) {
      this.#release(claim);
      throw error;
    }
  }

  #fits({ account, bytes }: QueryClaim): boolean {
    const { queriesMax, bytesMax } = this.limits;
    if (this.#busy >= queriesMax || this.#bytes + bytes > bytesMax) return false;
    const running = this.#running.get(account) ?? 0;
    return running === 0 || (running < shareOf(queriesMax) && this.#busy < queriesMax - 1);
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
