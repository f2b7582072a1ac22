// A store over real files and a memory engine, with a clock that a test moves.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { createIds } from '../base/ids.ts';
import { seededRandom } from '../base/random.ts';
import { ContentStore } from '../content/content-store.ts';
import { fileDisk } from '../content/file-disk.ts';
import { MemoryEngine } from '../metadata/memory-engine.ts';
import { createContainer } from './containers.ts';
import { getEntry, putEntry } from './entries.ts';
import { readContent } from './read.ts';
import { createCatalog } from './segments.ts';
import type { Store } from './store.ts';
import { deleteEntry } from './times.ts';

export const account = 'testaccount';
export const cause = { by: 'test', requestId: 'r' };

export class TestClock implements Clock {
  #nowMs = Date.UTC(2026, 0, 1);
  now(): number {
    return this.#nowMs;
  }
  advance(ms: number): void {
    this.#nowMs += ms;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#nowMs += ms;
  }
}

export class TestStore implements AsyncDisposable {
  readonly clock = new TestClock();
  readonly engine = new MemoryEngine();
  readonly directory: string;
  readonly segmentBytes: number;
  readonly #random = seededRandom(1);
  store: Store;

  static async open(segmentBytes = 256 * 1024): Promise<TestStore> {
    const made = new TestStore(await mkdtemp(join(tmpdir(), 'causeway-')), segmentBytes);
    const container = { account, container: 'box', metadata: {}, publicAccess: 'none' as const, cause };
    await createContainer(made.store, container);
    return made;
  }

  private constructor(directory: string, segmentBytes: number) {
    this.directory = directory;
    this.segmentBytes = segmentBytes;
    this.store = this.another();
  }

  /** One more worker; as the first after a stop of all others, with `store` set to it. */
  another(): Store {
    const { clock, engine, directory, segmentBytes } = this;
    const random = this.#random;
    const content = new ContentStore({
      disk: fileDisk,
      directory,
      catalog: createCatalog(engine, clock),
      clock,
      random,
      segmentBytes,
      inlineBytesMax: 0,
      slotsMax: 4,
      readBuffersMax: 1,
    });
    return { engine, content, clock, wallClock: clock, random, ids: createIds(clock, random) };
  }

  bytes(length: number): Buffer {
    return this.#random.bytes(length);
  }

  async put(name: string, bytes: Buffer): Promise<void> {
    async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
      yield bytes;
    }
    const outcome = await putEntry(this.store, {
      account,
      container: 'box',
      name,
      conditions: {},
      cause,
      attributes: { headers: {}, metadata: {} },
      body: { chunks: chunks(), length: bytes.length, lengthMax: bytes.length, wantMd5: false },
    });
    if (outcome.kind !== 'ok') throw new Error(outcome.kind);
  }

  async remove(name: string): Promise<void> {
    const outcome = await deleteEntry(this.store, { account, container: 'box', name, conditions: {}, cause });
    if (outcome.kind !== 'ok') throw new Error(outcome.kind);
  }

  async read(name: string, store = this.store): Promise<Buffer> {
    const outcome = await getEntry(store, { account, container: 'box', name, conditions: {} });
    if (outcome.kind !== 'ok') throw new Error(outcome.kind);
    const chunks: Buffer[] = [];
    for await (const chunk of readContent(store, outcome.entry, 0, outcome.entry.record.length)) {
      chunks.push(Buffer.from(chunk.bytes));
      chunk.release();
    }
    return Buffer.concat(chunks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.content.close();
    await rm(this.directory, { recursive: true });
  }
}
