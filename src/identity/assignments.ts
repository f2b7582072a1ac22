// What the roles that are assigned to somebody let him do: scope, role and condition of each assignment.
import { type Action, isOfListing, type Resource } from './actions.ts';
import { type Condition, evaluateCondition, parseCondition } from './attribute-conditions.ts';
import type { AttributeFacts, BlobFacts, RequestFacts } from './attributes.ts';
import { findRole, type Needed, needs, type Role, roleHas } from './roles.ts';

/** As the namespace stores it. */
export interface RoleAssignment {
  readonly id: string;
  readonly principal: string;
  readonly role: string;
  readonly container?: string;
  readonly prefix?: string;
  readonly condition?: string;
}

/** What a decision about somebody with a token depends on beside the resource. */
export interface Access {
  readonly assignments: readonly RoleAssignment[];
  readonly roles: readonly Role[];
  /** Of the blob that is there; absent until somebody looked, which `needs-blob` asks for. */
  readonly blob?: BlobFacts;
  readonly request?: RequestFacts;
  readonly nowMs?: number;
}

/** An object of Entra ID with the groups that it is known to be in. */
export interface Holder {
  readonly oid: string;
  readonly groups: readonly string[];
}

/** What one assignment says of a request, from the first reason not to apply on. */
export type Verdict =
  | 'other-principal'
  | 'other-scope'
  | 'unknown-role'
  | 'not-in-role'
  | 'condition-malformed'
  | 'condition-not-met'
  | 'needs-blob'
  | 'allows';

export type Weighed = 'allowed' | 'allowed-only-if-new' | 'needs-blob' | 'denied';

/** Everything that is not allowed by an assignment is denied. `note` hears what each says, for who wants to know why. */
export function weigh(
  holder: Holder,
  action: Action,
  resource: Resource,
  access: Access,
  note?: (assignment: RoleAssignment, dataAction: string, verdict: Verdict) => void,
): Weighed {
  const needed = needs[action];
  if (needed.anyOf.length === 0) return 'allowed';
  const full = weighOne(needed.anyOf);
  if (full !== 'denied' || needed.ifNew.length === 0) return full;
  const ifNew = weighOne(needed.ifNew);
  return ifNew === 'allowed' ? 'allowed-only-if-new' : ifNew;

  function weighOne(actions: readonly string[]): 'allowed' | 'needs-blob' | 'denied' {
    let result: 'needs-blob' | 'denied' = 'denied';
    for (const assignment of access.assignments) {
      for (const azureAction of actions) {
        const verdict = judge(holder, assignment, azureAction, needed, action, resource, access);
        note?.(assignment, azureAction, verdict);
        if (verdict === 'allows') return 'allowed';
        if (verdict === 'needs-blob') result = verdict;
      }
    }
    return result;
  }
}

function judge(
  holder: Holder,
  assignment: RoleAssignment,
  azureAction: string,
  needed: Needed,
  action: Action,
  resource: Resource,
  access: Access,
): Verdict {
  const principal = assignment.principal.toLowerCase();
  if (principal !== holder.oid && !holder.groups.includes(principal)) return 'other-principal';
  if (!isInScope(assignment, action, resource)) return 'other-scope';
  const role = findRole(assignment.role, access.roles);
  if (role === undefined) return 'unknown-role';
  if (!roleHas(role, needed.kind, azureAction)) return 'not-in-role';
  if (assignment.condition === undefined) return 'allows';
  const condition = conditionOf(assignment.condition);
  if (condition === undefined) return 'condition-malformed';
  const truth = evaluateCondition(condition, factsOf(azureAction, needed, action, resource, access));
  return truth === true ? 'allows' : truth === 'needs-blob' ? truth : 'condition-not-met';
}

/**
 * A prefix is made of whole parts of a path: "a/b" and "a/b/" hold "a/b/c", and never "a/bc". What is not below it, such
 * as the container itself or a listing of more, is out of its scope.
 */
function isInScope({ container, prefix = '' }: RoleAssignment, action: Action, resource: Resource): boolean {
  if (container === undefined) return prefix === '';
  if (resource.container !== container) return false;
  if (prefix === '') return true;
  const below = prefix.endsWith('/') ? prefix : `${prefix}/`;
  const { blob } = resource;
  if (blob === undefined) return isOfListing(action) && (resource.prefix?.startsWith(below) ?? false);
  return blob.startsWith(below) || blob === prefix;
}

function factsOf(
  azureAction: string,
  { subOperation }: Needed,
  action: Action,
  resource: Resource,
  { blob, request = {}, nowMs }: Access,
): AttributeFacts {
  const subOperations = subOperation === undefined ? [] : [subOperation];
  if (request.hasTagConditions)
    subOperations.push(action === 'blob/read' ? 'Blob.Read.WithTagConditions' : 'Blob.Write.WithTagConditions');
  if (request.tags !== undefined) subOperations.push('Blob.Write.WithTagHeaders');
  if (request.setsTier) subOperations.push('Blob.Write.Tier');
  return {
    account: resource.account,
    action: azureAction,
    subOperations,
    container: resource.container,
    path: resource.blob,
    snapshot: resource.snapshot,
    version: resource.version,
    blob,
    request: action === 'container/list' ? { ...request, prefix: resource.prefix ?? '' } : request,
    nowMs,
  };
}

// The same few conditions are asked about in every request.
const parsedConditions = new Map<string, Condition | undefined>();
const parsedConditionsMax = 1000;

function conditionOf(text: string): Condition | undefined {
  if (!parsedConditions.has(text)) {
    const parsed = parseCondition(text);
    if (parsedConditions.size >= parsedConditionsMax) parsedConditions.clear();
    parsedConditions.set(text, parsed.kind === 'condition' ? parsed.condition : undefined);
  }
  return parsedConditions.get(text);
}

const guid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Why an assignment is refused; undefined where it may be stored. */
export function assignmentProblem(assignment: RoleAssignment, roles: readonly Role[]): string | undefined {
  const { principal, role, container, prefix, condition } = assignment;
  if (!guid.test(principal)) return 'the principal must be an object id (a GUID)';
  if (findRole(role, roles) === undefined) return 'there is no such role';
  if (prefix !== undefined && container === undefined) return 'a prefix needs a container';
  if (prefix !== undefined && (prefix === '' || prefix.startsWith('/') || prefix.length > 1024))
    return 'the prefix must have 1 to 1024 characters and not begin with "/"';
  if (condition === undefined) return undefined;
  const parsed = parseCondition(condition);
  return parsed.kind === 'malformed' ? `the condition: ${parsed.reason}, at character ${parsed.at + 1}` : undefined;
}
