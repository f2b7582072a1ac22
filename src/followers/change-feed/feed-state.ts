// Where the feed of an account stands: the segment that is written, and up to when all of them are complete.
import type { View } from '../../metadata/engine.ts';
import { after, keys } from '../../metadata/keys.ts';
import { decodeRecord, encodeRecord } from '../../namespace/records.ts';
import { segmentMs, segmentOf } from './layout.ts';

export interface FeedState {
  /** The id of the container: another one of the same name begins anew. */
  readonly container: string;
  /** Segments that begin before this are complete. */
  readonly closedMs: number;
  readonly open?: OpenSegment;
}

export interface OpenSegment {
  readonly beginMs: number;
  /** The number of its last file, the file's length, and what its blocks end in (hexadecimal digits). */
  readonly file: number;
  readonly bytes: number;
  readonly sync: string;
}

const prefix = 'change-feed/';
const pageRows = 500;

export function stateKey(account: string): Buffer {
  return keys.setting(`${prefix}${account}`);
}

export async function readState(view: View, account: string): Promise<FeedState | undefined> {
  const found = await view.get(stateKey(account));
  return found && decodeRecord<FeedState>(found);
}

/** Whether the state is what it was when the work was prepared; only who writes the feed changes it. */
export async function isStill(view: View, account: string, state: FeedState): Promise<boolean> {
  const found = await view.get(stateKey(account));
  return found !== undefined && encodeRecord(state).equals(found);
}

/** One that cannot be read is undefined: it is its account's trouble, and no other's. */
export async function* allStates(view: View): AsyncGenerator<{ account: string; state: FeedState | undefined }> {
  let { start, end } = keys.settings(prefix);
  for (;;) {
    const rows = await view.scan({ start, end }, { limit: pageRows });
    for (const { key, value } of rows) {
      yield { account: keys.settingNameOf(key).slice(prefix.length), state: readable(value) };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    start = after(last.key);
  }
}

function readable(value: Uint8Array): FeedState | undefined {
  try {
    return decodeRecord<FeedState>(value);
  } catch {
    return undefined;
  }
}

/**
 * The segment of a change: that of its time, but none before the one that is written, and none that is complete. So all
 * changes of a segment come before all those of the next, whatever the clocks did.
 */
export function segmentFor(state: Pick<FeedState, 'closedMs' | 'open'>, atMs: number): number {
  return segmentOf(Math.max(atMs, state.closedMs, state.open?.beginMs ?? 0));
}

export function endOf({ beginMs }: OpenSegment): number {
  return beginMs + segmentMs;
}
