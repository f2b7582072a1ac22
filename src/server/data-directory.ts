// The data directory: its layout, what must be there together, and the lock that keeps a second server out.
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Config, SettingError } from '../base/config.ts';
import { FileIdentities } from '../base/file-identity.ts';
import { syncDirectory } from '../base/sync-directory.ts';
import { storeIdFileName } from '../content/extent.ts';

export interface DataPaths {
  readonly root: string;
  readonly metadata: string;
  readonly content: string;
  readonly audit: string;
  readonly lock: string;
}

export function dataPaths(config: Pick<Config, 'data'>): DataPaths {
  const root = config.data;
  return {
    root,
    metadata: join(root, 'metadata', 'meta.db'),
    content: join(root, 'content'),
    audit: join(root, 'audit'),
    lock: join(root, 'lock'),
  };
}

/** Makes what is missing, readable by its owner only. Throws `SettingError`, also for what is left of a store. */
export function prepareDirectory(paths: DataPaths): void {
  process.umask(0o077);
  try {
    if (!existsSync(paths.metadata)) refuseRemains(paths);
    for (const directory of [paths.root, dirname(paths.metadata), paths.content]) {
      makeDirectory(directory);
      accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
      // The names must be there after a power cut, or all that is below them is lost.
      syncDirectory(dirname(directory));
    }
  } catch (error) {
    throw settingError(error, paths.root);
  }
}

/** What mkdir with `recursive` does, which goes round for ever where a file system takes no directory (`/proc`). */
function makeDirectory(directory: string): void {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  if (found !== undefined) throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
  const parent = dirname(directory);
  if (parent !== directory) makeDirectory(parent);
  mkdirSync(directory, { mode: 0o700 });
}

/** The commands that only look at a store, or change one, make none. Throws `SettingError`. */
export function requireDirectory(paths: DataPaths): void {
  process.umask(0o077);
  let isThere: boolean;
  try {
    isThere = lstatSync(paths.metadata, { throwIfNoEntry: false })?.isFile() === true;
    if (!isThere) refuseRemains(paths);
  } catch (error) {
    throw settingError(error, paths.root);
  }
  if (!isThere) throw new SettingError('data', `no data of Causeway in ${paths.root}`);
}

/** Without its metadata a store is lost, and a new one in its place would hide that. */
function refuseRemains(paths: DataPaths): void {
  const folder = dirname(paths.metadata);
  const remains = [
    ...namesIn(folder).map((name) => join(folder, name)),
    ...namesIn(paths.content).map((name) => join(paths.content, name)),
    ...namesIn(paths.audit).map((name) => join(paths.audit, name)),
    ...namesIn(paths.root)
      .filter((name) => name === 'encryption.key')
      .map((name) => join(paths.root, name)),
  ];
  const [first] = remains;
  if (first === undefined) return;
  throw new SettingError('data', `${paths.metadata} is missing, and ${first} is there: put back what was removed`);
}

/** What a file system keeps at its own root, where a part of the data is a mount. */
const ofFileSystem = 'lost+found';

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name !== ofFileSystem);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

const idFile = (paths: DataPaths): string => join(paths.content, storeIdFileName);

/** Notes beside the content which store it is of; durable when this returns. */
export function writeStoreId(paths: DataPaths, id: string): void {
  writeFileSync(idFile(paths), `${id}\n`, { mode: 0o600, flush: true });
  syncDirectory(paths.content);
}

/** Content and metadata are of one store, and the content is there. Throws `SettingError`. */
export function checkStoreId(paths: DataPaths, id: string): void {
  let found: string | undefined;
  try {
    found = readFileSync(idFile(paths), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw settingError(error, paths.root);
  }
  if (found === id) return;
  const problem = found === undefined ? 'is missing: the content is not there' : 'is of another store';
  throw new SettingError('data', `${idFile(paths)} ${problem}`);
}

const problems: Readonly<Record<string, (directory: string) => string>> = {
  EACCES: (directory) => `no right to write in ${directory}`,
  EPERM: (directory) => `no right to write in ${directory}`,
  EROFS: (directory) => `no right to write in ${directory}`,
  ENOSPC: (directory) => `the disk of ${directory} is full`,
  EDQUOT: (directory) => `the disk of ${directory} is full`,
  ENOTDIR: (directory) => `${directory} is not a directory`,
  EEXIST: (directory) => `${directory} is not a directory`,
  ENOENT: (directory) => `${directory} cannot be made there`,
  ELOOP: (directory) => `${directory} is a chain of links without an end`,
  ENAMETOOLONG: () => 'the path is too long',
  ERR_INVALID_ARG_VALUE: () => 'the path has a character that no path can have',
  EBUSY: (directory) => `another server is running on ${directory}, or another process has its metadata open`,
};

/** What a file operation says about the directory that was set. */
export function settingError(error: unknown, directory: string): SettingError {
  if (error instanceof SettingError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const problem = problems[code]?.(directory) ?? `${directory} cannot be used: ${message.split('\n', 1)[0]}`;
  return new SettingError('data', problem, { cause: error });
}

export interface DirectoryLock {
  release(): void;
}

/**
 * Undefined if another process holds it. The kernel gives it up when its process ends, however that happens. A lock file
 * can be removed: then the lock on the metadata file itself still keeps others out (`keepOthersOut` of sqlite-file.ts).
 */
export function lockDirectory(paths: DataPaths): DirectoryLock | undefined {
  let db: DatabaseSync | undefined;
  try {
    // A lock of SQLite's is the one file lock that Node offers.
    db = new DatabaseSync(paths.lock, { timeout: 0 });
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE');
    const held = db;
    return { release: () => held.close() };
  } catch (error) {
    db?.close();
    // SQLITE_BUSY
    if (((error as { errcode?: number }).errcode ?? 0) % 256 === 5) return undefined;
    if ((error as { errcode?: number }).errcode === 13)
      throw new SettingError('data', `the disk of ${paths.root} is full`);
    throw settingError(error, paths.root);
  }
}

const watchMs = 500;

/** Calls `onLost` with the path, once, when a name does not lead any more to what this server opened there. */
export function watchDirectory(paths: DataPaths, onLost: (path: string) => void): () => void {
  const names = [paths.root, paths.lock, dirname(paths.metadata), paths.metadata, paths.content, idFile(paths)];
  const files = new FileIdentities(names);
  const timer = setInterval(() => {
    const lost = files.lost();
    if (lost === undefined) return;
    clearInterval(timer);
    onLost(lost);
  }, watchMs).unref();
  return () => clearInterval(timer);
}
