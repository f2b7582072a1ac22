// Shared access signatures as they stand in a query: account, service and user delegation SAS, all versions.
import { parseIsoTime } from '../codec/http-date.ts';
import { parseSignature } from './account-key.ts';
import { type IpRange, parseIpRange } from './ip-range.ts';
import { type PermissionSet, parsePermissions } from './permissions.ts';
import { signingDifferences, signsAsBefore, unversionedSas } from './version-differences.ts';

interface SasCommon {
  /** Every parameter as sent (decoded), '' where absent: the string to sign is made of these. */
  readonly fields: Readonly<Record<SasParameter, string>>;
  readonly version: string;
  readonly signature: Buffer;
  readonly permissions: PermissionSet | undefined;
  readonly startMs: number | undefined;
  readonly expiryMs: number | undefined;
  readonly ip: IpRange | undefined;
  readonly httpsOnly: boolean;
}

export type AccountResourceType = 'service' | 'container' | 'object';

export interface AccountSas extends SasCommon {
  readonly kind: 'account';
  readonly blobService: boolean;
  readonly resourceTypes: readonly AccountResourceType[];
}

export interface ServiceSas extends SasCommon {
  readonly kind: 'service';
  readonly resource: 'blob' | 'container' | 'directory' | 'snapshot' | 'version';
  /** The stored access policy of the container that completes this signature; the caller looks it up. */
  readonly identifier: string | undefined;
  /** How many parts of the path name the directory. */
  readonly directoryDepth: number;
}

/** Signed with a user delegation key, which is made from what the signature says of it. */
export interface DelegatedSas extends SasCommon {
  readonly kind: 'delegated';
  readonly resource: ServiceSas['resource'];
  readonly directoryDepth: number;
  readonly key: DelegationKeyFields;
  /** Object id of whom the delegating user says he has checked (saoid); audited, and decided by nothing. */
  readonly authorizedOid: string | undefined;
  /** Object id of somebody nobody has checked yet (suoid): it must be allowed too. */
  readonly unauthorizedOid: string | undefined;
  readonly correlationId: string | undefined;
  /** The user whose token must come with it (sduoid). */
  readonly userOid: string | undefined;
  /** Names of headers and query parameters whose values are signed (srh, srq), as they were given. */
  readonly headers: readonly string[];
  readonly queryParameters: readonly string[];
}

/** What a user delegation key says of itself. */
export interface DelegationKeyFields {
  readonly oid: string;
  readonly tid: string;
  readonly startMs: number;
  readonly expiryMs: number;
  readonly service: string;
  readonly version: string;
  /** The tenant of the user that signatures may be bound to; '' where none was named. */
  readonly delegatedTid: string;
}

export type AnySas = AccountSas | ServiceSas | DelegatedSas;

export type ParsedSas =
  /** No `sig`: the request carries no shared access signature. */
  | { readonly kind: 'none' }
  | AnySas
  | { readonly kind: 'malformed'; readonly parameter: SasParameter; readonly detail: string };

const parameters = [
  'sv',
  'ss',
  'srt',
  'sr',
  'sp',
  'st',
  'se',
  'si',
  'sip',
  'spr',
  'ses',
  'sdd',
  'skoid',
  'sktid',
  'skt',
  'ske',
  'sks',
  'skv',
  'saoid',
  'suoid',
  'scid',
  'skdutid',
  'sduoid',
  'srh',
  'srq',
  'sig',
  'rscc',
  'rscd',
  'rsce',
  'rscl',
  'rsct',
] as const;
export type SasParameter = (typeof parameters)[number];

const resources: Readonly<Record<string, { readonly resource: ServiceSas['resource']; readonly since: string }>> = {
  b: { resource: 'blob', since: unversionedSas },
  c: { resource: 'container', since: unversionedSas },
  bs: { resource: 'snapshot', since: signingDifferences.resourceAndTime.since },
  bv: { resource: 'version', since: signingDifferences.versionScope.since },
  d: { resource: 'directory', since: signingDifferences.directoryScope.since },
};
const resourceTypeNames: Readonly<Record<string, AccountResourceType>> = { s: 'service', c: 'container', o: 'object' };

class Malformed {
  readonly parameter: SasParameter;
  readonly detail: string;
  constructor(parameter: SasParameter, detail: string) {
    this.parameter = parameter;
    this.detail = detail;
  }
}
type Maybe<T> = T | Malformed;

