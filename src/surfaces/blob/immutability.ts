// Set and Delete Blob Immutability Policy, Set Blob Legal Hold: of a version, in containers that allow it.
import { parseHttpDate } from '../../codec/http-date.ts';
import { changeEntry, type Edit } from '../../namespace/entries.ts';
import { changePolicy } from '../../namespace/immutable.ts';
import type { EntryRecord } from '../../namespace/records.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { failureError } from './errors.ts';
import { flag, headerError, policyMode, required } from './headers-in.ts';
import { immutabilityHeaders } from './headers-out.ts';

/** Policies and holds change whatever they forbid, and neither ETag nor Last-Modified. */
const options = { touches: false, act: 'note', ignoresLease: true } as const;

async function edit(call: BlobCall, change: Edit): Promise<EntryRecord> {
  const { leaseId: _, ...command } = blobChange(call, true);
  const outcome = await changeEntry(
    call.store,
    command,
    (record, container) =>
      container.versionImmutability === true ? change(record, container) : { kind: 'versioning-needed' },
    options,
  );
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return outcome.entry.record;
}

export async function setImmutabilityPolicy(call: BlobCall): Promise<Answer> {
  const until = required(call.headers, 'x-ms-immutability-policy-until-date');
  const untilMs = parseHttpDate(until);
  if (untilMs === undefined) throw headerError('x-ms-immutability-policy-until-date', until);
  const mode = policyMode(call.headers) ?? 'unlocked';
  const record = await edit(call, (found) => {
    const changed = changePolicy(found, { kind: 'set', untilMs, mode }, call.nowMs);
    return changed.kind === 'ok' ? changed.record : changed;
  });
  return { status: 200, headers: immutabilityHeaders(record) };
}

export async function deleteImmutabilityPolicy(call: BlobCall): Promise<Answer> {
  await edit(call, (found) => {
    const changed = changePolicy(found, { kind: 'remove' }, call.nowMs);
    return changed.kind === 'ok' ? changed.record : changed;
  });
  return { status: 200, headers: {} };
}

export async function setLegalHold(call: BlobCall): Promise<Answer> {
  required(call.headers, 'x-ms-legal-hold');
  const hold = flag(call.headers, 'x-ms-legal-hold') === true;
  await edit(call, ({ legalHold: _, ...record }) => (hold ? { ...record, legalHold: true } : record));
  return { status: 200, headers: { 'x-ms-legal-hold': `${hold}` } };
}
