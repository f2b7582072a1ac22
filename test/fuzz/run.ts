// `bin/node test/fuzz/run.ts [--seconds 120] [--seed N] [--only WORD]`: every fuzz target for its share of the time.
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { type Random, seededRandom, systemRandom } from '../../src/base/random.ts';

type Fuzz = (random: Random, deadlineMs: number) => Promise<void>;

const root = join(import.meta.dirname, '..', '..');
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string' },
    only: { type: 'string' },
    /** Used by this file itself: one target in this process. */
    target: { type: 'string' },
  },
});
const seconds = Number(values.seconds);
const seed = values.seed === undefined ? systemRandom.below(2 ** 31) : Number(values.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) throw new Error('--seconds and --seed are numbers');

/** A target that does not come to its end so long after its time has an endless loop, or nearly. */
const graceMs = 20_000;
const listener = 'listener.fuzz.ts';
/** Shares of the time; the others have one. */
const shares = (path: string): number => (basename(path) === listener ? 4 : 1);

if (values.target !== undefined) {
  const { fuzz } = (await import(pathToFileURL(join(root, values.target)).href)) as { fuzz: Fuzz };
  await fuzz(seededRandom(seed), Date.now() + seconds * 1000);
} else await runAll();

async function runAll(): Promise<void> {
  const targets = globSync('{src,test}/**/*.fuzz.ts', { cwd: root })
    .filter((path) => values.only === undefined || path.includes(values.only))
    .sort();
  if (targets.length === 0) throw new Error('there is no such target');
  const all = targets.reduce((sum, path) => sum + shares(path), 0);
  console.log(`${targets.length} targets, ${seconds} s, seed ${seed}`);
  let failed = 0;
  for (const path of targets) {
    const share = (seconds * shares(path)) / all;
    const outcome = await runOne(path, share);
    console.log(`${outcome === undefined ? 'ok    ' : 'FAILED'} ${path} (${share.toFixed(1)} s)`);
    if (outcome === undefined) continue;
    failed += 1;
    console.log(
      `${outcome}\n  again: bin/node test/fuzz/run.ts --only ${path} --seed ${seed} --seconds ${Math.ceil(share)}`,
    );
  }
  console.log(failed === 0 ? `no failure (seed ${seed})` : `${failed} of ${targets.length} failed (seed ${seed})`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** In a process of its own, which can be ended whatever it does. Undefined: nothing was found. */
function runOne(path: string, share: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const args = [import.meta.filename, '--target', path, '--seed', `${seed}`, '--seconds', `${share}`];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let said = '';
    const listen = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    let isLate = false;
    const end = (): void => {
      try {
        // With what it started.
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It is gone.
      }
    };
    const timer = setTimeout(
      () => {
        isLate = true;
        end();
      },
      share * 1000 + graceMs,
    );
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      end();
      if (isLate) resolve(`it went on for ${graceMs} ms after its time\n${said}`);
      else resolve(code === 0 ? undefined : `ended with ${code ?? signal}\n${said}`);
    });
  });
}
