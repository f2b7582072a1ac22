// What Azure's management plane sets on a container: retention, legal holds, encryption scope; and which way each may go.
import { keys } from '../metadata/keys.ts';
import { isSystemContainer, readAccount } from './accounts.ts';
import { type ContainerName, readContainer } from './containers.ts';
import type { Failure } from './failure.ts';
import { appendJournal, type Cause } from './journal.ts';
import { type ContainerImmutability, type ContainerRecord, encodeRecord } from './records.ts';
import { change, type Store } from './store.ts';

/** "Time-based retention policies for immutable blob data": from a day to 400 years. */
export const retentionDaysMax = 146_000;
/** A locked policy may be extended that often, and never shortened. */
export const extensionsMax = 5;
export const legalHoldsMax = 10;

/** Sets what is given and leaves the rest; null takes it away. */
export interface PolicyChanges {
  readonly quotaBytes?: number | null;
  readonly retentionDays?: number | null;
  /** Only from unlocked to locked. */
  readonly retentionLock?: true;
  readonly protectedAppends?: 'append' | 'all' | null;
  readonly addLegalHolds?: readonly string[];
  readonly clearLegalHolds?: readonly string[];
  /** Only on. */
  readonly versionImmutability?: true;
  readonly encryptionScope?: string | null;
  readonly denyScopeOverride?: boolean;
}

export type PolicyOutcome =
  | { readonly kind: 'ok'; readonly record: ContainerRecord }
  | PolicyRefusal
  | Extract<Failure, { kind: 'account-not-found' | 'container-not-found' | 'no-space' | 'contended' }>;

/** What a policy forbids, in one line. */
export interface PolicyRefusal {
  readonly kind: 'policy-refused';
  readonly message: string;
}

const refused = (message: string): PolicyRefusal => ({ kind: 'policy-refused', message });

/** It changes neither the container's ETag nor its time, as in Azure: clients of the data see no write. */
export async function changePolicies(
  store: Store,
  at: ContainerName,
  changes: PolicyChanges,
  cause: Cause,
): Promise<PolicyOutcome> {
  const outcome = await change<PolicyOutcome>(store, async (txn) => {
    const { account, container } = at;
    const owner = await readAccount(txn, account);
    if (owner === undefined) return { kind: 'account-not-found' };
    // The server writes, shortens and removes its own files: a hold or a quota on them would be one in name only.
    if (isSystemContainer(container)) return refused(`${container} is the server's own: it takes no policies`);
    const found = await readContainer(txn, at);
    if (found === undefined) return { kind: 'container-not-found' };
    const scope = changes.encryptionScope;
    if (typeof scope === 'string' && scope !== found.encryptionScope) {
      if ((await txn.get(keys.scope(account, scope))) === undefined)
        return refused(`there is no encryption scope ${scope}`);
    }
    const done = applyPolicies(found, changes, owner.settings?.versioning === true);
    if (done.kind !== 'ok') return done;
    txn.put(keys.container(account, container), encodeRecord(done.record));
    const { id, etag } = done.record;
    appendJournal(store, txn, { operation: 'container-changed', account, container, id, etag, ...cause });
    return done;
  });
  return outcome as PolicyOutcome;
}

