// What Lease Blob and Lease Container share: the action that the headers ask for, and the answer to it.
import type { LeaseAction } from '../../namespace/leases.ts';
import type { Answer } from '../http/answer.ts';
import type { Call } from './call.ts';
import { BlobError } from './errors.ts';
import { headerError, leaseId, required } from './headers-in.ts';
import type { OutHeaders } from './headers-out.ts';
import { type DifferenceName, isBefore } from './version-differences.ts';

const durationSMin = 15;
const durationSMax = 60;
const breakPeriodSMax = 60;

/** Reads `x-ms-lease-action` and the headers that belong to it; throws `BlobError` for what is missing or malformed. */
export function parseLeaseAction(call: Call): LeaseAction {
  const { headers } = call;
  // Lease Container came with the version that changed these.
  const isOld = (difference: DifferenceName): boolean =>
    call.target.blob !== undefined && isBefore(call.version, difference);
  const name = required(headers, 'x-ms-lease-action');
  switch (name.toLowerCase()) {
    case 'acquire': {
      const duration = isOld('leaseDuration')
        ? headers['x-ms-lease-duration'] || `${durationSMax}`
        : required(headers, 'x-ms-lease-duration');
      const durationS = wholeNumber('x-ms-lease-duration', duration);
      if (durationS !== -1 && (durationS < durationSMin || durationS > durationSMax)) {
        throw headerError('x-ms-lease-duration', duration);
      }
      return {
        action: 'acquire',
        durationS,
        proposedId: leaseId(headers, 'x-ms-proposed-lease-id') ?? newLeaseId(call),
      };
    }
    case 'renew':
      return { action: 'renew', id: requiredId(call, 'x-ms-lease-id') };
    case 'change':
      return {
        action: 'change',
        id: requiredId(call, 'x-ms-lease-id'),
        proposedId: requiredId(call, 'x-ms-proposed-lease-id'),
      };
    case 'release':
      return { action: 'release', id: requiredId(call, 'x-ms-lease-id'), isRenewable: isOld('releaseEnds') };
    case 'break': {
      const period = headers['x-ms-lease-break-period'];
      const isOnce = isOld('breakAgain');
      if (period === undefined || period === '') return { action: 'break', isOnce };
      const periodS = wholeNumber('x-ms-lease-break-period', period);
      if (periodS < 0 || periodS > breakPeriodSMax) throw headerError('x-ms-lease-break-period', period);
      return { action: 'break', periodS, isOnce };
    }
    default:
      throw headerError('x-ms-lease-action', name);
  }
}

const statuses = { acquire: 201, renew: 200, change: 200, release: 200, break: 202 } as const;

/** The answer to an action that was done: `stamp` is the ETag and Last-Modified of what is leased. */
export function leaseAnswer(
  action: LeaseAction,
  stamp: OutHeaders,
  outcome: { readonly leaseId?: string; readonly remainingS?: number },
): Answer {
  const headers: OutHeaders = { ...stamp };
  if (action.action === 'break') headers['x-ms-lease-time'] = outcome.remainingS ?? 0;
  else if (action.action !== 'release') headers['x-ms-lease-id'] = outcome.leaseId;
  return { status: statuses[action.action], headers };
}

function requiredId(call: Call, name: string): string {
  required(call.headers, name);
  const id = leaseId(call.headers, name);
  if (id === undefined) throw new BlobError('MissingRequiredHeader', { HeaderName: name });
  return id;
}

function wholeNumber(name: string, value: string): number {
  if (!/^-?\d{1,9}$/.test(value)) throw headerError(name, value);
  return Number(value);
}

/** A random GUID (RFC 9562, version 4) from the store's own source of chance. */
function newLeaseId(call: Call): string {
  const bytes = call.store.random.bytes(16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
