// Verifying a shared access signature against the request it came with; the answer is what it grants, or why not.
import { formatHttpDate } from '../codec/http-date.ts';
import { type AccountKey, isRepeatedlySignedByAny } from './account-key.ts';
import { isInIpRange } from './ip-range.ts';
import { type PermissionSet, parsePermissions } from './permissions.ts';
import { type AccountResourceType, type AccountSas, encryptionScopeSince, type ServiceSas } from './sas.ts';

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
}

export type GrantScope =
  | { readonly kind: 'account'; readonly resourceTypes: readonly AccountResourceType[] }
  | { readonly kind: 'container'; readonly container: string }
  | { readonly kind: 'directory'; readonly container: string; readonly path: string }
  | { readonly kind: 'blob'; readonly container: string; readonly blob: string }
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
  sas: AccountSas | ServiceSas,
  target: SasTarget,
  keys: readonly AccountKey[],
  policies: readonly StoredAccessPolicy[],
  circumstances: SasCircumstances,
): SasOutcome {
  const stringToSign = sasStringToSign(sas, target);
  const scope = grantScope(sas, target);
  // A signature for a blob on a request without one cannot match; where it is forced to, there is still no scope.
  if (!isRepeatedlySignedByAny(stringToSign, sas.signature, keys) || scope === undefined) {
    const detail = `Signature did not match. String to sign used was ${stringToSign}`;
    return { kind: 'sas-signature-mismatch', detail };
  }
  const terms = completeTerms(sas, policies);
  if (terms.kind !== 'terms') return terms;
  const { nowMs, clientIp, protocol } = circumstances;
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
      overrides: sas.kind === 'service' ? responseOverrides(sas) : {},
      encryptionScope: ses === '' ? undefined : ses,
      version: sas.version,
    },
  };
}

/** The string that the signature covers. */
export function sasStringToSign(sas: AccountSas | ServiceSas, target: SasTarget): string {
  const { sp, ss, srt, st, se, si, sip, spr, sv, sr, ses, rscc, rscd, rsce, rscl, rsct } = sas.fields;
  const scope = sv >= encryptionScopeSince ? [ses] : [];
  if (sas.kind === 'account') return [target.account, sp, ss, srt, st, se, sip, spr, sv, ...scope, ''].join('\n');
  const resource = canonicalResource(sas, target);
  const time =
    sas.resource === 'snapshot' ? (target.snapshot ?? '') : sas.resource === 'version' ? (target.version ?? '') : '';
  return [sp, st, se, resource, si, sip, spr, sv, sr, time, ...scope, rscc, rscd, rsce, rscl, rsct].join('\n');
}

function canonicalResource(sas: ServiceSas, target: SasTarget): string {
  const container = `/blob/${target.account}/${target.container ?? ''}`;
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
function grantScope(sas: AccountSas | ServiceSas, target: SasTarget): GrantScope | undefined {
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
      return blob === undefined ? undefined : { kind: 'blob', container, blob };
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
function completeTerms(sas: AccountSas | ServiceSas, policies: readonly StoredAccessPolicy[]): Terms | SasFailure {
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

function responseOverrides({ fields }: ServiceSas): ResponseOverrides {
  const overrides: Record<string, string> = {};
  for (const [parameter, header] of overridden) {
    // Beyond ASCII the header carries the bytes of UTF-8, which Node takes as Latin-1.
    if (fields[parameter] !== '') overrides[header] = Buffer.from(fields[parameter], 'utf8').toString('latin1');
  }
  return overrides;
}
