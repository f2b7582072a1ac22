// Power-loss images of the real processes: `bin/node test/power-loss/run.ts [--images 500] [--seed S]`.
//
// A server is recorded under a mixed load, through a clean restart; images of its disk are cut out of the record and
// checked. Some images then go on as a server's disk, recorded again from its start, and the power fails a second time.
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { causewayFsck, serveAndRead } from '../support/commands.ts';
import { Ledger } from '../support/ledger.ts';
import { subSeed } from '../support/seeded.ts';
import { type CutReport, Cuts } from './cuts.ts';
import { callsThatMake, DiskHistory } from './disk-history.ts';
import { ImageChecker } from './image-checker.ts';
import { type IgnoredSyncs, writeImage } from './images.ts';
import { RecordedLoad } from './recorded-load.ts';
import { Recorder, recorderMissing } from './recorder.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    /** `strict`, or `ext4` where syncing a new file makes its name durable. */
    names: { type: 'string', default: 'strict' },
    /** `content`, `metadata`, `directories` or `all`: a negative control by hand. */
    'ignore-sync': { type: 'string', default: 'none' },
    /** Other programs in place of the server and its store, to try this test on. */
    serve: { type: 'string' },
    store: { type: 'string', default: fileURLToPath(new URL('./open-store.ts', import.meta.url)) },
  },
});
const images = Number(values.images);
const seed = Number(values.seed);
const names = values.names === 'ext4' ? 'ext4' : 'strict';
const ignored = values['ignore-sync'] as IgnoredSyncs;
/** Of the images, one in ten is cut from the record of a server that goes on after a first power loss. */
const secondImages = Math.floor(images / 10);
const secondLives = Math.ceil(secondImages / 20);
const firstImages = images - secondImages;
const servedImages = Math.ceil(images / 50);
const controlImagesMax = 60;
const checkerCount = 2;
const reportedMax = 5;
const roomNeeded = 4 * 1024 ** 3;

const missing = recorderMissing();
if (missing !== undefined) {
  console.log(`power-loss: skipped: ${missing}\n0 passed, 0 failed, ${images} skipped`);
  process.exit(0);
}

const work = mkdtempSync(join(tmpdir(), 'causeway-power-loss-'));
// Images are read once: memory serves them faster than a disk, where there is room.
const shared = '/dev/shm';
const hasRoom = existsSync(shared) && statfsSync(shared).bavail * statfsSync(shared).bsize > roomNeeded;
const imagesDir = hasRoom ? mkdtempSync(join(shared, 'causeway-power-loss-')) : join(work, 'images');
const checksums = new Map<number, string>();
const checkers = Array.from({ length: checkerCount }, () => new ImageChecker(resolve(values.store), checksums));
let passed = 0;
let failed = 0;

function report(what: string, failures: readonly string[]): void {
  if (failures.length === 0) {
    passed++;
    return;
  }
  if (++failed > reportedMax) return;
  console.log(`FAILED ${what}`);
  for (const failure of failures.slice(0, 8)) console.log(`  ${failure}`);
  if (failures.length > 8) console.log(`  and ${failures.length - 8} more`);
}

function reportCut(what: string): (index: number, cut: CutReport) => void {
  return (index, { moment, failures, keep }) => {
    report(`${what} ${index} cut at ${moment}`, failures);
    if (failures.length === 0 || failed > reportedMax) return;
    const directory = join(work, `failed-${what.replaceAll(' ', '-')}-${index}`);
    keep(directory);
    console.log(`  kept as it was before opening: ${directory}`);
  };
}

/** Records lives of the server on a directory; undefined (and reported) if the record is not what is on the disk. */
async function record(
  directory: string,
  lives: number,
  ledgerOf: (now: () => number) => Ledger,
  part: number,
): Promise<Cuts | undefined> {
  const startedAt = performance.now();
  const root = join(directory, 'data');
  mkdirSync(root, { recursive: true });
  const recorder = new Recorder(root, directory);
  const before = callsThatMake(root);
  const load = new RecordedLoad(
    recorder,
    ledgerOf(() => recorder.now()),
    {
      seed: subSeed(seed, part),
      command: values.serve,
      lifeBytes: (part === 0 ? 20 : 5) * 1024 ** 2,
      lifeOperations: part === 0 ? 1500 : 300,
      lifeMs: part === 0 ? 15_000 : 3000,
    },
  );
  for (let life = 0; life < lives; life++) await load.live();
  const calls = recorder.calls();
  recorder.close();
  const history = new DiskHistory(calls, recorder.root, recorder.rootIdentity, before);
  const syncs = calls.filter(({ type }) => type === 'S').length;
  const { operations, byKind, bytes } = load.counts;
  console.log(
    `recorded ${operations} operations ${JSON.stringify(byKind)}, ${Math.round(bytes / 2 ** 20)} MiB, ` +
      `in ${seconds(startedAt)}: ${calls.length} calls, ${syncs} file syncs`,
  );
  const differences = history.differences();
  report('the record against the disk', differences);
  return differences.length > 0 ? undefined : new Cuts(history, calls, load.ledger, subSeed(seed, 100 + part), names);
}

