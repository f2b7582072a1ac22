// The follower that writes $blobchangefeed: each change once, in the order of the journal, in one transaction with its cursor.
import { isDeepStrictEqual } from 'node:util';
import type { LogPiece } from '../../content/extent.ts';
import type { Txn, View } from '../../metadata/engine.ts';
import { readAccount } from '../../namespace/accounts.ts';
import { readContainer } from '../../namespace/containers.ts';
import { dropPieces } from '../../namespace/contents.ts';
import { type JournalRow, moveFollower, readBehind, readFollower } from '../../namespace/followers.ts';
import { discard } from '../../namespace/ingest.ts';
import type { JournalRecord } from '../../namespace/journal.ts';
import { type ContainerRecord, decodeRecord, encodeRecord } from '../../namespace/records.ts';
import {
  appendServiceFile,
  openServiceContainer,
  putServiceFile,
  readAppendable,
  type ServiceContainer,
} from '../../namespace/service-files.ts';
import { readSettings } from '../../namespace/settings.ts';
import { change, type Store } from '../../namespace/store.ts';
import type { Follower, Taken } from '../follow.ts';
import { type Append, AppendPlan, type FeedEvent } from './append-plan.ts';
import { eventTypeOf } from './events.ts';
import { allStates, endOf, type FeedState, isStill, readState, stateKey } from './feed-state.ts';
import {
  avroType,
  feedContainer,
  filePath,
  firstSegmentMs,
  firstSegmentPath,
  jsonType,
  manifest,
  manifestPath,
  segmentOf,
  segmentsFile,
  segmentsPath,
} from './layout.ts';
import { asideName, isOfAccount, Retries, readAside, setAside, takeBack } from './set-aside.ts';

export interface ChangeFeedOptions {
  /** A file that is this long is followed by another. */
  readonly fileBytesMax?: number;
  /** How long behind its hour a segment takes changes of that hour that were slow to commit. */
  readonly graceMs?: number;
  /** The feed of one account cannot be written: it is set aside and tried again, and the others go on. */
  readonly onSetAside?: (account: string, error: unknown) => void;
}

const fileBytesMaxByDefault = 32 * 1024 * 1024;
const graceMsByDefault = 2000;

const cause = { by: 'change-feed', requestId: '' } as const;

// No text within a record can contain these bytes: its quotes are escaped.
const feedMark = Buffer.from('"feed":{"type":');
const createdMark = Buffer.from('{"operation":"account-created"');
const firstMarks = ['{"operation":"account-', '{"operation":"restore-point"'].map((mark) => Buffer.from(mark));
const rowsAtOnce = 2000;
/** In front of a record's text. */
const recordHeadBytes = 5;

/** A record as its row has it may matter to the feed; most need not be decoded to know that they do not. */
function mayMatter({ value }: JournalRow): boolean {
  if (firstMarks.some((mark) => beginsWith(value, mark))) return true;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).includes(feedMark);
}

function beginsWith(value: Uint8Array, mark: Buffer): boolean {
  return mark.equals(value.subarray(recordHeadBytes, recordHeadBytes + mark.length));
}

/** Ends a transaction without a trace: somebody else wrote the feed since the batch was prepared. */
class OvertakenError extends Error {}

/** A step of the cursor, and who was set aside when it was prepared. */
interface Step {
  readonly from: string;
  readonly to: string;
  readonly aside: readonly string[];
}

/** The feed of one account in a batch. */
interface Prepared {
  readonly account: string;
  readonly container: ContainerRecord;
  readonly before: FeedState;
  readonly after: FeedState;
  readonly appends: readonly (Append & { readonly pieces: readonly LogPiece[] })[];
}

export class ChangeFeed implements Follower {
  readonly name = 'change-feed';
  readonly #store: Store;
  readonly #fileBytesMax: number;
  readonly #graceMs: number;
  readonly #onSetAside: (account: string, error: unknown) => void;
  readonly #retries = new Retries();

