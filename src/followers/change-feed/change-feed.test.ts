// The change feed as files: every change once and in order, whatever crashes, whoever else is at work, however clocks go.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { readAvroFile } from '../../codec/avro-file.ts';
import type { Engine, Txn, View } from '../../metadata/engine.ts';
import { keys } from '../../metadata/keys.ts';
import { changeSettings } from '../../namespace/account-settings.ts';
import { createAccount, deleteAccount } from '../../namespace/accounts.ts';
import { createContainer, deleteContainer, readContainer } from '../../namespace/containers.ts';
import { getEntry, putEntry } from '../../namespace/entries.ts';
import { trimJournal } from '../../namespace/expiry.ts';
import { openFollower, readBehind, readFollower } from '../../namespace/followers.ts';
import { fsck } from '../../namespace/fsck.ts';
import { journalIdOf } from '../../namespace/journal.ts';
import { listEntries } from '../../namespace/list.ts';
import { readContent } from '../../namespace/read.ts';
import { type ContainerRecord, encodeRecord } from '../../namespace/records.ts';
import { account, cause, TestStore } from '../../namespace/store.testing.ts';
import type { Store } from '../../namespace/store.ts';
import { deleteEntry, snapshotEntry } from '../../namespace/times.ts';
import { runFollower, type Taken } from '../follow.ts';
import { ChangeFeed, type ChangeFeedOptions } from './change-feed.ts';
import { segmentFor, stateKey } from './feed-state.ts';
import { feedContainer, segmentMs } from './layout.ts';
import type { ChangeEvent } from './schema.ts';
import { asideName, readAside } from './set-aside.ts';

async function feedOn(held: TestStore, name = account): Promise<void> {
  await createAccount(held.store, name, ['a', 'b'], cause);
  await changeSettings(held.store, name, { changeFeed: true }, cause);
}

async function put(held: TestStore, name: string, of = account, store = held.store): Promise<string> {
  let id = '';
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    yield Buffer.from(name);
  }
  const outcome = await putEntry(store, {
    account: of,
    container: 'box',
    name,
    conditions: {},
    cause: { by: 'PutBlob', requestId: '8131be7c-a01e-0054-20f6-36cf5b000000', noted: (noted) => (id = noted) },
    attributes: { headers: {}, metadata: {} },
    body: { chunks: chunks(), length: undefined, lengthMax: 1000, wantMd5: false },
  });
  assert.equal(outcome.kind, 'ok');
  return id;
}

/** One round: all records in pages of `rowsMax`, then what time brings. */
async function round(store: Store, feed: ChangeFeed, rowsMax = 7): Promise<Taken> {
  let { cursor: stored } = await openFollower(store, feed.name);
  let cursor = stored;
  for (;;) {
    const nowMs = store.clock.now();
    const page = await store.engine.snapshot((view) => readBehind(view, cursor, rowsMax));
    const last = page.rows.at(-1);
    if (last !== undefined) {
      const taken = await feed.take(stored, page.rows);
      if (taken === 'overtaken') return taken;
      cursor = last.id;
      if (taken === 'stored') stored = cursor;
    }
    if (!page.isEnd) continue;
    await feed.rest(nowMs);
    return 'stored';
  }
}

async function files(held: TestStore, of = account): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const where = { account: of, container: feedContainer };
  const page = await listEntries(held.store, {
    ...where,
    prefix: '',
    delimiter: undefined,
    from: '',
    limit: 1000,
    uncommitted: false,
  });
  if (page.kind !== 'ok') return found;
  for (const { name } of page.items) {
    const outcome = await getEntry(held.store, { ...where, name, conditions: {} });
    assert.equal(outcome.kind, 'ok');
    if (outcome.kind !== 'ok') continue;
    const parts: Buffer[] = [];
    for await (const chunk of readContent(held.store, outcome.entry, 0, outcome.entry.record.length)) {
      parts.push(Buffer.from(chunk.bytes));
      chunk.release();
    }
    found.set(name, Buffer.concat(parts));
  }
  return found;
}

