// The logs that an account asks for: which requests, in which blobs, and for how long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putEntry } from '../../namespace/entries.ts';
import { listEntries } from '../../namespace/list.ts';
import { TestStore } from '../../namespace/store.testing.ts';
import { recordOf } from './audit.testing.ts';
import { type LoggingWanted, logsContainer, StorageLogs } from './storage-logs.ts';

const hourMs = 3_600_000;

test('logs are blobs of their hour, numbered on, and deleted after the days that they are wanted for', async () => {
  await using held = await TestStore.open();
  const { store, clock } = held;
  const retention = { enabled: true, days: 2 };
  const wanted: LoggingWanted = { version: '1.0', read: true, write: false, delete: false, retention };
  const logsOf = () => new StorageLogs({ store, flushMs: 1_000_000, onError: assert.ifError });
  const names = async (): Promise<string[]> => {
    const page = await listEntries(store, {
      account: 'acc',
      container: logsContainer,
      prefix: '',
      delimiter: undefined,
      from: '',
      limit: 100,
      uncommitted: false,
    });
    return page.kind === 'ok' ? page.items.map(({ name }) => name) : [page.kind];
  };
  const hour = (ms: number) => new Date(ms).toISOString().slice(0, 13).replace(/[-T]/g, '/');

  const one = logsOf();
  const startedMs = clock.now();
  one.note(recordOf('first', startedMs), wanted);
  one.note({ ...recordOf('a write', startedMs), Category: 'StorageWrite' }, wanted);
  one.note({ ...recordOf('of another', startedMs), AccountName: 'other' }, { ...wanted, read: false });
  one.note(recordOf('an hour ago', startedMs - hourMs), wanted);
  await one.flush();
  // Another process does not know which numbers are taken.
  const two = logsOf();
  two.note(recordOf('second', startedMs), wanted);
  await two.flush();
  const [before, now] = [hour(startedMs - hourMs), hour(startedMs)];
  assert.deepEqual(await names(), [
    `blob/${before}00/000000.log`,
    `blob/${now}00/000000.log`,
    `blob/${now}00/000001.log`,
  ]);

  clock.advance(72 * hourMs);
  const later = clock.now();
  two.note(recordOf('later', later), wanted);
  await two.flush();
  assert.deepEqual(await names(), [`blob/${hour(later)}00/000000.log`]);
});

test('a process that begins goes on behind the last log of the hour, without trying those before it', async () => {
  await using held = await TestStore.open();
  const { store, clock } = held;
  const retention = { enabled: false };
  const wanted: LoggingWanted = { version: '1.0', read: true, write: false, delete: false, retention };
  const logs = () => new StorageLogs({ store, flushMs: 1_000_000, onError: assert.ifError });
  const hour = `blob/${new Date(clock.now()).toISOString().slice(0, 13).replace(/[-T]/g, '/')}00`;
  const names = async () => {
    const at = { account: 'acc', container: logsContainer, prefix: '', delimiter: undefined, from: '' };
    const page = await listEntries(store, { ...at, limit: 100, uncommitted: false });
    return page.kind === 'ok' ? page.items.map(({ name }) => name) : [page.kind];
  };
  const write = async () => {
    const process = logs();
    process.note(recordOf('one', clock.now()), wanted);
    await process.flush();
  };
  await write();
  const chunks = async function* () {
    yield Buffer.from('x');
  };
  const body = { chunks: chunks(), length: 1, lengthMax: 1, wantMd5: false };
  const attributes = { type: 'block', headers: {}, metadata: {} } as const;
  const cause = { by: 'test', requestId: '' };
  const name = `${hour}/000417.log`;
  const put = { account: 'acc', container: logsContainer, name, conditions: {}, cause, attributes, body };
  assert.equal((await putEntry(store, put)).kind, 'ok');
  await write();
  assert.deepEqual(await names(), [`${hour}/000000.log`, name, `${hour}/000418.log`]);
});
