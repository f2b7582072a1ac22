// What request headers say, parsed into the namespace's terms; what is malformed is refused by name.
import { crc64FromBase64 } from '../../codec/crc64.ts';
import { parseHttpDate } from '../../codec/http-date.ts';
import { structuredBody } from '../../codec/structured-message.ts';
import { formatTicks, parseTicks } from '../../codec/ticks.ts';
import type { EntryTime } from '../../namespace/entries.ts';
import type { Conditions } from '../../namespace/preconditions.ts';
import type { ContentHeaders, EntryImmutability } from '../../namespace/records.ts';
import { parseTagCondition, type TagExpression } from '../../namespace/tag-expression.ts';
import { BlobError } from './errors.ts';
import { type Headers, one, type Query } from './request.ts';

export function headerError(name: string, value: string | undefined): BlobError {
  return new BlobError('InvalidHeaderValue', { HeaderName: name, HeaderValue: value ?? 'null' });
}

export function missingLength(): BlobError {
  return new BlobError('MissingContentLengthHeader', { HeaderName: 'Content-Length' });
}

export function required(headers: Headers, name: string): string {
  const value = headers[name];
  if (value === undefined || value === '') throw new BlobError('MissingRequiredHeader', { HeaderName: name });
  return value;
}

/** The state of the past that the address names, if one. */
export function entryTime(query: Query): EntryTime | undefined {
  if (query.size === 0) return undefined;
  const snapshot = one(query, 'snapshot');
  const version = one(query, 'versionid');
  if (snapshot !== undefined && version !== undefined) {
    throw new BlobError('InvalidQueryParameterValue', {
      QueryParameterName: 'versionid',
      QueryParameterValue: version,
    });
  }
  const kind = snapshot === undefined ? 'version' : 'snapshot';
  const text = snapshot ?? version;
  if (text === undefined || text === '') return undefined;
  const ticks = parseTicks(text);
  if (ticks === undefined) {
    const parameter = kind === 'snapshot' ? 'snapshot' : 'versionid';
    throw new BlobError('InvalidQueryParameterValue', { QueryParameterName: parameter, QueryParameterValue: text });
  }
  return { kind, time: formatTicks(ticks) };
}

/**
 * If-Match and the rest of a write: one ETag each, and of ETag and time only the pairs that go together ("Specifying
 * conditional headers", write operations). `prefix` chooses those of the blob that tags belong to.
 */
export function conditions(headers: Headers, prefix: '' | 'x-ms-blob-' = ''): Conditions {
  const found = readConditions(headers, prefix);
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = found;
  const asksForSame = ifMatch !== undefined || ifUnmodifiedSinceMs !== undefined;
  const asksForOther = ifNoneMatch !== undefined || ifModifiedSinceMs !== undefined;
  if ((asksForSame && asksForOther) || Array.isArray(ifMatch) || Array.isArray(ifNoneMatch)) {
    throw new BlobError('MultipleConditionHeadersNotSupported');
  }
  return found;
}

/** Those of a read, any of them together, with lists of ETags; or those of a copy's source, which is read. */
export function readConditions(headers: Headers, prefix: '' | 'x-ms-source-' | 'x-ms-blob-' = ''): Conditions {
  const ifMatch = etags(headers[`${prefix}if-match`]);
  const ifNoneMatch = etags(headers[`${prefix}if-none-match`]);
  const ifModifiedSinceMs = date(headers, `${prefix}if-modified-since`);
  const ifUnmodifiedSinceMs = date(headers, `${prefix}if-unmodified-since`);
  const ifTags = tagCondition(headers, `${prefix === '' ? 'x-ms-' : prefix}if-tags`);
  return {
    ...(ifTags !== undefined && { ifTags }),
    ...(ifMatch !== undefined && { ifMatch }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch }),
    ...(ifModifiedSinceMs !== undefined && { ifModifiedSinceMs }),
    ...(ifUnmodifiedSinceMs !== undefined && { ifUnmodifiedSinceMs }),
  };
}

function tagCondition(headers: Headers, name: string): TagExpression | undefined {
  const value = headers[name];
  if (value === undefined) return undefined;
  const parsed = parseTagCondition(value);
  if (parsed.kind === 'invalid') throw headerError(name, value);
  return parsed.expression;
}

function etags(value: string | undefined): string | string[] | undefined {
  if (value === undefined || value === '') return undefined;
  return value.includes(',') ? value.split(',').map(etag) : etag(value);
}

