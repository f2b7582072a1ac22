// Sealed content in the log: what it looks like on the disk, what a range costs, and what nobody can change unnoticed.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Clock, systemClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { crc64 } from '../codec/crc64.ts';
import { ContentStore } from './content-store.ts';
import { blockBytes, headerBytes, type LogPiece, segmentFileName, slotBytes } from './extent.ts';
import { fileDisk } from './file-disk.ts';
import { ContentDamageError } from './reader.ts';
import { SegmentScan } from './scan.ts';
import {
  ContentKey,
  type Envelope,
  envelopeBytes,
  openEnvelope,
  readEnvelope,
  type Sealer,
  type Unsealer,
  unwrapKey,
  wrapKey,
} from './seal.ts';
import {
  frameAt,
  frameStart,
  openedLength,
  openFrame,
  sealExtent,
  sealedBytesMax,
  sealedGatherBytesMax,
  sealedLength,
} from './seal-frames.ts';
import type { FinishedContent } from './writer.ts';

const random = seededRandom(7);
const wrapping = random.bytes(32);
const keyId = random.bytes(16);
const sealer: Sealer = { kind: 'scope', keyId, wrap: (key) => wrapKey(wrapping, key) };
const unsealer: Unsealer = { dataKey: ({ wrapped }) => unwrapKey(wrapping, wrapped) };

class Content implements AsyncDisposable {
  readonly store: ContentStore;
  readonly directory: string;
  #segments = 0;

  static async open(slotsMax = 8): Promise<Content> {
    return new Content(await mkdtemp(join(tmpdir(), 'causeway-seal-')), slotsMax);
  }

  private constructor(directory: string, slotsMax: number) {
    this.directory = directory;
    this.store = this.another(slotsMax);
  }

  /** As after a restart: nothing is known from memory. */
  another(slotsMax = 8, clock: Clock = systemClock): ContentStore {
    return new ContentStore({
      disk: fileDisk,
      directory: this.directory,
      catalog: {
        allocate: async () => ++this.#segments,
        sealed: async () => undefined,
        relocated: async () => undefined,
      },
      clock,
      random,
      segmentBytes: 16 * slotBytes,
      inlineBytesMax: 512,
      slotsMax,
      readBuffersMax: 2,
    });
  }

  async write(bytes: Buffer, seal: Sealer | undefined = sealer, chunkBytes = 100_000): Promise<FinishedContent> {
    const writer = this.store.write({ log: false, md5: true, ownsChunks: false, seal });
    for (let at = 0; at < bytes.length; at += chunkBytes) await writer.append(bytes.subarray(at, at + chunkBytes));
    return await writer.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    await rm(this.directory, { recursive: true });
  }
}

async function read(
  store: ContentStore,
  pieces: readonly LogPiece[],
  offset: number,
  length: number,
  opener: Unsealer | undefined = unsealer,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of store.read(pieces, offset, length, opener)) {
    parts.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  return Buffer.concat(parts);
}

const firstFrame = frameStart(1);
const lengths = [
  ...[1, 15, 16, 17, 511, 512, 513, 4096, sealedGatherBytesMax - 1, sealedGatherBytesMax, sealedGatherBytesMax + 1],
  ...[firstFrame - 1, firstFrame, firstFrame + 1, blockBytes, blockBytes + 1, firstFrame + blockBytes - 16],
  ...[sealedBytesMax - 1, sealedBytesMax, sealedBytesMax + 1, sealedBytesMax + 64, 2 * sealedBytesMax + firstFrame],
  ...[sealedBytesMax + sealedGatherBytesMax + 1, 3 * 1024 * 1024 + 17],
];

test('content of any length is sealed and opened, and its sums are those of the plaintext', async () => {
  await using content = await Content.open();
  for (const length of lengths) {
    const bytes = random.bytes(length);
    const written = await content.write(bytes);
    assert.equal(written.inline, undefined);
    assert.equal(written.length, length);
    assert.equal(written.crc64, crc64(bytes));
    assert.deepEqual(written.md5, createHash('md5').update(bytes).digest());
    assert.equal(
      written.pieces.reduce((sum, piece) => sum + piece.length, 0),
      length,
    );
    assert(
      written.pieces.every((piece) => piece.sealed !== undefined && openedLength(piece.extentLength) === piece.length),
    );
    const again = content.another();
    assert((await read(again, written.pieces, 0, length)).equals(bytes), `${length} bytes`);
    const from = Math.floor(length / 3);
    const part = await read(again, written.pieces, from, length - 2 * from);
    assert(part.equals(bytes.subarray(from, length - from)), `a part of ${length} bytes`);
    const [piece] = written.pieces as [LogPiece];
    if (piece.extentLength <= blockBytes) {
      const small = await again.readSmall(piece, from, length - 2 * from, unsealer);
      assert(small.equals(bytes.subarray(from, length - from)));
      // The second time from memory, where it lies as it is stored.
      assert((await again.readSmall(piece, 0, length, unsealer)).equals(bytes));
    }
    await again.close();
  }
});

