// Where each chain stands, and what each file was when it was finished, as rows of the metadata store: what was cut from a file, or removed whole, is missed there.
import type { Engine, View } from '../../metadata/engine.ts';
import { keys } from '../../metadata/keys.ts';
import { decodeRecord, encodeRecord } from '../../namespace/records.ts';
import { type ChainPoint, noHash } from './chain.ts';

const prefix = 'audit/';
const filesPrefix = 'audit-file/';
const pageMax = 1000;

export interface Anchor extends ChainPoint {
  readonly chain: string;
  readonly openedMs: number;
  /** The file that holds record `seq`, and where it ends there. */
  readonly file: number;
  readonly bytes: number;
  /** The first record that is kept, the hash before it, and its file: what is older was deleted for age or room. */
  readonly from: ChainPoint & { readonly file: number };
  /** Nothing follows `seq`: the process that wrote the chain has ended. */
  readonly closed?: true;
}

type AnchorRecord = Omit<Anchor, 'chain'>;

/** A file that nothing is added to any more, as who wrote it knows it: the directory may say what it likes. */
export interface FinishedFile extends ChainPoint {
  readonly chain: string;
  readonly file: number;
  readonly bytes: number;
  /** When its last record, which is `seq`, was written. */
  readonly lastMs: number;
  /** Deleted for age or room, as a record of the chain `by` says that came behind its record `after`. */
  readonly trimmed?: { readonly by: string; readonly after: number };
}

export async function readAnchors(view: View): Promise<Anchor[]> {
  const anchors: Anchor[] = [];
  for await (const { name, value } of rowsOf(view, prefix)) {
    anchors.push({ chain: name, ...decodeRecord<AnchorRecord>(value) });
  }
  return anchors;
}

export async function readFinished(view: View): Promise<FinishedFile[]> {
  const files: FinishedFile[] = [];
  for await (const { value } of rowsOf(view, filesPrefix)) files.push(decodeRecord<FinishedFile>(value));
  return files;
}

const finishedKey = (chain: string, file: number): Buffer =>
  keys.setting(`${filesPrefix}${chain}/${`${file}`.padStart(8, '0')}`);

/** What is known of a file already stands. */
export function finishFile(engine: Engine, finished: FinishedFile): Promise<void> {
  const key = finishedKey(finished.chain, finished.file);
  return engine.transact(async (txn) => {
    if ((await txn.get(key)) === undefined) txn.put(key, encodeRecord(finished));
  });
}

/** The chain begins behind the file from now on; false where somebody else trimmed it. */
export function trimFile(
  engine: Engine,
  finished: FinishedFile,
  trimmed: NonNullable<FinishedFile['trimmed']>,
): Promise<boolean> {
  const { chain, file, seq, hash } = finished;
  return engine.transact(async (txn) => {
    const key = keys.setting(prefix + chain);
    const found = await txn.get(key);
    const anchor = found && decodeRecord<AnchorRecord>(found);
    if (anchor?.from.file !== file) return false;
    const from = { seq: seq + 1, hash, file: file + 1 };
    txn.put(key, encodeRecord({ ...anchor, from }));
    txn.put(finishedKey(chain, file), encodeRecord({ ...finished, trimmed }));
    return true;
  });
}

/** Whether the word of a file that was trimmed must still be there. */
export function isWordKept(
  anchors: ReadonlyMap<string, Anchor>,
  { by, after }: NonNullable<FinishedFile['trimmed']>,
): boolean {
  const anchor = anchors.get(by);
  return anchor === undefined || anchor.from.seq <= after + 1;
}

export function forgetFile(engine: Engine, { chain, file }: FinishedFile): Promise<void> {
  return engine.transact(async (txn) => txn.delete(finishedKey(chain, file)));
}

async function* rowsOf(
  view: View,
  start: string,
): AsyncGenerator<{ readonly name: string; readonly value: Uint8Array }> {
  let range = keys.settings(start);
  for (;;) {
    const items = await view.scan(range, { limit: pageMax });
    for (const { key, value } of items) yield { name: keys.settingNameOf(key).slice(start.length), value };
    const last = items.at(-1);
    if (last === undefined || items.length < pageMax) return;
    range = { start: Buffer.concat([last.key, Buffer.of(0)]), end: range.end };
  }
}

/** Begins a chain: its row is there before its first file, or that would look foreign. Answers the others. */
export function openAnchor(engine: Engine, chain: string, openedMs: number): Promise<Anchor[]> {
  const from = { seq: 1, hash: noHash, file: 1 };
  const first: AnchorRecord = { openedMs, seq: 0, hash: noHash, file: 1, bytes: 0, from };
  return engine.transact(async (txn) => {
    const others = await readAnchors(txn);
    txn.put(keys.setting(prefix + chain), encodeRecord(first));
    return others.filter((other) => other.chain !== chain);
  });
}

/** Changes some fields of a row; several tasks own some each. */
export function moveAnchor(engine: Engine, chain: string, changed: Partial<AnchorRecord>): Promise<void> {
  const key = keys.setting(prefix + chain);
  return engine.transact(async (txn) => {
    const found = await txn.get(key);
    if (found === undefined) throw new Error(`the audit chain ${chain} has no anchor`);
    txn.put(key, encodeRecord({ ...decodeRecord<AnchorRecord>(found), ...changed }));
  });
}
