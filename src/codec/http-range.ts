// The `Range` and `x-ms-range` headers as the Blob service takes them: one range of bytes from its start.

export type HttpRange =
  | { readonly kind: 'none' }
  /** `end` is the last byte, inclusive; undefined is the last of the content. */
  | { readonly kind: 'range'; readonly start: number; readonly end: number | undefined };

export type ResolvedRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly length: number }
  | { readonly kind: 'unsatisfiable' };

// A suffix (`bytes=-500`), several ranges, another unit: the service does not take them, and as RFC 9110 section 14.2
// lets it, answers as if the header were not there.
const form = /^bytes=(\d{1,16})-(\d{1,16})?$/;

export function parseRange(text: string | undefined): HttpRange {
  if (text === undefined) return { kind: 'none' };
  const parts = form.exec(text);
  if (parts === null) return { kind: 'none' };
  const start = Number(parts[1]);
  const end = parts[2] === undefined ? undefined : Number(parts[2]);
  if (!Number.isSafeInteger(start) || (end !== undefined && (!Number.isSafeInteger(end) || end < start)))
    return { kind: 'none' };
  return { kind: 'range', start, end };
}

/** `x-ms-range` wins where both are given. */
export function requestedRange(headers: Readonly<Record<string, string | undefined>>): HttpRange {
  return parseRange(headers['x-ms-range'] ?? headers.range);
}

/** The part of a content of `length` bytes. A range that begins at or behind the end cannot be satisfied (416). */
export function resolveRange(range: HttpRange, length: number): ResolvedRange {
  if (range.kind === 'none') return { kind: 'whole' };
  if (range.start >= length) return { kind: 'unsatisfiable' };
  const last = range.end === undefined ? length - 1 : Math.min(range.end, length - 1);
  return { kind: 'part', start: range.start, length: last - range.start + 1 };
}

/** `bytes 0-9/100`, for a part of the content. */
export function formatContentRange(start: number, length: number, total: number): string {
  return `bytes ${start}-${start + length - 1}/${total}`;
}
