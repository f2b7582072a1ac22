// Create Container.
import { createContainer as create } from '../../namespace/containers.ts';
import type { PublicAccess } from '../../namespace/records.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerError } from './container-access.ts';
import { headerError, metadata } from './headers-in.ts';
import { stamp } from './headers-out.ts';
import { checkContainerName } from './names.ts';
import type { Headers } from './request.ts';

export async function createContainer(call: ContainerCall): Promise<Answer> {
  const { account, container } = call.target;
  checkContainerName(container);
  const outcome = await create(call.store, {
    account,
    container,
    metadata: metadata(call.rawHeaders),
    publicAccess: publicAccess(call.headers),
    cause: call.cause,
  });
  if (outcome.kind !== 'ok') throw containerError(outcome);
  return { status: 201, headers: stamp(outcome.record) };
}

/** `x-ms-blob-public-access`; without it only whoever may sign reads. */
export function publicAccess(headers: Headers): PublicAccess {
  const value = headers['x-ms-blob-public-access'];
  if (value === undefined || value === '') return 'none';
  const access = value.toLowerCase();
  if (access !== 'container' && access !== 'blob') throw headerError('x-ms-blob-public-access', value);
  return access;
}
