// Names with very many states: deleted and undeleted at once, whatever their rows say until their turn has come.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatTicks } from '../codec/ticks.ts';
import { keys } from '../metadata/keys.ts';
import { changeSettings } from './account-settings.ts';
import { createAccount } from './accounts.ts';
import { dueWork } from './background.ts';
import { readContainer } from './containers.ts';
import { shareContent } from './contents.ts';
import { doDue } from './due.ts';
import { changeEntry, getEntry } from './entries.ts';
import { putPast } from './entry-rows.ts';
import { fsck } from './fsck.ts';
import { listEntries } from './list.ts';
import { findPlace, type Place } from './paths.ts';
import { decodeEntry, type Entry } from './records.ts';
import { readSettings } from './settings.ts';
import type { Permit } from './states.ts';
import { account, cause, TestStore } from './store.testing.ts';
import { deleteEntry, snapshotEntry, undeleteEntry } from './times.ts';

const name = { account, container: 'box', name: 'a/many' };
const count = 1000;

class Many {
  readonly world: TestStore;
  readonly times: string[] = [];
  largest = 0;

  private constructor(world: TestStore) {
    this.world = world;
  }

  static async with(softDeleteDays: number, work: (many: Many) => Promise<void>): Promise<void> {
    await using world = await TestStore.open();
    const many = new Many(world);
    const key = Buffer.alloc(32).toString('base64');
    await createAccount(world.store, account, [key, key], cause);
    if (softDeleteDays > 0) await changeSettings(world.store, account, { softDeleteDays }, cause);
    await world.put('a/many', world.bytes(5000));
    await many.snapshots();
    many.countOps();
    await work(many);
    while (await many.step()) world.clock.advance(1);
    const lines: string[] = [];
    const found = await fsck(world.store, (line) => lines.push(line));
    assert.equal(found.damage, 0, lines.join('\n'));
  }

  /** As they would be made one by one. */
  async snapshots(): Promise<void> {
    const { store, clock } = this.world;
    await store.engine.transact(async (txn) => {
      const container = await readContainer(txn, name);
      assert.ok(container);
      const place = (await findPlace(txn, Buffer.from(container.id, 'hex'), name.name)) as Place;
      const current = decodeEntry((await txn.get(keys.entry(place.parent, place.leaf))) as Uint8Array);
      const settings = await readSettings(txn, account);
      for (let index = 0; index < count; index++) {
        const time = formatTicks(BigInt(clock.now() - 10_000) * 10_000n + BigInt(2 * index));
        this.times[index] = time;
        shareContent(txn, current);
        putPast(store, txn, { name, container, settings, place, cause }, current, { kind: 'snapshot', time });
        const usage = keys.usage(Buffer.from(container.id, 'hex'));
        txn.add(usage, BigInt(current.record.length));
      }
    });
  }

  /** What the largest transaction from now on writes. */
  countOps(): void {
    const { engine } = this.world;
    const transact = engine.transact.bind(engine);
    engine.transact = (work) =>
      transact(async (txn) => {
        let writes = 0;
        const counted = new Proxy(txn, {
          get: (target, property) => {
            const member = Reflect.get(target, property) as unknown;
            if (property === 'put' || property === 'delete' || property === 'add') writes++;
            return typeof member === 'function' ? member.bind(target) : member;
          },
        });
        const result = await work(counted);
        this.largest = Math.max(this.largest, writes);
        return result;
      });
  }

  delete(snapshots: 'include' | 'only') {
    return deleteEntry(this.world.store, { ...name, conditions: {}, cause, snapshots });
  }

  /** One round of what is due; whether anything was. */
  async step(): Promise<boolean> {
    return (await doDue(this.world.store, dueWork(this.world.store), { rowsMax: 10 })).rows > 0;
  }

  async at(index: number): Promise<string> {
    const at = { kind: 'snapshot', time: this.times[index] as string } as const;
    return (await getEntry(this.world.store, { ...name, conditions: {}, at })).kind;
  }

  async listed(deleted: boolean): Promise<Entry[]> {
    const past = { snapshots: true, versions: false, deleted, versionsOnly: false, alone: false };
    const query = { account, container: 'box', prefix: '', delimiter: undefined, from: '', uncommitted: false, past };
    const page = await listEntries(this.world.store, { ...query, limit: 5000 });
    assert.equal(page.kind, 'ok');
    return page.kind === 'ok' ? page.items.flatMap((item) => (item.kind === 'entry' ? [item.entry] : [])) : [];
  }
}

