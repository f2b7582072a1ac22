// Roles: Azure's built-in ones for blob data, custom ones, and what each action of this server needs of them in Azure's terms.
import type { Action } from './actions.ts';
import { matchesPattern } from './patterns.ts';

/** As the namespace stores what an account has of its own. */
export interface Role {
  readonly name: string;
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
  readonly dataActions: readonly string[];
  readonly notDataActions: readonly string[];
}

interface BuiltInRole extends Role {
  /** The id of the role definition in every Azure subscription. */
  readonly id: string;
}

const service = 'Microsoft.Storage/storageAccounts/blobServices';
const containers = `${service}/containers`;
const blobs = `${containers}/blobs`;
const delegationKey = `${service}/generateUserDelegationKey/action`;

function builtIn(name: string, id: string, actions: readonly string[], dataActions: readonly string[]): BuiltInRole {
  return { name, id, actions, notActions: [], dataActions, notDataActions: [] };
}

/** "Azure built-in roles for Storage". */
export const builtInRoles: readonly BuiltInRole[] = [
  builtIn(
    'Storage Blob Data Owner',
    'b7e6dc6d-f1e8-4753-8033-0f276bb0955b',
    [`${containers}/*`, delegationKey],
    [`${blobs}/*`],
  ),
  builtIn(
    'Storage Blob Data Contributor',
    'ba92f5b4-2d11-453d-a403-e96b0029c9fe',
    [`${containers}/delete`, `${containers}/read`, `${containers}/write`, delegationKey],
    [`${blobs}/delete`, `${blobs}/read`, `${blobs}/write`, `${blobs}/move/action`, `${blobs}/add/action`],
  ),
  builtIn(
    'Storage Blob Data Reader',
    '2a2b9908-6ea1-4ae2-8e63-a410df84e7d1',
    [`${containers}/read`, delegationKey],
    [`${blobs}/read`],
  ),
  builtIn('Storage Blob Delegator', 'db58b8e5-c6ad-4a2a-8342-4190687cbf4a', [delegationKey], []),
];

/** By name or by the id of a built-in one, in any case; built-in roles cannot be replaced. */
export function findRole(nameOrId: string, custom: readonly Role[]): Role | undefined {
  const wanted = nameOrId.toLowerCase();
  return (
    builtInRoles.find(({ name, id }) => name.toLowerCase() === wanted || id === wanted) ??
    custom.find(({ name }) => name.toLowerCase() === wanted)
  );
}

const actionForm = /^[A-Za-z0-9*.]+(?:\/[A-Za-z0-9*]+)*$/;
const actionsMax = 256;

/** Why a custom role is refused; undefined where it may be stored. */
export function roleProblem(role: Role): string | undefined {
  if (!/^\S(?:.{0,126}\S)?$/.test(role.name)) return 'the name must have 1 to 128 characters';
  if (builtInRoles.some(({ name }) => name.toLowerCase() === role.name.toLowerCase()))
    return 'the name is that of a built-in role';
  const all = [role.actions, role.notActions, role.dataActions, role.notDataActions].flat();
  if (all.length > actionsMax) return `more than ${actionsMax} actions`;
  const wrong = all.find((action) => action.length > 256 || !actionForm.test(action));
  return wrong === undefined ? undefined : `not an action: ${JSON.stringify(wrong.slice(0, 64))}`;
}

/** What Azure's roles speak of: operations on the account and its containers, and operations on data. */
export interface Needed {
  readonly kind: 'control' | 'data';
  /** Actions of which a role must have one. */
  readonly anyOf: readonly string[];
  /** Actions that allow it only where nothing is overwritten. */
  readonly ifNew: readonly string[];
  readonly subOperation?: string;
}

const control = (...anyOf: readonly string[]): Needed => ({ kind: 'control', anyOf, ifNew: [] });
const data = (anyOf: readonly string[], more: Partial<Needed> = {}): Needed => ({
  kind: 'data',
  anyOf,
  ifNew: [],
  ...more,
});
const write = data([`${blobs}/write`]);
const add = data([`${blobs}/write`, `${blobs}/add/action`]);

/** "Permissions for calling data operations", of Blob service operations. */
export const needs: Readonly<Record<Action, Needed>> = {
  'service/read': control(`${service}/read`),
  'service/write': control(`${service}/write`),
  'service/list': control(`${containers}/read`),
  'service/filter': data([`${blobs}/filter/action`]),
  'service/info': control(`${service}/getInfo/action`),
  // Nothing of its own: each request inside brings its own token and is decided on its own.
  'service/batch': control(),
  'service/delegation-key': control(delegationKey),
  'container/create': control(`${containers}/write`),
  'container/read': control(`${containers}/read`),
  'container/write': control(`${containers}/write`),
  'container/delete': control(`${containers}/delete`),
  'container/undelete': control(`${containers}/write`),
  'container/list': data([`${blobs}/read`], { subOperation: 'Blob.List' }),
  'container/filter': data([`${blobs}/filter/action`]),
  'container/acl': control(`${containers}/getAcl/action`),
  'container/set-acl': control(`${containers}/setAcl/action`),
  'container/lease': control(`${containers}/write`),
  'container/break-lease': control(`${containers}/write`),
  'blob/read': data([`${blobs}/read`]),
  'blob/create': data([`${blobs}/write`], { ifNew: [`${blobs}/add/action`] }),
  'blob/write': write,
  'blob/add': add,
  'blob/snapshot': add,
  'blob/delete': data([`${blobs}/delete`]),
  'blob/delete-version': data([`${blobs}/deleteBlobVersion/action`]),
  'blob/delete-permanent': data([`${blobs}/permanentDelete/action`]),
  'blob/undelete': write,
  'blob/lease': write,
  'blob/break-lease': write,
  'blob/tags-read': data([`${blobs}/tags/read`]),
  'blob/tags-write': data([`${blobs}/tags/write`]),
  'blob/immutability': data([`${blobs}/immutableStorage/runAsSuperUser/action`]),
};

/** `*` stands for anything, also for what comes behind the next "/". */
export function roleHas(role: Role, kind: Needed['kind'], action: string): boolean {
  const [given, taken] = kind === 'data' ? [role.dataActions, role.notDataActions] : [role.actions, role.notActions];
  const matches = (pattern: string): boolean => matchesPattern(action.toLowerCase(), pattern.toLowerCase());
  return given.some(matches) && !taken.some(matches);
}
