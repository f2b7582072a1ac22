// Blob content that is known by a number, so that nothing has to be kept to compare it, and a mixture of two shows.
import { createHash } from 'node:crypto';
import { seeded } from './seeded.ts';

const contentBytesMax = 8 * 1024 * 1024;
const strideBytes = 509;

const pool = (() => {
  const random = seeded(0xc0ffee);
  const words = new Uint32Array(contentBytesMax / 4 + 64 * 1024);
  for (let index = 0; index < words.length; index++) words[index] = random.next() * 2 ** 32;
  return Buffer.from(words.buffer);
})();

/** The content with this number: noise, with the number at every 509th byte. */
export function contentOf(number: number, bytes: number): Buffer {
  if (bytes > contentBytesMax) throw new RangeError(`${bytes} bytes are more than ${contentBytesMax}`);
  const from = (Math.imul(number, 2654435761) >>> 0) % (pool.length - contentBytesMax);
  const content = Buffer.from(pool.subarray(from, from + bytes));
  for (let at = 0; at + 4 <= bytes; at += strideBytes) content.writeUInt32LE(number >>> 0, at);
  return content;
}

export function checksumOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
