// Who does a background task: a lease in metadata, so that of all workers one does it, and another goes on if it dies.
import type { Clock } from '../base/clock.ts';
import type { Engine } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { decodeRecord, encodeRecord } from './records.ts';

interface TaskLease {
  readonly owner: string;
  readonly expiresMs: number;
}

interface TaskHolder {
  readonly engine: Engine;
  readonly clock: Clock;
}

interface Task {
  readonly name: string;
  readonly owner: string;
  readonly leaseMs: number;
}

/**
 * Runs `work` if nobody else holds the task, and keeps the lease up meanwhile; undefined when somebody does. The lease
 * saves work and does not guard data: a holder that stands still may overlap with the next, which every step allows for.
 */
export async function holdTask<T>(
  holder: TaskHolder,
  task: Task,
  work: () => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  if (!(await takeTask(holder, task))) return undefined;
  const ended = new AbortController();
  const renewal = renew(holder, task, ended.signal);
  try {
    return { result: await work() };
  } finally {
    ended.abort();
    await renewal;
    await giveTask(holder, task).catch(() => undefined);
  }
}

/** Of a store whose workers have all ended: what they held is free at once. */
export function forgetTasks(engine: Engine): Promise<void> {
  return engine.transact((txn) => txn.deleteRange(keys.tasks()));
}

function takeTask({ engine, clock }: TaskHolder, { name, owner, leaseMs }: Task): Promise<boolean> {
  const key = keys.task(name);
  return engine.transact(async (txn) => {
    const found = await txn.get(key);
    const lease = found && decodeRecord<TaskLease>(found);
    if (lease !== undefined && lease.owner !== owner && clock.now() < lease.expiresMs) return false;
    txn.put(key, encodeRecord({ owner, expiresMs: clock.now() + leaseMs } satisfies TaskLease));
    return true;
  });
}

function giveTask({ engine }: TaskHolder, { name, owner }: Task): Promise<void> {
  const key = keys.task(name);
  return engine.transact(async (txn) => {
    const found = await txn.get(key);
    if (found !== undefined && decodeRecord<TaskLease>(found).owner === owner) txn.delete(key);
  });
}

async function renew(holder: TaskHolder, task: Task, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    await holder.clock.sleep(task.leaseMs / 3, ended);
    // One that fails is tried again; if all do, the lease runs out.
    if (!ended.aborted) await takeTask(holder, task).catch(() => false);
  }
}
