// What readers remember of accounts and containers from picture to picture is never older than what was acknowledged.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { seededRandom } from '../base/random.ts';
import { hasSteady, isSteady, keys } from './keys.ts';
import { OptimisticEngine } from './optimistic-engine.ts';
import { SqliteCommitter } from './sqlite-committer.ts';

const work = mkdtempSync(join(tmpdir(), 'causeway-steady-'));
after(() => rmSync(work, { recursive: true }));

const cacheBytes = 4 * 1024 * 1024;
const steady = [keys.account('a'), keys.account('b'), keys.container('a', 'one'), keys.access('a')];
const other = keys.entry(Buffer.alloc(16), 'name');
const names = (key: Uint8Array): string => Buffer.from(key).toString('hex');

function open(path: string) {
  const committer = new SqliteCommitter({ path, cacheBytes, queueBytesMax: 1 << 28 });
  const engines = [1, 2, 3].map(() => new OptimisticEngine({ path, committer, cacheBytes, readersMax: 4 }));
  const close = async (): Promise<void> => {
    for (const engine of engines) await engine[Symbol.asyncDispose]();
    committer.close();
  };
  return { committer, engines, close };
}

test('every engine reads the last acknowledged value, also after groups that failed and after a restart', async () => {
  const path = join(work, 'random.db');
  const random = seededRandom(41);
  const model = new Map<string, string>();
  let opened = open(path);
  let failed = 0;
  for (let step = 0; step < 600; step++) {
    const { committer, engines } = opened;
    const engine = engines[random.below(3)] as OptimisticEngine;
    const key = steady[random.below(steady.length)] as Buffer;
    const value = `${step}`;
    switch (random.below(7)) {
      case 0:
      case 1:
        await engine.transact((txn) => txn.put(key, Buffer.from(value)));
        model.set(names(key), value);
        break;
      case 2:
        await engine.transact((txn) => txn.put(other, Buffer.from(value)));
        break;
      case 3:
        await engine.transact((txn) => txn.delete(key));
        model.delete(names(key));
        break;
      case 4:
        await engine.transact((txn) => txn.deleteRange(keys.accounts()));
        for (const gone of steady.slice(0, 2)) model.delete(names(gone));
        break;
      case 5: {
        // A group that the disk does not take: its numbers are given again.
        const { page_count: pages } = committer.db.prepare('PRAGMA page_count').get() as { page_count: number };
        committer.db.exec(`PRAGMA max_page_count = ${pages}`);
        const never = Buffer.from('never');
        const writes = [
          ...steady.map((asked) => engine.transact((txn) => txn.put(asked, never))),
          engine.transact((txn) => txn.put(keys.entry(Buffer.alloc(16), value), Buffer.alloc(1 << 20))),
        ];
        const outcomes = await Promise.allSettled(writes);
        assert.ok(outcomes.every(({ status }) => status === 'rejected'));
        failed++;
        committer.db.exec('PRAGMA max_page_count = 1073741823');
        break;
      }
      default:
        if (random.below(8) > 0) continue;
        await opened.close();
        opened = open(path);
    }
    for (const reader of opened.engines) {
      for (const asked of steady) {
        const found = await reader.get(asked);
        assert.equal(found && Buffer.from(found).toString(), model.get(names(asked)), `step ${step}`);
      }
    }
  }
  assert.ok(failed > 50);
  await opened.close();
});

test('a file from before steady keys were noted is taken, and its keys are', async () => {
  const path = join(work, 'older.db');
  const first = open(path);
  await first.engines[0]?.transact((txn) => txn.put(keys.account('a'), Buffer.from('1')));
  await first.close();
  const older = new DatabaseSync(path);
  older.exec('ALTER TABLE state DROP COLUMN steady');
  older.close();
  const { engines, close } = open(path);
  const [one, two] = engines as [OptimisticEngine, OptimisticEngine];
  assert.equal(`${await two.get(keys.account('a'))}`, '49');
  await one.transact((txn) => txn.put(keys.account('a'), Buffer.from('2')));
  assert.equal(`${await two.get(keys.account('a'))}`, '50');
  await close();
});

test('a range is steady where any key in it is', () => {
  assert.ok(steady.every(isSteady));
  assert.ok(!isSteady(other));
  for (const key of steady) assert.ok(hasSteady({ start: key, end: Buffer.concat([key, Buffer.alloc(1)]) }));
  assert.ok(hasSteady({ start: Buffer.from('B'), end: Buffer.from('Cx') }));
  assert.ok(hasSteady({ start: Buffer.alloc(0), end: Buffer.from([0xff]) }));
  assert.ok(!hasSteady(keys.entries()));
});
