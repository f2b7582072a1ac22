// What the disk takes: sequential writes that are durable at the end, direct and through the page cache.
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

const writeBytes = 1024 * 1024;
const inFlight = 4;
/** Node's types leave out what is not JavaScript's own. */
const wasm = (globalThis as unknown as { WebAssembly: WasmNamespace }).WebAssembly;
interface WasmNamespace {
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
}

export interface DiskRate {
  /** Undefined where the file system refuses O_DIRECT. */
  readonly directMBps: number | undefined;
  readonly bufferedMBps: number;
}

export async function measureDisk(folder: string, totalBytes: number): Promise<DiskRate> {
  return {
    directMBps: await writeRun(folder, totalBytes, constants.O_DIRECT),
    bufferedMBps: (await writeRun(folder, totalBytes, 0)) ?? 0,
  };
}

async function writeRun(folder: string, totalBytes: number, flags: number): Promise<number | undefined> {
  const path = join(folder, 'disk.tmp');
  // The memory of a WebAssembly.Memory is page aligned, which O_DIRECT asks for.
  const pool = new Uint8Array(new wasm.Memory({ initial: (inFlight * writeBytes) / 65_536 }).buffer);
  crypto.getRandomValues(pool.subarray(0, 65_536));
  pool.copyWithin(65_536, 0, pool.length - 65_536);
  let file: FileHandle;
  try {
    file = await open(path, constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY | flags);
  } catch (error) {
    if (flags !== 0 && (error as NodeJS.ErrnoException).code === 'EINVAL') return undefined;
    throw error;
  }
  try {
    const startedAt = performance.now();
    let at = 0;
    const writer = async (lane: number): Promise<void> => {
      const buffer = pool.subarray(lane * writeBytes, (lane + 1) * writeBytes);
      while (at < totalBytes) {
        const position = at;
        at += writeBytes;
        const { bytesWritten } = await file.write(buffer, 0, writeBytes, position);
        if (bytesWritten !== writeBytes) throw new Error('the disk took a part of a write');
      }
    };
    await Promise.all(Array.from({ length: inFlight }, (_, lane) => writer(lane)));
    await file.datasync();
    return at / 1e3 / (performance.now() - startedAt);
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
