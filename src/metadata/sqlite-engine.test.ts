// The SQLite engine under the suite that every engine passes, with its committer here and across a stream.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { RemoteCommitter, serveCommits } from './commit-channel.ts';
import { engineConformance } from './engine.conformance.testing.ts';
import { OptimisticEngine } from './optimistic-engine.ts';
import { SqliteCommitter } from './sqlite-committer.ts';

const cacheBytes = 8 * 1024 * 1024;

for (const across of [false, true]) {
  engineConformance(across ? 'sqlite, committer across a stream' : 'sqlite', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'causeway-sqlite-'));
    const path = join(directory, 'meta.db');
    const open = () => {
      const local = new SqliteCommitter({ path, cacheBytes, queueBytesMax: 256 * 1024 * 1024 });
      const [near, far] = duplexPair();
      serveCommits(far, local);
      const engine = new OptimisticEngine({
        path,
        committer: across ? new RemoteCommitter(near, { waitingBytesMax: 1 << 26 }) : local,
        cacheBytes,
        readersMax: 16,
      });
      return { engine, local };
    };
    let opened = open();
    return {
      engine: opened.engine,
      reopen: async () => {
        await opened.engine[Symbol.asyncDispose]();
        opened.local.close();
        opened = open();
        return opened.engine;
      },
      remove: async () => {
        await opened.engine[Symbol.asyncDispose]();
        opened.local.close();
        rmSync(directory, { recursive: true });
      },
    };
  });
}
