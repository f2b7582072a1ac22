// Keys as strings that hash fast and compare in key order, and sets of key ranges over them.
import type { Key } from './engine.ts';

/** One character a byte (latin1), so that `<` on ids is the order of the keys. */
export type KeyId = string;

export function idOf(key: Key): KeyId {
  const bytes = Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  return bytes.toString('latin1');
}

export function keyOf(id: KeyId): Key {
  return Buffer.from(id, 'latin1');
}

/** The first id after `id`. */
export function successor(id: KeyId): KeyId {
  return `${id}\0`;
}

/** The first place in a sorted list whose id is not below `id`. */
export function lowerBound(sorted: readonly KeyId[], id: KeyId): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as KeyId) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first place in a sorted list whose id is above `id`. */
function upperBound(sorted: readonly KeyId[], id: KeyId): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as KeyId) <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface Span {
  readonly start: KeyId;
  readonly end: KeyId;
}

/** Marked spans that never overlap: a newer one takes the place of what it covers. Every question costs a binary search. */
export class SpanMap {
  readonly #starts: KeyId[] = [];
  readonly #ends: KeyId[] = [];
  readonly #marks: number[] = [];

  get size(): number {
    return this.#starts.length;
  }

  set(start: KeyId, end: KeyId, mark: number): void {
    if (start >= end) return;
    const from = upperBound(this.#ends, start);
    const to = Math.max(from, lowerBound(this.#starts, end));
    if (from === to) {
      this.#starts.splice(from, 0, start);
      this.#ends.splice(from, 0, end);
      this.#marks.splice(from, 0, mark);
    } else {
      const starts = [start];
      const ends = [end];
      const marks = [mark];
      const first = this.#starts[from] as KeyId;
      if (first < start) {
        starts.unshift(first);
        ends.unshift(start);
        marks.unshift(this.#marks[from] as number);
      }
      const last = this.#ends[to - 1] as KeyId;
      if (last > end) {
        starts.push(end);
        ends.push(last);
        marks.push(this.#marks[to - 1] as number);
      }
      this.#starts.splice(from, to - from, ...starts);
      this.#ends.splice(from, to - from, ...ends);
      this.#marks.splice(from, to - from, ...marks);
    }
  }

  /** The mark of the span that holds `id`. */
  at(id: KeyId): number | undefined {
    const place = upperBound(this.#ends, id);
    return place < this.size && (this.#starts[place] as KeyId) <= id ? this.#marks[place] : undefined;
  }

  /** The highest mark of the spans that share a key with `start` to `end`. */
  highestIn(start: KeyId, end: KeyId): number | undefined {
    let highest: number | undefined;
    if (start >= end) return highest;
    for (let place = upperBound(this.#ends, start); place < this.size; place += 1) {
      if ((this.#starts[place] as KeyId) >= end) break;
      const mark = this.#marks[place] as number;
      if (highest === undefined || mark > highest) highest = mark;
    }
    return highest;
  }

  /** What of `start` to `end` no span covers, in order. */
  gaps(start: KeyId, end: KeyId): Span[] {
    const gaps: Span[] = [];
    let from = start;
    for (let place = upperBound(this.#ends, start); place < this.size; place += 1) {
      const next = this.#starts[place] as KeyId;
      if (next >= end) break;
      if (from < next) gaps.push({ start: from, end: next });
      from = this.#ends[place] as KeyId;
    }
    if (from < end) gaps.push({ start: from, end });
    return gaps;
  }
}
