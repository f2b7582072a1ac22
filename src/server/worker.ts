// A worker process: serves the surfaces over the shared directory; its commits go to the primary.
import { Socket } from 'node:net';
import { createLogger } from '../base/log.ts';
import { createMetrics } from '../base/metrics.ts';
import { StoreClock } from '../base/store-clock.ts';
import { RemoteCommitter } from '../metadata/commit-channel.ts';
import { runBackground } from '../namespace/background.ts';
import { blobRefusal } from '../surfaces/blob/refusal.ts';
import { BlobSurface } from '../surfaces/blob/surface.ts';
import { createHttpListener } from '../surfaces/http/listener.ts';
import { readCertificate } from '../surfaces/http/tls.ts';
import { startAudit } from './audit.ts';
import { keepCertificate, tlsFiles } from './certificate.ts';
import { dataPaths } from './data-directory.ts';
import { openStore } from './engine-room.ts';
import { runFollowers } from './followers.ts';
import { listenProblem } from './listening.ts';
import { type ListeningHandle, listenBacklog, Standby } from './standby.ts';
import {
  commitDescriptor,
  type FromWorker,
  heartbeatMs,
  type ToWorker,
  type WorkerSetup,
  workerVariable,
} from './worker-protocol.ts';

const {
  config,
  recoverBelow,
  time,
  notesSteady = false,
} = JSON.parse(process.env[workerVariable] as string) as WorkerSetup;
const logger = createLogger(config);
const metrics = createMetrics({ process: true });

// Signals reach the whole process group; the primary decides when a worker ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
// Without the primary there is nobody to commit.
process.on('disconnect', () => process.exit(1));

const commits = new Socket({ fd: commitDescriptor, readable: true, writable: true });
const committer = new RemoteCommitter(commits, { notesSteady });
const opened = openStore(dataPaths(config), config, committer, new StoreClock(time));
const audit = startAudit(opened.store, config, metrics, logger);
const surface = new BlobSurface(opened.store, config, logger, metrics, audit.auditor, committer);
const files = tlsFiles(config);
const certificate = files && readCertificate(files);
// The primary has read it a moment ago and would have said what is wrong.
if (certificate?.kind === 'invalid') throw new Error(`the ${certificate.which} of TLS: ${certificate.problem}`);
const listener = createHttpListener(config, surface.handle, {
  ...(certificate && { tls: certificate.pair }),
  refusal: blobRefusal,
});
if (files !== undefined) keepCertificate(files, listener, logger);
const stopping = new AbortController();
const background = runBackground(
  opened.store,
  {
    owner: opened.store.ids.nextHex(),
    recoverBelow,
    segmentBytes: config.segmentBytes,
    onError: (task, error) => logger.warn({ task, err: error }, 'a background task failed and is tried again'),
    onDamage: (segment, what) => logger.error({ segment, what }, 'a segment is damaged and is kept as it is'),
    onRecovered: (counts) => {
      if (counts.segments > 0) logger.info({ ...counts }, 'segments of an earlier run were looked over');
    },
    onReclaimed: (counts) => logger.debug({ ...counts }, 'space was reclaimed'),
    durations: {
      graceMs: config.reclaimGraceMs,
      pauseMs: config.scanIntervalMs,
      journalAgeMs: config.journalAgeMs,
    },
  },
  stopping.signal,
);
const followers = runFollowers(opened.store, config, metrics, logger, stopping.signal);

const standby = new Standby({
  server: listener.server,
  ask: () => tell({ kind: 'standby?' }),
  onChange: (takes) => {
    if (takes) logger.error({}, 'the primary is silent: this worker takes new connections itself');
    else logger.info({}, 'the primary is heard again, and takes the new connections');
  },
});
const roundMs = heartbeatMs(config);
if (roundMs !== undefined) setInterval(() => standby.round(), roundMs).unref();

process.on('message', (message: ToWorker, handle?: unknown) => {
  standby.heard();
  if (message.kind === 'alive?') tell({ kind: 'alive' });
  else if (message.kind === 'standby') standby.give(handle as ListeningHandle | undefined);
  else if (message.kind === 'drain') void drain();
  else void metrics.snapshot().then((snapshot) => tell({ kind: 'metrics', id: message.id, snapshot }));
});

listener.server.on('error', (error: NodeJS.ErrnoException) => {
  const { setting, problem } = listenProblem(error, 'blobPort', config);
  tell({ kind: 'failed', setting, message: problem });
});
listener.server.listen({ port: config.blobPort, host: config.host, backlog: listenBacklog }, () => {
  const address = listener.server.address() as { port: number };
  tell({ kind: 'ready', blobPort: address.port });
});

async function drain(): Promise<void> {
  stopping.abort();
  standby.end();
  await Promise.all([listener.drain(config.drainTimeoutMs), background, followers]);
  await audit.close();
  await opened[Symbol.asyncDispose]();
  await logger.close();
  process.exit(0);
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message);
}
