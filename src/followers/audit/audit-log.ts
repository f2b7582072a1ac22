// The audit log of one process: a bounded queue off the way of requests, written in groups, that never drops in silence.
import type { CounterFamily, Metrics } from '../../base/metrics.ts';
import { sealBytesMax } from './chain.ts';
import { type ChainOptions, ChainWriter, ownRecord } from './chain-writer.ts';
import { lineBytesMax } from './files.ts';
import type { AuditRecord, OwnRecord } from './record.ts';
import { formatRecord } from './record-json.ts';
import { chunkOf, type RecordChunk, RecordQueue } from './record-queue.ts';

export interface AuditLogOptions extends ChainOptions {
  readonly chain: string;
  readonly metrics: Metrics;
  /** When the queue is full and its disk fails: refuse requests, or go on and record how many records are missing. */
  readonly onFailure: 'refuse' | 'continue';
  /** A record is on the disk about this long after its request, and the anchor behind it as long after that. */
  readonly flushMs: number;
  /** Pause after a write that failed. */
  readonly retryMs: number;
  readonly queueRecordsMax: number;
  readonly queueBytesMax: number;
  readonly onError: (error: Error) => void;
}

/** So many are written before their time, and about so many at once. */
const groupRecordsMax = 4096;
/** Of a record's JSON: it fits in a line that is read again. */
export const recordBytesMax = lineBytesMax - sealBytesMax;
/** Of a column of a record that would be longer. */
const columnCharactersMax = 1024;
/** For the end of a log on a disk that fails. */
const closeAttemptsMax = 3;

interface Gap {
  records: number;
  readonly fromMs: number;
  toMs: number;
}

