// Randomness as something that is passed in, so that a seed can replay a run.
import { randomBytes } from 'node:crypto';

export interface Random {
  bytes(count: number): Buffer;
  /** A whole number from 0 up to, and without, `below` (at most 2^48). */
  below(below: number): number;
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  below: (below) => Math.floor((randomBytes(6).readUIntBE(0, 6) / 2 ** 48) * below),
};

/** A reproducible generator (mulberry32): for tests and the simulation, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next32 = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    bytes(count) {
      const bytes = Buffer.allocUnsafe(count);
      for (let i = 0; i < count; i++) bytes[i] = next32() & 0xff;
      return bytes;
    },
    below: (below) => Math.floor((next32() / 2 ** 32) * below),
  };
}
