// Flips one bit of a stored file, opens the store, asks for everything, and judges: right, refused, or served silently.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { createIds } from '../../src/base/ids.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { ContentStore } from '../../src/content/content-store.ts';
import { segmentOfFileName } from '../../src/content/extent.ts';
import { fileDisk } from '../../src/content/file-disk.ts';
import { ContentReader } from '../../src/content/reader.ts';
import type { Committer } from '../../src/metadata/commit.ts';
import { flipBit } from '../../src/metadata/database.testing.ts';
import { OptimisticEngine } from '../../src/metadata/optimistic-engine.ts';
import type { SqliteStore } from '../../src/metadata/sqlite-store.ts';
import { processGarbage } from '../../src/namespace/garbage.ts';
import { reclaimOnce } from '../../src/namespace/reclaim.ts';
import { recoverSegments } from '../../src/namespace/recover.ts';
import { createCatalog, nextSegment } from '../../src/namespace/segments.ts';
import type { Store } from '../../src/namespace/store.ts';
import { type DataPaths, dataPaths } from '../../src/server/data-directory.ts';
import { type OpenStore, openMetadata, openStore } from '../../src/server/engine-room.ts';
import { seeded, subSeed } from '../support/seeded.ts';
import { type Answered, askAll, isDamage, type Question, questionsOf, readName } from './picture.ts';
import { containers, type Image, imageConfig, makeImages } from './small-store.ts';

export interface FlipOptions {
  readonly work: string;
  readonly seed: number;
  readonly first: number;
  readonly flips: number;
  /** The one kind of file to hit, in place of all. */
  readonly only?: FileKind;
  /** Ends the run after so many failures. */
  readonly failuresMax?: number;
  /** Called after each flip of a bit in the metadata, for a control that hides it from a check. */
  readonly afterFlip?: (path: string) => void;
  readonly onFailure: (line: string) => void;
}

export interface FlipCounts {
  flips: number;
  /** What became of the flips, by the kind of file. */
  readonly byFile: Map<FileKind, { refusedAtOpen: number; refusedAtRead: number; harmless: number; silent: number }>;
  /** Segment flips after which also the background's work was done before all was asked. */
  withBackground: number;
  /** Stores that took a flip in their metadata as harmless, were closed, and were asked again. */
  openedAgain: number;
  silent: number;
}

type FileKind = 'meta.db' | 'meta.db-wal' | 'meta.db.sums' | 'meta.db.mark' | 'segment';
type Verdict =
  | { readonly kind: 'refusedAtOpen' | 'refusedAtRead' | 'harmless' }
  | { readonly kind: 'silent'; readonly wrong: readonly string[] };

/** How often each kind of file is hit. Where it is not there (a closed store has no log), another is. */
const weights: readonly [FileKind, number][] = [
  ['segment', 42],
  ['meta.db', 30],
  ['meta.db-wal', 17],
  ['meta.db.sums', 8],
  ['meta.db.mark', 3],
];
/** Of the flips in segments, one in so many is also seen by recovery and compaction. */
const backgroundEvery = 40;
/** One flip in so many is followed by all questions, not just by those that it can change the answers of. */
const everythingEvery = 25;
/** Of the stores that open after a flip in their metadata, one in so many is closed and opened again. */
const reopenEvery = 4;
const shownMax = 3;

interface Subject {
  readonly image: Image;
  /** A copy whose metadata stays open, for flips in segments. */
  readonly reading: Image;
  readonly metadata: SqliteStore;
  readonly answers: ReadonlyMap<Question, string>;
  readonly files: ReadonlyMap<FileKind, readonly string[]>;
}

export async function runFlips(options: FlipOptions): Promise<FlipCounts> {
  const counts: FlipCounts = { flips: 0, byFile: new Map(), withBackground: 0, openedAgain: 0, silent: 0 };
  for (const [kind] of weights) counts.byFile.set(kind, { refusedAtOpen: 0, refusedAtRead: 0, harmless: 0, silent: 0 });
  const images = await makeImages(options.work, options.seed);
  const subjects: Subject[] = [];
  for (const image of images) subjects.push(await subjectOf(image));
  for (let index = options.first; index < options.first + options.flips; index++) {
    const random = seeded(subSeed(options.seed, index));
    const subject = random.pick(subjects);
    const kind = options.only ?? pickKind(subject, random.below(100));
    const file = random.pick(subject.files.get(kind) as readonly string[]);
    const at = random.below((subject.image.files.get(file) as Buffer).length);
    const bit = random.below(8);
    const run = new Flip(subject, file, at, bit, counts);
    const verdict = kind === 'segment' ? await run.inSegment(index) : await run.inMetadata(index, options.afterFlip);
    counts.flips++;
    const outcomes = counts.byFile.get(kind);
    if (outcomes !== undefined) outcomes[verdict.kind]++;
    if (verdict.kind !== 'silent') continue;
    counts.silent++;
    options.onFailure(
      `flip ${index} of seed ${options.seed}: store '${subject.image.name}', ${file}, byte ${at}, bit ${bit}: ` +
        `${verdict.wrong.length} wrong answers\n${verdict.wrong.slice(0, shownMax).join('\n')}`,
    );
    if (counts.silent === options.failuresMax) break;
  }
  for (const { image, reading, metadata } of subjects) {
    metadata.close();
    for (const { directory } of [image, reading]) rmSync(directory, { recursive: true });
  }
  return counts;
}

