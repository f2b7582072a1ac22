// The files of the audit log: what they are called, how they are written, and how their lines are read.
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../base/sync-directory.ts';

export const chainPattern = /^[0-9a-f]{32}$/;
const filePattern = /^(\d{8})\.log$/;

export const chainDirectory = (root: string, chain: string): string => join(root, chain);
export const filePath = (root: string, chain: string, file: number): string =>
  join(root, chain, `${`${file}`.padStart(8, '0')}.log`);

/** What the log does to a file that it writes; a test's may fail. */
export interface AuditFile {
  write(bytes: Buffer, position: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface AuditDisk {
  /** A new, empty file, whose name is durable; its directories are made. */
  create(path: string): Promise<AuditFile>;
}

export const auditDisk: AuditDisk = {
  async create(path) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const handle = await open(path, 'w', 0o600);
    for (const directory of [dirname(path), dirname(dirname(path)), dirname(dirname(dirname(path)))]) {
      syncDirectory(directory);
    }
    return {
      write: (bytes, position) => writeAll(handle, bytes, position),
      sync: () => handle.datasync(),
      close: () => handle.close(),
    };
  },
};

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let at = 0;
  while (at < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

export interface ListedFile {
  readonly file: number;
  readonly path: string;
}

export interface Listed {
  /** In the order of their numbers. */
  readonly chains: ReadonlyMap<string, readonly ListedFile[]>;
  /** Paths that the log did not make. */
  readonly foreign: readonly string[];
}

/** What is there by name: times and sizes are whatever whoever may touch files likes. */
export async function listFiles(root: string): Promise<Listed> {
  const chains = new Map<string, ListedFile[]>();
  const foreign: string[] = [];
  for (const chain of (await namesIn(root)).sort()) {
    if (!chainPattern.test(chain)) {
      foreign.push(join(root, chain));
      continue;
    }
    const files: ListedFile[] = [];
    for (const name of (await namesIn(join(root, chain))).sort()) {
      const path = join(root, chain, name);
      const matched = filePattern.exec(name);
      if (matched === null) foreign.push(path);
      else files.push({ file: Number(matched[1]), path });
    }
    chains.set(chain, files);
  }
  return { chains, foreign };
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

export interface FileLine {
  /** Without the line feed. */
  readonly bytes: Buffer;
  /** Where the line begins. */
  readonly offset: number;
  /** False for what stands behind the last line feed. */
  readonly isWhole: boolean;
}

const chunkBytes = 256 * 1024;
/** The columns of a record at their longest, escaped, and room for the rest; what is longer is no line. */
export const lineBytesMax = 1024 * 1024;

/** The lines of a file from `start` on, one chunk in memory at a time. A line that is too long comes in parts. */
export async function* readLines(path: string, start = 0): AsyncGenerator<FileLine> {
  await using handle = await open(path, 'r');
  let rest: Buffer = Buffer.alloc(0);
  let offset = start;
  for (let position = start; ; ) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const { bytesRead } = await handle.read(chunk, 0, chunkBytes, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    const bytes =
      rest.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    let at = 0;
    for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, at)) {
      yield { bytes: bytes.subarray(at, end), offset, isWhole: true };
      offset += end + 1 - at;
      at = end + 1;
    }
    rest = bytes.subarray(at);
    if (rest.length <= lineBytesMax) continue;
    yield { bytes: rest, offset, isWhole: false };
    offset += rest.length;
    rest = Buffer.alloc(0);
  }
  if (rest.length > 0) yield { bytes: rest, offset, isWhole: false };
}
