// What a decision may want to know of the blob that is there, before anybody opens it.

import { parseTicks } from '../codec/ticks.ts';
import type { View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { readContainer } from './containers.ts';
import { findPlace } from './paths.ts';
import { decodeEntry, type Entry } from './records.ts';
import type { Store } from './store.ts';

export interface BlobFacts {
  readonly tags: Readonly<Record<string, string>>;
  readonly isCurrentVersion: boolean;
}

/** Of the blob, or of its state at `time` (a snapshot or version). What is not there has no tags. */
export function readBlobFacts(
  store: Store,
  name: { readonly account: string; readonly container: string; readonly blob: string; readonly time?: string },
): Promise<BlobFacts> {
  return store.engine.snapshot(async (view) => {
    const container = await readContainer(view, name);
    const place = container && (await findPlace(view, Buffer.from(container.id, 'hex'), name.blob));
    const current = place && (await entryAt(view, keys.entry(place.parent, place.leaf)));
    const { time } = name;
    const tagsOf = (entry: Entry | undefined): BlobFacts['tags'] => entry?.record.tags ?? {};
    if (time === undefined || time === current?.record.version)
      return { tags: tagsOf(current), isCurrentVersion: true };
    const ticks = parseTicks(time);
    const past = place && ticks !== undefined && (await entryAt(view, keys.past(place.parent, place.leaf, ticks)));
    return { tags: tagsOf(past || undefined), isCurrentVersion: false };
  });
}

async function entryAt(view: View, key: Uint8Array): Promise<Entry | undefined> {
  const found = await view.get(key);
  return found && decodeEntry(found);
}
