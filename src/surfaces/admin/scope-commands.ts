// Commands on encryption scopes: which key of the customer protects them, whether they may be used, and rotation.
import { z } from 'zod';
import { getAccount } from '../../namespace/accounts.ts';
import type { ScopeRecord } from '../../namespace/keyring.ts';
import { changeScope, createScope, listScopes, rotateScope, type ScopeOutcome } from '../../namespace/scopes.ts';
import {
  accountField,
  type CommandOutcome,
  command,
  done,
  isoTime,
  type ManagementCommand,
  made,
  page,
  pageFields,
  refusalOf,
  refuse,
  scopeField,
  switchField,
} from './command.ts';

const at = { account: accountField, scope: scopeField } as const;

/** The keys of a scope are wrapped, and stay where they are all the same. */
function scopeView(name: string, { source, keyUrl, state, createdMs, modifiedMs, keys }: ScopeRecord) {
  return {
    name,
    source,
    ...(keyUrl !== undefined && { keyVaultKey: keyUrl }),
    keyVersion: keys.at(-1)?.keyVersion,
    state,
    created: isoTime(createdMs),
    modified: isoTime(modifiedMs),
  };
}

function answer(outcome: ScopeOutcome, { account, scope }: { account: string; scope: string }): CommandOutcome {
  switch (outcome.kind) {
    case 'ok':
      return done(scopeView(scope, outcome.scope));
    case 'scope-exists':
      return refuse('ScopeAlreadyExists', `the account ${account} has an encryption scope ${scope} already`);
    case 'scope-not-found':
      return refuse('ScopeNotFound', `the account ${account} has no encryption scope ${scope}`);
    case 'scope-name-invalid':
      return refuse('InvalidInput', 'scope: must be 3 to 63 letters, digits and single hyphens');
    case 'key-url-invalid':
      return refuse('InvalidInput', 'keyVaultKey: must be https://VAULT/keys/NAME');
    case 'key-refused':
      return refuse('KeyNotAvailable', outcome.message);
    case 'account-not-found':
    case 'no-space':
    case 'contended':
      return refusalOf(outcome.kind, { account });
    default:
      throw new Error(`an encryption scope: ${outcome.kind}`);
  }
}

export const scopeCommands: readonly ManagementCommand[] = [
  command({
    name: 'scope create',
    method: 'PUT',
    path: '/v1/accounts/{account}/encryption-scopes/{scope}',
    summary: "makes an encryption scope, with a key of a key vault or else of the server's own key file",
    input: z.strictObject({
      ...at,
      keyVaultKey: z.string('must be the address of a key').max(2048).optional(),
      local: z.literal(true, 'must be true').optional(),
    }),
    async run({ store, cause }, { account, scope, keyVaultKey, local }) {
      if (keyVaultKey !== undefined && local === true)
        return refuse('InvalidInput', 'local: a scope has one key, here or in a key vault');
      if ((await getAccount(store, account)) === undefined) return refusalOf('account-not-found', { account });
      const source = keyVaultKey === undefined ? 'local' : 'key-vault';
      const outcome = await createScope(store, { account, scope, source, keyUrl: keyVaultKey, cause });
      return outcome.kind === 'ok' ? made(scopeView(scope, outcome.scope)) : answer(outcome, { account, scope });
    },
  }),
  command({
    name: 'scope list',
    method: 'GET',
    path: '/v1/accounts/{account}/encryption-scopes',
    summary: 'lists the encryption scopes of an account by name',
    input: z.strictObject({ account: accountField, ...pageFields }),
    async run({ store }, { account, from = '', limit }) {
      if ((await getAccount(store, account)) === undefined) return refusalOf('account-not-found', { account });
      const all = (await listScopes(store, account)).filter(({ name }) => name >= from);
      const { items, next } = page(all, limit, ({ name }) => name);
      const scopes = items.map(({ name, scope }) => scopeView(name, scope));
      return done({ scopes, ...(next !== undefined && { next }) });
    },
  }),
  command({
    name: 'scope rotate',
    method: 'POST',
    path: '/v1/accounts/{account}/encryption-scopes/{scope}/rotate',
    summary: "wraps the keys of a scope under the newest version of the customer's key; renew also makes a new one",
    input: z.strictObject({ ...at, renew: switchField.default(false) }),
    run: async ({ store, cause }, { renew, ...scope }) =>
      answer(await rotateScope(store, { ...scope, renew, cause }), scope),
  }),
  command({
    name: 'scope disable',
    method: 'POST',
    path: '/v1/accounts/{account}/encryption-scopes/{scope}/disable',
    summary: 'makes what a scope protects unreadable, and takes nothing more into it',
    input: z.strictObject(at),
    run: async ({ store, cause }, scope) =>
      answer(await changeScope(store, { ...scope, state: 'disabled', cause }), scope),
  }),
  command({
    name: 'scope enable',
    method: 'POST',
    path: '/v1/accounts/{account}/encryption-scopes/{scope}/enable',
    summary: 'lets a scope be used again',
    input: z.strictObject(at),
    run: async ({ store, cause }, scope) =>
      answer(await changeScope(store, { ...scope, state: 'enabled', cause }), scope),
  }),
];
