// What every engine must do: one suite, run on each of them.
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { seededRandom } from '../base/random.ts';
import {
  CounterLimitError,
  decodeCounter,
  type Engine,
  type Key,
  keyBytesMax,
  type Range,
  stampBytes,
  type Txn,
  valueBytesMax,
  type View,
} from './engine.ts';
import { checkHistory, runHistory } from './history.testing.ts';
import { runAndReplay } from './replay.testing.ts';

/** An engine under test, empty at first. */
export interface Subject {
  readonly engine: Engine;
  /** Closes the engine and opens what it holds again. */
  readonly reopen?: () => Promise<Engine>;
  /** Keeps commits from becoming durable until the function it returns is called. */
  readonly holdFlush?: () => () => void;
  /** Removes what the subject used; engines are disposed of before. */
  readonly remove?: () => Promise<void>;
}

const key = (text: string): Key => Buffer.from(text, 'latin1');
const value = key;
const everything: Range = { start: Buffer.of(0), end: Buffer.alloc(8, 0xff) };
const shown = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('latin1');

async function read(engine: Engine, text: string): Promise<string | undefined> {
  return shown(await engine.snapshot((view) => view.get(key(text))));
}

async function scan(view: View, range: Range, limit: number, reverse = false): Promise<string[]> {
  const items = await view.scan(range, { limit, reverse });
  return items.map((item) => `${shown(item.key)}=${shown(item.value)}`);
}

const putAll = (engine: Engine, items: Record<string, string>) =>
  engine.transact((txn) => {
    for (const [id, text] of Object.entries(items)) txn.put(key(id), value(text));
  });

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Lets each of `count` parties through when all have come, or after a second (an engine may let only one in). */
function barrier(count: number): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let come = 0;
  return async () => {
    come += 1;
    if (come === count) resolve();
    const timer = setTimeout(resolve, 1000);
    await promise;
    clearTimeout(timer);
  };
}

/** Runs the works at once; on the first run of each, all have read before any goes on to write. */
async function race(engine: Engine, works: ((txn: Txn, meet: () => Promise<void>) => Promise<void>)[]): Promise<void> {
  const meet = barrier(works.length);
  await Promise.all(
    works.map((work) => {
      let runs = 0;
      return engine.transact((txn) => {
        runs += 1;
        return work(txn, runs === 1 ? meet : async () => {});
      });
    }),
  );
}

