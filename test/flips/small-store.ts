// Small stores to damage: every kind of record and of content, closed cleanly or left as a crash leaves them.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/base/config.ts';
import { createIds } from '../../src/base/ids.ts';
import { seededRandom } from '../../src/base/random.ts';
import { ContentStore } from '../../src/content/content-store.ts';
import { fileDisk } from '../../src/content/file-disk.ts';
import type { Committer } from '../../src/metadata/commit.ts';
import { keys } from '../../src/metadata/keys.ts';
import { OptimisticEngine } from '../../src/metadata/optimistic-engine.ts';
import { pageBytes } from '../../src/metadata/sqlite-file.ts';
import { SqliteStore } from '../../src/metadata/sqlite-store.ts';
import { checkWal, frameHeaderBytes, walHeaderBytes, walPath } from '../../src/metadata/wal-check.ts';
import { createAccount } from '../../src/namespace/accounts.ts';
import { changeContainer, createContainer } from '../../src/namespace/containers.ts';
import { copyEntry } from '../../src/namespace/copy.ts';
import { putEntry } from '../../src/namespace/entries.ts';
import { processGarbage } from '../../src/namespace/garbage.ts';
import type { Body } from '../../src/namespace/ingest.ts';
import { leaseEntry } from '../../src/namespace/lease-entry.ts';
import { reclaimOnce } from '../../src/namespace/reclaim.ts';
import { createCatalog } from '../../src/namespace/segments.ts';
import type { Store } from '../../src/namespace/store.ts';
import { deleteEntry } from '../../src/namespace/times.ts';
import { commitBlocks, stageBlock } from '../../src/namespace/uploads.ts';
import { type DataPaths, dataPaths, writeStoreId } from '../../src/server/data-directory.ts';
import { contentOf } from '../support/content.ts';

const mebibyte = 1024 * 1024;
export const account = 'flipaccount';
const container = 'box';
export const containers = [container, 'other'] as const;
const checkpointBytes = mebibyte / 4;
const segmentBytes = 2 * mebibyte;
const cause = { by: 'flips', requestId: 'request' };
const leaseId = '00000000-0000-0000-0000-00000000000a';

/** The settings under which the images are made, and opened again. */
export function imageConfig() {
  const outcome = loadConfig({ assignments: [`segmentBytes=${segmentBytes}`, 'inlineBytesMax=512'] });
  if (outcome.kind !== 'config') throw new Error(outcome.message);
  return outcome.config;
}

export type ImageName = 'closed' | 'crashed' | 'crashed later';

export interface Image {
  readonly name: ImageName;
  readonly directory: string;
  readonly paths: DataPaths;
  /** The bytes of every file, by its path in the directory, as they must be again after each flip. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** What was written, by container and name: the truth that the first picture of the image is held against. */
  readonly written: ReadonlyMap<string, Buffer>;
}

/** The same seed makes the same bytes. */
export async function makeImages(work: string, seed: number): Promise<Image[]> {
  const live = new LiveStore(join(work, 'live'), seed);
  const images: Image[] = [];
  const keep = (name: ImageName): void => {
    images.push(imageOf(live, name, join(work, name.replace(' ', '-'))));
  };
  live.open();
  await live.fill();
  await live.compact();
  await live.close();
  keep('closed');
  live.open();
  await live.change(1);
  keep('crashed');
  await live.close();
  // The log begins again, and what it held before stays behind the new transactions.
  live.open(checkpointBytes);
  await live.change(2);
  await live.takeUpLog();
  await live.stageMore();
  if (!live.hasStaleLog()) throw new Error('no stale frames are left in the log');
  keep('crashed later');
  await live.close();
  rmSync(live.directory, { recursive: true });
  return images;
}

function imageOf(live: LiveStore, name: ImageName, directory: string): Image {
  cpSync(live.directory, directory, { recursive: true });
  const paths = dataPaths({ data: directory });
  // SQLite makes it anew after a crash.
  rmSync(`${paths.metadata}-shm`, { force: true });
  const files = new Map<string, Buffer>();
  for (const entry of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, entry);
    if (statSync(path).isFile()) files.set(relative(directory, path), readFileSync(path));
  }
  return { name, directory, paths, files, written: new Map(live.written) };
}

