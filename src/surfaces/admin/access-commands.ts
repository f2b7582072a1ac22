// Commands on access: who has which role in an account, and the account's own roles.
import { z } from 'zod';
import { assignmentProblem } from '../../identity/assignments.ts';
import { builtInRoles, findRole } from '../../identity/roles.ts';
import {
  type AccessOutcome,
  assignmentsMax,
  assignRole,
  customRolesMax,
  deleteRole,
  getAccess,
  putRole,
  unassignRole,
} from '../../namespace/access.ts';
import { getAccount } from '../../namespace/accounts.ts';
import type { RoleAssignmentRecord } from '../../namespace/records.ts';
import {
  accountField,
  command,
  containerField,
  done,
  isoTime,
  type ManagementCommand,
  made,
  page,
  pageFields,
  type Refused,
  refusalOf,
  refuse,
} from './command.ts';
import { parseRoleDefinition } from './role-definition.ts';

const principalField = z.string('must be an object id').min(1).max(64);
const roleField = z.string('must be the name of a role').min(1).max(128);
const conditionBytesMax = 8 * 1024;

function assignmentView({ createdMs, ...assignment }: RoleAssignmentRecord) {
  return { ...assignment, created: isoTime(createdMs) };
}

export const accessCommands: readonly ManagementCommand[] = [
  command({
    name: 'access assign',
    method: 'POST',
    path: '/v1/accounts/{account}/role-assignments',
    summary: 'gives a principal a role in an account, a container, or below a prefix',
    input: z.strictObject({
      account: accountField,
      principal: principalField,
      role: roleField,
      container: containerField.optional(),
      prefix: z.string().min(1).max(1024).optional(),
      condition: z.string().min(1).max(conditionBytesMax).optional(),
    }),
    async run({ store, cause }, { account, principal, role, container, prefix, condition }) {
      const { roles } = await getAccess(store, account);
      const found = findRole(role, roles);
      if (found === undefined) {
        const isThere = (await getAccount(store, account)) !== undefined;
        return refusal({ kind: isThere ? 'role-not-found' : 'account-not-found' }, account, role);
      }
      const assign = {
        principal: principal.toLowerCase(),
        role: found.name,
        isBuiltIn: builtInRoles.some(({ name }) => name === found.name),
        ...(container !== undefined && { container }),
        ...(prefix !== undefined && { prefix }),
        ...(condition !== undefined && { condition }),
      };
      const problem = assignmentProblem({ ...assign, id: '' }, roles);
      if (problem !== undefined) return refuse('InvalidInput', problem);
      const outcome = await assignRole(store, account, assign, cause);
      return outcome.kind === 'ok' ? made(assignmentView(outcome.assignment)) : refusal(outcome, account, role);
    },
  }),
  command({
    name: 'access unassign',
    method: 'DELETE',
    path: '/v1/accounts/{account}/role-assignments/{id}',
    summary: 'takes a role assignment away',
    input: z.strictObject({
      account: accountField,
      id: z.string().regex(/^[0-9a-f]{32}$/, 'must be the id of an assignment'),
    }),
    async run({ store, cause }, { account, id }) {
      const outcome = await unassignRole(store, account, id, cause);
      return outcome.kind === 'ok' ? done({ id }) : refusal(outcome, account, '');
    },
  }),
  command({
    name: 'access list',
    method: 'GET',
    path: '/v1/accounts/{account}/role-assignments',
    summary: 'lists role assignments by their ids',
    input: z.strictObject({ account: accountField, ...pageFields }),
    async run({ store }, { account, from = '', limit }) {
      if ((await getAccount(store, account)) === undefined) return refusalOf('account-not-found', { account });
      const { assignments } = await getAccess(store, account);
      const sorted = assignments.toSorted((one, other) => (one.id < other.id ? -1 : 1));
      const { items, next } = page(
        sorted.filter(({ id }) => id >= from),
        limit,
        ({ id }) => id,
      );
      return done({ assignments: items.map(assignmentView), ...(next !== undefined && { next }) });
    },
  }),
  command({
    name: 'access role create',
    method: 'POST',
    path: '/v1/accounts/{account}/roles',
    summary: "makes or replaces a role of the account's own, from a definition in Azure's format",
    input: z.strictObject({ account: accountField, definition: z.unknown() }),
    async run({ store, cause }, { account, definition }) {
      const parsed = parseRoleDefinition(definition);
      if (parsed.kind === 'invalid') return refuse('InvalidInput', `definition: ${parsed.message}`);
      const { role } = parsed;
      const outcome = await putRole(store, account, role, cause);
      return outcome.kind === 'ok' ? made(role) : refusal(outcome, account, role.name);
    },
  }),
  command({
    name: 'access role delete',
    method: 'DELETE',
    path: '/v1/accounts/{account}/roles/{role}',
    summary: "takes a role of the account's own away that nobody has",
    input: z.strictObject({ account: accountField, role: roleField }),
    async run({ store, cause }, { account, role }) {
      const outcome = await deleteRole(store, account, role, cause);
      return outcome.kind === 'ok' ? done({ role }) : refusal(outcome, account, role);
    },
  }),
  command({
    name: 'access role list',
    method: 'GET',
    path: '/v1/accounts/{account}/roles',
    summary: "lists the roles that can be assigned: the built-in ones, and the account's own",
    input: z.strictObject({ account: accountField }),
    async run({ store }, { account }) {
      if ((await getAccount(store, account)) === undefined) return refusalOf('account-not-found', { account });
      return done({ builtIn: builtInRoles.map(({ name }) => name), roles: (await getAccess(store, account)).roles });
    },
  }),
];

function refusal(outcome: Exclude<AccessOutcome, { kind: 'ok' }>, account: string, role: string): Refused {
  switch (outcome.kind) {
    case 'assignment-exists':
      return refuse('AssignmentAlreadyExists', `there is such an assignment already: ${outcome.id}`);
    case 'assignment-not-found':
      return refuse('AssignmentNotFound', `the account ${account} has no such role assignment`);
    case 'assignments-exceeded':
      return refuse('LimitExceeded', `an account has at most ${assignmentsMax} role assignments`);
    case 'role-not-found':
      return refuse('RoleNotFound', `the account ${account} has no role ${JSON.stringify(role)}`);
    case 'role-in-use':
      return refuse('RoleInUse', `the role is assigned: ${outcome.assignment}`);
    case 'roles-exceeded':
      return refuse('LimitExceeded', `an account has at most ${customRolesMax} roles of its own`);
    default:
      return refusalOf(outcome.kind, { account });
  }
}
