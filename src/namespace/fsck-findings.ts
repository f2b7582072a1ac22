// What a run of fsck finds, and what it remembers between its passes.

/** An extent as what names it says. */
export interface ExtentNames {
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  readonly sum: number;
  /** How often it is listed. */
  times: number;
  /** Whether more than garbage lists it: then it must be whole. */
  isNeeded: boolean;
}

/** What the passes find. About 150 bytes of memory for each extent and each directory; nothing for an entry. */
export class Findings {
  readonly #report: (line: string) => void;
  /** How far the passes are, for whoever watches. */
  readonly progress: (text: () => string) => void;
  readonly extents = new Map<number, Map<number, ExtentNames>>();
  readonly damagedExtents = new Set<ExtentNames>();
  readonly orphans = { extents: 0, bytes: 0 };
  damage = 0;
  entries = 0;
  bytes = 0;

  constructor(report: (line: string) => void, progress: (text: () => string) => void = () => undefined) {
    this.#report = report;
    this.progress = progress;
  }

  damaged(line: string): void {
    this.damage++;
    this.#report(`damage: ${line}`);
  }

  note(line: string): void {
    this.#report(line);
  }

  *allExtents(): Generator<ExtentNames, void, undefined> {
    for (const inSegment of this.extents.values()) yield* inSegment.values();
  }
}
