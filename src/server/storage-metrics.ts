// Metrics of what the data directory holds, and of the disk that holds it.
import { statfsSync } from 'node:fs';
import type { Config } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { type Census, keepCensus } from '../namespace/census.ts';
import type { Store } from '../namespace/store.ts';

const counts: Readonly<Record<keyof Census, { readonly name: string; readonly help: string }>> = {
  accounts: { name: 'causeway_accounts', help: 'Accounts.' },
  containers: { name: 'causeway_containers', help: 'Containers that are not deleted.' },
  bytes: {
    name: 'causeway_stored_bytes',
    help: 'Lengths of all blobs, of the snapshots, versions and deleted blobs that are kept, and of staged blocks.',
  },
  objects: { name: 'causeway_objects', help: 'Current blobs, as the last walk over their names counted them.' },
};

/** Until the signal; resolves when nothing of it is under way any more. A count is there once it was counted. */
export async function measureStorage(
  store: Store,
  config: Pick<Config, 'data' | 'scanIntervalMs'>,
  metrics: Metrics,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const disk = (blocks: 'bavail' | 'blocks') => () => {
    try {
      const found = statfsSync(config.data);
      return found[blocks] * found.bsize;
    } catch {
      return Number.NaN;
    }
  };
  metrics.gauge('causeway_disk_free_bytes', {
    help: 'What the disk of the data directory still takes.',
    read: disk('bavail'),
  });
  metrics.gauge('causeway_disk_size_bytes', { help: 'Size of the disk of the data directory.', read: disk('blocks') });
  const gauges = new Map<keyof Census, { set(value: number): void }>();
  const onCount = (counted: Partial<Census>): void => {
    for (const [what, value] of Object.entries(counted) as [keyof Census, number][]) {
      let gauge = gauges.get(what);
      if (gauge === undefined) {
        const { name, help } = counts[what];
        gauge = metrics.gauge(name, { help }).of({});
        gauges.set(what, gauge);
      }
      gauge.set(value);
    }
  };
  const onError = (error: unknown): void => logger.warn({ err: error }, 'what is stored could not be counted');
  await keepCensus(store, { pauseMs: config.scanIntervalMs, onCount, onError }, signal);
}