/** Learns what the undamaged image answers, and holds that against what was written. */
async function subjectOf(image: Image): Promise<Subject> {
  const answers = await withStore(image, openWhole, async (store) => {
    for (const [name, content] of image.written) {
      const found = await readName(store, containers[0], name);
      if (found === undefined || !found.equals(content)) throw new Error(`${image.name}: ${name} was not kept`);
    }
    return questionsOf(store);
  });
  restoreMetadata(image);
  const contents = [...answers.keys()].filter((question) => question.text.startsWith('content of')).length;
  if (contents !== image.written.size) throw new Error(`${image.name}: ${contents} of ${image.written.size} names`);
  const files = new Map<FileKind, string[]>();
  for (const file of image.files.keys()) {
    const kind = kindOf(file);
    if (kind !== undefined && image.files.get(file)?.length !== 0) files.set(kind, [...(files.get(kind) ?? []), file]);
  }
  const reading = copyOf(image, ' read');
  const metadata = openMetadata(reading.paths, (error) => {
    throw error;
  });
  return { image, reading, metadata, answers, files };
}

function kindOf(file: string): FileKind | undefined {
  if (file.endsWith('.seg')) return 'segment';
  const name = file.slice(file.lastIndexOf('/') + 1);
  return weights.find(([kind]) => kind === name)?.[0];
}

function pickKind(subject: Subject, drawn: number): FileKind {
  let left = drawn;
  for (const [kind, weight] of weights) {
    if (left < weight) return subject.files.has(kind) ? kind : 'segment';
    left -= weight;
  }
  return 'segment';
}

class Flip {
  readonly #subject: Subject;
  readonly #file: string;
  readonly #at: number;
  readonly #bit: number;
  readonly #counts: FlipCounts;

  constructor(subject: Subject, file: string, at: number, bit: number, counts: FlipCounts) {
    this.#subject = subject;
    this.#file = file;
    this.#at = at;
    this.#bit = bit;
    this.#counts = counts;
  }

