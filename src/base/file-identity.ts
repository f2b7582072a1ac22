// Whether names still lead to the files that were opened: a name that was removed, or given to another file, leaves its
// process with a handle on what nobody will find again.
import { statSync } from 'node:fs';

interface Identity {
  readonly dev: number;
  readonly ino: number;
}

export class FileIdentities {
  readonly #files: readonly { readonly path: string; readonly opened: Identity | undefined }[];

  /** As the files are now; all of them are there. */
  constructor(paths: readonly string[]) {
    this.#files = paths.map((path) => ({ path, opened: identityOf(path) }));
  }

  /** The first path that leads elsewhere by now, or nowhere. */
  lost(): string | undefined {
    for (const { path, opened } of this.#files) {
      const now = identityOf(path);
      if (now === undefined || now.ino !== opened?.ino || now.dev !== opened.dev) return path;
    }
    return undefined;
  }
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
