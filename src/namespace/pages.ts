// Page blobs: made, written and cleared by pages, resized, numbered. Which pages they have: see `page-list.ts`.
import type { LogPiece } from '../content/extent.ts';
import type { Txn, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { countUsage, readContainer } from './containers.ts';
import { type ContentFields, settleOwners } from './contents.ts';
import {
  type Edit,
  type EntryChange,
  type EntryOutcome,
  type EntryWrite,
  openForChange,
  openForWrite,
  readEntry,
  replaceContent,
  touched,
} from './entries.ts';
import { putCurrent } from './entry-rows.ts';
import type { Failure } from './failure.ts';
import { changeOwned, type Owning, type Shared } from './fork.ts';
import { type Body, discard, ingest } from './ingest.ts';
import {
  contentOf,
  cutRun,
  encodeRegion,
  endOfRegions,
  joinSpans,
  layOut,
  type PageRun,
  pageBytes,
  type Region,
  regionOf,
  regionsBetween,
  replaceRuns,
  spanOf,
  subtractSpans,
} from './page-regions.ts';
import { type Entry, type EntryEncryption, type EntryRecord, encodeRecord } from './records.ts';
import { isSameEncryption } from './scopes.ts';
import { change, type Store } from './store.ts';

/** 8 TiB ("Put Blob", x-ms-blob-content-length). */
export const pageBlobBytesMax = 8 * 2 ** 40;

/** So many regions are cleared in one transaction; a range of more takes several. */
const regionsAtOnce = 256;

/** Whether an offset or a length is one of whole pages. */
export function isPageAligned(value: number): boolean {
  return value % pageBytes === 0;
}

/** Put Blob of a page blob: all zeros, but for `runs`, whose pieces are the caller's to drop if it fails. */
export function createPages(
  store: Store,
  command: EntryWrite & { readonly length: number; readonly runs?: readonly PageRun[] },
): Promise<EntryOutcome> {
  return change<EntryOutcome>(store, async (txn) => {
    const target = await openForWrite(store, txn, command, 'page');
    if (target.kind !== 'ok') return target;
    const fields = newPages(store, txn, command.length, command.runs ?? []);
    const attributes = { ...command.attributes, type: 'page', sequence: command.attributes.sequence ?? 0 } as const;
    return replaceContent(store, txn, { ...command, attributes }, target, { fields, inline: undefined });
  });
}

/** The rows of a new content. Its mark is what a reader looks for: without it, missing rows are not zeros, but gone. */
function newPages(store: Store, txn: Txn, length: number, given: readonly PageRun[]): ContentFields {
  const id = store.ids.next();
  txn.put(keys.pieces(id, 0), encodeRecord({ pieces: [], pages: true }));
  const runs = given.flatMap(({ at, piece }) => layOut([piece], at));
  settleOwners(store, txn, piecesOf(given), piecesOf(runs));
  for (const [number, own] of Map.groupBy(runs, ({ at }) => regionOf(at))) {
    txn.put(keys.pages(id, number), encodeRegion({ number, runs: own }));
  }
  return { length, contentId: id.toString('hex') };
}

function piecesOf(runs: readonly PageRun[]): LogPiece[] {
  return runs.map(({ piece }) => piece);
}

/** x-ms-if-sequence-number-le, -lt, -eq. */
export interface SequenceConditions {
  readonly atMost?: number;
  readonly below?: number;
  readonly equal?: number;
}

function meets({ atMost, below, equal }: SequenceConditions, sequence: number): boolean {
  return (
    (atMost === undefined || sequence <= atMost) &&
    (below === undefined || sequence < below) &&
    (equal === undefined || sequence === equal)
  );
}

export interface PageChange extends EntryChange {
  readonly offset: number;
  readonly length: number;
  readonly sequence: SequenceConditions;
}

export type PutPagesOutcome =
  | { readonly kind: 'ok'; readonly entry: Entry; readonly md5: Buffer | undefined; readonly crc64: bigint }
  | Failure;

/** Put Page with bytes: `length` of them. The blob's encryption must be that of the body. */
export async function putPages(
  store: Store,
  command: PageChange & { readonly body: Body; readonly encryption?: EntryEncryption },
): Promise<PutPagesOutcome> {
  const ingested = await ingest(store, command.body, true);
  if (ingested.kind !== 'ok') return ingested;
  const { content } = ingested;
  const outcome = await changeOwned(store, command.held, (txn, owning) =>
    writePages(store, txn, owning, { ...command, pieces: content.pieces }),
  );
  if (outcome.kind !== 'ok') {
    await discard(store, content.pieces);
    return outcome;
  }
  return { kind: 'ok', entry: outcome.entry, md5: content.md5, crc64: content.crc64 };
}

/** A step of work that takes several transactions. */
interface GoingOn {
  /** The blob as the step before saw or left it: what has taken its name since is not touched. */
  readonly before?: EntryRecord;
  /** What is cleared will lie behind the blob's end: nothing remembers it. */
  readonly isCutOff?: true;
}

/** Put Page without bytes. The conditions hold for the first of the transactions that a range of many pages takes. */
export async function clearPages(store: Store, command: PageChange & GoingOn): Promise<EntryOutcome> {
  const end = command.offset + command.length;
  let { before } = command;
  for (let from = command.offset; ; ) {
    const to = await store.engine.snapshot((view) => endOfStep(view, command, from, end));
    const length = to - from;
    // The first looks at the range as a whole: if it is refused, nothing changed.
    const step: PageWrite =
      from === command.offset
        ? { ...command, length, within: end }
        : { ...command, conditions: {}, sequence: {}, offset: from, length, ...(before && { before }) };
    const outcome = await changeOwned(store, command.held, (txn, owning) => writePages(store, txn, owning, step));
    if (outcome.kind !== 'ok' || to === end) return outcome;
    before = outcome.entry.record;
    from = to;
  }
}

async function endOfStep(view: View, command: PageChange, from: number, end: number): Promise<number> {
  const container = await readContainer(view, command);
  const entry = container && (await readEntry(view, container, command.name));
  return entry?.record.type === 'page'
    ? await endOfRegions(view, contentOf(entry.record), from, end, regionsAtOnce)
    : end;
}

interface PageWrite extends PageChange, GoingOn {
  /** Absent: the pages are cleared. */
  readonly pieces?: readonly LogPiece[];
  readonly encryption?: EntryEncryption;
  /** The blob must be so long; by default the end of what is written. */
  readonly within?: number;
}

async function writePages(store: Store, txn: Txn, owning: Owning, command: PageWrite): Promise<EntryOutcome | Shared> {
  const target = await openForChange(store, txn, command, 'change-pages');
  if (target.kind !== 'ok') return target;
  const { existing, spot } = target;
  const { record } = existing;
  const { offset, length, pieces = [] } = command;
  if (!isStillThat(record, command.before)) return { kind: 'contended' };
  if (!meets(command.sequence, record.sequence ?? 0)) return { kind: 'sequence-number' };
  if ((command.within ?? offset + length) > record.length) return { kind: 'page-range' };
  if (command.pieces !== undefined && !isSameEncryption(record.encryption, command.encryption)) {
    return { kind: 'encryption-mismatch' };
  }
  const contentId = await owning.contentId(txn, record);
  if (typeof contentId !== 'string') return contentId;
  const changed = changedPages(record, contentId);
  const remembering = command.isCutOff === true ? { ...changed, isForked: false } : changed;
  await changeRuns(store, txn, remembering, offset, offset + length, pieces);
  const entry: Entry = { record: touched(store, changed), inline: undefined };
  putCurrent(store, txn, spot, record, entry, 'entry-changed');
  return { kind: 'ok', entry };
}

function isStillThat(record: EntryRecord, before: EntryRecord | undefined): boolean {
  return before === undefined || (record.id === before.id && record.generation === before.generation);
}

function changedPages(record: EntryRecord, contentId: string): EntryRecord {
  const isForked = record.isForked === true || contentId !== record.contentId;
  return { ...record, contentId, pageChanges: (record.pageChanges ?? 0) + 1, ...(isForked && { isForked: true }) };
}

/** Of forked content it is kept what was cleared: a snapshot may be compared with it. */
async function changeRuns(
  store: Store,
  txn: Txn,
  record: { readonly contentId?: string; readonly isForked?: boolean },
  from: number,
  to: number,
  pieces: readonly LogPiece[],
): Promise<void> {
  const content = Buffer.from(record.contentId as string, 'hex');
  const fresh = Map.groupBy(layOut(pieces, from), ({ at }) => regionOf(at));
  const regions = new Map<number, Region>();
  for await (const region of regionsBetween(txn, content, from, to)) regions.set(region.number, region);
  for (const number of fresh.keys()) if (!regions.has(number)) regions.set(number, { number, runs: [] });
  const lost: LogPiece[] = [...pieces];
  const named: PageRun[] = [];
  for (const { number, runs, cleared = [] } of regions.values()) {
    const next = replaceRuns(runs, from, to, fresh.get(number) ?? []);
    for (const { piece } of runs) lost.push(piece);
    named.push(...next);
    const isMarked = pieces.length === 0 && record.isForked === true;
    const marked = isMarked
      ? joinSpans([...cleared, ...runs.flatMap((run) => cutRun(run, from, to) ?? []).map(spanOf)])
      : subtractSpans(cleared, [{ start: from, end: to }]);
    if (next.length === 0 && marked.length === 0) txn.delete(keys.pages(content, number));
    else txn.put(keys.pages(content, number), encodeRegion({ number, runs: next, cleared: marked }));
  }
  // Each interval owns its extent.
  settleOwners(store, txn, lost, piecesOf(named));
}

/** What Set Blob Properties does to a page blob besides. */
export interface PageProperties {
  readonly length?: number;
  readonly sequence?: { readonly action: 'max' | 'update'; readonly number: number } | { readonly action: 'increment' };
}

/** Changes the length and the sequence number, and the record as `edit` says. What lies behind the new end is cleared first. */
export async function changePages(
  store: Store,
  command: EntryChange,
  { length, sequence }: PageProperties,
  edit: Edit,
): Promise<EntryOutcome> {
  let { conditions } = command;
  let before: EntryRecord | undefined;
  if (length !== undefined) {
    const cut = await cutOff(store, command, length, edit);
    if (cut.kind !== 'ok') return cut;
    if (cut.left !== undefined) conditions = {};
    before = cut.left;
  }
  return await changeOwned(store, command.held, async (txn, owning): Promise<EntryOutcome | Shared> => {
    const target = await openForChange(store, txn, { ...command, conditions }, 'change-pages');
    if (target.kind !== 'ok') return target;
    const { existing, spot, container } = target;
    if (!isStillThat(existing.record, before)) return { kind: 'contended' };
    const edited = edit(existing.record, container);
    if ('kind' in edited) return edited;
    let record = edited;
    if (length !== undefined && length < record.length) {
      const contentId = await owning.contentId(txn, record);
      if (typeof contentId !== 'string') return contentId;
      const { length: end } = record;
      record = changedPages(record, contentId);
      await changeRuns(store, txn, { ...record, isForked: false }, length, end, []);
    }
    if (length !== undefined) {
      countUsage(txn, container, length - record.length);
      record = { ...record, length };
    }
    if (sequence !== undefined) record = { ...record, sequence: numbered(record.sequence ?? 0, sequence) };
    const entry: Entry = { record: touched(store, record), inline: undefined };
    putCurrent(store, txn, spot, existing.record, entry, 'entry-changed');
    return { kind: 'ok', entry };
  });
}

/**
 * Clears what would be too much for the transaction that makes the blob shorter, under its conditions; `left`: the blob as
 * that left it.
 */
async function cutOff(
  store: Store,
  command: EntryChange,
  length: number,
  edit: Edit,
): Promise<{ readonly kind: 'ok'; readonly left: EntryRecord | undefined } | Failure> {
  const looked = await store.engine.snapshot((view) => openForChange(store, view, command, 'change-pages'));
  if (looked.kind !== 'ok') return looked;
  const { record } = looked.existing;
  const end = record.length;
  const edited = edit(record, looked.container);
  if ('kind' in edited) return edited;
  if (length >= end) return { kind: 'ok', left: undefined };
  const offset = await store.engine.snapshot((view) =>
    endOfRegions(view, contentOf(record), length, end, regionsAtOnce),
  );
  if (offset === end) return { kind: 'ok', left: undefined };
  const cleared = await clearPages(store, {
    ...command,
    offset,
    length: end - offset,
    sequence: {},
    before: record,
    isCutOff: true,
  });
  return cleared.kind === 'ok' ? { kind: 'ok', left: cleared.entry.record } : cleared;
}

function numbered(now: number, change: NonNullable<PageProperties['sequence']>): number {
  switch (change.action) {
    case 'increment':
      return now + 1;
    case 'max':
      return Math.max(now, change.number);
    case 'update':
      return change.number;
  }
}
