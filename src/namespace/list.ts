// Listing in the byte order of full names, flat or by a delimiter, at a cost that follows the page and not the container.
import type { Item, View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { type ContainerName, readContainer } from './containers.ts';
import type { Failure } from './failure.ts';
import { findDirectory } from './paths.ts';
import { type ContainerRecord, type DirectoryRecord, decodeEntry, decodeRecord, type Entry } from './records.ts';
import type { Store } from './store.ts';

export interface ListQuery extends ContainerName {
  readonly prefix: string;
  /** Names roll up behind its first occurrence after the prefix; any text, or undefined for a flat list. */
  readonly delimiter: string | undefined;
  /** The first name (inclusive) that may be listed. */
  readonly from: string;
  readonly limit: number;
  /** Whether names are listed that have only staged blocks. */
  readonly uncommitted: boolean;
}

export type Listed =
  | { readonly kind: 'entry'; readonly name: string; readonly entry: Entry }
  | { readonly kind: 'uncommitted'; readonly name: string }
  | { readonly kind: 'prefix'; readonly name: string };

export interface ListPage {
  readonly kind: 'ok';
  readonly container: ContainerRecord;
  readonly items: readonly Listed[];
  /** The `from` of the next page; undefined at the end. */
  readonly next: string | undefined;
}

export function listEntries(store: Store, query: ListQuery): Promise<ListPage | Failure> {
  return store.engine.snapshot(async (view) => {
    const container = await readContainer(view, query);
    if (container === undefined) return { kind: 'container-not-found' };
    const root = Buffer.from(container.id, 'hex');
    const items: Listed[] = [];
    let from = compareNames(query.from, query.prefix) > 0 ? query.from : query.prefix;
    // What lies behind the prefix's own range begins with something else.
    if (!from.startsWith(query.prefix)) return { kind: 'ok', container, items, next: undefined };
    const flat = query.delimiter === undefined || query.delimiter === '';
    let ahead = flat ? Number.POSITIVE_INFINITY : aheadMin;
    // One more than the page is looked at, to know whether another follows.
    while (items.length <= query.limit) {
      const { names, ended } = await nextNames(
        view,
        root,
        query,
        from,
        Math.min(query.limit + 1 - items.length, ahead),
      );
      let rolled: string | undefined;
      for (const listed of names) {
        rolled = flat ? undefined : rollUp(listed.name, query);
        if (rolled === undefined) items.push(listed);
        else if (!isPrefix(items.at(-1), rolled)) items.push({ kind: 'prefix', name: rolled });
      }
      const last = names.at(-1);
      if (ended || last === undefined) break;
      // All that shares the last prefix is skipped without being read. Read further ahead as long as that pays.
      const next = rolled === undefined ? `${last.name}${lowestCharacter}` : behindPrefix(rolled);
      if (next === undefined || !next.startsWith(query.prefix)) break;
      from = next;
      if (!flat) ahead = rolled === undefined || rolled === last.name ? ahead * 2 : Math.max(aheadMin, ahead / 2);
    }
    const next = items.length > query.limit ? items.pop()?.name : undefined;
    return { kind: 'ok', container, items, next };
  });
}

// No name holds U+0000, and keys of uploads end in it: it would find the name again.
const lowestCharacter = '\u0001';

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
}

/** The next names from `from` on: committed ones and, if asked, those with only staged blocks, merged. */
async function nextNames(view: View, root: Buffer, query: ListQuery, from: string, limit: number): Promise<Names> {
  const committed = await walk(view, root, query, from, limit);
  if (!query.uncommitted) return committed;
  const rows = await view.scan(keys.uploadsFrom(root, query.prefix, from), { limit });
  const merged = new Map<string, Listed>();
  for (const row of rows) {
    const name = keys.uploadNameOf(row.key);
    merged.set(name, { kind: 'uncommitted', name });
  }
  for (const listed of committed.names) merged.set(listed.name, listed);
  const names = [...merged.values()].sort((a, b) => compareNames(a.name, b.name));
  return { names: names.slice(0, limit), ended: committed.ended && rows.length < limit && names.length <= limit };
}

