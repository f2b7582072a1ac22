// Structured messages: one written out byte by byte, whatever is cut where, and every way in which one can be wrong.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { crc64 } from './crc64.ts';
import {
  decodeStructured,
  encodeStructured,
  framingBytesMax,
  StructuredMessageDecoder,
  StructuredMessageError,
  structuredLength,
} from './structured-message.ts';

const u16 = (value: number): Buffer => Buffer.from([value & 0xff, value >> 8]);

function u64(value: bigint | number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

interface Spoil {
  readonly version?: number;
  readonly length?: bigint;
  readonly flags?: number;
  readonly count?: number;
  readonly number?: number;
  readonly segmentLength?: bigint;
  readonly segmentSum?: bigint;
  readonly messageSum?: bigint;
  readonly after?: string;
}

/** As the format says; `spoil` replaces fields, those of a segment in the last. */
function written(segments: readonly string[], spoil: Spoil = {}): Buffer {
  const content = segments.join('');
  const bodies = segments.flatMap((text, i) => {
    const isLast = i === segments.length - 1;
    const number = isLast ? (spoil.number ?? i + 1) : i + 1;
    const length = isLast ? (spoil.segmentLength ?? BigInt(text.length)) : BigInt(text.length);
    const sum = crc64(Buffer.from(text));
    return [u16(number), u64(length), Buffer.from(text), u64(isLast ? (spoil.segmentSum ?? sum) : sum)];
  });
  const rest = Buffer.concat([
    ...bodies,
    u64(spoil.messageSum ?? crc64(Buffer.from(content))),
    Buffer.from(spoil.after ?? ''),
  ]);
  return Buffer.concat([
    Buffer.from([spoil.version ?? 1]),
    u64(spoil.length ?? 13 + rest.length),
    u16(spoil.flags ?? 1),
    u16(spoil.count ?? segments.length),
    rest,
  ]);
}

function decoded(message: Buffer, contentLength: number, cut = message.length, messageLength?: number): string {
  const decoder = new StructuredMessageDecoder({ messageLength, contentLength });
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += cut) {
    for (const part of decoder.take(message.subarray(at, at + cut))) parts.push(Buffer.from(part));
  }
  decoder.end();
  return Buffer.concat(parts).toString();
}

async function encoded(chunks: readonly Buffer[], length: number, segmentBytes?: number): Promise<Buffer> {
  const out: Buffer[] = [];
  let lent = 0;
  const given = chunks.map((bytes) => {
    lent++;
    return { bytes, release: () => void lent-- };
  });
  for await (const { bytes, release } of encodeStructured(given, length, segmentBytes)) {
    out.push(Buffer.from(bytes));
    release();
  }
  assert.equal(lent, 0, 'every chunk is given back once');
  return Buffer.concat(out);
}

