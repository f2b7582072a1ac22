// The SQLite files of a server as one thing: verified when they are opened, checkpointed under page checksums, closed whole.
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { SiblingIdentities } from '../base/file-identity.ts';
import { syncDirectory } from '../base/sync-directory.ts';
import { CommitMark, type Mark, makeMark, readMark } from './commit-mark.ts';
import { DamageError } from './engine.ts';
import { PageSums, readSums, sumsOfDatabase, verifyDatabase, writeSums } from './page-sums.ts';
import { SqliteCommitter } from './sqlite-committer.ts';
import { closeAsItIs, damageOf, keepOthersOut, openWriter, pageBytes } from './sqlite-file.ts';
import { checkWal, walPath } from './wal-check.ts';

export interface SqliteStoreOptions {
  readonly path: string;
  readonly cacheBytes: number;
  readonly queueBytesMax: number;
  /** The log is taken into the main file when it has grown by this much. */
  readonly checkpointBytes: number;
  readonly onBroken: (error: Error) => void;
  /** The store's time, which the mark keeps. */
  readonly nowMs?: () => number;
  /** Called with the id of a store that has none yet, before it is its own: other parts of the store note it too. */
  readonly onNewId?: (id: string) => void;
}

const makeRoomIntervalMs = 250;

export class SqliteStore {
  readonly committer: SqliteCommitter;
  readonly #options: SqliteStoreOptions;
  readonly #sums: PageSums;
  readonly #mark: CommitMark;
  readonly #files: SiblingIdentities;
  #index: number | undefined;
  #checkpointAtFrames: number;
  #makeRoomFromMs = 0;

  /**
   * Throws `DamageError` if the files are not what was written or some are missing, and an error with the code `EBUSY` if
   * another process has them open. One process at a time opens a store.
   */
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
      onDurable: (seq) => this.#beforeAnswers(seq),
      onGroup: () => this.#afterGroup(),
      onFull: () => this.#makeRoom(),
    });
    try {
      keepOthersOut(this.committer.db);
      const known = knownMark(path, this.committer.db);
      this.#mark = new CommitMark(path, known ?? this.#takeId());
      // With its id in the main file, no loss of other files makes it a store from before there were ids.
      if (known === undefined) this.#checkpoint('TRUNCATE');
      // Without the log what follows would be lost: from here on it must be there.
      syncDirectory(dirname(path));
      this.#mark.sync({ isOpen: true });
    } catch (error) {
      closeAsItIs(path, this.committer.db);
      throw damageOf(error);
    }
    this.#files = new SiblingIdentities([path, walPath(path), `${path}-shm`]);
  }

  get id(): string {
    return this.#mark.mark.id;
  }

  /** The store's time at its last commit. */
  get lastTimeMs(): number {
    return this.#mark.mark.timeMs;
  }

  // A store from before there were ids gets its own here too. What a crash leaves half done is done again.
  #takeId(): Mark {
    const { path, onNewId, nowMs } = this.#options;
    const { db } = this.committer;
    const id = randomBytes(16).toString('hex');
    onNewId?.(id);
    const mark = { id, isOpen: false, seq: seqOf(db), timeMs: nowMs?.() ?? 0 };
    makeMark(path, mark);
    db.prepare('INSERT INTO identity (one, id) VALUES (1, ?)').run(id);
    return mark;
  }

  /** Commits what waits, takes the whole log into the main file, and closes. Readers should be closed before. */
  close(): void {
    this.committer.finish();
    const isTakenUp = this.#checkpoint('TRUNCATE');
    if (this.#index !== undefined) closeSync(this.#index);
    if (isTakenUp) {
      this.#mark.sync({ isOpen: false });
      this.committer.close();
    } else closeAsItIs(this.#options.path, this.committer.db);
    this.#sums.close();
    this.#mark.close();
  }

  // An answer says that the commit is there to stay: not of a log that nobody will find.
  #beforeAnswers(seq: number): Error | undefined {
    const lost = this.#files.lost();
    if (lost !== undefined) return new Error(`${lost} was removed or replaced while the server ran`);
    this.#mark.note(seq, this.#options.nowMs?.() ?? 0);
    return undefined;
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
      this.#mark.sync();
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

function create(path: string, cacheBytes: number): void {
  // Its name comes before those of the other files, which without it are the remains of a store.
  closeSync(openSync(path, 'wx', 0o600));
  syncDirectory(dirname(path));
  openWriter(path, cacheBytes).close();
  writeSums(path, sumsOfDatabase(path));
}

function seqOf(db: DatabaseSync): number {
  return (db.prepare('SELECT seq FROM state WHERE id = 1').get() as { seq: number }).seq;
}

/** The mark of a store that has an id; undefined for one that has to get it. Throws `DamageError` where they do not fit. */
function knownMark(path: string, db: DatabaseSync): Mark | undefined {
  const found = readMark(path);
  const { id } = (db.prepare('SELECT id FROM identity').get() as { id: string } | undefined) ?? {};
  if (found.kind !== 'mark') {
    if (id !== undefined || found.kind === 'damaged')
      throw new DamageError(`the mark of the metadata is ${found.kind}`);
    return undefined;
  }
  const { mark } = found;
  const seq = seqOf(db);
  if (seq < mark.seq) {
    throw new DamageError(
      `the metadata ends at commit ${seq}, and commit ${mark.seq} was acknowledged: its log was removed, or is an older one`,
    );
  }
  if (id === undefined && !mark.isOpen) return undefined;
  if (id !== mark.id) throw new DamageError('the metadata file and its mark are of different stores');
  return mark;
}

function verifyFiles(path: string, cacheBytes: number): void {
  const mark = readMark(path);
  if (mark.kind === 'damaged') throw new DamageError('the mark of the metadata is damaged');
  if (mark.kind === 'mark' && mark.mark.isOpen && !existsSync(walPath(path))) {
    throw new DamageError('the metadata log is missing, and it held transactions that were acknowledged');
  }
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
    if (mark.kind === 'mark') throw new DamageError('the page checksums of the metadata are missing');
    const db = openWriter(path, cacheBytes);
    if (seqOf(db) !== 0) {
      closeAsItIs(path, db);
      throw new DamageError('the page checksums of the metadata are missing');
    }
    db.close();
    writeSums(path, sumsOfDatabase(path));
    return;
  }
  const found = verifyDatabase(path, sums.sums, new Set(wal.pages.keys()));
  if (found.kind === 'damaged') throw new DamageError(`page ${found.page} of the metadata file is damaged`);
}
