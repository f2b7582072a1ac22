// The client process: runs one job at a time for the bench and answers with figures. Forked by load.ts.
import { createHistogram } from 'node:perf_hooks';
import type { ClientMessage, Job, JobResult } from './job.ts';
import type { JobState, Lane } from './lane.ts';
import { makeLane } from './lanes.ts';
import { makeRandom } from './request.ts';

/** A server that answers wrongly this often is not measured further. */
const errorsMax = 100;
const drainMs = 20_000;
/** A window with fewer operations a connection stays open until it has them, up to so many times its length. */
const operationsMinPerConnection = 3;
const windowStretchMax = 4;

function tell(message: ClientMessage): void {
  process.send?.(message);
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

async function run(job: Job): Promise<JobResult> {
  const timed = job.kind !== 'fill' && job.kind !== 'stage' && job.kind !== 'verify';
  const histogram = createHistogram({ lowest: 1, highest: 600_000_000_000, figures: 3 });
  const lanes: Lane[] = [];
  const done = Promise.withResolvers<void>();
  let open = false;
  let overdue = false;
  let operations = 0;
  let bytes = 0;
  let errors = 0;
  let missing = 0;
  let firstError: string | undefined;
  let openedAt = 0;
  let openedUs = 0;
  let openedCpu = process.cpuUsage();
  let progressBefore = 0;
  let result: JobResult | undefined;

  const progress = (): number => lanes.reduce((sum, lane) => sum + lane.progress(), 0);
  const enough = (): boolean => operations >= operationsMinPerConnection * job.connections;
  const openWindow = (): void => {
    open = true;
    openedAt = performance.now();
    openedUs = monotonicUs();
    openedCpu = process.cpuUsage();
    progressBefore = progress();
    tell({ kind: 'window-open' });
  };
  const closeWindow = (): void => {
    if (!open) return;
    open = false;
    state.stopping = true;
    const elapsedMs = performance.now() - openedAt;
    tell({ kind: 'window-closed' });
    const cpu = process.cpuUsage(openedCpu);
    const progressed = progress() - progressBefore;
    const perOperation = operations === 0 ? 0 : bytes / operations;
    result = {
      operations: operations + progressed,
      elapsedMs,
      bytes: bytes + progressed * perOperation,
      p50Ms: histogram.count === 0 ? 0 : histogram.percentile(50) / 1e6,
      p99Ms: histogram.count === 0 ? 0 : histogram.percentile(99) / 1e6,
      clientCpuMs: (cpu.user + cpu.system) / 1000,
      errors,
      missing,
      firstError,
      windowUs: [openedUs, monotonicUs()],
    };
    done.resolve();
  };

  const state: JobState = {
    job,
    stopping: false,
    next: job.kind === 'fill' ? job.skip : 0,
    random: makeRandom(monotonicUs()),
    missing: (): void => {
      missing += 1;
    },
    completed: (startedAt: number, moved: number, right: boolean, problem: string): void => {
      if (!right) {
        errors += 1;
        firstError ??= problem;
        if (errors >= errorsMax) closeWindow();
        return;
      }
      if (!open) return;
      operations += 1;
      bytes += moved;
      histogram.record(Math.max(1, Math.round((performance.now() - startedAt) * 1e6)));
      if (operations >= job.operationsMax || (overdue && enough())) closeWindow();
    },
  };

  for (let index = 0; index < job.connections; index += 1) {
    lanes.push(makeLane(state, index));
  }
  if (!timed || job.warmMs === 0) openWindow();
  for (const lane of lanes) lane.run();
  const opening = setTimeout(() => {
    if (!open && !state.stopping) openWindow();
  }, job.warmMs);
  let stretched: NodeJS.Timeout | undefined;
  const closing = setTimeout(() => {
    overdue = true;
    if (!timed || enough()) closeWindow();
    else stretched = setTimeout(closeWindow, job.measureMs * (windowStretchMax - 1));
  }, job.warmMs + job.measureMs);
  // A job that runs out of names ends before its time.
  const watching = setInterval(() => {
    if (lanes.every((lane) => lane.idle)) closeWindow();
  }, 5);
  await done.promise;
  clearTimeout(opening);
  clearTimeout(closing);
  clearTimeout(stretched);
  clearInterval(watching);
  const drainUntil = performance.now() + drainMs;
  while (!lanes.every((lane) => lane.idle) && performance.now() < drainUntil) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (const lane of lanes) lane.close();
  // An answer that came wrong while draining counts too.
  return { ...(result as JobResult), errors, firstError };
}

process.on('message', (job: Job) => {
  run(job).then(
    (result) => tell({ kind: 'result', result }),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));
