// What a worker is told of its commits when the committer fails or goes away: never that nothing was written, if that is not sure.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { describe, test } from 'node:test';
import type { CommitOutcome, CommitRequest, Committer } from './commit.ts';
import { RemoteCommitter, serveCommits } from './commit-channel.ts';
import { OptimisticEngine } from './optimistic-engine.ts';
import { SqliteCommitter } from './sqlite-committer.ts';

const key = Buffer.from('key');
const value = Buffer.from('value');
const cacheBytes = 1 << 20;
const request = (seq: number, reads: Buffer[] = []): CommitRequest => ({
  seq,
  reads,
  ranges: [],
  ops: [{ kind: 'put', key, value }],
});

async function withCommitter(work: (committer: SqliteCommitter, path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-channel-'));
  const path = join(directory, 'meta.db');
  try {
    await work(new SqliteCommitter({ path, cacheBytes, queueBytesMax: 1 << 20 }), path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** An engine over a committer that may lie; counts how often its work is run. */
async function outcomeOf(path: string, committer: Committer): Promise<{ code: string | undefined; runs: number }> {
  const engine = new OptimisticEngine({ path, committer, cacheBytes, readersMax: 1 });
  let runs = 0;
  let code: string | undefined;
  await engine
    .transact(async (txn) => {
      runs++;
      await txn.get(key);
      txn.put(key, value);
    })
    .catch((error: NodeJS.ErrnoException) => {
      code = error.code;
    });
  await engine[Symbol.asyncDispose]();
  return { code, runs };
}

describe('a stream to the committer that ends', () => {
  test('after the footprint was sent leaves the outcome unknown, and the work is not run again', async () => {
    await withCommitter(async (local, path) => {
      const [near, far] = duplexPair();
      serveCommits(far, {
        commit: async (sent) => {
          // Committed, and nobody hears of it.
          assert.equal((await local.commit(sent)).kind, 'committed');
          near.destroy();
          return { kind: 'conflict' };
        },
      });
      assert.deepEqual(await outcomeOf(path, new RemoteCommitter(near)), { code: 'OUTCOME_UNKNOWN', runs: 1 });
      local.close();
    });
  });

  test('before it was sent is no commit', async () => {
    await withCommitter(async (local, path) => {
      const [near, far] = duplexPair();
      serveCommits(far, local);
      const remote = new RemoteCommitter(near);
      near.destroy();
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(await outcomeOf(path, remote), { code: 'UNAVAILABLE', runs: 1 });
      local.close();
    });
  });
});

describe('a commit that fails', () => {
  /** The next statement of this kind fails as SQLite says a sync does. */
  function failNext(committer: SqliteCommitter, statement: string, alsoRuns: boolean): void {
    const { db } = committer;
    const exec = db.exec.bind(db);
    db.exec = (sql: string) => {
      if (sql !== statement) return exec(sql);
      db.exec = exec;
      if (alsoRuns) exec(sql);
      throw Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', errcode: 1034 });
    };
  }

  for (const isDurable of [true, false]) {
    test(`is unknown to who was in it, ${isDurable ? 'and it is durable' : 'and it is not'}; others know what they are`, async () => {
      await withCommitter(async (committer, path) => {
        let broken: Error | undefined;
        committer.close();
        const failing = new SqliteCommitter({
          path,
          cacheBytes,
          queueBytesMax: 1 << 20,
          onBroken: (error) => {
            broken = error;
          },
        });
        assert.equal((await failing.commit(request(0))).kind, 'committed');
        failNext(failing, 'COMMIT', isDurable);
        // The second read what was changed since its picture.
        const group: Promise<CommitOutcome>[] = [failing.commit(request(1)), failing.commit(request(0, [key]))];
        const [first, second] = await Promise.all(group);
        assert.equal(first?.kind, 'unknown');
        assert.equal(second?.kind, 'conflict');
        assert.equal(broken?.message, 'disk I/O error');
        const later = await failing.commit(request(1));
        assert.deepEqual(later.kind === 'failed' && later.code, 'UNAVAILABLE');
        failing.close();
      });
    });
  }

  test('before it was begun has written nothing, and the next one is taken', async () => {
    await withCommitter(async (committer) => {
      failNext(committer, 'BEGIN IMMEDIATE', false);
      assert.equal((await committer.commit(request(0))).kind, 'failed');
      assert.equal((await committer.commit(request(0))).kind, 'committed');
      committer.close();
    });
  });
});
