// A committer behind a stream: how long it has been silent, and how much waits for it.
import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import type { CommitOutcome } from './commit.ts';
import { RemoteCommitter, serveCommits } from './commit-channel.ts';

const put = (bytes: number) => ({
  seq: 1,
  reads: [],
  ranges: [],
  ops: [{ kind: 'put', key: Buffer.from('k'), value: Buffer.alloc(bytes) } as const],
});

function world() {
  const clock = { nowMs: 0 };
  const answers: ((outcome: CommitOutcome) => void)[] = [];
  const [near, far] = duplexPair();
  serveCommits(far, { commit: () => new Promise((resolve) => answers.push(resolve)) });
  const remote = new RemoteCommitter(near, { waitingBytesMax: 1000, nowMs: () => clock.nowMs });
  const arrived = async (count: number): Promise<void> => {
    while (answers.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, answers, remote, arrived };
}

test('a committer is silent from the first that waits, or from its last word', async () => {
  const { clock, answers, remote, arrived } = world();
  clock.nowMs = 100;
  assert.equal(remote.silentMs, 0);
  const first = remote.commit(put(1));
  clock.nowMs = 150;
  const second = remote.commit(put(1));
  clock.nowMs = 200;
  assert.equal(remote.silentMs, 100);
  await arrived(2);
  answers[0]?.({ kind: 'committed', seq: 2 });
  await first;
  clock.nowMs = 230;
  assert.equal(remote.silentMs, 30);
  answers[1]?.({ kind: 'conflict' });
  await second;
  assert.equal(remote.silentMs, 0);
});

test('what waits is bounded, and one alone may be larger', async () => {
  const { answers, remote, arrived } = world();
  const large = remote.commit(put(5000));
  const refused = await remote.commit(put(1));
  assert.equal(refused.kind === 'failed' && refused.code, 'CONTENDED');
  await arrived(1);
  answers[0]?.({ kind: 'committed', seq: 2 });
  assert.equal((await large).kind, 'committed');
  const small = [remote.commit(put(300)), remote.commit(put(300))];
  assert.equal((await remote.commit(put(600))).kind, 'failed');
  await arrived(3);
  for (const answer of answers) answer({ kind: 'committed', seq: 3 });
  assert.deepEqual(
    (await Promise.all(small)).map(({ kind }) => kind),
    ['committed', 'committed'],
  );
});
