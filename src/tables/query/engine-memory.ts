// The memory of a process of the engine, bounded from outside: it cannot be trusted to look at itself while it is busy.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** What a process holds beside its database's own memory: the program, rows on their way, buffers of the reader. */
const besideBytes = 512 * 1024 * 1024;
/** Address space that the program reserves and never touches (its code alone half a GiB), and what allocators keep apart. */
const reservedBytes = 1024 * 1024 * 1024;

/** A process that holds more than this is killed when it is next looked at. */
export const residentBytesMax = (memoryBytes: number): number => memoryBytes + besideBytes;

/** How often that is. Where the kernel has a limit of its own as well, it holds for what goes faster. */
export const watchEveryMs = process.platform === 'linux' ? 50 : 250;

const shell = '/bin/sh';

/**
 * How to start Node with `options` so that the kernel gives it no more memory than that, whatever it does between two
 * looks. Only Linux counts what a process maps; elsewhere the looks have to do.
 */
export function limitedNode(memoryBytes: number, options: readonly string[]): { execPath: string; execArgv: string[] } {
  if (process.platform !== 'linux' || !existsSync(shell)) return { execPath: process.execPath, execArgv: [...options] };
  const dataBytes = residentBytesMax(memoryBytes) + Math.max(reservedBytes, memoryBytes);
  // A limit that is lower already stays.
  const script = `ulimit -d ${Math.floor(dataBytes / 1024)} 2>/dev/null; exec "$0" "$@"`;
  return { execPath: shell, execArgv: ['-c', script, process.execPath, ...options] };
}

/** Undefined where it cannot be told, or the process is gone. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const text = process.platform === 'linux' ? statusOf(pid) : await listedBy('ps', ['-o', 'rss=', '-p', `${pid}`]);
  const kibibytes = /(?:^|VmRSS:)\s*(\d+)/.exec(text)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return '';
  }
}

const listedBy = (command: string, args: string[]): Promise<string> =>
  new Promise((resolve) => {
    execFile(command, args, (error, stdout) => resolve(error === null ? stdout : ''));
  });
