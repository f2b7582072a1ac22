// Commands on containers: quota, retention, legal holds, immutable versions, encryption scope.
import { z } from 'zod';
import { getAccount, isSystemContainer } from '../../namespace/accounts.ts';
import {
  changePolicies,
  legalHoldsMax,
  type PolicyChanges,
  type PolicyOutcome,
  retentionDaysMax,
} from '../../namespace/container-policies.ts';
import { createContainer, deleteContainer, getContainer, listContainers } from '../../namespace/containers.ts';
import type { ContainerRecord } from '../../namespace/records.ts';
import { getRestore, type RestoreStatus, startRestore } from '../../namespace/restore.ts';
import {
  accountField,
  type CommandContext,
  type CommandOutcome,
  command,
  containerField,
  done,
  isoTime,
  type ManagementCommand,
  made,
  pageFields,
  refusalOf,
  refuse,
  scopeField,
  switchField,
  wholeField,
} from './command.ts';
import { resourceUrl } from './endpoints.ts';

const at = { account: accountField, container: containerField } as const;

export const policyFields = {
  quotaBytes: wholeField(1, Number.MAX_SAFE_INTEGER).nullable(),
  retentionDays: wholeField(1, retentionDaysMax).nullable(),
  retentionLock: z.literal(true, 'must be true: a lock is not taken off'),
  protectedAppends: z.enum(['append', 'all'], 'must be append, all, or null').nullable(),
  versionImmutability: z.literal(true, 'must be true: it is not switched off again'),
  encryptionScope: scopeField.nullable(),
  denyScopeOverride: switchField,
} as const;

const holdTags = z
  .array(
    z.string('must be text').regex(/^[A-Za-z0-9]{3,23}$/, 'must be 3 to 23 letters and digits'),
    'must be a list of tags',
  )
  .max(legalHoldsMax, `must be at most ${legalHoldsMax} tags`)
  .optional();

const blobName = z.string('must be the name of a blob').min(1).max(1024);

function restoreView({ toMs, startedMs, endedMs, ...status }: RestoreStatus) {
  const ended = endedMs === undefined ? null : isoTime(endedMs);
  return { ...status, to: isoTime(toMs), started: isoTime(startedMs), ended };
}

function containerView({ account, container }: { account: string; container: string }, record: ContainerRecord) {
  const { immutability } = record;
  return {
    account,
    name: container,
    created: isoTime(record.createdMs),
    modified: isoTime(record.modifiedMs),
    publicAccess: record.publicAccess,
    legalHolds: record.legalHolds ?? [],
    retentionExtensions: immutability?.extensions ?? 0,
    settings: {
      quotaBytes: record.quotaBytes || null,
      retentionDays: immutability?.days ?? null,
      retentionLock: immutability?.state === 'locked',
      protectedAppends: immutability?.protectedAppends ?? null,
      versionImmutability: record.versionImmutability ?? false,
      encryptionScope: record.encryptionScope ?? null,
      denyScopeOverride: record.denyScopeOverride ?? false,
    } satisfies { [Name in keyof typeof policyFields]: unknown },
  };
}

