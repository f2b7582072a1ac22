// Set Container Metadata: all of it; what is not given is gone.
import { changeContainer } from '../../namespace/containers.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerChange, containerError } from './container-access.ts';
import { metadata } from './headers-in.ts';
import { stamp } from './headers-out.ts';

export async function setContainerMetadata(call: ContainerCall): Promise<Answer> {
  const access = containerChange(call, ['if-modified-since']);
  const outcome = await changeContainer(call.store, access, { metadata: metadata(call.rawHeaders) });
  if (outcome.kind !== 'ok') throw containerError(outcome);
  return { status: 200, headers: stamp(outcome.record) };
}
