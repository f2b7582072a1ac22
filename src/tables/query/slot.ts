// One query's place: its files, the process that runs it, and the time that it has.
import { statSync } from 'node:fs';
import { type FileHandle, open, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type EngineLoss, EngineLostError, EngineProcess, isLast } from './engine-process.ts';
import { type QueryEvent, type QueryFault, type QueryJob, resourcesExceeded } from './protocol.ts';

export interface SlotLimits {
  /** Whose query it is. */
  readonly account: string;
  readonly memoryBytes: number;
  readonly scratchBytesMax: number;
  readonly timeoutMs: number;
}

const lost = (name: string, description: string): QueryFault => ({
  kind: 'error',
  fatal: true,
  name,
  description,
  position: 0,
});

/** How the answer's stream tells of it. */
const faults: Readonly<Record<Exclude<EngineLoss, 'left'>, QueryFault>> = {
  time: lost('OperationTimedOut', 'The query took longer than it may.'),
  memory: lost(...resourcesExceeded),
  crashed: lost('InternalError', 'The query could not be run to its end.'),
};

export class QuerySlot implements AsyncDisposable {
  /** For the query's files; it goes with the slot. */
  readonly scratch: string;
  readonly limits: SlotLimits;
  readonly #ending = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #idle: EngineProcess[];
  readonly #release: () => void;
  #content: FileHandle | undefined;
  #engine: EngineProcess | undefined;
  #isDone = false;
  #given: Promise<void> | undefined;

  constructor(scratch: string, limits: SlotLimits, idle: EngineProcess[], release: () => void) {
    this.scratch = scratch;
    this.limits = limits;
    this.#idle = idle;
    this.#release = release;
    this.#timer = setTimeout(() => void this.#end('time'), limits.timeoutMs).unref();
  }

  /** Aborts with an `EngineLostError` when the place is given back, whatever the query has come to. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * A file for the content, and the path under which the engine reads it. Where that can be, it has no name: whatever ends
   * this process, nothing of the content is left. It is open until the place is given back.
   */
  async content(): Promise<{ readonly file: FileHandle; readonly path: string }> {
    const named = join(this.scratch, 'content');
    const file = await open(named, 'wx+', 0o600);
    if (this.ended.aborted) {
      await file.close();
      throw this.ended.reason;
    }
    this.#content = file;
    if (!isLookedInto()) return { file, path: named };
    await unlink(named);
    return { file, path: `/proc/${process.pid}/fd/${file.fd}` };
  }

  /**
   * The events of the query as they come; one that is ended, or whose process is, ends with an error in the stream. Throws
   * `EngineLostError` instead where nothing can have been told, but not for memory: the same query would take it again.
   * When the engine has told its last event the place is free, however slowly they are read; when the place is given back
   * before that, the events just cease.
   */
  async *run(job: QueryJob): AsyncGenerator<QueryEvent> {
    let isStarted = false;
    try {
      for await (const event of this.#tell(job)) {
        isStarted ||= event.kind === 'started';
        yield event;
      }
    } catch (error) {
      if (!(error instanceof EngineLostError) || (!isStarted && error.loss !== 'memory')) throw error;
      if (error.loss === 'left') return;
      if (!isStarted) yield { kind: 'started' };
      yield faults[error.loss];
      yield { kind: 'done' };
    }
  }

  async *#tell(job: QueryJob): AsyncGenerator<QueryEvent> {
    this.ended.throwIfAborted();
    const engine = EngineProcess.of(this.limits.account, this.#idle, this.limits.memoryBytes);
    this.#engine = engine;
    const told = engine.start(job, () => {
      this.#isDone = true;
      void this.#end('left');
    });
    for (;;) {
      const event = await told.next();
      yield event;
      if (isLast(event)) return;
      engine.more(told);
    }
  }

  /** Gives the place back. A process that is not done is killed: nobody else can tell what it still does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#end('left');
  }

  #end(loss: EngineLoss): Promise<void> {
    this.#given ??= this.#give(loss);
    return this.#given;
  }

  async #give(loss: EngineLoss): Promise<void> {
    clearTimeout(this.#timer);
    this.#ending.abort(new EngineLostError(loss));
    const engine = this.#engine;
    if (engine !== undefined) {
      if (this.#isDone && engine.isAlive) engine.rest();
      else {
        engine.kill(loss);
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
