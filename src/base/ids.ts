// Ids that are unique across processes and sort by the time they were made.
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

export const idBytes = 16;

export interface Ids {
  /** 16 bytes: 6 of time (ms), 6 drawn at random for this process, 4 of a counter. */
  next(): Buffer;
  /** The same as 32 hexadecimal digits. */
  nextHex(): string;
}

export function createIds(clock: Clock, random: Random): Ids {
  const own = random.bytes(6);
  let counter = random.below(2 ** 24);
  const next = (): Buffer => {
    const id = Buffer.allocUnsafe(idBytes);
    id.writeUIntBE(clock.now(), 0, 6);
    own.copy(id, 6);
    counter = (counter + 1) >>> 0;
    id.writeUInt32BE(counter, 12);
    return id;
  };
  return { next, nextHex: () => next().toString('hex') };
}
