// The primary's side of its workers: starting, replacing, draining, asking for their metrics.
import type { SendHandle } from 'node:child_process';
import cluster, { type Worker } from 'node:cluster';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Config, SettingError } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import { countersOf, type MetricsSnapshot, mergeSnapshots } from '../base/metrics.ts';
import type { Committer } from '../metadata/commit.ts';
import { serveCommits } from '../metadata/commit-channel.ts';
import { watchHandover } from './handover.ts';
import { Heartbeats } from './heartbeats.ts';
import { listeningOn, watchListening } from './standby.ts';
import {
  commitDescriptor,
  type FromWorker,
  heartbeatMs,
  heartbeatRounds,
  type ToWorker,
  type WorkerSetup,
  workerVariable,
} from './worker-protocol.ts';

const metricsTimeoutMs = 2000;
const replaceDelayMs = 200;
const replaceDelayMaxMs = 10_000;
/** One that starts has more of them. */
const startRounds = 3 * heartbeatRounds;
/** Beyond `drainTimeoutMs`, for stores to close. */
const closeTimeoutMs = 30_000;

export class Workers {
  readonly #setup: () => WorkerSetup;
  readonly #config: Config;
  readonly #committer: Committer;
  readonly #logger: Logger;
  readonly #workers = new Set<Worker>();
  readonly #ready = new Set<Worker>();
  readonly #heartbeats: Heartbeats<Worker>;
  /** The last metrics of each worker; what the dead have counted is kept. */
  readonly #last = new Map<Worker, MetricsSnapshot>();
  #dead: MetricsSnapshot = [];
  /** The port that each worker asked for, which may be 0, and the one that all of them have. */
  readonly #asked = new Map<Worker, number>();
  #port: number;
  #stopping = false;
  #nextId = 0;

