// Uploads: blocks staged under a name before they are committed, and the block list that commits them.
import type { LogPiece } from '../content/extent.ts';
import type { Content } from '../content/writer.ts';
import type { Txn, View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import { countUsage, readContainer } from './containers.ts';
import {
  allPieces,
  committedBlocks,
  dropPieces,
  forgetContent,
  isOnlyOwner,
  nameContent,
  settleOwners,
  shareExtents,
} from './contents.ts';
import {
  containerNotFound,
  type EntryAccess,
  type EntryName,
  type EntryOutcome,
  type EntryTime,
  type EntryWrite,
  entryNotFound,
  fitsForcedScope,
  leaseOfName,
  openForWrite,
  readEntry,
  replaceContent,
} from './entries.ts';
import type { Failure } from './failure.ts';
import { type Body, discard, ingest } from './ingest.ts';
import { checkLeaseForRead, checkLeaseForWrite } from './leases.ts';
import {
  type BlockItem,
  type BlockRecord,
  type ContainerRecord,
  decodeRecord,
  type Entry,
  type EntryEncryption,
  type EntryRecord,
  encodeRecord,
  packPieces,
  type UploadRecord,
  unpackPieces,
} from './records.ts';
import { encryptionMismatch, isSameEncryption } from './scopes.ts';
import { keepsReplaced } from './settings.ts';
import { dropUpload, readUpload, type StagedBlock, stagedBlocks } from './staged.ts';
import { checkPermit, checkState, type Permit } from './states.ts';
import { change, type Store } from './store.ts';

/** A block list has at most this many blocks, and so many may be staged (Azure: "Put Block", "Put Block List"). */
export const blocksMax = 50_000;
const blocksStagedMax = 100_000n;
/** How far `UploadRecord.stagedMs` may lag. */
export const stagedResolutionMs = 3_600_000;

export interface StageBlock extends EntryName {
  readonly leaseId?: string;
  readonly permit?: Permit | undefined;
  /** The block's id as bytes; in answers it is given back as base64. */
  readonly blockId: Buffer;
  /** How the block is sealed, as all others of its blob have to be. */
  readonly encryption?: EntryEncryption;
}

export type StageOutcome = { readonly kind: 'ok'; readonly md5: Buffer | undefined; readonly crc64: bigint } | Failure;

export async function stageBlock(store: Store, command: StageBlock & { readonly body: Body }): Promise<StageOutcome> {
  const ingested = await ingest(store, command.body, true);
  if (ingested.kind !== 'ok') return ingested;
  const { content } = ingested;
  const outcome = await stagePieces(store, command, content.pieces, content.length);
  if (outcome.kind === 'ok') return { kind: 'ok', md5: content.md5, crc64: content.crc64 };
  await discard(store, content.pieces);
  return outcome;
}

/** An entry that owns the pieces to be staged, and must still be as it was looked at. */
export interface SharedFrom extends EntryName {
  readonly conditions: { readonly ifMatch: string };
  readonly at?: EntryTime;
  readonly permit?: Permit | undefined;
}

/** Stages pieces that exist; with `shared` they belong to that entry too. */
export async function stagePieces(
  store: Store,
  command: StageBlock,
  pieces: readonly LogPiece[],
  length: number,
  shared?: SharedFrom,
): Promise<{ readonly kind: 'ok' } | Failure> {
  return await change(store, (txn) => stage(store, txn, command, pieces, length, shared));
}

async function stage(
  store: Store,
  txn: Txn,
  command: StageBlock,
  pieces: readonly LogPiece[],
  length: number,
  shared?: SharedFrom,
): Promise<{ readonly kind: 'ok' } | Failure> {
  const container = await readContainer(txn, command);
  if (container === undefined) return containerNotFound;
  if (shared !== undefined) {
    const from = await readContainer(txn, shared);
    const source = from && (await readEntry(txn, from, shared.name, shared.at));
    // Its tags may have changed without its ETag.
    const isSame = source?.record.etag === shared.conditions.ifMatch;
    if (!isSame || checkPermit(shared.permit, source.record).kind !== 'ok') return { kind: 'contended' };
  }
  const containerId = Buffer.from(container.id, 'hex');
  const staging = await openForStage(store, txn, command, container);
  if (staging.kind !== 'ok') return staging;
  let { upload } = staging;
  const nowMs = store.clock.now();
  if (upload !== undefined && upload.blockIdBytes !== command.blockId.length) return { kind: 'block-id-length' };
  if (upload !== undefined && !isSameEncryption(upload.encryption, command.encryption)) {
    return encryptionMismatch(upload.encryption, command.encryption);
  }
  if (upload === undefined || nowMs - upload.stagedMs > stagedResolutionMs) {
    const id = upload?.id ?? store.ids.nextHex();
    const { blockId, encryption } = command;
    const createdMs = upload?.createdMs ?? nowMs;
    const named = { id, stagedMs: nowMs, createdMs, blockIdBytes: blockId.length };
    const counted = upload === undefined && { isCounted: true as const };
    upload = { ...upload, ...named, ...counted, ...(encryption && { encryption }) };
    txn.put(keys.upload(containerId, command.name), encodeRecord(upload));
  }
  const uploadId = Buffer.from(upload.id, 'hex');
  const blockKey = keys.block(uploadId, command.blockId);
  const before = await txn.get(blockKey);
  const replaced = before && decodeRecord<BlockRecord>(before);
  if (replaced === undefined) txn.add(keys.uploadCount(uploadId), 1n, blocksStagedMax);
  else dropPieces(store, txn, unpackPieces(replaced.pieces));
  if (upload.isCounted === true) {
    const moreBytes = length - (replaced?.length ?? 0);
    txn.add(keys.uploadBytes(uploadId), BigInt(moreBytes));
    countUsage(txn, container, moreBytes);
  }
  if (shared !== undefined) shareExtents(txn, pieces);
  txn.put(blockKey, encodeRecord({ length, pieces: packPieces(pieces) } satisfies BlockRecord));
  return { kind: 'ok' };
}

/** Whether blocks may be staged under the name: told by what stands there and by what is staged already. */
async function openForStage(
  store: Store,
  view: View,
  command: StageBlock,
  container: ContainerRecord,
): Promise<{ readonly kind: 'ok'; readonly upload: UploadRecord | undefined } | Failure> {
  const existing = await readEntry(view, container, command.name);
  const permitted = checkPermit(command.permit, existing?.record);
  if (permitted.kind !== 'ok') return permitted;
  const state = existing && checkState('stage', existing.record);
  if (state !== undefined && state.kind !== 'ok') return state;
  const upload = await readUpload(view, Buffer.from(container.id, 'hex'), command.name);
  const held = leaseOfName(existing?.record, upload);
  const lease = checkLeaseForWrite(held, command.leaseId, store.clock.now(), 'entry');
  return lease.kind === 'ok' ? { kind: 'ok', upload } : lease;
}

/** The same before a block is brought from elsewhere, so that what could not be staged is not brought. */
export function mayStage(store: Store, command: StageBlock): Promise<{ readonly kind: 'ok' } | Failure> {
  return store.engine.snapshot(async (view) => {
    const container = await readContainer(view, command);
    return container === undefined ? containerNotFound : await openForStage(store, view, command, container);
  });
}

export interface ListedBlock {
  readonly id: string;
  readonly from: 'committed' | 'uncommitted' | 'latest';
}

/** Put Block List: the content becomes these blocks, in this order; what else was staged is dropped. */
export function commitBlocks(
  store: Store,
  command: EntryWrite & { readonly blocks: readonly ListedBlock[] },
): Promise<EntryOutcome> {
  return change(store, async (txn) => {
    if (command.blocks.length > blocksMax) return { kind: 'block-count-exceeded' };
    const target = await openForWrite(store, txn, command, 'block', 'commit');
    if (target.kind !== 'ok') return target;
    const { upload } = target;
    const staged = await stagedBlocks(txn, upload);
    const committed = await committedPieces(txn, target.existing);
    const chosen = chooseBlocks(command.blocks, staged, committed.blocks);
    if (chosen === undefined) return { kind: 'block-list-invalid' };
    const old = target.existing?.record;
    const sealed = encryptionOf(chosen, upload, old, command.attributes.encryption);
    if ('kind' in sealed) return sealed;
    // Blocks from before the container forced its scope stay as they are, however often this is tried.
    if (!fitsForcedScope(target.container, sealed.encryption)) return { kind: 'encryption-mismatch' };
    shareExtents(txn, chosen.again);
    dropPieces(store, txn, chosen.unused);
    const handsOver = !keepsReplaced(target.settings, target.existing?.record);
    const passesOn = handsOver && old !== undefined && chosen.kept.length > 0 && (await isOnlyOwner(txn, old));
    if (passesOn) passOn(store, txn, old, committed.pieces, chosen.kept);
    else shareExtents(txn, chosen.kept);
    await dropUpload(txn, Buffer.from(target.container.id, 'hex'), command.name, upload);
    const content: Content = { length: chosen.length, inline: undefined, pieces: chosen.pieces };
    const named = nameContent(store, txn, content, chosen.items);
    const { encryption: _, ...attributes } = command.attributes;
    const sealedCommand = { ...command, attributes: { ...attributes, ...sealed } };
    return replaceContent(store, txn, sealedCommand, target, named, passesOn);
  });
}

/**
 * How the listed blocks are sealed: as their blob will say. A customer's own key is one for all of them, and has to be
 * shown; of scopes, the staged blocks' goes before that of committed ones. `given` is what the request names.
 */
function encryptionOf(
  chosen: Chosen,
  upload: UploadRecord | undefined,
  old: EntryRecord | undefined,
  given: EntryEncryption | undefined,
): { readonly encryption?: EntryEncryption } | Failure {
  const staged = chosen.staged ? upload?.encryption : undefined;
  const committed = chosen.kept.length > 0 ? old?.encryption : undefined;
  if (chosen.staged && chosen.kept.length > 0 && staged?.keySha256 !== committed?.keySha256) {
    return encryptionMismatch(committed, staged);
  }
  const encryption = chosen.items.length === 0 ? given : (staged ?? committed);
  const differs = given === undefined ? encryption?.keySha256 !== undefined : !isSameEncryption(encryption, given);
  if (differs) return encryptionMismatch(encryption, given);
  return encryption === undefined ? {} : { encryption };
}

export interface BlockLists {
  readonly kind: 'ok';
  readonly entry: Entry | undefined;
  readonly committed: readonly BlockItem[];
  readonly uncommitted: readonly { readonly id: string; readonly length: number }[];
}

export function getBlockLists(store: Store, access: EntryAccess): Promise<BlockLists | Failure> {
  return store.engine.snapshot(async (view) => {
    const container = await readContainer(view, access);
    if (container === undefined) return containerNotFound;
    const entry = await readEntry(view, container, access.name, access.at);
    const permitted = checkPermit(access.permit, entry?.record);
    if (permitted.kind !== 'ok') return permitted;
    const state = entry && checkState('list-blocks', entry.record);
    if (state !== undefined && state.kind !== 'ok') return state;
    const upload = await readUpload(view, Buffer.from(container.id, 'hex'), access.name);
    if (entry === undefined && upload === undefined) return entryNotFound;
    const lease = checkLeaseForRead(leaseOfName(entry?.record, upload), access.leaseId, store.clock.now(), 'entry');
    if (lease.kind !== 'ok') return lease;
    const committed = entry === undefined ? [] : ((await committedBlocks(view, entry.record)) ?? []);
    const uncommitted = [...(await stagedBlocks(view, upload))].map(([id, block]) => ({ id, length: block.length }));
    return { kind: 'ok', entry, committed, uncommitted };
  });
}

/**
 * The old content's pieces go over to the new one: what both have keeps its owner, so that a list which mostly repeats
 * the one before, the usual one, changes no count. Only the difference is shared or dropped.
 */
function passOn(
  store: Store,
  txn: Txn,
  old: EntryRecord,
  before: readonly LogPiece[],
  kept: readonly LogPiece[],
): void {
  settleOwners(store, txn, before, kept);
  if (old.contentId !== undefined) forgetContent(txn, old.contentId);
}

/** Each committed block with its pieces: the content's pieces, cut where the block list says. */
async function committedPieces(
  view: View,
  entry: Entry | undefined,
): Promise<{ readonly blocks: Map<string, StagedBlock>; readonly pieces: readonly LogPiece[] }> {
  const blocks = new Map<string, StagedBlock>();
  const items = entry && (await committedBlocks(view, entry.record));
  if (entry === undefined || items === undefined) return { blocks, pieces: [] };
  const pieces = await allPieces(view, entry.record);
  let next = 0;
  for (const [id, length, count] of items) {
    blocks.set(id, { length, pieces: pieces.slice(next, next + count) });
    next += count;
  }
  return { blocks, pieces };
}

interface Chosen {
  readonly items: BlockItem[];
  readonly pieces: LogPiece[];
  readonly length: number;
  /** Whether any of them was staged. */
  readonly staged: boolean;
  /** Pieces of staged blocks that are listed again: one more owner for each time. */
  readonly again: LogPiece[];
  /** Pieces of committed blocks that stay, as often as they are listed. */
  readonly kept: LogPiece[];
  /** Pieces of staged blocks that were not listed. */
  readonly unused: LogPiece[];
}

function chooseBlocks(
  listed: readonly ListedBlock[],
  staged: ReadonlyMap<string, StagedBlock>,
  committed: ReadonlyMap<string, StagedBlock>,
): Chosen | undefined {
  const chosen: Chosen & { length: number; staged: boolean } = {
    items: [],
    pieces: [],
    length: 0,
    staged: false,
    again: [],
    kept: [],
    unused: [],
  };
  const used = new Set<string>();
  for (const { id, from } of listed) {
    const fresh = from === 'committed' ? undefined : staged.get(id);
    const block = fresh ?? (from === 'uncommitted' ? undefined : committed.get(id));
    if (block === undefined) return undefined;
    if (fresh !== undefined) chosen.staged = true;
    if (fresh === undefined) for (const piece of block.pieces) chosen.kept.push(piece);
    else if (used.has(id)) for (const piece of block.pieces) chosen.again.push(piece);
    else used.add(id);
    chosen.items.push([id, block.length, block.pieces.length]);
    for (const piece of block.pieces) chosen.pieces.push(piece);
    chosen.length += block.length;
  }
  for (const [id, block] of staged) if (!used.has(id)) chosen.unused.push(...block.pieces);
  return chosen;
}
