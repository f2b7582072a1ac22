// What the store holds, for its metrics: counted in the background and not for who asks, at a bounded cost.
import { decodeCounter, type Item, type Range } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import type { Store } from './store.ts';

/** Each is exact if nothing changed during the walk that counted it. */
export interface Census {
  readonly accounts: number;
  readonly containers: number;
  /** The lengths of all blobs and of what is kept of their past, also in deleted containers, however much is shared. */
  readonly bytes: number;
  /** Current blobs. */
  readonly objects: number;
}

export interface CensusOptions {
  readonly pauseMs: number;
  /** What a walk has counted. */
  readonly onCount: (counted: Partial<Census>) => void;
  readonly onError: (error: unknown) => void;
}

const rowsMax = 250;
/** A walk rests this many times as long as it works, so it takes a tenth of a core at the most. */
const restPerWork = 9;
const restMsMax = 1000;

/** Counts until the signal, and resolves when nothing of it is under way any more. */
export async function keepCensus(store: Store, options: CensusOptions, signal: AbortSignal): Promise<void> {
  // Names are many: what is few does not wait for them.
  await Promise.all(
    [countFew, countNames].map(async (count) => {
      while (!signal.aborted) {
        const startedMs = store.clock.now();
        try {
          const counted = await count(store, signal);
          if (!signal.aborted) options.onCount(counted);
        } catch (error) {
          if (!signal.aborted) options.onError(error);
        }
        // A long walk is not begun anew at once.
        await store.clock.sleep(Math.max(options.pauseMs, store.clock.now() - startedMs), signal);
      }
    }),
  );
}

async function countFew(store: Store, signal: AbortSignal): Promise<Partial<Census>> {
  let accounts = 0;
  let containers = 0;
  let bytes = 0n;
  await walk(store, keys.accounts(), signal, () => accounts++);
  await walk(store, keys.allContainers(), signal, () => containers++);
  await walk(store, keys.allUsage(), signal, ({ value }) => {
    bytes += decodeCounter(value);
  });
  return { accounts, containers, bytes: Number(bytes) };
}

async function countNames(store: Store, signal: AbortSignal): Promise<Partial<Census>> {
  let objects = 0;
  await walk(store, keys.entries(), signal, ({ key }) => {
    if (!keys.isDirectory(key)) objects++;
  });
  return { objects };
}

/** Each step has a snapshot of its own: one that is held for long keeps the write-ahead log from being emptied. */
async function walk(store: Store, range: Range, signal: AbortSignal, visit: (row: Item) => void): Promise<void> {
  let { start } = range;
  while (!signal.aborted) {
    const startedMs = store.clock.now();
    const rows = await store.engine.snapshot((view) => view.scan({ start, end: range.end }, { limit: rowsMax }));
    rows.forEach(visit);
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsMax) return;
    start = after(last.key);
    const workMs = Math.max(1, store.clock.now() - startedMs);
    await store.clock.sleep(Math.min(restMsMax, workMs * restPerWork), signal);
  }
}
