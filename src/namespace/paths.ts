// From a full name to its place in the tree: (parent, leaf). Empty segments are names like any other.
import type { Txn, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { type DirectoryRecord, decodeRecord, encodeRecord } from './records.ts';
import type { Store } from './store.ts';

export interface Place {
  readonly parent: Buffer;
  readonly leaf: string;
}

/** Where the name stands; undefined when a directory on the way does not. */
export async function findPlace(view: View, container: Buffer, name: string): Promise<Place | undefined> {
  const last = name.lastIndexOf('/');
  if (last === -1) return { parent: container, leaf: name };
  const parent = await findDirectory(view, container, name.slice(0, last));
  return parent && { parent, leaf: name.slice(last + 1) };
}

/** A directory by its full name (no final "/"); the container itself is not one. */
export async function findDirectory(view: View, container: Buffer, name: string): Promise<Buffer | undefined> {
  let parent = container;
  for (const segment of name.split('/')) {
    const found = await view.get(keys.directory(parent, segment));
    if (found === undefined) return undefined;
    parent = Buffer.from(decodeRecord<DirectoryRecord>(found).id, 'hex');
  }
  return parent;
}

/** The same, making what directories are missing. */
export async function makePlace(store: Store, txn: Txn, container: Buffer, name: string): Promise<Place> {
  const last = name.lastIndexOf('/');
  if (last === -1) return { parent: container, leaf: name };
  let parent = container;
  for (const segment of name.slice(0, last).split('/')) {
    const key = keys.directory(parent, segment);
    const found = await txn.get(key);
    if (found !== undefined) parent = Buffer.from(decodeRecord<DirectoryRecord>(found).id, 'hex');
    else {
      const id = store.ids.next();
      txn.put(key, encodeRecord({ id: id.toString('hex') } satisfies DirectoryRecord));
      parent = id;
    }
  }
  return { parent, leaf: name.slice(last + 1) };
}
