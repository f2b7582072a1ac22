// What the primary and its workers say to each other over the cluster's channel.
import type { Config } from '../base/config.ts';
import type { MetricsSnapshot } from '../base/metrics.ts';
import type { StoreTime } from '../base/store-clock.ts';

/** The environment variable that carries a `WorkerSetup` as JSON. It holds no secret. */
export const workerVariable = 'CAUSEWAY_WORKER';

export interface WorkerSetup {
  readonly config: Config;
  /** Segments below it that are still open were left by an earlier run of the server. */
  readonly recoverBelow: number;
  /** Where the store's time stands. */
  readonly time: StoreTime;
  /** Of the primary's committer: one of an earlier time says nothing of it. */
  readonly notesSteady?: boolean;
}

/** A worker that answers none of so many rounds hangs. */
export const heartbeatRounds = 10;

/** Time between two heartbeats; nothing where there are none. */
export function heartbeatMs({ workerHangMs }: Pick<Config, 'workerHangMs'>): number | undefined {
  return workerHangMs === 0 ? undefined : Math.ceil(workerHangMs / heartbeatRounds);
}

/** The descriptor of the stream to the committer. */
export const commitDescriptor = 4;

export type ToWorker =
  | { readonly kind: 'alive?' }
  | { readonly kind: 'drain' }
  /** Together with the socket that listens. */
  | { readonly kind: 'standby' }
  | { readonly kind: 'metrics'; readonly id: number };

export type FromWorker =
  | { readonly kind: 'alive' }
  /** The listening socket is wanted. */
  | { readonly kind: 'standby?' }
  | { readonly kind: 'ready'; readonly blobPort: number }
  | { readonly kind: 'failed'; readonly setting: keyof Config | undefined; readonly message: string }
  | { readonly kind: 'metrics'; readonly id: number; readonly snapshot: MetricsSnapshot };