test('writers without a slot seal extents that share writes', async () => {
  await using content = await Content.open(2);
  const holders = Array.from({ length: 2 }, () =>
    content.store.write({ log: true, md5: false, ownsChunks: false, seal: sealer }),
  );
  const first = random.bytes(200_000);
  for (const holder of holders) await holder.append(first);
  const bytes = random.bytes(300_000);
  const written = await content.write(bytes);
  assert(written.pieces.some((piece) => piece.length === sealedGatherBytesMax));
  assert.equal(written.crc64, crc64(bytes));
  assert.deepEqual(written.md5, createHash('md5').update(bytes).digest());
  assert((await read(content.store, written.pieces, 0, bytes.length)).equals(bytes));
  for (const holder of holders) {
    const { pieces } = await holder.finish();
    assert((await read(content.store, pieces, 0, first.length)).equals(first));
  }
});

test('nothing of sealed content lies in its segments in the clear', async () => {
  await using content = await Content.open();
  const text = 'a sentence that would be found. ';
  const bytes = Buffer.from(text.repeat(60_000));
  await content.write(bytes);
  await content.write(Buffer.from(text));
  await content.store.close();
  const segment = await readFile(join(content.directory, segmentFileName(1)));
  assert.equal(segment.indexOf('sentence'), -1);
  assert.equal(segment.indexOf(wrapping), -1);
  const scan = await SegmentScan.open(fileDisk, content.directory, 1);
  assert(scan !== undefined);
  let extents = 0;
  for await (const found of scan.extents()) {
    assert((await scan.payload(found)) !== undefined, 'whoever has no key can still verify what is stored');
    extents++;
  }
  await scan.close();
  assert.equal(extents, 3);
});

test('a range opens the frames that it touches, and no other', async () => {
  await using content = await Content.open();
  const bytes = random.bytes(3 * 1024 * 1024);
  const { pieces } = await content.write(bytes);
  const opened = async (offset: number, length: number): Promise<number> => {
    const before = content.store.framesOpened;
    assert((await read(content.store, pieces, offset, length)).equals(bytes.subarray(offset, offset + length)));
    return content.store.framesOpened - before;
  };
  assert.equal(await opened(0, 1), 1);
  assert.equal(await opened(firstFrame - 1, 1), 1);
  assert.equal(await opened(firstFrame - 1, 2), 2);
  assert.equal(await opened(firstFrame, 65_520), 1);
  assert.equal(await opened(frameStart(9), 1), 1);
  assert.equal(await opened(sealedBytesMax - 1, 2), 2, 'the end of one extent and the beginning of the next');
  assert.equal(await opened(0, sealedBytesMax), 16);
});

test('the data key of a content is unwrapped once for all of its extents', async () => {
  await using content = await Content.open();
  const { pieces } = await content.write(random.bytes(4 * 1024 * 1024));
  assert(pieces.length > 4);
  let unwrapped = 0;
  const counting: Unsealer = {
    dataKey: (envelope) => {
      unwrapped++;
      return unsealer.dataKey(envelope);
    },
  };
  await read(content.store, pieces, 0, 4 * 1024 * 1024, counting);
  assert.equal(unwrapped, 1);
});

test('content that lies in both forms is read as one', async () => {
  await using content = await Content.open();
  const plain = random.bytes(100_000);
  const secret = random.bytes(100_000);
  const one = await content.write(plain);
  const clear = content.store.write({ log: true, md5: false, ownsChunks: false });
  await clear.append(plain);
  const { pieces } = await clear.finish();
  assert(pieces.every((piece) => piece.sealed === undefined));
  const other = await content.write(secret);
  const all = [...pieces, ...other.pieces, ...one.pieces];
  const expected = Buffer.concat([plain, secret, plain]);
  assert((await read(content.store, all, 0, expected.length)).equals(expected));
  assert((await read(content.store, all, 99_000, 150_000)).equals(expected.subarray(99_000, 249_000)));
});

/** One extent's payload, as it is stored. */
function extentOf(bytes: Buffer, key = new ContentKey(sealer, random), index = 0): Buffer {
  const payload = Buffer.alloc(sealedLength(bytes.length));
  bytes.copy(payload, envelopeBytes);
  assert.equal(sealExtent(key, payload, 0, bytes.length, index), payload.length);
  return payload;
}

