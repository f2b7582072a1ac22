// `npm run sim -- --seeds N [--seed S] [--break sync|order|reclaim] [--verbose]`: runs seeds, and prints what fails.
import { parseArgs } from 'node:util';
import { type Break, type Counts, simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    break: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const breaks = values.break as Break;
if (breaks !== undefined && !['sync', 'order', 'reclaim'].includes(breaks))
  throw new Error('--break sync|order|reclaim');
const first = Number(values.seed ?? 1);
const seeds = Number(values.seeds ?? (values.seed === undefined ? 100 : 1));
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(seeds))
  throw new Error('--seeds and --seed are whole numbers');

const startedMs = performance.now();
const total: Record<string, number> = {};
let failed = 0;
for (let seed = first; seed < first + seeds; seed++) {
  const options = { seed, ...(breaks && { breaks }), ...(values.verbose && { log: console.log }) };
  const { violation, counts, trace } = await simulate(options);
  for (const [name, count] of Object.entries(counts satisfies Counts)) total[name] = (total[name] ?? 0) + count;
  if (values.verbose) console.log(`seed ${seed}: trace ${trace.toString(16)}`);
  if (violation === undefined) continue;
  failed++;
  console.log(
    `seed ${seed} FAILED: ${violation}\n  replay: npm run sim -- --seed ${seed}${breaks ? ` --break ${breaks}` : ''} --verbose`,
  );
}
const seconds = (performance.now() - startedMs) / 1000;
const sums = Object.entries(total).map(([name, count]) => `${name} ${count}`);
console.log(`${seeds} seeds, ${failed} failed, ${seconds.toFixed(1)} s: ${sums.join(', ')}`);
process.exitCode = failed === 0 ? 0 : 1;
