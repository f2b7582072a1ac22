// A request of the Blob API, taken apart once: account, container, blob, query, headers, version.
import { resolveBlobName } from '../../namespace/blob-name.ts';
import type { RequestBody } from '../http/body.ts';
import { BlobError } from './errors.ts';

export interface Target {
  readonly account: string;
  /** Undefined for the service itself. */
  readonly container: string | undefined;
  /** Undefined for the container itself. */
  readonly blob: string | undefined;
}

export type Query = ReadonlyMap<string, readonly string[]>;
export type Headers = Readonly<Record<string, string | undefined>>;

export interface ParsedRequest {
  readonly method: string;
  /** As on the wire, before the query. */
  readonly rawPath: string;
  readonly query: Query;
  readonly headers: Headers;
  /** Names as they came and values, in turn. */
  readonly rawHeaders: readonly string[];
  readonly target: Target;
  readonly body: RequestBody;
}

const hostStyle = /^([a-z0-9]{3,24})\.blob\./i;
const webStyle = /^([a-z0-9]{3,24})\.(?:z\d{1,3}\.)?web\./i;

/** The account whose website a host name is of: `account.web.anything` or `account.z1.web.anything`. */
export function websiteAccount(host: string | undefined): string | undefined {
  return host === undefined ? undefined : webStyle.exec(host)?.[1]?.toLowerCase();
}

/** Throws `BlobError` for what is no address of anything here. */
export function parseTarget(rawPath: string, host: string | undefined, query: Query): Target {
  const styled = host === undefined ? null : hostStyle.exec(host);
  let rest = rawPath.startsWith('/') ? rawPath.slice(1) : rawPath;
  const website = styled === null ? websiteAccount(host) : undefined;
  if (website !== undefined) return { account: website, container: '$web', blob: rest === '' ? '' : blobName(rest) };
  let account: string;
  if (styled !== null) account = (styled[1] as string).toLowerCase();
  else {
    const slash = rest.indexOf('/');
    account = decode(slash === -1 ? rest : rest.slice(0, slash));
    rest = slash === -1 ? '' : rest.slice(slash + 1);
  }
  if (rest === '') return { account, container: undefined, blob: undefined };
  const slash = rest.indexOf('/');
  if (slash === -1 || slash === rest.length - 1) {
    const name = decode(slash === -1 ? rest : rest.slice(0, -1));
    // A single segment that is asked for as no container is a blob of the root container.
    if (slash === -1 && !query.has('restype') && !query.has('comp')) {
      return { account, container: '$root', blob: blobName(rest) };
    }
    return { account, container: name, blob: undefined };
  }
  const blob = blobName(rest.slice(slash + 1));
  return { account, container: decode(rest.slice(0, slash)), blob };
}

/** Escaped dots and backslashes count as the plain ones do. */
function blobName(part: string): string {
  const name = resolveBlobName(decode(part));
  if (name === undefined) throw new BlobError('InvalidUri');
  return name;
}

function decode(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    // Overlong or broken UTF-8 names nothing.
    throw new BlobError('InvalidUri');
  }
}

function decodeField(part: string): string {
  return decode(part.includes('+') ? part.replaceAll('+', ' ') : part);
}

const queryParametersMax = 128;

// A SAS is the same text in thousands of requests: what was parsed lately is kept.
const parsedQueries = new Map<string, Query>();
const parsedQueriesMax = 512;
const parsedQueryCharactersMax = 1024;
const noQuery: Query = new Map();

/**
 * Names are lower-cased; a parameter that comes twice keeps both values, for a signature covers both. A plus sign is a
 * space: clients that write queries as forms do sign the space.
 */
export function parseQuery(text: string): Query {
  if (text === '') return noQuery;
  const kept = parsedQueries.get(text);
  if (kept !== undefined) return kept;
  const query = parsePairs(text);
  if (text.length <= parsedQueryCharactersMax) {
    if (parsedQueries.size >= parsedQueriesMax) parsedQueries.clear();
    parsedQueries.set(text, query);
  }
  return query;
}

function parsePairs(text: string): Query {
  const query = new Map<string, string[]>();
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeField(equals === -1 ? pair : pair.slice(0, equals)).toLowerCase();
    const value = equals === -1 ? '' : decodeField(pair.slice(equals + 1));
    const values = query.get(name);
    if (values === undefined) query.set(name, [value]);
    else values.push(value);
    if (query.size > queryParametersMax) throw new BlobError('InvalidUri');
  }
  return query;
}

/** What decides who asks, for what, or under which conditions; of two values Node would keep the first and not say so. */
const single = /^(authorization|host|date|range|expect|origin|transfer-encoding|content-.*|if-.*|x-ms-(?!meta-).*)$/;

/** Throws for a header that comes twice where only one can be meant: what is checked must be what is used. */
export function refuseRepeated(headers: Headers, rawHeaders: readonly string[]): void {
  if (rawHeaders.length === 2 * Object.keys(headers).length) return;
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (seen.has(name) && single.test(name)) {
      throw new BlobError('InvalidHeaderValue', { HeaderName: name, Reason: 'It is given more than once.' });
    }
    seen.add(name);
  }
}

/** The one value of a query parameter; twice is refused. */
export function one(query: Query, name: string): string | undefined {
  const values = query.get(name);
  if (values === undefined) return undefined;
  if (values.length > 1) {
    throw new BlobError('InvalidQueryParameterValue', {
      QueryParameterName: name,
      Reason: 'It is given more than once.',
    });
  }
  return values[0];
}
