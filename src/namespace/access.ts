// Who may do what in an account by tokens of Entra ID: the rows of role assignments and of the account's own roles.
import type { Txn, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { readAccount } from './accounts.ts';
import type { Failure } from './failure.ts';
import { appendJournal, type Cause } from './journal.ts';
import {
  type AccessRecord,
  type CustomRoleRecord,
  decodeRecord,
  encodeRecord,
  type RoleAssignmentRecord,
} from './records.ts';
import { change, type Store } from './store.ts';

/** All of an account's assignments are read at once, by every worker after every change. */
export const assignmentsMax = 2000;
export const customRolesMax = 200;

type Refusal = Extract<Failure, { kind: 'account-not-found' | 'no-space' | 'contended' }>;

export type AccessOutcome =
  | { readonly kind: 'ok'; readonly access: AccessRecord }
  | { readonly kind: 'assignment-exists'; readonly id: string }
  | { readonly kind: 'assignment-not-found' }
  | { readonly kind: 'assignments-exceeded' }
  | { readonly kind: 'role-not-found' }
  | { readonly kind: 'role-in-use'; readonly assignment: string }
  | { readonly kind: 'roles-exceeded' }
  | Refusal;

export type AssignOutcome = Exclude<AccessOutcome, { kind: 'ok' }> | { kind: 'ok'; assignment: RoleAssignmentRecord };

const nothing: AccessRecord = { assignments: [], roles: [] };

export async function readAccess(view: View, account: string): Promise<AccessRecord> {
  const found = await view.get(keys.access(account));
  return found === undefined ? nothing : decodeRecord<AccessRecord>(found);
}

export function getAccess(store: Store, account: string): Promise<AccessRecord> {
  return store.engine.snapshot((view) => readAccess(view, account));
}

/** What a new assignment says; `isBuiltIn` tells roles that need no row. */
export interface Assign extends Omit<RoleAssignmentRecord, 'id' | 'createdMs'> {
  readonly isBuiltIn: boolean;
}

export async function assignRole(store: Store, account: string, assign: Assign, cause: Cause): Promise<AssignOutcome> {
  const { isBuiltIn, ...said } = assign;
  const assignment = { ...said, id: store.ids.nextHex(), createdMs: store.clock.now() };
  const outcome = await changeAccess(store, account, cause, (access) => {
    if (!isBuiltIn && !access.roles.some(({ name }) => isName(name, said.role))) return { kind: 'role-not-found' };
    const same = access.assignments.find((other) => isSame(other, said));
    if (same !== undefined) return { kind: 'assignment-exists', id: same.id };
    if (access.assignments.length >= assignmentsMax) return { kind: 'assignments-exceeded' };
    return { kind: 'ok', access: { ...access, assignments: [...access.assignments, assignment] } };
  });
  return outcome.kind === 'ok' ? { kind: 'ok', assignment } : outcome;
}

/** The case of a role's name says nothing, as in Azure. */
const isName = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

function isSame(one: Omit<Assign, 'isBuiltIn'>, other: Omit<Assign, 'isBuiltIn'>): boolean {
  const parts = ['principal', 'role', 'container', 'prefix', 'condition'] as const;
  return parts.every((part) => one[part] === other[part]);
}

export function unassignRole(store: Store, account: string, id: string, cause: Cause): Promise<AccessOutcome> {
  return changeAccess(store, account, cause, (access) => {
    const assignments = access.assignments.filter((assignment) => assignment.id !== id);
    if (assignments.length === access.assignments.length) return { kind: 'assignment-not-found' };
    return { kind: 'ok', access: { ...access, assignments } };
  });
}

/** Makes a role of the account's own, or replaces the one of that name. */
export function putRole(store: Store, account: string, role: CustomRoleRecord, cause: Cause): Promise<AccessOutcome> {
  return changeAccess(store, account, cause, (access) => {
    const others = access.roles.filter((other) => !isName(other.name, role.name));
    if (others.length >= customRolesMax) return { kind: 'roles-exceeded' };
    return { kind: 'ok', access: { ...access, roles: [...others, role] } };
  });
}

/** A role that somebody has stays, as in Azure. */
export function deleteRole(store: Store, account: string, name: string, cause: Cause): Promise<AccessOutcome> {
  return changeAccess(store, account, cause, (access) => {
    const roles = access.roles.filter((role) => !isName(role.name, name));
    if (roles.length === access.roles.length) return { kind: 'role-not-found' };
    const used = access.assignments.find(({ role }) => isName(role, name));
    if (used !== undefined) return { kind: 'role-in-use', assignment: used.id };
    return { kind: 'ok', access: { ...access, roles } };
  });
}

async function changeAccess(
  store: Store,
  account: string,
  cause: Cause,
  work: (access: AccessRecord) => AccessOutcome,
): Promise<AccessOutcome> {
  const outcome = await change<AccessOutcome>(store, async (txn: Txn) => {
    const found = await readAccount(txn, account);
    if (found === undefined) return { kind: 'account-not-found' };
    const done = work(await readAccess(txn, account));
    if (done.kind !== 'ok') return done;
    txn.put(keys.access(account), encodeRecord(done.access));
    txn.put(keys.account(account), encodeRecord({ ...found, accessChanges: (found.accessChanges ?? 0) + 1 }));
    appendJournal(store, txn, { operation: 'account-changed', account, ...cause });
    return done;
  });
  return outcome as AccessOutcome;
}
