// Shared Key and Shared Key Lite: the string that a request's signature covers, and its verification.
// Blob service, versions from 2009-09-19 on.
import { parseHttpDate } from '../codec/http-date.ts';
import { type AccountKey, isSignedByAny, parseSignature } from './account-key.ts';
import { signsAsBefore } from './version-differences.ts';

export interface SignedRequest {
  readonly method: string;
  /** As on the wire, up to the `?`; not decoded. */
  readonly rawPath: string;
  /** Decoded names and values (a '+' is a space); names as sent. */
  readonly query: ReadonlyMap<string, readonly string[]>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The account that the request is addressed to, by path or by host. */
  readonly account: string;
  /** That the request is served as; it says how an empty length and empty headers are signed. */
  readonly version: string;
}

export type SharedKeyOutcome =
  | { readonly kind: 'ok'; readonly account: string }
  /** The header is none of `SharedKey account:signature` or `SharedKeyLite account:signature`. */
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'wrong-account'; readonly account: string }
  /** Neither `x-ms-date` nor `Date`. */
  | { readonly kind: 'date-missing' }
  | { readonly kind: 'date-skewed'; readonly date: string }
  /** `stringToSign` is what the server signed; it holds no secret, and the service shows it in the error's detail. */
  | { readonly kind: 'signature-mismatch'; readonly stringToSign: string };

type Scheme = 'SharedKey' | 'SharedKeyLite';

const authorization = /^(SharedKey|SharedKeyLite) ([^\s:]{1,64}):(\S{1,128})$/;

/** Verifies the `Authorization` header. The date may be off by `skewMs` either way (the service allows 15 minutes). */
export function verifySharedKey(
  request: SignedRequest,
  authorizationHeader: string,
  keys: readonly AccountKey[],
  nowMs: number,
  skewMs: number,
): SharedKeyOutcome {
  const parts = authorization.exec(authorizationHeader);
  if (parts === null) return { kind: 'malformed', reason: 'not a Shared Key authorization' };
  const account = parts[2] as string;
  const signature = parseSignature(parts[3] as string);
  if (signature === undefined) return { kind: 'malformed', reason: 'the signature is not 32 bytes in base64' };
  if (account !== request.account) return { kind: 'wrong-account', account };
  const date = request.headers['x-ms-date'] ?? request.headers.date;
  if (date === undefined) return { kind: 'date-missing' };
  const time = parseHttpDate(date);
  if (time === undefined) return { kind: 'malformed', reason: 'the date is not an HTTP date' };
  if (Math.abs(nowMs - time) > skewMs) return { kind: 'date-skewed', date };
  const scheme = parts[1] as Scheme;
  const stringToSign = sharedKeyStringToSign(request, scheme);
  if (isSignedByAny(stringToSign, signature, keys)) return { kind: 'ok', account };
  for (const other of otherReadings(request, scheme, stringToSign))
    if (isSignedByAny(other, signature, keys)) return { kind: 'ok', account };
  return { kind: 'signature-mismatch', stringToSign };
}

/** The string to sign, with the `x-ms-` headers in the order of their bytes. */
export function sharedKeyStringToSign(request: SignedRequest, scheme: Scheme): string {
  return compose(request, scheme, canonicalHeaderNames(request), (value) => value);
}

// Clients differ in two things, neither of which changes what is signed. Some sort headers as the service's own culture
// does, others by bytes; some sign a header's bytes as UTF-8, others as the Latin-1 that HTTP makes of them. Only
// requests that the usual reading does not fit come here.
function otherReadings(request: SignedRequest, scheme: Scheme, tried: string): string[] {
  const names = canonicalHeaderNames(request);
  const byCulture = [...names].sort(compareByCulture);
  const same = (value: string): string => value;
  const readings = [compose(request, scheme, byCulture, same)];
  for (const order of [names, byCulture]) readings.push(compose(request, scheme, order, utf8OfLatin1));
  return [...new Set(readings)].filter((reading) => reading !== tried);
}

function utf8OfLatin1(value: string): string {
  return /[\x80-\xff]/.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
}

function compose(
  request: SignedRequest,
  scheme: Scheme,
  names: readonly string[],
  read: (value: string) => string,
): string {
  const { headers } = request;
  const line = (name: string): string => read(headers[name] ?? '');
  // With `x-ms-date` the date stands among the canonical headers, and its own line is empty.
  const date = headers['x-ms-date'] === undefined ? line('date') : '';
  const given = headers['content-length'] ?? '';
  const length = given === '0' && !signsAsBefore(request.version, 'emptyLength') ? '' : given;
  let text =
    scheme === 'SharedKeyLite'
      ? `${request.method}\n${line('content-md5')}\n${line('content-type')}\n${date}\n`
      : `${request.method}\n${line('content-encoding')}\n${line('content-language')}\n${length}\n${line('content-md5')}\n${line('content-type')}\n${date}\n${line('if-modified-since')}\n${line('if-match')}\n${line('if-none-match')}\n${line('if-unmodified-since')}\n${line('range')}\n`;
  for (const name of names) text += `${name}:${line(name)}\n`;
  // On a path-style endpoint the account is named twice: once for itself and once as the first part of the path.
  text += `/${request.account}${request.rawPath === '' ? '/' : request.rawPath}`;
  return text + (scheme === 'SharedKeyLite' ? canonicalComp(request.query) : canonicalQuery(request.query));
}

function canonicalHeaderNames({ headers, version }: SignedRequest): string[] {
  const names: string[] = [];
  for (const name in headers) if (name.startsWith('x-ms-') && headers[name] !== undefined) names.push(name);
  if (signsAsBefore(version, 'emptyHeaders')) return names.filter((name) => headers[name] !== '').sort();
  return names.sort();
}

function canonicalQuery(query: SignedRequest['query']): string {
  if (query.size === 0) return '';
  const values = new Map<string, string[]>();
  for (const [name, some] of query) {
    const lower = name.toLowerCase();
    const known = values.get(lower);
    if (known === undefined) values.set(lower, [...some]);
    else known.push(...some);
  }
  let text = '';
  for (const name of [...values.keys()].sort()) text += `\n${name}:${(values.get(name) as string[]).sort().join(',')}`;
  return text;
}

// Shared Key Lite covers only `comp` of the query.
function canonicalComp(query: SignedRequest['query']): string {
  for (const [name, values] of query) if (name.toLowerCase() === 'comp') return `?comp=${values.join(',')}`;
  return '';
}

/**
 * The order of .NET's cultures, for the characters of a header's name: hyphens count last, an underscore comes before
 * digits, digits before letters. Where only hyphens differ, the name whose hyphen comes later is first.
 */
export function compareByCulture(left: string, right: string): number {
  const key = (name: string): string => name.replaceAll('-', '').replaceAll('_', ' ');
  const [leftKey, rightKey] = [key(left), key(right)];
  if (leftKey !== rightKey) return leftKey < rightKey ? -1 : 1;
  for (let at = 0; at < Math.max(left.length, right.length); at++)
    if ((left[at] === '-') !== (right[at] === '-')) return right[at] === '-' ? -1 : 1;
  return 0;
}
