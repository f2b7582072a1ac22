// Where queries keep their files while they run: directories of one data directory's own, on its disk and in memory.
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface QueryDirectories {
  readonly disk: string;
  /** For sealed content, which is not written to a disk in the clear. */
  readonly memory: string;
}

export const memoryRoot = '/dev/shm';

/** Without a data directory, those of tests. */
export function queryDirectories(data: string): QueryDirectories {
  const own = `causeway-query-${process.getuid?.() ?? 0}`;
  if (data === '') return { disk: join(tmpdir(), own), memory: join(memoryRoot, `${own}-0`) };
  // Not its path: servers in containers share memory, and each of them may call its data the same.
  const { dev, ino } = statSync(data, { bigint: true });
  return { disk: join(data, 'query'), memory: join(memoryRoot, `${own}-${dev.toString(36)}-${ino.toString(36)}`) };
}

/**
 * Makes the directory if it is missing. Throws where somebody else has put one there, or could look into it: everybody can
 * write where it lies.
 */
export function privateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  checkPrivate(path);
}

function checkPrivate(path: string): void {
  // Not what a link leads to.
  const { mode, uid } = lstatSync(path);
  if ((mode & 0o170077) === 0o040000 && (process.getuid === undefined || uid === process.getuid())) return;
  throw new Error(`the directory for queries ${path} is not this user's own`);
}

/**
 * Removes whatever queries of an earlier run left. The caller holds the lock of the data directory, so none of them runs.
 * Answers what is wrong with the directory in memory: it is left alone then.
 */
export function sweepQueries(data: string): Error | undefined {
  const { disk, memory } = queryDirectories(data);
  const empty = (path: string): void => {
    for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true, force: true });
  };
  if (existsSync(disk)) empty(disk);
  try {
    checkPrivate(memory);
    empty(memory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return error as Error;
  }
  return undefined;
}
