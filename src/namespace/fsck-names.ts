// The first half of fsck: every row that is a name or belongs to one, and what extents they all list.
import type { LogPiece } from '../content/extent.ts';
import { decodeCounter, type Item, type View } from '../metadata/engine.ts';
import { keys } from '../metadata/keys.ts';
import type { Findings } from './fsck-findings.ts';
import { decodeRegion, isSound } from './page-regions.ts';
import { findPlace } from './paths.ts';
import {
  type BlockItem,
  type BlockRecord,
  type ContainerRecord,
  type DirectoryRecord,
  decodeEntry,
  decodeRecord,
  type Entry,
  type EntryRecord,
  type GarbageRecord,
  packPieces,
  type UploadRecord,
  unpackPieces,
} from './records.ts';
import { rowsOf } from './references.ts';

interface Root {
  readonly isEmptying: boolean;
  bytes: bigint;
  /** Of current entries. */
  tags: number;
}

interface LongContent {
  length: number;
  readonly isNeeded: boolean;
  owners: number;
  /** Of a page blob: where it has no pages, it has no bytes either. */
  readonly isPages: boolean;
  hasMark: boolean;
}

interface Names {
  readonly roots: Map<string, Root>;
  /** The parent of each directory. */
  readonly parents: Map<string, string>;
  readonly contents: Map<string, LongContent>;
  readonly garbageUploads: Set<string>;
}

export async function checkNames(view: View, findings: Findings): Promise<void> {
  const names: Names = { roots: new Map(), parents: new Map(), contents: new Map(), garbageUploads: new Set() };
  await readRoots(view, findings, names);
  await readDirectories(view, findings, names);
  await readEntries(view, findings, names);
  await readGarbage(view, findings, names);
  await readContents(view, findings, names);
  await readUploads(view, findings, names);
  await checkUsage(view, findings, names);
  await checkTags(view, findings, names);
}

/** A record that cannot be read is damage, and the walk goes on behind it. */
function decode<T>(row: Item, findings: Findings, what: string, decoder: (value: Uint8Array) => T): T | undefined {
  try {
    return decoder(row.value);
  } catch (error) {
    findings.damaged(`${what} cannot be read: ${(error as Error).message}`);
    return undefined;
  }
}

async function readRoots(view: View, findings: Findings, { roots }: Names): Promise<void> {
  for await (const row of rowsOf(view, keys.allContainers())) {
    const record = decode(row, findings, 'a container', decodeRecord<ContainerRecord>);
    if (record === undefined) continue;
    if (roots.has(record.id)) findings.damaged(`two containers have the id ${record.id}`);
    roots.set(record.id, { isEmptying: false, bytes: 0n, tags: 0 });
  }
  for await (const row of rowsOf(view, keys.allDeletedContainers())) {
    const record = decode(row, findings, 'a deleted container', decodeRecord<ContainerRecord>);
    if (record === undefined) continue;
    if (roots.has(record.id)) findings.damaged(`two containers have the id ${record.id}`);
    roots.set(record.id, { isEmptying: false, bytes: 0n, tags: 0 });
  }
  for await (const { key } of rowsOf(view, keys.allEmptying())) {
    const id = keys.idOf(key).toString('hex');
    if (roots.has(id)) findings.damaged(`the container ${id} stands and is being emptied`);
    roots.set(id, { isEmptying: true, bytes: 0n, tags: 0 });
  }
}

async function readDirectories(view: View, findings: Findings, names: Names): Promise<void> {
  const { parents } = names;
  for await (const row of rowsOf(view, keys.entries())) {
    if (!keys.isDirectory(row.key)) continue;
    const record = decode(row, findings, 'a directory', decodeRecord<DirectoryRecord>);
    if (record === undefined) continue;
    if (parents.has(record.id)) findings.damaged(`the directory ${record.id} stands in two places`);
    parents.set(record.id, keys.parentOf(row.key).toString('hex'));
  }
  for (const id of parents.keys()) {
    if (rootOf(id, names) === undefined) findings.damaged(`the directory ${id} is reached from no container`);
  }
}

function rootOf(id: string, { roots, parents }: Names): Root | undefined {
  let at: string | undefined = id;
  for (let depth = 0; at !== undefined && depth <= parents.size; depth++) {
    const root = roots.get(at);
    if (root !== undefined) return root;
    at = parents.get(at);
  }
  return undefined;
}

