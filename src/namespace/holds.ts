// Whether anything stands below a directory: one that lost its last entry waits a moment for the background to remove it.
import type { View } from '../metadata/engine.ts';
import { after, keys } from '../metadata/keys.ts';
import { type DirectoryRecord, decodeRecord } from './records.ts';

/** `withPast`: snapshots, versions and what is deleted count too. */
export async function holdsEntry(view: View, directory: Buffer, withPast: boolean): Promise<boolean> {
  if (withPast && (await view.scan(keys.pastBelow(directory), { limit: 1 })).length > 0) return true;
  let { start, end } = keys.children(directory);
  for (;;) {
    const rows = await view.scan({ start, end }, { limit: 4 });
    for (const row of rows) {
      if (!keys.entryNameOf(row.key).endsWith('/')) return true;
      const child = Buffer.from(decodeRecord<DirectoryRecord>(row.value).id, 'hex');
      if (await holdsEntry(view, child, withPast)) return true;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < 4) return false;
    start = after(last.key);
  }
}
