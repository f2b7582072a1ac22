// Every key of the metadata store, in one table. Nothing else makes keys.
import type { Key, Range } from './engine.ts';

/*
  tag  rest of the key                          value                                     written by
  ---  ---------------------------------------  ----------------------------------------  ---------------------------
  A    account                                  AccountRecord                             namespace/accounts
  B    content id (16) offset (8)               a run of pieces of a long content         namespace/contents
  C    account 00 container                     ContainerRecord                           namespace/containers
  D    segment (4) offset (6)                   tombstone: this extent is dropped         namespace/reclaim
  E    parent id (16) name                      EntryRecord: the content side of a name   namespace/entries
  E    parent id (16) name "/"                  DirectoryRecord: the children's side      namespace/entries
  G    id (16)                                  content whose last name went away         namespace/garbage
  H    segment (4)                              counter: bytes dropped in a segment       namespace/reclaim
  J    stamp (12)                               JournalRecord                             namespace/journal
  K    content id (16) index (4)                a run of the block list of a long content namespace/contents
  L    task                                     TaskLease: who does a background task     namespace/tasks
  M    segment (4) offset (6)                   where a compacted extent lies now         namespace/reclaim
  N    content id (16)                          counter: further owners of a long content namespace/contents
  P    directory id (16)                        the directory's place; it may be empty    namespace/prune
  R    segment (4) offset (6)                   counter: further owners of an extent      namespace/contents
  S    segment (4)                              SegmentRecord                             namespace/segments
  T    name                                     counters and settings of the whole store  namespace
  U    container id (16) blob 00                UploadRecord: a name with staged blocks   namespace/uploads
  V    upload id (16)                           counter: staged blocks of an upload       namespace/uploads
  W    upload id (16) block id                  BlockRecord: one staged block             namespace/uploads
  X    container id (16)                        a deleted container still to be emptied   namespace/containers
  Y    container id (16)                        counter: bytes of a container, also staged  namespace/entries
  Z    account 00 container 00 version           ContainerRecord of a deleted container    namespace/containers
  a    account                                  AccessRecord: roles and who has them      namespace/access
  d    due ms (6) id (16)                       DueRecord: what is to be done then        namespace/due
  e    account 00 scope                         ScopeRecord: an encryption scope          namespace/scopes
  f    follower                                 FollowerRecord: where it stands           namespace/followers
  g    content id (16) region (6)               the pages of a megabyte of a page blob    namespace/pages
  i    account 00 key 00 value 00 container id 00 name  an index tag of a current blob       namespace/tags
  q    parent id (16) name 00 ticks (8)         EntryRecord: a snapshot, version or deleted blob  namespace/times
  r    parent id (16) name 00                   SweepRecord: what becomes of many states of it   namespace/sweeps
  v    upload id (16)                           counter: bytes of the staged blocks, in Y as well  namespace/uploads

  Ids are 16 bytes, numbers big endian. A container's id is the id of its root directory. Because a directory's name
  ends in "/", a walk in key order yields full names in their byte order. Names never contain 00.
*/

const tags = {
  account: 0x41,
  pieces: 0x42,
  container: 0x43,
  dropped: 0x44,
  entry: 0x45,
  garbage: 0x47,
  droppedBytes: 0x48,
  journal: 0x4a,
  blocks: 0x4b,
  task: 0x4c,
  moved: 0x4d,
  contentOwners: 0x4e,
  prune: 0x50,
  extentOwners: 0x52,
  segment: 0x53,
  setting: 0x54,
  upload: 0x55,
  uploadCount: 0x56,
  block: 0x57,
  emptying: 0x58,
  usage: 0x59,
  deletedContainer: 0x5a,
  access: 0x61,
  due: 0x64,
  scope: 0x65,
  follower: 0x66,
  pages: 0x67,
  tag: 0x69,
  past: 0x71,
  sweep: 0x72,
  uploadBytes: 0x76,
} as const;

const steadyTags: ReadonlySet<number> = new Set([tags.account, tags.container, tags.access, tags.scope]);

