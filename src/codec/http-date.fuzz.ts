// Dates of any kind: a time or undefined, and what was formatted reads as it was.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../base/mutate.testing.ts';
import { formatHttpDate, formatIsoTime, parseHttpDate, parseIsoTime } from './http-date.ts';

const seeds = [
  'Sun, 06 Nov 1994 08:49:37 GMT',
  'Sunday, 06-Nov-94 08:49:37 GMT',
  'Sun Nov  6 08:49:37 1994',
  '2022-11-02T10:20:30.1234567Z',
  '2022-11-02T10:20Z',
  '2022-11-02',
];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  await fuzzCases(deadlineMs, () => {
    const input = mutate(random, pick(random, seeds), seeds);
    const timeMs = random.below(4_000_000_000) * 1000;
    return {
      input,
      check() {
        for (const parsed of [parseHttpDate(input), parseIsoTime(input)]) {
          if (parsed !== undefined) assert.ok(Number.isFinite(parsed), `${parsed}`);
        }
        assert.equal(parseHttpDate(formatHttpDate(timeMs)), timeMs);
        assert.equal(parseIsoTime(formatIsoTime(timeMs)), timeMs);
      },
    };
  });
}
