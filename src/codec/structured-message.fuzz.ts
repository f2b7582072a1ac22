// Structured messages that chance spoils or makes: each gives the very content that was put in, or is refused.
import assert from 'node:assert/strict';
import type { FuzzRandom } from '../base/mutate.testing.ts';
import { encodeStructured, StructuredMessageDecoder, StructuredMessageError } from './structured-message.ts';

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  while (Date.now() < deadlineMs) {
    const content = random.bytes(random.below(4) === 0 ? 0 : random.below(300));
    const seed = random.bytes(64);
    const message = await encoded(content, 1 + random.below(120));
    const whole = { messageLength: message.length, contentLength: content.length };
    assert.deepEqual(decoded(message, whole, seed), content);
    for (let turn = 0; turn < 10; turn++) {
      const spoiled = spoil(message, random);
      const given = decoded(spoiled, { messageLength: undefined, contentLength: content.length }, seed);
      // CRC-64 finds every change of this few bytes: what is taken in spite of one is unchanged.
      if (given !== undefined) assert.deepEqual([given, spoiled], [content, message]);
    }
    decoded(Buffer.concat([message.subarray(0, 13), random.bytes(random.below(80))]), whole, seed);
    decoded(random.bytes(random.below(80)), whole, seed);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function encoded(content: Buffer, size: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const lent = { bytes: content, release: () => undefined };
  for await (const { bytes } of encodeStructured([lent], content.length, size)) chunks.push(Buffer.from(bytes));
  return Buffer.concat(chunks);
}

/** Undefined where it is refused; cut as `seed` says. */
function decoded(
  message: Buffer,
  announced: { readonly messageLength: number | undefined; readonly contentLength: number },
  seed: Buffer,
): Buffer | undefined {
  const decoder = new StructuredMessageDecoder(announced);
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for (let at = 0, i = 0; at < message.length; i++) {
      const cut = 1 + (seed[i % seed.length] as number);
      for (const part of decoder.take(message.subarray(at, at + cut))) {
        parts.push(part);
        length += part.length;
        assert.ok(length <= announced.contentLength, 'no more comes out than was announced');
      }
      at += cut;
    }
    decoder.end();
  } catch (error) {
    if (!(error instanceof StructuredMessageError)) throw error;
    return undefined;
  }
  return Buffer.concat(parts);
}

function spoil(message: Buffer, random: FuzzRandom): Buffer {
  const made = Buffer.from(message);
  const at = random.below(made.length);
  switch (random.below(3)) {
    case 0:
      made[at] = random.below(256);
      return made;
    case 1:
      return made.subarray(0, at);
    default:
      return Buffer.concat([made.subarray(0, at), random.bytes(1 + random.below(3)), made.subarray(at)]);
  }
}
