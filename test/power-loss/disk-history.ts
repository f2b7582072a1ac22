// What the recorded calls did to the disk: every file's changes and syncs, every name's, in order.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { identityOf, type RecordedCall } from './record-log.ts';

export interface ContentChange {
  readonly start: number;
  readonly end: number;
  readonly synced: boolean;
  /** A write of `data` at `offset`, or (without data) a truncation to `offset`. */
  readonly offset: number;
  readonly data: Buffer | undefined;
}

export interface SyncSpan {
  readonly start: number;
  readonly end: number;
}

export interface FileHistory {
  /** Where it was created, below the root. */
  readonly path: string;
  readonly changes: ContentChange[];
  readonly syncs: SyncSpan[];
}

/** One call on names. A rename is one change with two entries: it happens as a whole or not at all. */
export interface NameChange {
  readonly start: number;
  end: number;
  readonly entries: readonly { readonly directory: string; readonly name: string; readonly file: string | undefined }[];
  /** A file that the call created: with `ext4` names, syncing it makes its name durable. */
  readonly created: string | undefined;
}

export class DiskHistory {
  readonly rootIdentity: string;
  readonly files = new Map<string, FileHistory>();
  readonly directorySyncs = new Map<string, SyncSpan[]>();
  readonly nameChanges: NameChange[] = [];
  readonly sharedIndexPaths = new Set<string>();
  readonly end: number;
  readonly #root: string;
  /** The tree as it is at the end of the replay: a directory's entries by its identity. */
  readonly #entries = new Map<string, Map<string, string>>();

  /** `before`: what was on the disk, durably, when the recording began (see `callsThatMake`). */
  constructor(
    calls: readonly RecordedCall[],
    root: string,
    rootIdentity: string,
    before: readonly RecordedCall[] = [],
  ) {
    this.#root = root;
    this.rootIdentity = rootIdentity;
    this.directorySyncs.set(rootIdentity, []);
    this.#entries.set(rootIdentity, new Map());
    for (const call of [...before, ...calls]) this.#replay(call);
    this.end = calls.reduce((last, call) => Math.max(last, call.end), 0) + 1;
  }

