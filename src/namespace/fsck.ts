// fsck: walks every name to its bytes, and every byte back to its name, over one consistent picture. Changes nothing.
import { checkBooks, checkSegments, verifyExtents } from './fsck-extents.ts';
import { Findings } from './fsck-findings.ts';
import { checkNames, nameDamaged } from './fsck-names.ts';
import type { Store } from './store.ts';

export interface FsckResult {
  /** So many things are not as they must be. */
  readonly damage: number;
  /** Extents that no name holds and that no tombstone covers: space that is lost, and nothing else. */
  readonly orphans: { readonly extents: number; readonly bytes: number };
  readonly entries: number;
  /** Content of all entries, however many share it. */
  readonly bytes: number;
}

/** Reads all that is stored. Reports each finding in a line; a store that is in use shows writes under way as orphans. */
export async function fsck(
  store: Store,
  report: (line: string) => void,
  progress?: (text: () => string) => void,
): Promise<FsckResult> {
  const findings = new Findings(report, progress);
  try {
    await store.engine.snapshot(async (view) => {
      await checkNames(view, findings);
      await checkBooks(view, findings);
      await verifyExtents(store, view, findings);
      await checkSegments(store, view, findings);
      await nameDamaged(view, findings);
    });
  } catch (error) {
    findings.damaged(`the metadata cannot be read further: ${(error as Error).message}`);
  }
  const { damage, orphans, entries, bytes } = findings;
  if (orphans.extents > 0) report(`orphans: ${orphans.extents} extents of ${orphans.bytes} bytes`);
  return { damage, orphans, entries, bytes };
}