function etag(value: string): string {
  const trimmed = value.trim();
  const strong = trimmed.startsWith('W/') ? trimmed.slice(2) : trimmed;
  return strong.startsWith('"') && strong.endsWith('"') && strong.length >= 2 ? strong.slice(1, -1) : strong;
}

export function date(headers: Headers, name: string): number | undefined {
  const value = headers[name];
  if (value === undefined || value === '') return undefined;
  const parsed = parseHttpDate(value);
  if (parsed === undefined) throw headerError(name, value);
  return parsed;
}

const guid = /^[({]?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}[)}]?$/i;

/** A lease id in any of the forms of a GUID, as the usual one. */
export function leaseId(headers: Headers, name = 'x-ms-lease-id'): string | undefined {
  const value = headers[name];
  if (value === undefined || value === '') return undefined;
  if (!guid.test(value)) throw headerError(name, value);
  const digits = value.replace(/[^0-9a-f]/gi, '').toLowerCase();
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}

const metadataPrefix = 'x-ms-meta-';
const metadataBytesMax = 8 * 1024;
/** C# identifiers, as far as a header's name can be one ("Naming and Referencing Containers, Blobs, and Metadata"). */
const metadataName = /^[A-Za-z_][A-Za-z0-9_]*$/;

const notPlain = /[^\t\x20-\x7e]/;

/** `rawHeaders` keep the names' case, which Azure preserves. */
export function metadata(rawHeaders: readonly string[]): Record<string, string> {
  // Names are the client's, and `__proto__` is one of them.
  const found: Record<string, string> = Object.create(null);
  let bytes = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i] as string;
    if (
      header.length < metadataPrefix.length ||
      header.slice(0, metadataPrefix.length).toLowerCase() !== metadataPrefix
    )
      continue;
    const name = header.slice(metadataPrefix.length);
    const value = (rawHeaders[i + 1] as string).trim();
    if (name === '') throw new BlobError('EmptyMetadataKey');
    if (!metadataName.test(name) || notPlain.test(value)) throw new BlobError('InvalidMetadata');
    const same = Object.keys(found).find((other) => other.toLowerCase() === name.toLowerCase());
    if (same !== undefined) found[same] = `${found[same]},${value}`;
    else found[name] = value;
    bytes += name.length + value.length;
  }
  if (bytes > metadataBytesMax) throw new BlobError('MetadataTooLarge');
  return { ...found };
}

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

export function md5(headers: Headers, name: string): Buffer | undefined {
  const value = headers[name];
  if (value === undefined || value === '') return undefined;
  const bytes = base64.test(value) ? Buffer.from(value, 'base64') : Buffer.alloc(0);
  if (bytes.length !== 16) throw new BlobError('InvalidMd5');
  return bytes;
}

export function crc64(headers: Headers, name: string): bigint | undefined {
  const value = headers[name];
  if (value === undefined || value === '') return undefined;
  const crc = crc64FromBase64(value);
  if (crc === undefined) throw headerError(name, value);
  return crc;
}

const contentHeaderNames = [
  ['contentType', 'content-type'],
  ['contentEncoding', 'content-encoding'],
  ['contentLanguage', 'content-language'],
  ['contentDisposition', 'content-disposition'],
  ['cacheControl', 'cache-control'],
] as const;

/** `x-ms-blob-content-type` and the rest; with `fallback`, the standard header of the request stands in. */
export function contentHeaders(headers: Headers, fallback: boolean): ContentHeaders {
  const found: Record<string, string> = {};
  for (const [field, name] of contentHeaderNames) {
    // Content-Disposition and Cache-Control have always been taken from either; an empty value clears.
    const value = headers[`x-ms-blob-${name}`] ?? (fallback ? headers[name] : undefined);
    // Of an empty disposition the service tells as it was set.
    if (value !== undefined && (value !== '' || field === 'contentDisposition')) found[field] = value;
  }
  const sum = md5(headers, 'x-ms-blob-content-md5');
  if (sum !== undefined) found.contentMd5 = sum.toString('base64');
  return found;
}

const tierNames = new Map(['Hot', 'Cool', 'Cold', 'Archive'].map((tier) => [tier.toLowerCase(), tier]));

export function tier(headers: Headers): string | undefined {
  const value = headers['x-ms-access-tier'];
  if (value === undefined || value === '') return undefined;
  const known = tierNames.get(value.toLowerCase());
  if (known === undefined) throw headerError('x-ms-access-tier', value);
  return known;
}

const tagText = /^[A-Za-z0-9 +\-./:=_]*$/;

