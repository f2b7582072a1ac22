// The check of a transaction at its commit: which keys and ranges the last commits wrote.
import { idOf, type KeyId, lowerBound, type Span, SpanMap } from './byte-order.ts';
import type { Key, Range } from './engine.ts';
import { type Op, stampKey } from './read-set.ts';

/** The writes of a run of commits. */
class Generation {
  readonly firstSeq: number;
  lastSeq: number;
  readonly #points = new Map<KeyId, number>();
  readonly #sorted: KeyId[] = [];
  readonly #deleted = new SpanMap();

  constructor(seq: number) {
    this.firstSeq = seq;
    this.lastSeq = seq;
  }

  get writes(): number {
    return this.#points.size + this.#deleted.size;
  }

  write(key: Key, seq: number): void {
    const id = idOf(key);
    if (!this.#points.has(id)) this.#sorted.splice(lowerBound(this.#sorted, id), 0, id);
    this.#points.set(id, seq);
  }

  deleteRange(range: Range, seq: number): void {
    this.#deleted.set(idOf(range.start), idOf(range.end), seq);
  }

  wroteAfter(seq: number, id: KeyId): boolean {
    const point = this.#points.get(id);
    if (point !== undefined && point > seq) return true;
    if (this.#deleted.size === 0) return false;
    const range = this.#deleted.at(id);
    return range !== undefined && range > seq;
  }

  wroteInAfter(seq: number, { start, end }: Span): boolean {
    for (let place = lowerBound(this.#sorted, start); place < this.#sorted.length; place += 1) {
      const id = this.#sorted[place] as KeyId;
      if (id >= end) break;
      if (this.firstSeq > seq || (this.#points.get(id) as number) > seq) return true;
    }
    const range = this.#deleted.highestIn(start, end);
    return range !== undefined && range > seq;
  }
}

export interface RecentWritesOptions {
  /** The last commit that is not in the window: of an engine just opened, its last commit. */
  readonly after: number;
  /** About how many writes the window holds before the oldest are forgotten. */
  readonly writesMax?: number;
}

/** How many writes a generation takes: it is a plain sorted array, so an insert moves at most this many places. */
const generationWritesMax = 1024;

/**
 * The keys that the last commits wrote, to tell whether what a transaction read has changed since. Kept in generations,
 * so that forgetting costs nothing and a recent picture is checked against the newest few hundred writes only.
 */
export class RecentWrites {
  readonly #generationsMax: number;
  /** Newest last. */
  readonly #generations: Generation[] = [];
  #lastSeq: number;
  #floor: number;

  constructor(options: RecentWritesOptions) {
    this.#generationsMax = Math.max(2, Math.ceil((options.writesMax ?? 65_536) / generationWritesMax));
    this.#lastSeq = options.after;
    this.#floor = options.after;
  }

  /** Records the writes of commit `seq`. Numbers rise, and may skip (a group that failed to reach the disk keeps its own). */
  note(seq: number, ops: readonly Op[]): void {
    if (seq <= this.#lastSeq) throw new Error(`commit ${seq} noted after ${this.#lastSeq}`);
    this.#lastSeq = seq;
    for (const op of ops) {
      const generation = this.#room(seq);
      if (op.kind === 'deleteRange') generation.deleteRange(op.range, seq);
      else generation.write(op.kind === 'putStamped' ? stampKey(op.prefix, seq, op.place) : op.key, seq);
    }
  }

  /** Where the next write goes; the oldest generation makes way. */
  #room(seq: number): Generation {
    let generation = this.#generations.at(-1);
    if (generation === undefined || generation.writes >= generationWritesMax) {
      generation = new Generation(seq);
      this.#generations.push(generation);
      if (this.#generations.length > this.#generationsMax) {
        this.#floor = (this.#generations.shift() as Generation).lastSeq;
      }
    }
    generation.lastSeq = seq;
    return generation;
  }

  /** Whether a commit after `snapshotSeq` wrote what was read; `too-old` when the window no longer reaches back so far. */
  conflicts(snapshotSeq: number, reads: readonly Key[], ranges: readonly Range[]): boolean | 'too-old' {
    if (snapshotSeq >= this.#lastSeq || (reads.length === 0 && ranges.length === 0)) return false;
    if (snapshotSeq < this.#floor) return 'too-old';
    const newest = this.#generations.length - 1;
    const ids = reads.map(idOf);
    const spans = ranges.map((range) => ({ start: idOf(range.start), end: idOf(range.end) }));
    for (let place = newest; place >= 0; place -= 1) {
      const generation = this.#generations[place] as Generation;
      if (generation.lastSeq <= snapshotSeq) break;
      for (const id of ids) if (generation.wroteAfter(snapshotSeq, id)) return true;
      for (const span of spans) if (generation.wroteInAfter(snapshotSeq, span)) return true;
    }
    return false;
  }
}
