// Where the keys of encryption scopes come from on this server: a file of its own, and key vaults.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TokenCredential } from '@azure/identity';
import { z } from 'zod';
import { systemClock } from '../base/clock.ts';
import { type Config, SettingError } from '../base/config.ts';
import { systemRandom } from '../base/random.ts';
import { KeyVault } from '../encryption/key-vault.ts';
import { LocalKey } from '../encryption/local-key.ts';
import { createTokenSource, type OutboundIdentity } from '../identity/outbound.ts';
import type { Engine } from '../metadata/engine.ts';
import { Keyring } from '../namespace/keyring.ts';
import type { DataPaths } from './data-directory.ts';

export type KeySettings = Pick<Config, 'encryptionKeyFile' | 'outboundIdentityFile' | 'keyVaultAnyHost'>;

/** Throws `SettingError` for an identity that cannot be read; keys themselves are looked for when they are needed. */
export function openKeyring(engine: Engine, paths: DataPaths, settings: Partial<KeySettings>): Keyring {
  const { encryptionKeyFile = '', outboundIdentityFile = '', keyVaultAnyHost = false } = settings;
  const path = encryptionKeyFile === '' ? join(paths.root, 'encryption.key') : encryptionKeyFile;
  return new Keyring({
    engine,
    clock: systemClock,
    providers: {
      local: new LocalKey({ path, clock: systemClock, random: systemRandom }),
      'key-vault': new KeyVault({ credential: outboundCredential(outboundIdentityFile), anyVault: keyVaultAnyHost }),
    },
  });
}

const path = z.string().min(1);
const registered = {
  tenantId: z.string().min(1),
  clientId: z.string().min(1),
  authorityHost: z.url({ protocol: /^https$/ }).optional(),
  caFile: path.optional(),
};
const identitySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('client-secret'), secretFile: path, ...registered }),
  z.strictObject({ kind: z.literal('certificate'), certificateFile: path, ...registered }),
  z.strictObject({ kind: z.literal('workload-identity'), tokenFile: path, ...registered }),
  z.strictObject({ kind: z.literal('managed-identity'), clientId: z.string().min(1).optional() }),
]);

function outboundCredential(file: string): TokenCredential {
  if (file === '') return createTokenSource({ kind: 'managed-identity' });
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new SettingError('outboundIdentityFile', `the file cannot be read (${code})`);
  }
  let parsed: ReturnType<typeof identitySchema.safeParse>;
  try {
    parsed = identitySchema.safeParse(JSON.parse(text));
  } catch {
    throw new SettingError('outboundIdentityFile', 'the file is not JSON');
  }
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new SettingError(
      'outboundIdentityFile',
      `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`,
    );
  }
  return createTokenSource(parsed.data as OutboundIdentity);
}
