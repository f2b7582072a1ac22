// Content that others own too, before the first change in place: its rows are copied, so that what the others see stays.

import type { LogPiece } from '../content/extent.ts';
import type { Item, Txn } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { dropContent, isOnlyOwner, shareExtents } from './contents.ts';
import type { Failure } from './failure.ts';
import { decodeRegion } from './page-regions.ts';
import {
  decodeRecord,
  type EntryRecord,
  encodeRecord,
  type GarbageRecord,
  packPieces,
  unpackPieces,
} from './records.ts';
import { change, type Store } from './store.ts';

/** The copy of a content as it stood at a mark. Until an entry takes it, a row of garbage in the future owns it. */
interface Fork {
  readonly mark: string;
  readonly id: string;
  readonly guard: Buffer;
}

/** How far a copy is: which kind of rows, and the last one that it has. */
interface Progress {
  readonly fork: Fork;
  kind: number;
  last: Uint8Array | undefined;
}

/** Of this process. What is never gone on with is garbage when its guard's time comes, as after a crash. */
const halfDone = new WeakMap<Store, Map<string, Progress>>();

/** What a change says that finds its content shared; it is run again with a copy. */
export interface Shared {
  readonly kind: 'content-shared';
  readonly contentId: string;
  readonly mark: string;
}

/**
 * Other as soon as the rows may be others. In place only their one owner changes them, and it notes that in its record:
 * appended blocks and changes of pages are counted. What else changes of the record leaves a copy as good as it was.
 */
function markOf({ contentId, generation, pageChanges, appendedBlocks, length }: EntryRecord): string {
  return [contentId, generation, pageChanges, appendedBlocks, length].join(' ');
}

/** If the process dies while it copies, the copy goes after this time; and no copying goes on for longer. */
const guardMs = 3_600_000;
/** Copies that nobody waits for any more, each as far as it came, for whoever asks for the same again. */
const halfDoneMax = 64;
const forksMax = 16;
const piecesAStep = 512;
const rowsAStep = 16;

/** Gives a change of an entry the content id under which it may change rows: the entry's own, or that of a copy. */
export class Owning {
  readonly #store: Store;
  readonly #fork: Fork | undefined;

  constructor(store: Store, fork: Fork | undefined) {
    this.#store = store;
    this.#fork = fork;
  }

