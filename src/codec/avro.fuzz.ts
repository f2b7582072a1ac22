// Avro bytes that chance makes or spoils: each decodes, or is refused as damaged; what was encoded comes back as it was.
import assert from 'node:assert/strict';
import { type AvroSchema, avroDecode, avroEncode } from './avro.ts';
import { AvroError } from './avro-bytes.ts';
import { AvroFileWriter, readAvroFile } from './avro-file.ts';

interface FuzzRandom {
  below(n: number): number;
  bytes(n: number): Buffer;
}

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  while (Date.now() < deadlineMs) {
    const [schema, make] = anySchema(random, 3);
    const values = Array.from({ length: 1 + random.below(4) }, make);
    for (const value of values) assert.deepEqual(avroDecode(schema, avroEncode(schema, value)), value);
    const writer = new AvroFileWriter(schema, { sync: random.bytes(16) });
    const file = Buffer.concat([writer.header(), writer.block(values)]);
    assert.deepEqual([...readAvroFile(file)], values);
    for (let turn = 0; turn < 20; turn++) readOrRefuse(() => [...readAvroFile(spoiled(file, random))]);
    for (let turn = 0; turn < 20; turn++) readOrRefuse(() => avroDecode(schema, random.bytes(random.below(64))));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function readOrRefuse(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AvroError)) throw error;
  }
}

function spoiled(file: Buffer, random: FuzzRandom): Buffer {
  const made = Buffer.from(file);
  for (let i = 1 + random.below(3); i > 0; i--) made[random.below(made.length)] = random.below(256);
  return random.below(4) === 0 ? made.subarray(0, random.below(made.length)) : made;
}

type Made = readonly [schema: AvroSchema, make: () => unknown];

let names = 0;

function anySchema(random: FuzzRandom, depth: number): Made {
  const simple: readonly (() => Made)[] = [
    () => ['null', () => null],
    () => ['boolean', () => random.below(2) === 1],
    () => ['int', () => random.bytes(4).readInt32LE()],
    () => ['long', () => plain(random.bytes(8).readBigInt64LE() >> BigInt(random.below(64)))],
    () => ['double', () => random.below(2 ** 31) / 1024 + 0.5],
    () => ['string', () => random.bytes(random.below(20)).toString('base64')],
    () => ['bytes', () => random.bytes(random.below(20))],
    () => [{ type: 'fixed', name: `F${++names}`, size: 5 }, () => random.bytes(5)],
    () => [{ type: 'enum', name: `E${++names}`, symbols: ['A', 'B'] }, () => 'AB'[random.below(2)]],
  ];
  if (depth === 0 || random.below(2) === 0) return (simple[random.below(simple.length)] as () => Made)();
  const [items, item] = anySchema(random, depth - 1);
  const [other, otherItem] = anySchema(random, depth - 1);
  switch (random.below(4)) {
    case 0:
      return [{ type: 'array', items }, () => Array.from({ length: random.below(4) }, item)];
    case 1:
      return [{ type: 'map', values: items }, () => (random.below(2) === 0 ? {} : { a: item(), b: item() })];
    case 2: {
      const fields = [
        { name: 'x', type: items },
        { name: 'y', type: other },
      ];
      return [{ type: 'record', name: `R${++names}`, fields }, () => ({ x: item(), y: otherItem() })];
    }
    default: {
      const [one, another] = [`a.R${++names}`, `a.R${++names}`];
      const schema: AvroSchema = [
        { type: 'record', name: one, fields: [{ name: 'x', type: items }] },
        'null',
        { type: 'record', name: another, fields: [{ name: 'y', type: other }] },
      ];
      const makes = [() => null, () => ({ [one]: { x: item() } }), () => ({ [another]: { y: otherItem() } })];
      return [schema, () => (makes[random.below(3)] as () => unknown)()];
    }
  }
}

const plain = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
