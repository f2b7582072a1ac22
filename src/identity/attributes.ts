// The attributes that a condition can speak of: how Azure names each, and where its value comes from.

/** What is known of a request when it is decided. */
export interface AttributeFacts {
  readonly account: string;
  /** The data action that is tested, in full. */
  readonly action: string;
  readonly subOperations: readonly string[];
  readonly container: string | undefined;
  readonly path: string | undefined;
  readonly snapshot: string | undefined;
  readonly version: string | undefined;
  /** Of the blob that is there; undefined until somebody looked. */
  readonly blob: BlobFacts | undefined;
  readonly request: RequestFacts;
  readonly nowMs: number | undefined;
}

export interface BlobFacts {
  readonly tags: Readonly<Record<string, string>>;
  readonly isCurrentVersion: boolean;
}

export interface RequestFacts {
  /** Tags that the request sets. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Of a listing; '' where it names none. */
  readonly prefix?: string;
  readonly delimiter?: string;
  readonly include?: readonly string[];
  /** `x-ms-if-tags` */
  readonly hasTagConditions?: boolean;
  /** Sets an access tier. */
  readonly setsTier?: boolean;
}

/** The values; undefined or none: there is no such attribute here. */
export type Found = readonly string[] | undefined | 'needs-blob';

export interface Attribute {
  /** It may have several values, so that a comparison has to say which count. */
  readonly many: boolean;
  readonly read: (facts: AttributeFacts) => Found;
}

const storage = 'microsoft.storage/storageaccounts';
const blobs = `${storage}/blobservices/containers/blobs`;

const maybe = (value: string | undefined): Found => (value === undefined ? undefined : [value]);
const one = (read: Attribute['read']): Attribute => ({ many: false, read });

const simple: Readonly<Record<string, Attribute>> = {
  [`resource ${storage}:name`]: one(({ account }) => [account]),
  // No account here has the hierarchical namespace's access lists.
  [`resource ${storage}:ishnsenabled`]: one(() => ['false']),
  [`resource ${storage}/blobservices/containers:name`]: one(({ container }) => maybe(container)),
  [`resource ${blobs}:path`]: one(({ path }) => maybe(path)),
  [`resource ${blobs}:iscurrentversion`]: one(({ path, snapshot, version, blob }) => {
    if (path === undefined) return undefined;
    if (snapshot !== undefined) return ['false'];
    if (version === undefined) return ['true'];
    return blob === undefined ? 'needs-blob' : [`${blob.isCurrentVersion}`];
  }),
  [`resource ${blobs}/tags&$keys$&`]: {
    many: true,
    read: (facts) => tagsOf(facts, (tags) => Object.keys(tags)),
  },
  [`request ${blobs}:prefix`]: one(({ request }) => maybe(request.prefix)),
  [`request ${blobs}:delimiter`]: one(({ request }) => maybe(request.delimiter)),
  [`request ${blobs}:include`]: { many: true, read: ({ request }) => request.include },
  [`request ${blobs}:snapshot`]: one(({ snapshot }) => maybe(snapshot)),
  [`request ${blobs}:versionid`]: one(({ version }) => maybe(version)),
  [`request ${blobs}/tags&$keys$&`]: {
    many: true,
    read: ({ request }) => request.tags && Object.keys(request.tags),
  },
  'environment utcnow': one(({ nowMs }) => maybe(nowMs === undefined ? undefined : new Date(nowMs).toISOString())),
  'environment isprivatelink': one(() => ['false']),
};

const tagName = /^(.*\/blobs\/tags):([^<]+)(<\$key_case_sensitive\$>)?$/i;

/** The attribute, or why a condition must not name it. */
export function findAttribute(source: string, name: string): Attribute | string {
  const from = source.toLowerCase();
  if (from === 'principal') return 'custom attributes of principals are not known here';
  if (!['resource', 'request', 'environment'].includes(from))
    return 'an attribute of @Resource, @Request or @Environment is expected';
  const key = `${from} ${name.toLowerCase()}`;
  const found = Object.hasOwn(simple, key) ? simple[key] : undefined;
  if (found !== undefined) return found;
  const [, place, tag = '', sensitive] = tagName.exec(name) ?? [];
  if (place?.toLowerCase() !== `${blobs}/tags` || from === 'environment')
    return 'an attribute is expected that is known';
  const pick = (tags: Readonly<Record<string, string>>): string[] => {
    const wanted = sensitive === undefined ? tag.toLowerCase() : tag;
    const fits = ([key]: [string, string]): boolean => (sensitive === undefined ? key.toLowerCase() : key) === wanted;
    return Object.entries(tags)
      .filter(fits)
      .map(([, value]) => value);
  };
  if (from === 'request') return one(({ request }) => request.tags && pick(request.tags));
  return one((facts) => tagsOf(facts, pick));
}

function tagsOf(facts: AttributeFacts, pick: (tags: Readonly<Record<string, string>>) => string[]): Found {
  if (facts.path === undefined) return undefined;
  return facts.blob === undefined ? 'needs-blob' : pick(facts.blob.tags);
}