  /** `setup` is asked anew for each worker. */
  constructor(config: Config, setup: () => WorkerSetup, committer: Committer, logger: Logger) {
    this.#setup = setup;
    this.#config = config;
    this.#port = config.blobPort;
    this.#committer = committer;
    this.#logger = logger;
    this.#heartbeats = new Heartbeats<Worker>({
      intervalMs: heartbeatMs(config) ?? 0,
      roundsMax: heartbeatRounds,
      nowMs: () => performance.now(),
      ask: (worker) => this.#tell(worker, { kind: 'alive?' }),
      onHung: (worker) => {
        this.#logger.error({ worker: worker.process.pid }, 'a worker hangs and is ended');
        worker.process.kill('SIGKILL');
      },
    });
    watchListening();
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('./worker.ts', import.meta.url)),
      execArgv: process.execArgv,
      args: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
    });
  }

  /** Resolves with the Blob API's port when all listen. Throws `SettingError` if they cannot. */
  async start(): Promise<number> {
    if (this.#config.workerHangMs > 0) this.#heartbeats.start();
    const ports = await Promise.all(Array.from({ length: this.#config.workers }, () => this.#fork()));
    this.#port = ports[0] as number;
    return this.#port;
  }

  /** How many serve and answer. */
  get answering(): number {
    if (this.#stopping) return 0;
    return [...this.#ready].filter((worker) => this.#heartbeats.answers(worker)).length;
  }

  async metrics(): Promise<MetricsSnapshot[]> {
    await Promise.all([...this.#workers].map((worker) => this.#ask(worker)));
    return [this.#dead, ...this.#last.values()];
  }

  /** Lets requests end and the stores close; resolves when every worker is gone. One that hangs is ended. */
  async drain(): Promise<void> {
    this.#stopping = true;
    const late = setTimeout(() => {
      for (const worker of this.#workers) {
        this.#logger.error({ worker: worker.process.pid }, 'a worker does not end and is killed');
        worker.process.kill('SIGKILL');
      }
    }, this.#config.drainTimeoutMs + closeTimeoutMs);
    await Promise.all(
      [...this.#workers].map(
        (worker) =>
          new Promise<void>((resolve) => {
            worker.once('exit', () => resolve());
            this.#tell(worker, { kind: 'drain' });
          }),
      ),
    );
    clearTimeout(late);
    this.#heartbeats.stop();
  }

  async #fork(): Promise<number> {
    const blobPort = this.#portToAsk();
    const setup: WorkerSetup = { ...this.#setup(), config: { ...this.#config, blobPort } };
    const worker = cluster.fork({ [workerVariable]: JSON.stringify(setup) });
    this.#workers.add(worker);
    this.#asked.set(worker, blobPort);
    this.#heartbeats.add(worker, startRounds);
    watchHandover(worker, () => [...this.#ready].some((other) => other !== worker && other.isConnected()));
    // It may end while something is sent to it; that it has ended is told below.
    worker.on('error', (error) => this.#logger.debug({ err: error }, 'a message did not reach a worker'));
    serveCommits(worker.process.stdio[commitDescriptor] as unknown as Duplex, this.#committer);
    return await new Promise<number>((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        this.#heartbeats.heard(worker);
        if (message.kind === 'ready' && (this.#port === 0 || message.blobPort === this.#port)) {
          this.#ready.add(worker);
          this.#giveListening(worker, message.blobPort);
          resolve(message.blobPort);
        } else if (message.kind === 'standby?') {
          this.#giveListening(worker, this.#port);
        } else if (message.kind === 'ready') {
          worker.process.kill('SIGKILL');
          reject(new Error(`a worker listens on port ${message.blobPort} and not on ${this.#port}`));
        } else if (message.kind === 'failed') {
          const { setting, message: problem } = message;
          worker.process.kill('SIGKILL');
          reject(setting === undefined ? new Error(problem) : new SettingError(setting, problem));
        }
      });
      worker.once('exit', (code, signal) => {
        this.#gone(worker, code, signal);
        reject(new Error(`a worker ended while it started (${signal ?? code})`));
      });
    });
  }

  // Workers that ask for the same port share one listener, and those that ask for 0 too (node:cluster, "How it works").
  // With the last of them the listener goes; then the port is asked for by its number, to be the same again.
  #portToAsk(): number {
    const [other] = this.#ready;
    return (other && this.#asked.get(other)) ?? this.#port;
  }

  #gone(worker: Worker, code: number, signal: string | null): void {
    const wasReady = this.#ready.delete(worker);
    this.#heartbeats.remove(worker);
    this.#workers.delete(worker);
    this.#asked.delete(worker);
    const last = this.#last.get(worker);
    this.#last.delete(worker);
    if (last !== undefined) {
      void mergeSnapshots([this.#dead, countersOf(last)]).then((merged) => {
        this.#dead = merged;
      });
    }
    if (this.#stopping || !wasReady) return;
    this.#logger.error({ worker: worker.process.pid, code, signal }, 'a worker ended; another takes its place');
    this.#replace(replaceDelayMs);
  }

  #replace(delayMs: number): void {
    setTimeout(() => {
      if (this.#stopping) return;
      this.#fork().catch((error: unknown) => {
        this.#logger.error({ err: error }, 'a worker could not be replaced; it is tried again');
        this.#replace(Math.min(replaceDelayMaxMs, delayMs * 2));
      });
    }, delayMs);
  }

  async #ask(worker: Worker): Promise<void> {
    const id = ++this.#nextId;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, metricsTimeoutMs);
      const listen = (message: FromWorker): void => {
        if (message.kind !== 'metrics' || message.id !== id) return;
        this.#last.set(worker, message.snapshot);
        done();
      };
      function done(): void {
        clearTimeout(timer);
        worker.off('message', listen);
        resolve();
      }
      worker.on('message', listen);
      this.#tell(worker, { kind: 'metrics', id });
    });
  }

  #giveListening(worker: Worker, port: number): void {
    const handle = listeningOn(port);
    if (handle === undefined || !worker.isConnected()) return;
    worker.send({ kind: 'standby' } satisfies ToWorker, handle as unknown as SendHandle);
  }

  #tell(worker: Worker, message: ToWorker): void {
    if (worker.isConnected()) worker.send(message);
  }
}
