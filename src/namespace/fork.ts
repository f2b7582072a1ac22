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

/** The copy of a content as it was under an ETag. Until an entry takes it, a row of garbage in the future owns it. */
interface Fork {
  readonly from: string;
  readonly etag: string;
  readonly id: string;
  readonly guard: Buffer;
}

/** What a change says that finds its content shared; it is run again with a copy. */
export interface Shared {
  readonly kind: 'content-shared';
  readonly contentId: string;
  readonly etag: string;
}

/** If the process dies while it copies, the copy goes after this time; and no copying goes on for longer. */
const guardMs = 3_600_000;
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
    if (fork?.from !== contentId || fork.etag !== record.etag || (await txn.get(fork.guard)) === undefined) {
      return { kind: 'content-shared', contentId, etag: record.etag };
    }
    txn.delete(fork.guard);
    dropContent(this.#store, txn, record);
    return fork.id;
  }
}

/** A transaction that changes rows of a content in place: run again with a copy where the content turns out to be shared. */
export async function changeOwned<T extends { readonly kind: string }>(
  store: Store,
  work: (txn: Txn, owning: Owning) => Promise<T | Shared>,
): Promise<T | Failure> {
  let fork: Fork | undefined;
  for (let forks = 0; ; forks++) {
    const outcome = await change<T | Shared | Failure>(store, (txn) => work(txn, new Owning(store, fork)));
    if (fork !== undefined) await abandon(store, fork);
    if (outcome.kind !== 'content-shared') return outcome as T | Failure;
    if (forks === forksMax) return { kind: 'contended' };
    const shared = outcome as Shared;
    fork = await copyRows(store, shared);
  }
}

/** What nobody took is garbage now. */
async function abandon(store: Store, fork: Fork): Promise<void> {
  await store.engine.transact(async (txn) => {
    if ((await txn.get(fork.guard)) === undefined) return;
    txn.delete(fork.guard);
    txn.put(keys.garbage(store.ids.next()), encodeRecord({ contentId: fork.id } satisfies GarbageRecord));
  });
}

/**
 * As many transactions as the content is long. Nobody changes it meanwhile: as long as it is shared, whoever would copies
 * it first. If it is no longer the entry's then, or the entry's ETag is another, the copy is of no use.
 */
async function copyRows(store: Store, { contentId, etag }: Shared): Promise<Fork> {
  const from = Buffer.from(contentId, 'hex');
  const to = store.ids.next();
  const guardId = Buffer.from(store.ids.next());
  guardId.writeUIntBE(store.clock.now() + guardMs, 0, 6);
  const guard = keys.garbage(guardId);
  await store.engine.transact((txn) => {
    txn.put(guard, encodeRecord({ contentId: to.toString('hex') } satisfies GarbageRecord));
  });
  for (const copy of [copyPieces, copyPages]) {
    for (let last: Uint8Array | undefined, done = false; !done; ) {
      const begin: Uint8Array | undefined = last;
      last = await store.engine.transact(async (txn) => {
        return (await txn.get(guard)) === undefined ? undefined : await copy(txn, from, to, begin);
      });
      done = last === undefined;
    }
  }
  return { from: contentId, etag, id: to.toString('hex'), guard };
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
