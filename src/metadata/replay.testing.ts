// Random transactions with every kind of write, replayed on a plain model in the order of their stamps.
import { deepStrictEqual } from 'node:assert';
import type { Random } from '../base/random.ts';
import { idOf, keyOf } from './byte-order.ts';
import { decodeCounter, type Engine, encodeCounter, stampBytes, type Txn } from './engine.ts';

type Model = Map<string, string>;

type Read =
  | { readonly kind: 'get'; readonly id: string }
  | {
      readonly kind: 'scan';
      readonly start: string;
      readonly end: string;
      readonly limit: number;
      readonly reverse: boolean;
    };

type Write =
  | { readonly kind: 'put'; readonly id: string; readonly value: string }
  | { readonly kind: 'delete'; readonly id: string }
  | { readonly kind: 'deleteRange'; readonly start: string; readonly end: string }
  | { readonly kind: 'add'; readonly id: string; readonly delta: bigint };

interface Done {
  readonly start: number;
  readonly end: number;
  readonly reads: readonly { readonly read: Read; readonly answer: unknown }[];
  readonly writes: readonly Write[];
}

const stampPrefix = Buffer.from('stamps/');
const everything = { start: Buffer.from('data/'), end: Buffer.from('data0') };

/** Counters have keys of their own, so that an `add` never meets another value. */
const counterId = (random: Random) => `data/n${random.below(3)}`;
const randomId = (random: Random) =>
  `data/${['a', 'b', 'c', 'd'][random.below(4)]}${['', '\0', '\xff'][random.below(3)]}`;

function randomBounds(random: Random): { start: string; end: string } {
  const [start, end] = [randomId(random), random.below(3) === 0 ? counterId(random) : randomId(random)].sort();
  return { start: start as string, end: end as string };
}

function randomWrite(random: Random, unique: number): Write {
  switch (random.below(6)) {
    case 0:
      return { kind: 'delete', id: randomId(random) };
    case 1:
      return { kind: 'deleteRange', ...randomBounds(random) };
    case 2:
      return { kind: 'add', id: counterId(random), delta: BigInt(random.below(100) - 50) };
    default:
      return { kind: 'put', id: randomId(random), value: `value ${unique}` };
  }
}

function randomRead(random: Random): Read {
  if (random.below(2) === 0) return { kind: 'get', id: random.below(3) === 0 ? counterId(random) : randomId(random) };
  return { kind: 'scan', ...randomBounds(random), limit: 1 + random.below(5), reverse: random.below(2) === 1 };
}

async function readEngine(txn: Txn, read: Read): Promise<unknown> {
  if (read.kind === 'get') {
    const value = await txn.get(keyOf(read.id));
    return value === undefined ? undefined : idOf(value);
  }
  const { limit, reverse } = read;
  const items = await txn.scan({ start: keyOf(read.start), end: keyOf(read.end) }, { limit, reverse });
  return items.map((item) => [idOf(item.key), idOf(item.value)]);
}

function readModel(model: Model, read: Read): unknown {
  if (read.kind === 'get') return model.get(read.id);
  const found = [...model].filter(([id]) => id >= read.start && id < read.end).sort(([a], [b]) => (a < b ? -1 : 1));
  return (read.reverse ? found.reverse() : found).slice(0, read.limit);
}

function writeEngine(txn: Txn, write: Write): void {
  if (write.kind === 'put') txn.put(keyOf(write.id), keyOf(write.value));
  else if (write.kind === 'delete') txn.delete(keyOf(write.id));
  else if (write.kind === 'add') txn.add(keyOf(write.id), write.delta);
  else txn.deleteRange({ start: keyOf(write.start), end: keyOf(write.end) });
}

function writeModel(model: Model, write: Write): void {
  if (write.kind === 'put') model.set(write.id, write.value);
  else if (write.kind === 'delete') model.delete(write.id);
  else if (write.kind === 'deleteRange') {
    for (const id of [...model.keys()]) if (id >= write.start && id < write.end) model.delete(id);
  } else {
    const current = model.get(write.id);
    const sum = decodeCounter(current === undefined ? undefined : keyOf(current)) + write.delta;
    model.set(write.id, idOf(encodeCounter(sum)));
  }
}

/** Throws when no run of the same transactions one by one, in the order of their stamps, explains what was read. */
export async function runAndReplay(engine: Engine, random: Random, count: number, clients: number): Promise<void> {
  await engine.transact((txn) => {
    txn.deleteRange(everything);
    txn.deleteRange({ start: stampPrefix, end: Buffer.from('stamps0') });
  });
  const done = new Map<number, Done>();
  let clock = 0;
  let given = 0;
  const client = async () => {
    while (given < count) {
      given += 1;
      const unique = given;
      clock += 1;
      const start = clock;
      const outcome = await engine.transact(async (txn) => {
        const reads: { read: Read; answer: unknown }[] = [];
        for (let step = random.below(4); step > 0; step -= 1) {
          const read = randomRead(random);
          reads.push({ read, answer: await readEngine(txn, read) });
          for (let turn = random.below(3); turn > 0; turn -= 1) await new Promise((resolve) => setImmediate(resolve));
        }
        const writes = Array.from({ length: random.below(4) }, () => randomWrite(random, unique));
        for (const write of writes) writeEngine(txn, write);
        txn.put(txn.stamp(stampPrefix), Buffer.from(String(unique)));
        return { reads, writes };
      });
      clock += 1;
      done.set(unique, { start, end: clock, ...outcome });
    }
  };
  await Promise.all(Array.from({ length: clients }, client));

  const stamps = await engine.snapshot((view) =>
    view.scan({ start: stampPrefix, end: Buffer.from('stamps0') }, { limit: count + 1 }),
  );
  const order = stamps.map((item) => Number(Buffer.from(item.value).toString()));
  deepStrictEqual(
    order.toSorted((a, b) => a - b),
    Array.from({ length: count }, (_, place) => place + 1),
  );
  for (const { key } of stamps) deepStrictEqual(key.length, stampPrefix.length + stampBytes);

  const model: Model = new Map();
  let latestStart = 0;
  for (const unique of order) {
    const { start, end, reads, writes } = done.get(unique) as Done;
    if (end < latestStart) throw new Error(`${unique} was acknowledged before one with a lower stamp began`);
    latestStart = Math.max(latestStart, start);
    for (const { read, answer } of reads) deepStrictEqual(answer, readModel(model, read), `read by ${unique}`);
    for (const write of writes) writeModel(model, write);
  }
  const left = await engine.snapshot((view) => view.scan(everything, { limit: 1000 }));
  const expected = readModel(model, { kind: 'scan', start: 'data/', end: 'data0', limit: 1000, reverse: false });
  deepStrictEqual(
    left.map((item) => [idOf(item.key), idOf(item.value)]),
    expected,
  );
}
