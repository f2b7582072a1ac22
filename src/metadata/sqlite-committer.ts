// The one committer of a SQLite store: validates transactions, applies many as a group, syncs once for all of them.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { CommitOutcome, CommitRequest, Committer } from './commit.ts';
import { CounterLimitError, encodeCounter, type Key, type Range, type Value } from './engine.ts';
import { hasSteady, isSteady } from './keys.ts';
import { addToCounter, type Op, stampKey } from './read-set.ts';
import { RecentWrites } from './recent-writes.ts';
import { damageOf, openWriter, seal, unseal } from './sqlite-file.ts';

interface Waiting {
  readonly request: CommitRequest;
  readonly bytes: number;
  readonly resolve: (outcome: CommitOutcome) => void;
}

export interface SqliteCommitterOptions {
  readonly path: string;
  readonly cacheBytes: number;
  /** A transaction beyond this many waiting bytes is refused at once: the disk does not keep up. */
  readonly queueBytesMax: number;
  /**
   * Called when a group is durable, before its outcomes are told. An error says that it may not stay so: the outcomes are
   * unknown then, and nothing more is taken.
   */
  readonly onDurable?: (seq: number) => Error | undefined;
  /** Called after a group is durable, with no transaction open: the time for a checkpoint. */
  readonly onGroup?: () => void;
  /** Called after a group was refused because the disk is full, with no transaction open. */
  readonly onFull?: () => void;
  /** A commit failed in a way that leaves open what is on the disk: nothing more is taken, and the process should end. */
  readonly onBroken?: (error: Error) => void;
}

const groupTransactionsMax = 512;
const groupBytesMax = 32 * 1024 * 1024;
const conflict = { kind: 'conflict' } as const;

export class SqliteCommitter implements Committer {
  readonly notesSteady = true;
  readonly db: DatabaseSync;
  readonly #options: SqliteCommitterOptions;
  #recent: RecentWrites;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteRange: StatementSync;
  readonly #setSeq: StatementSync;
  #seq: number;
  /** The last commit of this process that wrote a steady key. */
  #steady = 0;
  #queue: Waiting[] = [];
  #queueBytes = 0;
  #scheduled = false;
  #closed = false;

  constructor(options: SqliteCommitterOptions) {
    this.#options = options;
    this.db = openWriter(options.path, options.cacheBytes);
    this.#get = this.db.prepare('SELECT v FROM kv WHERE k = ?');
    this.#get.setReturnArrays(true);
    this.#put = this.db.prepare('INSERT OR REPLACE INTO kv (k, v) VALUES (?, ?)');
    this.#delete = this.db.prepare('DELETE FROM kv WHERE k = ?');
    this.#deleteRange = this.db.prepare('DELETE FROM kv WHERE k >= ? AND k < ?');
    this.#setSeq = this.db.prepare('UPDATE state SET seq = ?, steady = max(steady, ?) WHERE id = 1');
    this.#seq = (this.db.prepare('SELECT seq FROM state WHERE id = 1').get() as { seq: number }).seq;
    this.#recent = new RecentWrites({ after: this.#seq });
  }

  get waitingBytes(): number {
    return this.#queueBytes;
  }

