// A disk that loses and tears what was not synced, forgets names of files, fills up, and fails.
import type { Random } from '../src/base/random.ts';
import type { Disk, DiskFile, OpenMode } from '../src/content/disk.ts';
import type { Schedule } from './schedule.ts';

const sectorBytes = 512;

/** What a broken disk does instead of its work: the negative controls. */
export type DiskBreak = 'sync' | 'order' | undefined;

export interface SimDiskOptions {
  readonly schedule: Schedule;
  readonly random: Random;
  readonly breaks: DiskBreak;
}

interface Change {
  readonly kind: 'write' | 'truncate';
  readonly position: number;
  readonly bytes: Buffer;
  done: boolean;
  /** A sync that covered it failed: no later one makes it durable. */
  lost: boolean;
}

class Inode {
  current: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  unsynced: Change[] = [];
}

/** Files as they are after a stop. */
interface Names {
  readonly names: Map<string, Inode>;
  readonly durableNames: Map<string, Inode>;
}

function apply(image: Buffer, change: Change, isKept: (sector: number) => boolean): Buffer {
  if (change.kind === 'truncate') return isKept(0) ? Buffer.from(image.subarray(0, change.position)) : image;
  const { position, bytes } = change;
  const kept: [from: number, to: number][] = [];
  for (let at = 0; at < bytes.length; ) {
    const sector = Math.floor((position + at) / sectorBytes);
    const end = Math.min(bytes.length, (sector + 1) * sectorBytes - position);
    if (isKept(sector)) kept.push([at, end]);
    at = end;
  }
  const end = position + (kept.at(-1)?.[1] ?? -position);
  const next = Buffer.alloc(Math.max(image.length, end));
  image.copy(next);
  for (const [from, to] of kept) bytes.copy(next, position + from, from, to);
  return next;
}

/** All of a write at once, into memory that grows by doubling. */
function applyWhole(image: Buffer, { kind, position, bytes }: Change): Buffer {
  if (kind === 'truncate') return Buffer.from(image.subarray(0, position));
  const end = position + bytes.length;
  let next = image;
  if (end > image.length) {
    const room = image.buffer.byteLength - image.byteOffset;
    if (end <= room && image.buffer.byteLength >= 65536) next = Buffer.from(image.buffer, image.byteOffset, end);
    else {
      const grown = Buffer.from(new ArrayBuffer(Math.max(65536, 2 * end)), 0, end);
      image.copy(grown);
      next = grown;
    }
  }
  bytes.copy(next, position);
  return next;
}

