// The `memory` engine: for tests and the simulation, with commits that can be held, failed, or lost in a crash.
import type { Random } from '../base/random.ts';
import { unreachable } from '../base/unreachable.ts';
import {
  type Awaitable,
  ContentionError,
  type Engine,
  type Item,
  type Key,
  type Range,
  type ScanOptions,
  type Txn,
  UnavailableError,
  type Value,
  type View,
} from './engine.ts';
import { PersistentMap } from './persistent-map.ts';
import { addToCounter, BoundView, type Footprint, type Op, stampKey, TxnBuffer } from './read-set.ts';
import { RecentWrites } from './recent-writes.ts';

export interface MemoryEngineOptions {
  /** Makes a group durable; what it carries is neither visible nor acknowledged before. If it throws, nothing landed. */
  readonly flush?: () => Promise<void>;
  /** Lets some reads resolve later, so that nobody comes to rely on reads that are done at once. */
  readonly asyncReads?: Random;
  /** How often a transaction that meets conflicts is run. */
  readonly attemptsMax?: number;
  /** How many transactions may wait for their group. */
  readonly queueMax?: number;
}

/** A picture, and the number of the last commit in it. */
interface State {
  readonly map: PersistentMap;
  readonly seq: number;
}

interface Pending {
  readonly snapshotSeq: number;
  readonly footprint: Footprint;
  /** With the commit number. */
  resolve(outcome: number | 'conflict'): void;
  reject(error: unknown): void;
}

export class MemoryEngine implements Engine {
  readonly #options: MemoryEngineOptions;
  readonly #recent: RecentWrites;
  readonly #active = new Set<Promise<unknown>>();
  /** What is durable: all that anybody sees. */
  #durable: State;
  /** The last commit number given out. */
  #lastSeq: number;
  #queue: Pending[] = [];
  /** The group that is being flushed, and the state that it makes. */
  #flushing: { readonly group: readonly Pending[]; readonly state: State } | undefined;
  #committing = false;
  #stage: 'open' | 'closing' | 'crashed' = 'open';

  constructor(options: MemoryEngineOptions = {}, state: State = { map: new PersistentMap(), seq: 0 }) {
    this.#options = options;
    this.#durable = state;
    this.#lastSeq = state.seq;
    this.#recent = new RecentWrites({ after: state.seq });
  }

  get(key: Key): Promise<Value | undefined> {
    return this.snapshot((view) => view.get(key));
  }