export const containerCommands: readonly ManagementCommand[] = [
  command({
    name: 'container create',
    method: 'PUT',
    path: '/v1/accounts/{account}/containers/{container}',
    summary: 'makes a container; publicAccess says what of it anybody may read',
    input: z.strictObject({
      ...at,
      publicAccess: z.enum(['none', 'blob', 'container'], 'must be none, blob or container').default('none'),
    }),
    async run({ store, cause, blob }, { account, container, publicAccess }) {
      const owner = await getAccount(store, account);
      if (owner === undefined) return refusalOf('account-not-found', { account });
      if (isSystemContainer(container)) return ownContainer(container);
      if (publicAccess !== 'none' && owner.settings?.publicAccess === false)
        return refuse('SettingsConflict', `the account ${account} has public-access=off`);
      const name = { account, container };
      const outcome = await createContainer(store, { ...name, metadata: {}, publicAccess, cause });
      switch (outcome.kind) {
        case 'ok':
          return made({ ...containerView(name, outcome.record), url: resourceUrl(blob, account, container) });
        case 'container-exists':
          return refuse('ContainerAlreadyExists', `the account ${account} has a container ${container} already`);
        case 'no-space':
        case 'contended':
          return refusalOf(outcome.kind, name);
        default:
          throw new Error(`creating a container: ${outcome.kind}`);
      }
    },
  }),
  command({
    name: 'container list',
    method: 'GET',
    path: '/v1/accounts/{account}/containers',
    summary: 'lists the containers of an account by name',
    input: z.strictObject({
      account: accountField,
      prefix: z.string('must be text').max(63).default(''),
      ...pageFields,
    }),
    async run({ store }, { account, prefix, from = '', limit }) {
      if ((await getAccount(store, account)) === undefined) return refusalOf('account-not-found', { account });
      const { containers, next } = await listContainers(store, account, { prefix, from, limit });
      const shown = containers.map(({ name, record }) => ({
        name,
        modified: isoTime(record.modifiedMs),
        publicAccess: record.publicAccess,
      }));
      return done({ containers: shown, ...(next !== undefined && { next }) });
    },
  }),
  command({
    name: 'container delete',
    method: 'DELETE',
    path: '/v1/accounts/{account}/containers/{container}',
    summary: 'deletes a container and everything in it; it comes back only within container-soft-delete-days',
    input: z.strictObject(at),
    async run({ store, cause }, name) {
      if (isSystemContainer(name.container)) return ownContainer(name.container);
      const outcome = await deleteContainer(store, { ...name, conditions: {}, cause });
      switch (outcome.kind) {
        case 'ok':
          return done({ account: name.account, name: name.container });
        case 'lease-id-missing':
          return refuse('ContainerLeased', `somebody has a lease of the container ${name.container}`);
        case 'container-protected':
          return refuse(
            'PolicyRefused',
            `a policy or a legal hold protects what is in the container ${name.container}`,
          );
        case 'container-not-found':
        case 'no-space':
        case 'contended':
          return refusalOf(outcome.kind, name);
        default:
          throw new Error(`deleting a container: ${outcome.kind}`);
      }
    },
  }),
  command({
    name: 'container show',
    method: 'GET',
    path: '/v1/accounts/{account}/containers/{container}',
    summary: 'shows what is set on a container',
    input: z.strictObject(at),
    async run({ store }, input) {
      const outcome = await getContainer(store, { ...input, conditions: {} });
      if (outcome.kind === 'ok') return done(containerView(input, outcome.record));
      if (outcome.kind === 'container-not-found') return refusalOf(outcome.kind, input);
      throw new Error(`showing a container: ${outcome.kind}`);
    },
  }),
  command({
    name: 'container set',
    method: 'PATCH',
    path: '/v1/accounts/{account}/containers/{container}',
    summary: 'changes the settings that are given; null takes one away',
    input: z.strictObject({ ...at, ...z.strictObject(policyFields).partial().shape }),
    run: (context, { account, container, ...changes }) =>
      change(context, { account, container }, withoutUndefined(changes)),
  }),
  command({
    name: 'container legal-hold',
    method: 'POST',
    path: '/v1/accounts/{account}/containers/{container}/legal-holds',
    summary: 'adds tags of legal holds to a container, and clears others',
    input: z.strictObject({ ...at, add: holdTags, clear: holdTags }),
    run: (context, { account, container, add, clear }) =>
      change(context, { account, container }, withoutUndefined({ addLegalHolds: add, clearLegalHolds: clear })),
  }),
  command({
    name: 'container restore',
    method: 'POST',
    path: '/v1/accounts/{account}/containers/{container}/restore',
    summary: 'begins to bring the blobs of a container, from a name and before another, to their state at a time',
    input: z.strictObject({
      ...at,
      to: z.iso.datetime({ offset: true, error: 'must be a time such as 2026-01-31T12:00:00Z' }),
      from: blobName.optional(),
      until: blobName.optional(),
    }),
    async run({ store, cause }, { account, container, to, ...range }) {
      const name = { account, container };
      const begin = { ...name, toMs: Date.parse(to), ...withoutUndefined(range), cause };
      const outcome = await startRestore(store, begin);
      switch (outcome.kind) {
        case 'ok':
          return done(restoreView(outcome.status));
        case 'restore-off':
          return refuse('PolicyRefused', 'the account needs versioning=on and restore-days');
        case 'restore-time':
          return refuse('PolicyRefused', 'the time must be within restore-days, past, and of this container');
        case 'restore-running':
          return refuse('PolicyRefused', 'a restore of the container is running');
        case 'account-not-found':
        case 'container-not-found':
        case 'no-space':
        case 'contended':
          return refusalOf(outcome.kind, name);
        default:
          throw new Error(`restoring a container: ${outcome.kind}`);
      }
    },
  }),
  command({
    name: 'container restore-status',
    method: 'GET',
    path: '/v1/accounts/{account}/containers/{container}/restore',
    summary: 'shows how far the last restore of a container is',
    input: z.strictObject(at),
    async run({ store }, name) {
      const status = await getRestore(store, name);
      if (status !== undefined) return done(restoreView(status));
      return refuse('RestoreNotFound', `the container ${name.container} was not restored`);
    },
  }),
];

const ownContainer = (container: string): CommandOutcome =>
  refuse('InvalidInput', `container: the server keeps ${container} for itself`);

async function change(
  { store, cause }: CommandContext,
  at: { account: string; container: string },
  changes: PolicyChanges,
): Promise<CommandOutcome> {
  const outcome: PolicyOutcome = await changePolicies(store, at, changes, cause);
  switch (outcome.kind) {
    case 'ok':
      return done(containerView(at, outcome.record));
    case 'policy-refused':
      return refuse('PolicyRefused', outcome.message);
    default:
      return refusalOf(outcome.kind, at);
  }
}

type Given<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

function withoutUndefined<T extends object>(input: T): Given<T> {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as Given<T>;
}
