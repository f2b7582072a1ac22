// Commands on accounts: create, list, show, settings, keys, delete.
import { z } from 'zod';
import { rangeProblem } from '../../identity/network.ts';
import { changeSettings, type SettingChanges } from '../../namespace/account-settings.ts';
import {
  createAccount,
  deleteAccount,
  getAccount,
  listAccounts,
  newAccountKey,
  rotateKey,
} from '../../namespace/accounts.ts';
import { revokeDelegationKeys } from '../../namespace/delegation.ts';
import type { AccountRecord } from '../../namespace/records.ts';
import {
  accountField,
  type CommandContext,
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
  wholeField,
} from './command.ts';
import { accountEndpoint, connectionString, websiteEndpoint } from './endpoints.ts';

const daysMax = 365;
const networkRangesMax = 400;

/** null takes a setting back to its default. */
export const settingFields = {
  versioning: switchField.nullable(),
  changeFeed: switchField.nullable(),
  softDeleteDays: wholeField(1, daysMax).nullable(),
  permanentDelete: switchField.nullable(),
  containerSoftDeleteDays: wholeField(1, daysMax).nullable(),
  restoreDays: wholeField(1, daysMax - 1).nullable(),
  lastAccessTracking: switchField.nullable(),
  sharedKeyAccess: switchField.nullable(),
  publicAccess: switchField.nullable(),
  defaultTier: z.enum(['Hot', 'Cool', 'Cold'], 'must be Hot, Cool or Cold').nullable(),
  rehydrationStandardS: wholeField(0, 30 * 24 * 3600).nullable(),
  rehydrationHighS: wholeField(0, 30 * 24 * 3600).nullable(),
  requestsPerS: wholeField(1, 1_000_000_000).nullable(),
  bytesPerS: wholeField(1, Number.MAX_SAFE_INTEGER).nullable(),
  encryptionScope: scopeField.nullable(),
  networkDefault: z.enum(['allow', 'deny'], 'must be allow or deny').nullable(),
  networkRanges: z
    .array(
      z
        .string('must be addresses')
        .refine((range) => rangeProblem(range) === undefined, 'must be IP addresses or ranges such as 10.0.0.0/8'),
    )
    .max(networkRangesMax, `must be at most ${networkRangesMax} ranges`)
    .nullable(),
} as const;

/** Everything that can be set, with what holds where nothing is: null is none. */
export function settingsView({ settings = {} }: Pick<AccountRecord, 'settings'>) {
  const { networkRules } = settings;
  return {
    versioning: settings.versioning ?? false,
    changeFeed: settings.changeFeed ?? false,
    softDeleteDays: settings.softDeleteDays ?? null,
    permanentDelete: settings.permanentDelete ?? false,
    containerSoftDeleteDays: settings.containerSoftDeleteDays ?? null,
    restoreDays: settings.restoreDays ?? null,
    lastAccessTracking: settings.lastAccessTracking ?? false,
    sharedKeyAccess: settings.sharedKeyAccess ?? true,
    publicAccess: settings.publicAccess ?? true,
    defaultTier: settings.defaultTier ?? 'Hot',
    rehydrationStandardS: settings.rehydrationStandardS ?? null,
    rehydrationHighS: settings.rehydrationHighS ?? null,
    requestsPerS: settings.requestsPerS ?? null,
    bytesPerS: settings.bytesPerS ?? null,
    encryptionScope: settings.encryptionScope ?? null,
    networkDefault: networkRules?.defaultAction ?? 'allow',
    networkRanges: networkRules?.ranges ?? [],
  } satisfies { [Name in keyof typeof settingFields]: unknown };
}

const accountView = ({ blob }: Pick<CommandContext, 'blob'>, name: string, record: AccountRecord) => ({
  name,
  created: isoTime(record.createdMs),
  endpoint: accountEndpoint(blob, name),
  website: websiteEndpoint(blob, name) ?? null,
  settings: settingsView(record),
});

const keyField = z.enum(['1', '2'], 'must be 1 or 2').default('1');

const settingsInput = z.strictObject(settingFields).partial();

function changesOf(input: z.output<typeof settingsInput>): SettingChanges {
  const { networkDefault, networkRanges, ...others } = input;
  const networkRules = {
    ...(networkDefault !== undefined && { defaultAction: networkDefault ?? 'allow' }),
    ...(networkRanges !== undefined && { ranges: networkRanges ?? [] }),
  };
  const hasRules = Object.keys(networkRules).length > 0;
  return { ...others, ...(hasRules && { networkRules }) } as SettingChanges;
}

