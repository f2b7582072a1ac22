// What a batch of events adds to an account's feed: blocks for the file that is written, and files that begin.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Random } from '../../base/random.ts';
import { AvroFileWriter } from '../../codec/avro-file.ts';
import type { JournalRecord } from '../../namespace/journal.ts';
import { eventOf } from './events.ts';
import { type FeedState, type OpenSegment, segmentFor } from './feed-state.ts';
import { segmentOf } from './layout.ts';
import { type EventType, eventSchema } from './schema.ts';

export interface FeedEvent {
  readonly id: string;
  readonly record: JournalRecord;
  readonly type: EventType;
}

/** Bytes for the end of a file, which must be `at` bytes long; with 0 it begins. */
export interface Append {
  readonly beginMs: number;
  readonly file: number;
  readonly at: number;
  readonly bytes: Buffer;
}

/** So many events are a block of a file, and are encoded before requests get their turn. */
const blockEvents = 200;
const syncBytes = 16;

export class AppendPlan {
  readonly appends: Append[] = [];
  readonly #fileBytesMax: number;
  readonly #random: Random;
  #state: FeedState;
  #writer: AvroFileWriter | undefined;
  #pending: Buffer[] = [];
  #at: number;

  /** `isAppendable`: whether the last file of the state can be added to; otherwise the next one begins. */
  constructor(state: FeedState, isAppendable: boolean, fileBytesMax: number, random: Random) {
    this.#state = state;
    this.#fileBytesMax = fileBytesMax;
    this.#random = random;
    const { open } = state;
    this.#at = open?.bytes ?? 0;
    if (open !== undefined && isAppendable) this.#writer = writerOf(open);
  }

  /** The state behind all that was added. Which segments are complete is not of the plan. */
  get state(): FeedState {
    return this.#state;
  }

  /** `createdMs`: when the containers were made that have the names now. */
  async add(events: readonly FeedEvent[], createdMs: ReadonlyMap<string, number | undefined>): Promise<void> {
    for (let i = 0; i < events.length; ) {
      const beginMs = segmentFor(this.#state, events[i]?.record.atMs as number);
      const rest = events.slice(i, i + blockEvents);
      // Those of an earlier time stay with them.
      const later = rest.findIndex(({ record }) => segmentOf(record.atMs) > beginMs);
      const own = later === -1 ? rest : rest.slice(0, later);
      const block = own.map(({ id, record, type }) =>
        eventOf(record, type, {
          id,
          timeMs: Math.max(record.atMs, beginMs),
          containerCreatedMs: createdMs.get(record.container ?? ''),
        }),
      );
      this.#addBlock(beginMs, block);
      i += own.length;
      await nextTurn();
    }
    this.#flush();
  }

  #addBlock(beginMs: number, values: readonly object[]): void {
    const { open } = this.#state;
    const isSame = open?.beginMs === beginMs && this.#writer !== undefined && open.bytes < this.#fileBytesMax;
    if (!isSame) this.#begin(beginMs);
    const writer = this.#writer as AvroFileWriter;
    const bytes = writer.block(values);
    this.#pending.push(bytes);
    const grown = this.#state.open as OpenSegment;
    this.#state = { ...this.#state, open: { ...grown, bytes: grown.bytes + bytes.length } };
  }

  #begin(beginMs: number): void {
    this.#flush();
    const { open } = this.#state;
    const file = open?.beginMs === beginMs ? open.file + 1 : 0;
    const begun = { beginMs, file, sync: this.#random.bytes(syncBytes).toString('hex') };
    this.#writer = writerOf(begun);
    const header = this.#writer.header();
    this.#pending = [header];
    this.#at = 0;
    this.#state = { ...this.#state, open: { ...begun, bytes: header.length } };
  }

  #flush(): void {
    const { open } = this.#state;
    if (open === undefined || this.#pending.length === 0) return;
    const bytes = Buffer.concat(this.#pending);
    this.appends.push({ beginMs: open.beginMs, file: open.file, at: this.#at, bytes });
    this.#at += bytes.length;
    this.#pending = [];
  }
}

function writerOf({ sync }: Pick<OpenSegment, 'sync'>): AvroFileWriter {
  return new AvroFileWriter(eventSchema, { sync: Buffer.from(sync, 'hex') });
}