  async contentId(txn: Txn, record: EntryRecord): Promise<string | Shared> {
    const contentId = record.contentId as string;
    if (await isOnlyOwner(txn, record)) return contentId;
    const fork = this.#fork;
    const mark = markOf(record);
    if (fork?.mark !== mark || (await txn.get(fork.guard)) === undefined) {
      return { kind: 'content-shared', contentId, mark };
    }
    txn.delete(fork.guard);
    dropContent(this.#store, txn, record);
    return fork.id;
  }
}

/** Runs work that takes longer than a client may be silent; the signal aborts when nobody waits for it any more. */
export type Held = <T>(work: (gone: AbortSignal) => Promise<T>) => Promise<T>;

/**
 * A transaction that changes rows of a content in place: run again with a copy where the content turns out to be shared.
 * `given-up`, and nothing has changed, when nobody waits for the copy any more; the next who does goes on with it.
 */
export async function changeOwned<T extends { readonly kind: string }>(
  store: Store,
  held: Held | undefined,
  work: (txn: Txn, owning: Owning) => Promise<T | Shared>,
): Promise<T | Failure> {
  let fork: Fork | undefined;
  for (let forks = 0; ; forks++) {
    let outcome: T | Shared | Failure;
    try {
      outcome = await change<T | Shared | Failure>(store, (txn) => work(txn, new Owning(store, fork)));
    } finally {
      if (fork !== undefined) await abandon(store, fork);
    }
    if (outcome.kind !== 'content-shared') return outcome as T | Failure;
    if (forks === forksMax) return { kind: 'contended' };
    const shared = outcome as Shared;
    const copied = await (held === undefined ? copyRows(store, shared) : held((gone) => copyRows(store, shared, gone)));
    if (copied.kind !== 'ok') return copied;
    fork = copied.fork;
  }
}

/** What nobody took is garbage now; if that cannot be written, when its time comes. What was done stays done. */
async function abandon(store: Store, fork: Fork): Promise<void> {
  const abandoned = change(store, async (txn) => {
    if ((await txn.get(fork.guard)) === undefined) return;
    txn.delete(fork.guard);
    txn.put(keys.garbage(store.ids.next()), encodeRecord({ contentId: fork.id } satisfies GarbageRecord));
  });
  await abandoned.catch(() => undefined);
}

/**
 * As many transactions as the content is long. Nobody changes it meanwhile: as long as it is shared, whoever would copies
 * it first. If it is no longer the entry's then, or the entry's mark is another, the copy is of no use.
 */
async function copyRows(
  store: Store,
  { contentId, mark }: Shared,
  gone?: AbortSignal,
): Promise<{ readonly kind: 'ok'; readonly fork: Fork } | Failure> {
  const from = Buffer.from(contentId, 'hex');
  const progress = goOnWith(store, mark) ?? (await beginCopy(store, mark));
  if ('reason' in progress) return progress.reason;
  const { fork } = progress;
  const to = Buffer.from(fork.id, 'hex');
  let isNeeded = false;
  try {
    while (progress.kind < copies.length) {
      if (gone?.aborted === true) {
        isNeeded = true;
        keepForLater(store, progress);
        return { kind: 'given-up' };
      }
      const copy = copies[progress.kind] as CopyRows;
      const step = await change<CopyStep | Failure>(store, async (txn) => {
        const isGuarded = (await txn.get(fork.guard)) !== undefined;
        return { kind: 'ok', last: isGuarded ? await copy(txn, from, to, progress.last) : undefined };
      });
      if (step.kind !== 'ok') return step;
      progress.last = step.last;
      if (step.last === undefined) progress.kind++;
    }
    isNeeded = true;
    return { kind: 'ok', fork };
  } finally {
    if (!isNeeded) await abandon(store, fork);
  }
}

async function beginCopy(store: Store, mark: string): Promise<Progress | { readonly reason: Failure }> {
  const id = store.ids.next().toString('hex');
  const guardId = Buffer.from(store.ids.next());
  guardId.writeUIntBE(store.clock.now() + guardMs, 0, 6);
  const fork: Fork = { mark, id, guard: keys.garbage(guardId) };
  const guarded = await change<{ readonly kind: 'ok' } | Failure>(store, (txn) => {
    txn.put(fork.guard, encodeRecord({ contentId: id } satisfies GarbageRecord));
    return { kind: 'ok' };
  });
  return guarded.kind === 'ok' ? { fork, kind: 0, last: undefined } : { reason: guarded };
}

/** Whoever comes again, and leaves again, must come to an end all the same. */
function keepForLater(store: Store, progress: Progress): void {
  const kept = halfDone.get(store) ?? new Map<string, Progress>();
  halfDone.set(store, kept);
  const [oldest] = kept.keys();
  if (kept.size >= halfDoneMax && oldest !== undefined) kept.delete(oldest);
  kept.set(progress.fork.mark, progress);
}

function goOnWith(store: Store, mark: string): Progress | undefined {
  const kept = halfDone.get(store);
  const progress = kept?.get(mark);
  kept?.delete(mark);
  return progress;
}

type CopyRows = (txn: Txn, from: Buffer, to: Buffer, begin: Uint8Array | undefined) => Promise<Uint8Array | undefined>;

const copies: readonly CopyRows[] = [copyPieces, copyPages];

interface CopyStep {
  readonly kind: 'ok';
  /** The last row copied; undefined: there are no more. */
  readonly last: Uint8Array | undefined;
}

/** Short runs, as appending makes them, become long ones. Answers the last row copied; undefined when there is no more. */
async function copyPieces(
  txn: Txn,
  from: Buffer,
  to: Buffer,
  begin: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  const { start, end } = keys.piecesOf(from);
  const rows = await txn.scan({ start: begin === undefined ? start : after(begin), end }, { limit: piecesAStep });
  const [first] = rows;
  if (first === undefined) return undefined;
  const pieces: LogPiece[] = [];
  let last: Item = first;
  let marks = {};
  for (const row of rows) {
    const { pieces: packed, ...rest } = decodeRecord<{ pieces: number[] }>(row.value);
    marks = rest;
    for (const piece of unpackPieces(packed)) pieces.push(piece);
    last = row;
    if (pieces.length >= piecesAStep) break;
  }
  shareExtents(txn, pieces);
  const at = Buffer.from(first.key).readUIntBE(first.key.length - 6, 6);
  txn.put(keys.pieces(to, at), encodeRecord({ pieces: packPieces(pieces), ...marks }));
  return last.key;
}

async function copyPages(
  txn: Txn,
  from: Buffer,
  to: Buffer,
  begin: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  const { start, end } = keys.pagesOf(from);
  const rows = await txn.scan({ start: begin === undefined ? start : after(begin), end }, { limit: rowsAStep });
  for (const { key, value } of rows) {
    const number = keys.regionOf(key);
    shareExtents(
      txn,
      decodeRegion(number, value).runs.map(({ piece }) => piece),
    );
    txn.put(keys.pages(to, number), value);
  }
  return rows.at(-1)?.key;
}