async function readEntries(view: View, findings: Findings, names: Names): Promise<void> {
  for await (const row of rowsOf(view, keys.entries())) {
    if (!keys.isDirectory(row.key)) readEntryRow(row, keys.entryNameOf(row.key), findings, names);
  }
  for await (const row of rowsOf(view, keys.allPast())) {
    readEntryRow(row, keys.pastNameOf(row.key), findings, names);
  }
}

function readEntryRow(row: Item, name: string, findings: Findings, names: Names): void {
  const entry = decode(row, findings, `the entry "${name}"`, decodeEntry);
  if (entry === undefined) return;
  const { record } = entry;
  findings.entries++;
  findings.progress(() => `names: ${findings.entries} entries`);
  findings.bytes += record.length;
  const root = rootOf(keys.parentOf(row.key).toString('hex'), names);
  if (root === undefined) findings.damaged(`the entry "${name}" is reached from no container`);
  else {
    root.bytes += BigInt(record.length);
    if (record.past === undefined) root.tags += Object.keys(record.tags ?? {}).length;
  }
  checkEntry(entry, name, findings);
  const isPages = record.type === 'page';
  if (isPages && record.contentId === undefined) findings.damaged(`the page blob "${name}" has no content`);
  if (record.contentId !== undefined) ownContent(names, record.contentId, record.length, true, isPages);
  list(findings, unpackPieces(record.pieces ?? []), true);
}

function checkEntry({ record, inline }: Entry, name: string, findings: Findings): void {
  const pieces = unpackPieces(record.pieces ?? []);
  if (inline !== undefined && inline.length !== record.length) {
    findings.damaged(`the entry "${name}" has ${inline.length} bytes of its ${record.length}`);
  }
  if (record.pieces === undefined) return;
  const sum = pieces.reduce((bytes, piece) => bytes + piece.length, 0);
  if (sum !== record.length) findings.damaged(`the entry "${name}" has pieces of ${sum} bytes for ${record.length}`);
  if (record.blocks !== undefined) checkBlocks(record.blocks, pieces.length, record.length, `"${name}"`, findings);
}

function checkBlocks(
  blocks: readonly BlockItem[],
  pieces: number,
  length: number,
  owner: string,
  findings: Findings,
): void {
  const bytes = blocks.reduce((sum, [, blockLength]) => sum + blockLength, 0);
  const count = blocks.reduce((sum, [, , blockPieces]) => sum + blockPieces, 0);
  if (bytes !== length || count !== pieces) findings.damaged(`the blocks of ${owner} do not make up its pieces`);
}

function ownContent({ contents }: Names, id: string, length: number, isNeeded: boolean, isPages: boolean): void {
  const content = contents.get(id);
  if (content === undefined) contents.set(id, { length, isNeeded, owners: 1, isPages, hasMark: false });
  else {
    content.owners++;
    // The owners of pages may have lengths of their own: the longest is the one that bounds them.
    if (content.isPages) content.length = Math.max(content.length, length);
  }
}

async function readGarbage(view: View, findings: Findings, names: Names): Promise<void> {
  for await (const row of rowsOf(view, keys.allGarbage())) {
    const record = decode(row, findings, 'garbage', decodeRecord<GarbageRecord>);
    if (record?.contentId !== undefined) ownContent(names, record.contentId, 0, false, false);
    if (record?.uploadId !== undefined) names.garbageUploads.add(record.uploadId);
    list(findings, unpackPieces(record?.pieces ?? []), false);
  }
}

