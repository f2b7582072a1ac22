// Opens a data directory in this process, as `serve` and `fsck` do, and reads and repairs it without a server.
import { loadConfig } from '../../src/base/config.ts';
import { getEntry } from '../../src/namespace/entries.ts';
import { fsck } from '../../src/namespace/fsck.ts';
import { processGarbage } from '../../src/namespace/garbage.ts';
import { readContent } from '../../src/namespace/read.ts';
import { reclaimOnce } from '../../src/namespace/reclaim.ts';
import { recoverSegments } from '../../src/namespace/recover.ts';
import { nextSegment } from '../../src/namespace/segments.ts';
import { dataPaths, lockDirectory, prepareDirectory } from '../../src/server/data-directory.ts';
import { openStore as openEngineRoom, openMetadata } from '../../src/server/engine-room.ts';
import type { OpenStore } from './check-image.ts';

const rowsMax = 500;
const roundsMax = 100;

export const openStore: OpenStore = async (dataDir) => {
  const outcome = loadConfig({ flags: { data: dataDir }, assignments: ['segmentBytes=4194304'] });
  if (outcome.kind !== 'config') throw new Error(outcome.message);
  const { config } = outcome;
  const paths = dataPaths(config);
  prepareDirectory(paths);
  const lock = lockDirectory(paths);
  if (lock === undefined) throw new Error(`${dataDir} is locked`);
  let broken: Error | undefined;
  const metadata = openMetadata(paths, (error) => {
    broken = error;
  });
  const opened = openEngineRoom(paths, config, metadata.committer);
  const { store } = opened;
  const { segmentBytes } = config;
  return {
    async read(account, container, name) {
      const found = await getEntry(store, { account, container, name, conditions: {} });
      if (found.kind === 'container-not-found' || found.kind === 'entry-not-found') return undefined;
      if (found.kind !== 'ok') throw new Error(`${name}: ${found.kind}`);
      const parts: Buffer[] = [];
      for await (const chunk of readContent(store, found.entry, 0, found.entry.record.length)) {
        parts.push(Buffer.from(chunk.bytes));
        chunk.release();
      }
      return Buffer.concat(parts);
    },
    async fsck() {
      const damage: string[] = [];
      const found = await fsck(store, (line) => {
        if (line.startsWith('damage')) damage.push(line);
      });
      if (found.damage > 0 && damage.length === 0) damage.push(`${found.damage} damaged, and not a line about it`);
      return { damage, orphans: found.orphans.extents };
    },
    async repair() {
      const damage: string[] = [];
      const onDamage = (segment: number, what: string): void => {
        damage.push(`segment ${segment}: ${what}`);
      };
      await recoverSegments(store, { below: await nextSegment(store.engine), onDamage });
      // No grace: nobody reads what is dropped here.
      const reclaim = { segmentBytes, smallMax: 8, graceMs: 0, damagePauseMs: 0, onDamage };
      for (let round = 0; round < roundsMax; round++) {
        const garbage = await processGarbage(store, { graceMs: 0, rowsMax });
        const reclaimed = await reclaimOnce(store, reclaim);
        if (garbage.rows === 0 && reclaimed.retired === 0) break;
      }
      return damage;
    },
    async close() {
      await opened[Symbol.asyncDispose]();
      metadata.close();
      lock.release();
      if (broken !== undefined) throw broken;
    },
  };
};
