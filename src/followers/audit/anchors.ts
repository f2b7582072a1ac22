// Where each chain stands, as rows of the metadata store: what was cut from a file, or removed whole, is missed there.
import type { Engine, View } from '../../metadata/engine.ts';
import { keys } from '../../metadata/keys.ts';
import { decodeRecord, encodeRecord } from '../../namespace/records.ts';
import { type ChainPoint, noHash } from './chain.ts';

const prefix = 'audit/';
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

export async function readAnchors(view: View): Promise<Anchor[]> {
  const anchors: Anchor[] = [];
  let range = keys.settings(prefix);
  for (;;) {
    const items = await view.scan(range, { limit: pageMax });
    for (const { key, value } of items) {
      anchors.push({ chain: keys.settingNameOf(key).slice(prefix.length), ...decodeRecord<AnchorRecord>(value) });
    }
    const last = items.at(-1);
    if (last === undefined || items.length < pageMax) return anchors;
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
