// The real disk: direct writes where the file system takes them, buffered ones where it does not.
import { close, constants, fdatasync, fstat, fsync, ftruncate, open, read, write } from 'node:fs';
import { mkdir, readdir, unlink } from 'node:fs/promises';
import type { Disk, DiskFile, OpenMode } from './disk.ts';

// Callbacks rather than node:fs/promises: a FileHandle costs twice the CPU of a descriptor for each small operation.
class FileDiskFile implements DiskFile {
  readonly #fd: number;
  constructor(fd: number) {
    this.#fd = fd;
  }
  write(bytes: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (done: number): void => {
        write(this.#fd, bytes, done, bytes.length - done, position + done, (error, written) => {
          if (error) return reject(error);
          if (done + written === bytes.length) return resolve();
          if (written === 0) return reject(new Error('the disk took no bytes of a write'));
          next(done + written);
        });
      };
      if (bytes.length === 0) return resolve();
      next(0);
    });
  }
  read(bytes: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const next = (done: number): void => {
        read(this.#fd, bytes, done, bytes.length - done, position + done, (error, count) => {
          if (error) return reject(error);
          if (count === 0 || done + count === bytes.length) return resolve(done + count);
          next(done + count);
        });
      };
      if (bytes.length === 0) return resolve(0);
      next(0);
    });
  }
  sync(): Promise<void> {
    return new Promise((resolve, reject) => fdatasync(this.#fd, (error) => (error ? reject(error) : resolve())));
  }
  size(): Promise<number> {
    return new Promise((resolve, reject) =>
      fstat(this.#fd, (error, stat) => (error ? reject(error) : resolve(stat.size))),
    );
  }
  truncate(length: number): Promise<void> {
    return new Promise((resolve, reject) =>
      ftruncate(this.#fd, length, (error) => (error ? reject(error) : resolve())),
    );
  }
  close(): Promise<void> {
    return new Promise((resolve, reject) => close(this.#fd, (error) => (error ? reject(error) : resolve())));
  }
}

const modes: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  'append-new': constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  change: constants.O_RDWR,
};

function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) =>
    open(path, flags, 0o600, (error, fd) => (error ? reject(error) : resolve(fd))),
  );
}

async function openFile(path: string, mode: OpenMode): Promise<DiskFile> {
  if (mode === 'append-new' && constants.O_DIRECT !== undefined) {
    try {
      return new FileDiskFile(await openDescriptor(path, modes[mode] | constants.O_DIRECT));
    } catch (error) {
      // EINVAL: this file system refuses O_DIRECT (tmpfs before Linux 6.6, some network file systems).
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      await unlink(path).catch(() => undefined);
    }
  }
  return new FileDiskFile(await openDescriptor(path, modes[mode]));
}

async function syncDirectory(path: string): Promise<void> {
  const fd = await openDescriptor(path, constants.O_RDONLY);
  try {
    await new Promise<void>((resolve, reject) => fsync(fd, (error) => (error ? reject(error) : resolve())));
  } finally {
    await new Promise<void>((resolve) => close(fd, () => resolve()));
  }
}

export const fileDisk: Disk = {
  open: openFile,
  list: (directory) => readdir(directory),
  makeDirectory: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  remove: (path) => unlink(path),
  syncDirectory,
};
