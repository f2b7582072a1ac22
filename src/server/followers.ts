// The followers of the journal that a worker runs.
import type { Config } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { ChangeFeed } from '../followers/change-feed/change-feed.ts';
import { followerMetrics, runFollower } from '../followers/follow.ts';
import type { Store } from '../namespace/store.ts';

/** Until the signal; resolves when nothing of them is under way any more. */
export function runFollowers(
  store: Store,
  config: Config,
  metrics: Metrics,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  return runFollower(
    store,
    new ChangeFeed(store, {
      onSetAside: (account, error) =>
        logger.error({ follower: 'change-feed', account, err: error }, 'the change feed of one account is set aside'),
    }),
    {
      owner: store.ids.nextHex(),
      pauseMs: config.changeFeedFlushMs,
      metrics: followerMetrics(metrics),
      onError: (follower, error) => logger.warn({ follower, err: error }, 'a follower failed and is tried again'),
      onLost: (follower, { records, atMs }) =>
        logger.error({ follower, records, trimmed: new Date(atMs) }, 'a follower fell behind: records were trimmed'),
    },
    signal,
  );
}
