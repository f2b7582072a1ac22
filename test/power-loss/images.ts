// Cuts out of a record what a disk may hold after the power went at one moment.
//
// What was synced is there: a change whose end came before the start of a sync of its file (or directory) that ended
// before the cut. Of everything else that had started, any part may be there. Content is kept or lost by sectors of 512
// bytes, and a sector holds one of the values that it had since its last sync: a later write can be there without an
// earlier one. A file's size is one that it had since then, whatever its sectors hold. Names are kept or lost one by
// one; under `strict` only a sync of the directory keeps them, under `ext4` a sync of a new file keeps its name too.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Seeded, seeded } from '../support/seeded.ts';
import {
  type ContentChange,
  type DiskHistory,
  type FileHistory,
  type NameChange,
  replayContent,
} from './disk-history.ts';

export const sectorBytes = 512;

/** Syncs to disbelieve, as negative controls: those of files in `content/`, of all other files, of directories, or all. */
export type IgnoredSyncs = 'none' | 'content' | 'metadata' | 'directories' | 'all';

export interface CutOptions {
  readonly seed: number;
  readonly names: 'strict' | 'ext4';
  readonly ignoredSyncs: IgnoredSyncs;
}

export interface DiskImage {
  /** By path below the root; directories are `undefined`. */
  readonly tree: Map<string, Buffer | undefined>;
  /** How many unsynced changes there were, and how many of them are gone or torn. */
  readonly unsynced: number;
  readonly lost: number;
  readonly torn: number;
}

interface Tally {
  unsynced: number;
  lost: number;
  torn: number;
}

/** How likely an unsynced change of this image is kept whole, or torn; the rest is lost. */
interface Mood {
  readonly keep: number;
  readonly tear: number;
}

const moods: readonly Mood[] = [
  { keep: 0, tear: 0 },
  { keep: 1, tear: 0 },
  { keep: 0.5, tear: 0 },
  { keep: 0.4, tear: 0.3 },
  { keep: 0.1, tear: 0.2 },
  { keep: 0.8, tear: 0.1 },
];

/** What the disk may hold if the power goes when the call with number `cut` is about to start. */
export function cutImage(history: DiskHistory, cut: number, options: CutOptions): DiskImage {
  const random = seeded(options.seed);
  const tally: Tally = { unsynced: 0, lost: 0, torn: 0 };
  const names = cutNames(history, cut, options, random.pick(moods), random, tally);
  const tree = new Map<string, Buffer | undefined>();
  const walk = (directory: string, prefix: string): void => {
    for (const [name, file] of names.get(directory) ?? []) {
      const path = prefix + name;
      const content = history.files.get(file);
      if (content === undefined) {
        tree.set(path, undefined);
        walk(file, `${path}/`);
      } else {
        tree.set(path, cutContent(content, cut, options, random.pick(moods), random, tally));
      }
    }
  };
  walk(history.rootIdentity, '');
  // SQLite must not believe an index that was never synced: whatever it holds, it has to be made anew.
  for (const path of history.sharedIndexPaths) {
    if (tree.has(path.slice(0, -'-shm'.length)) && random.chance(0.5))
      tree.set(path, Buffer.from(Array.from({ length: 32 * 1024 }, () => random.below(256))));
  }
  return { tree, ...tally };
}

export function writeImage(image: DiskImage, directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const [path, content] of image.tree) {
    mkdirSync(join(directory, content === undefined ? path : dirname(path)), { recursive: true });
    if (content !== undefined) writeFileSync(join(directory, path), content);
  }
}

/** The latest start of a sync that had ended: what ended before it is on the disk. */
function syncedBefore(syncs: readonly { start: number; end: number }[] | undefined, cut: number): number {
  let latest = Number.NEGATIVE_INFINITY;
  for (const sync of syncs ?? []) if (sync.end < cut && sync.start > latest) latest = sync.start;
  return latest;
}

function cutNames(
  history: DiskHistory,
  cut: number,
  { names: model, ignoredSyncs }: CutOptions,
  mood: Mood,
  random: Seeded,
  tally: Tally,
): Map<string, Map<string, string>> {
  const believed = ignoredSyncs !== 'all' && ignoredSyncs !== 'directories';
  const isDurable = (change: NameChange): boolean => {
    if (!believed) return false;
    if (change.entries.every(({ directory }) => change.end < syncedBefore(history.directorySyncs.get(directory), cut)))
      return true;
    if (model === 'strict' || change.created === undefined) return false;
    return change.end < syncedBefore(history.files.get(change.created)?.syncs, cut);
  };
  const names = new Map<string, Map<string, string>>();
  for (const change of history.nameChanges) {
    if (change.start >= cut) break;
    if (!isDurable(change)) {
      tally.unsynced++;
      // A name is there or not: it does not tear.
      if (!random.chance(mood.keep + mood.tear / 2)) {
        tally.lost++;
        continue;
      }
    }
    for (const { directory, name, file } of change.entries) {
      const entries = names.get(directory) ?? new Map<string, string>();
      names.set(directory, entries);
      if (file === undefined) entries.delete(name);
      else entries.set(name, file);
    }
  }
  return names;
}

