// The composition root: puts a server together, and does what the command line asks of the data.
import { join } from 'node:path';
import { type Config, SettingError } from './base/config.ts';
import { createLogger, type Logger } from './base/log.ts';
import { createMetrics, expositionOf } from './base/metrics.ts';
import { StoreClock } from './base/store-clock.ts';
import type { ManagementAnswer } from './cli/contract.ts';
import { DamageError } from './metadata/engine.ts';
import type { SqliteStore } from './metadata/sqlite-store.ts';
import { createAccount, listAccounts } from './namespace/accounts.ts';
import { fsck as check, type FsckResult } from './namespace/fsck.ts';
import { findLostContent } from './namespace/segment-files.ts';
import { nextSegment } from './namespace/segments.ts';
import type { Store } from './namespace/store.ts';
import { forgetTasks } from './namespace/tasks.ts';
import { settleAudit } from './server/audit.ts';
import { checkCertificate } from './server/certificate.ts';
import { type ControlRequest, callControl, startControl } from './server/control.ts';
import {
  type DataPaths,
  dataPaths,
  lockDirectory,
  prepareDirectory,
  requireDirectory,
  watchDirectory,
} from './server/data-directory.ts';
import { type OpenStore, openMetadata, openStore } from './server/engine-room.ts';
import { listen, tryListening } from './server/listening.ts';
import { managementSources, runForCommandLine, runForControl } from './server/management.ts';
import { probeDisk, Readiness } from './server/readiness.ts';
import { measureStorage } from './server/storage-metrics.ts';
import type { WorkerSetup } from './server/worker-protocol.ts';
import { Workers } from './server/workers.ts';
import { adminHandler } from './surfaces/admin/admin.ts';
import { blobEndpoint, reachable } from './surfaces/admin/endpoints.ts';
import { createHttpListener } from './surfaces/http/listener.ts';
import { sweepQueries } from './tables/query/scratch.ts';

/** The account and key that the Azure tools know as the development storage: public knowledge, and loopback only. */
const devAccount = 'devstoreaccount1';
const devKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** What `/readyz` waits for. */
const readyLimits = { timeoutMs: 5000, freshMs: 1000 } as const;

export { auditExport, auditVerify } from './server/audit.ts';

/** Serves until SIGTERM or SIGINT; resolves with the exit code. Throws `SettingError` for what a setting makes impossible. */
export async function serve(
  config: Config,
  ready: (urls: { readonly blob: string; readonly admin: string }) => void,
): Promise<number> {
  const paths = dataPaths(config);
  prepareDirectory(paths);
  const lock = lockDirectory(paths);
  if (lock === undefined) throw new SettingError('data', `another server is running on ${paths.root}`);
  const logger = createLogger(config);
  // Of queries that were killed: what they read is in the clear there.
  const problem = sweepQueries(paths.root);
  if (problem !== undefined) logger.warn({ err: problem }, 'sealed content cannot be queried');
  checkCertificate(config, logger);
  const stopped = Promise.withResolvers<number>();
  let isFailing = false;
  const fail = (fields: object, message: string): void => {
    if (isFailing) return;
    isFailing = true;
    logger.fatal(fields, message);
    void logger.close(500).then(() => process.exit(1));
  };
  const clock = new StoreClock();
  const metadata = open(paths, clock, (error) =>
    fail({ err: error }, 'a commit failed, and what of it is on the disk is unknown: stopping'),
  );
  const unwatch = watchDirectory(paths, (path) =>
    fail({ path }, 'the data directory is no longer that of this server, a part was removed or replaced: stopping'),
  );
  warnOfClock(clock, logger);
  const local = openStore(paths, config, metadata.committer, clock);
  await refuseLostContent(local.store, config, logger);
  const recoverBelow = await nextSegment(local.store.engine);
  // The lock says that no worker of an earlier run is left.
  await forgetTasks(local.store.engine).catch((error: unknown) => {
    logger.warn({ err: error }, 'background work of an earlier run waits for its leases to run out');
  });
  await settleAudit(local.store.engine, config, logger);
  const setup = (): WorkerSetup => ({ config, recoverBelow, time: clock.time(), notesSteady: true });
  const workers = new Workers(config, setup, metadata.committer, logger);
  const metrics = createMetrics({ process: false });
  const stopping = new AbortController();
  const measuring = measureStorage(local.store, config, metrics, logger, stopping.signal);
  const readiness = new Readiness({
    workers: config.workers,
    answering: () => workers.answering,
    committer: metadata.committer,
    writeToDisk: () => probeDisk(paths.content),
    nowMs: () => performance.now(),
    ...readyLimits,
  });
  let { blobPort } = config;
  const blob = (): string => blobEndpoint({ ...config, blobPort });
  const sources = {
    hosts: [config.host, ...config.adminHosts],
    problems: () => readiness.problems(),
    metrics: async () => expositionOf([await metrics.snapshot(), ...(await workers.metrics())]),
    ...managementSources(local.store, logger, blob),
  };
  const admin = createHttpListener(config, adminHandler(sources));
  // A signal may come twice, from a terminal or a supervisor and from npm: the second must not cut the end short.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopped.resolve(0));
  const control = await startControl(
    paths.root,
    (request) => runForControl(local.store, logger, request, blob()),
    () => logger.warn({}, 'the socket for commands was removed: it is made anew'),
  );
  try {
    if (config.dev) await addDevelopmentAccount(local.store);
    // What the settings make impossible is found here, before there are workers to find it each for itself.
    await tryListening('blobPort', config);
    const adminPort = await listen(admin.server, 'adminPort', config);
    blobPort = await workers.start();
    const urls = { blob: blob(), admin: `http://${reachable(config.host)}:${adminPort}` };
    ready(urls);
    logger.info({ ...urls, workers: config.workers }, 'ready');
    if ((await listAccounts(local.store, { limit: 1 })).length === 0)
      logger.info({}, "there is no account yet: 'causeway account create NAME' makes one");
    return await stopped.promise;
  } finally {
    control.close();
    stopping.abort();
    await Promise.all([
      measuring,
      workers.drain(),
      admin.server.listening ? admin.drain(config.drainTimeoutMs) : undefined,
    ]);
    await local[Symbol.asyncDispose]();
    metadata.close();
    unwatch();
    lock.release();
    await logger.close();
  }
}

