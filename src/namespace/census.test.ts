// The census: what it counts, that it sees changes, and that it walks past one step.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccount } from './accounts.ts';
import { type Census, keepCensus } from './census.ts';
import { createContainer } from './containers.ts';
import { account, cause, TestStore } from './store.testing.ts';

/** What stands after both walks have counted once more. */
async function counted(opened: TestStore): Promise<Partial<Census>> {
  const stop = new AbortController();
  let census: Partial<Census> = {};
  const onCount = (more: Partial<Census>): void => {
    census = { ...census, ...more };
    if (Object.keys(census).length === 4) stop.abort();
  };
  const onError = (error: unknown): void => assert.fail(String(error));
  await keepCensus(opened.store, { pauseMs: 1000, onCount, onError }, stop.signal);
  return census;
}

test('accounts, containers, bytes and current blobs are counted; directories are no blobs', async () => {
  await using opened = await TestStore.open();
  assert.deepEqual(await counted(opened), { accounts: 0, containers: 1, bytes: 0, objects: 0 });
  await createAccount(opened.store, account, ['AAAA', 'BBBB'], cause);
  await createContainer(opened.store, { account, container: 'other', metadata: {}, publicAccess: 'none', cause });
  await opened.put('a/b/c', opened.bytes(1000));
  await opened.put('a/b', opened.bytes(10));
  await opened.put('d', opened.bytes(1));
  await opened.remove('d');
  assert.deepEqual(await counted(opened), { accounts: 1, containers: 2, bytes: 1010, objects: 2 });
});

test('a walk of many steps counts each name once, rests between steps, and reads each step of the present', async () => {
  await using opened = await TestStore.open();
  for (let i = 0; i < 600; i++) await opened.put(`name ${i}`, opened.bytes(1));
  const before = opened.clock.now();
  assert.deepEqual(await counted(opened), { accounts: 0, containers: 1, bytes: 600, objects: 600 });
  assert.ok(opened.clock.now() - before >= 2 * 9, 'it rests');
});

test('an error is told and counting goes on; the signal ends it', { timeout: 10_000 }, async () => {
  await using opened = await TestStore.open();
  const stop = new AbortController();
  const errors: unknown[] = [];
  const engine = {
    ...opened.engine,
    snapshot: async () => {
      throw new Error('broken');
    },
  } as unknown as typeof opened.engine;
  const onError = (error: unknown): void => {
    if (errors.push(error) === 5) stop.abort();
  };
  const onCount = (): void => assert.fail('nothing was counted');
  await keepCensus({ ...opened.store, engine }, { pauseMs: 1, onCount, onError }, stop.signal);
  assert.ok(errors.length >= 5);
});
