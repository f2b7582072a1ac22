// The pages of a page blob as rows: intervals of bytes that were written, cut where newer ones lie. What has none is zeros.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogPiece } from '../content/extent.ts';
import type { View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { decodeRecord, type EntryRecord, encodeRecord, numbersAPiece, packPieces, unpackPieces } from './records.ts';

/** Pages are read and written by whole numbers of these. */
export const pageBytes = 512;
/** A row holds the pages of so many bytes: what a write has to read and write again. */
export const regionBytes = 1024 * 1024;

/** `piece.length` bytes of the blob from `at` on. */
export interface PageRun {
  readonly at: number;
  readonly piece: LogPiece;
}

export interface Region {
  readonly number: number;
  /** In the order of their places; none overlaps another. */
  readonly runs: readonly PageRun[];
  /** What was written once and cleared since the content was forked: for lists of what changed since a snapshot. */
  readonly cleared?: readonly Span[];
}

const endOf = ({ at, piece }: PageRun): number => at + piece.length;

/** The part of a run within `from` and `to`; undefined where it has none. */
export function cutRun(run: PageRun, from: number, to: number): PageRun | undefined {
  const { at, piece } = run;
  const start = Math.max(at, from);
  const end = Math.min(endOf(run), to);
  if (start >= end) return undefined;
  if (start === at && end === endOf(run)) return run;
  return { at: start, piece: { ...piece, start: piece.start + start - at, length: end - start } };
}

/** The runs with `fresh` in the place of whatever lies from `from` to `to`. */
export function replaceRuns(
  runs: readonly PageRun[],
  from: number,
  to: number,
  fresh: readonly PageRun[],
): readonly PageRun[] {
  const before: PageRun[] = [];
  const behind: PageRun[] = [];
  for (const run of runs) {
    const left = cutRun(run, 0, from);
    const right = cutRun(run, to, Number.MAX_SAFE_INTEGER);
    if (left !== undefined) before.push(left);
    if (right !== undefined) behind.push(right);
  }
  return [...before, ...fresh, ...behind];
}

/** Pieces in a row from `offset` on, cut where a region ends. */
export function layOut(pieces: readonly LogPiece[], offset: number): PageRun[] {
  const runs: PageRun[] = [];
  let at = offset;
  for (const piece of pieces) {
    const whole = { at, piece };
    for (let from = at; from < endOf(whole); from = regionEnd(from)) {
      runs.push(cutRun(whole, from, regionEnd(from)) as PageRun);
    }
    at = endOf(whole);
  }
  return runs;
}

export function regionOf(offset: number): number {
  return Math.floor(offset / regionBytes);
}

function regionEnd(offset: number): number {
  return (regionOf(offset) + 1) * regionBytes;
}

interface RegionRow {
  /** Seven numbers a run: its place in the region, and its piece. */
  readonly pages: readonly number[];
  /** Start and end in the region, in turn. */
  readonly cleared?: readonly number[];
}

export function encodeRegion({ number, runs, cleared = [] }: Region): Buffer {
  const base = number * regionBytes;
  const pages: number[] = [];
  for (const { at, piece } of runs) pages.push(at - base, ...packPieces([piece]));
  const spans = cleared.flatMap(({ start, end }) => [start - base, end - base]);
  return encodeRecord({ pages, ...(spans.length > 0 && { cleared: spans }) } satisfies RegionRow);
}

export function decodeRegion(number: number, value: Uint8Array): Region {
  const { pages, cleared = [] } = decodeRecord<RegionRow>(value);
  const base = number * regionBytes;
  const runs: PageRun[] = [];
  for (let i = 0; i < pages.length; i += 1 + numbersAPiece) {
    const [piece] = unpackPieces(pages.slice(i + 1, i + 1 + numbersAPiece)) as [LogPiece];
    runs.push({ at: base + (pages[i] as number), piece });
  }
  if (cleared.length === 0) return { number, runs };
  const spans: Span[] = [];
  for (let i = 0; i < cleared.length; i += 2) {
    spans.push({ start: base + (cleared[i] as number), end: base + (cleared[i + 1] as number) });
  }
  return { number, runs, cleared: spans };
}

/** Whether the runs of a region are in order, within it, and clear of each other; what has pages begins and ends with one. */
export function isSound({ number, runs, cleared = [] }: Region): boolean {
  if (runs.length === 0 && cleared.length === 0) return false;
  if (cleared.some((span) => runs.some((run) => cutRun(run, span.start, span.end) !== undefined))) return false;
  let end = number * regionBytes;
  for (const run of runs) {
    const isGap = run.at > end && run.at % pageBytes === 0 && end % pageBytes === 0;
    if (run.piece.length <= 0 || (run.at !== end && !isGap)) return false;
    end = endOf(run);
  }
  return end <= (number + 1) * regionBytes && end % pageBytes === 0;
}

/** At most so many rows come at once: of a blob of small pages a row is some hundred kilobytes long. */
const rowsAtOnce = 16;

/** After so many rows others have a turn: a long blob may have millions of them. */
const rowsATurn = 16 * rowsAtOnce;

/** The regions that have a row, from the one of `from` up to that before `to`; their runs are whole. */
export async function* regionsBetween(
  view: View,
  content: Uint8Array,
  from: number,
  to: number,
): AsyncGenerator<Region, void, undefined> {
  if (from >= to) return;
  let start = keys.pages(content, regionOf(from));
  const end = keys.pages(content, regionOf(to - 1) + 1);
  for (let seen = rowsAtOnce; ; seen += rowsAtOnce) {
    const rows = await view.scan({ start, end }, { limit: rowsAtOnce });
    for (const { key, value } of rows) yield decodeRegion(keys.regionOf(key), value);
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsAtOnce) return;
    start = after(last.key);
    if (seen % rowsATurn === 0) await nextTurn();
  }
}