  constructor(store: Store, options: ChangeFeedOptions = {}) {
    this.#store = store;
    this.#fileBytesMax = options.fileBytesMax ?? fileBytesMaxByDefault;
    this.#graceMs = options.graceMs ?? graceMsByDefault;
    this.#onSetAside = options.onSetAside ?? (() => undefined);
  }

  async take(cursor: string, rows: readonly JournalRow[]): Promise<Taken> {
    const last = rows.at(-1);
    const byAccount = eventsOf(rows);
    if (last === undefined || byAccount.size === 0) return 'skipped';
    const hasEvents = [...byAccount.values()].some((events) => events.length > 0);
    const aside = await this.#store.engine.snapshot(readAside);
    for (const account of aside) byAccount.delete(account);
    const { prepared, failed } = await this.#prepareAll(byAccount, last.id);
    // Also when accounts are gone meanwhile: one that gets the name later must not be told of these. And what was left to
    // those that are set aside is theirs only if they still are when the cursor passes it.
    if (!hasEvents && failed.length === 0) return 'skipped';
    return await this.#commitAll({ from: cursor, to: last.id, aside }, prepared, failed);
  }

  async #prepareAll(
    byAccount: ReadonlyMap<string, readonly FeedEvent[]>,
    lastId: string,
  ): Promise<{ readonly prepared: Prepared[]; readonly failed: string[] }> {
    const prepared: Prepared[] = [];
    const failed: string[] = [];
    try {
      for (const [account, events] of byAccount) {
        try {
          const one = await this.#prepareOne(account, events, lastId);
          if (one !== undefined) prepared.push(one);
        } catch (error) {
          if (!isOfAccount(error)) throw error;
          this.#onSetAside(account, error);
          failed.push(account);
        }
      }
      return { prepared, failed };
    } catch (error) {
      await discard(this.#store, piecesOf(prepared)).catch(() => undefined);
      throw error;
    }
  }

  async #prepareOne(account: string, events: readonly FeedEvent[], lastId: string): Promise<Prepared | undefined> {
    const before = await this.#open(account, events.length > 0);
    if (before === undefined || events.length === 0) return undefined;
    return (await this.#isForeign(account, events, lastId)) ? undefined : await this.#prepare(account, before, events);
  }

  /** Whether the account was deleted since, and made again: then it is made by a record behind these. */
  async #isForeign(account: string, events: readonly FeedEvent[], lastId: string): Promise<boolean> {
    const found = await this.#store.engine.snapshot((view) => readAccount(view, account));
    if (found === undefined || events.every(({ record }) => record.atMs >= found.createdMs)) return false;
    for (let cursor = lastId; ; ) {
      const { rows, isEnd } = await this.#store.engine.snapshot((view) => readBehind(view, cursor, rowsAtOnce));
      for (const { value } of rows) {
        if (!beginsWith(value, createdMark)) continue;
        if (decodeRecord<JournalRecord>(value).account === account) return true;
      }
      const last = rows.at(-1);
      if (last === undefined || isEnd) return false;
      cursor = last.id;
    }
  }

  /** All accounts but those with which it fails: they stay where they are, and the others go on. */
  async #commitAll({ from, to, aside }: Step, prepared: readonly Prepared[], failed: string[]): Promise<Taken> {
    for (let left = prepared; ; ) {
      const outcome = await this.#commit(left, async (txn) => {
        if (!(await moveFollower(txn, this.name, from, to))) throw new OvertakenError();
        if (!isDeepStrictEqual(await readAside(txn), aside)) throw new OvertakenError();
        for (const account of failed) setAside(txn, account, from);
      });
      if (typeof outcome === 'string') return outcome;
      const { account, error } = outcome;
      this.#onSetAside(account, error);
      failed.push(account);
      await discard(this.#store, piecesOf(left.filter((one) => one.account === account)));
      left = left.filter((one) => one.account !== account);
    }
  }

  /** One transaction. If it fails in the work for one account, nothing is stored, and the caller is told for which. */
  async #commit(
    prepared: readonly Prepared[],
    move: (txn: Txn) => Promise<void>,
  ): Promise<'stored' | 'overtaken' | { readonly account: string; readonly error: unknown }> {
    let writing: string | undefined;
    const work = async (txn: Txn): Promise<undefined> => {
      writing = undefined;
      await move(txn);
      for (const one of prepared) {
        writing = one.account;
        await this.#writeFeed(txn, one);
      }
      writing = undefined;
    };
    try {
      const outcome = await change(this.#store, work);
      if (outcome === undefined) return 'stored';
      await discard(this.#store, piecesOf(prepared));
      throw new Error(`the change feed could not be written: ${outcome.kind}`);
    } catch (error) {
      if (error instanceof OvertakenError) {
        await discard(this.#store, piecesOf(prepared));
        return 'overtaken';
      }
      // Of any other error nobody knows whether the transaction was committed: its pieces may have their names.
      if (writing === undefined || !isOfAccount(error)) throw error;
      return { account: writing, error };
    }
  }

  /** Those that are set aside, each for itself, as far as the others are. */
  async #retryAside(nowMs: number): Promise<void> {
    for (const account of await this.#store.engine.snapshot(readAside)) {
      if (!this.#retries.isDue(account, nowMs)) continue;
      try {
        await this.#catchUp(account);
        this.#retries.done(account);
      } catch (error) {
        if (!isOfAccount(error)) throw error;
        this.#retries.failed(account, nowMs);
        this.#onSetAside(account, error);
      }
    }
  }

  async #catchUp(account: string): Promise<void> {
    const name = asideName(account);
    for (;;) {
      const { own, main, rows } = await this.#store.engine.snapshot(async (view) => {
        const found = await readFollower(view, name);
        const page = found && (await readBehind(view, found.cursor, rowsAtOnce));
        return { own: found, main: await readFollower(view, this.name), rows: page?.rows ?? [] };
      });
      if (own === undefined || main === undefined || own.cursor > main.cursor) return;
      if (own.lost !== undefined) {
        this.#onSetAside(account, new Error(`${own.lost.records} records were trimmed`));
        const { until } = own.lost;
        const refused = await change(this.#store, (txn) => setAside(txn, account, until));
        if (refused !== undefined) throw new Error(`the change feed could not be written: ${refused.kind}`);
        continue;
      }
      const passed = rows.filter(({ id }) => id <= main.cursor);
      const isLevel = passed.length < rowsAtOnce;
      const to = isLevel ? main.cursor : (passed.at(-1) as JournalRow).id;
      const one = await this.#prepareOne(account, eventsOf(passed).get(account) ?? [], to);
      const prepared = one === undefined ? [] : [one];
      const outcome = await this.#commit(prepared, async (txn) => {
        if (!(await moveFollower(txn, name, own.cursor, to))) throw new OvertakenError();
        if (isLevel && (await readFollower(txn, this.name))?.cursor === to) takeBack(txn, account);
      });
      if (outcome === 'overtaken') return;
      if (outcome === 'stored') continue;
      await discard(this.#store, piecesOf(prepared));
      throw outcome.error;
    }
  }

  /** The feed's state, with a container made for it; undefined where the account has no feed. */
  async #open(account: string, hasEvents: boolean): Promise<FeedState | undefined> {
    const known = await this.#store.engine.snapshot(async (view) => {
      const state = await readState(view, account);
      const container = await readContainer(view, { account, container: feedContainer });
      if (state !== undefined && container?.id === state.container) return { state };
      const { changeFeed = false } = await readSettings(view, account);
      return { isWanted: changeFeed || hasEvents };
    });
    if (known.state !== undefined) return known.state;
    if (known.isWanted !== true) return undefined;
    return await this.#store.engine.transact((txn) => this.#create(txn, account));
  }

  async #create(txn: Txn, account: string): Promise<FeedState | undefined> {
    const container = await openServiceContainer(this.#store, txn, { account, container: feedContainer }, cause);
    if (container === undefined) return undefined;
    const state: FeedState = { container: container.record.id, closedMs: firstSegmentMs };
    const { etag } = container.record;
    const first = manifest({
      beginMs: firstSegmentMs,
      status: 'Finalized',
      isEmpty: true,
      etag,
      ...this.#written(),
    });
    await this.#putFile(txn, container, firstSegmentPath, first);
    await this.#putFile(txn, container, segmentsPath, segmentsFile(state.closedMs, this.#written()));
    txn.put(stateKey(account), encodeRecord(state));
    return state;
  }

  /** Encodes the events, and makes their bytes durable; undefined where the account went away meanwhile. */
  async #prepare(account: string, before: FeedState, events: readonly FeedEvent[]): Promise<Prepared | undefined> {
    const looked = await this.#store.engine.snapshot((view) => look(view, account, before));
    if (looked === undefined) return undefined;
    const { random } = this.#store;
    const plan = new AppendPlan(before, looked.isAppendable, this.#fileBytesMax, random);
    const createdMs = new Map<string, number | undefined>();
    for (const name of new Set(events.map(({ record }) => record.container ?? ''))) {
      const container = await this.#store.engine.snapshot((view) => readContainer(view, { account, container: name }));
      createdMs.set(name, container?.createdMs);
    }
    await plan.add(events, createdMs);
    const appends: (Append & { pieces: readonly LogPiece[] })[] = [];
    try {
      for (const append of plan.appends) appends.push({ ...append, pieces: await this.#write(append.bytes) });
    } catch (error) {
      await discard(
        this.#store,
        appends.flatMap(({ pieces }) => pieces),
      ).catch(() => undefined);
      throw error;
    }
    return { account, container: looked.container, before, after: plan.state, appends };
  }

  async #write(bytes: Buffer): Promise<readonly LogPiece[]> {
    const writer = this.#store.content.write({ log: true, md5: false, ownsChunks: false });
    try {
      const wait = writer.append(bytes);
      if (wait !== undefined) await wait;
      return (await writer.finish()).pieces;
    } catch (error) {
      await discard(this.#store, await writer.abort()).catch(() => undefined);
      throw error;
    }
  }

  async #writeFeed(txn: Txn, { account, before, after, appends }: Prepared): Promise<void> {
    const record = await readContainer(txn, { account, container: feedContainer });
    if (record === undefined || record.id !== before.container || (await readAccount(txn, account)) === undefined) {
      // The account was deleted: nobody reads its feed any more.
      for (const { pieces } of appends) dropPieces(this.#store, txn, pieces);
      return;
    }
    if (!(await isStill(txn, account, before))) throw new OvertakenError();
    const container: ServiceContainer = { name: { account, container: feedContainer }, record, cause };
    let written = before;
    for (const append of appends) {
      const { beginMs, file, at, bytes, pieces } = append;
      if (beginMs !== written.open?.beginMs) {
        written = await this.#finalize(txn, container, written, beginMs);
        await this.#putManifest(txn, container, beginMs, 'Publishing');
      }
      const appended = { contentType: avroType, at, pieces, length: bytes.length };
      const name = filePath(beginMs, file);
      if (!(await appendServiceFile(this.#store, txn, container, name, appended))) throw new OvertakenError();
      written = { ...written, open: { ...(after.open as NonNullable<FeedState['open']>), beginMs } };
    }
    txn.put(stateKey(account), encodeRecord({ ...after, closedMs: written.closedMs }));
  }

  /** Every segment before `beforeMs` is complete from now on. */
  async #finalize(txn: Txn, container: ServiceContainer, state: FeedState, beforeMs: number): Promise<FeedState> {
    if (state.open !== undefined) await this.#putManifest(txn, container, state.open.beginMs, 'Finalized');
    const closedMs = Math.max(state.closedMs, beforeMs);
    if (closedMs !== state.closedMs) {
      await this.#putFile(txn, container, segmentsPath, segmentsFile(closedMs, this.#written()));
    }
    return { container: state.container, closedMs };
  }

  /** Tries again what was set aside, and closes the segments of hours that are over. */
  async rest(nowMs: number): Promise<void> {
    await this.#retryAside(nowMs);
    const overMs = segmentOf(nowMs - this.#graceMs);
    const due = await this.#store.engine.snapshot((view) => findDue(view, overMs));
    for (const one of due) {
      if (!this.#retries.isDue(one.account, nowMs)) continue;
      try {
        await change(this.#store, (txn) => this.#close(txn, one, overMs));
        this.#retries.done(one.account);
      } catch (error) {
        if (!isOfAccount(error)) throw error;
        this.#retries.failed(one.account, nowMs);
        this.#onSetAside(one.account, error);
      }
    }
  }

  async #close(txn: Txn, { account, state, isGone }: Due, overMs: number): Promise<undefined> {
    if (!(await isStill(txn, account, state))) return;
    const record = await readContainer(txn, { account, container: feedContainer });
    if (isGone || record === undefined || record.id !== state.container) {
      if ((await readAccount(txn, account)) === undefined) txn.delete(stateKey(account));
      return;
    }
    const container: ServiceContainer = { name: { account, container: feedContainer }, record, cause };
    txn.put(stateKey(account), encodeRecord(await this.#finalize(txn, container, state, overMs)));
  }

  async #putManifest(
    txn: Txn,
    container: ServiceContainer,
    beginMs: number,
    status: 'Publishing' | 'Finalized',
  ): Promise<void> {
    const { etag } = container.record;
    await this.#putFile(txn, container, manifestPath(beginMs), manifest({ beginMs, status, etag, ...this.#written() }));
  }

  #putFile(txn: Txn, container: ServiceContainer, name: string, bytes: Buffer): Promise<void> {
    return putServiceFile(this.#store, txn, container, name, jsonType, bytes);
  }

  #written(): { nowMs: number; activity: string } {
    const id = this.#store.ids.nextHex();
    const activity = [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join('-');
    return { nowMs: this.#store.clock.now(), activity };
  }
}

/** The events of each account; none, where all that was read of it is of no event. */
function eventsOf(rows: readonly JournalRow[]): Map<string, FeedEvent[]> {
  const byAccount = new Map<string, FeedEvent[]>();
  for (const row of rows) {
    if (!mayMatter(row)) continue;
    const record = decodeRecord<JournalRecord>(row.value);
    const events = byAccount.get(record.account) ?? [];
    byAccount.set(record.account, events);
    // What came before was of another account of this name.
    if (record.operation === 'account-created') events.length = 0;
    if (record.container === feedContainer) continue;
    const type = eventTypeOf(record);
    if (type !== undefined) events.push({ id: row.id, record, type });
  }
  return byAccount;
}

function piecesOf(prepared: readonly Prepared[]): readonly LogPiece[] {
  return prepared.flatMap(({ appends }) => appends.flatMap(({ pieces }) => pieces));
}

/** The container, and whether the file that is written can be added to. */
async function look(
  view: View,
  account: string,
  { container: id, open }: FeedState,
): Promise<{ container: ContainerRecord; isAppendable: boolean } | undefined> {
  const container = await readContainer(view, { account, container: feedContainer });
  if (container === undefined || container.id !== id) return undefined;
  if (open === undefined) return { container, isAppendable: false };
  const file = await readAppendable(view, container, filePath(open.beginMs, open.file));
  return { container, isAppendable: file?.length === open.bytes };
}

interface Due {
  readonly account: string;
  readonly state: FeedState;
  readonly isGone: boolean;
}

async function findDue(view: View, overMs: number): Promise<Due[]> {
  const due: Due[] = [];
  const aside = await readAside(view);
  for await (const { account, state } of allStates(view)) {
    if (state === undefined) continue;
    const isOver = state.open !== undefined && endOf(state.open) <= overMs;
    // Without changes too, so that readers know that there were none.
    const isBehind = state.open === undefined && state.closedMs < overMs;
    // An hour of which changes are still to be written is not over.
    if ((!isOver && !isBehind) || aside.includes(account)) continue;
    const isGone = (await readAccount(view, account)) === undefined;
    const { changeFeed = false } = await readSettings(view, account);
    if (isOver || isGone || changeFeed) due.push({ account, state, isGone });
  }
  return due;
}
