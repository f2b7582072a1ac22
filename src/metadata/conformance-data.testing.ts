// The conformance suite: reads, writes, counters and stamps.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { seededRandom } from '../base/random.ts';
import {
  type Check,
  everything,
  key,
  putAll,
  race,
  read,
  scan,
  shown,
  turns,
  value,
} from './conformance-subject.testing.ts';
import {
  CounterLimitError,
  decodeCounter,
  encodeCounter,
  type Key,
  keyBytesMax,
  stampBytes,
  type Txn,
  type View,
  valueBytesMax,
} from './engine.ts';

export function checkReadsAndWrites(name: string, check: Check): void {
  describe(`${name}: reads and writes`, () => {
    check('keys are in the order of their bytes, whatever the bytes', async (engine) => {
      const random = seededRandom(3);
      const alphabet = [0, 1, 0x7f, 0x80, 0xff];
      const keys = new Map<string, Key>();
      for (let n = 0; n < 300; n += 1) {
        const bytes = Buffer.from(
          Array.from({ length: 1 + random.below(6) }, () => alphabet[random.below(5)] as number),
        );
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
        assert.deepEqual(
          found.map((found) => found && shown(found)),
          ['3', undefined, '1', '3', ''],
        );
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
        assert.deepEqual(
          (await txn.getMany(['a', 'b', 'c', 'cc', 'd', 'e'].map(key))).map((found) => found && shown(found)),
          [undefined, 'new', undefined, 'after', undefined, '5'],
        );
        assert.deepEqual(await scan(txn, everything, 9), ['b=new', 'cc=after', 'e=5', 'f=6']);
        assert.deepEqual(await scan(txn, everything, 2), ['b=new', 'cc=after']);
        assert.deepEqual(await scan(txn, everything, 3, true), ['f=6', 'e=5', 'cc=after']);
      });
      assert.deepEqual(await engine.snapshot((view) => scan(view, everything, 9)), ['b=new', 'cc=after', 'e=5', 'f=6']);
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

    check('what is longer than any key is asked for, and is not there', async (engine) => {
      const longest = Buffer.alloc(keyBytesMax, 0xfe);
      const longer = Buffer.alloc(5 * keyBytesMax, 0xfe);
      const longFirst = Buffer.concat([key('b'), longer]);
      await engine.transact((txn) => {
        for (const name of ['a', 'b', 'c']) txn.put(key(name), value(name));
        txn.put(longest, value('longest'));
      });
      const read = async (view: View) => {
        assert.equal(await view.get(longer), undefined);
        assert.deepEqual(
          (await view.getMany([key('a'), longer, key('c')])).map((found) => found && shown(found)),
          ['a', undefined, 'c'],
        );
        const from = async (start: Uint8Array, end: Uint8Array) =>
          (await view.scan({ start, end }, { limit: 9 })).map((item) => shown(item.value));
        assert.deepEqual(await from(longFirst, longest), ['c']);
        assert.deepEqual(await from(key('a'), longFirst), ['a', 'b']);
        assert.deepEqual(await from(longFirst, longFirst), []);
        assert.deepEqual(await from(key('b'), longer), ['b', 'c', 'longest']);
        assert.deepEqual(await from(longer, Buffer.concat([longer, longer])), []);
      };
      await engine.snapshot(read);
      await engine.transact(async (txn) => {
        txn.put(key('beside'), value('x'));
        txn.delete(key('beside'));
        await read(txn);
      });
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
      const kept: View[] = [];
      const keep = (given: View) => {
        kept.push(given);
        throw new Error('from work');
      };
      await assert.rejects(engine.snapshot(keep), /from work/);
      await assert.rejects(engine.transact(keep), /from work/);
      for (const late of kept) await assert.rejects(async () => late.get(key('a')), /ended/);
    });
  });
}

export function checkCountersAndStamps(name: string, check: Check): void {
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
      const adds = Array.from({ length: 30 }, () => engine.transact((txn) => txn.add(key('n'), 3n, 50n)));
      let fit = 0;
      for (const outcome of await Promise.allSettled(adds)) {
        if (outcome.status === 'fulfilled') fit += 1;
        else assert.ok(outcome.reason instanceof CounterLimitError);
      }
      assert.equal(fit, 16);
      assert.equal(decodeCounter(await engine.snapshot((view) => view.get(key('n')))), 48n);
    });

    check('an add meets what its own transaction wrote before', async (engine) => {
      await engine.transact((txn) => txn.add(key('n'), 9n));
      await engine.transact((txn) => {
        txn.delete(key('n'));
        txn.add(key('n'), 3n, 10n);
      });
      assert.equal(decodeCounter(await engine.snapshot((view) => view.get(key('n')))), 3n);
      await engine.transact((txn) => {
        txn.add(key('n'), 5n);
        txn.deleteRange({ start: key('m'), end: key('o') });
        txn.add(key('n'), 4n, 5n);
      });
      assert.equal(decodeCounter(await engine.snapshot((view) => view.get(key('n')))), 4n);
    });

    check('a transaction that fails at its commit fails alone', async (engine) => {
      await putAll(engine, { text: 'no counter' });
      const refused = [
        engine.transact((txn) => {
          txn.put(key('n'), encodeCounter(5n));
          txn.add(key('n'), 3n, 7n);
        }),
        engine.transact((txn) => {
          txn.put(key('beside'), value('1'));
          txn.add(key('text'), 1n);
        }),
        engine.transact((txn) => {
          txn.put(key('beside'), value('1'));
          txn.add(key('most'), 2n ** 63n - 1n);
          txn.add(key('most'), 1n);
        }),
      ];
      const settled = Promise.allSettled(refused);
      const others = ['a', 'b', 'c', 'd'].map((id) => putAll(engine, { [id]: '1' }));
      await Promise.all(others);
      const errors = (await settled).map((outcome) => (outcome.status === 'rejected' ? outcome.reason : 'done'));
      assert.ok(errors[0] instanceof CounterLimitError);
      assert.ok(errors[1] instanceof Error);
      assert.ok(errors[2] instanceof CounterLimitError);
      const left = await engine.snapshot((view) => scan(view, everything, 9));
      assert.deepEqual(left, ['a=1', 'b=1', 'c=1', 'd=1', 'text=no counter']);
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
      assert.deepEqual(
        saw.map((item) => shown(item.key)),
        ['saw 1', 'saw 2', 'saw 3'],
      );
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
      assert.deepEqual(
        mine,
        Array.from({ length: 40 }, (_, n) => `${n}`),
      );
    });

    check('who makes a stamped key is told it when it is durable, and only then', async (engine) => {
      const told: string[] = [];
      const tell = (found: Key) => told.push(Buffer.from(found).toString('latin1'));
      await race(
        engine,
        // All read what all write: every one but the first is run again.
        [1, 2, 3].map((n) => async (txn, meet) => {
          const before = await txn.get(key('n'));
          await meet();
          txn.put(key('n'), value(`${shown(before)}${n}`));
          const stamps = [txn.stamp(key('log/'), tell), txn.stamp(key('log/')), txn.stamp(key('log/'), tell)] as const;
          txn.put(stamps[2], value('last'));
          txn.put(stamps[0], value('first'));
        }),
      );
      await assert.rejects(
        engine.transact((txn) => {
          txn.put(txn.stamp(key('log/'), tell), value('never'));
          throw new Error('given up');
        }),
      );
      const items = await engine.snapshot((view) =>
        view.scan({ start: key('log/'), end: key('log0') }, { limit: 100 }),
      );
      assert.equal(items.length, 6);
      assert.deepEqual(
        told,
        items.map((item) => shown(item.key)),
      );
    });
  });
}
