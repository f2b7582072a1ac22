// What the content log asks of a disk, so that a simulated one can lose and tear what was not synced.

export interface DiskFile {
  /** Writes all of `bytes` at `position`; durable only after a later `sync`. A direct file wants everything aligned to `directAlignment`. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Reads up to `bytes.length`; answers how many (fewer only at the end of the file). */
  read(bytes: Uint8Array, position: number): Promise<number>;
  /** Resolves when every write that had finished before the call is durable. */
  sync(): Promise<void>;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export type OpenMode = 'read' | 'append-new' | 'change';

export interface Disk {
  /** `append-new` makes a file that must not exist, opened for direct writes where the file system allows it. */
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  list(directory: string): Promise<string[]>;
  makeDirectory(path: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
}

/** Positions, lengths and memory of direct writes are multiples of this. */
export const directAlignment = 4096;

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** No such file: the errors of a disk carry Node's codes. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** Undefined where there is no such file. */
export async function openIfThere(
  disk: Disk,
  path: string,
  mode: Exclude<OpenMode, 'append-new'>,
): Promise<DiskFile | undefined> {
  try {
    return await disk.open(path, mode);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
