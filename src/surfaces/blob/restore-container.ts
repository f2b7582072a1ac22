// Restore Container.
import { undeleteContainer } from '../../namespace/containers.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerError } from './container-access.ts';
import { required } from './headers-in.ts';

export async function restoreContainer(call: ContainerCall): Promise<Answer> {
  const { account, container } = call.target;
  const outcome = await undeleteContainer(call.store, {
    account,
    container,
    deleted: required(call.headers, 'x-ms-deleted-container-name'),
    version: required(call.headers, 'x-ms-deleted-container-version'),
    cause: call.cause,
  });
  if (outcome.kind !== 'ok') throw containerError(outcome);
  return { status: 201, headers: {} };
}
