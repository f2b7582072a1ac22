// The conformance suite: isolation of concurrent transactions, and durability.
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
import { decodeCounter, type Engine, type Txn, type View } from './engine.ts';
import { checkHistory, runHistory } from './history.testing.ts';
import { runAndReplay } from './replay.testing.ts';

export function checkIsolation(name: string, check: Check): void {
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

    check('one key is read as it is after every commit that was acknowledged', async (engine) => {
      assert.equal(await engine.get(key('n')), undefined);
      for (let turn = 0; turn < 50; turn++) {
        await engine.transact((txn) => txn.put(key('n'), value(`${turn}`)));
        assert.equal(shown(await engine.get(key('n'))), `${turn}`);
      }
      await engine.transact((txn) => txn.delete(key('n')));
      assert.equal(await engine.get(key('n')), undefined);
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
      check(
        `phantoms: a key that appears in a scanned range is a conflict${reverse ? ', reverse' : ''}`,
        async (engine) => {
          const claim = (own: string) => async (txn: Txn, meet: () => Promise<void>) => {
            const taken = await txn.scan({ start: key('room/'), end: key('room0') }, { limit: 5, reverse });
            await meet();
            if (taken.length === 0) txn.put(key(`room/${own}`), value(own));
          };
          await race(engine, ['a', 'b', 'c'].map(claim));
          const claimed = await engine.snapshot((view) =>
            view.scan({ start: key('room/'), end: key('room0') }, { limit: 5 }),
          );
          assert.equal(claimed.length, 1);
        },
      );
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
}

export function checkDurability(name: string, check: Check): void {
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

    check(
      'what was acknowledged is there after opening again, and stamps go on rising',
      async (engine, { reopen }, t) => {
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
          const log = await again.snapshot((view) =>
            view.scan({ start: key('log/'), end: key('log0') }, { limit: 99 }),
          );
          assert.deepEqual(
            log.map((item) => shown(item.value)),
            Array.from({ length: 21 }, (_, n) => `${n}`),
          );
          assert.equal(decodeCounter(await again.snapshot((view) => view.get(key('n')))), 21n);
        } finally {
          await again[Symbol.asyncDispose]();
        }
      },
    );

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
