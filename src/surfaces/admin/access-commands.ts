// Commands on access: who has which role in an account, and the account's own roles.
import { z } from 'zod';
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

const builtInRoles = [
  'Storage Blob Data Owner',
  'Storage Blob Data Contributor',
  'Storage Blob Data Reader',
  'Storage Blob Delegator',
];

export const principalField = z
  .string('must be an object id')
  .regex(/^[0-9a-fA-F-]{1,64}$/, 'must be the object id of a user, a group or a service principal');
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
      if (prefix !== undefined && container === undefined)
        return refuse('InvalidInput', 'prefix: needs a container');
      const builtIn = builtInRoles.find((name) => name.toLowerCase() === role.toLowerCase());
      const assign = {
        principal: principal.toLowerCase(),
        role: builtIn ?? role,
        isBuiltIn: builtIn !== undefined,
        ...(container !== undefined && { container }),
        ...(prefix !== undefined && { prefix }),
        ...(condition !== undefined && { condition }),
      };
      const outcome = await assignRole(store, account, assign, cause);
      return outcome.kind === 'ok' ? made(assignmentView(outcome.assignment)) : refusal(outcome, account, role);
    },
  }),
  command({
    name: 'access unassign',
    method: 'DELETE',
    path: '/v1/accounts/{account}/role-assignments/{id}',
    summary: 'takes a role assignment away',
    input: z.strictObject({ account: accountField, id: z.string().regex(/^[0-9a-f]{32}$/, 'must be the id of an assignment') }),
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
      const { items, next } = page(sorted.filter(({ id }) => id >= from), limit, ({ id }) => id);
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
      if (builtInRoles.some((name) => name.toLowerCase() === role.name.toLowerCase()))
        return refuse('InvalidInput', `definition: ${role.name} is a built-in role`);
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
      return done({ builtIn: builtInRoles, roles: (await getAccess(store, account)).roles });
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
