// `causeway access`: who may do what in an account by tokens of Entra ID.
import { accountOperand, managementCommand, type Operand, type Say } from './management.ts';

const id: Operand = { shown: 'ID', field: 'id' };
const role: Operand = { shown: 'ROLE', field: 'role' };
const file: Operand = { shown: 'FILE', field: 'definition', isJsonFile: true };

interface Assignment {
  readonly id: string;
  readonly principal: string;
  readonly role: string;
  readonly container?: string;
  readonly prefix?: string;
  readonly condition?: string;
}

/** Tabs between, so that a script can cut it: what is no text in a field is shown as `?`. */
function line({ id, principal, role, container, prefix, condition }: Assignment): string {
  // A prefix is made of whole parts of a path.
  const below = prefix === undefined ? '' : `${prefix.replace(/\/$/, '')}/`;
  const scope = container === undefined ? '*' : `${container}/${below}*`;
  const fields = [id, principal, role, scope, ...(condition === undefined ? [] : [condition.replace(/\s+/g, ' ')])];
  return fields.map((field) => field.replace(/\p{Cc}/gu, '?')).join('\t');
}

const sayCheck: Say = ({ decision, reason, considered }) => [
  `${decision}: ${reason}`,
  ...(considered as { assignment: Assignment; detail: string }[]).map(
    ({ assignment, detail }) => `${line(assignment)}\t${detail}`,
  ),
];

const sayRoles: Say = ({ builtIn, roles }) => [
  ...(builtIn as string[]),
  ...(roles as { name: string }[]).map(({ name }) => name),
];

export const access = managementCommand({
  name: 'access',
  summary: 'roles of an account, and who has them',
  notes: `A role is one of Azure's storage data roles, or one of the account's own. It reaches the whole account, or with
--container one container, or with --prefix what begins so in it. FILE is a role definition in Azure's format.
A change holds for every request after it.`,
  example: `  causeway access assign photos --principal 8a1e... --role 'Storage Blob Data Reader' --data /srv/causeway`,
  flags: {
    principal: { shown: 'ID', isRequired: true, help: 'object id of a user, a group or a service principal' },
    role: { shown: 'ROLE', isRequired: true, help: 'the name of a role' },
    container: { shown: 'NAME', help: 'this container' },
    prefix: { shown: 'TEXT', help: 'blobs of the container below this prefix' },
    groups: { shown: 'IDS', kind: 'list', help: 'object ids of groups that the principal is in, with commas' },
    operation: { shown: 'NAME', help: 'an operation of the Blob API, such as GetBlob' },
    action: { shown: 'NAME', help: 'an action: blob/read, or as Azure names it' },
    blob: { shown: 'NAME', help: 'the blob that is asked about' },
    address: { shown: 'IP', help: 'where the request comes from: asks the network rules as well' },
    condition: { shown: 'TEXT', help: 'an attribute condition, as Azure writes it (version 2.0)' },
  },
  actions: [
    {
      name: 'assign',
      summary: 'gives a principal a role, and prints the id of the assignment',
      operands: [accountOperand],
      flags: ['principal', 'role', 'container', 'prefix', 'condition'],
      say: ({ id }) => [id as string],
    },
    { name: 'unassign', summary: 'takes an assignment away', operands: [accountOperand, id], say: () => [] },
    {
      name: 'list',
      summary: 'prints assignments: id, principal, role, where, condition',
      operands: [accountOperand],
      pageOf: 'assignments',
      say: ({ assignments }) => (assignments as Assignment[]).map(line),
    },
    {
      name: 'check',
      summary: 'tells whether somebody may do something, why, and what each assignment says of it',
      operands: [accountOperand],
      flags: ['principal', 'groups', 'operation', 'action', 'container', 'blob', 'prefix', 'address'],
      say: sayCheck,
    },
    {
      name: 'role create',
      summary: 'makes or replaces a role of the account',
      operands: [accountOperand, file],
      say: ({ name }) => [name as string],
    },
    {
      name: 'role delete',
      summary: 'takes a role of the account away that nobody has',
      operands: [accountOperand, role],
      say: () => [],
    },
    {
      name: 'role list',
      summary: 'prints the roles that can be assigned',
      operands: [accountOperand],
      say: sayRoles,
    },
  ],
});