async function eventsIn(held: TestStore, of = account): Promise<ChangeEvent[]> {
  const events: ChangeEvent[] = [];
  for (const [name, bytes] of await files(held, of)) {
    if (name.startsWith('log/')) events.push(...(readAvroFile(bytes) as Iterable<ChangeEvent>));
  }
  return events;
}

const idOf = ({ data }: ChangeEvent): string => data.sequencer.slice(-24);

async function manifests(held: TestStore): Promise<Record<string, { status: string; begin: string }>> {
  const found: Record<string, { status: string; begin: string }> = {};
  for (const [name, bytes] of await files(held)) {
    if (name.endsWith('meta.json') && !name.includes('/1601/')) found[name] = JSON.parse(bytes.toString());
  }
  return found;
}

async function lastConsumable(held: TestStore): Promise<string> {
  return JSON.parse((await files(held)).get('meta/segments.json')?.toString() as string).lastConsumable;
}

async function isSound(held: TestStore): Promise<void> {
  const lines: string[] = [];
  const { damage } = await fsck(held.store, (line) => lines.push(line));
  assert.equal(damage, 0, lines.join('\n'));
}

test('the feed begins when it is switched on, and tells each change once', async () => {
  await using held = await TestStore.open();
  await createAccount(held.store, account, ['a', 'b'], cause);
  await put(held, 'before');
  const feed = new ChangeFeed(held.store);
  await round(held.store, feed);
  assert.equal((await files(held)).size, 0);
  await changeSettings(held.store, account, { changeFeed: true }, cause);
  await round(held.store, feed);
  assert.deepEqual([...(await files(held)).keys()], ['idx/segments/1601/01/01/0000/meta.json', 'meta/segments.json']);
  const ids = [await put(held, 'a'), await put(held, 'b')];
  await round(held.store, feed);
  ids.push(await put(held, 'a'));
  await round(held.store, feed);
  await round(held.store, feed);
  assert.deepEqual((await eventsIn(held)).map(idOf), ids);
  await changeSettings(held.store, account, { changeFeed: false }, cause);
  await put(held, 'after');
  await round(held.store, feed);
  assert.deepEqual((await eventsIn(held)).map(idOf), ids);
  await isSound(held);
});

test('a snapshot and the delete that takes it along are events of their own', async () => {
  await using held = await TestStore.open();
  await feedOn(held);
  const command = { account, container: 'box', name: 'a', conditions: {}, cause: { by: 'DeleteBlob', requestId: '' } };
  await put(held, 'a');
  await snapshotEntry(held.store, { ...command, cause: { by: 'SnapshotBlob', requestId: '' } });
  await deleteEntry(held.store, { ...command, snapshots: 'include' });
  await round(held.store, new ChangeFeed(held.store));
  const told = (await eventsIn(held)).map(({ eventType, data }) => [eventType, data.snapshot !== null]);
  assert.deepEqual(told, [
    ['BlobCreated', false],
    ['BlobSnapshotCreated', true],
    ['BlobDeleted', true],
    ['BlobDeleted', false],
  ]);
});

