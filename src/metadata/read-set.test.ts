// A transaction's buffer against a plain model: its reads, and that its record misses nothing it depended on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '../base/random.ts';
import { idOf, keyOf } from './byte-order.ts';
import { decodeCounter, encodeCounter, type Item, type View } from './engine.ts';
import { addToCounter, BoundView, type Op, stampKey, TxnBuffer } from './read-set.ts';

type Model = ReadonlyMap<string, string>;

const text = (value: string) => Buffer.from(value, 'latin1');

function modelScan(model: Model, start: string, end: string, limit: number, reverse: boolean): [string, string][] {
  const found = [...model].filter(([id]) => id >= start && id < end).sort(([a], [b]) => (a < b ? -1 : 1));
  return (reverse ? found.reverse() : found).slice(0, limit);
}

/** Some answers come at once and some later. */
function viewOf(model: Model, random: Random): View {
  const give = <T>(value: T) => (random.below(2) === 0 ? value : Promise.resolve(value));
  const get = (id: string) => (model.has(id) ? text(model.get(id) as string) : undefined);
  return {
    get: (key) => give(get(idOf(key))),
    getMany: (keys) => give(keys.map((key) => get(idOf(key)))),
    scan: (range, { limit, reverse }) =>
      give(
        modelScan(model, idOf(range.start), idOf(range.end), limit, reverse === true).map(([id, value]) => ({
          key: keyOf(id),
          value: text(value),
        })),
      ),
  };
}

function randomKey(random: Random): string {
  const letters = ['\0', 'a', 'b', '\xff'];
  return Array.from({ length: 1 + random.below(3) }, () => letters[random.below(4)]).join('');
}

function randomModel(random: Random): Map<string, string> {
  return new Map(Array.from({ length: random.below(25) }, () => [randomKey(random), `base ${random.below(1000)}`]));
}

const shown = (items: readonly Item[]) => items.map(({ key, value }) => [idOf(key), value.toString()]);

type Step =
  | { kind: 'put'; key: string; value: string }
  | { kind: 'delete'; key: string }
  | { kind: 'deleteRange'; start: string; end: string }
  | { kind: 'get'; key: string }
  | { kind: 'getMany'; keys: string[] }
  | { kind: 'scan'; start: string; end: string; limit: number; reverse: boolean };

function randomStep(random: Random): Step {
  const key = randomKey(random);
  const other = randomKey(random);
  const [start, end] = key < other ? [key, other] : [other, key];
  switch (random.below(6)) {
    case 0:
      return { kind: 'put', key, value: `own ${random.below(1000)}` };
    case 1:
      return { kind: 'delete', key };
    case 2:
      return { kind: 'deleteRange', start, end };
    case 3:
      return { kind: 'get', key };
    case 4:
      return { kind: 'getMany', keys: [key, other, randomKey(random)] };
    default:
      return { kind: 'scan', start, end, limit: 1 + random.below(6), reverse: random.below(2) === 1 };
  }
}

/** What each read of the steps gave. */
async function play(txn: TxnBuffer, steps: readonly Step[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const step of steps) {
    if (step.kind === 'put') txn.put(text(step.key), text(step.value));
    else if (step.kind === 'delete') txn.delete(text(step.key));
    else if (step.kind === 'deleteRange') txn.deleteRange({ start: text(step.start), end: text(step.end) });
    else if (step.kind === 'get') answers.push((await txn.get(text(step.key)))?.toString());
    else if (step.kind === 'getMany') {
      const values = await txn.getMany(step.keys.map(text));
      answers.push(values.map((value) => value?.toString()));
    } else {
      const { limit, reverse } = step;
      answers.push(shown(await txn.scan({ start: text(step.start), end: text(step.end) }, { limit, reverse })));
    }
  }
  return answers;
}

function playModel(base: Model, steps: readonly Step[]): unknown[] {
  const model = new Map(base);
  const answers: unknown[] = [];
  for (const step of steps) {
    if (step.kind === 'put') model.set(step.key, step.value);
    else if (step.kind === 'delete') model.delete(step.key);
    else if (step.kind === 'deleteRange') {
      for (const id of [...model.keys()]) if (id >= step.start && id < step.end) model.delete(id);
    } else if (step.kind === 'get') answers.push(model.get(step.key));
    else if (step.kind === 'getMany') answers.push(step.keys.map((key) => model.get(key)));
    else answers.push(modelScan(model, step.start, step.end, step.limit, step.reverse));
  }
  return answers;
}

test('reads see the picture with the own writes over it, and depend on nothing that is not recorded', async () => {
  let outside = 0;
  for (let seed = 1; seed <= 1500; seed += 1) {
    const random = seededRandom(seed);
    const base = randomModel(random);
    const steps = Array.from({ length: 1 + random.below(14) }, () => randomStep(random));
    const txn = new TxnBuffer(viewOf(base, random));
    const answers = await play(txn, steps);
    assert.deepEqual(answers, playModel(base, steps), `seed ${seed}`);

    const { reads, ranges } = txn.finish();
    const points = new Set(reads.map(idOf));
    const recorded = (id: string) =>
      points.has(id) || ranges.some((range) => id >= idOf(range.start) && id < idOf(range.end));
    const changed = new Map(base);
    for (let change = 0; change < 40; change += 1) {
      const id = randomKey(random);
      if (recorded(id)) continue;
      outside += 1;
      if (random.below(2) === 0) changed.delete(id);
      else changed.set(id, 'changed by another');
    }
    assert.deepEqual(
      answers,
      await play(new TxnBuffer(viewOf(changed, random)), steps),
      `unrecorded read, seed ${seed}`,
    );
  }
  assert.ok(outside > 5000, 'the record leaves most keys out');
});

