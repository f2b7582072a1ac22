// What every operation on a container names: which one, under which conditions and lease, and why.
import type { ContainerAccess } from '../../namespace/containers.ts';
import type { Failure } from '../../namespace/failure.ts';
import type { ContainerCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { conditions, leaseId } from './headers-in.ts';
import { checkContainerName } from './names.ts';

type ConditionHeader = 'if-match' | 'if-none-match' | 'if-modified-since' | 'if-unmodified-since';
const conditionHeaders: readonly ConditionHeader[] = [
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
];

/** Containers know conditions by time only: ETags are refused, and so is whatever is not in `allowed`. */
export function containerChange(call: ContainerCall, allowed: readonly ConditionHeader[]): ContainerAccess {
  for (const name of conditionHeaders) {
    if (call.headers[name] !== undefined && !allowed.includes(name)) {
      throw new BlobError('ConditionHeadersNotSupported', { HeaderName: name });
    }
  }
  return { ...containerName(call), ...givenLease(call), conditions: conditions(call.headers), cause: call.cause };
}

/** Reads of a container take no conditions; a lease id that is given must fit. */
export function containerRead(call: ContainerCall): Omit<ContainerAccess, 'cause'> {
  return { ...containerName(call), ...givenLease(call), conditions: {} };
}

/** Names with "$" belong to the service: one that is not there is not found, whatever it is called. */
export function containerName(call: ContainerCall): { account: string; container: string } {
  const { account, container } = call.target;
  if (!container.startsWith('$')) checkContainerName(container);
  return { account, container };
}

function givenLease(call: ContainerCall): { leaseId?: string } {
  const lease = leaseId(call.headers);
  return lease === undefined ? {} : { leaseId: lease };
}

/** As `failureError`; where the table speaks of a blob, the container is named. */
export function containerError(failure: Failure): BlobError {
  const error = failureError(failure);
  const message = messages[error.errorCode];
  return message === undefined ? error : new BlobError(error.errorCode, error.details, message);
}

const messages: Readonly<Record<string, string>> = {
  LeaseIdMissing: 'There is currently a lease on the container and no lease ID was specified in the request.',
  LeaseLost: 'A lease ID was specified, but the lease for the container has expired.',
};
