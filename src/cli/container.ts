// `causeway container`: what Azure's management plane sets on a container.
import { accountOperand, managementCommand, type Operand, sayFields, saySettings } from './management.ts';
import type { Settings } from './words.ts';

const named: Operand = { shown: 'CONTAINER', field: 'container' };

export const containerSettings: Settings = {
  'quota-bytes': { kind: 'whole', orNone: true, help: 'most bytes of content' },
  'retention-days': { kind: 'whole', orNone: true, help: 'days for which what is written neither changes nor goes' },
  'retention-lock': { kind: 'switch', help: 'only on: the retention can then only be extended, five times' },
  'protected-appends': {
    kind: ['append', 'all'],
    orNone: true,
    noneWord: 'off',
    help: 'what is retained may be appended to',
  },
  'version-immutability': { kind: 'switch', help: 'only on: versions may have policies and holds of their own' },
  'encryption-scope': { kind: 'text', orNone: true, help: 'encrypts content that names no scope' },
  'deny-scope-override': { kind: 'switch', help: 'no request may name another scope' },
};

export const container = managementCommand({
  name: 'container',
  summary: 'containers: made, listed, deleted; retention, legal holds, quota',
  notes: `A retention that is not locked may be raised, lowered and removed. A locked one can only be extended, five times,
and nothing and nobody can take it off. While a container has a tag of a legal hold, nothing in it changes or goes.
TAGS are 3 to 23 letters and digits, with commas between them.`,
  example: `  causeway container create photos 2026 --data /srv/causeway
  causeway container set photos 2026 retention-days=30 --data /srv/causeway
  causeway container legal-hold photos 2026 --add case42 --data /srv/causeway`,
  flags: {
    'public-access': {
      shown: 'LEVEL',
      kind: ['none', 'blob', 'container'],
      help: 'what anybody may read: none, blob, container (none)',
    },
    prefix: { shown: 'TEXT', help: 'only containers whose names begin so' },
    add: { shown: 'TAGS', kind: 'list', help: 'tags of legal holds to add' },
    to: { shown: 'TIME', isRequired: true, help: 'to which time, such as 2026-01-31T12:00:00Z' },
    from: { shown: 'NAME', help: 'only blobs from this name on' },
    until: { shown: 'NAME', help: 'only blobs before this name' },
    clear: { shown: 'TAGS', kind: 'list', help: 'tags of legal holds to clear' },
  },
  actions: [
    {
      name: 'create',
      summary: 'makes a container, and prints its address',
      operands: [accountOperand, named],
      flags: ['public-access'],
      say: ({ url }) => [url as string],
    },
    {
      name: 'list',
      summary: 'prints the names of containers, one a line',
      operands: [accountOperand],
      flags: ['prefix'],
      pageOf: 'containers',
      say: ({ containers }) => (containers as { name: string }[]).map(({ name }) => name),
    },
    {
      name: 'delete',
      summary: 'deletes a container with everything in it',
      operands: [accountOperand, named],
      say: () => [],
    },
    {
      name: 'show',
      summary: 'prints what is set on a container',
      operands: [accountOperand, named],
      say: saySettings,
    },
    {
      name: 'set',
      summary: 'changes settings of a container',
      operands: [accountOperand, named],
      settings: containerSettings,
      say: saySettings,
    },
    {
      name: 'legal-hold',
      summary: 'adds tags of legal holds, and clears others',
      operands: [accountOperand, named],
      flags: ['add', 'clear'],
      say: saySettings,
    },
    {
      name: 'restore',
      summary: 'begins to bring the blobs of a container to their state at a time',
      operands: [accountOperand, named],
      flags: ['to', 'from', 'until'],
      say: sayFields,
    },
    {
      name: 'restore-status',
      summary: 'prints how far the last restore of a container is',
      operands: [accountOperand, named],
      say: sayFields,
    },
  ],
});
