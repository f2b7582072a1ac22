// Puts the floors below a surface together: engine, content, store. With server.ts the only file that names concrete ones.
import { dayMs, systemClock } from '../base/clock.ts';
import type { Config } from '../base/config.ts';
import { createIds } from '../base/ids.ts';
import { systemRandom } from '../base/random.ts';
import { StoreClock } from '../base/store-clock.ts';
import { ContentStore } from '../content/content-store.ts';
import { fileDisk } from '../content/file-disk.ts';
import type { Committer } from '../metadata/commit.ts';
import { DamageError } from '../metadata/engine.ts';
import { OptimisticEngine } from '../metadata/optimistic-engine.ts';
import { SqliteStore } from '../metadata/sqlite-store.ts';
import { createCatalog } from '../namespace/segments.ts';
import type { Store } from '../namespace/store.ts';
import { checkStoreId, type DataPaths, settingError, writeStoreId } from './data-directory.ts';
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

/** A store's time that is further ahead than this at a start came from a clock that was wrong: it is forgotten. */
const aheadMaxMs = dayMs;
const tickMs = 1000;

/**
 * The metadata files, for the one process that commits; the clock goes on from the store's time. Throws `DamageError`, and
 * `SettingError` where the directory is in use, or not that of one store.
 */
export function openMetadata(
  paths: DataPaths,
  onBroken: (error: Error) => void,
  clock: StoreClock = new StoreClock(),
): SqliteStore {
  let isNew = false;
  let store: SqliteStore;
  try {
    store = new SqliteStore({
      path: paths.metadata,
      cacheBytes: memory.committerCacheBytes,
      queueBytesMax: memory.commitQueueBytes,
      checkpointBytes: memory.checkpointBytes,
      onBroken,
      nowMs: () => clock.now(),
      onNewId: (id) => {
        isNew = true;
        writeStoreId(paths, id);
      },
    });
  } catch (error) {
    throw error instanceof DamageError ? error : settingError(error, paths.root);
  }
  try {
    if (!isNew) checkStoreId(paths, store.id);
  } catch (error) {
    store.close();
    throw error;
  }
  if (store.lastTimeMs - clock.now() <= aheadMaxMs) clock.advanceTo(store.lastTimeMs);
  return store;
}

export interface OpenStore extends AsyncDisposable {
  readonly store: Store;
}

/** The store of one process, over a committer that is here or in another process. */
export function openStore(
  paths: DataPaths,
  config: Pick<Config, 'segmentBytes' | 'inlineBytesMax'> & Partial<KeySettings>,
  committer: Committer,
  clock: StoreClock = new StoreClock(),
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
    catalog: createCatalog(engine, clock),
    clock,
    random: systemRandom,
    segmentBytes: config.segmentBytes,
    inlineBytesMax: config.inlineBytesMax,
    slotsMax: memory.slotsMax,
    readBuffersMax: memory.readBuffersMax,
  });
  const store: Store = {
    engine,
    content,
    clock,
    wallClock: systemClock,
    random: systemRandom,
    ids: createIds(clock, systemRandom),
    keyring: openKeyring(engine, paths, config),
  };
  // So that the processes of a server see a clock that is set back at about the same time.
  const ticking = setInterval(() => clock.now(), tickMs).unref();
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      clearInterval(ticking);
      await content.close();
      await engine[Symbol.asyncDispose]();
    },
  };
}
