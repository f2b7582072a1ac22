// `npm run check`: types, format and lint, dead code, and the rules of the tree; one line each, and what is wrong in full.
import { execFile } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (path: string) => join(root, 'node_modules', path);

const checks: readonly { name: string; args: readonly string[] }[] = [
  { name: 'types (TypeScript)', args: [bin('typescript/bin/tsc'), '--project', root, '--pretty', 'false'] },
  {
    name: 'format and lint (Biome)',
    args: [bin('@biomejs/biome/bin/biome'), 'ci', '--colors=off', '--max-diagnostics=50'],
  },
  { name: 'dead code (knip)', args: [bin('knip/bin/knip.js'), '--no-progress', '--no-config-hints'] },
  { name: 'rules of the tree (tidy)', args: ['--test', '--test-reporter=dot', join(root, 'test/tidy.test.ts')] },
];

const runningMax = 2;
const timeoutMs = 120_000;

interface Result {
  readonly passed: boolean;
  readonly output: string;
  readonly durationMs: number;
}

function run(args: readonly string[]): Promise<Result> {
  const startedMs = performance.now();
  // A test runner started by another one would report to it, in its own format.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = { cwd: root, env: { ...env, NO_COLOR: '1' }, timeout: timeoutMs, maxBuffer: 64 << 20 };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      const cut = error?.killed === true ? `\nstopped after ${timeoutMs / 1000} s` : '';
      resolve({ passed: error === null, output: stdout + stderr + cut, durationMs: performance.now() - startedMs });
    });
  });
}

const startedMs = performance.now();
const queue = [...checks];
let failed = 0;
await Promise.all(
  Array.from({ length: runningMax }, async () => {
    for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
      const { passed, output, durationMs } = await run(check.args);
      if (!passed) failed++;
      console.log(`${passed ? 'ok    ' : 'FAILED'}  ${check.name}, ${(durationMs / 1000).toFixed(1)} s`);
      if (!passed) console.log(output.trimEnd().replace(/^/gm, '        '));
    }
  }),
);
console.log(
  `check: ${checks.length - failed} of ${checks.length} passed in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
);
process.exitCode = failed === 0 ? 0 : 1;
