// Delete Container.
import { deleteContainer as remove } from '../../namespace/containers.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerChange, containerError } from './container-access.ts';

export async function deleteContainer(call: ContainerCall): Promise<Answer> {
  const access = containerChange(call, ['if-modified-since', 'if-unmodified-since']);
  const outcome = await remove(call.store, access);
  if (outcome.kind !== 'ok') throw containerError(outcome);
  return { status: 202, headers: {} };
}
