// What Azure sets on an account through its management plane: one change at a time, and what no setting may be without.
import type { Txn } from '../metadata/engine.ts';
import { after as keyAfter, keys } from '../metadata/keys.ts';
import { readAccount } from './accounts.ts';
import type { Failure } from './failure.ts';
import { appendJournal, type Cause } from './journal.ts';
import {
  type AccountRecord,
  type AccountSettings,
  type ContainerRecord,
  decodeRecord,
  encodeRecord,
  type NetworkRules,
} from './records.ts';
import { change, type Store } from './store.ts';

/** Sets what is given; null takes a setting back to its default. Of network rules, what is not given stays. */
export type SettingChanges = {
  readonly [Name in Exclude<keyof AccountSettings, 'networkRules'>]?: AccountSettings[Name] | null;
} & { readonly networkRules?: Partial<NetworkRules> | null };

export type SettingsOutcome =
  | { readonly kind: 'ok'; readonly account: AccountRecord }
  | SettingsConflict
  | Extract<Failure, { kind: 'account-not-found' | 'no-space' | 'contended' }>;

/** Settings that cannot stand together, in one line. */
export interface SettingsConflict {
  readonly kind: 'settings-conflict';
  readonly message: string;
}

const containersAtOnce = 1000;

export async function changeSettings(
  store: Store,
  name: string,
  changes: SettingChanges,
  cause: Cause,
): Promise<SettingsOutcome> {
  const outcome = await change<SettingsOutcome>(store, async (txn) => {
    const found = await readAccount(txn, name);
    if (found === undefined) return { kind: 'account-not-found' };
    const before = found.settings ?? {};
    const settings = applyChanges(before, changes);
    const conflict = conflictOf(settings) ?? (await conflictAround(txn, name, before, settings));
    if (conflict !== undefined) return { kind: 'settings-conflict', message: conflict };
    const account: AccountRecord = { ...found, settings };
    txn.put(keys.account(name), encodeRecord(account));
    appendJournal(store, txn, { operation: 'account-changed', account: name, ...cause });
    return { kind: 'ok', account };
  });
  return outcome as SettingsOutcome;
}

export function applyChanges(before: AccountSettings, changes: SettingChanges): AccountSettings {
  const { networkRules, ...others } = changes;
  const after: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(others)) {
    if (value === null) delete after[name];
    else if (value !== undefined) after[name] = value;
  }
  if (networkRules === null) delete after.networkRules;
  else if (networkRules !== undefined) {
    const rules: NetworkRules = { defaultAction: 'allow', ranges: [], ...before.networkRules, ...networkRules };
    if (rules.defaultAction === 'allow' && rules.ranges.length === 0) delete after.networkRules;
    else after.networkRules = rules;
  }
  return after as AccountSettings;
}

/** What Azure refuses as well: settings that need others. */
export function conflictOf(settings: AccountSettings): string | undefined {
  const { restoreDays, softDeleteDays, versioning, changeFeed, permanentDelete } = settings;
  if (restoreDays !== undefined) {
    if (versioning !== true) return 'restore-days needs versioning=on';
    if (changeFeed !== true) return 'restore-days needs change-feed=on';
    if (softDeleteDays === undefined) return 'restore-days needs soft-delete-days';
    if (softDeleteDays <= restoreDays) return 'restore-days must be fewer than soft-delete-days';
  }
  if (permanentDelete === true && softDeleteDays === undefined) return 'permanent-delete needs soft-delete-days';
  return undefined;
}

async function conflictAround(
  txn: Txn,
  name: string,
  before: AccountSettings,
  after: AccountSettings,
): Promise<string | undefined> {
  const scope = after.encryptionScope;
  if (scope !== undefined && scope !== before.encryptionScope) {
    if ((await txn.get(keys.scope(name, scope))) === undefined) return `there is no encryption scope ${scope}`;
  }
  if (before.versioning === true && after.versioning !== true) {
    const container = await findVersionImmutable(txn, name);
    if (container !== undefined)
      return `versioning must stay on: versions of the container ${container} can be immutable`;
  }
  return undefined;
}

/** The name of a container whose versions can be immutable. */
async function findVersionImmutable(txn: Txn, account: string): Promise<string | undefined> {
  let range = keys.containers(account);
  for (;;) {
    const rows = await txn.scan(range, { limit: containersAtOnce });
    for (const row of rows) {
      if (decodeRecord<ContainerRecord>(row.value).versionImmutability === true)
        return keys.containerNameOf(account, row.key);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < containersAtOnce) return undefined;
    range = { start: keyAfter(last.key), end: range.end };
  }
}