  commit(request: CommitRequest): Promise<CommitOutcome> {
    const bytes = bytesOf(request.ops);
    if (this.#closed) return Promise.resolve(failed('the store is closed', 'UNAVAILABLE'));
    if (this.#queueBytes + bytes > this.#options.queueBytesMax && this.#queueBytes > 0) {
      return Promise.resolve(failed('too many writes wait for the disk', 'CONTENDED'));
    }
    this.#queueBytes += bytes;
    return new Promise((resolve) => {
      this.#queue.push({ request, bytes, resolve });
      this.#schedule();
    });
  }

  /** Commits what waits, and takes nothing more. */
  finish(): void {
    while (this.#queue.length > 0) this.#commitGroup();
    this.#closed = true;
  }

  close(): void {
    this.finish();
    this.db.close();
  }

  // All that arrives in one turn of the event loop, and while the last group was synced, shares the next sync.
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#closed) return;
      this.#commitGroup();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #commitGroup(): void {
    const group = this.#takeGroup();
    if (group.length === 0) return;
    const outcomes: CommitOutcome[] = [];
    const before = this.#seq;
    let committing = false;
    try {
      this.db.exec('BEGIN IMMEDIATE');
      const counters = new GroupCounters(this.#get);
      for (const { request } of group) outcomes.push(this.#apply(request, counters));
      for (const [key, value] of counters.changed()) this.#put.run(key, seal(key, value));
      if (this.#seq !== before) this.#setSeq.run(this.#seq, this.#steady);
      committing = true;
      this.db.exec('COMMIT');
    } catch (error) {
      this.#failGroup(group, before, damageOf(error) as NodeJS.ErrnoException, committing ? outcomes : undefined);
      return;
    }
    const lost = this.#options.onDurable?.(this.#seq);
    if (lost !== undefined) {
      this.#tell(group, outcomes, unknown(lost.message));
      this.#break(lost);
      return;
    }
    this.#tell(group, outcomes);
    this.#options.onGroup?.();
  }

  /** What was refused stays so, whatever became of the others: `instead` is told to these. */
  #tell(group: readonly Waiting[], outcomes: readonly CommitOutcome[], instead?: CommitOutcome): void {
    for (const [i, { resolve }] of group.entries()) {
      const outcome = outcomes[i] as CommitOutcome;
      resolve(outcome.kind === 'committed' && instead !== undefined ? instead : outcome);
    }
  }

  /** `outcomes` are those of a group whose commit had begun. */
  #failGroup(
    group: readonly Waiting[],
    before: number,
    error: NodeJS.ErrnoException,
    outcomes: readonly CommitOutcome[] | undefined,
  ): void {
    if (this.db.isTransaction) this.db.exec('ROLLBACK');
    this.#seq = before;
    // Its number is given again, and must then be a new one.
    this.#steady = Math.min(this.#steady, before);
    this.#recent = new RecentWrites({ after: before });
    // A full disk is found while pages are written; after any other failed commit they may or may not be on the disk.
    if (outcomes !== undefined && error.code !== 'ENOSPC') {
      this.#tell(group, outcomes, unknown(error.message));
      this.#break(error);
      return;
    }
    for (const { resolve } of group) resolve(failed(error.message, error.code));
    if (error.code === 'ENOSPC') this.#options.onFull?.();
  }

  #break(error: Error): void {
    this.#closed = true;
    for (const { resolve } of this.#queue.splice(0)) resolve(failed('the store is broken', 'UNAVAILABLE'));
    this.#options.onBroken?.(error);
  }

  #takeGroup(): Waiting[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#queue.length && count < groupTransactionsMax && (count === 0 || bytes < groupBytesMax)) {
      bytes += (this.#queue[count++] as Waiting).bytes;
    }
    this.#queueBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  #apply(request: CommitRequest, counters: GroupCounters): CommitOutcome {
    if (this.#recent.conflicts(request.seq, request.reads, request.ranges) !== false) return conflict;
    // Limits are checked before the first write: a transaction that is refused leaves nothing in the group.
    const refused = counters.check(request.ops);
    if (refused !== undefined) return refused;
    this.#seq++;
    for (const op of request.ops) this.#write(op, counters);
    if (request.ops.some(writesSteady)) this.#steady = this.#seq;
    this.#recent.note(this.#seq, request.ops);
    return { kind: 'committed', seq: this.#seq };
  }

  #write(op: Op, counters: GroupCounters): void {
    switch (op.kind) {
      case 'put':
        counters.forget(op.key);
        this.#put.run(op.key, seal(op.key, op.value));
        return;
      case 'putStamped': {
        const key = stampKey(op.prefix, this.#seq, op.place);
        this.#put.run(key, seal(key, op.value));
        return;
      }
      case 'delete':
        counters.forget(op.key);
        this.#delete.run(op.key);
        return;
      case 'deleteRange':
        counters.forgetRange(op.range.start, op.range.end);
        this.#deleteRange.run(op.range.start, op.range.end);
        return;
      case 'add':
        counters.add(op);
    }
  }
}

/** The counters that a group touches: read once, written once, however many transactions add to them. */
class GroupCounters {
  readonly #get: StatementSync;
  readonly #values = new Map<string, { readonly key: Key; value: Value | undefined; changed: boolean }>();

  constructor(get: StatementSync) {
    this.#get = get;
  }

  /** Why these ops, in their order, cannot be applied: a counter would pass its limit, or is none. */
  check(ops: readonly Op[]): CommitOutcome | undefined {
    if (!ops.some((op) => op.kind === 'add')) return undefined;
    const tried = new Map<string, Value | undefined>();
    const emptied: Range[] = [];
    const counterOf = (id: string, key: Key): Value | undefined => {
      if (tried.has(id)) return tried.get(id);
      return emptied.some((range) => contains(range, key)) ? undefined : this.#load(key).value;
    };
    for (const op of ops) {
      if (op.kind === 'put') tried.set(idOf(op.key), op.value);
      else if (op.kind === 'delete') tried.set(idOf(op.key), undefined);
      else if (op.kind === 'deleteRange') {
        emptied.push(op.range);
        for (const id of tried.keys()) if (contains(op.range, Buffer.from(id, 'latin1'))) tried.delete(id);
      } else if (op.kind === 'add') {
        const id = idOf(op.key);
        try {
          tried.set(id, addToCounter(counterOf(id, op.key), op));
        } catch (error) {
          if (error instanceof CounterLimitError) return { kind: 'counter-limit', key: op.key };
          return failed((error as Error).message, undefined);
        }
      }
    }
    return undefined;
  }

  add(op: Extract<Op, { kind: 'add' }>): void {
    const counter = this.#load(op.key);
    counter.value = addToCounter(counter.value, op);
    counter.changed = true;
  }

  /** Another write of the key takes effect now; the counter begins again from it. */
  forget(key: Key): void {
    if (this.#values.size > 0) this.#values.delete(idOf(key));
  }

  forgetRange(start: Key, end: Key): void {
    for (const [id, { key }] of this.#values) if (contains({ start, end }, key)) this.#values.delete(id);
  }

  *changed(): Generator<[Key, Value]> {
    for (const { key, value, changed } of this.#values.values()) {
      if (changed) yield [key, value ?? encodeCounter(0n)];
    }
  }

  #load(key: Key): { value: Value | undefined; changed: boolean } {
    const id = idOf(key);
    let counter = this.#values.get(id);
    if (counter === undefined) {
      const row = this.#get.get(key) as unknown as [Uint8Array] | undefined;
      counter = { key, value: row && unseal(key, row[0]), changed: false };
      this.#values.set(id, counter);
    }
    return counter;
  }
}

function writesSteady(op: Op): boolean {
  if (op.kind === 'deleteRange') return hasSteady(op.range);
  return isSteady(op.kind === 'putStamped' ? op.prefix : op.key);
}

function contains(range: Range, key: Key): boolean {
  return Buffer.compare(key, range.start) >= 0 && Buffer.compare(key, range.end) < 0;
}

function idOf(key: Key): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function unknown(message: string): CommitOutcome {
  return { kind: 'unknown', message };
}

function failed(message: string, code: string | undefined): CommitOutcome {
  return { kind: 'failed', message, code };
}

function bytesOf(ops: readonly Op[]): number {
  let bytes = 64;
  for (const op of ops) {
    if (op.kind === 'put') bytes += op.key.length + op.value.length;
    else if (op.kind === 'putStamped') bytes += op.prefix.length + op.value.length;
    else bytes += 64;
  }
  return bytes;
}
