// What a decision may want to know of the blob that is there, before anybody opens it.

import type { View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { readContainer } from './containers.ts';
import type { EntryTime } from './entries.ts';
import { pastKey } from './entry-rows.ts';
import { findPlace } from './paths.ts';
import { decodeEntry, type Entry } from './records.ts';
import type { BlobFacts } from './states.ts';
import type { Store } from './store.ts';

/** Of the state that a read of the same name and `at` would open. What is not there has no tags. */
export function readBlobFacts(
  store: Store,
  name: { readonly account: string; readonly container: string; readonly blob: string; readonly at?: EntryTime },
): Promise<BlobFacts> {
  return store.engine.snapshot(async (view) => {
    const container = await readContainer(view, name);
    const place = container && (await findPlace(view, Buffer.from(container.id, 'hex'), name.blob));
    const current = place && (await entryAt(view, keys.entry(place.parent, place.leaf)));
    const { at } = name;
    const tagsOf = (entry: Entry | undefined): BlobFacts['tags'] => entry?.record.tags ?? {};
    if (at === undefined || (at.kind === 'version' && at.time === current?.record.version))
      return { tags: tagsOf(current), isCurrentVersion: true };
    const past = place && (await entryAt(view, pastKey(place, at.time)));
    return { tags: tagsOf(past?.record.past?.kind === at.kind ? past : undefined), isCurrentVersion: false };
  });
}

async function entryAt(view: View, key: Uint8Array): Promise<Entry | undefined> {
  const found = await view.get(key);
  return found && decodeEntry(found);
}
