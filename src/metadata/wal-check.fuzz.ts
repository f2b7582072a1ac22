// Logs that are damaged at random: an outcome and no exception, and never more than SQLite wrote.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type FuzzRandom, fuzzCases, mutateBytes } from '../base/mutate.testing.ts';
import { openDatabase, putRandom, TestFolder } from './database.testing.ts';
import { checkWal, walPath } from './wal-check.ts';

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  using folder = new TestFolder();
  const path = folder.file();
  const database = openDatabase(path);
  for (let n = 0; n < 5; n++) putRandom(database, random, 3, 300);
  const log = readFileSync(walPath(path));
  const whole = checkWal(path);
  assert.equal(whole.kind, 'clean');
  const commits = whole.kind === 'clean' ? whole.commits : 0;
  const copy = folder.file();
  await fuzzCases(deadlineMs, () => {
    const broken = mutateBytes(random, log);
    return {
      input: diff(log, broken),
      check() {
        writeFileSync(walPath(copy), broken);
        const outcome = checkWal(copy);
        if (outcome.kind === 'damaged') assert.ok(outcome.frame >= 0 && outcome.offset >= 0);
        else {
          assert.ok(outcome.commits <= commits);
          for (const offset of outcome.pages.values()) assert.ok(offset + outcome.pageBytes <= broken.length);
          // One bit that flipped loses nothing in silence. More may make the last frame look like one of an older log.
          const isOneBit = broken.length === log.length && bitsChanged(log, broken) === 1;
          if (outcome.kind === 'clean' && isOneBit) assert.equal(outcome.commits, commits);
        }
      },
    };
  });
  database.close();
}

function bitsChanged(before: Buffer, after: Buffer): number {
  let bits = 0;
  for (let i = 0; i < after.length; i++) {
    for (let left = (before[i] as number) ^ (after[i] as number); left !== 0; left &= left - 1) bits++;
  }
  return bits;
}

function diff(before: Buffer, after: Buffer): string {
  const at: number[] = [];
  for (let i = 0; i < after.length && at.length < 20; i++) if (before[i] !== after[i]) at.push(i);
  return `${after.length} of ${before.length} bytes, changed at ${at}`;
}
