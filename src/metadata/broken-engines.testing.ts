// Engines that break one promise each, made from one that holds: the checkers must tell them apart.
import {
  type Engine,
  type Item,
  type Key,
  type Range,
  type ScanOptions,
  StampedKey,
  type Txn,
  type Value,
  type View,
} from './engine.ts';
import { stampKey, TxnBuffer } from './read-set.ts';

function replay(txn: Txn, ops: ReturnType<TxnBuffer['finish']>['ops']): void {
  for (const op of ops) {
    if (op.kind === 'put') txn.put(op.key, op.value);
    else if (op.kind === 'delete') txn.delete(op.key);
    else if (op.kind === 'deleteRange') txn.deleteRange(op.range);
    else if (op.kind === 'add') txn.add(op.key, op.delta, op.max);
    else txn.put(txn.stamp(op.prefix), op.value);
  }
}

function wrap(inner: Engine, changed: Partial<Pick<Engine, 'snapshot' | 'transact'>>): Engine {
  return {
    get: (key) => inner.get(key),
    snapshot: (work) => inner.snapshot(work),
    transact: (work) => inner.transact(work),
    ...changed,
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** Commits whatever a transaction wrote, though what it read has changed. */
export function withoutValidation(inner: Engine): Engine {
  return wrap(inner, {
    async transact(work) {
      const [result, ops] = await inner.snapshot(async (view) => {
        const txn = new TxnBuffer(view);
        return [await work(txn), txn.finish().ops] as const;
      });
      await inner.transact((txn) => replay(txn, ops));
      return result;
    },
  });
}

/** Checks the keys that were read, and forgets the ranges: keys that appear in them are missed. */
export function withoutRangeValidation(inner: Engine): Engine {
  return wrap(inner, {
    async transact(work) {
      for (;;) {
        const [result, { reads, ops }, seen] = await inner.snapshot(async (view) => {
          const txn = new TxnBuffer(view);
          const given = await work(txn);
          const footprint = txn.finish();
          return [given, footprint, await view.getMany(footprint.reads)] as const;
        });
        const committed = await inner.transact(async (txn) => {
          const now = await txn.getMany(reads);
          const same = now.every((value, place) => equal(value, seen[place]));
          if (same) replay(txn, ops);
          return same;
        });
        if (committed) return result;
      }
    },
  });
}

function equal(a: Value | undefined, b: Value | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

/** Every read of a snapshot sees the newest state instead of one picture. */
export function withoutSteadySnapshots(inner: Engine): Engine {
  const view: View = {
    get: (key: Key) => inner.snapshot((now) => now.get(key)),
    getMany: (keys: readonly Key[]) => Promise.all(keys.map((key) => inner.snapshot((now) => now.get(key)))),
    scan: (range: Range, options: ScanOptions): Promise<Item[]> => inner.snapshot((now) => now.scan(range, options)),
  };
  return wrap(inner, { snapshot: async (work) => work(view) });
}

/** Snapshots show a picture that is taken anew only now and then: consistent, but older than what was acknowledged. */
export function withStaleSnapshots(inner: Engine, uses: number): Engine {
  let taken: Promise<Item[]> | undefined;
  let used = 0;
  return wrap(inner, {
    async snapshot(work) {
      if (taken === undefined || used === uses) {
        used = 0;
        taken = inner.snapshot((view) => view.scan({ start: Buffer.of(0), end: Buffer.of(255) }, { limit: 1000 }));
      }
      used += 1;
      return work(viewOf(await taken));
    },
  });
}

function viewOf(items: readonly Item[]): View {
  const get = (key: Key) => items.find((item) => Buffer.compare(item.key, key) === 0)?.value;
  return {
    get,
    getMany: (keys: readonly Key[]) => keys.map(get),
    scan: ({ start, end }: Range, { limit, reverse }: ScanOptions) => {
      const found = items.filter(({ key }) => Buffer.compare(key, start) >= 0 && Buffer.compare(key, end) < 0);
      return (reverse ? found.toReversed() : found).slice(0, limit);
    },
  };
}

/** Gives a stamp when a transaction first runs, not when it commits. */
export function withEarlyStamps(inner: Engine): Engine {
  let begun = 0;
  return wrap(inner, {
    transact: (work) => {
      begun += 1;
      const seq = begun;
      return inner.transact((txn) => {
        let place = 0;
        const early: Txn = {
          get: (key) => txn.get(key),
          getMany: (keys) => txn.getMany(keys),
          scan: (range, options) => txn.scan(range, options),
          put(key, value) {
            place += 1;
            txn.put(key instanceof StampedKey ? stampKey(key.prefix, seq, place) : key, value);
          },
          delete: (key) => txn.delete(key),
          deleteRange: (range) => txn.deleteRange(range),
          add: (key, delta, max) => txn.add(key, delta, max),
          abandon: () => txn.abandon(),
          stamp: (prefix) => txn.stamp(prefix),
        };
        return work(early);
      });
    },
  });
}
