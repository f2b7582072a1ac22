// Whether the server can do its work now: workers that answer, a committer that commits, a disk that takes writes.
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import type { Committer } from '../metadata/commit.ts';

export interface ReadinessOptions {
  readonly workers: number;
  /** How many of them serve and answer. */
  readonly answering: () => number;
  readonly committer: Committer;
  /** Writes something for good. */
  readonly writeToDisk: () => Promise<void>;
  /** What takes longer counts as hanging. */
  readonly timeoutMs: number;
  /** For so long an answer is good enough for others who ask. */
  readonly freshMs: number;
  readonly nowMs: () => number;
}

const probeBytes = 256 * 1024;

/** A commit of nothing: a write of the store's commit number, synced like any other. */
const emptyCommit = { seq: Number.MAX_SAFE_INTEGER, reads: [], ranges: [], ops: [] };

/** A probe that hangs is not begun again before it ends, however many ask. */
export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #committing: Probe;
  readonly #writing: Probe;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    const { committer, writeToDisk } = options;
    this.#committing = new Probe(options, async () => {
      const outcome = await committer.commit(emptyCommit);
      if (outcome.kind !== 'committed') throw Object.assign(new Error(outcome.kind), { ...codeOf(outcome) });
    });
    this.#writing = new Probe(options, writeToDisk);
  }

  /** What is wrong, a line each; none: requests can be served. */
  async problems(): Promise<string[]> {
    const { workers, answering } = this.#options;
    const [commit, disk] = await Promise.all([this.#committing.problem(), this.#writing.problem()]);
    const now = answering();
    return [
      ...(now * 2 > workers ? [] : [`workers: ${now} of ${workers} answer`]),
      ...(commit === undefined ? [] : [`commits: ${commit}`]),
      ...(disk === undefined ? [] : [`disk: ${disk}`]),
    ];
  }
}

class Probe {
  readonly #options: ReadinessOptions;
  readonly #work: () => Promise<void>;
  #running: Promise<string | undefined> | undefined;
  #startedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReadinessOptions, work: () => Promise<void>) {
    this.#options = options;
    this.#work = work;
  }

  async problem(): Promise<string | undefined> {
    const { timeoutMs, freshMs, nowMs } = this.#options;
    if (this.#running === undefined) {
      this.#startedMs = nowMs();
      this.#running = this.#work().then(
        () => undefined,
        (error: NodeJS.ErrnoException) => `refused (${error.code ?? 'see the log'})`,
      );
      // Fresh from its end on: one that hung is over only then.
      void this.#running
        .then(() => after(freshMs, undefined, { ref: false }))
        .then(() => {
          this.#running = undefined;
        });
    }
    const leftMs = Math.max(0, this.#startedMs + timeoutMs - nowMs());
    const late = new AbortController();
    const outcome = await Promise.race([
      this.#running,
      after(leftMs, `no answer in ${timeoutMs} ms`, { ref: false, signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    return outcome;
  }
}

function codeOf(outcome: object): { code?: string } {
  return 'code' in outcome && typeof outcome.code === 'string' ? { code: outcome.code } : {};
}

/** Takes room on the disk of the directory, and gives it back. */
export async function probeDisk(directory: string): Promise<void> {
  const path = join(directory, 'ready.probe');
  try {
    const file = await open(path, 'w', 0o600);
    try {
      await file.writeFile(Buffer.alloc(probeBytes, 1));
      await file.datasync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}