test('a segment is complete when its hour is over, and nothing changes it any more', async () => {
  await using held = await TestStore.open();
  await feedOn(held);
  const feed = new ChangeFeed(held.store);
  const first = await put(held, 'a');
  await round(held.store, feed);
  assert.deepEqual(await manifests(held), {
    'idx/segments/2026/01/01/0000/meta.json': {
      ...(await manifests(held))['idx/segments/2026/01/01/0000/meta.json'],
      begin: '2026-01-01T00:00:00.000Z',
      status: 'Publishing',
    },
  });
  assert.equal(await lastConsumable(held), '2026-01-01T00:00:00.000Z');
  held.clock.advance(segmentMs + 1000);
  await round(held.store, feed);
  assert.equal(
    await lastConsumable(held),
    '2026-01-01T00:00:00.000Z',
    'changes that are slow to commit are waited for',
  );
  held.clock.advance(2000);
  await round(held.store, feed);
  assert.equal(await lastConsumable(held), '2026-01-01T01:00:00.000Z');
  const complete = await files(held);
  // A clock that goes back, or another process's.
  held.clock.advance(-2 * segmentMs);
  const second = await put(held, 'b');
  await round(held.store, feed);
  held.clock.advance(4 * segmentMs);
  const third = await put(held, 'c');
  await round(held.store, feed);
  assert.deepEqual((await eventsIn(held)).map(idOf), [first, second, third]);
  const times = (await eventsIn(held)).map(({ eventTime }) => eventTime);
  assert.deepEqual(times, [...times].sort());
  assert.deepEqual(
    Object.entries(await manifests(held)).map(([name, { status }]) => [name, status]),
    [
      ['idx/segments/2026/01/01/0000/meta.json', 'Finalized'],
      ['idx/segments/2026/01/01/0100/meta.json', 'Finalized'],
      ['idx/segments/2026/01/01/0300/meta.json', 'Publishing'],
    ],
  );
  const later = await files(held);
  for (const [name, bytes] of complete) {
    if (name !== 'meta/segments.json') assert.deepEqual(later.get(name), bytes, name);
  }
  held.clock.advance(5 * segmentMs);
  await round(held.store, feed);
  assert.equal(await lastConsumable(held), '2026-01-01T08:00:00.000Z', 'hours without changes are complete as well');
  await isSound(held);
});

test('files are bounded in length, and each is whole', async () => {
  await using held = await TestStore.open();
  await feedOn(held);
  const feed = new ChangeFeed(held.store, { fileBytesMax: 6000 });
  const ids: string[] = [];
  for (let i = 0; i < 40; i++) {
    ids.push(await put(held, `${i}`));
    if (i % 3 === 0) await round(held.store, feed);
  }
  await round(held.store, feed);
  const names = [...(await files(held)).keys()].filter((name) => name.startsWith('log/'));
  assert.ok(names.length > 2);
  assert.deepEqual(
    names,
    names.map((_, i) => `log/00/2026/01/01/0000/${`${i}`.padStart(5, '0')}.avro`),
  );
  assert.deepEqual((await eventsIn(held)).map(idOf), ids);
});

test('an account that is deleted takes its feed along, and one of the same name begins anew', async () => {
  await using held = await TestStore.open();
  const other = 'other';
  await feedOn(held, other);
  const feed = new ChangeFeed(held.store);
  const box = { account: other, container: 'box' };
  const make = () => createContainer(held.store, { ...box, metadata: {}, publicAccess: 'none', cause });
  await make();
  await put(held, 'a', other);
  await round(held.store, feed);
  await put(held, 'b', other);
  await deleteContainer(held.store, { ...box, conditions: {}, cause });
  assert.equal((await deleteAccount(held.store, other, cause)).kind, 'ok');
  await round(held.store, feed);
  held.clock.advance(2 * segmentMs);
  await round(held.store, feed);
  await feedOn(held, other);
  await make();
  const id = await put(held, 'c', other);
  await round(held.store, feed);
  assert.deepEqual((await eventsIn(held, other)).map(idOf), [id]);
  await isSound(held);
});

