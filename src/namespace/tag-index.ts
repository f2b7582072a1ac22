// The index of tags: a row a tag of every current blob, and finding blobs by them.
import type { Range, Txn, View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import type { ContainerName } from './containers.ts';
import { findPlace } from './paths.ts';
import { type ContainerRecord, decodeEntry, decodeRecord, type EntryRecord, encodeRecord } from './records.ts';
import type { Store } from './store.ts';
import { matchesTags, type TagExpression, type TagQuery, type Tags } from './tag-expression.ts';

interface TagRow {
  /** The container's name; the key has its id: one of the same name that was deleted may not be emptied yet. */
  readonly container: string;
}

/** Makes the index of a name say what its tags are now. */
export function indexTags(
  txn: Txn,
  { account, container, name }: ContainerName & { readonly name: string },
  record: Pick<ContainerRecord, 'id'>,
  before: Tags | undefined,
  now: Tags | undefined,
): void {
  if (before === now) return;
  for (const tag in before) {
    const value = before[tag] as string;
    if (now?.[tag] !== value) txn.delete(keys.tag(account, tag, value, record.id, name));
  }
  for (const tag in now) {
    const value = now[tag] as string;
    if (before?.[tag] === value) continue;
    txn.put(keys.tag(account, tag, value, record.id, name), encodeRecord({ container } satisfies TagRow));
  }
}

export interface TagPage {
  readonly found: readonly { readonly container: string; readonly name: string; readonly record: EntryRecord }[];
  /** Where the next page begins: opaque. */
  readonly next: string | undefined;
}

/** Rows that one request looks at, whatever they turn out to be; a page that is not full goes on at its marker. */
const rowsLookedMax = 10_000;
const batchRows = 200;

/** Blobs of an account whose tags satisfy all comparisons, at a cost that follows the rows of one of these in the index. */
export function findByTags(
  store: Store,
  account: string,
  query: TagQuery,
  page: { readonly from: string | undefined; readonly limit: number },
): Promise<TagPage> {
  return store.engine.snapshot(async (view) => {
    const containers = new Map<string, ContainerRecord | undefined>();
    const containerOf = async (name: string): Promise<ContainerRecord | undefined> => {
      if (!containers.has(name)) {
        const bytes = await view.get(keys.container(account, name));
        containers.set(name, bytes && decodeRecord<ContainerRecord>(bytes));
      }
      return containers.get(name);
    };
    const only = query.container === undefined ? undefined : await containerOf(query.container);
    if (query.container !== undefined && only === undefined) return { found: [], next: undefined };
    const range = rangeOf(account, query, only?.id);
    const from = page.from === undefined ? undefined : Buffer.from(page.from, 'base64url');
    let start = from !== undefined && Buffer.compare(from, range.start) > 0 ? from : range.start;
    const found: TagPage['found'][number][] = [];
    const expression = asExpression(query);
    for (let looked = 0; ; ) {
      const rows = await view.scan({ start, end: range.end }, { limit: batchRows });
      for (const row of rows) {
        if (found.length === page.limit || looked === rowsLookedMax) {
          return { found, next: Buffer.from(row.key).toString('base64url') };
        }
        looked++;
        const { containerId, blob: name } = keys.tagOf(row.key);
        if (only !== undefined && only.id !== containerId) continue;
        const { container } = decodeRecord<TagRow>(row.value);
        const record = await containerOf(container);
        if (record === undefined || record.id !== containerId) continue;
        const entry = await currentOf(view, record, name);
        if (entry !== undefined && matchesTags(expression, entry.tags)) found.push({ container, name, record: entry });
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < batchRows) return { found, next: undefined };
      start = after(last.key);
    }
  });
}

async function currentOf(view: View, container: ContainerRecord, name: string): Promise<EntryRecord | undefined> {
  const place = await findPlace(view, Buffer.from(container.id, 'hex'), name);
  const bytes = place && (await view.get(keys.entry(place.parent, place.leaf)));
  return bytes && decodeEntry(bytes).record;
}

function asExpression(query: TagQuery): TagExpression {
  const all = query.comparisons.map((one): TagExpression => ({ kind: 'compare', ...one }));
  return all.reduce((left, right) => ({ kind: 'and', left, right }));
}

/** The narrowest run of the index that holds every match: an equality if there is one, else all bounds of one tag. */
function rangeOf(account: string, { comparisons }: TagQuery, containerId: string | undefined): Range {
  const equal = comparisons.find(({ comparison }) => comparison === '=');
  if (equal !== undefined) {
    return containerId === undefined
      ? keys.tagBlobs(account, equal.tag, equal.value)
      : keys.tagBlobsIn(account, equal.tag, equal.value, containerId);
  }
  const tag = (comparisons[0] as TagQuery['comparisons'][number]).tag;
  let { start, end } = keys.tagValues(account, tag);
  for (const { tag: other, comparison, value } of comparisons) {
    if (other !== tag) continue;
    const at = keys.tagBlobs(account, tag, value);
    if (comparison === '>' && Buffer.compare(at.end, start) > 0) start = at.end;
    if (comparison === '>=' && Buffer.compare(at.start, start) > 0) start = at.start;
    if (comparison === '<' && Buffer.compare(at.start, end) < 0) end = at.start;
    if (comparison === '<=' && Buffer.compare(at.end, end) < 0) end = at.end;
  }
  return Buffer.compare(start, end) < 0 ? { start, end } : { start, end: start };
}