export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #writer: ChainWriter;
  readonly #counters: AuditCounters;
  readonly #ended: Promise<void>;
  readonly #queue = new RecordQueue();
  /** Taken from the queue, and not yet known to be on the disk. */
  #taken: readonly RecordChunk[] = [];
  #waiting: (() => void)[] = [];
  /** Records that went into the queue, and that came out of it. */
  #pushed = 0;
  #popped = 0;
  /** Those who wait for a record to be on the disk, in the order of their records. */
  readonly #own: { readonly at: number; readonly settle: (isWritten: boolean) => void }[] = [];
  #gap: Gap | undefined;
  #failing = false;
  #anchoredMs = 0;
  #stopping = false;
  #isOver = false;
  #wake: (() => void) | undefined;
  #wakeAtStop: (() => void) | undefined;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#writer = new ChainWriter(options.chain, options);
    this.#counters = countersOf(options.metrics, {
      queued: () => this.#queue.records,
      failing: () => (this.#failing ? 1 : 0),
    });
    this.#ended = this.#run();
  }

  /**
   * Asked before a request is served. Undefined: go on at once. Else there is no room for its record: it waits, and
   * goes on if the answer is true; false refuses it. Those under way still find room, so the queue's limit is passed by
   * no more records than there are requests at once.
   */
  room(): Promise<boolean> | undefined {
    return this.#isFull ? this.#waitForRoom() : undefined;
  }

  note(record: AuditRecord): void {
    if (this.#failing && this.#isFull && this.#options.onFailure === 'continue') {
      this.#drop();
      return;
    }
    const json = formatRecord(record);
    this.#push(isFitting(json) ? json : formatRecord(shortened(record)));
  }

  /**
   * A record of the log's own, of which there are few. Answers, when it is on the disk, a record of the chain that it
   * came behind; undefined if the log ends before.
   */
  noteOwn(record: OwnRecord): Promise<number | undefined> {
    if (this.#isOver) return Promise.resolve(undefined);
    const after = this.#writer.seq;
    this.#push(ownRecord(record));
    const at = this.#pushed;
    return new Promise((resolve) => {
      this.#own.push({ at, settle: (isWritten) => resolve(isWritten ? after : undefined) });
    });
  }

  /** Writes what waits, ends the chain and anchors it; what a disk that fails does not take is lost, and told. */
  async close(): Promise<void> {
    this.#stopping = true;
    this.#wake?.();
    this.#wakeAtStop?.();
    await this.#ended;
    this.#isOver = true;
    for (const { settle } of this.#own.splice(0)) settle(false);
  }

  get #isFull(): boolean {
    return this.#queue.records >= this.#options.queueRecordsMax || this.#queue.bytes >= this.#options.queueBytesMax;
  }

  #push(json: string): void {
    // A line that is longer would be written, and be none when it is read.
    if (!isFitting(json)) throw new Error('a record of the audit log is longer than a line');
    this.#queue.push(json);
    this.#pushed++;
    const { records } = this.#queue;
    if (records === 1 || records === groupRecordsMax) this.#wake?.();
  }

  async #waitForRoom(): Promise<boolean> {
    this.#counters.waits.add();
    while (this.#isFull) {
      if (this.#failing && this.#options.onFailure === 'continue') return true;
      if (this.#failing || this.#stopping) {
        this.#counters.refused.add();
        return false;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return true;
  }

  #drop(): void {
    const nowMs = this.#options.clock.now();
    this.#gap ??= { records: 0, fromMs: nowMs, toMs: nowMs };
    this.#gap.records++;
    this.#gap.toMs = nowMs;
    this.#counters.dropped.add();
  }

  async #run(): Promise<void> {
    let attempts = 0;
    for (;;) {
      await this.#untilDue();
      try {
        await this.#writer.write(() => this.#take());
        // Sealed in memory of the writer's own: what was taken may be used again.
        this.#queue.giveBack(this.#taken);
        this.#taken = [];
        while ((this.#own[0]?.at ?? Number.POSITIVE_INFINITY) <= this.#popped) this.#own.shift()?.settle(true);
        this.#recovered();
        await this.#anchor();
        if (this.#stopping && this.#queue.records === 0) {
          await this.#writer.close();
          return;
        }
        attempts = 0;
      } catch (error) {
        this.#failed(error as Error);
        attempts++;
        if (this.#stopping && attempts >= closeAttemptsMax) return;
        await this.#pause(this.#options.retryMs);
      }
    }
  }

  /** The first record of a group waits for others, for a while or until there are many. */
  async #untilDue(): Promise<void> {
    while (!this.#stopping && this.#queue.records === 0 && !this.#writer.hasUnwritten && !this.#writer.isAhead) {
      await this.#sleep(undefined);
    }
    if (this.#stopping || this.#queue.records >= groupRecordsMax) return;
    await this.#sleep(this.#options.flushMs);
  }

  /** Until it is woken, or for a time. */
  #sleep(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(done, ms).unref();
      this.#wake = done;
    });
  }

  /** Nobody cuts it short: a disk that fails is not asked for each record. */
  async #pause(ms: number): Promise<void> {
    const controller = new AbortController();
    if (this.#stopping) return;
    this.#wakeAtStop = () => controller.abort();
    await this.#options.clock.sleep(ms, controller.signal);
    this.#wakeAtStop = undefined;
  }

  /** Not with every group of a busy time: each commit makes the caches of all who read the metadata begin again. */
  async #anchor(): Promise<void> {
    const nowMs = this.#options.clock.now();
    if (!this.#writer.isAhead || Math.abs(nowMs - this.#anchoredMs) < this.#options.flushMs) return;
    this.#anchoredMs = nowMs;
    await this.#writer.anchor();
  }

  #take(): readonly RecordChunk[] {
    const before = this.#queue.records;
    const taken = this.#queue.take(groupRecordsMax);
    this.#counters.records.add(before - this.#queue.records);
    this.#popped += before - this.#queue.records;
    this.#taken = taken;
    const gap = this.#gap;
    if (gap === undefined) return taken;
    this.#gap = undefined;
    const [From, To] = [new Date(gap.fromMs).toISOString(), new Date(gap.toMs).toISOString()];
    return [...taken, chunkOf(ownRecord({ Type: 'AuditGap', TimeGenerated: To, Records: gap.records, From, To }))];
  }

  #recovered(): void {
    this.#failing = false;
    this.#wakeWaiting();
  }

  #failed(error: Error): void {
    if (!this.#failing) this.#options.onError(error);
    this.#failing = true;
    this.#counters.failures.add();
    this.#wakeWaiting();
  }

  #wakeWaiting(): void {
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** A character is three bytes at the most; where that might not fit, they are counted. */
const isFitting = (json: string): boolean =>
  json.length * 3 <= recordBytesMax || Buffer.byteLength(json) <= recordBytesMax;

/** Who makes records keeps them short. One that is not is kept all the same, without most of its longest columns. */
function shortened(record: AuditRecord): AuditRecord {
  const columns = Object.entries(record).map(([name, value]: [string, unknown]) => {
    if (typeof value === 'object') return [name, undefined];
    return [name, typeof value === 'string' ? value.slice(0, columnCharactersMax) : value];
  });
  return Object.fromEntries(columns) as AuditRecord;
}

type Counter = ReturnType<CounterFamily<never>['of']>;
interface AuditCounters {
  readonly records: Counter;
  readonly waits: Counter;
  readonly refused: Counter;
  readonly dropped: Counter;
  readonly failures: Counter;
}

function countersOf(metrics: Metrics, read: { queued: () => number; failing: () => number }): AuditCounters {
  const counter = (name: string, help: string) => metrics.counter(`causeway_audit_${name}_total`, { help }).of({});
  metrics.gauge('causeway_audit_queued_records', { help: 'Audit records that wait to be written.', read: read.queued });
  metrics.gauge('causeway_audit_failing', {
    help: '1 while the audit log cannot be written.',
    merge: 'max',
    read: read.failing,
  });
  return {
    records: counter('records', 'Audit records taken to be written.'),
    waits: counter('waits', 'Requests that waited because the audit queue was full.'),
    refused: counter('refused', 'Requests refused because their audit record had no room.'),
    dropped: counter('dropped_records', 'Audit records that were not kept, as a gap record in the log says.'),
    failures: counter('failures', 'Writes of the audit log that failed.'),
  };
}