async function main(): Promise<void> {
  console.log(`power-loss: ${images} images, seed ${seed}, names ${names}, work in ${work}`);
  const cuts = await record(work, 2, (now) => new Ledger(now), 0);
  if (cuts === undefined) return;
  const startedAt = performance.now();
  const range = { from: 0, to: firstImages, ignoredSyncs: ignored };
  await cuts.check(range, checkers, imagesDir, reportCut('image'));
  console.log(`${cuts.describe()}; in ${seconds(startedAt)}`);
  if (ignored !== 'none') return;
  await controls(cuts);
  await served(cuts);
  await secondLosses(cuts);
}

/** A test that cannot fail is none: with syncs disbelieved, a loss has to be found. */
async function controls(cuts: Cuts): Promise<void> {
  for (const ignoredSyncs of ['content', 'metadata', 'directories'] as const) {
    let found: string | undefined;
    let tried = 0;
    for (; found === undefined && tried < controlImagesMax; tried++) {
      const range = { from: 8 * (images + tried), to: 8 * (images + tried) + 1, ignoredSyncs };
      await cuts.check(range, checkers, imagesDir, (_, { failures }) => {
        found ??= failures[0];
      });
    }
    report(`control: syncs of ${ignoredSyncs} ignored`, found === undefined ? [`no loss in ${tried} images`] : []);
    if (found !== undefined)
      console.log(`control: syncs of ${ignoredSyncs} ignored: loss in image ${tried}: ${found.slice(0, 160)}`);
  }
}

/** A sample as users would open them. */
async function served(cuts: Cuts): Promise<void> {
  const startedAt = performance.now();
  for (let sample = 0; sample < servedImages; sample++) {
    const index = sample * Math.floor(firstImages / servedImages);
    const { moment, image } = cuts.cut(index);
    const directory = join(imagesDir, `served-${index}`);
    writeImage(image, directory);
    const failures: string[] = [];
    // Before there is anything, there is nothing to check.
    if (values.serve === undefined && existsSync(join(directory, 'metadata', 'meta.db')))
      failures.push(...(await causewayFsck(directory)));
    failures.push(...(await serveAndRead(directory, values.serve, cuts.ledger, moment)));
    if (values.serve === undefined) failures.push(...(await causewayFsck(directory)));
    rmSync(directory, { recursive: true });
    report(`image ${index} by causeway fsck and serve, cut at ${moment}`, failures);
  }
  console.log(`${servedImages} images by causeway fsck, serve, fsck in ${seconds(startedAt)}`);
}

/** What a start after a power loss repairs has to be as durable as anything else. */
async function secondLosses(cuts: Cuts): Promise<void> {
  const startedAt = performance.now();
  for (let life = 0; life < secondLives; life++) {
    const { moment, image } = cuts.cut(16 * images + life);
    const directory = join(work, `second-${life}`);
    mkdirSync(directory);
    writeImage(image, join(directory, 'data'));
    const again = await record(directory, 1, (now) => Ledger.goingOn(cuts.ledger, moment, now), 1 + life);
    if (again === undefined) return;
    const to = Math.floor(((life + 1) * secondImages) / secondLives) - Math.floor((life * secondImages) / secondLives);
    await again.check(
      { from: 0, to, ignoredSyncs: 'none' },
      checkers,
      imagesDir,
      reportCut(`second loss ${life} image`),
    );
    console.log(`after a second loss: ${again.describe()}`);
  }
  if (secondLives > 0) console.log(`${secondLives} second losses in ${seconds(startedAt)}`);
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

try {
  await main();
} catch (error) {
  report('the run', [(error as Error).stack ?? String(error)]);
} finally {
  for (const checker of checkers) checker.close();
  if (failed === 0) rmSync(work, { recursive: true, force: true });
  if (hasRoom) rmSync(imagesDir, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
