// Credentials of the admin API: made once, shown once, kept only as a hash.
import { createHash, timingSafeEqual } from 'node:crypto';
import { keys, prefixRange } from '../metadata/keys.ts';
import type { Failure } from './failure.ts';
import { decodeRecord, encodeRecord } from './records.ts';
import { change, type Store } from './store.ts';

export interface AdminTokenRecord {
  readonly name: string;
  /** Of the whole token, in hexadecimal. */
  readonly sha256: string;
  readonly createdMs: number;
  readonly expiresMs?: number;
}

type Refusal = Extract<Failure, { kind: 'no-space' | 'contended' }>;

export type CreateTokenOutcome =
  | { readonly kind: 'ok'; readonly token: string; readonly record: AdminTokenRecord }
  | { readonly kind: 'token-exists' }
  | { readonly kind: 'tokens-exceeded' }
  | Refusal;

export type RevokeTokenOutcome = { readonly kind: 'ok' } | { readonly kind: 'token-not-found' } | Refusal;

export const adminTokensMax = 1000;
const secretBytes = 32;
/** The name in a token says which hash it is compared with. */
const tokenForm = /^causeway-admin\.([a-z0-9-]{1,64})\.[A-Za-z0-9_-]{43}$/;
export const adminTokenName = /^[a-z0-9-]{1,64}$/;

const tokenKey = (name: string) => keys.setting(`admin-token/${name}`);

export async function createAdminToken(
  store: Store,
  name: string,
  expiresMs: number | undefined,
): Promise<CreateTokenOutcome> {
  const token = `causeway-admin.${name}.${store.random.bytes(secretBytes).toString('base64url')}`;
  const outcome = await change<CreateTokenOutcome>(store, async (txn) => {
    if ((await txn.get(tokenKey(name))) !== undefined) return { kind: 'token-exists' };
    const all = await txn.scan(prefixRange(tokenKey('')), { limit: adminTokensMax });
    if (all.length >= adminTokensMax) return { kind: 'tokens-exceeded' };
    const record: AdminTokenRecord = {
      name,
      sha256: hashOf(token).toString('hex'),
      createdMs: store.clock.now(),
      ...(expiresMs !== undefined && { expiresMs }),
    };
    txn.put(tokenKey(name), encodeRecord(record));
    return { kind: 'ok', token, record };
  });
  return outcome as CreateTokenOutcome;
}

export function listAdminTokens(store: Store): Promise<AdminTokenRecord[]> {
  return store.engine.snapshot(async (view) => {
    const rows = await view.scan(prefixRange(tokenKey('')), { limit: adminTokensMax });
    return rows.map((row) => decodeRecord<AdminTokenRecord>(row.value));
  });
}

export async function revokeAdminToken(store: Store, name: string): Promise<RevokeTokenOutcome> {
  const outcome = await change<RevokeTokenOutcome>(store, async (txn) => {
    if ((await txn.get(tokenKey(name))) === undefined) return { kind: 'token-not-found' };
    txn.delete(tokenKey(name));
    return { kind: 'ok' };
  });
  return outcome as RevokeTokenOutcome;
}

/** The name of the token, if it is one that was made, not revoked, and not expired. */
export async function verifyAdminToken(store: Store, token: string): Promise<string | undefined> {
  const name = tokenForm.exec(token)?.[1];
  if (name === undefined) return undefined;
  const found = await store.engine.snapshot((view) => view.get(tokenKey(name)));
  const record = found && decodeRecord<AdminTokenRecord>(found);
  // A name that does not exist takes as long as one that does.
  const expected = record === undefined ? hashOf('') : Buffer.from(record.sha256, 'hex');
  if (!timingSafeEqual(hashOf(token), expected) || record === undefined) return undefined;
  return record.expiresMs !== undefined && record.expiresMs <= store.clock.now() ? undefined : name;
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
