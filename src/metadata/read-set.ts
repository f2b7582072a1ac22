// What an optimistic transaction collects: its writes in order, and the keys and ranges it read. See recent-writes.ts.
import { idOf, type KeyId, keyOf, type Span, SpanMap, successor } from './byte-order.ts';
import {
  type Awaitable,
  CounterLimitError,
  decodeCounter,
  encodeCounter,
  type Item,
  type Key,
  keyBytesMax,
  type Range,
  type ScanOptions,
  StampedKey,
  stampBytes,
  type Txn,
  type Value,
  type View,
  valueBytesMax,
} from './engine.ts';

/** A write, as plain data that can cross to another process. A transaction's ops take effect in their order. */
export type Op =
  | { readonly kind: 'put'; readonly key: Key; readonly value: Value }
  | { readonly kind: 'delete'; readonly key: Key }
  | { readonly kind: 'deleteRange'; readonly range: Range }
  | { readonly kind: 'add'; readonly key: Key; readonly delta: bigint; readonly max?: bigint }
  | { readonly kind: 'putStamped'; readonly prefix: Key; readonly place: number; readonly value: Value };

/** All that a committer needs to know of a transaction, next to the commit number of the picture it read. */
export interface Footprint {
  readonly reads: readonly Key[];
  readonly ranges: readonly Range[];
  readonly ops: readonly Op[];
}

/** The key that a `putStamped` gets when its transaction is commit number `seq`. */
export function stampKey(prefix: Key, seq: number, place: number): Key {
  const key = Buffer.allocUnsafe(prefix.length + stampBytes);
  key.set(prefix);
  key.writeUInt32BE(Math.floor(seq / 2 ** 32), prefix.length);
  key.writeUInt32BE(seq >>> 0, prefix.length + 4);
  key.writeUInt32BE(place, prefix.length + 8);
  return key;
}

/** What a counter holds after an `add`; throws `CounterLimitError` past `max` or past 64 bits. */
export function addToCounter(current: Value | undefined, op: Extract<Op, { kind: 'add' }>): Value {
  if (current !== undefined && current.length !== 8) throw new TypeError('add to a key that holds no counter');
  const sum = decodeCounter(current) + op.delta;
  if ((op.max !== undefined && sum > op.max) || sum !== BigInt.asIntN(64, sum)) throw new CounterLimitError(op.key);
  return encodeCounter(sum);
}

function checkKey(key: Key): void {
  if (key.length === 0) throw new RangeError('a key must not be empty');
  if (isTooLong(key)) throw new RangeError(`a key of ${key.length} bytes is above the limit of ${keyBytesMax}`);
}

/** No such key is ever written: to read it finds nothing. Names that are asked for may be of any length. */
function isTooLong(key: Key): boolean {
  return key.length > keyBytesMax;
}

/** A bound may be empty (the start of everything), or one byte longer than a key (the successor of the longest). */
function checkRange(range: Range): void {
  const longest = Math.max(range.start.length, range.end.length);
  if (longest > keyBytesMax + 1) throw new RangeError(`a range bound of ${longest} bytes is above the limit`);
}

/** The same keys lie between these bounds, which are not longer than it takes to tell them apart. */
function checkScan({ start, end }: Range, { limit }: ScanOptions): Range {
  if (!Number.isSafeInteger(limit) || limit < 1) throw new RangeError('a scan limit must be from 1');
  return { start: start.subarray(0, keyBytesMax + 1), end: end.subarray(0, keyBytesMax + 1) };
}

function checkValue(value: Value): void {
  if (value.length > valueBytesMax) {
    throw new RangeError(`a value of ${value.length} bytes is above the limit of ${valueBytesMax}`);
  }
}

/** A view that refuses arguments outside the contract, and every use after `end`. */
export class BoundView implements View {
  readonly #base: View;
  #ended = false;

  constructor(base: View) {
    this.#base = base;
  }

  get(key: Key): Awaitable<Value | undefined> {
    this.#live();
    if (isTooLong(key)) return undefined;
    checkKey(key);
    return this.#base.get(key);
  }

  getMany(keys: readonly Key[]): Awaitable<(Value | undefined)[]> {
    this.#live();
    if (keys.some(isTooLong)) return Promise.all(keys.map((key) => this.get(key)));
    for (const key of keys) checkKey(key);
    return this.#base.getMany(keys);
  }

  scan(range: Range, options: ScanOptions): Awaitable<Item[]> {
    this.#live();
    return this.#base.scan(checkScan(range, options), options);
  }

