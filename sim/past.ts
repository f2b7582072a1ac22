// The past of a name as it is, whatever its rows say until their turn has come.
import type { View } from '../src/metadata/engine.ts';
import { pastPages } from '../src/namespace/entry-rows.ts';
import type { Place } from '../src/namespace/paths.ts';
import type { Entry } from '../src/namespace/records.ts';
import { readSweep, swept } from '../src/namespace/sweeps.ts';

export async function readPast(view: View, place: Place): Promise<Entry[]> {
  const sweep = await readSweep(view, place);
  const entries: Entry[] = [];
  for await (const page of pastPages(view, place)) {
    for (const row of page) {
      const entry = swept(row, sweep);
      if (entry !== undefined) entries.push(entry);
    }
  }
  return entries;
}
