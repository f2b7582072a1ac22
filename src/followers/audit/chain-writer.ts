// Writes one chain: seals records, appends them to its files, and moves its anchor behind them.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import type { Engine } from '../../metadata/engine.ts';
import { finishFile, moveAnchor, openAnchor } from './anchors.ts';
import { type ChainPoint, LineSealer, noHash, sealBytesMax } from './chain.ts';
import { type AuditDisk, type AuditFile, filePath } from './files.ts';
import type { Head, OwnRecord } from './record.ts';
import { chunkOf, type RecordChunk } from './record-queue.ts';

export interface ChainOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly disk: AuditDisk;
  /** The directory of all chains. */
  readonly root: string;
  /** Size and age at which the next file is begun. */
  readonly fileBytesMax: number;
  readonly fileAgeMs: number;
  /** Told when a file begins and when the chain ends, to be noted where whoever changes files cannot reach. */
  readonly onHead: (head: Head) => void;
}

/** So many are sealed in a row: then others have their turn, as sealing a large group takes milliseconds. */
const sealedInRow = 200;
/** What a group may keep of memory until the next. */
const linesKeptBytesMax = 8 * 1024 * 1024;
/** The most other chains that an opening names; older ones are named by those. */
const othersMax = 1000;

interface OpenFile {
  readonly number: number;
  readonly handle: AuditFile;
  readonly openedMs: number;
  bytes: number;
}

/** What is sealed and not yet known to be on the disk: it is written again, as it is, until it is there. */
interface Unwritten {
  readonly bytes: Buffer;
  readonly head: ChainPoint;
}

/**
 * `write` may be called again after it failed, and goes on where it stood. Calls must not overlap. The chain is made by
 * its first write, so a process that audits nothing leaves nothing behind.
 */
export class ChainWriter {
  readonly chain: string;
  readonly #options: ChainOptions;
  #others: readonly Head[] | undefined;
  #file: OpenFile | undefined;
  #unwritten: Unwritten | undefined;
  #head: ChainPoint = { seq: 0, hash: noHash };
  #anchoredSeq = 0;
  #lines = Buffer.alloc(0);

  constructor(chain: string, options: ChainOptions) {
    this.chain = chain;
    this.#options = options;
  }

  /** The last record that is on the disk. */
  get seq(): number {
    return this.#head.seq;
  }

  /** Whether records are on the disk that the anchor does not cover. */
  get isAhead(): boolean {
    return this.#head.seq > this.#anchoredSeq;
  }

  get hasUnwritten(): boolean {
    return this.#unwritten !== undefined;
  }

  /** Makes what is left of a write that failed durable, and then what `take` gives. */
  async write(take: () => readonly RecordChunk[]): Promise<void> {
    if (this.#unwritten !== undefined) await this.#writeOut(this.#unwritten);
    const header = await this.#fileToWrite();
    const records = take();
    const chunks = header === undefined ? records : [chunkOf(header), ...records];
    if (chunks.length === 0) return;
    this.#unwritten = await this.#seal(chunks);
    await this.#writeOut(this.#unwritten);
    if (header !== undefined) this.#options.onHead({ chain: this.chain, ...this.#head });
  }

  async #seal(chunks: readonly RecordChunk[]): Promise<Unwritten> {
    let most = 0;
    for (const { ends } of chunks) most += (ends.at(-1) ?? 0) + ends.length * sealBytesMax;
    const lines = this.#lines.length < most ? Buffer.allocUnsafeSlow(most) : this.#lines;
    if (lines.length <= linesKeptBytesMax) this.#lines = lines;
    const sealer = new LineSealer(this.#head);
    let at = 0;
    let sealed = 0;
    for (const { bytes, ends } of chunks) {
      let from = 0;
      for (const end of ends) {
        at = sealer.seal(bytes, from, end, lines, at);
        from = end;
        sealed++;
        if (sealed % sealedInRow === 0) await nextTurn();
      }
    }
    return { bytes: lines.subarray(0, at), head: sealer.head };
  }

  async #writeOut({ bytes, head }: Unwritten): Promise<void> {
    const file = this.#file as OpenFile;
    await file.handle.write(bytes, file.bytes);
    await file.handle.sync();
    file.bytes += bytes.length;
    this.#head = head;
    this.#unwritten = undefined;
  }

  /** Only behind what is durable in the files. */
  async anchor(closed = false): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    const { seq, hash } = this.#head;
    const place = { seq, hash, file: file.number, bytes: file.bytes };
    await moveAnchor(this.#options.engine, this.chain, closed ? { ...place, closed } : place);
    this.#anchoredSeq = seq;
  }

  /** The last record and the last anchor. */
  async close(): Promise<void> {
    if (this.#file === undefined) return;
    await this.write(() => [chunkOf(ownRecord({ Type: 'AuditClosed', TimeGenerated: this.#now() }))]);
    await this.#finish(this.#file);
    await this.anchor(true);
    this.#options.onHead({ chain: this.chain, ...this.#head });
    await this.#file.handle.close();
  }

  /** Before the next is begun: there is no file behind one that is not known to be finished. */
  #finish({ number: file, bytes }: OpenFile): Promise<void> {
    const { engine, clock } = this.#options;
    return finishFile(engine, { chain: this.chain, file, ...this.#head, bytes, lastMs: clock.now() });
  }

  /** The first record of a file that is begun for it. */
  async #fileToWrite(): Promise<string | undefined> {
    const { clock, engine, disk, root, fileBytesMax, fileAgeMs } = this.#options;
    const nowMs = clock.now();
    const before = this.#file;
    if (before !== undefined && before.bytes < fileBytesMax && nowMs - before.openedMs < fileAgeMs) return undefined;
    this.#others ??= headsOf(await openAnchor(engine, this.chain, nowMs));
    if (before !== undefined) await this.#finish(before);
    const number = (before?.number ?? 0) + 1;
    const handle = await disk.create(filePath(root, this.chain, number));
    await before?.handle.close();
    this.#file = { number, handle, openedMs: nowMs, bytes: 0 };
    return ownRecord({
      Type: 'AuditFile',
      TimeGenerated: this.#now(),
      Chain: this.chain,
      File: number,
      Previous: this.#head.hash,
      ...(number === 1 && { Others: this.#others }),
    });
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }
}

export function ownRecord(record: OwnRecord): string {
  return JSON.stringify(record);
}

/** Those that have records which are kept. */
function headsOf(anchors: Awaited<ReturnType<typeof openAnchor>>): Head[] {
  return anchors
    .filter(({ seq, from }) => seq > 0 && from.seq <= seq)
    .sort((a, b) => a.openedMs - b.openedMs)
    .slice(-othersMax)
    .map(({ chain, seq, hash }) => ({ chain, seq, hash }));
}
