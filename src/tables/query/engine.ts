// The process that runs queries, one after another: nothing that a query does can reach the gateway but by messages.
import { rmSync, writeFileSync } from 'node:fs';
import type { Database } from './database.ts';
import { eventsAheadMax, type QueryEvent, type QueryJob, type ToEngine } from './protocol.ts';
import { runQuery } from './run.ts';

const progressEveryMs = 500;

let room = eventsAheadMax;
let wake: (() => void) | undefined;
/** Of the query that runs. */
let scratch: string | undefined;

process.on('message', (message: ToEngine) => {
  if (message.kind === 'run') void run(message.job);
  else {
    room++;
    wake?.();
  }
});
// Without the gateway nobody waits for anything, and nobody else removes what the query wrote.
process.on('disconnect', () => {
  if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
  // Not an exit: that waits for the thread of the statement that runs.
  process.kill(process.pid, 'SIGKILL');
});
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
preferToBeKilled();

async function run(job: QueryJob): Promise<void> {
  room = eventsAheadMax;
  scratch = job.scratch;
  let database: Database | undefined;
  let scanned = 0;
  let isStarted = false;
  const progress = setInterval(() => {
    const share = database?.progress ?? -1;
    const bytes = Math.floor(Math.max(share, 0) * job.bytes);
    scanned = Math.max(scanned, bytes);
    // Told whether or not it went on: it shows the gateway that somebody is at work, and the client that it waits well.
    if (room > 0 && isStarted) send({ kind: 'progress', scanned });
  }, progressEveryMs);
  try {
    for await (const event of runQuery(job, (opened) => (database = opened))) {
      while (room === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      database = event.kind === 'done' ? undefined : database;
      if (event.kind === 'done' || event.kind === 'refused') clearInterval(progress);
      send(event);
      isStarted = true;
    }
  } finally {
    clearInterval(progress);
  }
}

function send(event: QueryEvent): void {
  room--;
  process.send?.(event);
}

/** If memory of the machine runs out, this process is the one that it costs least to lose. */
function preferToBeKilled(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Only Linux has it.
  }
}
