// Damaged audit files: whatever stands in them, reading ends, and what was changed before the anchor is found.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FuzzRandom } from '../../base/mutate.testing.ts';
import { Bench, recordOf } from './audit.testing.ts';
import { exportAudit } from './export.ts';
import { settleChains } from './settle.ts';

/** Until `deadlineMs` of `Date.now()`; at least one round. */
export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  using bench = new Bench();
  const log = bench.log({ fileBytesMax: 3000 });
  for (let n = 0; n < 20; n++) {
    log.note(recordOf(`name ${n} "é\n`));
    if (n % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await log.close();
  const chain = readdirSync(bench.root)[0] as string;
  const paths = readdirSync(join(bench.root, chain)).map((name) => join(bench.root, chain, name));
  const kept = paths.map((path) => readFileSync(path));
  assert.deepEqual((await bench.verify()).findings, []);
  do {
    const at = random.below(paths.length);
    const path = paths[at] as string;
    const whole = kept[at] as Buffer;
    const damaged = damage(random, whole);
    writeFileSync(path, damaged);
    const { findings, sum } = await bench.verify();
    // Every byte is before the anchor but what is put behind the last line feed of the last file, which a crash may leave.
    const isTornEnd = at === paths.length - 1 && damaged.subarray(0, whole.length).equals(whole);
    if (!damaged.equals(whole) && !(isTornEnd && sum.torn === 1)) assert.ok(findings.length > 0, path);
    for await (const line of exportAudit(bench.root, { format: random.below(2) === 0 ? 'csv' : 'jsonl' })) {
      assert.equal(typeof line, 'string');
    }
    await settleChains(bench.engine, bench.root, Date.now());
    writeFileSync(path, whole);
    assert.deepEqual((await bench.verify()).findings, []);
  } while (Date.now() < deadlineMs);
}

function damage(random: FuzzRandom, whole: Buffer): Buffer {
  const at = random.below(whole.length);
  const to = Math.min(whole.length, at + random.below(200));
  switch (random.below(6)) {
    case 0: {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] as number) ^ (1 << random.below(8));
      return changed;
    }
    case 1:
      return whole.subarray(0, at);
    case 2:
      return Buffer.concat([whole.subarray(0, at), whole.subarray(to)]);
    case 3:
      return Buffer.concat([whole.subarray(0, at), random.bytes(random.below(300)), whole.subarray(at)]);
    case 4:
      return Buffer.concat([whole.subarray(0, to), whole.subarray(at)]);
    default:
      return Buffer.concat([whole, random.bytes(random.below(100))]);
  }
}
