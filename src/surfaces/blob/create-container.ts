// Create Container.
import { createContainer as create } from '../../namespace/containers.ts';
import type { ContainerRecord, PublicAccess } from '../../namespace/records.ts';
import { accountKeyScope, findScope, isScopeName } from '../../namespace/scopes.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerError } from './container-access.ts';
import { BlobError } from './errors.ts';
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
    ...(await defaultScope(call)),
    cause: call.cause,
  });
  if (outcome.kind !== 'ok') throw containerError(outcome);
  return { status: 201, headers: stamp(outcome.record) };
}

/** `x-ms-default-encryption-scope` and `x-ms-deny-encryption-scope-override`, which go together. */
async function defaultScope(
  call: ContainerCall,
): Promise<Pick<ContainerRecord, 'encryptionScope' | 'denyScopeOverride'>> {
  const name = 'x-ms-default-encryption-scope';
  const scope = call.headers[name];
  const denies = call.headers['x-ms-deny-encryption-scope-override']?.toLowerCase();
  if (denies !== undefined && denies !== 'true' && denies !== 'false') {
    throw headerError('x-ms-deny-encryption-scope-override', denies);
  }
  if (scope === undefined || scope === '') {
    if (denies === 'true') throw new BlobError('MissingRequiredHeader', { HeaderName: name });
    return {};
  }
  const found = isScopeName(scope) && (await findScope(call.store, call.target.account, scope));
  if (scope !== accountKeyScope && !found) throw headerError(name, scope);
  if (found && found.state === 'disabled') throw new BlobError('EncryptionScopeDisabled');
  return {
    ...(scope !== accountKeyScope && { encryptionScope: scope }),
    ...(denies === 'true' && { denyScopeOverride: true }),
  };
}

/** `x-ms-blob-public-access`; without it only whoever may sign reads. */
export function publicAccess(headers: Headers): PublicAccess {
  const value = headers['x-ms-blob-public-access'];
  if (value === undefined || value === '') return 'none';
  const access = value.toLowerCase();
  if (access !== 'container' && access !== 'blob') throw headerError('x-ms-blob-public-access', value);
  return access;
}
