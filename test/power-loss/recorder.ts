// Builds the recorder and says with what environment a server is recorded.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { identityOf, type RecordedCall, readRecordLog } from './record-log.ts';

const compiler = process.env.CC ?? 'cc';
const source = fileURLToPath(new URL('./record.c', import.meta.url));

/** Why recording is impossible on this machine, if it is. */
export function recorderMissing(): string | undefined {
  if (process.platform !== 'linux') return 'the recorder is a preload library for Linux';
  try {
    execFileSync(compiler, ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return `the recorder needs a C compiler (${compiler})`;
  }
}

export class Recorder {
  readonly root: string;
  readonly rootIdentity: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly #logFile: string;
  readonly #counterFd: number;
  readonly #counter = Buffer.alloc(16);

  /** Records changes below `root`, a directory; its own files go to `workDir`, which is elsewhere. */
  constructor(root: string, workDir: string) {
    const library = join(workDir, 'record.so');
    execFileSync(compiler, ['-std=gnu11', '-O2', '-Wall', '-fPIC', '-shared', '-o', library, source, '-ldl']);
    const counterFile = join(workDir, 'counter');
    writeFileSync(counterFile, Buffer.alloc(4096));
    this.#counterFd = openSync(counterFile, 'r');
    this.#logFile = join(workDir, 'calls.log');
    writeFileSync(this.#logFile, '');
    this.root = root;
    this.rootIdentity = identityOf(root);
    this.environment = {
      LD_PRELOAD: library,
      UV_USE_IO_URING: '0',
      CAUSEWAY_RECORD_ROOT: root,
      CAUSEWAY_RECORD_LOG: this.#logFile,
      CAUSEWAY_RECORD_COUNTER: counterFile,
    };
  }

  /** The number that the next recorded call will get: all that has ended has a lower one. */
  now(): number {
    readSync(this.#counterFd, this.#counter, 0, 16, 0);
    return Number(this.#counter.readBigUInt64LE(0));
  }

  /** What was recorded; every recorded process must have ended. */
  calls(): RecordedCall[] {
    this.now();
    if (this.#counter.readBigUInt64LE(8) !== 0n) throw new Error('the recorder lost a record (a short write)');
    return readRecordLog(this.#logFile);
  }

  close(): void {
    closeSync(this.#counterFd);
  }
}
