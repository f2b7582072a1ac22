// Why somebody may do something, or may not: the decision of `authorize` with everything that it was made of.
import { type Action, actions, type Resource } from './actions.ts';
import { type Access, type Holder, type RoleAssignment, type Verdict, weigh } from './assignments.ts';
import { NetworkPolicy, type NetworkRules } from './network.ts';
import { needs } from './roles.ts';

export interface AccessQuestion {
  readonly holder: Holder;
  readonly action: Action;
  readonly resource: Resource;
  readonly access: Access;
  /** Where the request comes from; without it the network rules are not asked. */
  readonly address?: string;
  readonly networkRules?: NetworkRules;
}

export interface AccessExplanation {
  readonly decision: 'allowed' | 'allowed-only-if-new' | 'denied' | 'depends-on-tags';
  /** In one line. */
  readonly reason: string;
  /** Azure's actions of which a role must have one; those of `ifNew` allow only what overwrites nothing. */
  readonly needs: { readonly anyOf: readonly string[]; readonly ifNew: readonly string[] };
  readonly network: 'admitted' | 'refused' | 'not-asked';
  /** What each assignment said; those of other principals are left out. */
  readonly considered: readonly ConsideredAssignment[];
}

export interface ConsideredAssignment {
  readonly assignment: RoleAssignment;
  /** Azure's action that was looked for. */
  readonly azureAction: string;
  readonly verdict: Verdict;
  readonly detail: string;
}

const details: Readonly<Record<Verdict, string>> = {
  'other-principal': 'it is of somebody else',
  'other-scope': 'its scope does not hold the resource',
  'unknown-role': 'its role does not exist',
  'not-in-role': 'its role does not have the action',
  'condition-malformed': 'its condition cannot be understood, and so allows nothing',
  'condition-not-met': 'its condition is not met',
  'needs-blob': "its condition depends on the blob's tags",
  allows: 'it allows the action',
};

/** An action by its name here (`blob/read`), or Azure's (`Microsoft.Storage/.../blobs/read`); undefined if there is none. */
export function findAction(name: string): Action | undefined {
  const wanted = name.toLowerCase();
  return actions.find(
    (action) => action === wanted || needs[action].anyOf.some((azure) => azure.toLowerCase() === wanted),
  );
}

/** Pure, as `authorize` is; both ask the same question of the same code. */
export function explainAccess(question: AccessQuestion): AccessExplanation {
  const { holder, action, resource, access, address, networkRules } = question;
  const considered: ConsideredAssignment[] = [];
  const weighed = weigh(holder, action, resource, access, (assignment, azureAction, verdict) => {
    if (verdict === 'other-principal') return;
    considered.push({ assignment, azureAction, verdict, detail: details[verdict] });
  });
  const { anyOf, ifNew } = needs[action];
  const isRefused = address !== undefined && !new NetworkPolicy(networkRules).admits(address);
  const network = address === undefined ? 'not-asked' : isRefused ? 'refused' : 'admitted';
  const common = { needs: { anyOf, ifNew }, network, considered } as const;
  if (isRefused) return { decision: 'denied', reason: `the network rules do not let ${address} in`, ...common };
  if (weighed === 'needs-blob')
    return {
      decision: 'depends-on-tags',
      reason: "a condition depends on the blob's tags, which are not known",
      ...common,
    };
  if (weighed === 'denied') return { decision: 'denied', reason: whyNot(considered, anyOf), ...common };
  return { decision: weighed, reason: why(considered, anyOf), ...common };
}

function why(considered: readonly ConsideredAssignment[], anyOf: readonly string[]): string {
  const by = considered.find(({ verdict }) => verdict === 'allows');
  if (by === undefined) return anyOf.length === 0 ? 'it needs no role: each request inside is decided by itself' : '';
  const { role, id, container, prefix, condition } = by.assignment;
  const where = container === undefined ? 'the account' : `${container}${prefix === undefined ? '' : `/${prefix}`}`;
  return `${role} on ${where} (assignment ${id}) has ${by.azureAction}${condition === undefined ? '' : ', and its condition is met'}`;
}

/** The assignment that came closest. */
function whyNot(considered: readonly ConsideredAssignment[], anyOf: readonly string[]): string {
  const order: readonly Verdict[] = [
    'condition-not-met',
    'condition-malformed',
    'not-in-role',
    'unknown-role',
    'other-scope',
  ];
  for (const verdict of order) {
    const closest = considered.find((one) => one.verdict === verdict);
    if (closest === undefined) continue;
    const { role, id } = closest.assignment;
    return `no assignment allows ${anyOf.join(' or ')}; the closest is ${role} (assignment ${id}): ${closest.detail}`;
  }
  return 'nothing is assigned to the principal or to a group of it';
}
