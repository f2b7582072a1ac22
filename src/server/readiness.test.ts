// What makes a server not ready: too few workers, a committer that hangs or refuses, a disk that does.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CommitOutcome } from '../metadata/commit.ts';
import { probeDisk, Readiness, type ReadinessOptions } from './readiness.ts';

const committed: CommitOutcome = { kind: 'committed', seq: 1 };

function readiness(changed: Partial<ReadinessOptions> & { commit?: () => Promise<CommitOutcome> }) {
  const { commit = async () => committed, ...more } = changed;
  return new Readiness({
    workers: 4,
    answering: () => 4,
    committer: { commit },
    writeToDisk: async () => undefined,
    timeoutMs: 50,
    freshMs: 1,
    nowMs: () => performance.now(),
    ...more,
  });
}

test('a server whose parts all answer has no problem', async () => {
  assert.deepEqual(await readiness({}).problems(), []);
});

test('more than half of the workers are enough, and half are not', async () => {
  assert.deepEqual(await readiness({ answering: () => 3 }).problems(), []);
  assert.deepEqual(await readiness({ answering: () => 2 }).problems(), ['workers: 2 of 4 answer']);
  assert.deepEqual(await readiness({ workers: 1, answering: () => 0 }).problems(), ['workers: 0 of 1 answer']);
});

test('a committer that hangs is one probe, however many ask, and is well again when it answers', async () => {
  let begun = 0;
  const answer = Promise.withResolvers<CommitOutcome>();
  const asked = readiness({
    commit: () => {
      begun++;
      return answer.promise;
    },
  });
  const many = await Promise.all(Array.from({ length: 5 }, () => asked.problems()));
  for (const problems of many) assert.deepEqual(problems, ['commits: no answer in 50 ms']);
  assert.deepEqual(await asked.problems(), ['commits: no answer in 50 ms']);
  assert.equal(begun, 1);
  answer.resolve(committed);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(await asked.problems(), []);
  assert.equal(begun, 2);
});

test('a committer and a disk that refuse are named with the reason', async () => {
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
  const problems = await readiness({
    commit: async () => ({ kind: 'failed', message: 'no', code: 'UNAVAILABLE' }),
    writeToDisk: () => Promise.reject(full),
  }).problems();
  assert.deepEqual(problems, ['commits: refused (UNAVAILABLE)', 'disk: refused (ENOSPC)']);
});

test('the probe of a disk leaves nothing behind, and fails where there is none', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-probe-'));
  await probeDisk(directory);
  assert.deepEqual(readdirSync(directory), []);
  rmSync(directory, { recursive: true });
  await assert.rejects(probeDisk(directory), { code: 'ENOENT' });
});