export function contentOf(record: EntryRecord): Buffer {
  return Buffer.from(record.contentId as string, 'hex');
}

export interface RunsFound {
  readonly runs: readonly PageRun[];
  /** As far as was looked. */
  readonly to: number;
}

/** The runs from `from` on, of so many regions that have any and at most up to `end`; undefined where the content is gone. */
export async function pageRuns(
  view: View,
  record: EntryRecord,
  from: number,
  end: number,
  regionsMax: number,
): Promise<RunsFound | undefined> {
  const content = contentOf(record);
  if ((await view.get(keys.pieces(content, 0))) === undefined) return undefined;
  const found: PageRun[] = [];
  let regions = 0;
  for await (const { number, runs } of regionsBetween(view, content, from, end)) {
    for (const run of runs) {
      const cut = cutRun(run, from, end);
      if (cut !== undefined) found.push(cut);
    }
    if (++regions === regionsMax) return { runs: found, to: Math.min(end, (number + 1) * regionBytes) };
  }
  return { runs: found, to: end };
}

/** How far from `from` on there are so many regions; at most up to `to`. */
export async function endOfRegions(
  view: View,
  content: Uint8Array,
  from: number,
  to: number,
  count: number,
): Promise<number> {
  let start = keys.pages(content, regionOf(from));
  const end = keys.pages(content, regionOf(to - 1) + 1);
  for (let left = count; ; ) {
    const rows = await view.scan({ start, end }, { limit: Math.min(left, rowsAtOnce) });
    left -= rows.length;
    const last = rows.at(-1);
    if (last === undefined || (rows.length < rowsAtOnce && left > 0)) return to;
    if (left === 0) return Math.min(to, (keys.regionOf(last.key) + 1) * regionBytes);
    start = after(last.key);
  }
}

export interface Span {
  readonly start: number;
  /** The first byte behind it. */
  end: number;
}

/** Joins what touches. */
export function addSpan(spans: Span[], start: number, end: number): void {
  const last = spans.at(-1);
  if (last !== undefined && last.end === start) last.end = end;
  else spans.push({ start, end });
}

/** In order, and joined where they touch. */
export function joinSpans(spans: readonly Span[]): Span[] {
  const joined: Span[] = [];
  for (const { start, end } of spans.toSorted((a, b) => a.start - b.start)) addSpan(joined, start, end);
  return joined;
}

/** The spans without what lies in any of `holes`; both are in order. */
export function subtractSpans(spans: readonly Span[], holes: readonly Span[]): Span[] {
  const left: Span[] = [];
  for (const { start, end } of spans) {
    let from = start;
    for (const hole of holes) {
      if (hole.end <= from || hole.start >= end) continue;
      if (hole.start > from) left.push({ start: from, end: hole.start });
      from = Math.max(from, hole.end);
    }
    if (from < end) left.push({ start: from, end });
  }
  return left;
}

export const spanOf = ({ at, piece }: PageRun): Span => ({ start: at, end: at + piece.length });

export function cutSpan({ start, end }: Span, from: number, to: number): Span | undefined {
  const cut = { start: Math.max(start, from), end: Math.min(end, to) };
  return cut.start < cut.end ? cut : undefined;
}

export interface Difference {
  readonly written: boolean;
  readonly start: number;
  readonly end: number;
}

/** The part of a region within `from` and `to`. */
export function cutRegion(region: Region, from: number, to: number): Required<Omit<Region, 'number'>> {
  return {
    runs: region.runs.flatMap((run) => cutRun(run, from, to) ?? []),
    cleared: (region.cleared ?? []).flatMap((span) => cutSpan(span, from, to) ?? []),
  };
}

/** Where a region is another than before: written since, or cleared, be it that it was written in between. */
export function differences(
  before: Required<Omit<Region, 'number'>>,
  now: Required<Omit<Region, 'number'>>,
): Difference[] {
  const known = [...before.cleared, ...before.runs.map(spanOf)].sort((a, b) => a.start - b.start);
  const between = subtractSpans(now.cleared, known).map((span) => ({ written: false, ...span }));
  return [...differentRuns(before.runs, now.runs), ...between].sort((a, b) => a.start - b.start);
}

function differentRuns(before: readonly PageRun[], now: readonly PageRun[]): Difference[] {
  const found: Difference[] = [];
  const edges = new Set<number>();
  for (const run of [...before, ...now]) edges.add(run.at).add(endOf(run));
  const sorted = [...edges].sort((a, b) => a - b);
  let b = 0;
  let n = 0;
  for (let i = 0; i + 1 < sorted.length; i++) {
    const [start, end] = [sorted[i] as number, sorted[i + 1] as number];
    while (b < before.length && endOf(before[b] as PageRun) <= start) b++;
    while (n < now.length && endOf(now[n] as PageRun) <= start) n++;
    const old = before[b] && cutRun(before[b] as PageRun, start, end);
    const current = now[n] && cutRun(now[n] as PageRun, start, end);
    if (current !== undefined && (old === undefined || !isSamePlace(old.piece, current.piece))) {
      found.push({ written: true, start, end });
    } else if (current === undefined && old !== undefined) found.push({ written: false, start, end });
  }
  return found;
}

function isSamePlace(one: LogPiece, other: LogPiece): boolean {
  return one.segment === other.segment && one.offset === other.offset && one.start === other.start;
}
