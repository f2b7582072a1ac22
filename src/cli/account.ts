// `causeway account`: accounts, their settings, and their keys.
import { accountNameRule, accountOperand, managementCommand, type Say, saySettings } from './management.ts';
import type { Settings } from './words.ts';

const name = { ...accountOperand, shown: 'NAME' };

export const accountSettings: Settings = {
  versioning: { kind: 'switch', help: 'an overwritten or deleted blob stays as a version' },
  'change-feed': { kind: 'switch', help: 'changes are written to the container $blobchangefeed' },
  'soft-delete-days': { kind: 'whole', orNone: true, help: 'days for which deleted blobs come back' },
  'permanent-delete': { kind: 'switch', help: 'what is soft-deleted may be deleted for good' },
  'container-soft-delete-days': { kind: 'whole', orNone: true, help: 'days for which deleted containers come back' },
  'restore-days': { kind: 'whole', orNone: true, help: 'days back to which a container can be restored' },
  'last-access-tracking': { kind: 'switch', help: 'the last read of a blob is noted' },
  'shared-key-access': { kind: 'switch', help: 'account keys, and signatures made with them, are taken' },
  'public-access': { kind: 'switch', help: 'containers may be public' },
  'default-tier': { kind: ['Hot', 'Cool', 'Cold'], help: 'the tier of blobs that name none' },
  'rehydration-standard-s': { kind: 'whole', orNone: true, help: 'seconds from Archive with Standard priority' },
  'rehydration-high-s': { kind: 'whole', orNone: true, help: 'seconds from Archive with High priority' },
  'requests-per-s': { kind: 'whole', orNone: true, help: 'most requests a second' },
  'bytes-per-s': { kind: 'whole', orNone: true, help: 'most bytes a second, in and out' },
  'encryption-scope': { kind: 'text', orNone: true, help: 'encrypts content that names no scope' },
  'network-default': { kind: ['allow', 'deny'], help: 'what happens to an address in no range' },
  'network-ranges': { kind: 'list', orNone: true, help: 'addresses and ranges that are allowed, with commas' },
};

const sayConnection: Say = ({ connectionString }) => [connectionString as string];

export const account = managementCommand({
  name: 'account',
  summary: 'accounts, their settings and their keys',
  notes: `NAME ${accountNameRule}. It works with and without a server running on the data;
what is changed holds when the command answers, and a replaced key ends then: let clients use the other key before.
A key that was lost is shown by 'connection-string'; one that somebody else may have is ended by 'rotate-key'.`,
  example: `  causeway account create photos --data /srv/causeway
  causeway account set photos versioning=on soft-delete-days=7 --data /srv/causeway`,
  flags: { key: { shown: '1|2', kind: ['1', '2'], help: 'which of the two keys (1)' } },
  actions: [
    {
      name: 'create',
      summary: 'makes an account with random keys, and prints its connection string',
      operands: [name],
      say: sayConnection,
    },
    {
      name: 'list',
      summary: 'prints the names of all accounts, one a line',
      operands: [],
      pageOf: 'accounts',
      say: ({ accounts }) => (accounts as { name: string }[]).map((each) => each.name),
      hint: ({ accounts }) =>
        (accounts as object[]).length === 0
          ? "there is no account yet: 'causeway account create NAME' makes one"
          : "'causeway account show NAME' tells where one is reached, 'account connection-string NAME' its key",
    },
    {
      name: 'show',
      summary: 'prints where an account is reached, and its settings',
      operands: [name],
      say: saySettings,
    },
    {
      name: 'connection-string',
      summary: 'prints the connection string of an account, with its key',
      operands: [name],
      flags: ['key'],
      say: sayConnection,
    },
    {
      name: 'set',
      summary: 'changes settings of an account',
      operands: [name],
      settings: accountSettings,
      say: saySettings,
    },
    {
      name: 'rotate-key',
      summary: 'replaces a key of an account by a random one, and prints the new connection string',
      operands: [name],
      flags: ['key'],
      say: sayConnection,
    },
    {
      name: 'revoke-delegation-keys',
      summary: 'ends all user delegation keys, and every signature that was made with one',
      operands: [name],
      say: () => [],
    },
    { name: 'delete', summary: 'takes an account away that has no containers', operands: [name], say: () => [] },
  ],
});