export function engineConformance(name: string, make: () => Promise<Subject>): void {
  const check = (title: string, body: (engine: Engine, subject: Subject, t: TestContext) => Promise<void>) =>
    test(title, { timeout: 60_000 }, async (t) => {
      const subject = await make();
      try {
        await body(subject.engine, subject, t);
      } finally {
        await subject.engine[Symbol.asyncDispose]();
        await subject.remove?.();
      }
    });

  describe(`${name}: reads and writes`, () => {
    check('keys are in the order of their bytes, whatever the bytes', async (engine) => {
      const random = seededRandom(3);
      const alphabet = [0, 1, 0x7f, 0x80, 0xff];
      const keys = new Map<string, Key>();
      for (let n = 0; n < 300; n += 1) {
        const bytes = Buffer.from(Array.from({ length: 1 + random.below(6) }, () => alphabet[random.below(5)] as number));
        keys.set(bytes.toString('hex'), bytes);
      }
      const sorted = [...keys.values()].sort(Buffer.compare);
      await engine.transact((txn) => {
        for (const bytes of keys.values()) txn.put(bytes, bytes);
      });
      await engine.snapshot(async (view) => {
        const hex = (found: readonly { key: Key }[]) => found.map((item) => Buffer.from(item.key).toString('hex'));
        const wanted = sorted.map((bytes) => Buffer.from(bytes).toString('hex'));
        assert.deepEqual(hex(await view.scan(everything, { limit: 1000 })), wanted);
        assert.deepEqual(hex(await view.scan(everything, { limit: 1000, reverse: true })), wanted.toReversed());
        for (let n = 0; n < 60; n += 1) {
          const [from, to] = [random.below(sorted.length), random.below(sorted.length)].sort((a, b) => a - b);
          const range = { start: sorted[from as number] as Key, end: sorted[to as number] as Key };
          const limit = 1 + random.below(20);
          const part = wanted.slice(from, to);
          assert.deepEqual(hex(await view.scan(range, { limit })), part.slice(0, limit));
          const reversed = await view.scan(range, { limit, reverse: true });
          assert.deepEqual(hex(reversed), part.toReversed().slice(0, limit));
        }
      });
    });

    check('a range has its start and not its end; an empty or reversed one has nothing', async (engine) => {
      await putAll(engine, { a: '1', b: '2', 'b\0': '3', c: '4' });
      await engine.snapshot(async (view) => {
        assert.deepEqual(await scan(view, { start: key('a'), end: key('b') }, 9), ['a=1']);
        assert.deepEqual(await scan(view, { start: key('b'), end: key('c') }, 9), ['b=2', 'b\0=3']);
        assert.deepEqual(await scan(view, { start: key('b'), end: key('c') }, 1, true), ['b\0=3']);
        assert.deepEqual(await scan(view, { start: key('b'), end: key('b') }, 9), []);
        assert.deepEqual(await scan(view, { start: key('c'), end: key('a') }, 9), []);
        assert.deepEqual(await scan(view, { start: key(''), end: key('b') }, 9), ['a=1']);
      });
    });

    check('getMany answers in the order of its keys, also twice the same and none', async (engine) => {
      await putAll(engine, { a: '1', b: '', c: '3' });
      await engine.snapshot(async (view) => {
        const found = await view.getMany(['c', 'nothing', 'a', 'c', 'b'].map(key));
        assert.deepEqual(found.map(shown), ['3', undefined, '1', '3', '']);
        assert.deepEqual(await view.getMany([]), []);
      });
    });

    check('a transaction sees its own writes', async (engine) => {
      await putAll(engine, { a: '1', b: '2', c: '3', d: '4', e: '5' });
      await engine.transact(async (txn) => {
        txn.put(key('b'), value('new'));
        txn.delete(key('a'));
        txn.put(key('f'), value('6'));
        txn.deleteRange({ start: key('c'), end: key('e') });
        txn.put(key('cc'), value('after'));
        assert.deepEqual((await txn.getMany(['a', 'b', 'c', 'cc', 'd', 'e'].map(key))).map(shown), [
          undefined,
          'new',
          undefined,
          'after',
          undefined,
          '5',
        ]);
        assert.deepEqual(await scan(txn, everything, 9), ['b=new', 'cc=after', 'e=5', 'f=6']);
        assert.deepEqual(await scan(txn, everything, 2), ['b=new', 'cc=after']);
        assert.deepEqual(await scan(txn, everything, 3, true), ['f=6', 'e=5', 'cc=after']);
      });
      assert.deepEqual(await engine.snapshot((view) => scan(view, everything, 9)), [
        'b=new',
        'cc=after',
        'e=5',
        'f=6',
      ]);
    });

    check('writes take effect in their order', async (engine) => {
      await engine.transact((txn) => {
        txn.put(key('a'), value('gone'));
        txn.deleteRange({ start: key('a'), end: key('c') });
        txn.put(key('b'), value('first'));
        txn.put(key('b'), value('second'));
        txn.add(key('n'), 5n);
        txn.delete(key('n'));
        txn.add(key('n'), 3n);
      });
      assert.equal(await read(engine, 'a'), undefined);
      assert.equal(await read(engine, 'b'), 'second');
      assert.equal(decodeCounter(await engine.snapshot((view) => view.get(key('n')))), 3n);
    });

    check('values up to some megabytes, and ten thousand keys', async (engine) => {
      const random = seededRandom(5);
      const big = [0, 1, 4095, 70_000, 5_000_000].map((size) => random.bytes(size));
      await engine.transact((txn) => {
        for (const [place, bytes] of big.entries()) txn.put(key(`big ${place}`), bytes);
      });
      for (const [place, bytes] of big.entries()) {
        const found = await engine.snapshot((view) => view.get(key(`big ${place}`)));
        assert.ok(found !== undefined && Buffer.compare(found, bytes) === 0, `${bytes.length} bytes`);
      }
      const number = (n: number) => String(n).padStart(5, '0');
      for (let from = 0; from < 10_000; from += 2500) {
        await engine.transact((txn) => {
          for (let n = from; n < from + 2500; n += 1) txn.put(key(`many ${number(n)}`), value(`${n}`));
        });
      }
      await engine.snapshot(async (view) => {
        const found = await view.scan({ start: key('many '), end: key('many!') }, { limit: 20_000 });
        assert.equal(found.length, 10_000);
        assert.ok(found.every((item, n) => shown(item.key) === `many ${number(n)}` && shown(item.value) === `${n}`));
      });
      await engine.transact((txn) => txn.deleteRange({ start: key('many 00001'), end: key('many 09999') }));
      const left = await engine.snapshot((view) => scan(view, { start: key('many '), end: key('many!') }, 9));
      assert.deepEqual(left, ['many 00000=0', 'many 09999=9999']);
    });

    check('what is outside the limits is refused, and nothing is written', async (engine) => {
      const longest = Buffer.alloc(keyBytesMax, 0xfe);
      await engine.transact((txn) => txn.put(longest, value('longest')));
      assert.equal(shown(await engine.snapshot((view) => view.get(longest))), 'longest');
      const tooLong = Buffer.alloc(keyBytesMax + 1, 0xfe);
      const refused: ((txn: Txn) => unknown)[] = [
        (txn) => txn.put(key(''), value('x')),
        (txn) => txn.put(tooLong, value('x')),
        (txn) => txn.put(key('x'), Buffer.allocUnsafe(valueBytesMax + 1)),
        (txn) => txn.delete(key('')),
        (txn) => txn.add(tooLong, 1n),
        (txn) => txn.stamp(longest),
        (txn) => txn.get(key('')),
        (txn) => txn.getMany([key('a'), tooLong]),
        (txn) => txn.scan(everything, { limit: 0 }),
        (txn) => txn.scan(everything, { limit: 1.5 }),
      ];
      for (const use of refused) {
        const work = async (txn: Txn) => {
          txn.put(key('beside'), value('x'));
          await use(txn);
        };
        await assert.rejects(engine.transact(work), RangeError, String(use));
      }
      await assert.rejects(
        engine.snapshot(async (view) => view.get(key(''))),
        RangeError,
      );
      assert.deepEqual(await engine.snapshot((view) => scan(view, { start: key(''), end: key('\xfd') }, 9)), []);
    });

    check('an error that work throws is passed on, and nothing is written', async (engine) => {
      const error = new Error('from work');
      const failing = engine.transact(async (txn) => {
        txn.put(key('a'), value('1'));
        txn.add(key('n'), 1n);
        await txn.get(key('b'));
        throw error;
      });
      await assert.rejects(failing, (thrown) => thrown === error);
      await assert.rejects(
        engine.snapshot(() => {
          throw error;
        }),
        (thrown) => thrown === error,
      );
      assert.deepEqual(await engine.snapshot((view) => scan(view, everything, 9)), []);
      assert.equal(await engine.transact(() => 'a result'), 'a result');
    });

    check('a view or transaction is of no use after its work has ended', async (engine) => {
      const view = await engine.snapshot((given) => ({ given }));
      await assert.rejects(async () => view.given.get(key('a')), /ended/);
      const txn = await engine.transact((given) => ({ given }));
      await assert.rejects(async () => txn.given.put(key('a'), value('1')), /ended/);
    });
  });

  describe(`${name}: counters and stamps`, () => {
    check('adders of one counter never conflict, and none is lost', async (engine) => {
      let runs = 0;
      const adders = Array.from({ length: 60 }, (_, n) =>
        engine.transact(async (txn) => {
          runs += 1;
          await turns(n % 3);
          txn.add(key('n'), BigInt(n - 20));
        }),
      );
      await Promise.all(adders);
      assert.equal(runs, 60);
      assert.equal(decodeCounter(await engine.snapshot((view) => view.get(key('n')))), 570n);
    });

    check('an add past its max fails the whole transaction', async (engine) => {
      await engine.transact((txn) => txn.add(key('n'), 8n, 10n));
      const over = engine.transact((txn) => {
        txn.put(key('a'), value('1'));
        txn.add(key('m'), 1n);
        txn.add(key('n'), 3n, 10n);
      });
      await assert.rejects(over, (error) => error instanceof CounterLimitError && shown(error.key) === 'n');
      assert.equal(await read(engine, 'a'), undefined);
      assert.equal(await read(engine, 'm'), undefined);
      await engine.transact((txn) => txn.add(key('n'), 2n, 10n));
      await engine.transact((txn) => txn.add(key('n'), -10n));
      assert.equal((await engine.snapshot((view) => view.get(key('n'))))?.length, 8, 'a counter at 0 stays');
    });

    check('of many concurrent adds with a max, exactly those that fit succeed', async (engine) => {
      const adds = Array.from({ length: 30 }, () =>
        engine.transact((txn) => txn.add(key('n'), 3n, 50n)).then(
          () => 1,
          (error) => (assert.ok(error instanceof CounterLimitError), 0),
        ),
      );
      const fit = (await Promise.all(adds)).reduce<number>((sum, one) => sum + one, 0);
      assert.equal(fit, 16);
      assert.equal(decodeCounter(await engine.snapshot((view) => view.get(key('n')))), 48n);
    });

    check('a counter read and then changed by others is a conflict', async (engine) => {
      await engine.transact((txn) => txn.add(key('n'), 1n));
      await race(
        engine,
        [1, 2, 3].map((n) => async (txn, meet) => {
          const sum = decodeCounter(await txn.get(key('n')));
          await meet();
          txn.add(key('n'), 1n);
          txn.put(key(`saw ${sum}`), value(`${n}`));
        }),
      );
      const saw = await engine.snapshot((view) => view.scan({ start: key('saw'), end: key('sax') }, { limit: 9 }));
      assert.deepEqual(saw.map((item) => shown(item.key)), ['saw 1', 'saw 2', 'saw 3']);
    });

    check('stamped keys sort in the order of the commits', async (engine) => {
      const log = { start: key('log/'), end: key('log0') };
      for (let n = 0; n < 40; n += 4) {
        // Others with the same prefix are under way around each of the four.
        const noise = engine.transact((txn) => txn.put(txn.stamp(key('log/')), value('noise')));
        await engine.transact((txn) => {
          const stamps = [txn.stamp(key('log/')), txn.stamp(key('log/')), txn.stamp(key('log/'))] as const;
          txn.put(stamps[0], value(`${n}`));
          txn.put(stamps[1], value('replaced'));
          txn.put(stamps[1], value(`${n + 1}`));
          txn.put(stamps[2], value(`${n + 2}`));
        });
        await engine.transact((txn) => txn.put(txn.stamp(key('log/')), value(`${n + 3}`)));
        await noise;
      }
      const items = await engine.snapshot((view) => view.scan(log, { limit: 100 }));
      for (const item of items) assert.equal(item.key.length, 'log/'.length + stampBytes);
      const mine = items.map((item) => shown(item.value)).filter((text) => text !== 'noise');
      assert.equal(items.length - mine.length, 10);
      assert.deepEqual(mine, Array.from({ length: 40 }, (_, n) => `${n}`));
    });
  });

  describe(`${name}: isolation`, () => {
    check('no update is lost on a hot key', async (engine) => {
      const increment = (txn: Txn) =>
        Promise.resolve(txn.get(key('n'))).then(async (found) => {
          await turns(1);
          txn.put(key('n'), value(`${Number(shown(found) ?? '0') + 1}`));
        });
      await Promise.all(Array.from({ length: 24 }, () => engine.transact(increment)));
      assert.equal(await read(engine, 'n'), '24');
    });

    check('write skew: of two that each rely on the other staying, one goes', async (engine) => {
      await putAll(engine, { a: 'on', b: 'on' });
      const leave = (own: string, other: string) => async (txn: Txn, meet: () => Promise<void>) => {
        const othersState = shown(await txn.get(key(other)));
        await meet();
        if (othersState === 'on') txn.put(key(own), value('off'));
      };
      await race(engine, [leave('a', 'b'), leave('b', 'a')]);
      assert.deepEqual([await read(engine, 'a'), await read(engine, 'b')].sort(), ['off', 'on']);
    });

    for (const reverse of [false, true]) {
      check(`phantoms: a key that appears in a scanned range is a conflict${reverse ? ', reverse' : ''}`, async (engine) => {
        const claim = (own: string) => async (txn: Txn, meet: () => Promise<void>) => {
          const taken = await txn.scan({ start: key('room/'), end: key('room0') }, { limit: 5, reverse });
          await meet();
          if (taken.length === 0) txn.put(key(`room/${own}`), value(own));
        };
        await race(engine, ['a', 'b', 'c'].map(claim));
        const claimed = await engine.snapshot((view) => view.scan({ start: key('room/'), end: key('room0') }, { limit: 5 }));
        assert.equal(claimed.length, 1);
      });
    }

    check('a range that was read and then emptied by deleteRange is a conflict', async (engine) => {
      await putAll(engine, { 'x/1': '1', 'x/2': '1' });
      const range = { start: key('x/'), end: key('x0') };
      await race(engine, [
        async (txn, meet) => {
          const sum = (await txn.scan(range, { limit: 9 })).length;
          const one = (await txn.get(key('x/1'))) === undefined ? 0 : 1;
          await meet();
          txn.put(key('count'), value(`${sum} ${one}`));
        },
        async (txn, meet) => {
          const count = await txn.get(key('count'));
          await meet();
          if (count === undefined) txn.deleteRange(range);
        },
      ]);
      const left = (await engine.snapshot((view) => view.scan(range, { limit: 9 }))).length;
      assert.equal(await read(engine, 'count'), left === 0 ? '0 0' : '2 1');
    });

    check('a snapshot, and a transaction, read one picture while others write', async (engine) => {
      await putAll(engine, { a: '0', b: '0' });
      const looking = async (view: View) => {
        const before = await scan(view, everything, 9);
        for (let n = 1; n <= 10; n += 1) await putAll(engine, { a: `${n}`, b: `${n}`, [`c${n}`]: 'new' });
        const after = [...(await scan(view, everything, 9)), shown(await view.get(key('b')))];
        assert.deepEqual(after, [...before, before[1]?.slice(2)]);
        return before;
      };
      assert.deepEqual(await engine.snapshot(looking), ['a=0', 'b=0']);
      assert.equal(await read(engine, 'b'), '10');
      await engine.transact(looking);
    });

    check('each acknowledged transaction is in every later picture', async (engine) => {
      for (let n = 1; n <= 50; n += 1) {
        await engine.transact((txn) => txn.put(key('a'), value(`${n}`)));
        if (n % 2 === 0) assert.equal(await read(engine, 'a'), `${n}`);
        else assert.equal(shown(await engine.transact((txn) => txn.get(key('a')))), `${n}`);
      }
    });

    check('random histories of appends, gets and scans are strictly serializable', async (engine) => {
      for (let seed = 1; seed <= 12; seed += 1) {
        const verdict = checkHistory(await runHistory(engine, seededRandom(seed), 120, 8));
        assert.deepEqual(verdict, { kind: 'serializable' }, `seed ${seed}`);
      }
    });

    check('random transactions of all kinds equal the same ones run one by one in stamp order', async (engine) => {
      for (let seed = 1; seed <= 12; seed += 1) {
        await runAndReplay(engine, seededRandom(seed), 150, 8).catch((cause) => {
          throw new Error(`seed ${seed}`, { cause });
        });
      }
    });
  });

  describe(`${name}: durability`, () => {
    check('nothing is visible or acknowledged before it is durable', async (engine, { holdFlush }, t) => {
      if (holdFlush === undefined) return t.skip('this engine offers no hold on its flush');
      await putAll(engine, { a: 'old' });
      const release = holdFlush();
      let acknowledged = false;
      const writing = putAll(engine, { a: 'new', b: 'new' }).then(() => {
        acknowledged = true;
      });
      await turns(20);
      assert.equal(await read(engine, 'a'), 'old');
      assert.equal(shown(await engine.transact((txn) => txn.get(key('a')))), 'old');
      assert.equal(await read(engine, 'b'), undefined);
      assert.equal(acknowledged, false);
      release();
      await writing;
      assert.equal(await read(engine, 'a'), 'new');
    });

    check('what was acknowledged is there after opening again, and stamps go on rising', async (engine, { reopen }, t) => {
      if (reopen === undefined) return t.skip('this engine keeps nothing');
      const stamped = (on: Engine, text: string) =>
        on.transact((txn) => {
          txn.put(txn.stamp(key('log/')), value(text));
          txn.add(key('n'), 1n);
          txn.put(key('big'), Buffer.alloc(100_000, text));
        });
      for (let n = 0; n < 20; n += 1) await stamped(engine, `${n}`);
      await engine.transact((txn) => txn.delete(key('big')));
      const again = await reopen();
      try {
        await stamped(again, '20');
        const log = await again.snapshot((view) => view.scan({ start: key('log/'), end: key('log0') }, { limit: 99 }));
        assert.deepEqual(log.map((item) => shown(item.value)), Array.from({ length: 21 }, (_, n) => `${n}`));
        assert.equal(decodeCounter(await again.snapshot((view) => view.get(key('n')))), 21n);
      } finally {
        await again[Symbol.asyncDispose]();
      }
    });

    check('a disposed engine finishes what is under way and rejects what comes later', async (engine) => {
      const underWay = putAll(engine, { a: '1' });
      const disposing = engine[Symbol.asyncDispose]();
      await underWay;
      await disposing;
      await assert.rejects(
        engine.snapshot((view) => view.get(key('a'))),
        { code: 'UNAVAILABLE' },
      );
      await assert.rejects(
        engine.transact((txn) => txn.put(key('a'), value('2'))),
        { code: 'UNAVAILABLE' },
      );
      await engine[Symbol.asyncDispose]();
    });
  });
}