/** Reads the signature that a query carries. `query` is percent-decoded. Never throws, and verifies nothing. */
export function parseSas(query: ReadonlyMap<string, readonly string[]>): ParsedSas {
  if (!query.has('sig')) return { kind: 'none' };
  // Callers keep the queries that come again and again; what they say does not change.
  let sas = parsedSas.get(query);
  if (sas === undefined) {
    const parsed = parseFields(query);
    sas = parsed instanceof Malformed ? { kind: 'malformed', ...parsed } : parsed;
    parsedSas.set(query, sas);
  }
  return sas;
}

const parsedSas = new WeakMap<ReadonlyMap<string, readonly string[]>, ParsedSas>();

function parseFields(query: ReadonlyMap<string, readonly string[]>): Maybe<AnySas> {
  const fields = {} as Record<SasParameter, string>;
  for (const parameter of parameters) {
    const values = query.get(parameter);
    if (values !== undefined && values.length !== 1)
      return new Malformed(parameter, `${parameter} is given more than once`);
    fields[parameter] = values?.[0] ?? '';
    // Fields are signed with line feeds between them: one inside could pass for the border of two, and could
    // split a response header.
    if (/[^\x20-\x7e\xa0-\uffff]/.test(fields[parameter])) return malformedField(parameter);
  }
  const common = parseCommon(fields);
  if (common instanceof Malformed) return common;
  const isDelegated = query.has('skoid');
  if (fields.ss !== '' || fields.srt !== '')
    return isDelegated ? malformedField('skoid') : parseAccount(fields, common);
  return isDelegated ? parseDelegated(fields, common) : parseService(fields, common);
}

/** The 32 bytes that `sig` stands for. A '+' that was not percent-encoded may have been decoded to a space. */
export function sasSignature(sig: string): Buffer | undefined {
  return parseSignature(sig.replaceAll(' ', '+'));
}

function parseCommon(fields: Readonly<Record<SasParameter, string>>): Maybe<SasCommon> {
  const { sv, sig, sp, st, se, sip, spr, ses } = fields;
  // The layout of a version that is newer than this code is taken to be the newest known: it is in the string signed.
  if (
    sv !== '' &&
    (!/^\d{4}-\d\d-\d\d$/.test(sv) || parseIsoTime(sv) === undefined || signsAsBefore(sv, 'signedVersion'))
  )
    return malformedField('sv');
  const version = sv === '' ? unversionedSas : sv;
  if (sig === '') return missing('sig');
  const signature = sasSignature(sig);
  if (signature === undefined) return malformedField('sig');
  const permissions = sp === '' ? undefined : parsePermissions(sp);
  if (sp !== '' && permissions === undefined) return malformedField('sp');
  const startMs = st === '' ? undefined : parseIsoTime(st);
  if (st !== '' && startMs === undefined) return malformedField('st');
  const expiryMs = se === '' ? undefined : parseIsoTime(se);
  if (se !== '' && expiryMs === undefined) return malformedField('se');
  const ip = sip === '' ? undefined : parseIpRange(sip);
  if (sip !== '' && ip === undefined) return malformedField('sip');
  if (!['', 'https', 'https,http', 'http,https'].includes(spr)) return malformedField('spr');
  // Before this version the field is not signed, so it must not be believed.
  if (ses !== '' && signsAsBefore(version, 'encryptionScope')) return malformedField('ses');
  return { fields, version, signature, permissions, startMs, expiryMs, ip, httpsOnly: spr === 'https' };
}

function parseAccount(fields: Readonly<Record<SasParameter, string>>, common: SasCommon): Maybe<AccountSas> {
  const { ss, srt } = fields;
  if (fields.sv === '') return missing('sv');
  if (signsAsBefore(common.version, 'accountSas')) return malformedField('sv');
  // Both kinds at once would leave it open which fields are signed.
  for (const parameter of ['sr', 'si', 'sdd'] as const) if (fields[parameter] !== '') return malformedField(parameter);
  if (ss === '') return missing('ss');
  if (!/^[bqtf]+$/.test(ss)) return malformedField('ss');
  if (srt === '') return missing('srt');
  if (!/^[sco]+$/.test(srt)) return malformedField('srt');
  if (common.permissions === undefined) return missing('sp');
  if (common.expiryMs === undefined) return missing('se');
  const resourceTypes = [...srt].map((letter) => resourceTypeNames[letter] as AccountResourceType);
  return { kind: 'account', ...common, blobService: ss.includes('b'), resourceTypes };
}