async function readContents(view: View, findings: Findings, { contents }: Names): Promise<void> {
  const lengths = new Map<string, { bytes: number; pieces: number }>();
  for await (const row of rowsOf(view, keys.allPieces(), 16)) {
    const id = keys.idOf(row.key).toString('hex');
    const run = decode(row, findings, `a run of the content ${id}`, decodeRecord<{ pieces: number[] }>);
    if (run === undefined) continue;
    const content = contents.get(id);
    const pieces = unpackPieces(run.pieces);
    list(findings, pieces, content?.isNeeded === true);
    const seen = lengths.get(id) ?? { bytes: 0, pieces: 0 };
    lengths.set(id, seen);
    if (content !== undefined && pieces.length === 0) content.hasMark = true;
    if (content === undefined) findings.damaged(`the content ${id} has no owner`);
    else if (content.isNeeded && Buffer.from(row.key).readUIntBE(row.key.length - 6, 6) !== seen.bytes) {
      findings.damaged(`the content ${id} has no bytes from ${seen.bytes} on`);
    }
    for (const piece of pieces) seen.bytes += piece.length;
    seen.pieces += pieces.length;
  }
  for (const [id, { length, isNeeded, isPages, hasMark }] of contents) {
    const bytes = lengths.get(id)?.bytes ?? 0;
    const whole = isPages ? 0 : length;
    if (isNeeded && bytes !== whole) findings.damaged(`the content ${id} has ${bytes} bytes of its ${whole}`);
    if (isNeeded && isPages && !hasMark) findings.damaged(`the pages of the content ${id} have no mark`);
  }
  await readPages(view, findings, contents);
  for await (const row of rowsOf(view, keys.allContentBlocks(), 16)) {
    const id = keys.idOf(row.key).toString('hex');
    decode(row, findings, `a run of blocks of the content ${id}`, decodeRecord<{ blocks: BlockItem[] }>);
    if (!contents.has(id)) findings.damaged(`the blocks of the content ${id} have no owner`);
  }
  const counted = new Map<string, bigint>();
  for await (const { key, value } of rowsOf(view, keys.allContentOwners())) {
    counted.set(keys.idOf(key).toString('hex'), decodeCounter(value));
  }
  for (const id of new Set([...contents.keys(), ...counted.keys()])) {
    const owners = contents.get(id)?.owners ?? 0;
    const further = counted.get(id) ?? 0n;
    if (BigInt(owners) !== further + 1n) {
      findings.damaged(`the content ${id} has ${owners} owners, and ${further + 1n} are counted`);
    }
  }
}

async function readPages(view: View, findings: Findings, contents: ReadonlyMap<string, LongContent>): Promise<void> {
  for await (const row of rowsOf(view, keys.allPages(), 16)) {
    const id = keys.idOf(row.key).toString('hex');
    const number = keys.regionOf(row.key);
    const region = decode(row, findings, `pages of the content ${id}`, (value) => decodeRegion(number, value));
    if (region === undefined) continue;
    const content = contents.get(id);
    const pieces = region.runs.map(({ piece }) => piece);
    list(findings, pieces, content?.isNeeded === true);
    const last = region.runs.at(-1);
    if (content === undefined) findings.damaged(`the pages of the content ${id} have no owner`);
    else if (content.isNeeded && !content.isPages)
      findings.damaged(`the content ${id} has pages, and is no page blob's`);
    else if (content.isNeeded && last !== undefined && last.at + last.piece.length > content.length) {
      findings.damaged(`the content ${id} has pages behind its end`);
    }
    if (!isSound(region)) findings.damaged(`the pages of the content ${id} lie over each other`);
  }
}

const noBlocks = { count: 0n, bytes: 0n };

async function readUploads(view: View, findings: Findings, { roots, garbageUploads }: Names): Promise<void> {
  const blocks = new Map<string, { count: bigint; bytes: bigint }>();
  for await (const row of rowsOf(view, keys.allBlocks())) {
    const upload = keys.idOf(row.key).toString('hex');
    const record = decode(row, findings, `a block of the upload ${upload}`, decodeRecord<BlockRecord>);
    if (record === undefined) continue;
    const known = blocks.get(upload) ?? noBlocks;
    blocks.set(upload, { count: known.count + 1n, bytes: known.bytes + BigInt(record.length) });
    const pieces = unpackPieces(record.pieces);
    list(findings, pieces, !garbageUploads.has(upload));
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (bytes !== record.length)
      findings.damaged(`a block of the upload ${upload} has ${bytes} of ${record.length} bytes`);
  }
  for await (const row of rowsOf(view, keys.allUploads())) {
    const record = decode(row, findings, `the upload of "${keys.uploadNameOf(row.key)}"`, decodeRecord<UploadRecord>);
    if (record === undefined) continue;
    const root = roots.get(keys.idOf(row.key).toString('hex'));
    if (root === undefined) findings.damaged(`the upload ${record.id} is in no container`);
    const id = Buffer.from(record.id, 'hex');
    const counted = decodeCounter(await view.get(keys.uploadCount(id)));
    const { count, bytes } = blocks.get(record.id) ?? noBlocks;
    if (counted !== count) findings.damaged(`the upload ${record.id} has ${count} blocks, and ${counted} are counted`);
    if (record.isCounted === true) {
      if (root !== undefined) root.bytes += bytes;
      const countedBytes = decodeCounter(await view.get(keys.uploadBytes(id)));
      if (countedBytes !== bytes)
        findings.damaged(`the upload ${record.id} has ${bytes} bytes, and ${countedBytes} are counted`);
    }
    blocks.delete(record.id);
  }
  for (const upload of blocks.keys()) {
    if (!garbageUploads.has(upload)) findings.damaged(`staged blocks belong to no upload: ${upload}`);
  }
}

