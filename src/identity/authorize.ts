// The one decision: may this principal do this to that. Deny by default.
import { type Action, isOfListing, type Resource, type Rule, rules } from './actions.ts';
import { type Access, type Holder, weigh } from './assignments.ts';
import { hasAnyPermission, permissionSet } from './permissions.ts';
import type { Grant } from './verify-sas.ts';
import { signsAsBefore } from './version-differences.ts';

export type { Action, Resource } from './actions.ts';

export type Principal =
  | { readonly kind: 'account-key'; readonly account: string }
  /** With a `delegator` it may no more than that one may, who is asked about at each use. */
  | { readonly kind: 'sas'; readonly grant: Grant; readonly delegators?: readonly Holder[] }
  | EntraPrincipal
  | { readonly kind: 'anonymous' };

/** Who holds a token of Entra ID. Ids are GUIDs in lower case. */
export interface EntraPrincipal extends Holder {
  readonly kind: 'entra';
  readonly tid: string;
  readonly appId?: string;
  readonly upn?: string;
  /** Roles of the application: shown, never decided by. */
  readonly appRoles: readonly string[];
}

export type Decision =
  | { readonly kind: 'allowed' }
  /** Only if no blob is there: whoever carries it out must make that a condition of the write. */
  | { readonly kind: 'allowed-only-if-new' }
  /** A condition speaks of the blob that is there: its tags are to be read, and the question put again with them. */
  | { readonly kind: 'needs-blob' }
  | { readonly kind: 'denied'; readonly reason: DenialReason };

export type DenialReason =
  /** AuthorizationPermissionMismatch */
  | 'permission'
  /** AuthorizationResourceTypeMismatch: an account SAS without the type (srt) of this resource */
  | 'resource-type'
  /** AuthorizationFailure: outside what the signature was made for, or not delegable at all */
  | 'scope'
  /** Nothing public there: the service says ResourceNotFound for reads, NoAuthenticationInformation (401) otherwise */
  | 'anonymous'
  /** A key or signature of another account */
  | 'account'
  /** AuthorizationPermissionMismatch: no role that is assigned allows it */
  | 'role'
  /** AuthenticationFailed: only who holds a token may do this */
  | 'token-only';

const write = permissionSet('write');
const noAccess: Access = { assignments: [], roles: [] };

/** `access` is what is assigned in the account, for principals whose rights are roles: without it they have none. */
export function authorize(
  principal: Principal,
  action: Action,
  resource: Resource,
  access: Access = noAccess,
): Decision {
  const needed: Rule = rules[action];
  if (needed.tokenOnly && principal.kind !== 'entra') return denied('token-only');
  switch (principal.kind) {
    case 'entra':
      return authorizeHolder(principal, action, resource, access);
    case 'account-key':
      return principal.account === resource.account ? { kind: 'allowed' } : denied('account');
    case 'anonymous':
      return isPublic(needed, resource) ? { kind: 'allowed' } : denied('anonymous');
    case 'sas':
      return (principal.delegators ?? []).reduce(
        (decision, delegator) => both(decision, () => authorizeHolder(delegator, action, resource, access)),
        authorizeGrant(principal.grant, action, resource),
      );
  }
}

function authorizeHolder(holder: Holder, action: Action, resource: Resource, access: Access): Decision {
  const weighed = weigh(holder, action, resource, access);
  return weighed === 'denied' ? denied('role') : { kind: weighed };
}

/** The narrower of two. */
function both(first: Decision, second: () => Decision): Decision {
  if (first.kind === 'denied' || first.kind === 'needs-blob') return first;
  const next = second();
  return first.kind === 'allowed-only-if-new' && next.kind === 'allowed' ? first : next;
}

function authorizeGrant(grant: Grant, action: Action, resource: Resource): Decision {
  const needed: Rule = rules[action];
  if (grant.account !== resource.account) return denied('account');
  if ((needed.anyOf | needed.ifNew) === 0) return denied('scope');
  if (grant.scope.kind === 'account') {
    const { resourceTypes } = grant.scope;
    if (!needed.types.some((type) => resourceTypes.includes(type))) return denied('resource-type');
  } else if (!needed.serviceSas || !isInScope(grant, action, resource)) return denied('scope');
  const anyOf = needed.isLeaseBreak && signsAsBefore(grant.version, 'deleteBreaksLease') ? write : needed.anyOf;
  if (hasAnyPermission(grant.permissions, anyOf)) return { kind: 'allowed' };
  return hasAnyPermission(grant.permissions, needed.ifNew) ? { kind: 'allowed-only-if-new' } : denied('permission');
}

function isInScope({ scope }: Grant, action: Action, resource: Resource): boolean {
  if (scope.kind === 'account') return true;
  if (resource.container === undefined || scope.container !== resource.container) return false;
  const { blob, prefix, snapshot, version } = resource;
  switch (scope.kind) {
    case 'container':
      return true;
    case 'directory': {
      const inside = `${scope.path}/`;
      if (scope.path === '') return true;
      // A prefix without the slash would reach the directory's siblings.
      if (blob === undefined) return isOfListing(action) && (prefix?.startsWith(inside) ?? false);
      return `${blob}/`.startsWith(inside);
    }
    case 'blob':
      // The blob itself: a snapshot or version of it needs a signature of its own (sr=bs, sr=bv).
      return scope.blob === blob && (snapshot === undefined || scope.snapshots) && version === undefined;
    case 'snapshot':
      return scope.blob === blob && scope.snapshot === snapshot;
    case 'version':
      return scope.blob === blob && scope.version === version;
  }
}

function isPublic(needed: Rule, resource: Resource): boolean {
  if (needed.public === 'never' || resource.container === undefined) return false;
  const level = resource.publicAccess ?? 'none';
  return level === 'container' || (level === 'blob' && needed.public === 'blob');
}

function denied(reason: DenialReason): Decision {
  return { kind: 'denied', reason };
}
