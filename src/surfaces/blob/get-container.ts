// Get Container Properties and Get Container Metadata.
import { getContainer as find } from '../../namespace/containers.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerError, containerRead } from './container-access.ts';
import { containerHeaders, metadataHeaders, stamp } from './headers-out.ts';
import { one } from './request.ts';

export async function getContainer(call: ContainerCall): Promise<Answer> {
  const outcome = await find(call.store, containerRead(call));
  if (outcome.kind !== 'ok') throw containerError(outcome);
  const { record } = outcome;
  const metadataOnly = one(call.query, 'comp')?.toLowerCase() === 'metadata';
  const headers = metadataOnly
    ? { ...stamp(record), ...metadataHeaders(record.metadata) }
    : containerHeaders(record, call.nowMs);
  return { status: 200, headers };
}