  async inMetadata(index: number, afterFlip: ((path: string) => void) | undefined): Promise<Verdict> {
    const { image, answers } = this.#subject;
    const path = join(image.directory, this.#file);
    const all = [...answers.keys()];
    // Content follows from rows that are as they were, and from segments that nobody touched.
    const asked = index % everythingEvery === 0 ? all : all.filter(({ kind }) => kind === 'metadata');
    let untouched = false;
    flipBit(path, this.#at, this.#bit);
    afterFlip?.(image.paths.metadata);
    try {
      const first = await judge(image, (store) => askAll(store, asked, answers));
      untouched = first.kind === 'refusedAtOpen' && afterFlip === undefined;
      if (first.kind !== 'harmless' || index % reopenEvery !== 0) return first;
      // What was taken as harmless must still be so after the checkpoint of a clean stop.
      this.#counts.openedAgain++;
      return await judge(image, (store) => askAll(store, asked, answers));
    } finally {
      // A refused open changed nothing but that bit.
      if (untouched) flipBit(path, this.#at, this.#bit);
      else restoreMetadata(image);
    }
  }

  async inSegment(index: number): Promise<Verdict> {
    const { reading, metadata, answers } = this.#subject;
    if (index % backgroundEvery === 0) return this.#withBackground();
    const all = [...answers.keys()].filter(({ kind }) => kind === 'content');
    const asked = index % everythingEvery === 1 ? all : all.filter((question) => this.#mayTouch(question));
    // Bytes of dropped extents, and what fills up a page.
    if (asked.length === 0) return { kind: 'harmless' };
    const path = join(reading.directory, this.#file);
    flipBit(path, this.#at, this.#bit);
    // What a store has read it keeps in memory for a while: each flip is seen by one that has read nothing.
    const opened = openReader(reading.paths, metadata.committer);
    try {
      return verdictOf(await askAll(opened.store, asked, answers));
    } finally {
      await opened[Symbol.asyncDispose]();
      flipBit(path, this.#at, this.#bit);
    }
  }

  /** In a copy, because recovery cuts and compaction moves: what they do with damage must not make it look right. */
  async #withBackground(): Promise<Verdict> {
    const { answers } = this.#subject;
    this.#counts.withBackground++;
    const image = copyOf(this.#subject.image);
    try {
      flipBit(join(image.directory, this.#file), this.#at, this.#bit);
      // Rows change under the background; names and what they answer may not.
      const all = [...answers.keys()].filter((question) => question.text !== 'all rows');
      const changing = async (store: Store): Promise<Answered> => {
        await background(store);
        return askAll(store, all, answers);
      };
      const first = await judge(image, changing, openWhole);
      return first.kind === 'silent' ? first : await judge(image, (store) => askAll(store, all, answers));
    } finally {
      rmSync(image.directory, { recursive: true });
    }
  }

  #mayTouch({ extents }: Question): boolean {
    const segment = segmentOf(this.#file);
    return extents.some(
      (extent) => extent.segment === segment && this.#at >= extent.offset && this.#at < extent.offset + extent.length,
    );
  }
}

function segmentOf(file: string): number {
  return segmentOfFileName(file.slice(file.lastIndexOf('/') + 1)) as number;
}

async function background(store: Store): Promise<void> {
  const onDamage = (): void => undefined;
  await recoverSegments(store, { below: await nextSegment(store.engine), onDamage });
  for (let round = 0; round < 3; round++) {
    await processGarbage(store, { graceMs: 0, rowsMax: 500 });
    const { segmentBytes } = imageConfig();
    await reclaimOnce(store, { segmentBytes, smallMax: 1, graceMs: 0, damagePauseMs: 0, onDamage });
  }
}

type Open = (paths: DataPaths, committer: Committer) => OpenStore;

const openWhole: Open = (paths, committer) => openStore(paths, imageConfig(), committer);

/** The parts of `openStore` that read: the memory for writes would take most of the time of ten thousand stores. */
const openReader: Open = (paths, committer) => {
  const engine = new OptimisticEngine({ path: paths.metadata, committer, cacheBytes: 1 << 20, readersMax: 4 });
  const catalog = createCatalog(engine, systemClock);
  const reader = new ContentReader({
    disk: fileDisk,
    directory: paths.content,
    catalog,
    nowMs: () => systemClock.now(),
    buffersMax: 2,
  });
  const ids = createIds(systemClock, systemRandom);
  const content = reader as unknown as ContentStore;
  return {
    store: { engine, content, clock: systemClock, wallClock: systemClock, random: systemRandom, ids },
    [Symbol.asyncDispose]: async () => {
      await reader.close();
      await engine[Symbol.asyncDispose]();
    },
  };
};

async function judge(image: Image, ask: (store: Store) => Promise<Answered>, open = openReader): Promise<Verdict> {
  let opened = false;
  try {
    const answered = await withStore(image, open, async (store) => {
      opened = true;
      return await ask(store);
    });
    return verdictOf(answered);
  } catch (error) {
    if (!isDamage(error))
      return { kind: 'silent', wrong: [`it failed, but not for damage: ${(error as Error).stack}`] };
    return { kind: opened ? 'refusedAtRead' : 'refusedAtOpen' };
  }
}

function verdictOf({ refused, wrong }: Answered): Verdict {
  if (wrong.length > 0) return { kind: 'silent', wrong };
  return { kind: refused > 0 ? 'refusedAtRead' : 'harmless' };
}

async function withStore<T>(image: Image, open: Open, work: (store: Store) => Promise<T>): Promise<T> {
  let broken: Error | undefined;
  const metadata = openMetadata(image.paths, (error) => {
    broken = error;
  });
  let result: T;
  try {
    const opened = open(image.paths, metadata.committer);
    try {
      result = await work(opened.store);
    } finally {
      await opened[Symbol.asyncDispose]();
    }
  } finally {
    metadata.close();
  }
  if (broken !== undefined) throw broken;
  return result;
}

function copyOf(image: Image, suffix = ' copy'): Image {
  const directory = `${image.directory}${suffix}`;
  for (const [file, bytes] of image.files) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), bytes);
  }
  return { ...image, directory, paths: dataPaths({ data: directory }) };
}

function restoreMetadata({ directory, paths, files }: Image): void {
  const folder = dirname(paths.metadata);
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  for (const [file, bytes] of files)
    if (dirname(join(directory, file)) === folder) writeFileSync(join(directory, file), bytes);
}
