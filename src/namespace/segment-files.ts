// Whether the files of the content are those that the metadata knows: all of them, as long as they were, and no newer ones.
import { directAlignment, openIfThere } from '../content/disk.ts';
import { segmentFileName, segmentOfFileName } from '../content/extent.ts';
import type { View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { placesNow } from './garbage.ts';
import { decodeRecord, type SegmentRecord } from './records.ts';
import { namedPieces, rowsOf } from './references.ts';
import { nextSegment } from './segments.ts';
import type { Store } from './store.ts';

export interface LostContent {
  /** The metadata is older than the content; or else a file of the content is gone or cut. */
  readonly kind: 'newer' | 'missing';
  readonly file: string;
  readonly what: string;
}

/**
 * What is first found lost, of a store that nobody else uses. Looks at names and lengths of files only, and at the names
 * in the metadata where a segment is open and has no file: that one was never written, or it was removed.
 */
export async function findLostContent(store: Store): Promise<LostContent | undefined> {
  const { disk, directory } = store.content;
  const files = new Set((await disk.list(directory)).map(segmentOfFileName).filter((number) => number !== undefined));
  const next = await nextSegment(store.engine);
  const newest = Math.max(0, ...files);
  // A number is durable before its file is made.
  if (newest >= next) return { kind: 'newer', ...lost(newest, 'is newer than the metadata, which does not know it') };
  return await store.engine.snapshot(async (view) => {
    const unmade = new Set<number>();
    for await (const { key, value } of rowsOf(view, keys.segments())) {
      const segment = keys.segmentNumberOf(key);
      const { state, tailBytes = 0 } = decodeRecord<SegmentRecord>(value);
      if (state === 'retired') continue;
      const bytes = files.has(segment) ? await lengthOf(store, segment) : undefined;
      if (state === 'open' && bytes === undefined) unmade.add(segment);
      else if (bytes === undefined) return { kind: 'missing', ...lost(segment, 'is missing') };
      else if (isCut(bytes, tailBytes)) {
        return { kind: 'missing', ...lost(segment, `has ${bytes} bytes, and had ${tailBytes}`) };
      }
    }
    const named = unmade.size === 0 ? undefined : await firstNamed(view, unmade);
    return named === undefined ? undefined : { kind: 'missing', ...lost(named, 'is missing') };
  });
}

/** A crash may leave less than a page behind the last extent, or of the header where there is none. */
export function isCut(bytes: number, tailBytes: number): boolean {
  return bytes + directAlignment < tailBytes;
}

function lost(segment: number, what: string): { file: string; what: string } {
  return { file: segmentFileName(segment), what };
}

async function lengthOf({ content }: Store, segment: number): Promise<number | undefined> {
  const file = await openIfThere(content.disk, `${content.directory}/${segmentFileName(segment)}`, 'read');
  if (file === undefined) return undefined;
  try {
    return await file.size();
  } finally {
    await file.close();
  }
}

async function firstNamed(view: View, segments: ReadonlySet<number>): Promise<number | undefined> {
  for await (const pieces of namedPieces(view)) {
    for (const { segment } of await placesNow(view, pieces)) if (segments.has(segment)) return segment;
  }
  return undefined;
}
