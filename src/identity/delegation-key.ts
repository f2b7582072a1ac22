// User delegation keys: made from what they say of themselves and a secret of the account, so that none is stored.
import { createHmac } from 'node:crypto';
import type { DelegationKeyFields } from './sas.ts';

/** Azure's limit on the life of a key. */
export const delegationKeyMsMax = 7 * 24 * 60 * 60_000;

/** To the second, in the one form that keys and signatures have it: what is finer is cut off. */
export function delegationTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

/** The key's value, 32 bytes. Another secret of the account makes all other values: that is how keys are revoked. */
export function delegationKeyValue(secret: Uint8Array, account: string, fields: DelegationKeyFields): Buffer {
  const said = [
    'user delegation key 1',
    account,
    fields.oid,
    fields.tid,
    delegationTime(fields.startMs),
    delegationTime(fields.expiryMs),
    fields.service,
    fields.version,
    fields.delegatedTid,
  ];
  return createHmac('sha256', secret).update(said.join('\n')).digest();
}
