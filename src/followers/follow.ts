// Runs a follower of the journal: one worker of all at a time, from where it stands, as far as there are records.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { GaugeFamily, Metrics } from '../base/metrics.ts';
import {
  commitsBehind,
  type JournalRow,
  type LostRecords,
  moveFollower,
  openFollower,
  readBehind,
} from '../namespace/followers.ts';
import type { JournalRecord } from '../namespace/journal.ts';
import { decodeRecord } from '../namespace/records.ts';
import type { Store } from '../namespace/store.ts';
import { holdTask } from '../namespace/tasks.ts';

export type Taken =
  /** What was made of the records is durable, and the cursor stands behind the last of them. */
  | 'stored'
  /** Nothing had to be made of them: the cursor may move later. */
  | 'skipped'
  /** The cursor does not stand where it did; nothing was written. */
  | 'overtaken';

export interface Follower {
  readonly name: string;
  /** Each record comes again until it is taken; `cursor` is where `moveFollower` moves from. */
  take(cursor: string, rows: readonly JournalRow[]): Promise<Taken>;
  /** All records that were committed by `nowMs` are taken. */
  rest?(nowMs: number): Promise<void>;
}

export interface FollowOptions {
  readonly owner: string;
  /** How long it waits at the journal's end. */
  readonly pauseMs: number;
  readonly rowsMax?: number;
  readonly leaseMs?: number;
  readonly retryMs?: number;
  readonly metrics?: FollowerMetrics;
  /** Told of each failure once; the work is tried again. */
  readonly onError: (follower: string, error: unknown) => void;
  readonly onLost: (follower: string, lost: LostRecords) => void;
}

const rowsMaxByDefault = 2000;
const leaseMsByDefault = 30_000;
const retryMsByDefault = 1000;
/** How often a worker looks whether the one that does it is gone. */
const takeoverMs = 2000;
const retryMsMax = 60_000;
/** Records that nothing is made of are read again after a crash: so many, or of so long a time. */
const skippedMax = 20_000;
const skippedMs = 10_000;

export interface FollowerMetrics {
  readonly seconds: GaugeFamily<'follower'>;
  readonly records: GaugeFamily<'follower'>;
  readonly lost: GaugeFamily<'follower'>;
}

/** Of all workers the one that does the work has a figure, and the others none. */
export function followerMetrics(metrics: Metrics): FollowerMetrics {
  const gauge = (name: string, help: string): GaugeFamily<'follower'> =>
    metrics.gauge<'follower'>(name, { help, labels: ['follower'], merge: 'max' });
  return {
    seconds: gauge('causeway_follower_lag_seconds', 'Age of the newest journal record that a follower is done with'),
    records: gauge('causeway_follower_lag_records', 'Journal records that a follower has not read, at the most'),
    lost: gauge('causeway_follower_lost_records', 'Journal records that were trimmed before a follower read them'),
  };
}

/** Runs until the signal, and resolves when nothing of it is under way any more. */
export async function runFollower(
  store: Store,
  follower: Follower,
  options: FollowOptions,
  signal: AbortSignal,
): Promise<void> {
  const { owner, leaseMs = leaseMsByDefault, retryMs = retryMsByDefault } = options;
  let failures = 0;
  while (!signal.aborted) {
    let pauseMs = Math.min(options.pauseMs, leaseMs / 3);
    try {
      const task = { name: `follow-${follower.name}`, owner, leaseMs };
      const held = await holdTask(store, task, () => follow(store, follower, options, signal));
      failures = 0;
      // Another worker does it, and has the figures.
      if (held === undefined) pauseMs = Math.min(leaseMs / 3, Math.max(pauseMs, takeoverMs));
      else setLag(options, follower.name, 0, 0);
    } catch (error) {
      if (signal.aborted) return;
      options.onError(follower.name, error);
      pauseMs = Math.min(retryMsMax, retryMs * 2 ** failures);
      failures++;
    }
    await store.clock.sleep(pauseMs, signal);
  }
}

/** Until the signal, or until somebody else moved the cursor. */
async function follow(store: Store, follower: Follower, options: FollowOptions, signal: AbortSignal): Promise<void> {
  const { name } = follower;
  const limit = options.rowsMax ?? rowsMaxByDefault;
  const opened = await openFollower(store, name);
  if (opened.lost !== undefined) {
    options.metrics?.lost.of({ follower: name }).add(opened.lost.records);
    options.onLost(name, opened.lost);
  }
  let stored = opened.cursor;
  let storedMs = store.clock.now();
  let cursor = stored;
  let skipped = 0;
  while (!signal.aborted) {
    const nowMs = store.clock.now();
    const from = cursor;
    const { rows, isEnd } = await store.engine.snapshot((view) => readBehind(view, from, limit));
    const last = rows.at(-1);
    if (last !== undefined) {
      const taken = await follower.take(stored, rows);
      if (taken === 'overtaken') return;
      cursor = last.id;
      skipped += rows.length;
      if (taken === 'stored') stored = cursor;
    }
    if (stored !== cursor && (skipped >= skippedMax || nowMs - storedMs >= skippedMs)) {
      const [before, to] = [stored, cursor];
      if (!(await store.engine.transact((txn) => moveFollower(txn, name, before, to)))) return;
      stored = cursor;
    }
    if (stored === cursor) {
      storedMs = nowMs;
      skipped = 0;
    }
    if (isEnd) {
      await follower.rest?.(nowMs);
      setLag(options, name, 0, 0);
      await store.clock.sleep(options.pauseMs, signal);
    } else {
      await noteLag(store, options, name, last);
      await nextTurn();
    }
  }
}

async function noteLag(
  store: Store,
  options: FollowOptions,
  name: string,
  last: JournalRow | undefined,
): Promise<void> {
  if (options.metrics === undefined || last === undefined) return;
  const commits = await store.engine.snapshot((view) => commitsBehind(view, last.id));
  const { atMs } = decodeRecord<JournalRecord>(last.value);
  setLag(options, name, Math.max(0, store.clock.now() - atMs) / 1000, commits);
}

function setLag({ metrics }: FollowOptions, follower: string, seconds: number, records: number): void {
  metrics?.seconds.of({ follower }).set(seconds);
  metrics?.records.of({ follower }).set(records);
}
