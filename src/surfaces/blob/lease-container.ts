// Lease Container: acquire, renew, change, release, break.
import { leaseContainer as lease } from '../../namespace/containers.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerChange, containerError } from './container-access.ts';
import { stamp } from './headers-out.ts';
import { leaseAnswer, parseLeaseAction } from './lease-command.ts';
import { isBefore } from './version-differences.ts';

export async function leaseContainer(call: ContainerCall): Promise<Answer> {
  const action = parseLeaseAction(call);
  const { leaseId: _, ...change } = containerChange(call, ['if-modified-since', 'if-unmodified-since']);
  const outcome = await lease(call.store, { ...change, touches: isBefore(call.version, 'containerLease') }, action);
  if (outcome.kind !== 'ok') throw containerError(outcome);
  return leaseAnswer(action, stamp(outcome.record), outcome);
}