async function recordOf(base: Model, work: (txn: TxnBuffer) => Promise<unknown>) {
  const txn = new TxnBuffer(viewOf(base, seededRandom(1)));
  await work(txn);
  const { reads, ranges, ops } = txn.finish();
  return { reads: reads.map(idOf), ranges: ranges.map(({ start, end }) => [idOf(start), idOf(end)]), ops };
}

const abcd: Model = new Map(['a', 'b', 'c', 'd'].map((id) => [id, id]));
const all = { start: text('a'), end: text('z') };

test('a scan that stopped at its limit has read up to its last key only', async () => {
  assert.deepEqual((await recordOf(abcd, async (txn) => txn.scan(all, { limit: 2 }))).ranges, [['a', 'b\0']]);
  assert.deepEqual((await recordOf(abcd, async (txn) => txn.scan(all, { limit: 2, reverse: true }))).ranges, [
    ['c', 'z'],
  ]);
  assert.deepEqual((await recordOf(abcd, async (txn) => txn.scan(all, { limit: 5 }))).ranges, [['a', 'z']]);
});

test('scans page by page leave one range', async () => {
  const record = await recordOf(abcd, async (txn) => {
    await txn.scan(all, { limit: 2 });
    await txn.scan({ start: text('b\0'), end: text('z') }, { limit: 2 });
    await txn.scan({ start: text('d\0'), end: text('z') }, { limit: 2 });
  });
  assert.deepEqual(record.ranges, [['a', 'z']]);
});

test('what the own writes decide is not a read; a key read twice is one', async () => {
  const record = await recordOf(abcd, async (txn) => {
    txn.put(text('a'), text('new'));
    txn.deleteRange({ start: text('c'), end: text('d') });
    for (const id of ['a', 'b', 'b', 'c', 'cc', 'd']) await txn.get(text(id));
    await txn.scan({ start: text('c'), end: text('d') }, { limit: 3 });
  });
  assert.deepEqual(record, { ...record, reads: ['b', 'd'], ranges: [] });
});

test('ops keep their order; adds and stamped keys are not seen by own reads', async () => {
  const txn = new TxnBuffer(viewOf(new Map(), seededRandom(1)));
  const second = txn.stamp(text('s'));
  const third = txn.stamp(text('s'));
  txn.put(third, text('3'));
  txn.put(second, text('2'));
  txn.add(text('n'), 5n);
  txn.add(text('n'), 5n, 7n);
  txn.deleteRange(all);
  assert.equal(await txn.get(text('n')), undefined);
  assert.deepEqual(await txn.scan(all, { limit: 9 }), []);
  const expected: Op[] = [
    { kind: 'putStamped', prefix: text('s'), place: 1, value: text('3') },
    { kind: 'putStamped', prefix: text('s'), place: 0, value: text('2') },
    { kind: 'add', key: text('n'), delta: 5n },
    { kind: 'add', key: text('n'), delta: 5n, max: 7n },
    { kind: 'deleteRange', range: all },
  ];
  assert.deepEqual(txn.finish().ops, expected);
});

test('stamps sort by commit, then by place, beyond 32 bits too', () => {
  const numbers = [1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52];
  const keys = numbers.flatMap((seq) => [0, 1, 300].map((place) => idOf(stampKey(text('p'), seq, place))));
  assert.deepEqual(keys, keys.toSorted());
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(Buffer.from(stampKey(text('p'), 2 ** 52, 7)).readBigUInt64BE(1), 2n ** 52n);
});

test('a counter refuses to pass its limit, 64 bits, and a key that holds something else', () => {
  const add = (current: bigint | undefined, delta: bigint, max?: bigint) => {
    const op = { kind: 'add', key: text('n'), delta } as const;
    const stored = current === undefined ? undefined : encodeCounter(current);
    return decodeCounter(addToCounter(stored, max === undefined ? op : { ...op, max }));
  };
  assert.equal(add(undefined, -3n), -3n);
  assert.equal(add(5n, 2n, 7n), 7n);
  assert.throws(() => add(5n, 3n, 7n), { code: 'COUNTER_LIMIT' });
  assert.throws(() => add(2n ** 63n - 1n, 1n), { code: 'COUNTER_LIMIT' });
  assert.throws(() => add(-(2n ** 63n), -1n), { code: 'COUNTER_LIMIT' });
  assert.throws(() => addToCounter(text('other value'), { kind: 'add', key: text('n'), delta: 1n }), TypeError);
});

test('a transaction or view that has ended refuses every use', () => {
  const txn = new TxnBuffer(viewOf(abcd, seededRandom(1)));
  txn.finish();
  for (const use of [
    () => txn.get(text('a')),
    () => txn.getMany([]),
    () => txn.scan(all, { limit: 1 }),
    () => txn.put(text('a'), text('a')),
    () => txn.delete(text('a')),
    () => txn.deleteRange(all),
    () => txn.add(text('a'), 1n),
    () => txn.stamp(text('a')),
  ]) {
    assert.throws(use, /has ended/);
  }
  const view = new BoundView(viewOf(abcd, seededRandom(1)));
  view.end();
  for (const use of [() => view.get(text('a')), () => view.getMany([]), () => view.scan(all, { limit: 1 })]) {
    assert.throws(use, /has ended/);
  }
});
