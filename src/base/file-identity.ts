// Whether names still lead to the files that were opened: a name that was removed, or given to another file, leaves its
// process with a handle on what nobody will find again.
import { type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';

type Identity = Pick<Stats, 'dev' | 'ino' | 'ctimeMs'>;

export class FileIdentities {
  readonly #files: readonly { readonly path: string; readonly opened: Identity | undefined }[];

  /** As the files are now; all of them are there. */
  constructor(paths: readonly string[]) {
    this.#files = paths.map((path) => ({ path, opened: identityOf(path) }));
  }

  /** The first path that leads elsewhere by now, or nowhere. */
  lost(): string | undefined {
    for (const { path, opened } of this.#files) {
      if (!isSame(identityOf(path), opened)) return path;
    }
    return undefined;
  }
}

/** Two changes of a directory within this time may leave it with one and the same time. */
const coarseMs = 100;
/** However old the directory's time looks, the names are looked at this often. */
const trustedMs = 500;

/** The same for files of one directory, asked many times a second: most times its own time tells that no name changed. */
export class SiblingIdentities {
  readonly #directory: string;
  readonly #files: FileIdentities;
  readonly #nowMs: () => number;
  #settled: Identity | undefined;
  #settledMs = 0;

  /** As the files are now; all of them are there. The clock is that of the file system. */
  constructor(paths: readonly [string, ...string[]], nowMs: () => number = Date.now) {
    this.#nowMs = nowMs;
    this.#directory = dirname(paths[0]);
    this.#files = new FileIdentities(paths);
  }

  /** The first path that leads elsewhere by now, or nowhere. */
  lost(): string | undefined {
    const now = identityOf(this.#directory);
    const settled = this.#settled;
    const nowMs = this.#nowMs();
    const isSettled = isSame(now, settled) && now?.ctimeMs === settled?.ctimeMs;
    if (isSettled && Math.abs(nowMs - this.#settledMs) < trustedMs) return undefined;
    const lost = this.#files.lost();
    const isOld = now !== undefined && Math.abs(nowMs - now.ctimeMs) > coarseMs;
    this.#settled = lost === undefined && isOld ? now : undefined;
    this.#settledMs = nowMs;
    return lost;
  }
}

function isSame(one: Identity | undefined, other: Identity | undefined): boolean {
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

const quietly = { throwIfNoEntry: false } as const;

function identityOf(path: string): Identity | undefined {
  try {
    return statSync(path, quietly);
  } catch {
    // A directory on the way became a file, or may not be entered any more.
    return undefined;
  }
}
