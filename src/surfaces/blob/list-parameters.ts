// The query parameters that List Containers and List Blobs share: page size, include, marker.
import { BlobError } from './errors.ts';
import { one, type Query } from './request.ts';

export const pageItemsMax = 5000;

export function queryError(name: string, value: string, reason?: string): BlobError {
  return new BlobError('InvalidQueryParameterValue', {
    QueryParameterName: name,
    QueryParameterValue: value,
    ...(reason !== undefined && { Reason: reason }),
  });
}

/** `maxresults`: what is beyond 5,000 means 5,000; nought or less is refused. */
export function pageLimit(query: Query): { readonly limit: number; readonly given: number | undefined } {
  const text = one(query, 'maxresults');
  if (text === undefined || text === '') return { limit: pageItemsMax, given: undefined };
  if (!/^[+-]?\d{1,10}$/.test(text)) throw queryError('maxresults', text, 'Invalid number.');
  const given = Number(text);
  if (given < 1 || given > 0x7fff_ffff) {
    throw new BlobError('OutOfRangeQueryParameterValue', {
      QueryParameterName: 'maxresults',
      QueryParameterValue: text,
      MinimumAllowed: '1',
      MaximumAllowed: `${0x7fff_ffff}`,
    });
  }
  return { limit: Math.min(given, pageItemsMax), given };
}

/** `include`: a list with commas, or the parameter several times. Who decides and who lists read it by this alone. */
export function included(query: Query): ReadonlySet<string> {
  const found = new Set<string>();
  for (const text of query.get('include') ?? []) {
    for (const part of text.split(',')) {
      const name = part.trim().toLowerCase();
      if (name !== '') found.add(name);
    }
  }
  return found;
}

/** What is not in `known` is refused. */
export function includes(query: Query, known: ReadonlySet<string>): ReadonlySet<string> {
  const found = included(query);
  for (const name of found) {
    if (!known.has(name)) throw queryError('include', name, 'Invalid query parameter value.');
  }
  return found;
}

const markerForm = '2!';

/** Where the next page begins, in a form that nobody takes for a name. */
export function encodeMarker(next: string): string {
  return markerForm + Buffer.from(next).toString('base64url');
}

/** The name in a marker that `encodeMarker` made; anything else is refused. */
export function decodeMarker(marker: string | undefined): string {
  if (marker === undefined || marker === '') return '';
  const name = marker.startsWith(markerForm)
    ? Buffer.from(marker.slice(markerForm.length), 'base64url').toString()
    : '';
  if (name === '' || name.startsWith('\0') || encodeMarker(name) !== marker) throw queryError('marker', marker);
  return name;
}

/** Whether `from` lies behind every name that begins with `prefix`. */
export function isBehind(from: string, prefix: string): boolean {
  return !from.startsWith(prefix) && Buffer.compare(Buffer.from(from), Buffer.from(prefix)) > 0;
}
