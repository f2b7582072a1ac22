// What a decision is told of a request beside its action: the tags it sets, what it lists, and what else it asks for.
import type { Action, Resource } from '../../identity/actions.ts';
import type { Access } from '../../identity/assignments.ts';
import { BlobError } from './errors.ts';
import { tags } from './headers-in.ts';
import { type Headers, one, type Query, type Target } from './request.ts';

interface Asked {
  readonly target: Target;
  readonly query: Query;
  readonly headers: Headers;
}

export function resourceOf({ target, query }: Omit<Asked, 'headers'>): Resource {
  const { account, container, blob } = target;
  const prefix = blob === undefined ? one(query, 'prefix') : undefined;
  const snapshot = one(query, 'snapshot');
  const version = one(query, 'versionid');
  return {
    account,
    ...(container !== undefined && { container }),
    ...(blob !== undefined && { blob }),
    ...(prefix !== undefined && { prefix }),
    ...(snapshot !== undefined && { snapshot }),
    ...(version !== undefined && { version }),
  };
}

/** For the conditions of role assignments. */
export function requestFacts({ query, headers, target }: Asked): NonNullable<Access['request']> {
  const set = target.blob === undefined ? undefined : tagsSet(headers);
  const delimiter = one(query, 'delimiter');
  const include = one(query, 'include');
  return {
    ...(set !== undefined && { tags: set }),
    ...(delimiter !== undefined && { delimiter }),
    ...(include !== undefined && { include: include.toLowerCase().split(',') }),
    ...(headers['x-ms-if-tags'] !== undefined && { hasTagConditions: true }),
    ...(headers['x-ms-access-tier'] !== undefined && { setsTier: true }),
  };
}

function tagsSet(headers: Headers): Readonly<Record<string, string>> | undefined {
  try {
    return tags(headers);
  } catch (error) {
    // The handler refuses them; until then they are tags that no condition lets pass.
    if (error instanceof BlobError) return {};
    throw error;
  }
}

/** What a request does beside what its operation is: each must be allowed too. */
export function furtherActions({ headers, target, query }: Asked, action: Action): Action[] {
  const more: Action[] = [];
  if (target.blob !== undefined) {
    const given = headers['x-ms-tags'];
    if (given !== undefined && given !== '' && action !== 'blob/tags-write') more.push('blob/tags-write');
    const retains = 'x-ms-immutability-policy-until-date' in headers || 'x-ms-legal-hold' in headers;
    if (retains && action !== 'blob/immutability') more.push('blob/immutability');
    if (headers['x-ms-if-tags'] !== undefined && action !== 'blob/tags-read') more.push('blob/tags-read');
  } else if (action === 'container/list') {
    const include = query.get('include')?.join(',').toLowerCase() ?? '';
    if (include.split(',').includes('tags')) more.push('blob/tags-read');
  }
  return more;
}
