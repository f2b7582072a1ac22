// How the table of operations chooses: by what a row is recognised, which right it needs, and what it sets.
import type { Action } from '../../identity/authorize.ts';
import { entryTime } from './headers-in.ts';
import type { ParsedRequest } from './request.ts';
import type { Sets } from './request-facts.ts';

/** What every row of the table says, whatever it is about. */
export interface Choice {
  readonly name: string;
  readonly method: string;
  readonly comp?: string;
  /** What tells operations of one method and `comp` apart; the first that fits is taken. */
  readonly when?: (request: ParsedRequest) => boolean;
  readonly action: Action | ((request: ParsedRequest) => Action);
  /** Tags and tier that it sets, for conditions of roles; what others are sent of them sets nothing. */
  readonly sets?: Sets | ((request: ParsedRequest) => Sets);
}

/** What a write of a whole blob sets by its headers. */
export const wholeBlob: Sets = { tags: 'by-header', tier: true };

export const fromUrl = (request: ParsedRequest): boolean => request.headers['x-ms-copy-source'] !== undefined;
export const syncFromUrl = (request: ParsedRequest): boolean =>
  fromUrl(request) && request.headers['x-ms-requires-sync']?.toLowerCase() === 'true';
export const typedFromUrl = (request: ParsedRequest): boolean =>
  fromUrl(request) &&
  request.headers['x-ms-blob-type'] !== undefined &&
  request.headers['x-ms-requires-sync'] === undefined;

/** To break a lease the right to delete is enough. */
export const leaseAction =
  (level: 'blob' | 'container') =>
  (request: ParsedRequest): Action =>
    request.headers['x-ms-lease-action']?.toLowerCase() === 'break' ? `${level}/break-lease` : `${level}/lease`;

/** A version, and what is deleted for good, need rights of their own. */
export const deleteAction = ({ query }: ParsedRequest): Action => {
  if (query.has('deletetype')) return 'blob/delete-permanent';
  return entryTime(query)?.kind === 'version' ? 'blob/delete-version' : 'blob/delete';
};