/** Whether what stands under a key is read by most requests and written by few: readers remember it from picture to picture. */
export function isSteady(key: Key): boolean {
  return steadyTags.has(key[0] as number);
}

/** Whether any key of a range is steady. */
export function hasSteady({ start, end }: Range): boolean {
  for (const tag of steadyTags) if (tag >= (start[0] ?? 0) && tag <= (end[0] as number)) return true;
  return false;
}

function key(tag: number, ...parts: readonly (Uint8Array | string)[]): Buffer {
  let length = 1;
  for (const part of parts) length += typeof part === 'string' ? Buffer.byteLength(part) : part.length;
  const bytes = Buffer.allocUnsafe(length);
  bytes[0] = tag;
  let at = 1;
  for (const part of parts) {
    if (typeof part === 'string') at += bytes.write(part, at);
    else {
      bytes.set(part, at);
      at += part.length;
    }
  }
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function u48(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  bytes.writeUIntBE(value, 0, 6);
  return bytes;
}

function u64(value: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

function place(tag: number, segment: number, offset: number): Buffer {
  const bytes = Buffer.allocUnsafe(11);
  bytes[0] = tag;
  bytes.writeUInt32BE(segment, 1);
  bytes.writeUIntBE(offset, 5, 6);
  return bytes;
}

/** All keys that begin with `prefix`. */
export function prefixRange(prefix: Key): Range {
  return { start: prefix, end: successor(prefix) };
}

/** The first key after all those that begin with `prefix`. */
export function successor(prefix: Key): Buffer {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i] !== 0xff) {
      end[i] = (end[i] as number) + 1;
      return end.subarray(0, i + 1);
    }
  }
  throw new Error('no key follows a prefix of ff');
}

/** The first key after this one. */
export function after(one: Key): Buffer {
  return Buffer.concat([one, new Uint8Array(1)]);
}

const nul = new Uint8Array(1);