/** What comes of opening it all; undefined where a part of it is refused. */
function opened(payload: Buffer, wrappingKey = wrapping): Buffer | undefined {
  const envelope = readEnvelope(payload);
  const length = openedLength(payload.length);
  if (envelope === undefined || length === undefined || envelope.length !== length) return undefined;
  const dataKey = unwrapKey(wrappingKey, envelope.wrapped);
  const key = dataKey && openEnvelope(envelope, dataKey);
  if (key === undefined) return undefined;
  const bytes = Buffer.alloc(length);
  for (let frame = 0, at = 0; at < length || frame === 0; frame++) {
    const from = frame === 0 ? envelopeBytes : frame * blockBytes;
    const block = payload.subarray(from, (frame + 1) * blockBytes);
    const taken = openFrame({ key, extentIndex: envelope.extentIndex, length }, frame, block, bytes, at);
    if (taken === undefined) return undefined;
    at += taken;
  }
  return bytes;
}

test('no bit of an extent can change: not of its envelope, its frames or its tags', () => {
  const bytes = random.bytes(200_000);
  const payload = extentOf(bytes);
  assert.deepEqual(opened(payload), bytes);
  const flips = [...Array.from({ length: envelopeBytes * 8 }, (_, bit) => bit)];
  for (let block = 0; block < 4; block++) {
    const end = Math.min(payload.length, (block + 1) * blockBytes);
    for (let byte = end - 17; byte < end; byte++) for (let bit = 0; bit < 8; bit++) flips.push(byte * 8 + bit);
  }
  for (let i = 0; i < 300; i++) flips.push(random.below(payload.length * 8));
  for (const flip of flips) {
    // The id says which key to ask for: a wrong one finds another key, or none.
    if (flip >= 16 * 8 && flip < 32 * 8) continue;
    payload[flip >> 3] = (payload[flip >> 3] as number) ^ (1 << (flip & 7));
    assert.equal(opened(payload), undefined, `bit ${flip & 7} of byte ${flip >> 3}`);
    payload[flip >> 3] = (payload[flip >> 3] as number) ^ (1 << (flip & 7));
  }
  assert.deepEqual(opened(payload), bytes);
});

test('frames cannot change places, be left out, or come from another extent or content', () => {
  const key = new ContentKey(sealer, random);
  const bytes = random.bytes(5 * blockBytes);
  const payload = extentOf(bytes, key);
  const block = (of: Buffer, i: number): Buffer => of.subarray(i * blockBytes, (i + 1) * blockBytes);
  const swapped = Buffer.concat([
    block(payload, 0),
    block(payload, 2),
    block(payload, 1),
    payload.subarray(3 * blockBytes),
  ]);
  assert.equal(opened(swapped), undefined);
  const sibling = extentOf(bytes, key, 1);
  const stranger = extentOf(bytes);
  for (const other of [sibling, stranger]) {
    const spliced = Buffer.concat([block(payload, 0), block(other, 1), payload.subarray(2 * blockBytes)]);
    assert.equal(opened(spliced), undefined);
    assert.notEqual(block(payload, 1).compare(block(other, 1)), 0, 'the same text is sealed otherwise');
    const beheaded = Buffer.concat([other.subarray(0, envelopeBytes), payload.subarray(envelopeBytes)]);
    assert.equal(opened(beheaded), undefined);
  }
});

test('an extent that is cut anywhere is refused, even at the end of a frame and with its length put right', () => {
  const payload = extentOf(random.bytes(4 * blockBytes));
  for (const end of [
    payload.length - 1,
    4 * blockBytes,
    3 * blockBytes,
    blockBytes,
    envelopeBytes + 16,
    envelopeBytes,
  ]) {
    const cut = Buffer.from(payload.subarray(0, end));
    assert.equal(opened(cut), undefined);
    cut.writeUInt32BE(Math.max(0, openedLength(end) ?? 0), 8);
    assert.equal(opened(cut), undefined, `${end} bytes are left`);
  }
  const longer = Buffer.concat([payload, Buffer.alloc(64)]);
  longer.writeUInt32BE(openedLength(longer.length) as number, 8);
  assert.equal(opened(longer), undefined);
});

test('a wrong key opens nothing, and neither does another data key under the same id', () => {
  const payload = extentOf(random.bytes(1000));
  assert.equal(opened(payload, random.bytes(32)), undefined);
  const forged = Buffer.from(payload);
  wrapKey(wrapping, random.bytes(32)).copy(forged, 48);
  const envelope = readEnvelope(forged) as Envelope;
  const dataKey = unwrapKey(wrapping, envelope.wrapped);
  assert(dataKey !== undefined, 'the wrapped key itself is a good one');
  assert.equal(openEnvelope(envelope, dataKey), undefined, 'but not the one that the envelope commits to');
});

