// What every operation of the namespace works with, and the frame that turns an engine's refusals into outcomes.
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import type { ContentStore } from '../content/content-store.ts';
import { type Awaitable, ContentionError, CounterLimitError, type Engine, type Txn } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import type { Failure } from './failure.ts';

/** What may be there at once: see `metadata/engine.ts`. */
export type { Awaitable } from '../metadata/engine.ts';

import type { Keyring } from './keyring.ts';

export interface Store {
  readonly engine: Engine;
  readonly content: ContentStore;
  /** The store's own time, which never goes back: of all that is stored, and of what is held against it. */
  readonly clock: Clock;
  /** The machine's: of what others date and sign. */
  readonly wallClock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  /** Without it nothing is sealed, and nothing sealed is read. */
  readonly keyring?: Keyring;
}

/** A transaction whose expected refusals are values: a quota passed, contention that does not end. */
export async function change<T>(store: Store, work: (txn: Txn) => Awaitable<T>): Promise<T | Failure> {
  try {
    return await store.engine.transact(async (txn) => {
      const outcome = await work(txn);
      // What is refused leaves nothing, however far its work had come.
      if (isRefused(outcome)) txn.abandon();
      return outcome;
    });
  } catch (error) {
    if (error instanceof CounterLimitError) {
      return { kind: keys.isUploadCount(error.key) ? 'blocks-staged-exceeded' : 'quota-exceeded' };
    }
    if (error instanceof ContentionError) return { kind: 'contended' };
    if (isNoSpace(error)) return { kind: 'no-space' };
    throw error;
  }
}

function isRefused(outcome: unknown): boolean {
  if (typeof outcome !== 'object' || outcome === null || !('kind' in outcome)) return false;
  return outcome.kind !== 'ok';
}

export function isNoSpace(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Stored data is not what was written: of an engine or of the content. */
export function isDamage(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'DAMAGED' || code === 'CONTENT_DAMAGED';
}

/** The store cannot take the work now, and may later: it stops, or lost its committer. */
export function isUnavailable(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'UNAVAILABLE';
}

/** Whether it was done nobody knows: it is not to be done again, and what it may have named has to stay. */
export function isOutcomeUnknown(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'OUTCOME_UNKNOWN';
}

const ticksAtEpoch = 621_355_968_000_000_000n;

/** An ETag in Azure's form: 100 ns ticks in hexadecimal, never the one before. */
export function newEtag(store: Store, previous: string | undefined): string {
  for (;;) {
    const ticks = ticksAtEpoch + BigInt(store.clock.now()) * 10_000n + BigInt(store.random.below(10_000));
    const etag = `0x${ticks.toString(16).toUpperCase()}`;
    if (etag !== previous) return etag;
  }
}