/** The one command beside `serve` that makes a store where there is none. */
const creatingCommand = 'account create';

/** Runs a management command through the server that runs on the data, or else on the data itself. */
export async function manage(config: Config, command: string, input: object): Promise<ManagementAnswer> {
  const request: ControlRequest = { command, input };
  const paths = dataPaths(config);
  if (command === creatingCommand) prepareDirectory(paths);
  else requireDirectory(paths);
  const lock = lockDirectory(paths);
  if (lock === undefined) {
    const answered = await callControl(paths.root, request);
    return (
      (answered as ManagementAnswer | undefined) ?? {
        kind: 'refused',
        code: 'NoAnswer',
        message: 'the server on the data does not take commands now',
      }
    );
  }
  try {
    const opened = openHere(paths, config);
    await using _ = opened;
    return await runForCommandLine(opened.store, request, blobEndpoint(config));
  } catch (error) {
    throw error instanceof DamageError ? new SettingError('data', error.message, { cause: error }) : error;
  } finally {
    lock.release();
  }
}

interface FsckReport {
  readonly finding: (line: string) => void;
  readonly progress?: ((text: () => string) => void) | undefined;
}

/** Walks every name to its bytes. Undefined where the metadata cannot be opened: a finding says why. */
export async function fsck(config: Config, { finding, progress }: FsckReport): Promise<FsckResult | undefined> {
  const paths = dataPaths(config);
  requireDirectory(paths);
  const lock = lockDirectory(paths);
  if (lock === undefined) throw new SettingError('data', `a server is running on ${paths.root}: stop it first`);
  try {
    const opened = openHere(paths, config);
    await using _ = opened;
    return await check(opened.store, finding, progress);
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    finding(error.message);
    return undefined;
  } finally {
    lock.release();
  }
}

function open(paths: DataPaths, clock: StoreClock, onBroken: (error: Error) => void): SqliteStore {
  try {
    return openMetadata(paths, onBroken, clock);
  } catch (error) {
    throw error instanceof DamageError ? new SettingError('data', error.message, { cause: error }) : error;
  }
}

/** Throws `SettingError` for content that is not what the metadata knows. */
async function refuseLostContent(store: Store, config: Config, logger: Logger): Promise<void> {
  const lost = await findLostContent(store);
  if (lost === undefined) return;
  const problem = `${join(store.content.directory, lost.file)} ${lost.what}`;
  if (lost.kind === 'newer') throw new SettingError('data', problem);
  if (!config.serveIncomplete) {
    throw new SettingError('data', `${problem}: put it back, or serve what is left with --set serveIncomplete=true`);
  }
  logger.error({ problem }, 'content is missing, and is served as far as it is there');
}

const aheadWarnedMs = 10_000;
const clockLookMs = 10_000;

/** Says so, once each time, when the machine's clock was set back. */
function warnOfClock(clock: StoreClock, logger: Logger): void {
  let isWarned = false;
  const look = (): void => {
    const aheadMs = clock.aheadMs();
    const isAhead = aheadMs > aheadWarnedMs;
    if (isAhead && !isWarned)
      logger.warn(
        { aheadMs },
        "the machine's clock was set back: the store's time goes on at half speed until it is reached",
      );
    isWarned = isAhead;
  };
  look();
  setInterval(look, clockLookMs).unref();
}

function openHere(paths: DataPaths, config: Config): OpenStore {
  const clock = new StoreClock();
  const onBroken = (error: Error): never => {
    throw error;
  };
  const metadata = openMetadata(paths, onBroken, clock);
  const opened = openStore(paths, config, metadata.committer, clock);
  return {
    store: opened.store,
    [Symbol.asyncDispose]: async () => {
      await opened[Symbol.asyncDispose]();
      metadata.close();
    },
  };
}

async function addDevelopmentAccount(store: Store): Promise<void> {
  const outcome = await createAccount(store, devAccount, [devKey, devKey], {
    by: 'causeway serve --dev',
    requestId: '',
  });
  if (outcome.kind !== 'ok' && outcome.kind !== 'account-exists')
    throw new Error(`the development account: ${outcome.kind}`);
}