/** Every tag of every current entry is in the index, and nothing else. */
async function checkTags(view: View, findings: Findings, { roots }: Names): Promise<void> {
  const indexed = new Map<string, number>();
  for await (const row of rowsOf(view, keys.allTags())) {
    const { name, value, blob, containerId: container } = keys.tagOf(row.key);
    indexed.set(container, (indexed.get(container) ?? 0) + 1);
    const entry = await readCurrent(view, Buffer.from(container, 'hex'), blob);
    if (entry?.record.tags?.[name] === value || roots.get(container)?.isEmptying === true) continue;
    findings.damaged(`the index says that "${blob}" has the tag "${name}" = "${value}"`);
  }
  for (const id of new Set([...roots.keys(), ...indexed.keys()])) {
    const root = roots.get(id);
    const found = indexed.get(id) ?? 0;
    if (root?.isEmptying !== true && (root?.tags ?? 0) !== found) {
      findings.damaged(`the entries of the container ${id} have ${root?.tags ?? 0} tags, and ${found} are indexed`);
    }
  }
}

async function readCurrent(view: View, container: Buffer, name: string): Promise<Entry | undefined> {
  const place = await findPlace(view, container, name);
  const found = place && (await view.get(keys.entry(place.parent, place.leaf)));
  return found && decodeEntry(found);
}

async function checkUsage(view: View, findings: Findings, { roots }: Names): Promise<void> {
  const counted = new Map<string, bigint>();
  for await (const { key, value } of rowsOf(view, keys.allUsage())) {
    counted.set(keys.idOf(key).toString('hex'), decodeCounter(value));
  }
  for (const id of new Set([...roots.keys(), ...counted.keys()])) {
    const root = roots.get(id);
    if (root?.isEmptying) continue;
    const bytes = root?.bytes ?? 0n;
    const usage = counted.get(id) ?? 0n;
    if (root === undefined) findings.damaged(`usage is counted for ${id}, which is no container`);
    else if (usage !== bytes) findings.damaged(`the container ${id} holds ${bytes} bytes, and ${usage} are counted`);
  }
}

function list(findings: Findings, pieces: readonly LogPiece[], isNeeded: boolean): void {
  for (const { segment, offset, extentLength, sum, start, length } of pieces) {
    let inSegment = findings.extents.get(segment);
    if (inSegment === undefined) {
      inSegment = new Map();
      findings.extents.set(segment, inSegment);
    }
    const known = inSegment.get(offset);
    if (known === undefined) {
      inSegment.set(offset, { segment, offset, length: extentLength, sum, times: 1, isNeeded });
    } else {
      known.times++;
      known.isNeeded ||= isNeeded;
    }
    if (
      (known !== undefined && (known.sum !== sum || known.length !== extentLength)) ||
      start + length > extentLength
    ) {
      findings.damaged(`the extent ${segment}:${offset} is listed in two ways`);
    }
  }
}

/** Says which entries lost bytes, in a walk of its own that only damage calls for. */
export async function nameDamaged(view: View, findings: Findings): Promise<void> {
  if (findings.damagedExtents.size === 0) return;
  const isHit = (pieces: readonly number[]): boolean =>
    unpackPieces(pieces).some(({ segment, offset }) => {
      const extent = findings.extents.get(segment)?.get(offset);
      return extent !== undefined && findings.damagedExtents.has(extent);
    });
  const contents = new Set<string>();
  for await (const { key, value } of rowsOf(view, keys.allPieces(), 16)) {
    if (isHit(decodeRecord<{ pieces: number[] }>(value).pieces)) contents.add(keys.idOf(key).toString('hex'));
  }
  for await (const { key, value } of rowsOf(view, keys.allPages(), 16)) {
    const pieces = decodeRegion(keys.regionOf(key), value).runs.map(({ piece }) => piece);
    if (isHit(packPieces(pieces))) contents.add(keys.idOf(key).toString('hex'));
  }
  const look = ({ value }: Item, name: string): void => {
    const { id, pieces, contentId, past } = decodeRecord<EntryRecord>(value);
    if (!isHit(pieces ?? []) && (contentId === undefined || !contents.has(contentId))) return;
    findings.note(`damaged entry: "${name}" (${id}${past === undefined ? '' : `, ${past.kind} ${past.time}`})`);
  };
  for await (const row of rowsOf(view, keys.entries())) {
    if (!keys.isDirectory(row.key)) look(row, keys.entryNameOf(row.key));
  }
  for await (const row of rowsOf(view, keys.allPast())) look(row, keys.pastNameOf(row.key));
}
