// Avro values and files: the specification’s examples, whatever chance makes, and damage.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../base/random.ts';
import { fuzz } from './avro.fuzz.ts';
import { type AvroSchema, avroDecode, avroEncode } from './avro.ts';
import { AvroError } from './avro-bytes.ts';
import { AvroFileWriter, openAvroFile, readAvroFile } from './avro-file.ts';

const hex = (schema: AvroSchema, value: unknown): string => avroEncode(schema, value).toString('hex');

test('primitives are encoded as the specification has them', () => {
  // "Binary encoding": the table of zig-zag numbers, and "foo" with its length.
  const longs = { 0: '00', [-1]: '01', 1: '02', [-2]: '03', 2: '04', [-64]: '7f', 64: '8001' };
  for (const [value, bytes] of Object.entries(longs)) assert.equal(hex('long', Number(value)), bytes);
  assert.equal(hex('string', 'foo'), '06666f6f');
  assert.equal(hex('null', null), '');
  assert.equal(hex('boolean', true), '01');
  assert.equal(hex('double', 1.5), '000000000000f83f');
  assert.equal(hex('float', 1.5), '0000c03f');
  assert.equal(hex('bytes', Buffer.from([1, 2])), '040102');
  assert.equal(hex('long', 2n ** 63n - 1n), 'feffffffffffffffff01');
  assert.equal(hex('long', -(2n ** 63n)), 'ffffffffffffffffff01');
});

test('a record is its fields in order', () => {
  const schema: AvroSchema = {
    type: 'record',
    name: 'test',
    fields: [
      { name: 'a', type: 'long' },
      { name: 'b', type: 'string', doc: 'a text', default: '' },
    ],
  };
  assert.equal(hex(schema, { a: 27, b: 'foo' }), '3606666f6f');
});

test('arrays and maps are blocks with an end', () => {
  assert.equal(hex({ type: 'array', items: 'long' }, [3, 27]), '04063600');
  assert.equal(hex({ type: 'array', items: 'long' }, []), '00');
  assert.equal(hex({ type: 'map', values: 'long' }, { a: 1 }), '0202610200');
});

test('a union takes the branch that the value has the shape of', () => {
  assert.equal(hex(['string', 'null'], null), '02');
  assert.equal(hex(['string', 'null'], 'a'), '000261');
  assert.equal(hex(['double', 'long'], 1), '0202');
  assert.equal(hex(['null', 'double'], 1), '02000000000000f03f');
});

test('a union of records takes the branch that the value names', () => {
  const schema: AvroSchema = [
    { type: 'record', name: 'a.One', fields: [{ name: 'x', type: 'long' }] },
    { type: 'record', name: 'Two', namespace: 'a', fields: [{ name: 'y', type: 'string' }] },
  ];
  assert.equal(hex(schema, { 'a.Two': { y: 'q' } }), '020271');
  assert.deepEqual(avroDecode(schema, avroEncode(schema, { 'a.One': { x: 7 } })), { 'a.One': { x: 7 } });
  assert.throws(() => avroEncode(schema, { x: 7 }), AvroError);
});

test('a type is used again by its name, within its namespace or with it', () => {
  const schema: AvroSchema = {
    type: 'record',
    name: 'n.List',
    fields: [
      { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['A', 'B'] } },
      { name: 'other', type: 'Kind' },
      { name: 'next', type: ['null', 'n.List'] },
    ],
  };
  const value = { kind: 'A', other: 'B', next: { kind: 'B', other: 'A', next: null } };
  assert.deepEqual(avroDecode(schema, avroEncode(schema, value)), value);
});

test('what a schema does not allow is refused', () => {
  const refused: [AvroSchema, unknown][] = [
    ['int', 2 ** 31],
    ['long', 1.5],
    ['long', 2n ** 63n],
    ['string', 1],
    ['bytes', 'x'],
    [['null', 'long'], 'x'],
    [{ type: 'enum', name: 'E', symbols: ['A'] }, 'B'],
    [{ type: 'fixed', name: 'F', size: 2 }, Buffer.alloc(3)],
    ['unknown', 1],
  ];
  for (const [schema, value] of refused) assert.throws(() => avroEncode(schema, value), AvroError);
});

const cases: fc.Arbitrary<[AvroSchema, unknown]> = fc.letrec<{ any: [AvroSchema, unknown] }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3 },
    fc.boolean().map((value): [AvroSchema, unknown] => ['boolean', value]),
    fc.integer().map((value): [AvroSchema, unknown] => ['int', value]),
    fc
      .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      .map((value): [AvroSchema, unknown] => ['long', Number.isSafeInteger(Number(value)) ? Number(value) : value]),
    fc.maxSafeInteger().map((value): [AvroSchema, unknown] => ['long', value === 0 ? 0 : value]),
    fc.double().map((value): [AvroSchema, unknown] => ['double', value]),
    fc.string({ unit: 'grapheme' }).map((value): [AvroSchema, unknown] => ['string', value]),
    fc.uint8Array().map((value): [AvroSchema, unknown] => ['bytes', Buffer.from(value)]),
    tie('any').map(([schema, value]): [AvroSchema, unknown] => [{ type: 'array', items: schema }, [value, value]]),
    tie('any').map(([schema, value]): [AvroSchema, unknown] => [{ type: 'map', values: schema }, { one: value }]),
  ),
})).any;

test('whatever is encoded is decoded', () => {
  fc.assert(
    fc.property(cases, ([schema, value]) => assert.deepEqual(avroDecode(schema, avroEncode(schema, value)), value)),
  );
});

const sync = Buffer.from('0123456789abcdef');

test('a file has its header, its blocks, and the values in order', () => {
  const writer = new AvroFileWriter('long', { sync, metadata: { writer: 'me' } });
  const header = writer.header();
  const first = writer.block([1, 2]);
  const file = Buffer.concat([header, first, writer.block([]), writer.block([3])]);
  assert.deepEqual([...readAvroFile(file)], [1, 2, 3]);
  const opened = openAvroFile(file);
  assert.equal(opened.schema, 'long');
  assert.equal(opened.metadata.writer, 'me');
  const blocks = opened.blocks.map(({ at, count }) => [at, count]);
  assert.deepEqual(blocks, [
    [header.length, 2],
    [header.length + first.length, 1],
  ]);
});

test('a damaged file is refused, and nothing else happens', () => {
  const writer = new AvroFileWriter({ type: 'array', items: ['null', 'string'] }, { sync });
  const file = Buffer.concat([writer.header(), writer.block([['a', null], []]), writer.block([['b']])]);
  const good = JSON.stringify([...readAvroFile(file)]);
  fc.assert(
    fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] as number) ^ flip;
      try {
        assert.equal(typeof good, typeof JSON.stringify([...readAvroFile(damaged)]));
      } catch (error) {
        assert.ok(error instanceof AvroError, String(error));
      }
    }),
  );
  for (let length = 1; length < file.length; length++) {
    const cut = file.subarray(0, length);
    const values = (): unknown[] => [...readAvroFile(cut)];
    // A file may end behind any block.
    const block = openAvroFile(file).blocks.find(({ at }) => at === length);
    if (block === undefined) assert.throws(values, AvroError);
    else assert.ok(values().length < 3);
  }
});

test('values and damage that chance makes', async () => {
  await fuzz(seededRandom(5), Date.now() + 500);
});
