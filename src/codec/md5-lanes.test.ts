// MD5 in lanes against OpenSSL: vectors, splits, and many streams at once.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createMd5Lanes, createMd5State, type Md5Lanes, md5LanesMemoryBytes } from './md5-lanes.ts';

const pageBytes = 64 * 1024;
const dataAt = 16 + md5LanesMemoryBytes;

function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed | 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

function withData(length: number): { lanes: Md5Lanes; memory: WebAssembly.Memory; data: Buffer } {
  const pages = Math.ceil((dataAt + length) / pageBytes);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages + 1 });
  const data = Buffer.from(memory.buffer, dataAt, length);
  data.set(noise(length, 11));
  return { lanes: createMd5Lanes(memory, 16), memory, data };
}

const expected = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

test('the suite of RFC 1321, appendix A.5', () => {
  const { lanes, data } = withData(128);
  const suite = [
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['a', '0cc175b9c0f1b6a831c399e269772661'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 'd174ab98d277d9f5a5611c2c9f419d9f'],
    [
      '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
      '57edf4a22be3c955ac49da2e2107b67a',
    ],
  ] as const;
  for (const [text, sum] of suite) {
    data.write(text, 'latin1');
    const state = createMd5State();
    const blocks = Math.floor(text.length / 64);
    lanes.hash([{ state, offset: dataAt, blocks }]);
    assert.equal(lanes.finish(state, data.subarray(blocks * 64, text.length)).toString('hex'), sum);
  }
});

test('every number of jobs, each of another length and alignment, agrees with node:crypto', () => {
  const streamBytes = 12_000;
  const { lanes, data } = withData(21 * streamBytes);
  for (let count = 1; count <= 20; count++) {
    const streams = Array.from({ length: count }, (_, index) => {
      const from = index * streamBytes + ((index * 7 + count) % 64);
      // Some of one block and some of none, some equal, most not.
      const length = index % 5 === 4 ? 17 * index : 64 * ((index * index * 13 + count) % 180) + index;
      return { from, length, state: createMd5State() };
    });
    lanes.hash(
      streams.map(({ from, length, state }) => ({ state, offset: dataAt + from, blocks: Math.floor(length / 64) })),
    );
    for (const { from, length, state } of streams) {
      const bytes = data.subarray(from, from + length);
      const whole = length - (length % 64);
      assert.equal(state.byteCount, whole);
      assert.equal(lanes.finish(state, bytes.subarray(whole)).toString('hex'), expected(bytes), `${count}: ${length}`);
    }
  }
});

test('streams go on where they stopped, in any parts and any company', () => {
  const [fromMax, partsMax, blocksMax, tailMax] = [20_000, 4, 90, 63];
  const { lanes, data } = withData(fromMax + partsMax * blocksMax * 64 + tailMax);
  const stream = fc.record({
    from: fc.nat(fromMax),
    parts: fc.array(fc.nat(blocksMax), { maxLength: partsMax }),
    tailBytes: fc.nat(tailMax),
  });
  fc.assert(
    fc.property(fc.array(stream, { minLength: 1, maxLength: 20 }), (streams) => {
      const open = streams.map((one) => ({ ...one, state: createMd5State(), at: one.from }));
      for (let turn = 0; turn < partsMax; turn++) {
        const jobs = open.flatMap((one) => {
          const blocks = one.parts[turn];
          if (blocks === undefined) return [];
          const job = { state: one.state, offset: dataAt + one.at, blocks };
          one.at += blocks * 64;
          return [job];
        });
        lanes.hash(jobs);
      }
      for (const { from, at, tailBytes, state } of open) {
        const sum = lanes.finish(state, data.subarray(at, at + tailBytes)).toString('hex');
        assert.equal(sum, expected(data.subarray(from, at + tailBytes)));
      }
    }),
    { numRuns: 100 },
  );
});

test('finishing pads every tail and leaves the state to go on', () => {
  const { lanes, data } = withData(256);
  for (let tailBytes = 0; tailBytes < 64; tailBytes++) {
    const state = createMd5State();
    lanes.hash([{ state, offset: dataAt + 5, blocks: 1 }]);
    const early = lanes.finish(state, data.subarray(69, 69 + tailBytes)).toString('hex');
    assert.equal(early, expected(data.subarray(5, 69 + tailBytes)));
    lanes.hash([{ state, offset: dataAt + 69, blocks: 1 }]);
    assert.equal(lanes.finish(state, data.subarray(0, 0)).toString('hex'), expected(data.subarray(5, 133)));
  }
  assert.throws(() => lanes.finish(createMd5State(), data.subarray(0, 64)));
});

test('the length of the stream has 64 bits', () => {
  const { lanes, data } = withData(64);
  for (const byteCount of [2 ** 29 - 64, 2 ** 29, 2 ** 32 - 64, 2 ** 32, 2 ** 40 + 64, 2 ** 48]) {
    // The last block as it must be, hashed as any other block, leaves the sum in the state.
    const tail = noise(33, byteCount % 251);
    data.fill(0).set(tail);
    data[tail.length] = 0x80;
    data.writeBigUInt64LE(BigInt(byteCount + tail.length) * 8n, 56);
    const state = createMd5State();
    lanes.hash([{ state, offset: dataAt, blocks: 1 }]);
    const sum = lanes.finish({ words: createMd5State().words, byteCount }, tail);
    assert.deepEqual(sum, Buffer.from(state.words.buffer as ArrayBuffer), `after ${byteCount}`);
  }
});

test('blocks outside of the memory are refused before any is hashed', () => {
  const { lanes, memory } = withData(1000);
  const end = memory.buffer.byteLength;
  const state = createMd5State();
  const good = { state, offset: dataAt, blocks: 1 };
  for (const bad of [
    { offset: end - 63, blocks: 1 },
    { offset: -1, blocks: 1 },
    { offset: dataAt, blocks: -1 },
    { offset: dataAt, blocks: 0.5 },
  ])
    assert.throws(() => lanes.hash([good, { state: createMd5State(), ...bad }]));
  assert.deepEqual(state, createMd5State());
  lanes.hash([{ state, offset: end - 64, blocks: 1 }]);
  const last = Buffer.from(memory.buffer, end - 64, 64);
  assert.equal(lanes.finish(state, last.subarray(0, 0)).toString('hex'), expected(last));
  assert.throws(() => createMd5Lanes(memory, 8));
  assert.throws(() => createMd5Lanes(memory, end - 1024));
});

test('a shared memory works as well', () => {
  const descriptor = { initial: 1, maximum: 1, shared: true };
  const memory = new WebAssembly.Memory(descriptor);
  const bytes = noise(640, 9);
  new Uint8Array(memory.buffer).set(bytes, dataAt);
  const lanes = createMd5Lanes(memory, 0);
  const states = [createMd5State(), createMd5State()];
  lanes.hash(states.map((state) => ({ state, offset: dataAt, blocks: 10 })));
  for (const state of states) assert.equal(lanes.finish(state, bytes.subarray(0, 0)).toString('hex'), expected(bytes));
});
