// `causeway account`: accounts, their settings, and their keys.
import { isIPv6 } from 'node:net';
import type { Config } from '../base/config.ts';
import { accountNameRule, accountOperand, type Done, managementCommand, type Say, saySettings } from './management.ts';
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

export const account = managementCommand({
  name: 'account',
  summary: 'accounts, their settings and their keys',
  notes: `NAME ${accountNameRule}. It works with and without a server running on the data;
what is changed holds when the command answers, and a replaced key ends then: let clients use the other key before.
A connection string is shown only when its key is made.`,
  example: `  causeway account create photos --data /srv/causeway
  causeway account set photos versioning=on soft-delete-days=7 --data /srv/causeway`,
  flags: { key: { shown: '1|2', kind: ['1', '2'], help: 'which key rotate-key replaces (1)' } },
  actions: [
    {
      name: 'create',
      summary: 'makes an account with random keys, and prints its connection string',
      operands: [name],
      say: sayConnection((value) => (value.keys as string[])[0] as string),
    },
    {
      name: 'list',
      summary: 'prints the names of all accounts, one a line',
      operands: [],
      pageOf: 'accounts',
      say: ({ accounts }) => (accounts as { name: string }[]).map((each) => each.name),
    },
    { name: 'show', summary: 'prints every setting of an account', operands: [name], say: saySettings },
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
      say: sayConnection(({ key }) => key as string),
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

function sayConnection(keyOf: (value: Readonly<Record<string, unknown>>) => string): Say {
  return (value, answer, config) => [connectionString(value.name as string, keyOf(value), answer, config)];
}

/** In the form that Azure's tools and SDKs read. Without a running server, the address is the one it would have. */
export function connectionString(
  account: string,
  key: string,
  { blob }: Pick<Done, 'blob'>,
  { host, blobPort, tlsCertificate }: Config,
): string {
  const scheme = tlsCertificate ? 'https' : 'http';
  const endpoint = `${blob ?? `${scheme}://${reachable(host)}:${blobPort}`}/${account}`;
  const protocol = endpoint.startsWith('https:') ? 'https' : 'http';
  return `DefaultEndpointsProtocol=${protocol};AccountName=${account};AccountKey=${key};BlobEndpoint=${endpoint};`;
}

/** An address that a client can connect to, as it stands in a URL. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}
