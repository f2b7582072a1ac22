// Every action that a surface can ask about, and what a signature or public access must give for it.
import { type BlobPermission, type PermissionSet, permissionSet } from './permissions.ts';
import type { AccountResourceType } from './sas.ts';

export interface Resource {
  readonly account: string;
  readonly container?: string;
  readonly blob?: string;
  /** Of a listing, and of nothing else. */
  readonly prefix?: string;
  /** The state that is meant, as the service names it; neither is the current one. */
  readonly snapshot?: string;
  readonly version?: string;
  /** The container's public access level; absent is none. */
  readonly publicAccess?: 'none' | 'blob' | 'container';
}

export interface Rule {
  /** Types of resource (srt) of which an account SAS must have one. */
  readonly types: readonly AccountResourceType[];
  /** Permissions of which a SAS must have one; none of them: no SAS may do this. */
  readonly anyOf: PermissionSet;
  /** Permissions that allow it only where nothing is overwritten. */
  readonly ifNew: PermissionSet;
  /** Whether a service SAS may do it too, given its scope. */
  readonly serviceSas: boolean;
  /** The least public access that lets anyone do it. */
  readonly public: 'never' | 'blob' | 'container';
  /** Nobody may but by a token. */
  readonly tokenOnly: boolean;
  /** To break a lease, which older signatures do by the permission to write alone. */
  readonly isLeaseBreak: boolean;
}

interface RuleOptions {
  readonly serviceSas?: boolean;
  readonly public?: 'blob' | 'container';
  readonly ifNew?: readonly BlobPermission[];
  readonly tokenOnly?: boolean;
  readonly isLeaseBreak?: boolean;
}

function rule(
  types: AccountResourceType | readonly AccountResourceType[],
  anyOf: readonly BlobPermission[],
  options: RuleOptions = {},
): Rule {
  return {
    types: typeof types === 'string' ? [types] : types,
    anyOf: permissionSet(...anyOf),
    ifNew: permissionSet(...(options.ifNew ?? [])),
    serviceSas: options.serviceSas ?? types === 'object',
    public: options.public ?? 'never',
    tokenOnly: options.tokenOnly ?? false,
    isLeaseBreak: options.isLeaseBreak ?? false,
  };
}

// "Create an account SAS", permissions by operation, and "Create a service SAS", permissions for a blob and a container.
// A service SAS reaches blobs and the list of them, never properties, metadata, leases or the ACL of a container.
export const rules = {
  'service/read': rule('service', ['read']),
  'service/write': rule('service', ['write']),
  'service/list': rule('service', ['list']),
  'service/filter': rule(['service', 'object'], ['filter']),
  /** Get Account Information, at any level. */
  'service/info': rule(['service', 'container', 'object'], ['read', 'write', 'add', 'create', 'delete', 'list'], {
    serviceSas: true,
  }),
  /** The envelope of a batch; each request inside is authorized on its own. */
  'service/batch': rule(['service', 'container', 'object'], ['write', 'delete', 'deleteVersion', 'permanentDelete'], {
    serviceSas: true,
  }),
  'service/delegation-key': rule('service', [], { tokenOnly: true }),
  'container/create': rule('container', ['create', 'write']),
  'container/read': rule('container', ['read'], { public: 'container' }),
  'container/write': rule('container', ['write']),
  'container/delete': rule('container', ['delete']),
  'container/undelete': rule('container', ['create', 'write']),
  'container/list': rule('container', ['list'], { serviceSas: true, public: 'container' }),
  'container/filter': rule('container', ['filter'], { serviceSas: true }),
  /** Get and Set Container ACL: never by a signature. */
  'container/acl': rule('container', []),
  'container/set-acl': rule('container', []),
  'container/lease': rule('container', ['write']),
  'container/break-lease': rule('container', ['write', 'delete'], { isLeaseBreak: true }),
  'blob/read': rule('object', ['read'], { public: 'blob' }),
  /** Put Blob, Put Blob From URL, the destination of a copy: a whole blob in one operation. */
  'blob/create': rule('object', ['write'], { ifNew: ['create'] }),
  /** Blocks and their list, pages, properties, metadata, tier, abort of a copy. */
  'blob/write': rule('object', ['write']),
  'blob/add': rule('object', ['add', 'write']),
  'blob/snapshot': rule('object', ['create', 'write']),
  'blob/delete': rule('object', ['delete']),
  'blob/delete-version': rule('object', ['deleteVersion']),
  'blob/delete-permanent': rule('object', ['permanentDelete']),
  'blob/undelete': rule('object', ['write']),
  'blob/lease': rule('object', ['write']),
  'blob/break-lease': rule('object', ['write', 'delete'], { isLeaseBreak: true }),
  'blob/tags-read': rule('object', ['tags']),
  'blob/tags-write': rule('object', ['tags']),
  'blob/immutability': rule('object', ['setImmutability']),
} as const satisfies Record<string, Rule>;

export type Action = keyof typeof rules;

/**
 * What List Blobs asks for, and the tags that it may show: of all that is asked of a container the only actions that a
 * prefix narrows. Every other one is done to the whole container, whatever its query says.
 */
export function isOfListing(action: Action): boolean {
  return action === 'container/list' || action === 'blob/tags-read';
}

export const actions = Object.keys(rules) as readonly Action[];
