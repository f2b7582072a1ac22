// How the log reaches stderr without ever making the process wait for whoever reads it.
import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

/** Where lines go, one write at a time. */
export interface LogSink {
  /** Lines are gathered up to this size; only a longer line makes a longer write. */
  readonly batchBytes: number;
  /** Calls back (perhaps at once) when it can take more. Must not block. */
  write(lines: string, done: () => void): void;
  /** The last lines of a process that is ending, which nothing can follow. */
  writeLast(lines: string): void;
}

/** A pipe takes this much at once or not at all (PIPE_BUF), which keeps the lines of several processes apart. */
const pipeBatchBytes = 4096;
const fileBatchBytes = 64 * 1024;
const retryMs = 20;

/**
 * A file is written in the thread pool, because a busy disk can make a write wait. A pipe must not be: a reader that has
 * stopped would keep one of the pool's few threads, which the content log needs, and then the process from exiting. So
 * a pipe is written at once, without blocking, and again a little later when it is full.
 */
export function stderrSink(): LogSink {
  return isFile(2) ? fileSink(2) : pipeSink(openUnblocked());
}

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}

/**
 * Whether a descriptor blocks is shared by all processes that inherited it (and forking a worker makes it block again),
 * so a pipe is opened anew. What cannot be (a socket, a pipe of another user) is unblocked where it is, by Node's stream.
 */
function openUnblocked(): number {
  try {
    return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    process.stderr.on('error', () => {});
    return 2;
  }
}

/** At an error (a full disk, a pipe that nobody reads any more) the batch is given up: the log is not worth a request. */
function fileSink(descriptor: number): LogSink {
  const writeAll = (bytes: Buffer, done: () => void): void =>
    write(descriptor, bytes, 0, bytes.length, null, (error, written) => {
      if (error !== null || written === bytes.length) done();
      else writeAll(bytes.subarray(written), done);
    });
  return {
    batchBytes: fileBatchBytes,
    write: (lines, done) => writeAll(Buffer.from(lines), done),
    writeLast: (lines) => void tryWrite(descriptor, Buffer.from(lines)),
  };
}

function pipeSink(descriptor: number): LogSink {
  const writeAll = (bytes: Buffer, done: () => void): void => {
    const rest = tryWrite(descriptor, bytes);
    if (rest.length === 0) done();
    else setTimeout(writeAll, retryMs, rest, done).unref();
  };
  return {
    batchBytes: pipeBatchBytes,
    write: (lines, done) => writeAll(Buffer.from(lines), done),
    writeLast: (lines) => void tryWrite(descriptor, Buffer.from(lines)),
  };
}

/** What is still to be written: nothing, also after an error that will not pass. */
function tryWrite(descriptor: number, bytes: Buffer): Buffer {
  try {
    return bytes.subarray(writeSync(descriptor, bytes));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? bytes : bytes.subarray(bytes.length);
  }
}