describe('a structured message that is as it must be', () => {
  test('gives its content, in chunks of any length', () => {
    const message = written(['first', 'the second', '', 'x']);
    for (let cut = 1; cut <= message.length; cut++) {
      assert.equal(decoded(message, 16, cut, message.length), 'firstthe secondx');
    }
  });

  test('may be empty, in one segment or in none', () => {
    assert.equal(decoded(written(['']), 0), '');
    assert.equal(decoded(written([]), 0), '');
  });

  test('is what is written', async () => {
    assert.deepEqual(await encoded([Buffer.from('abc'), Buffer.from('de')], 5), written(['abcde']));
    assert.deepEqual(await encoded([Buffer.from('abc'), Buffer.from('de')], 5, 2), written(['ab', 'cd', 'e']));
    assert.deepEqual(await encoded([Buffer.from('abcd')], 4, 2), written(['ab', 'cd']));
    assert.deepEqual(await encoded([], 0), written(['']));
  });

  test('comes back as it was, whatever its length and however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 60 }),
        async (chunks, segmentBytes, cut) => {
          const content = Buffer.concat(chunks);
          const message = await encoded(
            chunks.map((one) => Buffer.from(one)),
            content.length,
            segmentBytes,
          );
          assert.equal(message.length, structuredLength(content.length, segmentBytes));
          assert.ok(message.length <= content.length + framingBytesMax);
          const pieces: Uint8Array[] = [];
          async function* cuts(): AsyncGenerator<Buffer> {
            for (let at = 0; at < message.length; at += cut) yield message.subarray(at, at + cut);
          }
          const announced = { messageLength: message.length, contentLength: content.length };
          for await (const piece of decodeStructured(cuts(), announced)) pieces.push(piece);
          assert.deepEqual(Buffer.concat(pieces), content);
        },
      ),
    );
  });

  test('has segments of 4 MiB, and longer ones where there would be too many to count', () => {
    const mebibyte = 1024 * 1024;
    assert.equal(structuredLength(4 * mebibyte), 4 * mebibyte + 13 + 18 + 8);
    assert.equal(structuredLength(4 * mebibyte + 1), 4 * mebibyte + 1 + 13 + 36 + 8);
    const most = 2 ** 45;
    assert.ok(structuredLength(most) - most <= framingBytesMax);
  });
});

describe('a structured message is refused', () => {
  const wrong: readonly (readonly [string, Spoil, RegExp])[] = [
    ['of another version', { version: 2 }, /version/],
    ['without the flag for sums', { flags: 0 }, /flags/],
    ['with a flag that is not known', { flags: 3 }, /flags/],
    ['that is longer than it says', { length: 10n }, /another length/],
    ['whose segment has another number', { number: 7 }, /missing/],
    ['that counts more segments than there are', { count: 3 }, /missing|too early/],
    ['whose segment goes past the content', { segmentLength: 100n }, /more content/],
    ['whose segment is longer than any number', { segmentLength: 2n ** 63n }, /too great/],
    ['with something after its end', { after: 'x' }, /after the end|another length/],
    ['with another sum of a segment', { segmentSum: 1n }, /CRC-64/],
    ['with another sum of the message', { messageSum: 1n }, /CRC-64/],
  ];
  for (const [what, spoil, message] of wrong) {
    test(what, () => {
      for (const cut of [1, 7, 1000]) {
        const spoiled = written(['ab', 'cd'], spoil);
        assert.throws(
          () => decoded(spoiled, 4, cut, spoil.length === undefined ? undefined : spoiled.length),
          (error) => error instanceof StructuredMessageError && message.test(error.message),
        );
      }
    });
  }

  test('where its length is not the announced one, or its content is', () => {
    const message = written(['ab', 'cd']);
    assert.throws(() => decoded(message, 4, 1000, message.length + 1), /Content-Length/);
    assert.throws(() => decoded(message, 5), /structured-content-length/);
    assert.throws(() => decoded(message, 3), /more content/);
  });

  test('wherever it ends too early, and wherever a bit of it is flipped', () => {
    const message = written(['first', 'second']);
    for (let end = 0; end < message.length; end++) {
      assert.throws(() => decoded(message.subarray(0, end), 11), /too early/);
    }
    for (let bit = 0; bit < message.length * 8; bit++) {
      const flipped = Buffer.from(message);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.throws(() => decoded(flipped, 11, 5, message.length), StructuredMessageError);
    }
  });
});

describe('while a structured message is written', () => {
  test('what its reader leaves is given back', async () => {
    let released = 0;
    const chunk = { bytes: Buffer.from('abcdef'), release: () => void released++ };
    for await (const part of encodeStructured([chunk], 6, 2)) {
      part.release();
      if (part.bytes.toString() === 'ab') break;
    }
    assert.equal(released, 1);
  });

  test('content of another length breaks it off', async () => {
    await assert.rejects(encoded([Buffer.from('abc')], 4), /shorter/);
    await assert.rejects(encoded([Buffer.from('abc')], 2), /longer/);
    await assert.rejects(encoded([], 4), /shorter/);
  });
});
