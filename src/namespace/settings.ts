// The settings of an account as its changes see them: read in their own transactions, decoded once as long as they stand.
import { dayMs } from '../base/clock.ts';
import type { View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { type AccountRecord, type AccountSettings, decodeRecord, type EntryRecord } from './records.ts';

const none: AccountSettings = {};

// Every change reads its account's record, and it seldom changes: the last ones decoded are known by their bytes.
const decodedMax = 256;
const decoded = new Map<string, { readonly bytes: Uint8Array; readonly settings: AccountSettings }>();

export async function readSettings(view: View, account: string): Promise<AccountSettings> {
  const bytes = await view.get(keys.account(account));
  if (bytes === undefined) return none;
  const known = decoded.get(account);
  if (known !== undefined && (known.bytes === bytes || Buffer.compare(known.bytes, bytes) === 0)) return known.settings;
  const settings = decodeRecord<AccountRecord>(bytes).settings ?? none;
  if (decoded.size >= decodedMax) decoded.clear();
  decoded.set(account, { bytes, settings });
  return settings;
}

/** Until when a blob that is deleted now is kept; undefined: not at all. */
export function purgeTime(settings: AccountSettings, nowMs: number): number | undefined {
  const days = settings.softDeleteDays ?? 0;
  return days > 0 ? nowMs + days * dayMs : undefined;
}

/** Whether a state goes on as a version: also one that is a version already, with versioning off by now. */
export function keepsVersion(settings: AccountSettings, record: EntryRecord | undefined): boolean {
  return settings.versioning === true || record?.version !== undefined;
}

/** Whether what an overwrite replaces stays behind, as a version or as a deleted snapshot. */
export function keepsReplaced(settings: AccountSettings, record: EntryRecord | undefined): boolean {
  return keepsVersion(settings, record) || (settings.softDeleteDays ?? 0) > 0;
}
