// Get Page Ranges: which pages of a page blob were written, or, against a snapshot, which changed since.

import { requestedRange } from '../../codec/http-range.ts';
import { formatTicks, parseTicks } from '../../codec/ticks.ts';
import { xmlDeclaration, xmlElement } from '../../codec/xml-write.ts';
import type { EntryTime } from '../../namespace/entries.ts';
import { listPages } from '../../namespace/page-list.ts';
import type { Span } from '../../namespace/page-regions.ts';
import { isPageAligned } from '../../namespace/pages.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError, notModified } from './errors.ts';
import { headerError, readConditions } from './headers-in.ts';
import { stamp } from './headers-out.ts';
import { queryError } from './list-parameters.ts';
import { one, parseQuery } from './request.ts';

const rangesMax = 10_000;

export async function getPageRanges(call: BlobCall): Promise<Answer> {
  const { query, headers } = call;
  const access = blobChange(call, true, readConditions);
  const since = previousSnapshot(call);
  if (since !== undefined && access.at?.kind === 'snapshot' && access.at.time < since.time) {
    throw new BlobError('PreviousSnapshotCannotBeNewer');
  }
  const range = requestedRange(headers);
  const asked = range.kind === 'none' ? { start: 0, end: undefined } : range;
  const marker = one(query, 'marker');
  // Whole pages, whatever the range cuts.
  const start = Math.max(asked.start - (asked.start % 512), parseMarker(marker));
  const end = asked.end === undefined ? undefined : asked.end + 1 + ((512 - ((asked.end + 1) % 512)) % 512);
  const most = one(query, 'maxresults');
  const limit = rangeLimit(most);
  const outcome = await listPages(call.store, {
    ...access,
    offset: start,
    length: end === undefined ? undefined : Math.max(0, end - start),
    limit,
    ...(since && { since }),
  });
  if (outcome.kind === 'not-modified') return notModified();
  if (outcome.kind === 'page-range') throw new BlobError('InvalidRange');
  if (outcome.kind !== 'ok') throw failureError(outcome);
  const { record } = outcome.entry;
  const marked = [
    ...outcome.written.map((span) => ({ name: 'PageRange', span })),
    ...outcome.cleared.map((span) => ({ name: 'ClearRange', span })),
  ].sort((a, b) => a.span.start - b.span.start);
  let body = `${xmlDeclaration}<PageList>`;
  for (const { name, span } of marked) body += rangeXml(name, span);
  // In parts there is always one, which is empty in the end; a list in one part has none, and older clients take none.
  const isInParts = most !== undefined || marker !== undefined || outcome.next !== undefined;
  if (isInParts) body += xmlElement('NextMarker', outcome.next?.toString());
  body += '</PageList>';
  return {
    status: 200,
    headers: { ...stamp(record), 'x-ms-blob-content-length': record.length, 'Content-Type': 'application/xml' },
    body,
  };
}

function rangeXml(name: string, { start, end }: Span): string {
  return `<${name}><Start>${start}</Start><End>${end - 1}</End></${name}>`;
}

function parseMarker(marker: string | undefined): number {
  if (marker === undefined || marker === '') return 0;
  const offset = /^\d{1,15}$/.test(marker) ? Number(marker) : Number.NaN;
  if (!isPageAligned(offset)) throw queryError('marker', marker);
  return offset;
}

function rangeLimit(text: string | undefined): number {
  if (text === undefined || text === '') return rangesMax;
  const given = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(given)) throw queryError('maxresults', text);
  if (given === 0) throw new BlobError('OutOfRangeQueryParameterValue', { QueryParameterName: 'maxresults' });
  return Math.min(given, rangesMax);
}

/** `prevsnapshot`, or `x-ms-previous-snapshot-url`, which must be of this blob. */
function previousSnapshot(call: BlobCall): EntryTime | undefined {
  const time = one(call.query, 'prevsnapshot');
  const url = call.headers['x-ms-previous-snapshot-url'];
  if (time !== undefined && time !== '') return snapshotTime(time, () => queryError('prevsnapshot', time));
  if (url === undefined || url === '') return undefined;
  const invalid = (): BlobError => headerError('x-ms-previous-snapshot-url', url);
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const given = parsed && one(parseQuery(parsed.search.slice(1)), 'snapshot');
  if (parsed === undefined || given === undefined) throw invalid();
  if (decodePath(parsed.pathname) !== decodePath(call.rawPath)) throw new BlobError('PreviousSnapshotNotFound');
  return snapshotTime(given, invalid);
}

function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function snapshotTime(text: string, invalid: () => BlobError): EntryTime {
  const ticks = parseTicks(text);
  if (ticks === undefined) throw invalid();
  return { kind: 'snapshot', time: formatTicks(ticks) };
}
