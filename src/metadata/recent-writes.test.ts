// The window of recent writes against a plain list of them, and what a check costs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../base/random.ts';
import { idOf } from './byte-order.ts';
import type { Range } from './engine.ts';
import { type Op, stampKey } from './read-set.ts';
import { RecentWrites } from './recent-writes.ts';

const randomKey = (random: Random) => random.bytes(1 + random.below(2)).map((byte) => byte & 0x1f);

function randomRange(random: Random): Range {
  const [start, end] = [randomKey(random), randomKey(random)].sort(Buffer.compare) as [Buffer, Buffer];
  return { start, end };
}

function randomOp(random: Random): Op {
  const key = randomKey(random);
  switch (random.below(8)) {
    case 0:
      return { kind: 'delete', key };
    case 1:
      return { kind: 'deleteRange', range: randomRange(random) };
    case 2:
      return { kind: 'add', key, delta: 1n };
    case 3:
      return { kind: 'putStamped', prefix: key, place: 0, value: key };
    default:
      return { kind: 'put', key, value: key };
  }
}

const within = (key: Uint8Array, { start, end }: Range) => idOf(key) >= idOf(start) && idOf(key) < idOf(end);

/** Whether an op of commit `seq` wrote `read`, a key or a range. */
function wrote(op: Op, seq: number, read: Uint8Array | Range): boolean {
  if (op.kind === 'deleteRange') {
    if (read instanceof Uint8Array) return within(read, op.range);
    const start = [idOf(read.start), idOf(op.range.start)].sort()[1] as string;
    const end = [idOf(read.end), idOf(op.range.end)].sort()[0] as string;
    return start < end;
  }
  const key = op.kind === 'putStamped' ? stampKey(op.prefix, seq, op.place) : op.key;
  return read instanceof Uint8Array ? idOf(key) === idOf(read) : within(key, read);
}

test('a conflict is found exactly when a later commit in the window wrote what was read', () => {
  const random = seededRandom(7);
  const found = { true: 0, false: 0, 'too-old': 0 };
  for (let round = 0; round < 4; round += 1) {
    const recent = new RecentWrites({ after: 10, writesMax: 2048 });
    const log: { seq: number; ops: Op[] }[] = [];
    let seq = 10;
    let oldestKnown = 10;
    for (let step = 0; step < 3000; step += 1) {
      seq += 1 + random.below(2);
      const ops = Array.from({ length: random.below(4) }, () => randomOp(random));
      log.push({ seq, ops });
      recent.note(seq, ops);
      const snapshotSeq = Math.max(seq - random.below(random.below(20) === 0 ? 2000 : 12), 0);
      const reads = Array.from({ length: random.below(3) }, () => randomKey(random));
      const ranges = Array.from({ length: random.below(2) }, () => randomRange(random));
      const answer = recent.conflicts(snapshotSeq, reads, ranges);
      found[`${answer}`] += 1;
      if (answer === 'too-old') {
        oldestKnown = Math.max(oldestKnown, snapshotSeq + 1);
        continue;
      }
      const later = log.filter((commit) => commit.seq > snapshotSeq);
      const expected = later.some((commit) =>
        commit.ops.some((op) => [...reads, ...ranges].some((read) => wrote(op, commit.seq, read))),
      );
      assert.equal(answer, expected, `step ${step}: snapshot ${snapshotSeq} of ${seq}`);
      if (answer || reads.length + ranges.length > 0) assert.ok(snapshotSeq >= oldestKnown || snapshotSeq >= seq);
    }
  }
  for (const [answer, count] of Object.entries(found)) assert.ok(count > 100, `${answer}: ${count}`);
});

test('the window never forgets more than it must, and says so', () => {
  const recent = new RecentWrites({ after: 0, writesMax: 4096 });
  const key = (n: number) => Buffer.from(`key ${n}`);
  for (let seq = 1; seq <= 20_000; seq += 1) recent.note(seq, [{ kind: 'put', key: key(seq), value: key(0) }]);
  assert.equal(recent.conflicts(20_000 - 2048, [key(20_000 - 2047)], []), true);
  assert.equal(recent.conflicts(20_000 - 2048, [key(20_000 - 2048)], []), false);
  assert.equal(recent.conflicts(1000, [key(1)], []), 'too-old');
  assert.equal(recent.conflicts(1000, [], []), false, 'who read nothing conflicts with nobody');
});

test('one commit of very many writes is taken in linear time', { timeout: 20_000 }, () => {
  const recent = new RecentWrites({ after: 0 });
  const ops: Op[] = Array.from({ length: 200_000 }, (_, n) => {
    const key = Buffer.from(`key ${200_000 - n}`);
    return { kind: 'put', key, value: key };
  });
  recent.note(1, ops);
  assert.equal(recent.conflicts(0, [Buffer.from('key 1')], []), 'too-old');
  assert.equal(recent.conflicts(1, [Buffer.from('key 1')], []), false);
});

test('numbers that fall are refused', () => {
  const recent = new RecentWrites({ after: 5 });
  assert.throws(() => recent.note(5, []), /noted after/);
  recent.note(9, []);
  assert.throws(() => recent.note(8, []), /noted after/);
});
