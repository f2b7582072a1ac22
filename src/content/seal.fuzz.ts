// Envelopes and frames that nobody wrote: whatever is read, nothing throws, and only what was sealed opens.
import assert from 'node:assert/strict';
import { seededRandom } from '../base/random.ts';
import { blockBytes } from './extent.ts';
import { ContentKey, envelopeBytes, openEnvelope, readEnvelope, unwrapKey, wrapKey } from './seal.ts';
import { openedLength, openFrame, sealExtent, sealedLength } from './seal-frames.ts';

interface Random {
  below(n: number): number;
  bytes(n: number): Buffer;
}

export async function fuzz(random: Random, deadlineMs: number): Promise<void> {
  const wrapping = random.bytes(32);
  const drawn = seededRandom(random.below(2 ** 31));
  while (Date.now() < deadlineMs) {
    const plain = random.bytes(1 + random.below(3 * blockBytes));
    const sealer = { kind: 'scope', keyId: random.bytes(16), wrap: (key: Buffer) => wrapKey(wrapping, key) } as const;
    const payload = Buffer.alloc(sealedLength(plain.length));
    plain.copy(payload, envelopeBytes);
    sealExtent(new ContentKey(sealer, drawn), payload, 0, plain.length, random.below(2 ** 32));
    assert.deepEqual(open(payload, wrapping), plain);
    for (let turn = 0; turn < 20; turn++) {
      const changed = change(payload, random);
      const result = open(changed, wrapping);
      // The key's id is no secret of the content's: it only says whom to ask.
      if (result !== undefined) {
        assert.deepEqual(result, plain);
        changed.set(payload.subarray(16, 32), 16);
        assert.deepEqual(changed, payload);
      }
    }
    for (let turn = 0; turn < 50; turn++) {
      const noise = random.bytes(random.below(2 * envelopeBytes));
      if (noise.length >= 4 && random.below(2) === 0) noise.set([1, 1 + random.below(2), 0, 0]);
      assert.equal(open(noise, wrapping), undefined);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function change(payload: Buffer, random: Random): Buffer {
  const changed = Buffer.from(payload);
  switch (random.below(4)) {
    case 0: {
      const at = random.below(changed.length);
      changed[at] = random.below(256);
      return changed;
    }
    case 1:
      return changed.subarray(0, random.below(changed.length + 1));
    case 2: {
      const from = random.below(changed.length);
      const bytes = Math.min(random.below(blockBytes), changed.length - from);
      changed.copyWithin(random.below(changed.length), from, from + bytes);
      return changed;
    }
    default:
      random.bytes(Math.min(envelopeBytes, 1 + random.below(16))).copy(changed, random.below(envelopeBytes));
      return changed;
  }
}

function open(payload: Buffer, wrapping: Buffer): Buffer | undefined {
  const envelope = readEnvelope(payload);
  const length = openedLength(payload.length);
  if (envelope === undefined || length === undefined || envelope.length !== length) return undefined;
  const dataKey = unwrapKey(wrapping, envelope.wrapped);
  const key = dataKey && openEnvelope(envelope, dataKey);
  if (key === undefined) return undefined;
  const plain = Buffer.alloc(length);
  const { extentIndex } = envelope;
  let at = 0;
  for (let frame = 0; frame * blockBytes < payload.length; frame++) {
    const from = frame === 0 ? envelopeBytes : frame * blockBytes;
    const block = payload.subarray(from, (frame + 1) * blockBytes);
    const bytes = openFrame({ key, extentIndex, length }, frame, block, plain, at);
    if (bytes === undefined) return undefined;
    at += bytes;
  }
  return plain;
}
