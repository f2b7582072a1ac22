// The audit log of the program: what a worker starts, what the primary settles, what `causeway audit` reads.
import { existsSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import type { Config } from '../base/config.ts';
import { SettingError } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { AuditLog } from '../followers/audit/audit-log.ts';
import { type ExportWanted, exportAudit } from '../followers/audit/export.ts';
import { auditDisk } from '../followers/audit/files.ts';
import type { Head } from '../followers/audit/record.ts';
import { runRetention } from '../followers/audit/retention.ts';
import { settleChains } from '../followers/audit/settle.ts';
import { StorageLogs } from '../followers/audit/storage-logs.ts';
import { type Finding, type Verified, verifyAudit } from '../followers/audit/verify.ts';
import type { Committer } from '../metadata/commit.ts';
import { DamageError, type Engine } from '../metadata/engine.ts';
import { OptimisticEngine } from '../metadata/optimistic-engine.ts';
import type { Store } from '../namespace/store.ts';
import type { Auditor } from '../surfaces/blob/audit.ts';
import { dataPaths, lockDirectory, requireDirectory } from './data-directory.ts';
import { openMetadata } from './engine-room.ts';

const mebibyte = 1024 * 1024;
const fileBytesMax = 64 * mebibyte;
const fileAgeMs = 24 * 60 * 60 * 1000;
const queue = { queueRecordsMax: 16_384, queueBytesMax: 32 * mebibyte } as const;
const retentionPauseMs = 60_000;
const settledReader = { cacheBytes: mebibyte, readersMax: 1, keepsReaders: false } as const;

export interface RunningAudit {
  readonly auditor: Auditor;
  /** After the last request, and before its store closes. */
  close(): Promise<void>;
}

/** The audit log, and the logs that accounts ask for, which there are without it too. */
export function startAudit(store: Store, config: Config, metrics: Metrics, logger: Logger): RunningAudit {
  const logs = new StorageLogs({
    store,
    flushMs: config.storageLogsFlushMs,
    onError: (error) => logger.warn({ err: error }, 'a log for $logs could not be written'),
  });
  const audit = config.audit ? startLog(store, config, metrics, logger) : undefined;
  return {
    auditor: {
      room: () => audit?.log.room(),
      note: (record, logging) => {
        audit?.log.note(record);
        if (logging !== undefined) logs.note(record, logging);
      },
    },
    close: async () => {
      await logs.flush();
      await audit?.close();
    },
  };
}

function startLog(store: Store, config: Config, metrics: Metrics, logger: Logger) {
  const { audit: root } = dataPaths(config);
  const { engine, clock } = store;
  const chain = store.ids.nextHex();
  const bytesMax = config.auditBytesMax;
  const log = new AuditLog({
    engine,
    clock,
    root,
    chain,
    metrics,
    disk: auditDisk,
    // Retention deletes whole files: there must be several within its bound.
    fileBytesMax: Math.min(fileBytesMax, Math.ceil(bytesMax / 8)),
    fileAgeMs: Math.min(fileAgeMs, Math.ceil(config.auditAgeMs / 4)),
    onFailure: config.auditOnFailure,
    flushMs: config.auditFlushMs,
    retryMs: 1000,
    ...queue,
    onError: (error) => logger.error({ err: error }, 'the audit log cannot be written; it is tried again'),
    onHead: (head) => logger.info({ ...head }, 'audit head'),
  });
  const stopping = new AbortController();
  const retention = runRetention(
    {
      engine,
      clock,
      root,
      owner: chain,
      ageMs: config.auditAgeMs,
      bytesMax,
      pauseMs: Math.min(retentionPauseMs, config.scanIntervalMs * 12),
      note: (record) => log.noteOwn(record),
      onError: (error) => logger.warn({ err: error }, 'old files of the audit log could not be deleted'),
    },
    stopping.signal,
  );
  return {
    log,
    close: async () => {
      stopping.abort();
      await retention;
      await log.close();
    },
  };
}

/** Before there are workers: nobody writes a chain. */
export async function settleAudit(engine: Engine, config: Config, logger: Logger): Promise<void> {
  const { audit: root } = dataPaths(config);
  if (!existsSync(root)) return;
  await settleChains(engine, root, systemClock.now()).catch((error: unknown) => {
    logger.error({ err: error }, 'the audit chains of an earlier run could not be closed');
  });
}

type Progress = (text: () => string) => void;

interface VerifyReport {
  readonly finding: (finding: Finding) => void;
  readonly progress?: Progress | undefined;
}

/**
 * Finds what was removed or changed; undefined where what the log is checked against is damaged, as a finding says.
 * Works beside a running server, and changes nothing.
 */
export async function auditVerify(
  config: Config,
  heads: readonly Head[],
  { finding, progress }: VerifyReport,
): Promise<Verified | undefined> {
  const { audit: root } = dataPaths(config);
  try {
    return await withMetadata(config, (engine) => verifyAudit(engine, root, heads, finding, progress));
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    finding({ what: error.message });
    return undefined;
  }
}

const exportLines = 500;

interface ExportReport {
  readonly out: (line: string) => void;
  /** Resolves when what was said is taken. */
  readonly drained: () => Promise<void>;
  readonly progress?: Progress | undefined;
}

export async function auditExport(config: Config, wanted: ExportWanted, report: ExportReport): Promise<number> {
  const paths = dataPaths(config);
  requireDirectory(paths);
  let lines: string[] = [];
  let count = 0;
  for await (const line of exportAudit(paths.audit, wanted)) {
    count++;
    report.progress?.(() => `${count} records`);
    if (lines.push(line) < exportLines) continue;
    report.out(lines.join('\n'));
    lines = [];
    await report.drained();
  }
  if (lines.length > 0) report.out(lines.join('\n'));
  await report.drained();
  return 0;
}

/** The metadata as the server that runs on it leaves it, or, without one, as it was left. */
async function withMetadata<T>(config: Config, work: (engine: Engine) => Promise<T>): Promise<T> {
  const paths = dataPaths(config);
  requireDirectory(paths);
  const lock = lockDirectory(paths);
  try {
    const metadata =
      lock &&
      openMetadata(paths, (error) => {
        throw error;
      });
    try {
      const committer: Committer = {
        commit: () => Promise.reject(new SettingError('data', 'nothing is written here')),
      };
      await using engine = new OptimisticEngine({ path: paths.metadata, committer, ...settledReader });
      return await work(engine);
    } finally {
      metadata?.close();
    }
  } finally {
    lock?.release();
  }
}
