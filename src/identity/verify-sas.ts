// Verifying a shared access signature against the request it came with; the answer is what it grants, or why not.
import { formatHttpDate } from '../codec/http-date.ts';
import { type AccountKey, isRepeatedlySignedByAny, isSignedByAny } from './account-key.ts';
import { isInIpRange } from './ip-range.ts';
import { type PermissionSet, parsePermissions } from './permissions.ts';
import type { AccountResourceType, AnySas, DelegatedSas, ServiceSas } from './sas.ts';
import { signsAsBefore } from './version-differences.ts';

export interface SasTarget {
  readonly account: string;
  readonly container?: string;
  /** The decoded name, of requests for one blob only. */
  readonly blob?: string;
  /** Of a listing, decoded: a directory's signature must cover it. */
  readonly prefix?: string;
  readonly snapshot?: string;
  readonly version?: string;
}

/** One of the container's stored access policies (Set Container ACL). Absent fields must be in the signature. */
export interface StoredAccessPolicy {
  readonly id: string;
  readonly startMs?: number;
  readonly expiryMs?: number;
  /** The letters of `sp`. */
  readonly permissions?: string;
}

/** What the request comes with beside the signature. */
export interface SasCircumstances {
  readonly nowMs: number;
  readonly clientIp: string;
  readonly protocol: 'http' | 'https';
  /** By name in lower case: what a user delegation SAS may have signed of the request. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly query?: ReadonlyMap<string, readonly string[]>;
}

export type GrantScope =
  | { readonly kind: 'account'; readonly resourceTypes: readonly AccountResourceType[] }
  | { readonly kind: 'container'; readonly container: string }
  | { readonly kind: 'directory'; readonly container: string; readonly path: string }
  /** With `snapshots`: those of the blob too, which older signatures do not tell apart. */
  | { readonly kind: 'blob'; readonly container: string; readonly blob: string; readonly snapshots: boolean }
  | { readonly kind: 'snapshot'; readonly container: string; readonly blob: string; readonly snapshot: string }
  | { readonly kind: 'version'; readonly container: string; readonly blob: string; readonly version: string };

/** Response headers that the signature sets on Get Blob, by the name of the header in lower case. */
export type ResponseOverrides = Readonly<Record<string, string>>;

export interface Grant {
  readonly account: string;
  readonly scope: GrantScope;
  readonly permissions: PermissionSet;
  readonly overrides: ResponseOverrides;
  /** Writes must use this encryption scope. */
  readonly encryptionScope: string | undefined;
  readonly version: string;
  /** Whoever let it be signed with a key of his: what he may not do, it may not either. */
  readonly delegation?: Delegation;
}

export interface Delegation {
  readonly oid: string;
  readonly tid: string;
  readonly authorizedOid: string | undefined;
  readonly unauthorizedOid: string | undefined;
  readonly correlationId: string | undefined;
  /** Whose token must come with the request. */
  readonly boundTo: { readonly oid: string; readonly tid: string } | undefined;
}

export type SasFailure =
  | { readonly kind: 'sas-signature-mismatch'; readonly detail: string }
  | { readonly kind: 'sas-not-in-time'; readonly detail: string }
  | { readonly kind: 'sas-policy-not-found'; readonly detail: string }
  /** The same field in the signature and in its stored access policy. */
  | { readonly kind: 'sas-policy-conflict'; readonly parameter: 'sp' | 'st' | 'se'; readonly detail: string }
  | { readonly kind: 'sas-incomplete'; readonly detail: string }
  | { readonly kind: 'sas-ip-mismatch'; readonly clientIp: string }
  | { readonly kind: 'sas-protocol-mismatch' }
  | { readonly kind: 'sas-service-mismatch' };

export type SasOutcome = { readonly kind: 'ok'; readonly grant: Grant } | SasFailure;

const overridden = [
  ['rscc', 'cache-control'],
  ['rscd', 'content-disposition'],
  ['rsce', 'content-encoding'],
  ['rscl', 'content-language'],
  ['rsct', 'content-type'],
] as const;

/** The documented answer to each failure (AuthenticationFailed carries `detail` as AuthenticationErrorDetail). */
export const sasFailureCodes = {
  'sas-signature-mismatch': { status: 403, code: 'AuthenticationFailed' },
  'sas-not-in-time': { status: 403, code: 'AuthenticationFailed' },
  'sas-policy-not-found': { status: 403, code: 'AuthenticationFailed' },
  'sas-policy-conflict': { status: 400, code: 'InvalidQueryParameterValue' },
  'sas-incomplete': { status: 403, code: 'AuthenticationFailed' },
  'sas-ip-mismatch': { status: 403, code: 'AuthorizationSourceIPMismatch' },
  'sas-protocol-mismatch': { status: 403, code: 'AuthorizationProtocolMismatch' },
  'sas-service-mismatch': { status: 403, code: 'AuthorizationServiceMismatch' },
} as const satisfies Record<SasFailure['kind'], { status: number; code: string }>;

/**
 * The signature comes first, so that nobody without a key learns anything from the other answers. `policies` are those
 * of the container, needed only where a service SAS has an `identifier`.
 */
export function verifySas(
  sas: AnySas,
  target: SasTarget,
  keys: readonly AccountKey[],
  policies: readonly StoredAccessPolicy[],
  circumstances: SasCircumstances,
): SasOutcome {
  const stringToSign = sasStringToSign(sas, target, circumstances);
  const scope = grantScope(sas, target);
  // A delegation key is made anew for each request: nothing that is kept for it would be found again.
  const isSigned =
    sas.kind === 'delegated'
      ? isSignedByAny(stringToSign, sas.signature, keys)
      : isRepeatedlySignedByAny(stringToSign, sas.signature, keys);
  // A signature for a blob on a request without one cannot match; where it is forced to, there is still no scope.
  if (!isSigned || scope === undefined) {
    const shown = sasStringToSign(sas, target, undefined);
    return { kind: 'sas-signature-mismatch', detail: `Signature did not match. String to sign used was ${shown}` };
  }
  const terms = completeTerms(sas, policies);
  if (terms.kind !== 'terms') return terms;
  const { nowMs, clientIp, protocol } = circumstances;
  if (isTooLong(sas, terms, nowMs)) {
    return {
      kind: 'sas-not-in-time',
      detail: 'Without sv and a stored access policy a signature is valid for an hour',
    };
  }
  if (sas.kind === 'delegated' && (nowMs < sas.key.startMs || nowMs >= sas.key.expiryMs)) {
    const detail = `The user delegation key is not valid at this time: Start [${formatHttpDate(sas.key.startMs)}] - Expiry [${formatHttpDate(sas.key.expiryMs)}] - Current [${formatHttpDate(nowMs)}]`;
    return { kind: 'sas-not-in-time', detail };
  }
  if ((terms.startMs !== undefined && nowMs < terms.startMs) || nowMs >= terms.expiryMs) {
    const start = terms.startMs === undefined ? '' : `Start [${formatHttpDate(terms.startMs)}] - `;
    const detail = `Signature not valid in the specified time frame: ${start}Expiry [${formatHttpDate(terms.expiryMs)}] - Current [${formatHttpDate(nowMs)}]`;
    return { kind: 'sas-not-in-time', detail };
  }
  if (sas.ip !== undefined && !isInIpRange(sas.ip, clientIp)) return { kind: 'sas-ip-mismatch', clientIp };
  if (sas.httpsOnly && protocol !== 'https') return { kind: 'sas-protocol-mismatch' };
  if (sas.kind === 'account' && !sas.blobService) return { kind: 'sas-service-mismatch' };
  const { permissions } = terms;
  const { ses } = sas.fields;
  return {
    kind: 'ok',
    grant: {
      account: target.account,
      scope,
      permissions,
      // An account SAS does not sign these, so anyone could have added them.
      overrides: sas.kind === 'account' ? {} : responseOverrides(sas),
      encryptionScope: ses === '' ? undefined : ses,
      version: sas.version,
      ...(sas.kind === 'delegated' && { delegation: delegationOf(sas) }),
    },
  };
}

/** One string for whatever the signature is used on. */
const accountStrings = new WeakMap<AnySas, { readonly account: string; readonly text: string }>();

/**
 * The string that the signature covers. `request` has what a user delegation signature covers of the request itself;
 * without it those values, which may be secrets, are left out, as for a message.
 */
export function sasStringToSign(
  sas: AnySas,
  target: SasTarget,
  request?: Pick<SasCircumstances, 'headers' | 'query'>,
): string {
  const { version } = sas;
  const { sp, ss, srt, st, se, si, sip, spr, sv, sr, ses, rscc, rscd, rsce, rscl, rsct } = sas.fields;
  const scope = signsAsBefore(version, 'encryptionScope') ? [] : [ses];
  if (sas.kind === 'account') {
    const kept = accountStrings.get(sas);
    if (kept?.account === target.account) return kept.text;
    const text = [target.account, sp, ss, srt, st, se, sip, spr, sv, ...scope, ''].join('\n');
    accountStrings.set(sas, { account: target.account, text });
    return text;
  }
  const resource = canonicalResource(sas, target);
  const time =
    sas.resource === 'snapshot' ? (target.snapshot ?? '') : sas.resource === 'version' ? (target.version ?? '') : '';
  const by = sas.kind === 'service' ? [si] : delegationFields(sas);
  if (signsAsBefore(version, 'resourceAndTime')) return olderStringToSign(sas, [sp, st, se, resource, ...by]);
  const signed =
    sas.kind === 'delegated' && !signsAsBefore(version, 'signedRequest') ? signedRequest(sas, request) : [];
  const overrides = [rscc, rscd, rsce, rscl, rsct];
  return [sp, st, se, resource, ...by, sip, spr, sv, sr, time, ...scope, ...signed, ...overrides].join('\n');
}

function olderStringToSign({ version, fields }: AnySas, first: readonly string[]): string {
  const { sip, spr, sv, rscc, rscd, rsce, rscl, rsct } = fields;
  const all = [...first];
  if (!signsAsBefore(version, 'addressAndProtocol')) all.push(sip, spr);
  if (!signsAsBefore(version, 'signedVersion')) all.push(sv);
  if (!signsAsBefore(version, 'overrides')) all.push(rscc, rscd, rsce, rscl, rsct);
  return all.join('\n');
}

function delegationFields({ fields, version }: DelegatedSas): string[] {
  const { skoid, sktid, skt, ske, sks, skv, saoid, suoid, scid, skdutid, sduoid } = fields;
  return [
    ...[skoid, sktid, skt, ske, sks, skv],
    ...(signsAsBefore(version, 'objectIds') ? [] : [saoid, suoid, scid]),
    ...(signsAsBefore(version, 'delegatedUser') ? [] : [skdutid, sduoid]),
  ];
}

// "name:value" and a line feed for each header; a line feed and "name:value" for each parameter of the query.
function signedRequest(sas: DelegatedSas, request: Pick<SasCircumstances, 'headers' | 'query'> | undefined): string[] {
  const header = (name: string): string => request?.headers?.[name.toLowerCase()] ?? '';
  const parameter = (name: string): string => {
    const values = request?.query?.get(name.toLowerCase()) ?? [];
    // Two values, or one with a line feed, could pass for something else that was signed.
    return values.length > 1 || /[\r\n]/.test(values[0] ?? '') ? '\0' : (values[0] ?? '');
  };
  return [
    sas.headers.map((name) => `${name}:${header(name)}\n`).join(''),
    sas.queryParameters.map((name) => `\n${name}:${parameter(name)}`).join(''),
  ];
}

function delegationOf({ key, authorizedOid, unauthorizedOid, correlationId, userOid }: DelegatedSas): Delegation {
  const tid = key.delegatedTid === '' ? key.tid : key.delegatedTid;
  return {
    oid: key.oid,
    tid: key.tid,
    authorizedOid,
    unauthorizedOid,
    correlationId,
    boundTo: userOid === undefined ? undefined : { oid: userOid, tid },
  };
}

function canonicalResource(sas: ServiceSas | DelegatedSas, target: SasTarget): string {
  const service = signsAsBefore(sas.version, 'serviceInResource') ? '' : '/blob';
  const container = `${service}/${target.account}/${target.container ?? ''}`;
  switch (sas.resource) {
    case 'container':
      return container;
    case 'directory': {
      const path = directoryOf(target, sas.directoryDepth);
      return path === '' ? container : `${container}/${path}`;
    }
    case 'blob':
    case 'snapshot':
    case 'version':
      return target.blob === undefined ? container : `${container}/${target.blob}`;
  }
}

function directoryOf(target: SasTarget, depth: number): string {
  return (target.blob ?? target.prefix ?? '').split('/').slice(0, depth).join('/');
}

// Undefined where the request does not name the kind of thing that is signed.
function grantScope(sas: AnySas, target: SasTarget): GrantScope | undefined {
  if (sas.kind === 'account') return { kind: 'account', resourceTypes: sas.resourceTypes };
  const { container, blob, snapshot, version } = target;
  if (container === undefined) return undefined;
  switch (sas.resource) {
    case 'container':
      return { kind: 'container', container };
    case 'directory': {
      const path = directoryOf(target, sas.directoryDepth);
      const depth = path === '' ? 0 : path.split('/').length;
      return depth === sas.directoryDepth ? { kind: 'directory', container, path } : undefined;
    }
    case 'blob':
      if (blob === undefined) return undefined;
      return { kind: 'blob', container, blob, snapshots: signsAsBefore(sas.version, 'resourceAndTime') };
    case 'snapshot':
      return blob === undefined || snapshot === undefined ? undefined : { kind: 'snapshot', container, blob, snapshot };
    case 'version':
      return blob === undefined || version === undefined ? undefined : { kind: 'version', container, blob, version };
  }
}

interface Terms {
  readonly kind: 'terms';
  readonly permissions: PermissionSet;
  readonly startMs: number | undefined;
  readonly expiryMs: number;
}

// Each of permissions, start and expiry is in the signature or in the policy that it names, never in both.
function completeTerms(sas: AnySas, policies: readonly StoredAccessPolicy[]): Terms | SasFailure {
  const identifier = sas.kind === 'service' ? sas.identifier : undefined;
  const policy = identifier === undefined ? undefined : policies.find((one) => one.id === identifier);
  if (identifier !== undefined && policy === undefined)
    return { kind: 'sas-policy-not-found', detail: 'The signed identifier (si) is not a stored access policy' };
  // A policy with no permissions leaves them to the signature, as Set Container ACL writes an absent element.
  const stored = policy?.permissions === '' ? undefined : policy?.permissions;
  const conflict = (parameter: 'sp' | 'st' | 'se'): SasFailure => {
    const detail = `${parameter} is in the signature and in its stored access policy`;
    return { kind: 'sas-policy-conflict', parameter, detail };
  };
  if (stored !== undefined && sas.permissions !== undefined) return conflict('sp');
  if (policy?.startMs !== undefined && sas.startMs !== undefined) return conflict('st');
  if (policy?.expiryMs !== undefined && sas.expiryMs !== undefined) return conflict('se');
  const permissions = sas.permissions ?? (stored === undefined ? undefined : parsePermissions(stored));
  if (permissions === undefined) return { kind: 'sas-incomplete', detail: 'sp is mandatory. Cannot be empty' };
  const expiryMs = sas.expiryMs ?? policy?.expiryMs;
  if (expiryMs === undefined) return { kind: 'sas-incomplete', detail: 'se is mandatory. Cannot be empty' };
  return { kind: 'terms', permissions, startMs: sas.startMs ?? policy?.startMs, expiryMs };
}

const unversionedMsMax = 3_600_000;

function isTooLong(sas: AnySas, { startMs, expiryMs }: Terms, nowMs: number): boolean {
  if (sas.kind !== 'service' || sas.identifier !== undefined || !signsAsBefore(sas.version, 'signedVersion'))
    return false;
  return expiryMs - (startMs ?? nowMs) > unversionedMsMax;
}

function responseOverrides({ fields, version }: ServiceSas | DelegatedSas): ResponseOverrides {
  if (signsAsBefore(version, 'overrides')) return {};
  const overrides: Record<string, string> = {};
  for (const [parameter, header] of overridden) {
    // Beyond ASCII the header carries the bytes of UTF-8, which Node takes as Latin-1.
    if (fields[parameter] !== '') overrides[header] = Buffer.from(fields[parameter], 'utf8').toString('latin1');
  }
  return overrides;
}