function failure(code: string, path = ''): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: ${path}`);
  error.code = code;
  return error;
}

export class SimDisk implements Disk {
  readonly options: SimDiskOptions;
  readonly #files: Names;
  /** Writes beyond a file's end fail. */
  isFull = false;
  /** Of so many operations one fails; 0: none. */
  failOneIn = 0;
  /** How often it failed, for whatever reason. */
  faults = 0;
  #isDead = false;

  constructor(options: SimDiskOptions, files: Names = { names: new Map(), durableNames: new Map() }) {
    this.options = options;
    this.#files = files;
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.#io(() => {
      const found = this.#files.names.get(path);
      if (mode !== 'append-new') {
        if (found === undefined) throw failure('ENOENT', path);
        return new SimFile(this, found);
      }
      if (found !== undefined) throw failure('EEXIST', path);
      if (this.isFull && this.options.random.below(2) === 0) throw this.fault('ENOSPC');
      const inode = new Inode();
      this.#files.names.set(path, inode);
      return new SimFile(this, inode);
    });
  }

  list(directory: string): Promise<string[]> {
    const prefix = `${directory}/`;
    return this.#io(() =>
      [...this.#files.names.keys()].filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length)),
    );
  }

  makeDirectory(): Promise<void> {
    return this.#io(() => undefined);
  }

  remove(path: string): Promise<void> {
    return this.#io(() => {
      this.mayFail();
      if (!this.#files.names.delete(path)) throw failure('ENOENT', path);
    });
  }

  syncDirectory(): Promise<void> {
    const { names, durableNames } = this.#files;
    const before = new Map(names);
    return this.#synced(() => {
      // What was made since is not undone: another sync may have made it durable already.
      for (const path of durableNames.keys()) if (!before.has(path) && !names.has(path)) durableNames.delete(path);
      for (const [path, inode] of before) durableNames.set(path, inode);
    });
  }

  /** The disk after a stop: of the processes alone, or of the power too. This one never answers again. */
  crash(kind: 'kill' | 'power'): SimDisk {
    this.#isDead = true;
    const { random } = this.options;
    const copies = new Map<Inode, Inode>();
    const after = (inode: Inode): Inode => {
      const known = copies.get(inode);
      if (known !== undefined) return known;
      const copy = kind === 'kill' ? this.#killed(inode) : this.#lost(inode);
      copies.set(inode, copy);
      return copy;
    };
    const { names, durableNames } = this.#files;
    const next: Names = { names: new Map(), durableNames: new Map() };
    for (const path of [...new Set([...names.keys(), ...durableNames.keys()])].sort()) {
      const now = names.get(path);
      const durable = durableNames.get(path);
      const kept = kind === 'kill' || now === durable || random.below(2) === 0 ? now : durable;
      if (kept !== undefined) next.names.set(path, after(kept));
      const stays = kind === 'kill' ? durable : kept;
      if (stays !== undefined) next.durableNames.set(path, after(stays));
    }
    return new SimDisk(this.options, next);
  }

  /** The page cache survives, and what is in it is still not durable. */
  #killed(inode: Inode): Inode {
    const copy = new Inode();
    copy.durable = inode.durable;
    copy.current = Buffer.from(inode.current);
    for (const change of inode.unsynced) {
      if (!change.done) copy.current = apply(copy.current, change, this.#fate());
      copy.unsynced.push({ ...change, done: true });
    }
    return copy;
  }

  #lost(inode: Inode): Inode {
    const copy = new Inode();
    for (const change of inode.unsynced) {
      if (!change.lost) inode.durable = apply(inode.durable, change, this.#fate());
    }
    copy.durable = Buffer.from(inode.durable);
    copy.current = Buffer.from(inode.durable);
    return copy;
  }

  #fate(): (sector: number) => boolean {
    const { random } = this.options;
    const fate = random.below(4);
    if (fate === 0) return () => false;
    if (fate === 1) return () => true;
    return () => random.below(2) === 0;
  }

  submit(inode: Inode, kind: Change['kind'], position: number, bytes: Buffer): Promise<void> {
    const change: Change = { kind, position, bytes, done: false, lost: false };
    inode.unsynced.push(change);
    return this.#io(() => {
      change.done = true;
      const full = this.isFull && kind === 'write' && position + bytes.length > inode.current.length;
      if (!full && !this.#fails()) {
        inode.current = applyWhole(inode.current, change);
        return;
      }
      inode.current = Buffer.from(apply(inode.current, change, this.#fate()));
      throw this.fault(full ? 'ENOSPC' : 'EIO');
    });
  }

  sync(inode: Inode): Promise<void> {
    const atCall = inode.unsynced.filter((change) => change.done);
    return this.#synced(() => {
      // Without those that another sync made durable meanwhile: a truncation may have followed.
      const covered = atCall.filter((change) => inode.unsynced.includes(change));
      if (this.#fails()) {
        for (const change of covered) change.lost = true;
        throw this.fault('EIO');
      }
      for (const change of covered) if (!change.lost) inode.durable = applyWhole(inode.durable, change);
      const gone = new Set(covered);
      inode.unsynced = inode.unsynced.filter((change) => !gone.has(change));
    });
  }

  #synced(work: () => void): Promise<void> {
    const { breaks, random, schedule } = this.options;
    if (breaks === 'sync') return this.#io(() => undefined);
    if (breaks === 'order') {
      const late = schedule.later(() => this.#isDead || work(), 20 + random.below(100));
      late.catch(() => undefined);
      return this.#io(() => undefined);
    }
    return this.#io(work);
  }

  read(inode: Inode, target: Uint8Array, position: number): Promise<number> {
    return this.#io(() => {
      this.mayFail();
      const end = Math.min(inode.current.length, position + target.length);
      return position >= end ? 0 : inode.current.copy(target, 0, position, end);
    });
  }

  size(inode: Inode): Promise<number> {
    return this.#io(() => inode.current.length);
  }

  mayFail(): void {
    if (this.#fails()) throw this.fault('EIO');
  }

  #fails(): boolean {
    return this.failOneIn > 0 && this.options.random.below(this.failOneIn) === 0;
  }

  fault(code: string): Error {
    this.faults++;
    return failure(code, 'the simulated disk');
  }

  #io<T>(run: () => T): Promise<T> {
    if (this.#isDead) return Promise.reject(failure('EIO', 'the machine has stopped'));
    return this.options.schedule.later(run);
  }
}

class SimFile implements DiskFile {
  readonly #disk: SimDisk;
  readonly #inode: Inode;
  #isClosed = false;

  constructor(disk: SimDisk, inode: Inode) {
    this.#disk = disk;
    this.#inode = inode;
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return this.#open(() => this.#disk.submit(this.#inode, 'write', position, Buffer.from(bytes)));
  }

  read(bytes: Uint8Array, position: number): Promise<number> {
    return this.#open(() => this.#disk.read(this.#inode, bytes, position));
  }

  sync(): Promise<void> {
    return this.#open(() => this.#disk.sync(this.#inode));
  }

  size(): Promise<number> {
    return this.#open(() => this.#disk.size(this.#inode));
  }

  truncate(length: number): Promise<void> {
    return this.#open(() => this.#disk.submit(this.#inode, 'truncate', length, Buffer.alloc(0)));
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  #open<T>(run: () => Promise<T>): Promise<T> {
    return this.#isClosed ? Promise.reject(failure('EBADF')) : run();
  }
}
