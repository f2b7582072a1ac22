// `npm test`: the checks, every test file, and the simulation; it goes on after a failure, so that one run shows them all.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

interface Step {
  readonly name: string;
  readonly args: readonly string[];
}

const root = join(import.meta.dirname, '..');
const fileTimeoutMs = 120_000;
/** The last resort, for a loop that never ends: `deadline.ts` tells of everything else sooner and by name. */
const stepTimeoutMs = 15 * 60_000;
const simulationSeeds = 500;

/** Test files start servers of their own; more of them at once than there are cores makes their timings meaningless. */
const filesAtOnce = Math.min(4, Math.max(2, availableParallelism()));

const testFiles = globSync('{src,test,gates,bench,sim}/**/*.test.ts', { cwd: root })
  // check runs it
  .filter((path) => path !== join('test', 'tidy.test.ts'))
  .sort();

const steps: Step[] = [
  { name: 'check', args: [join('test', 'check.ts')] },
  {
    name: 'tests',
    args: [
      '--disable-warning=ExperimentalWarning',
      '--import',
      './test/deadline.ts',
      '--test',
      `--test-concurrency=${filesAtOnce}`,
      `--test-timeout=${fileTimeoutMs}`,
      '--test-reporter=spec',
      ...testFiles,
    ],
  },
];
if (existsSync(join(root, 'sim', 'run.ts'))) {
  steps.push({ name: 'simulation', args: [join('sim', 'run.ts'), '--seeds', String(simulationSeeds)] });
}

let running: ChildProcess | undefined;

/** A step is a process group, so that nothing of it outlives it. */
function killStep(signal: NodeJS.Signals): void {
  if (running?.pid === undefined) return;
  try {
    process.kill(-running.pid, signal);
  } catch (error) {
    // macOS says EPERM of a group that has only ended processes left.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    killStep('SIGKILL');
    process.exit(1);
  });
}

async function run({ name, args }: Step): Promise<{ passed: boolean; line: string }> {
  console.log(`\n== ${name}`);
  const startedMs = performance.now();
  const env = { ...process.env, TEST_FILE_TIMEOUT_MS: String(fileTimeoutMs) };
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', detached: true, env });
  running = child;
  const timer = setTimeout(() => killStep('SIGKILL'), stepTimeoutMs);
  const ending = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  clearTimeout(timer);
  killStep('SIGKILL');
  running = undefined;
  const passed = ending === 0;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  return { passed, line: `${name}: ${passed ? 'passed' : `FAILED (${ending})`}, ${seconds} s` };
}

const results: { passed: boolean; line: string }[] = [];
for (const step of steps) results.push(await run(step));

console.log(`\n${results.map(({ line }) => line).join('\n')}`);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
