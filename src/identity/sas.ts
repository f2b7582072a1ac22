// Shared access signatures as they stand in a query: account and service SAS, versions from 2018-11-09 on.
import { parseIsoTime } from '../codec/http-date.ts';
import { parseSignature } from './account-key.ts';
import { type IpRange, parseIpRange } from './ip-range.ts';
import { type PermissionSet, parsePermissions } from './permissions.ts';

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

export type ParsedSas =
  /** No `sig`: the request carries no shared access signature. */
  | { readonly kind: 'none' }
  | AccountSas
  | ServiceSas
  /** Signed with a user delegation key (`skoid`): not served yet. */
  | { readonly kind: 'user-delegation' }
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
  'sig',
  'rscc',
  'rscd',
  'rsce',
  'rscl',
  'rsct',
] as const;
export type SasParameter = (typeof parameters)[number];

const oldestVersion = '2018-11-09';
export const encryptionScopeSince = '2020-12-06';
const resources: Readonly<Record<string, { readonly resource: ServiceSas['resource']; readonly since: string }>> = {
  b: { resource: 'blob', since: oldestVersion },
  c: { resource: 'container', since: oldestVersion },
  bs: { resource: 'snapshot', since: oldestVersion },
  bv: { resource: 'version', since: '2019-12-12' },
  d: { resource: 'directory', since: '2020-02-10' },
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
  if (query.has('skoid')) return { kind: 'user-delegation' };
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

function parseFields(query: ReadonlyMap<string, readonly string[]>): Maybe<AccountSas | ServiceSas> {
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
  if (fields.ss !== '' || fields.srt !== '') return parseAccount(fields, common);
  return parseService(fields, common);
}

function parseCommon(fields: Readonly<Record<SasParameter, string>>): Maybe<SasCommon> {
  const { sv, sig, sp, st, se, sip, spr, ses } = fields;
  if (sv === '') return missing('sv');
  // The layout of a version that is newer than this code is taken to be the newest known: it is in the string signed.
  if (!/^\d{4}-\d\d-\d\d$/.test(sv) || parseIsoTime(sv) === undefined || sv < oldestVersion)
    return malformedField('sv');
  if (sig === '') return missing('sig');
  // A '+' that was not percent-encoded may have been decoded to a space.
  const signature = parseSignature(sig.replaceAll(' ', '+'));
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
  if (ses !== '' && sv < encryptionScopeSince) return malformedField('ses');
  return { fields, version: sv, signature, permissions, startMs, expiryMs, ip, httpsOnly: spr === 'https' };
}

function parseAccount(fields: Readonly<Record<SasParameter, string>>, common: SasCommon): Maybe<AccountSas> {
  const { ss, srt } = fields;
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

function missing(parameter: SasParameter): Malformed {
  return new Malformed(parameter, `${parameter} is mandatory. Cannot be empty`);
}

function malformedField(parameter: SasParameter): Malformed {
  return new Malformed(parameter, `${parameter} is not well formed`);
}
