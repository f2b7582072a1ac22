// What the content log asks of whoever keeps its books (the namespace does, in metadata): numbers, places, ends.
import type { Place } from './extent.ts';

export interface SegmentCatalog {
  /** Gives a segment number that was never given before, durably recorded as open. */
  allocate(): Promise<number>;
  /**
   * Notes that nothing will be appended any more. `tailBytes` is the file's length, `extentBytes` the footprints of all
   * its extents (without what pads them to pages): a later walk that finds less has met damage.
   */
  sealed(segment: number, tailBytes: number, extentBytes: number): Promise<void>;
  /** Where the extent that was first written at `logical` is now; undefined: where it was written. */
  relocated(logical: Place): Promise<Place | undefined>;
}