export const tagsMax = 10;

/** Tags as they may be; undefined where one is not, comes twice, or there are too many. */
export function tagSet(pairs: Iterable<readonly [string, string]>): Record<string, string> | undefined {
  const found: Record<string, string> = Object.create(null);
  let count = 0;
  for (const [name, text] of pairs) {
    const fits =
      name.length >= 1 && name.length <= 128 && text.length <= 256 && tagText.test(name) && tagText.test(text);
    if (!fits || name in found || ++count > tagsMax) return undefined;
    found[name] = text;
  }
  return { ...found };
}

/** `x-ms-tags`: a query string of at most ten tags ("Set Blob Tags"). */
export function tags(headers: Headers): Record<string, string> | undefined {
  const value = headers['x-ms-tags'];
  if (value === undefined || value === '') return undefined;
  const found = tagSet(new URLSearchParams(value));
  if (found === undefined) throw headerError('x-ms-tags', value);
  return found;
}

/** `x-ms-immutability-policy-until-date` and `-mode`, `x-ms-legal-hold`: what a write sets of the version it makes. */
export function immutability(headers: Headers): {
  readonly immutability?: EntryImmutability;
  readonly legalHold?: true;
} {
  const untilMs = date(headers, 'x-ms-immutability-policy-until-date');
  const mode = policyMode(headers);
  if (mode !== undefined && untilMs === undefined) {
    throw new BlobError('MissingRequiredHeader', { HeaderName: 'x-ms-immutability-policy-until-date' });
  }
  return {
    ...(untilMs !== undefined && { immutability: { untilMs, mode: mode ?? 'unlocked' } }),
    ...(flag(headers, 'x-ms-legal-hold') === true && { legalHold: true as const }),
  };
}

export function policyMode(headers: Headers): 'locked' | 'unlocked' | undefined {
  const value = headers['x-ms-immutability-policy-mode'];
  if (value === undefined || value === '') return undefined;
  const mode = value.toLowerCase();
  if (mode !== 'locked' && mode !== 'unlocked') throw headerError('x-ms-immutability-policy-mode', value);
  return mode;
}

export function flag(headers: Headers, name: string): boolean | undefined {
  const value = headers[name];
  if (value === undefined || value === '') return undefined;
  const word = value.toLowerCase();
  if (word !== 'true' && word !== 'false') throw headerError(name, value);
  return word === 'true';
}

export function rehydratePriority(headers: Headers): 'Standard' | 'High' {
  const value = headers['x-ms-rehydrate-priority'] ?? '';
  const word = value.toLowerCase();
  if (word !== '' && word !== 'standard' && word !== 'high') throw headerError('x-ms-rehydrate-priority', value);
  return word === 'high' ? 'High' : 'Standard';
}

/** A number of bytes, or of a sequence. Those beyond 2^53 are refused, for they would not come back as they were given. */
export function wholeNumber(headers: Headers, name: string): number | undefined {
  const value = headers[name];
  if (value === undefined || value === '') return undefined;
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw headerError(name, value);
  return number;
}

/** Throws where there is none. */
export function contentLength(headers: Headers): number {
  const value = headers['content-length'];
  if (value === undefined) throw missingLength();
  return Number(value);
}

/** Headers of features that are not served: refused, never ignored, for they change what is stored or who may read it. */
export function refuseUnsupported(headers: Headers, operation: string): void {
  if (headers['x-ms-file-request-intent'] !== undefined) {
    throw new BlobError('UnsupportedHeader', { HeaderName: 'x-ms-file-request-intent' });
  }
  if (headers['x-ms-structured-body'] !== undefined && !structured.has(operation)) refuseStructured(headers);
}

/** Operations whose body, or that of their answer, may be a structured message. */
const structured: ReadonlySet<string> = new Set(['PutBlob', 'PutBlock', 'AppendBlock', 'PutPage', 'GetBlob']);

/** Where there is no body that could be one. */
export function refuseStructured(headers: Headers): void {
  if (headers['x-ms-structured-body'] !== undefined) {
    throw new BlobError('UnsupportedHeader', { HeaderName: 'x-ms-structured-body' });
  }
}

/** Whether the request's body is a structured message, or that of the answer is to be one; only one form is known. */
export function isStructured(headers: Headers): boolean {
  const value = headers['x-ms-structured-body'];
  if (value === undefined || value === '') return false;
  if (value !== structuredBody) throw headerError('x-ms-structured-body', value);
  return true;
}
