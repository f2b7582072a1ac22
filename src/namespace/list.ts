// Listing in the byte order of full names, flat or by a delimiter, at a cost that follows the page and not the container.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { formatTicks, parseTicks } from '../codec/ticks.ts';
import type { Item, Range, View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { type ContainerName, readContainer } from './containers.ts';
import type { Failure } from './failure.ts';
import { holdsEntry } from './holds.ts';
import { findDirectory } from './paths.ts';
import {
  type ContainerRecord,
  type DirectoryRecord,
  decodeEntry,
  decodeRecord,
  type Entry,
  type Past,
  type SweepRecord,
} from './records.ts';
import type { Store } from './store.ts';
import { readSweep, swept } from './sweeps.ts';

export interface ListQuery extends ContainerName {
  readonly prefix: string;
  /** Names roll up behind its first occurrence after the prefix; any text, or undefined for a flat list. */
  readonly delimiter: string | undefined;
  /** The first name (inclusive) that may be listed, or a page's `next`. */
  readonly from: string;
  readonly limit: number;
  /** Whether names are listed that have only staged blocks. */
  readonly uncommitted: boolean;
  /** What is listed beside current states. */
  readonly past?: PastShown;
  /** A page ends, with whatever is on it, where so many states were passed that are not shown. Absent: nowhere. */
  readonly hiddenMax?: number;
}

export interface PastShown {
  readonly snapshots: boolean;
  readonly versions: boolean;
  readonly deleted: boolean;
  /** Names that have versions and no current state, once each. */
  readonly versionsOnly: boolean;
  /** Current states are left out. */
  readonly alone: boolean;
}

export type Listed =
  | { readonly kind: 'entry'; readonly name: string; readonly entry: Entry; readonly versionsOnly?: true }
  | { readonly kind: 'uncommitted'; readonly name: string }
  | { readonly kind: 'prefix'; readonly name: string };

export interface ListPage {
  readonly kind: 'ok';
  readonly container: ContainerRecord;
  readonly items: readonly Listed[];
  /** The `from` of the next page; undefined at the end. A page may have fewer items than its limit, or none, and a next. */
  readonly next: string | undefined;
}

export function listEntries(store: Store, query: ListQuery): Promise<ListPage | Failure> {
  return store.engine.snapshot((view) => listWithin(view, query));
}

export async function listWithin(view: View, query: ListQuery): Promise<ListPage | Failure> {
  const container = await readContainer(view, query);
  if (container === undefined) return { kind: 'container-not-found' };
  const root = Buffer.from(container.id, 'hex');
  const items: Listed[] = [];
  let from = compareNames(query.from, query.prefix) > 0 ? query.from : query.prefix;
  // What lies behind the prefix's own range begins with something else.
  if (!from.startsWith(query.prefix)) return { kind: 'ok', container, items, next: undefined };
  const flat = query.delimiter === undefined || query.delimiter === '';
  let ahead = flat ? Number.POSITIVE_INFINITY : aheadMin;
  const passed: Passed = { hidden: 0, max: query.hiddenMax ?? Number.POSITIVE_INFINITY };
  // One more than the page is looked at, to know whether another follows.
  while (items.length <= query.limit) {
    const wanted = Math.min(query.limit + 1 - items.length, ahead);
    const { names, ended, stoppedAt } = await nextNames(view, root, query, from, wanted, passed);
    let rolled: string | undefined;
    for (const listed of names) {
      rolled = flat ? undefined : rollUp(listed.name, query);
      if (rolled === undefined) items.push(listed);
      else if (!isPrefix(items.at(-1), rolled)) items.push({ kind: 'prefix', name: rolled });
    }
    if (stoppedAt !== undefined && items.length <= query.limit) {
      const within = items.at(-1);
      const isWithin = within?.kind === 'prefix' && stoppedAt.startsWith(within.name);
      return { kind: 'ok', container, items, next: isWithin ? behindPrefix(within.name) : stoppedAt };
    }
    const last = names.at(-1);
    if (ended || last === undefined) break;
    // All that shares the last prefix is skipped without being read. Read further ahead as long as that pays.
    const next = rolled === undefined ? behindListed(last) : behindPrefix(rolled);
    if (next === undefined || !next.startsWith(query.prefix)) break;
    from = next;
    if (!flat) ahead = rolled === undefined || rolled === last.name ? ahead * 2 : Math.max(aheadMin, ahead / 2);
  }
  const over = items.length > query.limit ? items.pop() : undefined;
  const next = over && cursorOf(over, query.past !== undefined);
  return { kind: 'ok', container, items, next };
}

// No name holds U+0000, and keys of uploads end in it: it would find the name again.
const lowestCharacter = '\u0001';

/** Between a name and the time of one of its states, where a listing goes on at that one. */
const timeMark = '\0';
/** Behind all states of the past. */
const currentTime = '~';

/** Where a listing begins that is to show this one first. */
function cursorOf(listed: Listed, withPast: boolean): string {
  if (listed.kind === 'prefix' || !withPast) return listed.name;
  const past = listed.kind === 'entry' ? listed.entry.record.past : undefined;
  return `${listed.name}${timeMark}${past?.time ?? currentTime}`;
}

function behindListed(listed: Listed): string {
  const past = listed.kind === 'entry' && listed.versionsOnly !== true ? listed.entry.record.past : undefined;
  if (past === undefined) return `${listed.name}${lowestCharacter}`;
  return behindTime(listed.name, parseTicks(past.time) as bigint);
}

/** Behind a state whose row is `row`, whether it is shown or not. */
function behindState(level: Level, { key }: Item): string {
  return behindTime(level.path + keys.pastNameOf(key), keys.ticksOf(key));
}

function behindTime(name: string, ticks: bigint): string {
  return `${name}${timeMark}${formatTicks(ticks + 1n)}`;
}

function splitCursor(from: string): { readonly name: string; readonly time: string | undefined } {
  const at = from.indexOf(timeMark);
  return at === -1 ? { name: from, time: undefined } : { name: from.slice(0, at), time: from.slice(at + 1) };
}

// With a delimiter most of what is read ahead may turn out to roll up into one name.
const aheadMin = 16;

function isPrefix(listed: Listed | undefined, name: string): boolean {
  return listed?.kind === 'prefix' && listed.name === name;
}

function rollUp(name: string, { prefix, delimiter }: ListQuery): string | undefined {
  const at = name.indexOf(delimiter as string, prefix.length);
  return at === -1 ? undefined : name.slice(0, at + (delimiter as string).length);
}

/** The first text behind all that begin with `prefix`; undefined where none is. UTF-8 sorts by code points. */
function behindPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) as number);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    // No code point lies between U+D7FF and U+E000 but halves of surrogate pairs.
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}

