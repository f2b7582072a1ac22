// The memory engine: the suite of all engines, its own crashes, and proof that the checkers see broken engines.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom } from '../base/random.ts';
import {
  withEarlyStamps,
  withoutRangeValidation,
  withoutSteadySnapshots,
  withoutValidation,
  withStaleSnapshots,
} from './broken-engines.testing.ts';
import { engineConformance } from './engine.conformance.testing.ts';
import type { Engine } from './engine.ts';
import { checkHistory, runHistory } from './history.testing.ts';
import { MemoryEngine } from './memory-engine.ts';
import { runAndReplay } from './replay.testing.ts';

const key = (text: string) => Buffer.from(text);
const read = (engine: Engine, id: string) => engine.snapshot((view) => view.get(key(id)));

/** A flush that takes a turn of the event loop, and longer while it is held. */
function slowFlush() {
  let held: Promise<void> = Promise.resolve();
  return {
    flush: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      await held;
    },
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return resolve;
    },
  };
}

engineConformance('memory', async () => {
  const { flush, hold } = slowFlush();
  const engine = new MemoryEngine({ flush, asyncReads: seededRandom(11) });
  return {
    engine,
    holdFlush: hold,
    reopen: async () => {
      await engine[Symbol.asyncDispose]();
      return engine.crash(seededRandom(1));
    },
  };
});

engineConformance('memory, at once', async () => ({ engine: new MemoryEngine() }));

/** Says what the checker finds on the first of some seeds that shows anything. */
async function firstViolation(wrap: (inner: Engine) => Engine): Promise<string | undefined> {
  for (let seed = 1; seed <= 40; seed += 1) {
    await using engine = wrap(new MemoryEngine({ flush: slowFlush().flush }));
    const verdict = checkHistory(await runHistory(engine, seededRandom(seed), 120, 8));
    if (verdict.kind === 'violation') return verdict.what;
  }
  return undefined;
}

describe('the checkers find an engine that', () => {
  test('does not validate', async () =>
    assert.match((await firstViolation(withoutValidation)) ?? '', /lost|saw|before/));
  test('does not validate ranges', async () => assert.ok(await firstViolation(withoutRangeValidation)));
  test('reads several pictures in one snapshot', async () =>
    assert.match((await firstViolation(withoutSteadySnapshots)) ?? '', /each must stand before the next/));
  test('gives old pictures', async () =>
    assert.match((await firstViolation((inner) => withStaleSnapshots(inner, 4))) ?? '', /each must stand before/));
  test('does not break anything: the wrappers stand on a sound engine', async () =>
    assert.equal(await firstViolation((inner) => inner), undefined));
  for (const [title, wrap] of [
    ['does not validate', withoutValidation],
    ['does not validate ranges', withoutRangeValidation],
    ['gives stamps early', withEarlyStamps],
  ] as const) {
    test(`${title}, by replay`, async () => {
      await using engine = wrap(new MemoryEngine({ flush: slowFlush().flush }));
      const runs = Array.from({ length: 10 }, (_, n) => n + 1);
      await assert.rejects(async () => {
        for (const seed of runs) await runAndReplay(engine, seededRandom(seed), 150, 8);
      });
    });
  }
});

describe('memory: crashes', () => {
  test('what was acknowledged is there; a group under way landed whole or not at all', async () => {
    const landed = { whole: 0, absent: 0 };
    for (let seed = 1; seed <= 60; seed += 1) {
      const engine = new MemoryEngine({ flush: slowFlush().flush });
      const write = (id: string) => engine.transact((txn) => txn.put(key(id), key('1')));
      const first = write('a');
      const underWay = [write('b'), write('c')];
      await first;
      const queued = write('d');
      await Promise.resolve();
      const after = engine.crash(seededRandom(seed));
      for (const promise of [...underWay, queued, write('e')]) await assert.rejects(promise, { code: 'UNAVAILABLE' });
      await assert.rejects(read(engine, 'a'), { code: 'UNAVAILABLE' });
      const found = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((id) => read(after, id)));
      const there = found.map((value) => (value === undefined ? 'absent' : 'there')).join(' ');
      if (there === 'there there there absent absent') landed.whole += 1;
      else if (there === 'there absent absent absent absent') landed.absent += 1;
      else assert.fail(there);
    }
    assert.ok(landed.whole > 10 && landed.absent > 10, JSON.stringify(landed));
  });

  test('a work that is running at the crash fails, whatever it returns', async () => {
    const engine = new MemoryEngine();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const running = engine.snapshot(async () => {
      await gate;
      return 'fine';
    });
    const reading = engine.transact(async (txn) => {
      await gate;
      return txn.get(key('a'));
    });
    engine.crash(seededRandom(1));
    open();
    await assert.rejects(running, { code: 'UNAVAILABLE' });
    await assert.rejects(reading, { code: 'UNAVAILABLE' });
  });

  test('a flush that fails leaves nothing, and the engine goes on', async () => {
    let failing = false;
    const engine = new MemoryEngine({
      flush: async () => {
        if (failing) throw new Error('no room');
      },
    });
    const increment = () =>
      engine.transact(async (txn) => {
        const count = Number((await txn.get(key('n')))?.toString() ?? 0);
        txn.put(key('n'), key(`${count + 1}`));
        return count;
      });
    await increment();
    failing = true;
    await assert.rejects(increment(), { code: 'UNAVAILABLE' });
    failing = false;
    assert.equal(await increment(), 1);
  });

  test('a transaction that meets conflicts for ever gives up', async () => {
    const engine = new MemoryEngine({ attemptsMax: 3 });
    let runs = 0;
    const hopeless = engine.transact(async (txn) => {
      runs += 1;
      await txn.get(key('a'));
      await engine.transact((other) => other.put(key('a'), key(`${runs}`)));
      txn.put(key('b'), key('1'));
    });
    await assert.rejects(hopeless, { code: 'CONTENDED' });
    assert.equal(runs, 3);
    assert.equal(await read(engine, 'b'), undefined);
  });

  test('a full queue refuses', async () => {
    const { flush, hold } = slowFlush();
    const engine = new MemoryEngine({ flush, queueMax: 2 });
    const release = hold();
    const writes = Array.from({ length: 5 }, (_, n) => engine.transact((txn) => txn.put(key(`${n}`), key('1'))));
    const settled = Promise.allSettled(writes);
    await new Promise((resolve) => setImmediate(resolve));
    release();
    const refused = (await settled).filter((outcome) => outcome.status === 'rejected');
    assert.ok(refused.length >= 1 && refused.every((outcome) => outcome.reason.code === 'CONTENDED'));
  });
});
