// Randomness as something that is passed in, so that a seed can replay a run.
import { randomBytes } from 'node:crypto';

export interface Random {
  bytes(count: number): Buffer;
  /** A whole number from 0 up to, and without, `below` (at most 2^48). */
  below(below: number): number;
}

// Small draws share one call of the system's generator: a call costs ten times the bytes.
const drawnBytes = 4096;
let drawn = Buffer.alloc(0);
let drawnAt = 0;

function draw48(): number {
  if (drawnAt + 6 > drawn.length) {
    drawn = randomBytes(drawnBytes);
    drawnAt = 0;
  }
  drawnAt += 6;
  return drawn.readUIntBE(drawnAt - 6, 6);
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  below: (below) => Math.floor((draw48() / 2 ** 48) * below),
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