interface Kept {
  readonly index: number;
  readonly change: ContentChange;
  /** Whether the sector with this number made it to the disk with this change. */
  readonly sector: (sector: number) => boolean;
}

function cutContent(
  file: FileHistory,
  cut: number,
  { ignoredSyncs }: CutOptions,
  mood: Mood,
  random: Seeded,
  tally: Tally,
): Buffer {
  const believed =
    ignoredSyncs !== 'all' && ignoredSyncs !== (file.path.startsWith('content/') ? 'content' : 'metadata');
  const syncedUntil = believed ? syncedBefore(file.syncs, cut) : -1;
  const durable: ContentChange[] = [];
  const loose: ContentChange[] = [];
  for (const change of file.changes) {
    if (change.start >= cut) break;
    const isDurable = change.end < syncedUntil || (believed && change.synced && change.end < cut);
    (isDurable ? durable : loose).push(change);
  }
  const base = replayContent(durable);
  if (loose.length === 0) return base;
  tally.unsynced += loose.length;
  const kept = loose.map((change, index): Kept => ({ index, change, sector: fate(change, mood, random, tally) }));

  // The size of one moment since the last sync; a shrinking that came before it has freed its sectors.
  const sizes = [base.length];
  for (const { offset, data } of loose) {
    const last = sizes[sizes.length - 1] as number;
    sizes.push(data === undefined ? offset : Math.max(last, offset + data.length));
  }
  const moment = random.chance(0.5) ? sizes.length - 1 : random.chance(0.5) ? 0 : random.below(sizes.length);
  const size = sizes[moment] as number;

  const image = Buffer.alloc(size);
  base.copy(image);
  for (const [sector, touching] of changesBySector(kept, size)) {
    const from = sector * sectorBytes;
    const newest = touching.findLast((each) => each.sector(sector))?.index ?? -1;
    const freed = touching.some(
      ({ change, index }) => change.data === undefined && change.offset <= from && index < moment && index > newest,
    );
    const value = freed ? Buffer.alloc(sectorBytes) : sectorAfter(base, touching, newest, from);
    value.copy(image, from, 0, Math.min(sectorBytes, size - from));
  }
  return image;
}

/** Decides what becomes of one change, sector by sector. */
function fate(change: ContentChange, mood: Mood, random: Seeded, tally: Tally): (sector: number) => boolean {
  const drawn = random.next();
  if (drawn < mood.keep) return () => true;
  const sectors =
    change.data === undefined ? 1 : Math.ceil(((change.offset % sectorBytes) + change.data.length) / sectorBytes);
  if (drawn >= mood.keep + mood.tear || sectors < 2) {
    tally.lost++;
    return () => false;
  }
  tally.torn++;
  const first = Math.floor(change.offset / sectorBytes);
  const border = first + 1 + random.below(sectors - 1);
  switch (random.below(3)) {
    case 0:
      return (sector) => sector < border;
    case 1:
      return (sector) => sector >= border;
    default: {
      const salt = random.below(2 ** 31);
      return (sector) => seeded(salt ^ Math.imul(sector, 2654435761)).chance(0.5);
    }
  }
}

/** The sectors below `size` whose value is open, each with the changes that touch it. */
function changesBySector(kept: readonly Kept[], size: number): Map<number, Kept[]> {
  const sectors = new Map<number, Kept[]>();
  for (const each of kept) {
    const { offset, data } = each.change;
    const end = data === undefined ? size : Math.min(size, offset + data.length);
    for (let sector = Math.floor(offset / sectorBytes); sector * sectorBytes < end; sector++) {
      const touching = sectors.get(sector);
      if (touching === undefined) sectors.set(sector, [each]);
      else touching.push(each);
    }
  }
  return sectors;
}

/** A sector's value after all changes up to the one with number `newest`: a later write never comes without them. */
function sectorAfter(base: Buffer, touching: readonly Kept[], newest: number, from: number): Buffer {
  const value = Buffer.alloc(sectorBytes);
  if (from < base.length) base.copy(value, 0, from, from + sectorBytes);
  for (const { change, index } of touching) {
    if (index > newest) break;
    if (change.data === undefined) value.fill(0, Math.max(0, change.offset - from), sectorBytes);
    else {
      const at = change.offset - from;
      change.data.copy(value, Math.max(0, at), Math.max(0, -at), Math.min(change.data.length, sectorBytes - at));
    }
  }
  return value;
}
