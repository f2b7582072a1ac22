// Manages a running server as its operator does: the first words by `bin/causeway`, which has no credential yet, then by the admin API.

import { join } from 'node:path';
import type { GateContext, RunningServer, ServerAccess } from './gate.ts';
import { runOrThrow } from './process.ts';

const program = join(import.meta.dirname, '..', 'bin', 'causeway');
const timeoutMs = 60_000;

export interface Manager {
  readonly admin: string;
  /** Of the admin API, for a gate's script in another language. */
  readonly token: string;
  request(method: string, path: string, body?: object): Promise<Record<string, unknown>>;
}

/** Runs a management command to its end, and resolves with what `--json` prints. */
export async function causeway(
  server: Pick<RunningServer, 'dataDir'>,
  ...words: string[]
): Promise<Record<string, unknown>> {
  const args = [...words, '--data', server.dataDir, '--json'];
  const { stdout } = await runOrThrow(program, args, { timeoutMs });
  return JSON.parse(stdout) as Record<string, unknown>;
}

export async function managerOf(server: RunningServer): Promise<Manager> {
  const { token } = (await causeway(server, 'admin-token', 'create', 'gate')) as { token: string };
  const { admin } = server.access;
  return {
    admin,
    token,
    async request(method, path, body) {
      const answer = await fetch(`${admin}/v1/${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 300)}`);
      return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    },
  };
}

/** Accounts beside the development account, each with settings that only some checks want. */
const settings = {
  versions: { versioning: true },
  softdelete: { softDeleteDays: 7, containerSoftDeleteDays: 7, permanentDelete: true },
  timed: { versioning: true, softDeleteDays: 7, containerSoftDeleteDays: 7 },
  tiers: { rehydrationStandardS: 3, rehydrationHighS: 1, lastAccessTracking: true },
} as const;

export type AccountName = keyof typeof settings;
const accountNames = Object.keys(settings) as AccountName[];

/** What stands for a development server whose accounts a gate may make as it wants; undefined with `--endpoint`. */
export interface Managed {
  readonly manager: Manager;
  readonly accounts: Readonly<Record<AccountName, ServerAccess>>;
}

export async function makeAccounts(context: Pick<GateContext, 'main'>): Promise<Managed | undefined> {
  if (!context.main) return undefined;
  const { access } = context.main;
  const manager = await managerOf(context.main);
  const made = await Promise.all(
    accountNames.map(async (name) => {
      const { keys } = (await manager.request('PUT', `accounts/${name}`)) as { keys: string[] };
      await manager.request('PATCH', `accounts/${name}`, settings[name]);
      return [name, { ...access, account: name, key: keys[0] ?? '' }] as const;
    }),
  );
  return { manager, accounts: Object.fromEntries(made) as Record<AccountName, ServerAccess> };
}

/** By the name that a script's rooms use: where an account is, and with what it is managed. */
export function stagesOf(
  managed: Managed | undefined,
  entra: { readonly server: RunningServer; readonly manager: Manager },
): Record<string, object> {
  const stage = ({ blob, account, key }: ServerAccess, { admin, token }: Manager): object => ({
    ...{ blob, account, key, admin, token },
  });
  const made: Record<string, object> = { entra: stage(entra.server.access, entra.manager) };
  for (const name of managed ? accountNames : []) {
    if (managed) made[name] = stage(managed.accounts[name], managed.manager);
  }
  return made;
}