/** The order of names is that of their UTF-8 bytes, which is not that of JavaScript's strings. */
function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

interface Names {
  readonly names: Listed[];
  readonly ended: boolean;
  /** Where it goes on, of a walk that passed so much that is not shown that the rest is left to the next page. */
  readonly stoppedAt?: string;
}

/** How many states one page has passed that are not shown, and how many it may. */
interface Passed {
  hidden: number;
  readonly max: number;
}

/** The next names from `from` on: committed ones and, if asked, those with only staged blocks, merged. */
async function nextNames(
  view: View,
  root: Buffer,
  query: ListQuery,
  from: string,
  limit: number,
  passed: Passed,
): Promise<Names> {
  const committed = await walk(view, root, query, from, limit, passed);
  if (!query.uncommitted) return committed;
  const rows = await view.scan(keys.uploadsFrom(root, query.prefix, splitCursor(from).name), { limit });
  const known = new Set(committed.names.filter(isCurrent).map(({ name }) => name));
  const { stoppedAt } = committed;
  const until = stoppedAt === undefined ? undefined : splitCursor(stoppedAt).name;
  // Of the last name more may follow: what is staged stands where the current state would, behind its past.
  const open = until ?? (committed.ended ? undefined : (committed.names.at(-1) as Listed).name);
  if (open !== undefined) known.add(open);
  const names = [...committed.names];
  for (const { key } of rows) {
    const name = keys.uploadNameOf(key);
    if (name !== until && isFrom(name, until)) break;
    if (!known.has(name)) names.push({ kind: 'uncommitted', name });
  }
  // A stable sort: states of one name stay in their order.
  names.sort((a, b) => compareNames(a.name, b.name));
  const lastRow = rows.at(-1);
  const isMoreStaged = lastRow !== undefined && rows.length === limit && !isFrom(keys.uploadNameOf(lastRow.key), until);
  if (stoppedAt !== undefined && names.length <= limit && !isMoreStaged) return { names, ended: false, stoppedAt };
  return { names: names.slice(0, limit), ended: committed.ended && rows.length < limit && names.length <= limit };
}

/** Whether a name is this one or behind it; behind none is nothing. */
function isFrom(name: string, until: string | undefined): boolean {
  return until !== undefined && compareNames(name, until) >= 0;
}

