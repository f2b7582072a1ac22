// Flips single bits in metadata and segments, none of which may be served: `bin/node test/flips/run.ts [--flips 10000] [--seed S]`.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runFlips } from './flips.ts';

const { values } = parseArgs({
  options: {
    flips: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    /** The flip to begin with, to see one of a seed again. */
    first: { type: 'string', default: '0' },
  },
});
const reportedMax = 20;
const work = mkdtempSync(join(tmpdir(), 'causeway-flips-'));
const startedMs = performance.now();
let reported = 0;
console.log(`seed ${values.seed}`);
try {
  const counts = await runFlips({
    work,
    seed: Number(values.seed),
    first: Number(values.first),
    flips: Number(values.flips),
    onFailure: (line) => {
      if (reported++ < reportedMax) console.log(line);
    },
  });
  console.log('file           refused at open  refused at read  harmless  silent');
  for (const [kind, { refusedAtOpen, refusedAtRead, harmless, silent }] of counts.byFile) {
    const cells = [
      String(refusedAtOpen).padStart(15),
      String(refusedAtRead).padStart(15),
      String(harmless).padStart(8),
    ];
    console.log(`${kind.padEnd(13)}  ${cells.join('  ')}  ${String(silent).padStart(6)}`);
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${counts.flips} flips in ${seconds} s, ${counts.withBackground} with the background's work, ` +
      `${counts.openedAgain} stores closed and asked again; served silently: ${counts.silent}`,
  );
  if (process.platform === 'linux') console.log(`open descriptors at the end: ${readdirSync('/proc/self/fd').length}`);
  process.exitCode = counts.silent === 0 && counts.flips === Number(values.flips) ? 0 : 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
