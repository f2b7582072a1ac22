// What any write of a whole blob may set by its headers, whatever brings the bytes: tier, tags, retention.
import type { EntryAttributes } from '../../namespace/entries.ts';
import type { BlobCall } from './call.ts';
import { BlobError } from './errors.ts';
import { immutability, tags, tier } from './headers-in.ts';

export function writeAttributes(call: BlobCall): Pick<EntryAttributes, 'tier' | 'tags' | 'immutability' | 'legalHold'> {
  const { headers } = call;
  const access = tier(headers);
  const indexTags = tags(headers);
  return { ...(access !== undefined && { tier: access }), ...(indexTags && { tags: indexTags }), ...retention(call) };
}

export function retention({ headers, nowMs }: BlobCall): Pick<EntryAttributes, 'immutability' | 'legalHold'> {
  const found = immutability(headers);
  if (found.immutability !== undefined && found.immutability.untilMs <= nowMs) {
    throw new BlobError('InvalidHeaderValue', { HeaderName: 'x-ms-immutability-policy-until-date' });
  }
  return found;
}