test('frames are found by place, and places by frame', () => {
  for (let frame = 0; frame < 16; frame++) {
    assert.equal(frameAt(frameStart(frame)), frame);
    assert.equal(frameAt(frameStart(frame + 1) - 1), frame);
  }
  for (const length of lengths) if (length <= sealedBytesMax) assert.equal(openedLength(sealedLength(length)), length);
});

test('damage on the disk is told from a key that is not to be had', async () => {
  await using content = await Content.open();
  const bytes = random.bytes(300_000);
  const written = await content.write(bytes);
  const small = await content.write(random.bytes(1000));
  await content.store.close();
  const path = join(content.directory, segmentFileName(1));
  const segment = await readFile(path);
  const [piece] = written.pieces as [LogPiece];
  const at = piece.offset + 192 + 2 * blockBytes + 5;
  segment[at] = (segment[at] as number) ^ 1;
  await writeFile(path, segment);
  const again = content.another();
  await assert.rejects(read(again, written.pieces, 0, bytes.length), ContentDamageError);
  assert((await read(again, written.pieces, 0, 100_000)).equals(bytes.subarray(0, 100_000)), 'the rest is readable');
  const refusing: Unsealer = {
    dataKey: () => {
      throw new Error('revoked');
    },
  };
  await assert.rejects(read(again, small.pieces, 0, 1000, refusing), /revoked/);
  await assert.rejects(again.readSmall(small.pieces[0] as LogPiece, 0, 1000, refusing), /revoked/);
  const wrong: Unsealer = { dataKey: () => undefined };
  await assert.rejects(read(again, small.pieces, 0, 1000, wrong), ContentDamageError);
  await again.close();
});

test('whole extents of equal length cannot change places, in one content or between two under one key', async () => {
  await using content = await Content.open();
  const one = await content.write(random.bytes(3 * sealedBytesMax));
  const other = await content.write(random.bytes(sealedBytesMax));
  const small = [await content.write(random.bytes(5000)), await content.write(random.bytes(5000))] as const;
  await content.store.close();
  const path = join(content.directory, segmentFileName(1));
  const before = await readFile(path);
  const pairs = [
    [one.pieces[0], one.pieces[1]],
    [one.pieces[0], other.pieces[0]],
    [small[0].pieces[0], small[1].pieces[0]],
  ] as [LogPiece, LogPiece][];
  for (const [a, b] of pairs) {
    assert.equal(a.extentLength, b.extentLength);
    for (const withHeader of [false, true]) {
      const segment = Buffer.from(before);
      const from = withHeader ? 0 : headerBytes(a.extentLength);
      const to = headerBytes(a.extentLength) + a.extentLength;
      before.copy(segment, a.offset + from, b.offset + from, b.offset + to);
      before.copy(segment, b.offset + from, a.offset + from, a.offset + to);
      await writeFile(path, segment);
      const again = content.another();
      for (const piece of [a, b]) {
        await assert.rejects(read(again, [piece], 0, piece.length), ContentDamageError);
        await assert.rejects(read(again, [piece], piece.length - 1, 1), ContentDamageError);
        // A header that was forged to fit the piece does not help either.
        const other = piece === a ? b : a;
        const forged = { ...other, sealed: piece.sealed as number, segment: piece.segment, offset: piece.offset };
        if (withHeader) await assert.rejects(read(again, [forged], 0, piece.length), ContentDamageError);
      }
      await again.close();
    }
  }
});

test('a read that is under way asks for the key again: revoked, it goes no further', async () => {
  await using content = await Content.open();
  const bytes = random.bytes(4 * sealedBytesMax);
  const { pieces } = await content.write(bytes);
  let nowMs = 1_000_000;
  let asked = 0;
  let isRevoked = false;
  const watched: Unsealer = {
    dataKey: (envelope) => {
      asked++;
      if (isRevoked) throw new Error('revoked');
      return unsealer.dataKey(envelope);
    },
  };
  const store = content.another(8, { ...systemClock, now: () => nowMs });
  const reading = store.read(pieces, 0, bytes.length, watched);
  const next = async (): Promise<number> => {
    const { value } = await reading.next();
    value?.release();
    return value?.bytes.length ?? 0;
  };
  let got = await next();
  nowMs += 14_000;
  got += await next();
  assert.equal(asked, 1);
  nowMs += 1000;
  got += await next();
  assert.equal(asked, 2);
  assert(got < 2 * sealedBytesMax);
  isRevoked = true;
  nowMs += 15_000;
  await assert.rejects(next(), /revoked/);
  await store.close();
});