function isCurrent(listed: Listed): boolean {
  return listed.kind === 'entry' && listed.entry.record.past === undefined;
}

/** Rows of one kind at one level, read ahead in order. */
interface Stream {
  readonly isPast: boolean;
  start: Buffer;
  readonly end: Buffer;
  rows: readonly Item[];
  next: number;
  ended: boolean;
}

interface Level {
  readonly directory: Buffer;
  /** The full name of the directory, with its final "/". */
  readonly path: string;
  /** Current states and directories; where they are asked for, states of the past. */
  readonly current: Stream;
  readonly past: Stream | undefined;
  /** Of names in this directory; undefined until somebody asks. */
  sweeps: readonly Item[] | undefined;
}

const readAheadMax = 1000;
/** After so many rows that are not shown others have a turn. */
const hiddenAtOnce = 500;

/** Walks the tree in order: a directory's row stands where its children's full names belong. */
async function walk(
  view: View,
  root: Buffer,
  query: ListQuery,
  from: string,
  limit: number,
  passed: Passed,
): Promise<Names> {
  const names: Listed[] = [];
  const stack = await openLevels(view, root, query, from);
  // With "/" as delimiter a directory below the prefix is a name of its own: it is not walked.
  const rollsDirectories = query.delimiter === '/';
  const stop = (stoppedAt: string): Names => ({ names, ended: false, stoppedAt });
  while (names.length < limit) {
    const level = stack.at(-1);
    if (level === undefined) return { names, ended: true };
    const { current } = level;
    // Most rows were read ahead, and are not waited for: a page has thousands.
    const row = current.rows[current.next] ?? (await readAhead(view, current, limit - names.length));
    // Where much is hidden, more of it is read at a time.
    const old = level.past && (await pastBefore(view, level.past, row, limit - names.length + passed.hidden));
    if (old !== undefined) {
      const listed = await pastListed(view, level, old, query.past as PastShown);
      for (const one of listed) names.push(one);
      if (listed.length > 0) continue;
      if (++passed.hidden >= passed.max) return stop(behindState(level, old));
      if (passed.hidden % hiddenAtOnce === 0) await nextTurn();
      continue;
    }
    if (row === undefined) {
      stack.pop();
      continue;
    }
    current.next++;
    const name = keys.entryNameOf(row.key);
    if (!name.endsWith('/')) {
      if (query.past?.alone === true) {
        if (++passed.hidden >= passed.max) return stop(`${level.path}${name}${lowestCharacter}`);
        if (passed.hidden % hiddenAtOnce === 0) await nextTurn();
        continue;
      }
      names.push({ kind: 'entry', name: level.path + name, entry: decodeEntry(row.value) });
      continue;
    }
    const directory = Buffer.from(decodeRecord<DirectoryRecord>(row.value).id, 'hex');
    const path = level.path + name;
    if (!rollsDirectories || path.length <= query.prefix.length) stack.push(levelOf(directory, path, query));
    else if (query.past === undefined) {
      if (await holdsEntry(view, directory, false)) names.push({ kind: 'prefix', name: path });
    } else {
      const below = await walk(view, directory, { ...query, prefix: '', delimiter: undefined }, '', 1, passed);
      if (below.names.length > 0) names.push({ kind: 'prefix', name: path });
      else if (below.stoppedAt !== undefined) return stop(path + below.stoppedAt);
    }
  }
  return { names: names.length > limit ? names.slice(0, limit) : names, ended: false };
}

/** The next state of the past, if its turn is before the current state `row`: they stand before that of their name. */
async function pastBefore(view: View, past: Stream, row: Item | undefined, wanted: number): Promise<Item | undefined> {
  const old = past.rows[past.next] ?? (await readAhead(view, past, wanted));
  if (old === undefined) return undefined;
  if (row !== undefined && Buffer.compare(pastName(old), currentName(row)) > 0) return undefined;
  past.next++;
  return old;
}

function currentName({ key }: Item): Uint8Array {
  return key.subarray(17);
}

function pastName({ key }: Item): Uint8Array {
  return key.subarray(17, key.length - 9);
}

