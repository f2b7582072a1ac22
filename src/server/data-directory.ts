// The data directory: its layout, and the lock that keeps a second server out.
import { accessSync, closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Config, SettingError } from '../base/config.ts';

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

/** Makes what is missing, readable by its owner only. Throws `SettingError`. */
export function prepareDirectory(paths: DataPaths): void {
  process.umask(0o077);
  try {
    for (const directory of [paths.root, dirname(paths.metadata), paths.content]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
      // The names must be there after a power cut, or all that is below them is lost.
      syncDirectory(dirname(directory));
    }
  } catch (error) {
    throw settingError(error, paths.root);
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function requireDirectory(paths: DataPaths): void {
  process.umask(0o077);
  if (!existsSync(paths.metadata) || !statSync(paths.metadata).isFile()) {
    throw new SettingError('data', `no data of Causeway in ${paths.root}`);
  }
}

/** What a file operation says about the directory that was set. */
export function settingError(error: unknown, directory: string): SettingError {
  const { code, message } = error as NodeJS.ErrnoException;
  const problem =
    code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
      ? `no right to write in ${directory}`
      : code === 'ENOSPC' || code === 'EDQUOT'
        ? `the disk of ${directory} is full`
        : code === 'ENOTDIR' || code === 'EEXIST'
          ? `${directory} is not a directory`
          : message;
  return new SettingError('data', problem, { cause: error });
}

export interface DirectoryLock {
  release(): void;
}

/** Undefined if another process holds it. The kernel gives it up when its process ends, however that happens. */
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