  snapshot<T>(work: (view: View) => Awaitable<T>): Promise<T> {
    return this.#run(async () => {
      const view = new BoundView(this.#viewOf(this.#durable.map));
      try {
        return await work(view);
      } finally {
        view.end();
      }
    });
  }

  transact<T>(work: (txn: Txn) => Awaitable<T>): Promise<T> {
    return this.#run(async () => {
      const attemptsMax = this.#options.attemptsMax ?? 256;
      for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
        const { map, seq } = this.#durable;
        const txn = new TxnBuffer(this.#viewOf(map));
        let result: T;
        let footprint: Footprint;
        try {
          result = await work(txn);
        } finally {
          footprint = txn.finish();
        }
        if (footprint.ops.length === 0) return result;
        const outcome = await this.#commit(seq, footprint);
        if (outcome !== 'conflict') {
          txn.tell(outcome);
          return result;
        }
      }
      throw new ContentionError(`a transaction met conflicts ${attemptsMax} times`);
    });
  }

  /** Later calls are rejected; resolves when those under way are done. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stage === 'open') this.#stage = 'closing';
    await Promise.allSettled(this.#active);
  }

  /**
   * Stops as a power loss does: everything under way and later is rejected. The new engine holds all that was
   * acknowledged; of the group that was being flushed, all or nothing, as `random` decides.
   */
  crash(random: Random, options: MemoryEngineOptions = this.#options): MemoryEngine {
    this.#stage = 'crashed';
    const flushing = this.#flushing;
    const landed = flushing !== undefined && random.below(2) === 1;
    for (const pending of [...(flushing?.group ?? []), ...this.#queue]) pending.reject(this.#gone());
    this.#flushing = undefined;
    this.#queue = [];
    return new MemoryEngine(options, landed ? flushing.state : this.#durable);
  }

  #gone(): UnavailableError {
    return new UnavailableError(this.#stage === 'crashed' ? 'the engine has crashed' : 'the engine is closed');
  }

  #run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#stage !== 'open') return Promise.reject(this.#gone());
    const running = task().then((result) => {
      if (this.#stage === 'crashed') throw this.#gone();
      return result;
    });
    this.#active.add(running);
    const done = () => this.#active.delete(running);
    running.then(done, done);
    return running;
  }

  #viewOf(map: PersistentMap): View {
    const give = <T>(value: T): Awaitable<T> => {
      if (this.#stage === 'crashed') throw this.#gone();
      const hops = this.#options.asyncReads?.below(5) ?? 0;
      return hops === 0 ? value : later(value, hops);
    };
    return {
      get: (key: Key) => give(map.get(key)),
      getMany: (keys: readonly Key[]) => give(keys.map((key) => map.get(key))),
      scan: (range: Range, options: ScanOptions) =>
        give<Item[]>(map.scan(range.start, range.end, options.limit, options.reverse === true)),
    };
  }

  #commit(snapshotSeq: number, footprint: Footprint): Promise<number | 'conflict'> {
    if (this.#stage === 'crashed') return Promise.reject(this.#gone());
    if (this.#queue.length >= (this.#options.queueMax ?? 100_000)) {
      return Promise.reject(new ContentionError('too many transactions wait to commit'));
    }
    const { promise, resolve, reject } = Promise.withResolvers<number | 'conflict'>();
    this.#queue.push({ snapshotSeq, footprint, resolve, reject });
    if (!this.#committing) {
      this.#committing = true;
      void this.#commitGroups();
    }
    return promise;
  }

  async #commitGroups(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#queue;
      this.#queue = [];
      const { state, settle } = this.#validate(group);
      if (state.map !== this.#durable.map) {
        this.#flushing = { group, state };
        try {
          await this.#options.flush?.();
        } catch (cause) {
          // The picture stays, but stands after the numbers of the lost group, or its noted writes would conflict for ever.
          this.#durable = { map: this.#durable.map, seq: this.#lastSeq };
          for (const pending of group)
            pending.reject(new UnavailableError('a group did not become durable', { cause }));
          this.#flushing = undefined;
          continue;
        }
        if (this.#stage === 'crashed') return;
        this.#flushing = undefined;
        this.#durable = state;
      }
      // A transaction that lost to a member of this group is told only now, when a new picture can show what it missed.
      for (const tell of settle) tell();
    }
    this.#committing = false;
  }

  /** Lays those of a group that still hold over the durable state, each seeing the ones before it. */
  #validate(group: readonly Pending[]): { state: State; settle: (() => void)[] } {
    let { map } = this.#durable;
    const settle = group.map((pending) => {
      const { footprint } = pending;
      if (this.#recent.conflicts(pending.snapshotSeq, footprint.reads, footprint.ranges) !== false) {
        return () => pending.resolve('conflict');
      }
      try {
        map = apply(map, this.#lastSeq + 1, footprint.ops);
      } catch (error) {
        return () => pending.reject(error);
      }
      this.#lastSeq += 1;
      const seq = this.#lastSeq;
      this.#recent.note(seq, footprint.ops);
      return () => pending.resolve(seq);
    });
    return { state: { map, seq: this.#lastSeq }, settle };
  }
}

/** Values are copied here, once: a caller may use its buffer again when its transaction has committed. */
function apply(map: PersistentMap, seq: number, ops: readonly Op[]): PersistentMap {
  let next = map;
  for (const op of ops) {
    switch (op.kind) {
      case 'put':
        next = next.set(Buffer.from(op.key), Buffer.from(op.value));
        break;
      case 'delete':
        next = next.delete(op.key);
        break;
      case 'deleteRange':
        next = next.deleteRange(op.range.start, op.range.end);
        break;
      case 'add':
        next = next.set(Buffer.from(op.key), addToCounter(next.get(op.key), op));
        break;
      case 'putStamped':
        next = next.set(stampKey(op.prefix, seq, op.place), Buffer.from(op.value));
        break;
      default:
        unreachable(op);
    }
  }
  return next;
}

async function later<T>(value: T, hops: number): Promise<T> {
  for (let hop = 0; hop < hops; hop += 1) await undefined;
  return value;
}
