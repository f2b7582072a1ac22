// The SQLite files of a server as one thing: verified when they are opened, checkpointed under page checksums, closed whole.
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { DamageError } from './engine.ts';
import { PageSums, readSums, sumsOfDatabase, verifyDatabase, writeSums } from './page-sums.ts';
import { SqliteCommitter } from './sqlite-committer.ts';
import { damageOf, openWriter, pageBytes } from './sqlite-file.ts';
import { checkWal } from './wal-check.ts';

export interface SqliteStoreOptions {
  readonly path: string;
  readonly cacheBytes: number;
  readonly queueBytesMax: number;
  /** The log is taken into the main file when it has grown by this much. */
  readonly checkpointBytes: number;
  readonly onBroken: (error: Error) => void;
}

const makeRoomIntervalMs = 250;

export class SqliteStore {
  readonly committer: SqliteCommitter;
  readonly #options: SqliteStoreOptions;
  readonly #sums: PageSums;
  #index: number | undefined;
  #checkpointAtFrames: number;
  #makeRoomFromMs = 0;

  /** Throws `DamageError` if the files are not what was written. One process at a time opens a store. */
  constructor(options: SqliteStoreOptions) {
    const { path, cacheBytes, queueBytesMax, onBroken } = options;
    this.#options = options;
    this.#checkpointAtFrames = Math.ceil(options.checkpointBytes / pageBytes);
    if (existsSync(path)) verifyFiles(path, cacheBytes);
    else create(path, cacheBytes);
    const sums = readSums(path);
    if (sums.kind !== 'sums') throw new DamageError('the page checksums of the metadata cannot be read');
    this.#sums = new PageSums(sums.sums);
    this.committer = new SqliteCommitter({
      path,
      cacheBytes,
      queueBytesMax,
      onBroken,
      onGroup: () => this.#afterGroup(),
      onFull: () => this.#makeRoom(),
    });
  }

  /** Commits what waits, takes the whole log into the main file, and closes. Readers should be closed before. */
  close(): void {
    this.committer.finish();
    const isTakenUp = this.#checkpoint('TRUNCATE');
    if (this.#index !== undefined) closeSync(this.#index);
    if (isTakenUp) this.committer.close();
    else leftOpen.add(this.committer);
  }

  #afterGroup(): void {
    if (this.#walFrames() >= this.#checkpointAtFrames) this.#checkpoint('PASSIVE');
  }

  // A log that is in the main file whole begins again in the room that it has: deletes and reclaim can go on.
  #makeRoom(): void {
    const nowMs = performance.now();
    if (nowMs < this.#makeRoomFromMs) return;
    this.#checkpoint('PASSIVE');
    // Each time the whole log is read; and a reader that was in its way is gone a moment later.
    this.#makeRoomFromMs = performance.now() + makeRoomIntervalMs;
  }

  // The sums of all pages in the log are durable before one of them goes to the main file: see page-sums.ts. False where
  // the disk has no room for them or for new pages: the log is as it was, and is taken up when there is some.
  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): boolean {
    const { path, checkpointBytes } = this.#options;
    const stepFrames = Math.ceil(checkpointBytes / pageBytes);
    try {
      if (this.#sums.applyWal(path).kind === 'damaged')
        throw new DamageError('the metadata log was damaged while it was in use');
      const row = this.committer.db.prepare(`PRAGMA wal_checkpoint(${mode})`).get() as {
        log: number;
        checkpointed: number;
      };
      // A log that is in the main file whole begins again with the next write; one that a reader held up goes on.
      const goesOn = row.checkpointed < row.log ? row.log : 0;
      this.#checkpointAtFrames = goesOn + stepFrames;
      return true;
    } catch (error) {
      const { code } = damageOf(error) as NodeJS.ErrnoException;
      if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
      this.#checkpointAtFrames = this.#walFrames() + Math.ceil(stepFrames / 8);
      return false;
    }
  }

  /** Frames in the log: `mxFrame` of the index's header (sqlite.org/walformat.html, 2.1), in the machine's byte order. */
  #walFrames(): number {
    this.#index ??= openSync(`${this.#options.path}-shm`, 'r');
    const header = new Uint32Array(5);
    readSync(this.#index, header, 0, 20, 0);
    return header[4] as number;
  }
}

/**
 * The last connection of a SQLite file takes up the log when it is closed, also when nobody holds it any more. Where the
 * sums of that could not be written, it stays open until the process ends, and the log is found by the next start.
 */
const leftOpen = new Set<SqliteCommitter>();

function create(path: string, cacheBytes: number): void {
  openWriter(path, cacheBytes).close();
  writeSums(path, sumsOfDatabase(path));
}

function verifyFiles(path: string, cacheBytes: number): void {
  const wal = checkWal(path);
  if (wal.kind === 'damaged') {
    throw new DamageError(
      `the metadata log is damaged at byte ${wal.offset}, before transactions that were acknowledged`,
    );
  }
  const sums = readSums(path);
  if (sums.kind === 'damaged') throw new DamageError('the page checksums of the metadata are damaged');
  if (sums.kind === 'absent') {
    // Only a store that was never used can be without them: a crash while it was made.
    const db = openWriter(path, cacheBytes);
    const { seq } = db.prepare('SELECT seq FROM state WHERE id = 1').get() as { seq: number };
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    db.close();
    if (seq !== 0) throw new DamageError('the page checksums of the metadata are missing');
    writeSums(path, sumsOfDatabase(path));
    return;
  }
  const found = verifyDatabase(path, sums.sums, new Set(wal.pages.keys()));
  if (found.kind === 'damaged') throw new DamageError(`page ${found.page} of the metadata file is damaged`);
}
