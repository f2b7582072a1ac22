// Frames between a worker and the committer: what was sent is what comes, and what is broken is an error and not a wish.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutateBytes } from '../base/mutate.testing.ts';
import type { CommitRequest } from './commit.ts';
import { decodeOutcome, decodeRequest, encodeOutcome, encodeRequest, Frames } from './commit-wire.ts';

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  const some = (): Buffer => random.bytes(random.below(40));
  const many = <T>(one: () => T): T[] => Array.from({ length: random.below(4) }, one);
  await fuzzCases(deadlineMs, () => {
    const request: CommitRequest = {
      seq: random.below(2 ** 40),
      reads: many(some),
      ranges: many(() => ({ start: some(), end: some() })),
      ops: many(() => {
        switch (random.below(4)) {
          case 0:
            return { kind: 'put', key: some(), value: some() } as const;
          case 1:
            return { kind: 'delete', key: some() } as const;
          case 2:
            return { kind: 'add', key: some(), delta: BigInt(random.below(100)) - 50n } as const;
          default:
            return { kind: 'deleteRange', range: { start: some(), end: some() } } as const;
        }
      }),
    };
    const frame = encodeRequest(7, request);
    const outcome = encodeOutcome(8, { kind: 'committed', seq: request.seq });
    const broken = mutateBytes(random, Buffer.concat([frame, outcome]));
    const cut = random.below(frame.length + outcome.length);
    return {
      input: { frame: frame.toString('hex'), broken: broken.toString('hex'), cut },
      check() {
        const bytes = Buffer.concat([frame, outcome]);
        const frames = new Frames();
        const found = [...frames.push(bytes.subarray(0, cut)), ...frames.push(bytes.subarray(cut))];
        assert.deepEqual(
          found.map(({ id }) => id),
          [7, 8],
        );
        const decoded = decodeRequest(found[0]?.body as Buffer);
        assert.deepEqual(encodeRequest(7, decoded), frame);
        assert.deepEqual(decodeOutcome(found[1]?.body as Buffer), { kind: 'committed', seq: request.seq });
        try {
          for (const { id, body } of new Frames().push(broken)) id === 8 ? decodeOutcome(body) : decodeRequest(body);
        } catch (error) {
          assert.ok(error instanceof RangeError, `${error}`);
        }
      },
    };
  });
}
