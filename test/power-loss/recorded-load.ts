// Runs the real server under the recorder with a mixed load.
import { BlobClient } from '../support/blob-client.ts';
import { CausewayServer } from '../support/causeway-server.ts';
import type { Ledger } from '../support/ledger.ts';
import { LoadClient, type LoadCounts, type LoadSizes } from '../support/mixed-load.ts';
import { seeded, subSeed } from '../support/seeded.ts';
import type { Recorder } from './recorder.ts';

export const container = 'power-loss';

const clients = 12;
const namesPerClient = 6;
// Mostly what a group commit gathers, and enough that spans segments, blocks and many syncs.
const sizes: LoadSizes = {
  put: [
    [8, 0, 0],
    [70, 1, 4096],
    [30, 4097, 70_000],
    [10, 70_001, 400_000],
    [1, 400_000, 5 * 1024 * 1024],
  ],
  blocks: [
    [40, 1, 60_000],
    [12, 60_000, 600_000],
    [1, 600_000, 5 * 1024 * 1024],
  ],
};

export interface LoadOptions {
  readonly seed: number;
  readonly command: string | undefined;
  /** What ends one life of the server: this many bytes written, or operations, or milliseconds. */
  readonly lifeBytes: number;
  readonly lifeOperations: number;
  readonly lifeMs: number;
}

export class RecordedLoad {
  readonly ledger: Ledger;
  readonly counts: LoadCounts = { operations: 0, bytes: 0, byKind: {} };
  readonly #recorder: Recorder;
  readonly #options: LoadOptions;
  readonly #clients: LoadClient[];

  /** The server's data is in `recorder.root`. */
  constructor(recorder: Recorder, ledger: Ledger, options: LoadOptions) {
    this.ledger = ledger;
    this.#recorder = recorder;
    this.#options = options;
    this.#clients = Array.from({ length: clients }, (_, index) => {
      const names = Array.from({ length: namesPerClient }, (_, name) => `${container}/${index}/blob ${name}`);
      return new LoadClient(names, ledger, seeded(subSeed(options.seed, index)), sizes, this.counts);
    });
  }

  /** One life of the server, ended politely: every process of it has ended when this returns. */
  async live(): Promise<void> {
    const { command, lifeBytes, lifeOperations, lifeMs } = this.#options;
    const server = await CausewayServer.start({
      ...(command === undefined ? {} : { command }),
      dataDir: this.#recorder.root,
      workers: 2,
      // Small segments and short pauses: much begins and ends within the few seconds of a record.
      settings: ['segmentBytes=4194304', 'scanIntervalMs=50'],
      environment: this.#recorder.environment,
    });
    try {
      const client = new BlobClient(server.blobUrl, clients);
      // A container that was there before, or was made in the instant before a cut, is as good.
      const made = await client.createContainer(container);
      if (made.status !== 201 && made.status !== 409) throw new Error(`Create Container: ${made.status} ${made.body}`);
      const endMs = performance.now() + lifeMs;
      const { bytes, operations } = this.counts;
      const isOver = (): boolean =>
        performance.now() > endMs ||
        this.counts.bytes > bytes + lifeBytes ||
        this.counts.operations > operations + lifeOperations;
      const runs = await Promise.allSettled(
        this.#clients.map(async (each) => {
          await each.settle(client);
          while (!isOver()) await each.step(client);
        }),
      );
      for (const run of runs) if (run.status === 'rejected') throw run.reason;
      client.close();
      await server.stop();
    } catch (error) {
      await server.kill();
      throw new Error(`under the recorder: ${(error as Error).message}\n${server.output()}`, { cause: error });
    }
  }
}