/** Transactions that end in an error, before or behind their commit: to whoever waits, both look the same. */
function unreliable(
  engine: Engine,
  failing: () => 'before' | 'behind' | undefined,
  isBroken: (key: Uint8Array) => boolean = () => false,
): Engine {
  return {
    get: (key) => engine.get(key),
    snapshot: <T>(work: (view: View) => T | Promise<T>) => engine.snapshot(work),
    transact: async <T>(work: (txn: Txn) => T | Promise<T>) => {
      const fails = failing();
      if (fails === 'before') throw new Error('cut off');
      const done = await engine.transact((txn) => {
        const put = txn.put.bind(txn);
        txn.put = (key, value) => {
          if (key instanceof Uint8Array && isBroken(key)) throw new Error('broken');
          put(key, value);
        };
        return work(txn);
      });
      if (fails === 'behind') throw new Error('cut off');
      return done;
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

for (const seed of [1, 2, 3, 4]) {
  test(`each change is told once and in order, whatever is cut off, by two at a time (seed ${seed})`, async () => {
    await using held = await TestStore.open();
    const random = seededRandom(seed);
    await feedOn(held);
    const broken = stateKey(account);
    let asides = 0;
    const options: ChangeFeedOptions = { fileBytesMax: 20_000, onSetAside: () => asides++ };
    const failing = () => (['before', 'behind', undefined, undefined, undefined] as const)[random.below(5)];
    const isBroken = (key: Uint8Array): boolean => broken.equals(key) && random.below(6) === 0;
    const stores = [held.store, held.another()].map(
      (store): Store => ({ ...store, engine: unreliable(held.engine, failing, isBroken) }),
    );
    const feeds = stores.map((store) => new ChangeFeed(store, options));
    const ids: string[] = [];
    let overtaken = 0;
    for (let step = 0; step < 60; step++) {
      for (let i = random.below(6); i > 0; i--) ids.push(await put(held, `${random.below(5)}`));
      if (random.below(6) === 0) held.clock.advance((random.below(5) - 1) * 1_200_000);
      const rounds = feeds.map((feed, i) => round(stores[i] as Store, feed, 1 + random.below(9)));
      for (const outcome of await Promise.allSettled(rounds)) {
        if (outcome.status === 'fulfilled' && outcome.value === 'overtaken') overtaken++;
        if (outcome.status === 'rejected') assert.match(String(outcome.reason), /cut off/);
      }
    }
    await round(held.store, new ChangeFeed(held.store, options));
    assert.deepEqual((await eventsIn(held)).map(idOf), ids);
    assert.ok(overtaken > 0, 'the two never met');
    assert.ok(asides > 0, 'the account was never set aside');
    assert.deepEqual(await held.engine.snapshot(readAside), []);
    const times = (await eventsIn(held)).map(({ eventTime }) => eventTime);
    assert.ok(times.length > 50);
    await isSound(held);
    await stores[1]?.content.close();
  });
}

test('a segment never lies before the one that is written, or among those that are complete', () => {
  const at = (hour: number) => hour * segmentMs;
  assert.equal(segmentFor({ closedMs: at(3) }, at(5) + 1), at(5));
  assert.equal(segmentFor({ closedMs: at(3) }, at(1)), at(3));
  const open = { beginMs: at(4), file: 0, bytes: 0, sync: '' };
  assert.equal(segmentFor({ closedMs: at(3), open }, at(3) + 5), at(4));
});

test('a follower runs in one worker, and in the next when that one is gone', async () => {
  await using held = await TestStore.open();
  await feedOn(held);
  const errors: unknown[] = [];
  const options = (owner: string) => ({
    owner,
    pauseMs: 10,
    leaseMs: 300,
    onError: (_: string, error: unknown) => errors.push(error),
    onLost: () => assert.fail('nothing was lost'),
  });
  const stops = [new AbortController(), new AbortController()] as const;
  const runs = stops.map((stop, i) =>
    runFollower(held.store, new ChangeFeed(held.store), options(`${i}`), stop.signal),
  );
  const ids: string[] = [];
  const until = async (): Promise<void> => {
    for (let i = 0; i < 20_000 && (await eventsIn(held)).length < ids.length; i++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual((await eventsIn(held)).map(idOf), ids);
  };
  ids.push(await put(held, 'a'));
  await until();
  stops[0].abort();
  await runs[0];
  ids.push(await put(held, 'b'));
  await until();
  stops[1].abort();
  await runs[1];
  assert.deepEqual(errors, []);
});

test('the id of a record is where the journal has it', () => {
  assert.equal(journalIdOf(Buffer.from(`4a${'0'.repeat(22)}12`, 'hex')), `${'0'.repeat(22)}12`);
});

/** The engine of a worker for whom the work of one account's feed goes wrong while `isBroken`. */
function broken(held: TestStore, of: string, isBroken: () => boolean): Store {
  const store = held.another();
  const bad = stateKey(of);
  const isBad = (key: Uint8Array): boolean => isBroken() && bad.equals(key);
  return { ...store, engine: unreliable(held.engine, () => undefined, isBad) };
}

for (const how of ['writing', 'reading'] as const) {
  test(`an account whose feed fails in ${how} holds up no other, and misses nothing`, async () => {
    await using held = await TestStore.open();
    for (const name of [account, 'other']) await feedOn(held, name);
    const box = { account: 'other', container: 'box', metadata: {}, publicAccess: 'none', cause } as const;
    await createContainer(held.store, box);
    let isBroken = false;
    const told: string[] = [];
    const store = how === 'writing' ? broken(held, account, () => isBroken) : held.store;
    const feed = new ChangeFeed(store, { onSetAside: (name) => told.push(name) });
    const ids: Record<string, string[]> = { [account]: [], other: [] };
    const write = async (): Promise<void> => {
      for (const name of [account, 'other', account, 'other']) {
        ids[name]?.push(await put(held, `n${ids[name].length}`, name));
        held.clock.advance(1);
      }
    };
    const check = async (of: string): Promise<void> => {
      const seen = (await eventsIn(held, of)).filter(({ eventType }) => eventType === 'BlobCreated').map(idOf);
      assert.deepEqual(seen, ids[of], of);
    };
    await write();
    assert.equal(await round(store, feed), 'stored');
    const before = [...(ids[account] as string[])];
    const state = await held.engine.snapshot((view) => view.get(stateKey(account)));
    assert(state !== undefined);
    if (how === 'writing') isBroken = true;
    else await held.engine.transact((txn) => txn.put(stateKey(account), Buffer.from('not a record')));
    for (let i = 0; i < 3; i++) {
      await write();
      held.clock.advance(segmentMs / 2);
      assert.equal(await round(store, feed), 'stored');
      await check('other');
    }
    const seen = (await eventsIn(held)).filter(({ eventType }) => eventType === 'BlobCreated').map(idOf);
    assert.deepEqual(seen, before);
    assert(told.length > 0 && told.every((name) => name === account), told.join());
    assert.deepEqual(await held.engine.snapshot(readAside), [account]);
    // The journal is kept for it.
    held.clock.advance(1000);
    const kept = await held.engine.snapshot((view) => readFollower(view, asideName(account)));
    assert.equal((await trimJournal(held.store, { ageMs: 0, followerAgeMs: 1e12, rowsMax: 10_000 })).records > 0, true);
    assert.deepEqual(await held.engine.snapshot((view) => readFollower(view, asideName(account))), kept);

    isBroken = false;
    await held.engine.transact((txn) => txn.put(stateKey(account), state));
    held.clock.advance(60_000);
    // By another worker, which finds it set aside.
    const next = new ChangeFeed(held.store);
    assert.equal(await round(held.store, next), 'stored');
    assert.deepEqual(await held.engine.snapshot(readAside), []);
    await write();
    await round(held.store, next);
    for (const name of [account, 'other']) await check(name);
    await isSound(held);
  });
}

test('a quota on the container of the feed, however it came there, does not stop it', async () => {
  await using held = await TestStore.open();
  await feedOn(held);
  const feed = new ChangeFeed(held.store);
  const ids = [await put(held, 'first')];
  await round(held.store, feed);
  await held.engine.transact(async (txn) => {
    const record = await readContainer(txn, { account, container: feedContainer });
    txn.put(keys.container(account, feedContainer), encodeRecord({ ...(record as ContainerRecord), quotaBytes: 1 }));
  });
  ids.push(await put(held, 'second'));
  assert.equal(await round(held.store, feed), 'stored');
  assert.deepEqual(await held.engine.snapshot(readAside), []);
  assert.deepEqual((await eventsIn(held)).map(idOf), ids);
});