interface Level {
  readonly directory: Buffer;
  /** The full name of the directory, with its final "/". */
  readonly path: string;
  start: Buffer;
  readonly end: Buffer;
  /** Rows that were read ahead, from `next` on; a child directory is walked before the rest of them. */
  rows: readonly Item[];
  next: number;
  ended: boolean;
}

const readAheadMax = 1000;

/** Walks the tree in order: a directory's row stands where its children's full names belong. */
async function walk(view: View, root: Buffer, query: ListQuery, from: string, limit: number): Promise<Names> {
  const names: Listed[] = [];
  const stack = await openLevels(view, root, query.prefix, from);
  // With "/" as delimiter a directory below the prefix is a name of its own: it is not walked.
  const rollsDirectories = query.delimiter === '/';
  while (names.length < limit) {
    const level = stack.at(-1);
    if (level === undefined) return { names, ended: true };
    const row = level.rows[level.next++] ?? (await readAhead(view, level, limit - names.length));
    if (row === undefined) {
      stack.pop();
      continue;
    }
    const name = keys.entryNameOf(row.key);
    if (!name.endsWith('/')) {
      names.push({ kind: 'entry', name: level.path + name, entry: decodeEntry(row.value) });
      continue;
    }
    const directory = Buffer.from(decodeRecord<DirectoryRecord>(row.value).id, 'hex');
    const path = level.path + name;
    if (!rollsDirectories || path.length <= query.prefix.length) stack.push(levelOf(directory, path));
    else if (await holdsEntry(view, directory)) names.push({ kind: 'prefix', name: path });
  }
  return { names, ended: false };
}

function levelOf(directory: Buffer, path: string, prefix = ''): Level {
  const { start, end } = keys.children(directory, prefix);
  return { directory, path, start: Buffer.from(start), end: Buffer.from(end), rows: [], next: 0, ended: false };
}

async function readAhead(view: View, level: Level, wanted: number): Promise<Item | undefined> {
  if (level.ended) return undefined;
  const limit = Math.min(wanted, readAheadMax);
  level.rows = await view.scan({ start: level.start, end: level.end }, { limit });
  level.next = 1;
  level.ended = level.rows.length < limit;
  const last = level.rows.at(-1);
  if (last !== undefined) level.start = after(last.key);
  return level.rows[0];
}

/** The directories on the way to `from` (which begins with the prefix), each set to go on behind it. */
async function openLevels(view: View, root: Buffer, prefix: string, from: string): Promise<Level[]> {
  const slash = prefix.lastIndexOf('/');
  const basePath = prefix.slice(0, slash + 1);
  const base = slash === -1 ? root : await findDirectory(view, root, prefix.slice(0, slash));
  if (base === undefined) return [];
  const stack: Level[] = [levelOf(base, basePath, prefix.slice(slash + 1))];
  let rest = from.slice(basePath.length);
  for (;;) {
    const level = stack.at(-1) as Level;
    const next = rest.indexOf('/');
    const segment = next === -1 ? rest : rest.slice(0, next);
    const start = next === -1 ? keys.entry(level.directory, segment) : keys.directory(level.directory, segment);
    if (Buffer.compare(start, level.start) > 0) level.start = start;
    if (next === -1) return stack;
    const found = await view.get(keys.directory(level.directory, segment));
    // The directory itself is walked from within; this level goes on behind it.
    if (found === undefined) return stack;
    level.start = after(start);
    const directory = Buffer.from(decodeRecord<DirectoryRecord>(found).id, 'hex');
    stack.push(levelOf(directory, `${level.path}${segment}/`));
    rest = rest.slice(next + 1);
  }
}

/** Whether anything stands below: directories that lost their last entry wait a moment for the background to remove them. */
async function holdsEntry(view: View, directory: Buffer): Promise<boolean> {
  let { start, end } = keys.children(directory);
  for (;;) {
    const rows = await view.scan({ start, end }, { limit: 4 });
    for (const row of rows) {
      if (!keys.entryNameOf(row.key).endsWith('/')) return true;
      if (await holdsEntry(view, Buffer.from(decodeRecord<DirectoryRecord>(row.value).id, 'hex'))) return true;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < 4) return false;
    start = after(last.key);
  }
}
