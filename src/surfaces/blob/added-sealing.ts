// How bytes that are added to a blob are sealed: as the blob is, whatever new blobs beside it would be.

import { type EntryChange, openForChange } from '../../namespace/entries.ts';
import type { ContainerRecord, EntryRecord } from '../../namespace/records.ts';
import { accountKeyScope, chooseSealing, type Sealing } from '../../namespace/scopes.ts';
import type { Act } from '../../namespace/states.ts';
import type { BlobCall } from './call.ts';
import { customerKey, encryptionCheck } from './encryption-headers.ts';
import { failureError } from './errors.ts';

/** The blob that is to be changed, looked at before its bytes are taken in; whether it still is so, the change sees. */
export async function lookAtTarget(call: BlobCall, change: EntryChange, act: Act): Promise<LookedAt> {
  const found = await call.store.engine.snapshot((view) => openForChange(call.store, view, change, act));
  if (found.kind !== 'ok') throw failureError(found);
  return { record: found.existing.record, container: found.container };
}

interface LookedAt {
  readonly record: EntryRecord;
  readonly container: ContainerRecord;
}

/** The key or scope that the request names must be the blob's. */
export async function addedSealing(call: BlobCall, { record, container }: LookedAt): Promise<Sealing | undefined> {
  const { encryption } = record;
  const unequal = encryptionCheck(call)(record, container);
  if (unequal !== undefined) throw failureError(unequal);
  if (encryption === undefined) return undefined;
  const key = encryption.keySha256 === undefined ? undefined : customerKey(call);
  const scope = key === undefined ? (encryption.scope ?? accountKeyScope) : undefined;
  const chosen = await chooseSealing(call.store, call.target, { scope, customerKey: key });
  if (chosen.kind !== 'ok') throw failureError({ kind: 'encryption-mismatch' });
  return chosen.sealing;
}
