// The log: JSON lines on stderr that never hold a secret, never make a request wait, and never fill the memory.
import pino from 'pino';
import type { Config } from './config.ts';
import { type LogSink, stderrSink } from './log-sink.ts';

/** What is logged of a request. `clientRequestId` and `path` are the client's own text: the caller bounds their length. */
export interface RequestLine {
  readonly requestId: string;
  readonly client?: string | undefined;
  readonly account: string | undefined;
  readonly operation: string;
  readonly path?: string | undefined;
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  readonly errorCode?: string | undefined;
  readonly clientRequestId?: string | undefined;
}

type Write = (fields: object, message: string) => void;

export interface Logger {
  readonly trace: Write;
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  readonly fatal: Write;
  /** One line a request, unless `requestLog` is off. */
  request(line: RequestLine): void;
  /** The same log with `fields` on every line. */
  child(fields: object): Logger;
  /** Lines that were given up because stderr took them too slowly. */
  readonly dropped: number;
  /** Writes what is waiting, for at most `timeoutMs`: a reader that has stopped must not keep a process from ending. */
  close(timeoutMs?: number): Promise<void>;
}

const waitingBytesMax = 1 << 20;
const flushIntervalMs = 100;
const closeTimeoutMs = 2000;

export function createLogger(
  config: Pick<Config, 'logLevel' | 'requestLog'>,
  sink: LogSink = stderrSink(),
  base: object = {},
): Logger {
  const lines = new LineBuffer(sink);
  const logger = pino(
    {
      level: config.logLevel,
      base: { pid: process.pid, ...base },
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
      hooks: { streamWrite: withoutSecrets },
    },
    lines,
  );
  return face(logger, lines, config.requestLog);
}

function face(logger: pino.Logger, lines: LineBuffer, requestLog: boolean): Logger {
  const at =
    (level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'): Write =>
    (fields, message) =>
      logger[level](fields, message);
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
    request: requestLog && logger.isLevelEnabled('info') ? requestWriter(logger, lines) : () => {},
    child: (fields) => face(logger.child(fields), lines, requestLog),
    get dropped() {
      return lines.dropped;
    },
    close: (timeoutMs = closeTimeoutMs) => lines.close(timeoutMs),
  };
}

/** What a client cannot have put a secret or a quotation mark into. */
const plainName = /^[A-Za-z0-9$-]*$/;
const plainPath = /^[\w$./-]*$/;

/** The line of a request as the logger would write it, at a fraction of its time: there is one for every request. */
function requestWriter(logger: pino.Logger, lines: LineBuffer): (line: RequestLine) => void {
  // The fields of every line, as they were made into JSON once: `,"name":value` for each.
  const common = (logger as unknown as Record<symbol, string>)[pino.symbols.chindingsSym] ?? '';
  return (line) => {
    const { requestId, client, account, operation, path, status, bytesIn, bytesOut, durationMs } = line;
    const { errorCode, clientRequestId } = line;
    let json = `{"level":"info","time":${Date.now()}${common},"requestId":"${requestId}"`;
    const isPlain =
      clientRequestId === undefined &&
      (account === undefined || plainName.test(account)) &&
      (path === undefined || plainPath.test(path));
    if (client !== undefined) json += `,"client":"${client}"`;
    if (account !== undefined) json += isPlain ? `,"account":"${account}"` : `,"account":${JSON.stringify(account)}`;
    json += `,"operation":"${operation}"`;
    if (path !== undefined) json += isPlain ? `,"path":"${path}"` : `,"path":${JSON.stringify(path)}`;
    json += `,"status":${status},"bytesIn":${bytesIn},"bytesOut":${bytesOut}`;
    json += `,"durationMs":${Math.round(durationMs * 1000) / 1000}`;
    if (errorCode !== undefined) json += `,"errorCode":"${errorCode}"`;
    if (clientRequestId !== undefined) json += `,"clientRequestId":${JSON.stringify(clientRequestId)}`;
    json += ',"msg":"request"}\n';
    lines.write(isPlain ? json : withoutSecrets(json));
  };
}

/**
 * The last defence, on the finished line, so that it holds for fields, messages and stacks of errors alike: members that
 * are named like a secret, and secrets in the forms that URLs, headers and connection strings give them.
 */