function parseService(fields: Readonly<Record<SasParameter, string>>, common: SasCommon): Maybe<ServiceSas> {
  const { sr, si, sdd } = fields;
  if (sr === '') return missing('sr');
  const known = Object.hasOwn(resources, sr) ? resources[sr] : undefined;
  if (known === undefined || common.version < known.since) return malformedField('sr');
  if (si.length > 64) return malformedField('si');
  if (si === '' && common.permissions === undefined) return missing('sp');
  if (si === '' && common.expiryMs === undefined) return missing('se');
  if (known.resource === 'directory' ? !/^(?:0|[1-9]\d{0,2})$/.test(sdd) : sdd !== '') return malformedField('sdd');
  const identifier = si === '' ? undefined : si;
  return { kind: 'service', ...common, resource: known.resource, identifier, directoryDepth: Number(sdd) };
}

const objectId = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const objectIds = ['skoid', 'sktid', 'saoid', 'suoid', 'scid', 'skdutid', 'sduoid'] as const;
/** Before these versions the fields are not signed, so they must not be believed. */
const signedSince = [
  ['objectIds', ['saoid', 'suoid', 'scid']],
  ['delegatedUser', ['skdutid', 'sduoid']],
  ['signedRequest', ['srh', 'srq']],
] as const;

function parseDelegated(fields: Readonly<Record<SasParameter, string>>, common: SasCommon): Maybe<DelegatedSas> {
  if (fields.sv === '') return missing('sv');
  if (signsAsBefore(common.version, 'delegation')) return malformedField('sv');
  // Stored access policies complete what an account's key has signed, and nothing else.
  if (fields.si !== '') return malformedField('si');
  const service = parseService(fields, common);
  if (service instanceof Malformed) return service;
  for (const field of ['skoid', 'sktid', 'skt', 'ske', 'sks', 'skv'] as const)
    if (fields[field] === '') return missing(field);
  for (const field of objectIds)
    if (fields[field] !== '' && !objectId.test(fields[field])) return malformedField(field);
  for (const [difference, names] of signedSince)
    for (const name of names)
      if (fields[name] !== '' && signsAsBefore(common.version, difference)) return malformedField(name);
  const [startMs, expiryMs] = [parseIsoTime(fields.skt), parseIsoTime(fields.ske)];
  if (startMs === undefined) return malformedField('skt');
  if (expiryMs === undefined) return malformedField('ske');
  if (fields.sks !== 'b') return malformedField('sks');
  if (!/^\d{4}-\d\d-\d\d$/.test(fields.skv)) return malformedField('skv');
  if (fields.saoid !== '' && fields.suoid !== '') return malformedField('suoid');
  const headers = names(fields.srh);
  if (headers === undefined) return malformedField('srh');
  const queryParameters = names(fields.srq);
  if (queryParameters === undefined) return malformedField('srq');
  const { kind: _, identifier: __, ...rest } = service;
  const optional = (text: string): string | undefined => (text === '' ? undefined : text.toLowerCase());
  return {
    kind: 'delegated',
    ...rest,
    key: {
      oid: fields.skoid.toLowerCase(),
      tid: fields.sktid.toLowerCase(),
      startMs,
      expiryMs,
      service: fields.sks,
      version: fields.skv,
      delegatedTid: fields.skdutid.toLowerCase(),
    },
    authorizedOid: optional(fields.saoid),
    unauthorizedOid: optional(fields.suoid),
    correlationId: optional(fields.scid),
    userOid: optional(fields.sduoid),
    headers,
    queryParameters,
  };
}

const namesMax = 32;

/** A list of names, each once; undefined if it is none. */
function names(text: string): string[] | undefined {
  if (text === '') return [];
  const list = text.split(',');
  const isName = (name: string): boolean => /^[A-Za-z0-9$_.-]{1,128}$/.test(name);
  const isSet = new Set(list.map((name) => name.toLowerCase())).size === list.length;
  return list.length <= namesMax && isSet && list.every(isName) ? list : undefined;
}

function missing(parameter: SasParameter): Malformed {
  return new Malformed(parameter, `${parameter} is mandatory. Cannot be empty`);
}

function malformedField(parameter: SasParameter): Malformed {
  return new Malformed(parameter, `${parameter} is not well formed`);
}
