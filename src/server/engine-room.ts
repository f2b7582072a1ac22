// Puts the floors below a surface together: engine, content, store. With server.ts the only file that names concrete ones.
import { systemClock } from '../base/clock.ts';
import type { Config } from '../base/config.ts';
import { createIds } from '../base/ids.ts';
import { systemRandom } from '../base/random.ts';
import { ContentStore } from '../content/content-store.ts';
import { fileDisk } from '../content/file-disk.ts';
import type { Committer } from '../metadata/commit.ts';
import { OptimisticEngine } from '../metadata/optimistic-engine.ts';
import { SqliteStore } from '../metadata/sqlite-store.ts';
import { createCatalog } from '../namespace/segments.ts';
import type { Store } from '../namespace/store.ts';
import type { DataPaths } from './data-directory.ts';
import { type KeySettings, openKeyring } from './keys.ts';

const mebibyte = 1024 * 1024;

const memory = {
  committerCacheBytes: 64 * mebibyte,
  readerCacheBytes: 8 * mebibyte,
  readersMax: 24,
  commitQueueBytes: 256 * mebibyte,
  checkpointBytes: 32 * mebibyte,
  slotsMax: 64,
  readBuffersMax: 96,
} as const;

/** The metadata files, for the one process that commits. Throws `DamageError`. */
export function openMetadata(paths: DataPaths, onBroken: (error: Error) => void): SqliteStore {
  return new SqliteStore({
    path: paths.metadata,
    cacheBytes: memory.committerCacheBytes,
    queueBytesMax: memory.commitQueueBytes,
    checkpointBytes: memory.checkpointBytes,
    onBroken,
  });
}

export interface OpenStore extends AsyncDisposable {
  readonly store: Store;
}

/** The store of one process, over a committer that is here or in another process. */
export function openStore(
  paths: DataPaths,
  config: Pick<Config, 'segmentBytes' | 'inlineBytesMax'> & Partial<KeySettings>,
  committer: Committer,
): OpenStore {
  const engine = new OptimisticEngine({
    path: paths.metadata,
    committer,
    cacheBytes: memory.readerCacheBytes,
    readersMax: memory.readersMax,
  });
  const content = new ContentStore({
    disk: fileDisk,
    directory: paths.content,
    catalog: createCatalog(engine, systemClock),
    clock: systemClock,
    random: systemRandom,
    segmentBytes: config.segmentBytes,
    inlineBytesMax: config.inlineBytesMax,
    slotsMax: memory.slotsMax,
    readBuffersMax: memory.readBuffersMax,
  });
  const store: Store = {
    engine,
    content,
    clock: systemClock,
    random: systemRandom,
    ids: createIds(systemClock, systemRandom),
    keyring: openKeyring(engine, paths, config),
  };
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await content.close();
      await engine[Symbol.asyncDispose]();
    },
  };
}