describe('many snapshots that are deleted', () => {
  test('are gone at once, and their rows in steps', async () => {
    await Many.with(0, async (many) => {
      assert.equal((await many.delete('include')).kind, 'ok');
      for (let round = 0; ; round++) {
        for (const index of [0, 300, count - 1]) assert.equal(await many.at(index), 'entry-not-found');
        assert.deepEqual(await many.listed(true), []);
        if (!(await many.step())) break;
        many.world.clock.advance(1);
        assert.ok(round < 10);
      }
      assert.ok(many.largest < 3000, `${many.largest} writes in one transaction`);
      assert.equal((await undeleteEntry(many.world.store, { ...name, conditions: {}, cause })).kind, 'entry-not-found');
    });
  });

  test('let others have a turn while a list goes over them', async () => {
    await Many.with(0, async (many) => {
      assert.equal((await many.delete('include')).kind, 'ok');
      let turns = 0;
      setImmediate(() => turns++);
      assert.deepEqual(await many.listed(false), []);
      assert.equal(turns, 1);
    });
  });

  test('take nothing along that comes after them', async () => {
    await Many.with(0, async (many) => {
      const { world } = many;
      assert.equal((await many.delete('only')).kind, 'ok');
      const made = await snapshotEntry(world.store, { ...name, conditions: {}, cause });
      assert.equal(made.kind, 'ok');
      assert.equal((await many.listed(true)).length, 2);
      while (await many.step()) world.clock.advance(1);
      assert.equal((await many.listed(true)).length, 2);
      assert.equal((await world.read('a/many')).length, 5000);
      // With so few, at once.
      assert.equal((await many.delete('include')).kind, 'ok');
      assert.equal((await many.listed(true)).length, 0);
    });
  });

  test('softly are shown as deleted at once, and come back at once', async () => {
    await Many.with(7, async (many) => {
      const { store, clock } = many.world;
      assert.equal((await many.delete('include')).kind, 'ok');
      assert.equal(await many.at(5), 'entry-not-found');
      assert.equal((await many.listed(false)).length, 0);
      const deleted = await many.listed(true);
      assert.equal(deleted.length, count + 1);
      assert.ok(
        deleted.every(({ record }) => record.past?.deletedMs !== undefined && record.past.purgeMs !== undefined),
      );
      await many.step();
      // One thing after the other: until the rows are there the client is told to come again.
      const undelete = () => undeleteEntry(store, { ...name, conditions: {}, cause });
      assert.equal((await undelete()).kind, 'contended');
      while (await many.step()) clock.advance(1);
      assert.equal((await many.listed(true)).length, count + 1);
      assert.equal((await undelete()).kind, 'ok');
      for (let round = 0; ; round++) {
        assert.equal(await many.at(round), 'ok');
        assert.equal(await many.at(count - 1), 'ok');
        assert.equal((await many.listed(false)).length, count + 1);
        if (!(await many.step())) break;
        clock.advance(1);
        assert.ok(round < 10);
      }
      // The days of the deletion are over: nobody purges what is back.
      clock.advance(8 * 86_400_000);
      for (let round = 0; round < 200 && (await many.step()); round++) clock.advance(1);
      assert.equal((await many.listed(false)).length, count + 1);
      assert.ok(many.largest < 3000, `${many.largest} writes in one transaction`);
    });
  });

  test('go one step after the other without a pause between', async () => {
    await Many.with(0, async (many) => {
      const { store, clock } = many.world;
      await many.delete('include');
      const more: boolean[] = [];
      for (let round = 0; round < 5; round++) {
        more.push((await doDue(store, dueWork(store), { rowsMax: 10 })).more);
        clock.advance(1);
      }
      assert.deepEqual(more, [true, true, true, false, false]);
    });
  });

  test('of a container that is deleted with them go with it', async () => {
    await Many.with(0, async (many) => {
      const { deleteContainer } = await import('./containers.ts');
      const { emptyOnce } = await import('./emptying.ts');
      const { store, clock } = many.world;
      assert.equal((await many.delete('include')).kind, 'ok');
      await many.step();
      assert.equal((await deleteContainer(store, { account, container: 'box', conditions: {}, cause })).kind, 'ok');
      while ((await emptyOnce(store, { rowsMax: 200 })).rows > 0) clock.advance(1);
      clock.advance(2 * 86_400_000);
    });
  });
});

test('an undelete is decided about by the tags of the blob that comes back', async () => {
  await using world = await TestStore.open();
  const { store } = world;
  const key = Buffer.alloc(32).toString('base64');
  await createAccount(store, account, [key, key], cause);
  await changeSettings(store, account, { softDeleteDays: 1 }, cause);
  await world.put('a/many', world.bytes(10));
  const command = { ...name, conditions: {}, cause };
  const tagged = { touches: false, act: 'note' } as const;
  await changeEntry(store, command, (record) => ({ ...record, tags: { team: 'red' } }), tagged);
  await world.remove('a/many');
  const permitting = (team: string): Permit => {
    return ({ tags, isCurrentVersion }) => (tags.team === team && isCurrentVersion ? 'allowed' : 'denied');
  };
  assert.equal((await undeleteEntry(store, { ...command, permit: permitting('blue') })).kind, 'not-permitted');
  assert.equal((await undeleteEntry(store, { ...command, permit: permitting('red') })).kind, 'ok');
});

test('an undelete reads no more states than go at once, where the blob itself is there', async () => {
  await Many.with(1, async (many) => {
    const { world } = many;
    assert.equal((await many.delete('only')).kind, 'ok');
    while (await many.step()) world.clock.advance(1);
    let rows = 0;
    const { engine } = world;
    const transact = engine.transact.bind(engine);
    engine.transact = (work) =>
      transact((txn) => {
        const scan = txn.scan.bind(txn);
        txn.scan = async (range, options) => {
          const found = await scan(range, options);
          rows += found.length;
          return found;
        };
        return work(txn);
      });
    assert.equal((await undeleteEntry(world.store, { ...name, conditions: {}, cause })).kind, 'ok');
    engine.transact = transact;
    assert.ok(rows < 600, `${rows} rows`);
  });
});
