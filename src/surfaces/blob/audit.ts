// A request of the Blob API as a record of the audit log.
import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { AuditRecord } from '../../followers/audit/record.ts';
import type { Action, Principal } from '../../identity/authorize.ts';
import { sasSignature } from '../../identity/sas.ts';
import type { Dispatched, Incoming } from './dispatch.ts';
import { parseQuery } from './request.ts';
import type { Logging } from './service-record.ts';

/** The audit log, as far as the surface sees it: see `followers/audit/audit-log.ts`. */
export interface Auditor {
  room(): Promise<boolean> | undefined;
  /** `logging` is what the account asked for when the request came; absent where it never did. */
  note(record: AuditRecord, logging: Logging | undefined): void;
}

export interface Course {
  readonly bytesOut: number;
  /** From the head of the request until its answer was known, and until it was sent. */
  readonly latencyMs: number;
  readonly durationMs: number;
}

/** Without a socket: a request within a batch. */
export function auditRecord(
  incoming: Incoming,
  done: Dispatched,
  course: Course,
  socket: Socket | undefined,
): AuditRecord {
  const { headers, peer, method, url } = incoming;
  const { answer, seen } = done;
  const out = answer.headers;
  const { target, principal } = seen;
  const port = socket?.remotePort;
  const isTls = peer.protocol === 'https';
  const question = url.indexOf('?');
  const query = question === -1 ? undefined : queryFacts(url.slice(question));
  const path = redacted(question === -1 ? url : url.slice(0, question));
  const type = authenticationType(principal, headers, query);
  const entra = principal?.kind === 'entra' ? principal : undefined;
  const delegation = principal?.kind === 'sas' ? principal.grant.delegation : undefined;
  const source = headers['x-ms-copy-source'];
  const referrer = headers.referer;
  const length = headers['content-length'];
  // One shape, in one order: that is what makes it quick to write out.
  return {
    Type: 'StorageBlobLogs',
    TimeGenerated: isoTime(done.nowMs),
    AccountName: cut(target?.account),
    Category: categoryOf(method, seen.action),
    OperationName: done.operation,
    OperationVersion: cut(seen.version),
    ServiceType: 'blob',
    Protocol: isTls ? 'HTTPS' : 'HTTP',
    TlsVersion: isTls ? tlsVersion(socket) : undefined,
    StatusCode: answer.status,
    StatusText: statusText(done, type),
    AuthenticationType: type,
    AuthenticationHash: authenticationHash(type, headers.authorization, query),
    RequesterObjectId: entra?.oid ?? delegation?.oid,
    RequesterTenantId: entra?.tid ?? delegation?.tid,
    RequesterAppId: entra?.appId,
    RequesterUpn: cut(entra?.upn),
    DelegatedUserObjectId: delegation?.boundTo?.oid ?? delegation?.authorizedOid ?? delegation?.unauthorizedOid,
    DelegatedUserTenantId: delegation?.boundTo?.tid,
    CallerIpAddress: port === undefined ? peer.address : `${peer.address}:${port}`,
    Uri: cut(`${peer.protocol}://${headers.host ?? ''}${path}${query === undefined ? '' : query.redacted}`),
    ObjectKey: cut(objectKey(target)),
    SourceUri: source === undefined ? undefined : cut(redacted(source)),
    CorrelationId: done.requestId,
    ClientRequestId: out['x-ms-client-request-id'] as string | undefined,
    JournalId: cut(seen.journalId),
    DurationMs: rounded(course.durationMs),
    ServerLatencyMs: rounded(course.latencyMs),
    RequestHeaderSize: requestHeaderBytes(incoming),
    RequestBodySize: incoming.body.bytes,
    ResponseHeaderSize: responseHeaderBytes(out),
    ResponseBodySize: course.bytesOut,
    ContentLengthHeader: length === undefined ? undefined : Number(length),
    RequestMd5: cut(headers['content-md5'] ?? headers['x-ms-blob-content-md5']),
    ResponseMd5: cut(out['Content-MD5'] as string | undefined),
    Etag: out.ETag as string | undefined,
    LastModifiedTime: out['Last-Modified'] as string | undefined,
    ConditionsUsed: cut(conditionsOf(headers)),
    UserAgentHeader: cut(headers['user-agent']),
    ReferrerHeader: referrer === undefined ? undefined : cut(redacted(referrer)),
    AccessTier: cut(headers['x-ms-access-tier'] ?? (out['x-ms-access-tier'] as string | undefined)),
    RehydratePriority: cut(headers['x-ms-rehydrate-priority']),
  };
}

/** Of one column: a line of the log holds the longest of all of them at once. */
const columnCharactersMax = 16 * 1024;

/** What comes with a request is kept as it came, up to a length; the ellipsis says that there was more. */
function cut<T extends string | undefined>(text: T): T | string {
  if (text === undefined || text.length <= columnCharactersMax) return text;
  return `${text.slice(0, columnCharactersMax)}…`;
}

/** A signature, wherever in a URL it stands and however its name is written. */
const signature = /(^|[?&;]|%3f|%26|%3b|%253f|%2526)(?:s|%73|%53)(?:i|%69|%49)(?:g|%67|%47)(=|%3d|%253d)[^&]*/gi;

/** The text without the signatures in it: they let in whoever reads them. */
export function redacted(url: string): string {
  return url.includes('?') || url.includes('%') ? url.replace(signature, '$1sig$2XXXXX') : url;
}

interface QueryFacts {
  readonly redacted: string;
  readonly isSigned: boolean;
  readonly isDelegated: boolean;
  /** Of the signature. */
  readonly hash: string | undefined;
}

/** A SAS is the same text in thousands of requests. */
const queries = new Map<string, QueryFacts>();
const queriesMax = 500;
const queryCharactersMax = 2048;

