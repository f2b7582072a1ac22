// Ranges of any kind: what they resolve to lies within the content.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../base/mutate.testing.ts';
import { parseRange, resolveRange } from './http-range.ts';

const seeds = ['bytes=0-9', 'bytes=5-', 'bytes=-5', 'bytes=0-0,2-3', 'bytes=9007199254740991-9007199254740992'];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  await fuzzCases(deadlineMs, () => {
    const input = mutate(random, pick(random, seeds));
    const length = random.below(2) === 0 ? random.below(20) : random.below(2 ** 40);
    return {
      input: { input, length },
      check() {
        const resolved = resolveRange(parseRange(input), length);
        if (resolved.kind !== 'part') return;
        assert.ok(Number.isSafeInteger(resolved.start) && Number.isSafeInteger(resolved.length));
        assert.ok(resolved.start >= 0 && resolved.length >= 1 && resolved.start + resolved.length <= length);
      },
    };
  });
}