export const accountCommands: readonly ManagementCommand[] = [
  command({
    name: 'account create',
    method: 'PUT',
    path: '/v1/accounts/{account}',
    summary: 'makes an account with two random keys',
    input: z.strictObject({ account: accountField }),
    async run({ store, cause, blob }, { account }) {
      const outcome = await createAccount(store, account, [newAccountKey(store), newAccountKey(store)], cause);
      switch (outcome.kind) {
        case 'ok':
          return made({
            ...accountView({ blob }, account, outcome.account),
            keys: outcome.account.keys,
            connectionString: connectionString(blob, account, outcome.account.keys[0]),
          });
        case 'account-exists':
          return refuse('AccountAlreadyExists', `account ${account} exists already`);
        case 'no-space':
        case 'contended':
          return refusalOf(outcome.kind, { account });
        default:
          throw new Error(`creating an account: ${outcome.kind}`);
      }
    },
  }),
  command({
    name: 'account list',
    method: 'GET',
    path: '/v1/accounts',
    summary: 'lists accounts by name',
    input: z.strictObject(pageFields),
    async run({ store }, { from, limit }) {
      const found = await listAccounts(store, { limit: limit + 1, ...(from !== undefined && { from }) });
      const { items, next } = page(found, limit, ({ name }) => name);
      const accounts = items.map(({ name, createdMs }) => ({ name, created: isoTime(createdMs) }));
      return done({ accounts, ...(next !== undefined && { next }) });
    },
  }),
  command({
    name: 'account show',
    method: 'GET',
    path: '/v1/accounts/{account}',
    summary: 'shows an account and all of its settings',
    input: z.strictObject({ account: accountField }),
    async run({ store, blob }, { account }) {
      const record = await getAccount(store, account);
      if (record === undefined) return refusalOf('account-not-found', { account });
      return done(accountView({ blob }, account, record));
    },
  }),
  command({
    name: 'account connection-string',
    method: 'POST',
    path: '/v1/accounts/{account}/connection-string',
    summary: 'shows key 1 or 2 of an account, in the connection string that clients take',
    input: z.strictObject({ account: accountField, key: keyField }),
    async run({ store, blob }, { account, key: which }) {
      const record = await getAccount(store, account);
      if (record === undefined) return refusalOf('account-not-found', { account });
      const key = record.keys[which === '1' ? 0 : 1];
      const isTaken = record.settings?.sharedKeyAccess !== false;
      return done({
        ...{ name: account, which: Number(which), key, connectionString: connectionString(blob, account, key) },
        ...(!isTaken && { warning: 'shared-key-access is off: the server takes no keys of this account' }),
      });
    },
  }),
  command({
    name: 'account set',
    method: 'PATCH',
    path: '/v1/accounts/{account}',
    summary: 'changes the settings that are given; null is the default',
    input: z.strictObject({ account: accountField, ...settingsInput.shape }),
    async run({ store, cause, blob }, { account, ...settings }) {
      const outcome = await changeSettings(store, account, changesOf(settings), cause);
      switch (outcome.kind) {
        case 'ok':
          return done(accountView({ blob }, account, outcome.account));
        case 'settings-conflict':
          return refuse('SettingsConflict', outcome.message);
        default:
          return refusalOf(outcome.kind, { account });
      }
    },
  }),
  command({
    name: 'account rotate-key',
    method: 'POST',
    path: '/v1/accounts/{account}/keys/{key}',
    summary: 'replaces key 1 or 2 by a random one',
    input: z.strictObject({ account: accountField, key: keyField }),
    async run({ store, cause, blob }, { account, key: replaced }) {
      const which = replaced === '1' ? 1 : 2;
      const outcome = await rotateKey(store, account, which, cause);
      switch (outcome.kind) {
        case 'ok': {
          const key = outcome.account.keys[which - 1] as string;
          return done({ name: account, which, key, connectionString: connectionString(blob, account, key) });
        }
        case 'account-not-found':
        case 'no-space':
        case 'contended':
          return refusalOf(outcome.kind, { account });
        default:
          throw new Error(`replacing a key: ${outcome.kind}`);
      }
    },
  }),
  command({
    name: 'account revoke-delegation-keys',
    method: 'POST',
    path: '/v1/accounts/{account}/revoke-delegation-keys',
    summary: 'ends all user delegation keys, and every signature that was made with one',
    input: z.strictObject({ account: accountField }),
    async run({ store, cause }, { account }) {
      const outcome = await revokeDelegationKeys(store, account, cause);
      switch (outcome.kind) {
        case 'ok':
          return done({ name: account });
        case 'account-not-found':
        case 'no-space':
        case 'contended':
          return refusalOf(outcome.kind, { account });
        default:
          throw new Error(`revoking delegation keys: ${outcome.kind}`);
      }
    },
  }),
  command({
    name: 'account delete',
    method: 'DELETE',
    path: '/v1/accounts/{account}',
    summary: 'takes an account away that has no containers',
    input: z.strictObject({ account: accountField }),
    async run({ store, cause }, { account }) {
      const outcome = await deleteAccount(store, account, cause);
      switch (outcome.kind) {
        case 'ok':
          return done({ name: account });
        case 'account-not-empty': {
          const which = outcome.isDeleted ? 'the deleted container' : 'the container';
          return refuse('AccountNotEmpty', `account ${account} still has ${which} ${outcome.container}`);
        }
        default:
          return refusalOf(outcome.kind, { account });
      }
    },
  }),
];
