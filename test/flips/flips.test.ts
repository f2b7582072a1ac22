// A few hundred single flipped bits over metadata and segments, none served silently; and proof that a silent one would show.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sumsOfDatabase, writeSums } from '../../src/metadata/page-sums.ts';
import { runFlips } from './flips.ts';

const work = mkdtempSync(join(tmpdir(), 'causeway-flips-'));
after(() => rmSync(work, { recursive: true, force: true }));
const seed = Number(process.env.FLIPS_SEED ?? Date.now() % 2 ** 31);

test('a flipped bit is refused or does no harm', async (t) => {
  t.diagnostic(`seed ${seed}`);
  const failures: string[] = [];
  const onFailure = (line: string): void => void failures.push(line);
  const counts = await runFlips({ work: join(work, 'flips'), seed, first: 0, flips: 200, onFailure });
  assert.deepEqual(failures, []);
  assert.equal(counts.flips, 200);
  const { segment, 'meta.db': main, 'meta.db-wal': log, ...notes } = Object.fromEntries(counts.byFile);
  // Every kind of file was hit where it matters.
  assert.ok(segment !== undefined && segment.refusedAtRead > 20, 'segments');
  assert.ok(main !== undefined && main.refusedAtOpen > 10, 'main file');
  assert.ok(log !== undefined && log.refusedAtOpen > 0, 'log');
  assert.ok(notes['meta.db.sums'] !== undefined && notes['meta.db.sums'].refusedAtOpen > 0, 'sums');
  assert.ok(notes['meta.db.mark'] !== undefined && notes['meta.db.mark'].refusedAtOpen > 0, 'mark');
});

test('without the checksums of pages, flipped bits hide names: the judge sees that', async () => {
  const hidden: string[] = [];
  await runFlips({
    work: join(work, 'control'),
    seed,
    first: 0,
    flips: 3000,
    only: 'meta.db',
    failuresMax: 5,
    afterFlip: (path) => writeSums(path, sumsOfDatabase(path)),
    onFailure: (line) => {
      if (!line.includes('but not for damage')) hidden.push(line);
    },
  });
  assert.notEqual(hidden.length, 0, 'every flip was found by something else');
});