class LiveStore {
  readonly directory: string;
  readonly written = new Map<string, Buffer>();
  readonly #random;
  readonly #clock: Clock;
  #nowMs = Date.UTC(2026, 0, 1);
  #number = 0;
  #metadata: SqliteStore | undefined;
  #store: Store | undefined;

  constructor(directory: string, seed: number) {
    this.directory = directory;
    this.#random = seededRandom(seed);
    this.#clock = { now: () => ++this.#nowMs, sleep: systemClock.sleep };
  }

  open(checkpointAt = 64 * mebibyte): void {
    const paths = dataPaths({ data: this.directory });
    for (const path of [dirname(paths.metadata), paths.content]) mkdirSync(path, { recursive: true });
    this.#metadata = new SqliteStore({
      path: paths.metadata,
      cacheBytes: mebibyte,
      queueBytesMax: 64 * mebibyte,
      checkpointBytes: checkpointAt,
      onNewId: (id) => writeStoreId(paths, id),
      onBroken: (error) => {
        throw error;
      },
    });
    this.#openStore(this.#metadata.committer);
  }

  #openStore(committer: Committer): void {
    const paths = dataPaths({ data: this.directory });
    const engine = new OptimisticEngine({ path: paths.metadata, committer, cacheBytes: mebibyte, readersMax: 4 });
    const clock = this.#clock;
    const random = this.#random;
    const content = new ContentStore({
      disk: fileDisk,
      directory: paths.content,
      catalog: createCatalog(engine, clock),
      clock,
      random,
      segmentBytes,
      inlineBytesMax: imageConfig().inlineBytesMax,
      slotsMax: 8,
      readBuffersMax: 2,
    });
    this.#store = { engine, content, clock, wallClock: clock, random, ids: createIds(clock, random) };
  }

  async close(): Promise<void> {
    await this.#open.content.close();
    await this.#open.engine[Symbol.asyncDispose]();
    this.#metadata?.close();
  }

  /** Lets the next commit take the whole log into the main file: nobody reads while it does. */
  async takeUpLog(): Promise<void> {
    await this.#open.content.close();
    await this.#open.engine[Symbol.asyncDispose]();
    const { committer } = this.#metadata as SqliteStore;
    const key = keys.setting('flips');
    for (const op of [
      { kind: 'put', key, value: Buffer.alloc(checkpointBytes + pageBytes) } as const,
      { kind: 'delete', key } as const,
    ])
      ok(await committer.commit({ seq: 0, reads: [], ranges: [], ops: [op] }), 'committed');
    this.#openStore(committer);
  }

  hasStaleLog(): boolean {
    const { metadata } = dataPaths({ data: this.directory });
    const wal = checkWal(metadata);
    const frames = (statSync(walPath(metadata)).size - walHeaderBytes) / (frameHeaderBytes + pageBytes);
    return wal.kind === 'clean' && wal.frames > 0 && wal.frames < frames;
  }

  get #open(): Store {
    if (this.#store === undefined) throw new Error('the store is not open');
    return this.#store;
  }

  async fill(): Promise<void> {
    const store = this.#open;
    ok(await createAccount(store, account, [contentOf(1, 64).toString('base64'), 'a2V5'], cause));
    for (const name of containers) {
      const made = { account, container: name, metadata: { purpose: name }, publicAccess: 'none' as const, cause };
      ok(await createContainer(store, made));
    }
    const policies = [{ id: 'policy', permission: 'r', expiry: '2030-01-01T00:00:00Z' }];
    ok(await changeContainer(store, { account, container, conditions: {}, cause }, { policies, quotaBytes: 2 ** 40 }));
    for (let index = 0; index < 120; index++) await this.#put(`inline/${index % 7}/${index}`, 1 + index * 4);
    for (let index = 0; index < 100; index++) await this.#put(`small/${index}`, 600 + index * 50);
    for (let index = 0; index < 10; index++) await this.#put(`medium ${index}`, 70_000 + index * 9000);
    await this.#put('large', 2_300_000);
    for (let index = 0; index < 4; index++) await this.#putBlocks(`blocks/${index}`, 3 + index * 20);
    for (let index = 0; index < 20; index++) await this.#copy(`small/${index * 3}`, `copies/${index}`);
    await this.#copy('blocks/3', 'copies/blocks');
    const access = { account, container, name: 'small/5', conditions: {}, cause };
    ok(await leaseEntry(store, access, { action: 'acquire', durationS: -1, proposedId: leaseId }));
    await this.#stage('staged/fresh', 5);
    await this.#stage('small/7', 2);
  }

  /** Drops much, and moves what is left of those segments elsewhere. */
  async compact(): Promise<void> {
    await this.close();
    this.open();
    const store = this.#open;
    for (let index = 0; index < 8; index++) await this.#remove(`medium ${index}`);
    await this.#remove('large');
    await this.#put('large', 1_200_000);
    const onDamage = (segment: number, what: string): void => {
      throw new Error(`segment ${segment}: ${what}`);
    };
    let retired = 0;
    for (let round = 0; round < 10; round++) {
      await processGarbage(store, { graceMs: 0, rowsMax: 500 });
      const options = { segmentBytes, smallMax: 8, graceMs: 0, damagePauseMs: 0, onDamage };
      retired += (await reclaimOnce(store, options)).retired;
    }
    if (retired === 0) throw new Error('nothing was compacted');
  }

  async change(round: number): Promise<void> {
    for (let index = 0; index < 20; index++) await this.#put(`inline/${index % 7}/${index}`, 30 + index);
    for (let index = 0; index < 15; index++) await this.#put(`round ${round}/${index}`, 300 + index * 150);
    for (let index = 0; index < 5; index++) await this.#remove(`small/${40 + round * 10 + index}`);
    await this.#putBlocks(`blocks/of round ${round}`, 35);
    await this.#stage(`staged/in round ${round}`, 3);
  }

  async stageMore(): Promise<void> {
    await this.#stage('staged/last', 4);
    await this.#put('last', 100);
  }

  async #put(name: string, bytes: number): Promise<void> {
    const content = contentOf(++this.#number, bytes);
    const outcome = await putEntry(this.#open, { ...this.#entry(name), body: bodyOf(content) });
    ok(outcome);
    this.written.set(name, content);
  }

  async #putBlocks(name: string, count: number): Promise<void> {
    const parts = await this.#stage(name, count);
    const blocks = parts.map((_, index) => ({ id: blockId(index).toString('base64'), from: 'latest' as const }));
    ok(await commitBlocks(this.#open, { ...this.#entry(name), blocks }));
    this.written.set(name, Buffer.concat(parts));
  }

  async #stage(name: string, count: number): Promise<Buffer[]> {
    const parts: Buffer[] = [];
    for (let index = 0; index < count; index++) {
      const content = contentOf(++this.#number, 200 + index * 40);
      const block = { account, container, name, blockId: blockId(index), body: bodyOf(content) };
      ok(await stageBlock(this.#open, block));
      parts.push(content);
    }
    return parts;
  }

  async #copy(from: string, to: string): Promise<void> {
    const source = { account, container, name: from, conditions: {} };
    const { attributes, ...entry } = this.#entry(to);
    ok(await copyEntry(this.#open, { ...entry, source, attributes: () => attributes }));
    this.written.set(to, this.written.get(from) as Buffer);
  }

  async #remove(name: string): Promise<void> {
    ok(await deleteEntry(this.#open, { account, container, name, conditions: {}, cause }));
    this.written.delete(name);
  }

  #entry(name: string) {
    const headers = { contentType: 'text/plain', contentLanguage: 'en' };
    const metadata = { number: `${this.#number}`, name: encodeURIComponent(name) };
    const attributes = { headers, metadata, ...(this.#number % 5 === 0 && { tags: { kind: 'fifth' } }) };
    return { account, container, name, conditions: {}, cause, attributes };
  }
}

const blockId = (index: number): Buffer => Buffer.from(`block ${String(index).padStart(4, '0')}`);

function bodyOf(content: Buffer): Body {
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    yield content;
  }
  return { chunks: chunks(), length: content.length, lengthMax: content.length, wantMd5: true };
}

function ok(outcome: { readonly kind: string }, wanted = 'ok'): void {
  if (outcome.kind !== wanted) throw new Error(`the image could not be made: ${outcome.kind}`);
}
