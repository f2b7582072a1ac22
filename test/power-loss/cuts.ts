// Draws the cuts of one recording, and asks of each image whether it holds what was promised.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Ledger } from '../support/ledger.ts';
import { seeded, subSeed } from '../support/seeded.ts';
import type { DiskHistory } from './disk-history.ts';
import type { ImageChecker } from './image-checker.ts';
import { cutImage, type DiskImage, type IgnoredSyncs, writeImage } from './images.ts';
import type { RecordedCall } from './record-log.ts';
import { container } from './recorded-load.ts';

export interface Cut {
  readonly moment: number;
  readonly image: DiskImage;
}

export interface CutReport {
  readonly moment: number;
  readonly failures: readonly string[];
  /** Writes the image as it was before it was opened. */
  readonly keep: (directory: string) => void;
}

export class Cuts {
  readonly ledger: Ledger;
  readonly totals = { images: 0, unsynced: 0, lost: 0, torn: 0, orphans: 0, promised: 0 };
  readonly #history: DiskHistory;
  readonly #seed: number;
  readonly #names: 'strict' | 'ext4';
  readonly #moments: number[];
  readonly #syncEnds: number[];
  readonly #nameEnds: number[];

  constructor(
    history: DiskHistory,
    calls: readonly RecordedCall[],
    ledger: Ledger,
    seed: number,
    names: 'strict' | 'ext4',
  ) {
    this.ledger = ledger;
    this.#history = history;
    this.#seed = seed;
    this.#names = names;
    this.#moments = ledger.moments();
    this.#syncEnds = calls.filter(({ type }) => type === 'S' || type === 'D').map(({ end }) => end);
    this.#nameEnds = history.nameChanges.map(({ end }) => end).filter((end) => end >= 0);
    // A record without a change of names is cut elsewhere.
    if (this.#nameEnds.length === 0) this.#nameEnds = this.#syncEnds;
  }

  /** The cut with this number: the same for the same seed and record. */
  cut(index: number, ignoredSyncs: IgnoredSyncs = 'none'): Cut {
    const moment = this.#moment(index, seeded(subSeed(this.#seed, 1_000_000 + index)));
    const seed = subSeed(this.#seed, 2_000_000 + index);
    return { moment, image: cutImage(this.#history, moment, { seed, names: this.#names, ignoredSyncs }) };
  }

  /** Right after an acknowledgement most is promised; around a sync or a change of names most is open. */
  #moment(index: number, random: ReturnType<typeof seeded>): number {
    switch (index % 8) {
      case 0:
      case 4:
        return random.pick(this.#moments);
      case 1:
      case 5:
        return random.pick(this.#syncEnds) + random.below(3);
      case 2:
        return random.pick(this.#nameEnds) + random.below(3);
      default:
        return random.below(this.#history.end);
    }
  }

  /** Checks the cuts from `from` to `to - 1`, as many at a time as there are checkers. */
  async check(
    range: { readonly from: number; readonly to: number; readonly ignoredSyncs: IgnoredSyncs },
    checkers: readonly ImageChecker[],
    imagesDir: string,
    report: (index: number, cut: CutReport) => void,
  ): Promise<void> {
    let next = range.from;
    mkdirSync(imagesDir, { recursive: true });
    await Promise.all(
      checkers.map(async (checker) => {
        for (let index = next++; index < range.to; index = next++) {
          const { moment, image } = this.cut(index, range.ignoredSyncs);
          const directory = join(imagesDir, String(index));
          writeImage(image, directory);
          const { failures, orphans } = await checker.check(directory, container, this.ledger, moment);
          rmSync(directory, { recursive: true });
          this.totals.images++;
          this.totals.orphans += orphans;
          this.totals.promised += this.ledger.acknowledgedBefore(moment);
          for (const key of ['unsynced', 'lost', 'torn'] as const) this.totals[key] += image[key];
          report(index, { moment, failures, keep: (to) => writeImage(image, to) });
        }
      }),
    );
  }

  describe(): string {
    const { images, unsynced, lost, torn, orphans, promised } = this.totals;
    return (
      `${images} images: ${unsynced} unsynced changes, ${lost} lost, ${torn} torn; ${orphans} orphans; ` +
      `${Math.round(promised / Math.max(1, images))} acknowledged operations an image`
    );
  }
}
