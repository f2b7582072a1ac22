// The seam for metadata: an ordered, transactional key-value store, and what every engine promises.

/** Keys are compared as unsigned bytes. At most `keyBytesMax` long, never empty. */
export type Key = Uint8Array;
export type Value = Uint8Array;

export const keyBytesMax = 8 * 1024;
export const valueBytesMax = 64 * 1024 * 1024;

/** What an engine may give at once or later; nothing above the seam may assume that it is at once: always `await`. */
export type Awaitable<T> = T | Promise<T>;

/** The keys from `start` (inclusive) to `end` (exclusive). */
export interface Range {
  readonly start: Key;
  readonly end: Key;
}

export interface Item {
  readonly key: Key;
  readonly value: Value;
}

export interface ScanOptions {
  /** How many items at the most; an integer from 1. */
  readonly limit: number;
  /** From the end of the range downwards. */
  readonly reverse?: boolean;
}

/** A consistent, unchanging picture of the store: everything that was durable when it was taken, and nothing later. */
export interface View {
  get(key: Key): Awaitable<Value | undefined>;
  /** One answer a key, in the order of the keys. */
  getMany(keys: readonly Key[]): Awaitable<(Value | undefined)[]>;
  /** In key order (`reverse`: downwards). */
  scan(range: Range, options: ScanOptions): Awaitable<Item[]>;
}

/** A key whose last `stampBytes` bytes the engine fills in at commit: see `Txn.stamp`. */
export class StampedKey {
  readonly prefix: Key;
  constructor(prefix: Key) {
    this.prefix = prefix;
  }
}

/** A stamp is a commit number (u64, big endian) and the place within its transaction (u32, big endian). */
export const stampBytes = 12;

/** Reads see the transaction's own writes, but for `add` and stamped keys. Nothing is visible to others until it is durable. */
export interface Txn extends View {
  put(key: Key | StampedKey, value: Value): void;
  delete(key: Key): void;
  deleteRange(range: Range): void;
  /**
   * Adds to a signed 64-bit counter (absent is 0) without reading it, so that two adders never conflict; a counter that
   * comes to 0 stays. With `max`, the whole transaction fails with `CounterLimitError` if the sum would be above it.
   * Read a counter with `get` and `decodeCounter`.
   */
  add(key: Key, delta: bigint, max?: bigint): void;
  /** The last that is done with it: nothing of what it would write is written. */
  abandon(): void;
  /**
   * A key under `prefix` that sorts after every stamped key of that prefix which committed before. `committed` is told
   * the whole key when the transaction is durable, before `transact` resolves; never if it does not commit.
   */
  stamp(prefix: Key, committed?: (key: Key) => void): StampedKey;
}

export interface Engine extends AsyncDisposable {
  /** What a snapshot that reads this one key would read; at once where the engine can. */
  get(key: Key): Awaitable<Value | undefined>;
  /** Reads from one consistent picture, at least as new as every transaction acknowledged before the call. */
  snapshot<T>(work: (view: View) => Awaitable<T>): Promise<T>;
  /**
   * Strictly serializable. Resolves when the commit is durable. `work` may be run again after a conflict, so it must do
   * nothing but read and write through its transaction; if it throws, nothing is written and the error is passed on.
   */
  transact<T>(work: (txn: Txn) => Awaitable<T>): Promise<T>;
}

/** A stored record or file is not what was written: it is refused, never served. */
export class DamageError extends Error {
  readonly code = 'DAMAGED';
}

/** `add` with a `max` would have passed it; nothing of the transaction was written. */
export class CounterLimitError extends Error {
  readonly code = 'COUNTER_LIMIT';
  readonly key: Key;
  constructor(key: Key) {
    super('a counter would pass its limit');
    this.key = key;
  }
}

/** A transaction met conflicts (or a full queue) for too long; nothing was written, and it may be tried again. */
export class ContentionError extends Error {
  readonly code = 'CONTENDED';
}

/** The disk has no room (or the engine is stopping): nothing was written. */
export class UnavailableError extends Error {
  readonly code = 'UNAVAILABLE';
}

/**
 * The transaction may be durable, or become so, or not: it must not be run again, and nobody may be told that nothing was
 * written. What it would have named must stay as it is.
 */
export class OutcomeUnknownError extends Error {
  readonly code = 'OUTCOME_UNKNOWN';
}

export function encodeCounter(value: bigint): Value {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

export function decodeCounter(value: Value | undefined): bigint {
  if (value === undefined) return 0n;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).readBigInt64BE();
}