  #replay(call: RecordedCall): void {
    const span = { start: call.start, end: call.end };
    switch (call.type) {
      case 'C': {
        const place = this.#place(call.path);
        if (this.#entries.get(place.directory)?.get(place.name) === call.file) {
          // Another process opened it at the same time: whoever returned first had it created.
          const creation = this.nameChanges.findLast((change) => change.created === call.file);
          if (creation !== undefined) creation.end = Math.min(creation.end, call.end);
          return;
        }
        // An identity can come back where files carry no time of birth.
        this.files.set(call.file, { path: call.path.slice(this.#root.length + 1), changes: [], syncs: [] });
        this.#change({ ...span, entries: [{ ...place, file: call.file }], created: call.file });
        return;
      }
      case 'M': {
        this.directorySyncs.set(call.file, []);
        this.#entries.set(call.file, new Map());
        this.#change({ ...span, entries: [{ ...this.#place(call.path), file: call.file }], created: undefined });
        return;
      }
      case 'U': {
        const entries = [{ ...this.#place(call.path), file: undefined }];
        this.#change({ ...span, entries, created: undefined });
        return;
      }
      case 'R': {
        const from = { ...this.#place(call.path), file: undefined };
        const to = { ...this.#place(call.target), file: call.file };
        this.#change({ ...span, entries: [from, to], created: undefined });
        return;
      }
      case 'L': {
        const entries = [{ ...this.#place(call.target), file: call.file }];
        this.#change({ ...span, entries, created: undefined });
        return;
      }
      case 'W': {
        const { synced, offset, data } = call;
        this.#file(call).changes.push({ ...span, synced, offset, data });
        return;
      }
      case 'T': {
        this.#file(call).changes.push({ ...span, synced: false, offset: call.offset, data: undefined });
        return;
      }
      case 'S': {
        this.#file(call).syncs.push(span);
        return;
      }
      case 'D': {
        const syncs = this.directorySyncs.get(call.file);
        if (syncs === undefined) throw new Error('a directory was synced that was not made under the recorder');
        syncs.push(span);
        return;
      }
      case 'I':
        this.sharedIndexPaths.add(call.path.slice(this.#root.length + 1));
    }
  }

  #change(change: NameChange): void {
    this.nameChanges.push(change);
    for (const { directory, name, file } of change.entries) {
      if (file === undefined) this.#entries.get(directory)?.delete(name);
      else this.#entries.get(directory)?.set(name, file);
    }
  }

  #file(call: RecordedCall): FileHistory {
    const file = this.files.get(call.file);
    if (file === undefined) throw new Error(`call ${call.type} ${call.start} on a file not made under the recorder`);
    return file;
  }

  #place(path: string): { directory: string; name: string } {
    const below = dirname(path).slice(this.#root.length).split('/').filter(Boolean);
    let directory = this.rootIdentity;
    for (const part of below) {
      const next = this.#entries.get(directory)?.get(part);
      if (next === undefined) throw new Error(`${path}: its directory was not made under the recorder`);
      directory = next;
    }
    return { directory, name: basename(path) };
  }

  /** Every file as the replay leaves it, by path below the root; directories are `undefined`. */
  finalTree(): Map<string, Buffer | undefined> {
    const tree = new Map<string, Buffer | undefined>();
    const walk = (directory: string, prefix: string): void => {
      for (const [name, file] of this.#entries.get(directory) ?? []) {
        const path = prefix + name;
        const history = this.files.get(file);
        tree.set(path, history === undefined ? undefined : replayContent(history.changes));
        if (history === undefined) walk(file, `${path}/`);
      }
    };
    walk(this.rootIdentity, '');
    return tree;
  }

  /** Where the replay differs from the real directory: the proof that the recorder missed nothing. */
  differences(): string[] {
    const tree = this.finalTree();
    const differences: string[] = [];
    for (const entry of readdirSync(this.#root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name).slice(this.#root.length + 1);
      // A socket holds nothing.
      if (path.endsWith('-shm') || !(entry.isFile() || entry.isDirectory())) continue;
      if (!tree.has(path)) differences.push(`${path} is on the disk but not in the record`);
      else if (entry.isFile() && !readFileSync(join(this.#root, path)).equals(tree.get(path) ?? Buffer.alloc(0)))
        differences.push(`${path} has other bytes on the disk than in the record`);
      tree.delete(path);
    }
    for (const path of tree.keys()) differences.push(`${path} is in the record but not on the disk`);
    return differences;
  }
}

/** The calls, all before number 0, that would have made durably what is in this directory now. */
export function callsThatMake(root: string): RecordedCall[] {
  const directories: string[] = [identityOf(root)];
  const made: Pick<RecordedCall, 'type' | 'path' | 'file' | 'data'>[] = [];
  const nothing = Buffer.alloc(0);
  const walk = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      const file = identityOf(path);
      if (entry.isDirectory()) {
        directories.push(file);
        made.push({ type: 'M', path, file, data: nothing });
        walk(path);
      } else if (entry.isFile() && !path.endsWith('-shm')) {
        made.push({ type: 'C', path, file, data: nothing });
        made.push({ type: 'W', path, file, data: readFileSync(path) });
        made.push({ type: 'S', path, file, data: nothing });
      }
    }
  };
  walk(root);
  for (const file of directories) made.push({ type: 'D', path: root, file, data: nothing });
  return made.map((call, index) => {
    const start = 2 * (index - made.length);
    return { ...call, start, end: start + 1, offset: 0, target: '', synced: false };
  });
}

/** A file's bytes after these changes, one after the other. */
export function replayContent(changes: readonly ContentChange[]): Buffer {
  let room = 0;
  for (const { offset, data } of changes) if (data !== undefined) room = Math.max(room, offset + data.length);
  for (const { offset, data } of changes) if (data === undefined) room = Math.max(room, offset);
  const bytes = Buffer.alloc(room);
  let size = 0;
  for (const { offset, data } of changes) {
    if (data === undefined) {
      if (offset < size) bytes.fill(0, offset, size);
      size = offset;
    } else {
      data.copy(bytes, offset);
      size = Math.max(size, offset + data.length);
    }
  }
  return bytes.subarray(0, size);
}
