// Everything that a store does behind its requests: each task in a loop of its own, done by one worker at a time.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { dayMs } from '../base/clock.ts';
import { unreachable } from '../base/unreachable.ts';
import { purgeContainer } from './containers.ts';
import { type DueWork, doDue } from './due.ts';
import { emptyOnce } from './emptying.ts';
import { expireUploads, trimJournal } from './expiry.ts';
import { processGarbage } from './garbage.ts';
import { pruneOnce } from './prune.ts';
import { type ReclaimCounts, reclaimOnce } from './reclaim.ts';
import { type RecoverCounts, recoverSegments } from './recover.ts';
import { restoreStep } from './restore.ts';
import type { Store } from './store.ts';
import { sweepPast } from './sweeps.ts';
import { holdTask } from './tasks.ts';
import { rehydrate } from './tiers.ts';
import { purgePast } from './times.ts';

export interface BackgroundOptions {
  /** Tells this worker from all others, also from an earlier one of the same number. */
  readonly owner: string;
  /** Segments below it that are still open were left by an earlier run: `nextSegment`, read before anything writes. */
  readonly recoverBelow: number;
  readonly segmentBytes: number;
  /** Told of each failure once; the task is tried again later. */
  readonly onError: (task: TaskName, error: unknown) => void;
  readonly onDamage: (segment: number, what: string) => void;
  readonly onRecovered?: (counts: RecoverCounts) => void;
  readonly onReclaimed?: (counts: ReclaimCounts) => void;
  readonly durations?: Partial<BackgroundDurations>;
}

export interface BackgroundDurations {
  /** How long dropped content and emptied segments stay, for reads that are under way. */
  readonly graceMs: number;
  readonly uploadAgeMs: number;
  readonly journalAgeMs: number;
  readonly damagePauseMs: number;
  readonly leaseMs: number;
  /** How long a task without work waits. */
  readonly pauseMs: number;
  /** The same for the tasks that look through everything of a kind. */
  readonly longPauseMs: number;
  readonly retryMs: number;
  readonly retryMaxMs: number;
}

const minuteMs = 60_000;
export const backgroundDurations: BackgroundDurations = {
  graceMs: minuteMs,
  uploadAgeMs: 7 * dayMs,
  journalAgeMs: 7 * dayMs,
  damagePauseMs: dayMs,
  leaseMs: 30_000,
  pauseMs: 2_000,
  longPauseMs: 10 * minuteMs,
  retryMs: 1_000,
  retryMaxMs: 5 * minuteMs,
};

const rowsMax = 500;
const smallSegmentsMax = 8;

export type TaskName = 'recover' | 'garbage' | 'due' | 'empty' | 'prune' | 'reclaim' | 'uploads' | 'journal';

interface Task {
  readonly name: TaskName;
  readonly pauseMs: number;
  /** Whether another step is due at once. */
  readonly step: () => Promise<boolean>;
}

/** Runs until the signal, and resolves when nothing of it is under way any more. */
export async function runBackground(store: Store, options: BackgroundOptions, signal: AbortSignal): Promise<void> {
  const durations: BackgroundDurations = { ...backgroundDurations, ...options.durations };
  const loops = tasksOf(store, options, durations).map((task) => loop(store, task, options, durations, signal));
  loops.push(recover(store, options, durations, signal), closeIdle(store, durations, signal));
  await Promise.all(loops);
}

function tasksOf(store: Store, options: BackgroundOptions, durations: BackgroundDurations): Task[] {
  const { graceMs, pauseMs, longPauseMs, uploadAgeMs, journalAgeMs, damagePauseMs } = durations;
  const { segmentBytes, onDamage } = options;
  const reclaim = { segmentBytes, smallMax: smallSegmentsMax, graceMs, damagePauseMs, onDamage };
  return [
    {
      name: 'garbage',
      pauseMs,
      step: async () => (await processGarbage(store, { graceMs, rowsMax })).rows === rowsMax,
    },
    { name: 'due', pauseMs, step: async () => (await doDue(store, dueWork(store), { rowsMax })).more },
    { name: 'empty', pauseMs, step: () => emptyStep(store) },
    { name: 'prune', pauseMs, step: async () => (await pruneOnce(store, { rowsMax })).removed > 0 },
    {
      name: 'reclaim',
      pauseMs,
      step: async () => {
        const counts = await reclaimOnce(store, reclaim);
        options.onReclaimed?.(counts);
        return counts.retired > 0;
      },
    },
    {
      name: 'uploads',
      pauseMs: longPauseMs,
      step: async () => {
        await expireUploads(store, { ageMs: uploadAgeMs });
        return false;
      },
    },
    {
      name: 'journal',
      pauseMs: longPauseMs,
      step: async () => (await trimJournal(store, { ageMs: journalAgeMs, rowsMax })).records === rowsMax,
    },
  ];
}

/** Whatever can be due. */
export function dueWork(store: Store): DueWork {
  return async (txn, record) => {
    switch (record.kind) {
      case 'purge-past':
        return await purgePast(store, txn, record);
      case 'sweep-past':
        return await sweepPast(store, txn, record);
      case 'purge-container':
        return await purgeContainer(txn, record);
      case 'restore':
        return await restoreStep(store, txn, record);
      case 'rehydrate':
        return await rehydrate(store, txn, record);
      default:
        return unreachable(record);
    }
  };
}

async function emptyStep(store: Store): Promise<boolean> {
  const { containers, rows } = await emptyOnce(store, { rowsMax });
  return containers > 0 || rows > 0;
}

async function loop(
  store: Store,
  task: Task,
  { owner, onError }: BackgroundOptions,
  durations: BackgroundDurations,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    let pauseMs = task.pauseMs;
    try {
      const held = await holdTask(store, { name: task.name, owner, leaseMs: durations.leaseMs }, async () => {
        let again = true;
        while (again && !signal.aborted) {
          again = await task.step();
          await nextTurn();
        }
      });
      if (held !== undefined) failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      onError(task.name, error);
      pauseMs = Math.min(durations.retryMaxMs, durations.retryMs * 2 ** failures);
      failures++;
    }
    await store.clock.sleep(pauseMs, signal);
  }
}

/** Until it was done once, by this worker or another. */
async function recover(
  store: Store,
  options: BackgroundOptions,
  durations: BackgroundDurations,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = durations.retryMs;
  while (!signal.aborted) {
    try {
      const lease = { name: 'recover', owner: options.owner, leaseMs: durations.leaseMs };
      const { recoverBelow: below, onDamage } = options;
      const held = await holdTask(store, lease, () => recoverSegments(store, { below, onDamage }));
      if (held !== undefined) {
        options.onRecovered?.(held.result);
        return;
      }
    } catch (error) {
      if (signal.aborted) return;
      options.onError('recover', error);
      pauseMs = Math.min(durations.retryMaxMs, pauseMs * 2);
    }
    await store.clock.sleep(pauseMs, signal);
  }
}

/** Every worker for itself: a file that is held open keeps its space, also when it is deleted. */
async function closeIdle(store: Store, durations: BackgroundDurations, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await store.clock.sleep(durations.pauseMs, signal);
    await store.content.closeIdle().catch(() => undefined);
  }
}