const secretNames =
  '(?:(?:proxy-|x-ms-copy-source-)?authorization|cookie|password|secret|token|sig|signature|key[12]?|accountKey|connectionString)';
/** Where a word begins and what parts words, also in a URL that was encoded once or more. */
const start = String.raw`(?:\b|%(?:25)*[0-9a-f]{2})`;
const blank = String.raw`(?: |%(?:25)*20)`;
const secretForms = new RegExp(
  [
    String.raw`("${secretNames}":")(?:[^"\\]|\\.)*`,
    // JSON within a message
    String.raw`(\\"${secretNames}\\":\s?\\")[^"\\]*`,
    String.raw`((?:\b|%(?:25)*(?:3f|26))sig(?:=|%(?:25)*3d))[^&"\s\\;]+`,
    String.raw`((?:AccountKey|SharedAccessSignature)(?:=|%(?:25)*3d))[^;"\s\\]+`,
    String.raw`(${start}SharedKey(?:Lite)?${blank}[\w-]+(?::|%(?:25)*3a))[^"\s\\]+`,
    String.raw`(${start}Bearer${blank})[^"\s\\]+`,
  ].join('|'),
  'gi',
);

export function withoutSecrets(line: string): string {
  return line.replace(secretForms, (_, ...groups) => `${groups.find((group) => group !== undefined)}[secret]`);
}

/** Gathers lines and hands them on in order, one write at a time; past its bound it drops lines and says how many. */
class LineBuffer {
  readonly #sink: LogSink;
  /** Only the last batch is still being filled. */
  #waiting: { lines: string; bytes: number }[] = [];
  #waitingBytes = 0;
  #writing = false;
  /** Everything is to be written, not just full batches. */
  #draining = false;
  #timer: NodeJS.Timeout | undefined;
  #drained: (() => void) | undefined;
  #unreported = 0;
  #closed = false;
  dropped = 0;

  constructor(sink: LogSink) {
    this.#sink = sink;
    process.once('exit', this.#atExit);
  }

  write(line: string): void {
    if (this.#closed) {
      this.#sink.writeLast(line);
      return;
    }
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > waitingBytesMax) {
      this.dropped++;
      this.#unreported++;
      return;
    }
    this.#push(line, bytes);
    this.#next();
  }

  close(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#closed = true;
        process.removeListener('exit', this.#atExit);
        resolve();
      };
      const timer = setTimeout(end, timeoutMs);
      this.#drained = end;
      this.#drain();
    });
  }

  #push(line: string, bytes: number): void {
    this.#waitingBytes += bytes;
    const batch = this.#waiting.at(-1);
    if (batch === undefined || batch.bytes + bytes > this.#sink.batchBytes) this.#waiting.push({ lines: line, bytes });
    else {
      batch.lines += line;
      batch.bytes += bytes;
    }
  }

  readonly #drain = (): void => {
    this.#timer = undefined;
    this.#draining = true;
    this.#next();
  };

  #next(): void {
    if (this.#writing) return;
    this.#reportDropped();
    if (this.#waiting.length === 0) {
      this.#draining = false;
      this.#drained?.();
    } else if (this.#draining || this.#waiting.length > 1) {
      this.#writeBatch(this.#waiting.shift()!);
    } else {
      this.#timer ??= setTimeout(this.#drain, flushIntervalMs).unref();
    }
  }

  #writeBatch(batch: { lines: string; bytes: number }): void {
    this.#writing = true;
    this.#sink.write(batch.lines, () => {
      this.#writing = false;
      this.#waitingBytes -= batch.bytes;
      this.#next();
    });
  }

  #reportDropped(): void {
    if (this.#unreported === 0 || this.#waitingBytes > waitingBytesMax / 2) return;
    const report = {
      level: 'warn',
      time: Date.now(),
      pid: process.pid,
      count: this.#unreported,
      msg: 'log lines were dropped',
    };
    this.#unreported = 0;
    const line = `${JSON.stringify(report)}\n`;
    this.#push(line, Buffer.byteLength(line));
  }

  readonly #atExit = (): void => {
    if (this.#waiting.length > 0) this.#sink.writeLast(this.#waiting.map(({ lines }) => lines).join(''));
    this.#waiting = [];
  };
}
