// The SQLite files of a server as one thing: verified when they are opened, checkpointed under page checksums, closed whole.
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { DamageError } from './engine.ts';
import { PageSums, readSums, sumsOfDatabase, verifyDatabase, writeSums } from './page-sums.ts';
import { SqliteCommitter } from './sqlite-committer.ts';
import { openWriter, pageBytes } from './sqlite-file.ts';
import { checkWal } from './wal-check.ts';

export interface SqliteStoreOptions {
  readonly path: string;
  readonly cacheBytes: number;
  readonly queueBytesMax: number;
  /** The log is taken into the main file when it has grown by this much. */
  readonly checkpointBytes: number;
  readonly onBroken: (error: Error) => void;
}

export class SqliteStore {
  readonly committer: SqliteCommitter;
  readonly #options: SqliteStoreOptions;
  readonly #sums: PageSums;
  #index: number | undefined;
  #checkpointAtFrames: number;

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
    });
  }

  /** Commits what waits, takes the whole log into the main file, and closes. Readers should be closed before. */
  close(): void {
    this.committer.finish();
    this.#checkpoint('TRUNCATE');
    if (this.#index !== undefined) closeSync(this.#index);
    this.committer.close();
  }

  #afterGroup(): void {
    if (this.#walFrames() >= this.#checkpointAtFrames) this.#checkpoint('PASSIVE');
  }

  // The sums of all pages in the log are durable before one of them goes to the main file: see page-sums.ts.
  #checkpoint(mode: 'PASSIVE' | 'TRUNCATE'): void {
    const { path, checkpointBytes } = this.#options;
    if (this.#sums.applyWal(path).kind === 'damaged')
      throw new DamageError('the metadata log was damaged while it was in use');
    const row = this.committer.db.prepare(`PRAGMA wal_checkpoint(${mode})`).get() as {
      log: number;
      checkpointed: number;
    };
    // A log that is in the main file whole begins again with the next write; one that a reader held up goes on.
    const goesOn = row.checkpointed < row.log ? row.log : 0;
    this.#checkpointAtFrames = goesOn + Math.ceil(checkpointBytes / pageBytes);
  }

  /** Frames in the log: `mxFrame` of the index's header (sqlite.org/walformat.html, 2.1), in the machine's byte order. */
  #walFrames(): number {
    this.#index ??= openSync(`${this.#options.path}-shm`, 'r');
    const header = new Uint32Array(5);
    readSync(this.#index, header, 0, 20, 0);
    return header[4] as number;
  }
}

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
