// Which pages of a page blob were written, and which changed since a snapshot of it.
import type { View } from '../metadata/engine.ts';
import { readContainer } from './containers.ts';
import { containerNotFound, type EntryAccess, type EntryTime, entryNotFound, readEntry } from './entries.ts';
import type { Failure } from './failure.ts';
import { checkLeaseForRead } from './leases.ts';
import {
  addSpan,
  contentOf,
  cutRegion,
  cutRun,
  differences,
  type Region,
  regionsBetween,
  type Span,
} from './page-regions.ts';
import { checkRead } from './preconditions.ts';
import type { Entry, EntryRecord } from './records.ts';
import { checkPermit, checkState } from './states.ts';
import type { Store } from './store.ts';

export interface PageQuery extends EntryAccess {
  readonly offset: number;
  /** Undefined: up to the end. */
  readonly length: number | undefined;
  /** No more ranges than this. */
  readonly limit: number;
  /** A snapshot: what is asked for is what changed since. */
  readonly since?: EntryTime;
}

export interface PageList {
  readonly kind: 'ok';
  readonly entry: Entry;
  readonly written: readonly Span[];
  /** With `since`: what had pages then, and has none now. */
  readonly cleared: readonly Span[];
  /** Where the ranges that are left begin. */
  readonly next: number | undefined;
}

/** Get Page Ranges, and with `since` their difference. */
export function listPages(store: Store, query: PageQuery): Promise<PageList | Failure> {
  return store.engine.snapshot(async (view): Promise<PageList | Failure> => {
    const container = await readContainer(view, query);
    if (container === undefined) return containerNotFound;
    const entry = await readEntry(view, container, query.name, query.at);
    if (entry === undefined) return entryNotFound;
    const { record } = entry;
    const permitted = checkPermit(query.permit, record);
    if (permitted.kind !== 'ok') return permitted;
    if (query.leaseId !== undefined) {
      const lease = checkLeaseForRead(record.lease, query.leaseId, store.clock.now(), 'entry');
      if (lease.kind !== 'ok') return lease;
    }
    const verdict = checkRead(query.conditions, record);
    if (verdict.kind !== 'ok') return verdict;
    const state = checkState('list-pages', record);
    if (state.kind !== 'ok') return state;
    if (query.offset > 0 && query.offset >= record.length) return { kind: 'page-range' };
    const to = Math.min(record.length, query.length === undefined ? record.length : query.offset + query.length);
    if (query.since === undefined) return await collect(query, entry, writtenRuns(view, record, query.offset, to));
    const previous = await readEntry(view, container, query.name, query.since);
    if (previous?.record.type !== 'page') return { kind: 'previous-snapshot' };
    return await collect(query, entry, changedRuns(view, previous.record, record, query.offset, to));
  });
}

interface Marked {
  readonly written: boolean;
  readonly start: number;
  readonly end: number;
}

async function collect(query: PageQuery, entry: Entry, found: AsyncIterable<Marked>): Promise<PageList> {
  const written: Span[] = [];
  const cleared: Span[] = [];
  for await (const { written: isWritten, start, end } of found) {
    const spans = isWritten ? written : cleared;
    // One more could still belong to the last range.
    if (written.length + cleared.length === query.limit && spans.at(-1)?.end !== start) {
      return { kind: 'ok', entry, written, cleared, next: start };
    }
    addSpan(spans, start, end);
  }
  return { kind: 'ok', entry, written, cleared, next: undefined };
}

async function* writtenRuns(
  view: View,
  record: EntryRecord,
  from: number,
  to: number,
): AsyncGenerator<Marked, void, undefined> {
  for await (const { runs } of regionsBetween(view, contentOf(record), from, to)) {
    for (const run of runs) {
      const cut = cutRun(run, from, to);
      if (cut !== undefined) yield { written: true, start: cut.at, end: cut.at + cut.piece.length };
    }
  }
}

const nothing = { runs: [], cleared: [] } as const;

async function* changedRuns(
  view: View,
  before: EntryRecord,
  now: EntryRecord,
  from: number,
  to: number,
): AsyncGenerator<Marked, void, undefined> {
  if (before.contentId === now.contentId) return;
  const olds = regionsBetween(view, contentOf(before), from, to);
  const news = regionsBetween(view, contentOf(now), from, to);
  let old = await olds.next();
  let current = await news.next();
  while (!old.done || !current.done) {
    const number = Math.min(
      old.done ? Number.MAX_SAFE_INTEGER : old.value.number,
      current.done ? Number.MAX_SAFE_INTEGER : current.value.number,
    );
    const cut = (region: IteratorResult<Region, void>): ReturnType<typeof cutRegion> =>
      region.done || region.value.number !== number ? nothing : cutRegion(region.value, from, to);
    yield* differences(cut(old), cut(current));
    if (!old.done && old.value.number === number) old = await olds.next();
    if (!current.done && current.value.number === number) current = await news.next();
  }
}