export const keys = {
  account: (account: string): Buffer => key(tags.account, account),
  accounts: (): Range => prefixRange(key(tags.account)),
  container: (account: string, container: string): Buffer => key(tags.container, account, nul, container),
  containers: (account: string, prefix = ''): Range => prefixRange(key(tags.container, account, nul, prefix)),
  containerNameOf: (account: string, found: Key): string => utf8(found, 2 + Buffer.byteLength(account)),
  entry: (parent: Uint8Array, name: string): Buffer => key(tags.entry, parent, name),
  directory: (parent: Uint8Array, name: string): Buffer => key(tags.entry, parent, name, '/'),
  children: (parent: Uint8Array, prefix = ''): Range => prefixRange(key(tags.entry, parent, prefix)),
  entries: (): Range => prefixRange(key(tags.entry)),
  /** Whether an entry's key is that of a directory row. */
  isDirectory: (found: Key): boolean => found.length > 17 && found[found.length - 1] === 0x2f,
  parentOf: (found: Key): Buffer => Buffer.from(found.subarray(1, 17)),
  /** The name part of an entry's key: ends in "/" where the row is a directory. */
  entryNameOf: (found: Key): string => utf8(found, 17),
  pieces: (content: Uint8Array, offset: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeUIntBE(offset, 2, 6);
    return key(tags.pieces, content, bytes);
  },
  piecesOf: (content: Uint8Array): Range => prefixRange(key(tags.pieces, content)),
  allPieces: (): Range => prefixRange(key(tags.pieces)),
  blocks: (content: Uint8Array, index: number): Buffer => key(tags.blocks, content, u32(index)),
  blocksOf: (content: Uint8Array): Range => prefixRange(key(tags.blocks, content)),
  contentOwners: (content: Uint8Array): Buffer => key(tags.contentOwners, content),
  extentOwners: (segment: number, offset: number): Buffer => place(tags.extentOwners, segment, offset),
  garbage: (id: Uint8Array): Buffer => key(tags.garbage, id),
  allGarbage: (): Range => prefixRange(key(tags.garbage)),
  dropped: (segment: number, offset: number): Buffer => place(tags.dropped, segment, offset),
  droppedIn: (segment: number): Range => prefixRange(key(tags.dropped, u32(segment))),
  droppedBytes: (segment: number): Buffer => key(tags.droppedBytes, u32(segment)),
  moved: (segment: number, offset: number): Buffer => place(tags.moved, segment, offset),
  allMoved: (): Range => prefixRange(key(tags.moved)),
  /** The place in a key of `dropped`, `moved` or `extentOwners`. */
  placeOf: (found: Key): { segment: number; offset: number } => {
    const bytes = Buffer.from(found.buffer, found.byteOffset, found.byteLength);
    return { segment: bytes.readUInt32BE(1), offset: bytes.readUIntBE(5, 6) };
  },
  segment: (segment: number): Buffer => key(tags.segment, u32(segment)),
  segments: (): Range => prefixRange(key(tags.segment)),
  segmentNumberOf: (found: Key): number =>
    Buffer.from(found.buffer, found.byteOffset, found.byteLength).readUInt32BE(1),
  journal: (): Buffer => key(tags.journal),
  journalAll: (): Range => prefixRange(key(tags.journal)),
  task: (task: string): Buffer => key(tags.task, task),
  tasks: (): Range => prefixRange(key(tags.task)),
  prune: (directory: Uint8Array): Buffer => key(tags.prune, directory),
  allPrune: (): Range => prefixRange(key(tags.prune)),
  setting: (name: string): Buffer => key(tags.setting, name),
  settings: (prefix: string): Range => prefixRange(key(tags.setting, prefix)),
  settingNameOf: (found: Key): string => utf8(found, 1),
  upload: (container: Uint8Array, blob: string): Buffer => key(tags.upload, container, blob, nul),
  /** From the name `from`, which is not before `prefix`. */
  uploadsFrom: (container: Uint8Array, prefix: string, from: string): Range => ({
    start: key(tags.upload, container, from),
    end: successor(key(tags.upload, container, prefix)),
  }),
  allUploads: (): Range => prefixRange(key(tags.upload)),
  uploadsOf: (container: Uint8Array): Range => prefixRange(key(tags.upload, container)),
  uploadNameOf: (found: Key): string => utf8(found.subarray(0, found.length - 1), 17),
  uploadCount: (upload: Uint8Array): Buffer => key(tags.uploadCount, upload),
  uploadBytes: (upload: Uint8Array): Buffer => key(tags.uploadBytes, upload),
  block: (upload: Uint8Array, block: Uint8Array): Buffer => key(tags.block, upload, block),
  blocksStaged: (upload: Uint8Array): Range => prefixRange(key(tags.block, upload)),
  blockIdOf: (found: Key): Buffer => Buffer.from(found.subarray(17)),
  allBlocks: (): Range => prefixRange(key(tags.block)),
  emptying: (container: Uint8Array): Buffer => key(tags.emptying, container),
  isUploadCount: (found: Key): boolean => found[0] === tags.uploadCount,
  allUploadCounts: (): Range => prefixRange(key(tags.uploadCount)),
  allContentBlocks: (): Range => prefixRange(key(tags.blocks)),
  allContentOwners: (): Range => prefixRange(key(tags.contentOwners)),
  allExtentOwners: (): Range => prefixRange(key(tags.extentOwners)),
  allDropped: (): Range => prefixRange(key(tags.dropped)),
  allDroppedBytes: (): Range => prefixRange(key(tags.droppedBytes)),
  allContainers: (): Range => prefixRange(key(tags.container)),
  allUsage: (): Range => prefixRange(key(tags.usage)),
  allEmptying: (): Range => prefixRange(key(tags.emptying)),
  usage: (container: Uint8Array): Buffer => key(tags.usage, container),
  deletedContainer: (account: string, container: string, version: string): Buffer =>
    key(tags.deletedContainer, account, nul, container, nul, version),
  deletedContainers: (account: string, prefix = ''): Range =>
    prefixRange(key(tags.deletedContainer, account, nul, prefix)),
  allDeletedContainers: (): Range => prefixRange(key(tags.deletedContainer)),
  /** The container's name and version in a key of `deletedContainer`. */
  deletedContainerOf: (account: string, found: Key): { container: string; version: string } => {
    const [container = '', version = ''] = utf8(found, 2 + Buffer.byteLength(account)).split('\0');
    return { container, version };
  },
  access: (account: string): Buffer => key(tags.access, account),
  due: (dueMs: number, id: Uint8Array): Buffer => key(tags.due, u48(dueMs), id),
  /** What is due before this time. */
  dueBefore: (ms: number): Range => ({ start: key(tags.due), end: key(tags.due, u48(ms)) }),
  allDue: (): Range => prefixRange(key(tags.due)),
  scope: (account: string, scope: string): Buffer => key(tags.scope, account, nul, scope),
  scopes: (account: string): Range => prefixRange(key(tags.scope, account, nul)),
  scopeNameOf: (account: string, found: Key): string => utf8(found, 2 + Buffer.byteLength(account)),
  allScopes: (): Range => prefixRange(key(tags.scope)),
  scopeOf: (found: Key): { account: string; scope: string } => {
    const [account = '', scope = ''] = utf8(found, 1).split('\0');
    return { account, scope };
  },
  follower: (name: string): Buffer => key(tags.follower, name),
  followers: (): Range => prefixRange(key(tags.follower)),
  pages: (content: Uint8Array, region: number): Buffer => key(tags.pages, content, u48(region)),
  pagesOf: (content: Uint8Array): Range => prefixRange(key(tags.pages, content)),
  allPages: (): Range => prefixRange(key(tags.pages)),
  regionOf: (found: Key): number =>
    Buffer.from(found.buffer, found.byteOffset, found.byteLength).readUIntBE(found.length - 6, 6),
  /** Text before `value` chooses rows; what is left out makes the key of a range. */
  tag: (account: string, name: string, value: string, containerId: string, blob: string): Buffer =>
    key(tags.tag, account, nul, name, nul, value, nul, containerId, nul, blob),
  tagValues: (account: string, name: string): Range => prefixRange(key(tags.tag, account, nul, name, nul)),
  tagFrom: (account: string, name: string, value: string): Buffer => key(tags.tag, account, nul, name, nul, value),
  tagBlobs: (account: string, name: string, value: string): Range =>
    prefixRange(key(tags.tag, account, nul, name, nul, value, nul)),
  tagBlobsIn: (account: string, name: string, value: string, containerId: string): Range =>
    prefixRange(key(tags.tag, account, nul, name, nul, value, nul, containerId, nul)),
  allTags: (): Range => prefixRange(key(tags.tag)),
  /** The parts of a key of `tag`. */
  tagOf: (found: Key): { account: string; name: string; value: string; containerId: string; blob: string } => {
    const [account = '', name = '', value = '', containerId = '', blob = ''] = utf8(found, 1).split('\0');
    return { account, name, value, containerId, blob };
  },
  past: (parent: Uint8Array, name: string, ticks: bigint): Buffer => key(tags.past, parent, name, nul, u64(ticks)),
  pastOf: (parent: Uint8Array, name: string): Range => prefixRange(key(tags.past, parent, name, nul)),
  /** From this name on. */
  pastFrom: (parent: Uint8Array, name: string): Buffer => key(tags.past, parent, name),
  pastBelow: (parent: Uint8Array, prefix = ''): Range => prefixRange(key(tags.past, parent, prefix)),
  allPast: (): Range => prefixRange(key(tags.past)),
  sweep: (parent: Uint8Array, name: string): Buffer => key(tags.sweep, parent, name, nul),
  sweepsBelow: (parent: Uint8Array): Range => prefixRange(key(tags.sweep, parent)),
  sweepNameOf: (found: Key): string => utf8(found.subarray(0, found.length - 1), 17),
  pastNameOf: (found: Key): string => utf8(found.subarray(0, found.length - 9), 17),
  /** The time of a state of the past. */
  ticksOf: (found: Key): bigint =>
    Buffer.from(found.buffer, found.byteOffset, found.byteLength).readBigUInt64BE(found.length - 8),
  /** The id that follows the tag. */
  idOf: (found: Key): Buffer => Buffer.from(found.subarray(1, 17)),
} as const;

function utf8(bytes: Key, from: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from).toString('utf8');
}
