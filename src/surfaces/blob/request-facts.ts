// What a decision is told of a request beside its action: the state it means, what it sets and lists, what else it asks for.
import type { Action, Resource } from '../../identity/actions.ts';
import type { Access } from '../../identity/assignments.ts';
import type { EntryTime } from '../../namespace/entries.ts';
import { BlobError } from './errors.ts';
import { entryTime, tags } from './headers-in.ts';
import { included } from './list-parameters.ts';
import { type Headers, one, type Query, type Target } from './request.ts';

interface Asked {
  readonly target: Target;
  readonly query: Query;
  readonly headers: Headers;
}

type Tags = Readonly<Record<string, string>>;

/** What a request's operation sets of its blob beside the content. Headers for what it does not set count for nothing. */
export interface Sets {
  readonly tags?: 'by-header' | (() => Promise<Tags>);
  readonly tier?: true;
}

/** The state is the one that the operation's handler will open: `entryTime` is all that reads it from an address. */
export function resourceOf({ target, query }: Omit<Asked, 'headers'>): Resource {
  const { account, container, blob } = target;
  const prefix = container !== undefined && blob === undefined ? listedPrefix(query) : undefined;
  const at = blob === undefined ? undefined : entryTime(query);
  return {
    account,
    ...(container !== undefined && { container }),
    ...(blob !== undefined && { blob }),
    ...(prefix !== undefined && { prefix }),
    ...(at !== undefined && { [at.kind]: at.time }),
  };
}

/** Of List Blobs: to any other operation on a container the parameter means nothing, and must not narrow its scope. */
function listedPrefix(query: Query): string | undefined {
  return one(query, 'comp')?.toLowerCase() === 'list' ? one(query, 'prefix') : undefined;
}

export function stateOf({ snapshot, version }: Resource): EntryTime | undefined {
  if (snapshot !== undefined) return { kind: 'snapshot', time: snapshot };
  return version === undefined ? undefined : { kind: 'version', time: version };
}

/** For the conditions of role assignments. */
export async function requestFacts({ query, headers }: Asked, sets: Sets): Promise<NonNullable<Access['request']>> {
  const set = sets.tags === undefined ? undefined : await tagsSet(headers, sets.tags);
  const delimiter = one(query, 'delimiter');
  const include = listed(query);
  return {
    ...(set !== undefined && { tags: set }),
    ...(delimiter !== undefined && { delimiter }),
    ...(include.length > 0 && { include }),
    ...(headers['x-ms-if-tags'] !== undefined && { hasTagConditions: true }),
    ...(sets.tier === true && headers['x-ms-access-tier'] !== undefined && { setsTier: true }),
  };
}

/** What is deleted is listed by either of two parameters. */
function listed(query: Query): string[] {
  const include = included(query);
  return [...include, ...(one(query, 'showonly') && !include.has('deleted') ? ['deleted'] : [])];
}

async function tagsSet(headers: Headers, from: NonNullable<Sets['tags']>): Promise<Tags | undefined> {
  try {
    return from === 'by-header' ? tags(headers) : await from();
  } catch (error) {
    // The handler refuses them; until then they are tags that no condition lets pass.
    if (error instanceof BlobError) return {};
    throw error;
  }
}

/** What a request does beside what its operation is: each must be allowed too. */
export function furtherActions({ headers, target, query }: Asked, action: Action, sets: Sets): Action[] {
  const more: Action[] = [];
  if (target.blob !== undefined) {
    const setsTags = sets.tags === 'by-header' ? (headers['x-ms-tags'] ?? '') !== '' : sets.tags !== undefined;
    if (setsTags && action !== 'blob/tags-write') more.push('blob/tags-write');
    const retains = 'x-ms-immutability-policy-until-date' in headers || 'x-ms-legal-hold' in headers;
    if (retains && action !== 'blob/immutability') more.push('blob/immutability');
    const asksForTags = headers['x-ms-if-tags'] ?? (action === 'blob/tags-write' && headers['x-ms-blob-if-tags']);
    if (typeof asksForTags === 'string' && action !== 'blob/tags-read') more.push('blob/tags-read');
  } else if (action === 'container/list' && included(query).has('tags')) {
    more.push('blob/tags-read');
  }
  return more;
}