export function applyPolicies(
  found: ContainerRecord,
  changes: PolicyChanges,
  versioning: boolean,
): { kind: 'ok'; record: ContainerRecord } | PolicyRefusal {
  const { quotaBytes, immutability, legalHolds, versionImmutability, encryptionScope, denyScopeOverride, ...rest } =
    found;
  const retention = changeRetention(immutability, changes);
  if (retention.kind !== 'ok') return retention;
  const holds = changeHolds(legalHolds ?? [], changes);
  if (holds.kind !== 'ok') return holds;

  const ofVersions = versionImmutability === true || changes.versionImmutability === true;
  if (changes.versionImmutability === true && versionImmutability !== true && !versioning)
    return refused('version-immutability needs versioning=on of the account');
  // With version-level immutability, holds stand on versions ("Legal holds for immutable blob data").
  if (ofVersions && holds.tags.length > 0)
    return refused('a container whose versions can be immutable has no legal hold of its own');

  const quota = changed(quotaBytes, changes.quotaBytes);
  const scope = changed(encryptionScope, changes.encryptionScope);
  const denies = changes.denyScopeOverride ?? denyScopeOverride ?? false;
  if (denies && scope === undefined) return refused('deny-scope-override needs an encryption-scope');
  const record: ContainerRecord = {
    ...rest,
    ...(quota !== undefined && { quotaBytes: quota }),
    ...(retention.policy !== undefined && { immutability: retention.policy }),
    ...(holds.tags.length > 0 && { legalHolds: holds.tags }),
    ...(ofVersions && { versionImmutability: true }),
    ...(scope !== undefined && { encryptionScope: scope }),
    ...(denies && { denyScopeOverride: true }),
  };
  return { kind: 'ok', record };
}

function changed<T>(before: T | undefined, to: T | null | undefined): T | undefined {
  return to === undefined ? before : (to ?? undefined);
}

type Retention = { readonly kind: 'ok'; readonly policy: ContainerImmutability | undefined } | PolicyRefusal;

function changeRetention(before: ContainerImmutability | undefined, changes: PolicyChanges): Retention {
  const { retentionDays, retentionLock, protectedAppends } = changes;
  if (before?.state === 'locked') return extendLocked(before, changes);
  if (retentionDays === null) {
    if (retentionLock === true) return refused('a retention that is removed cannot be locked');
    if (protectedAppends) return refused('protected-appends needs a retention');
    return { kind: 'ok', policy: undefined };
  }
  const days = retentionDays ?? before?.days;
  if (days === undefined) {
    if (retentionLock === true) return refused('retention-lock needs retention-days');
    if (protectedAppends) return refused('protected-appends needs retention-days');
    return { kind: 'ok', policy: undefined };
  }
  const appends = changed(before?.protectedAppends, protectedAppends);
  const state = retentionLock === true ? 'locked' : 'unlocked';
  return { kind: 'ok', policy: { days, state, ...(appends !== undefined && { protectedAppends: appends }) } };
}

function extendLocked(before: ContainerImmutability, changes: PolicyChanges): Retention {
  const { retentionDays, protectedAppends } = changes;
  if (protectedAppends !== undefined && (protectedAppends ?? undefined) !== before.protectedAppends)
    return refused('the retention is locked: protected-appends stays as it is');
  if (retentionDays === null) return refused('the retention is locked: it cannot be removed');
  if (retentionDays === undefined || retentionDays === before.days) return { kind: 'ok', policy: before };
  if (retentionDays < before.days) return refused('the retention is locked: it can only be extended');
  const extensions = before.extensions ?? 0;
  if (extensions >= extensionsMax)
    return refused(`the retention is locked and was extended ${extensionsMax} times: that is the most`);
  return { kind: 'ok', policy: { ...before, days: retentionDays, extensions: extensions + 1 } };
}

type Holds = { readonly kind: 'ok'; readonly tags: readonly string[] } | PolicyRefusal;

/** Tags are kept in lower case, as Azure keeps them. Clearing what is not there is no mistake. */
function changeHolds(before: readonly string[], changes: PolicyChanges): Holds {
  const cleared = new Set((changes.clearLegalHolds ?? []).map((tag) => tag.toLowerCase()));
  const added = (changes.addLegalHolds ?? []).map((tag) => tag.toLowerCase());
  if (added.some((tag) => cleared.has(tag))) return refused('a tag of a legal hold is to be added and cleared at once');
  const tags = new Set([...before.filter((tag) => !cleared.has(tag)), ...added]);
  if (tags.size > legalHoldsMax) return refused(`a container has at most ${legalHoldsMax} tags of legal holds`);
  return { kind: 'ok', tags: [...tags].sort() };
}