function queryFacts(query: string): QueryFacts {
  const known = queries.get(query);
  if (known !== undefined) return known;
  const { sig, isDelegated } = signatureIn(query);
  const facts = {
    redacted: redacted(query),
    isSigned: sig !== undefined,
    isDelegated,
    // Of its bytes, in one form: it is the same signature however it is written.
    hash: sig === undefined ? undefined : hashOf(sasSignature(sig)?.toString('base64') ?? sig),
  };
  if (query.length > queryCharactersMax) return facts;
  if (queries.size >= queriesMax) queries.clear();
  queries.set(query, facts);
  return facts;
}

function signatureIn(query: string): { readonly sig: string | undefined; readonly isDelegated: boolean } {
  try {
    const fields = parseQuery(query.slice(1));
    const sig = fields.get('sig')?.[0];
    return { sig, isDelegated: sig !== undefined && fields.has('skoid') };
  } catch {
    // A query that is refused for its form.
    const sig = /[?&]sig=([^&]*)/i.exec(query)?.[1];
    return { sig, isDelegated: sig !== undefined && /[?&]skoid=/i.test(query) };
  }
}

const hashOf = (secret: string): string => hash('sha256', secret, 'hex').toUpperCase();

function tlsVersion(socket: Socket | undefined): string | undefined {
  // A socket that is gone knows no more.
  return (socket as TLSSocket | undefined)?.getProtocol?.()?.replace('TLSv', 'TLS ');
}

function categoryOf(method: string, action: Action | undefined): AuditRecord['Category'] {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return 'StorageRead';
  if (action === undefined) return method === 'DELETE' ? 'StorageDelete' : 'StorageWrite';
  if (/\/delete/.test(action)) return 'StorageDelete';
  return /\/(read|list|filter|info|tags-read|delegation-key)/.test(action) ? 'StorageRead' : 'StorageWrite';
}

/** As the table has it. Of one who was not let in, what it presented. */
function authenticationType(
  principal: Principal | undefined,
  headers: Incoming['headers'],
  query: QueryFacts | undefined,
): 'AccountKey' | 'SAS' | 'DelegationSas' | 'OAuth' | 'Anonymous' {
  switch (principal?.kind) {
    case 'account-key':
      return 'AccountKey';
    case 'sas':
      return principal.grant.delegation === undefined ? 'SAS' : 'DelegationSas';
    case 'entra':
      return 'OAuth';
    case 'anonymous':
      return 'Anonymous';
    default:
  }
  const presented = headers.authorization;
  if (query?.isSigned === true) return query.isDelegated ? 'DelegationSas' : 'SAS';
  if (presented === undefined) return 'Anonymous';
  return /^bearer /i.test(presented) ? 'OAuth' : 'AccountKey';
}

/** As is a token. */
const tokens = new Map<string, string>();
const tokensMax = 500;

/** What was presented can be told from others by it, and not be used. A Shared Key signature is of one request: none. */
function authenticationHash(
  type: string,
  authorization: string | undefined,
  query: QueryFacts | undefined,
): string | undefined {
  if (type === 'SAS' || type === 'DelegationSas') return `SasSignature(${query?.hash ?? ''})`;
  if (type !== 'OAuth' || authorization === undefined) return undefined;
  const known = tokens.get(authorization);
  if (known !== undefined) return known;
  const found = hashOf(authorization.slice('bearer '.length));
  if (tokens.size >= tokensMax) tokens.clear();
  tokens.set(authorization, found);
  return found;
}

/** "Storage Analytics logged operations and status messages". */
function statusText({ answer, errorCode }: Dispatched, type: string): string {
  if (errorCode !== undefined) return errorCode;
  if (answer.status === 304) return 'ConditionNotMet';
  if (type === 'Anonymous') return 'AnonymousSuccess';
  if (type === 'OAuth') return 'OAuthSuccess';
  return type === 'SAS' || type === 'DelegationSas' ? 'SASSuccess' : 'Success';
}

function objectKey(target: Dispatched['seen']['target']): string | undefined {
  if (target === undefined) return undefined;
  const { account, container, blob } = target;
  if (container === undefined) return `/${account}`;
  return blob === undefined ? `/${account}/${container}` : `/${account}/${container}/${blob}`;
}

const conditions = [
  ['If-Match', 'if-match'],
  ['If-None-Match', 'if-none-match'],
  ['If-Modified-Since', 'if-modified-since'],
  ['If-Unmodified-Since', 'if-unmodified-since'],
  ['x-ms-if-tags', 'x-ms-if-tags'],
] as const;

function conditionsOf(headers: Incoming['headers']): string | undefined {
  let text: string | undefined;
  for (const [name, header] of conditions) {
    const value = headers[header];
    if (value !== undefined) text = text === undefined ? `${name}=${value}` : `${text};${name}=${value}`;
  }
  return text;
}

/** As it came over the wire: a line for the request, and names and values with four characters beside each pair. */
function requestHeaderBytes({ method, url, rawHeaders }: Incoming): number {
  let bytes = method.length + url.length + ' HTTP/1.1\r\n\r\n'.length + 1;
  for (const part of rawHeaders) bytes += part.length + 2;
  return bytes;
}

/** Those that the surface says; the few that belong to the connection are not counted. */
function responseHeaderBytes(headers: Dispatched['answer']['headers']): number {
  let bytes = 0;
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) bytes += name.length + (typeof value === 'string' ? value.length : `${value}`.length) + 4;
  }
  return bytes;
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;

let lastSecond = 0;
let lastText = '';

function isoTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastText = new Date(second * 1000).toISOString().slice(0, -4);
  }
  return `${lastText}${`${ms - second * 1000}`.padStart(3, '0')}Z`;
}