async function pastListed(view: View, level: Level, row: Item, shown: PastShown): Promise<Listed[]> {
  const entry = swept(decodeEntry(row.value), await sweepOf(view, level, row));
  if (entry === undefined) return [];
  const past = entry.record.past as Past;
  const name = level.path + keys.pastNameOf(row.key);
  const listed: Listed[] = [];
  const isKindShown = past.kind === 'base' || (past.kind === 'snapshot' ? shown.snapshots : shown.versions);
  if (isKindShown && (past.deletedMs === undefined || shown.deleted)) listed.push({ kind: 'entry', name, entry });
  // Where versions are shown they say it themselves.
  if (shown.versionsOnly && !shown.versions && past.kind === 'version' && past.deletedMs === undefined) {
    const leaf = keys.pastNameOf(row.key);
    const [last] = await view.scan(keys.pastOf(level.directory, leaf), { limit: 1, reverse: true });
    const isLast = last !== undefined && Buffer.compare(last.key, row.key) === 0;
    if (isLast && (await view.get(keys.entry(level.directory, leaf))) === undefined) {
      listed.push({ kind: 'entry', name, entry, versionsOnly: true });
    }
  }
  return listed;
}

const sweepsKeptMax = 100;

/** What is under way with the states of a name. Of a level it is read once: there are few at a time, and mostly none. */
async function sweepOf(view: View, level: Level, row: Item): Promise<SweepRecord | undefined> {
  level.sweeps ??= await view.scan(keys.sweepsBelow(level.directory), { limit: sweepsKeptMax });
  if (level.sweeps.length === 0) return undefined;
  const leaf = keys.pastNameOf(row.key);
  if (level.sweeps.length === sweepsKeptMax) return await readSweep(view, { parent: level.directory, leaf });
  const found = level.sweeps.find(({ key }) => keys.sweepNameOf(key) === leaf);
  return found && decodeRecord<SweepRecord>(found.value);
}

function levelOf(directory: Buffer, path: string, query: ListQuery, prefix = ''): Level {
  const past = query.past && stream(keys.pastBelow(directory, prefix), true);
  return { directory, path, current: stream(keys.children(directory, prefix), false), past, sweeps: undefined };
}

function stream({ start, end }: Range, isPast: boolean): Stream {
  return { isPast, start: Buffer.from(start), end: Buffer.from(end), rows: [], next: 0, ended: false };
}

async function readAhead(view: View, from: Stream, wanted: number): Promise<Item | undefined> {
  if (from.ended) return undefined;
  const limit = Math.min(wanted, readAheadMax);
  from.rows = await view.scan({ start: from.start, end: from.end }, { limit });
  from.next = 0;
  from.ended = from.rows.length < limit;
  const last = from.rows.at(-1);
  if (last !== undefined) from.start = after(last.key);
  return from.rows[0];
}

/** The directories on the way to `from` (which begins with the prefix), each set to go on behind it. */
async function openLevels(view: View, root: Buffer, query: ListQuery, from: string): Promise<Level[]> {
  const { prefix } = query;
  const slash = prefix.lastIndexOf('/');
  const basePath = prefix.slice(0, slash + 1);
  const base = slash === -1 ? root : await findDirectory(view, root, prefix.slice(0, slash));
  if (base === undefined) return [];
  const stack: Level[] = [levelOf(base, basePath, query, prefix.slice(slash + 1))];
  const { name, time } = splitCursor(from);
  let rest = name.slice(basePath.length);
  for (;;) {
    const level = stack.at(-1) as Level;
    const next = rest.indexOf('/');
    const segment = next === -1 ? rest : rest.slice(0, next);
    const isLeaf = next === -1;
    const start = isLeaf ? keys.entry(level.directory, segment) : keys.directory(level.directory, segment);
    goOnFrom(level.current, start);
    if (level.past !== undefined) {
      // Names between that of the directory and its final "/" were listed before it.
      const behind = keys.pastFrom(level.directory, `${segment}/`);
      goOnFrom(level.past, isLeaf ? pastStart(level.directory, segment, time) : behind);
    }
    if (isLeaf) return stack;
    const found = await view.get(keys.directory(level.directory, segment));
    // The directory itself is walked from within; this level goes on behind it.
    if (found === undefined) return stack;
    goOnFrom(level.current, after(start));
    const directory = Buffer.from(decodeRecord<DirectoryRecord>(found).id, 'hex');
    stack.push(levelOf(directory, `${level.path}${segment}/`, query));
    rest = rest.slice(next + 1);
  }
}

function goOnFrom(from: Stream, start: Buffer): void {
  if (Buffer.compare(start, from.start) > 0) from.start = start;
}

/** The first state of a name from a time on; without one, of the name and whatever follows it. */
function pastStart(directory: Buffer, leaf: string, time: string | undefined): Buffer {
  if (time === undefined) return keys.pastFrom(directory, leaf);
  if (time === currentTime) return Buffer.from(keys.pastOf(directory, leaf).end);
  return keys.past(directory, leaf, parseTicks(time) ?? 0n);
}