  end(): void {
    this.#ended = true;
  }

  #live(): void {
    if (this.#ended) throw new Error('this view has ended');
  }
}

/** A key's own last write; without a value it is a delete. */
interface OwnWrite {
  readonly id: KeyId;
  readonly key: Key;
  readonly value: Value | undefined;
}

/**
 * A transaction over a picture (`base`): buffers writes, lays them over reads, and records what it took from the picture.
 * Keys and values are kept, not copied: they belong to the transaction once given.
 */
export class TxnBuffer implements Txn {
  readonly #base: View;
  readonly #ops: Op[] = [];
  readonly #reads = new Map<KeyId, Key>();
  readonly #ranges: Span[] = [];
  readonly #own = new Map<KeyId, OwnWrite>();
  /** The keys that have been deleted by range; `#own` stands above it. */
  readonly #deleted = new SpanMap();
  readonly #places = new Map<StampedKey, number>();
  /** Who is to be told of a stamped key. */
  #told: { readonly key: StampedKey; readonly tell: (key: Key) => void }[] | undefined;
  #sorted: readonly OwnWrite[] | undefined;
  #ended = false;

  constructor(base: View) {
    this.#base = base;
  }

  get(key: Key): Awaitable<Value | undefined> {
    this.#live();
    if (isTooLong(key)) return undefined;
    checkKey(key);
    const id = idOf(key);
    if (this.#knows(id)) return this.#own.get(id)?.value;
    this.#reads.set(id, key);
    return this.#base.get(key);
  }

  getMany(keys: readonly Key[]): Awaitable<(Value | undefined)[]> {
    this.#live();
    if (keys.some(isTooLong)) return Promise.all(keys.map((key) => this.get(key)));
    const values: (Value | undefined)[] = [];
    const places: number[] = [];
    const missing: Key[] = [];
    for (const [place, key] of keys.entries()) {
      checkKey(key);
      const id = idOf(key);
      values.push(undefined);
      if (this.#knows(id)) {
        values[place] = this.#own.get(id)?.value;
      } else {
        this.#reads.set(id, key);
        places.push(place);
        missing.push(key);
      }
    }
    if (missing.length === 0) return values;
    const found = this.#base.getMany(missing);
    if (missing.length === keys.length) return found;
    return then(found, (base) => {
      for (const [index, place] of places.entries()) values[place] = base[index];
      return values;
    });
  }

  scan(asked: Range, options: ScanOptions): Awaitable<Item[]> {
    this.#live();
    const range = checkScan(asked, options);
    const start = idOf(range.start);
    const end = idOf(range.end);
    if (start >= end) return [];
    const reverse = options.reverse === true;
    const own = this.#ownIn(start, end);
    const gaps = this.#deleted.gaps(start, end);
    const plain = own.length === 0 && this.#deleted.size === 0;
    const items = plain ? this.#base.scan(range, options) : this.#merge(own, gaps, options.limit, reverse);
    return then(items, (found) => {
      const last = found.length === options.limit ? idOf((found.at(-1) as Item).key) : undefined;
      for (const gap of gaps) this.#noteRange(cut(gap, last, reverse));
      return found;
    });
  }

  put(key: Key | StampedKey, value: Value): void {
    this.#live();
    checkValue(value);
    if (key instanceof StampedKey) {
      this.#ops.push({ kind: 'putStamped', prefix: key.prefix, place: this.#place(key), value });
      return;
    }
    checkKey(key);
    this.#ops.push({ kind: 'put', key, value });
    this.#setOwn(key, value);
  }

  abandon(): void {
    this.#live();
    this.#ops.length = 0;
    this.#told = undefined;
  }

  delete(key: Key): void {
    this.#live();
    checkKey(key);
    this.#ops.push({ kind: 'delete', key });
    this.#setOwn(key, undefined);
  }

  deleteRange(range: Range): void {
    this.#live();
    checkRange(range);
    const start = idOf(range.start);
    const end = idOf(range.end);
    if (start >= end) return;
    this.#ops.push({ kind: 'deleteRange', range });
    for (const write of this.#ownIn(start, end)) this.#own.delete(write.id);
    this.#sorted = undefined;
    this.#deleted.set(start, end, 0);
  }

  add(key: Key, delta: bigint, max?: bigint): void {
    this.#live();
    checkKey(key);
    this.#ops.push(max === undefined ? { kind: 'add', key, delta } : { kind: 'add', key, delta, max });
  }

  stamp(prefix: Key, committed?: (key: Key) => void): StampedKey {
    this.#live();
    if (prefix.length + stampBytes > keyBytesMax) throw new RangeError('a stamped key would be above the limit');
    const key = new StampedKey(prefix);
    this.#place(key);
    if (committed !== undefined) {
      this.#told ??= [];
      this.#told.push({ key, tell: committed });
    }
    return key;
  }

  /** The transaction is durable as commit number `seq`. */
  tell(seq: number): void {
    for (const { key, tell } of this.#told ?? []) tell(stampKey(key.prefix, seq, this.#place(key)));
  }

  /** Ends the transaction: every later call throws, so that a forgotten `await` cannot escape the record. */
  finish(): Footprint {
    this.#ended = true;
    const ranges = this.#ranges.map((span) => ({ start: keyOf(span.start), end: keyOf(span.end) }));
    return { reads: [...this.#reads.values()], ranges, ops: this.#ops };
  }

  #live(): void {
    if (this.#ended) throw new Error('this transaction has ended');
  }

  /** Whether the transaction's own writes alone decide what this key holds. */
  #knows(id: KeyId): boolean {
    return this.#own.has(id) || (this.#deleted.size > 0 && this.#deleted.at(id) !== undefined);
  }

  #setOwn(key: Key, value: Value | undefined): void {
    const id = idOf(key);
    this.#own.set(id, { id, key, value });
    this.#sorted = undefined;
  }

  /** A stamped key has its place from when it was made, so that putting it twice writes it once. */
  #place(key: StampedKey): number {
    const place = this.#places.get(key) ?? this.#places.size;
    this.#places.set(key, place);
    return place;
  }

  /** The own point writes from `start` to `end` as they are now, in key order. */
  #ownIn(start: KeyId, end: KeyId): readonly OwnWrite[] {
    if (this.#own.size === 0) return [];
    this.#sorted ??= [...this.#own.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return this.#sorted.filter((write) => write.id >= start && write.id < end);
  }

  /** A scan that lays own writes over the picture; what they are was settled when the scan was called. */
  async #merge(own: readonly OwnWrite[], gaps: readonly Span[], limit: number, reverse: boolean): Promise<Item[]> {
    const writes = reverse ? own.toReversed() : own;
    const hidden = new Set(own.map((write) => write.id));
    const items: Item[] = [];
    let next = 0;
    for await (const item of this.#baseItems(reverse ? gaps.toReversed() : gaps, limit, reverse)) {
      const id = idOf(item.key);
      for (; next < writes.length; next += 1) {
        const write = writes[next] as OwnWrite;
        if (reverse ? write.id < id : write.id > id) break;
        if (write.value !== undefined) items.push({ key: write.key, value: write.value });
        if (items.length === limit) return items;
      }
      if (!hidden.has(id)) items.push(item);
      if (items.length === limit) return items;
    }
    for (const write of writes.slice(next)) {
      if (items.length === limit) break;
      if (write.value !== undefined) items.push({ key: write.key, value: write.value });
    }
    return items;
  }

  async *#baseItems(gaps: readonly Span[], limit: number, reverse: boolean): AsyncGenerator<Item> {
    for (const gap of gaps) {
      let { start, end } = gap;
      while (start < end) {
        const items = await this.#base.scan({ start: keyOf(start), end: keyOf(end) }, { limit, reverse });
        yield* items;
        if (items.length < limit) break;
        const last = idOf((items.at(-1) as Item).key);
        if (reverse) end = last;
        else start = successor(last);
      }
    }
  }

  /** Scans that page through a range leave one range, not one for each page. */
  #noteRange({ start, end }: Span): void {
    if (start >= end) return;
    const last = this.#ranges.at(-1);
    if (last === undefined || start > last.end || end < last.start) {
      this.#ranges.push({ start, end });
    } else {
      this.#ranges[this.#ranges.length - 1] = {
        start: start < last.start ? start : last.start,
        end: end > last.end ? end : last.end,
      };
    }
  }
}

/** What a scan that stopped at `last` has read of a span. */
function cut({ start, end }: Span, last: KeyId | undefined, reverse: boolean): Span {
  if (last === undefined) return { start, end };
  if (reverse) return { start: start > last ? start : last, end };
  return { start, end: end > last ? successor(last) : end };
}

function then<A, B>(value: Awaitable<A>, next: (value: A) => B): Awaitable<B> {
  return value instanceof Promise ? value.then(next) : next(value);
}
