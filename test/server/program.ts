// The real program as a child: what it prints, how it ends, and requests to it that are signed as any client signs them.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type ClientRequest, type IncomingHttpHeaders, type RequestOptions, request as startRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { causewayCommand } from '../support/causeway-server.ts';
import { developmentAccount, developmentKey } from '../support/sas.ts';

const endTimeoutMs = 40_000;

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A directory of a test file's own, removed behind it: a server ends with 1 when its directory goes away before it does. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-server-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Runs `causeway` to its end. */
export async function causeway(...words: readonly string[]): Promise<Ended> {
  const program = new Program(words);
  try {
    const code = await program.ended();
    return { code, out: program.out, err: program.err };
  } finally {
    program.kill();
  }
}

class Program {
  readonly child: ChildProcess;
  readonly #exit: Promise<number | null>;
  out = '';
  err = '';

  constructor(words: readonly string[]) {
    this.child = spawn(causewayCommand, words, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    this.#exit = once(this.child, 'close').then(([code]) => code as number | null);
  }

  async ended(): Promise<number | null> {
    const ended = await Promise.race([this.#exit, sleep(endTimeoutMs, 'late' as const, { ref: false })]);
    if (ended === 'late') throw new Error(`it has not ended in ${endTimeoutMs} ms\n${this.out}${this.err}`);
    return ended;
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The whole process group: nothing of it outlives a test. */
  kill(): void {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

export interface ServerOptions {
  readonly data: string;
  readonly dev?: boolean;
  readonly workers?: number;
  /** Further words of the command line. */
  readonly words?: readonly string[];
  readonly settings?: readonly string[];
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly account?: string;
  readonly key?: string;
}

export class Server {
  readonly program: Program;
  readonly readyLine: string;
  readonly blob: URL;
  readonly admin: URL;

  private constructor(program: Program, readyLine: string) {
    this.program = program;
    this.readyLine = readyLine;
    const urls = JSON.parse(readyLine.slice('causeway ready '.length)) as { blob: string; admin: string };
    this.blob = new URL(urls.blob);
    this.admin = new URL(urls.admin);
  }

  static async start({ data, dev = true, workers = 2, words = [], settings = [] }: ServerOptions): Promise<Server> {
    const program = new Program([
      ...['serve', '--data', data, '--workers', `${workers}`, '--blob-port', '0', '--admin-port', '0'],
      ...(dev ? ['--dev'] : []),
      ...settings.flatMap((setting) => ['--set', setting]),
      ...words,
    ]);
    const started = performance.now();
    for (;;) {
      const line = /^causeway ready .*(?=\n)/m.exec(program.out);
      if (line !== null) return new Server(program, line[0]);
      if (program.isOver || performance.now() - started > endTimeoutMs) {
        program.kill();
        throw new Error(`no ready line\n${program.out}${program.err}`);
      }
      await sleep(10);
    }
  }

  /** SIGTERM; answers the exit code. */
  async stop(): Promise<number | null> {
    this.program.child.kill('SIGTERM');
    try {
      return await this.program.ended();
    } finally {
      this.program.kill();
    }
  }

  /** The log so far, a line each. */
  logLines(): string[] {
    return this.program.err.split('\n').filter((line) => line !== '');
  }

  /** The processes that serve. */
  workers(): number[] {
    const { pid } = this.program.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? [] : children.split(' ').map(Number);
  }

  /** A signed request, with its whole body at once. */
  call(call: Call): Promise<Answer> {
    return answerTo(this.begin(call, call.body?.length ?? 0), call.body ?? Buffer.alloc(0));
  }

  /** A signed request whose body the caller sends; `length` is announced, or else the body is chunked. */
  begin(call: Call, length: number | undefined): ClientRequest {
    const options = signed(this.blob, { method: call.method ?? 'GET', ...call }, length);
    return startRequest({ ...options, agent: false });
  }

  createContainer(name: string, more: Partial<Call> = {}): Promise<Answer> {
    return this.call({ method: 'PUT', path: `/${name}`, query: 'restype=container', ...more });
  }

  put(path: string, body: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.call({ method: 'PUT', path, headers: { 'x-ms-blob-type': 'BlockBlob', ...headers }, body });
  }

  /** A bare connection, for what no client sends. */
  async connection(): Promise<Connection> {
    const socket = connect(Number(this.blob.port), this.blob.hostname);
    await once(socket, 'connect');
    return new Connection(socket);
  }

  async fromAdmin(path: string, method = 'GET'): Promise<Answer> {
    const { hostname: host, port } = this.admin;
    return answerTo(startRequest({ host, port, path, method, agent: false }), Buffer.alloc(0));
  }
}

export class Connection {
  readonly socket: Socket;
  received = '';
  #closed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.received += text;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
    });
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Waits until the received text has this in it, or the end. */
  async until(pattern: RegExp, timeoutMs = 10_000): Promise<void> {
    await eventually(
      () => pattern.test(this.received),
      `${pattern} in what came back`,
      timeoutMs,
      () => this.received,
    );
  }

  async closed(timeoutMs = 10_000): Promise<void> {
    await eventually(
      () => this.#closed,
      'the connection closed',
      timeoutMs,
      () => this.received,
    );
  }
}

export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 10_000,
  more: () => string = () => '',
): Promise<void> {
  const started = performance.now();
  while (!(await holds())) {
    if (performance.now() - started > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}\n${more()}`);
    await sleep(20);
  }
}

export function answerTo(sent: ClientRequest, body?: Buffer, timeoutMs = endTimeoutMs): Promise<Answer> {
  return new Promise((resolve, reject) => {
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error('no answer')));
    sent.on('error', reject);
    sent.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    if (body !== undefined) sent.end(body);
  });
}

/** The options of a request with its Shared Key signature ("Authorize with Shared Key", 2015-02-21 and later). */
export function signed(
  base: URL,
  call: Call & { readonly method: string },
  length: number | undefined,
): RequestOptions & { readonly headers: Record<string, string>; readonly path: string } {
  const { method, query, account = developmentAccount, key = developmentKey } = call;
  const path = `/${account}${call.path.split('/').map(encodeURIComponent).join('/')}`;
  const headers: Record<string, string> = {
    'x-ms-version': '2022-11-02',
    'x-ms-date': new Date().toUTCString(),
    ...(length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': `${length}` }),
    ...call.headers,
  };
  const names = ['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date'];
  const conditions = ['if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range'];
  const values = [...names, ...conditions].map((name) => {
    const value = headers[name] ?? '';
    return name === 'content-length' && value === '0' ? '' : value;
  });
  const canonicalHeaders = Object.entries(headers)
    .filter(([name]) => name.startsWith('x-ms-'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}`);
  const parameters = [...new URLSearchParams(query)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}:${value}`);
  const text = [method, ...values, ...canonicalHeaders, `/${account}${path}`, ...parameters].join('\n');
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
  headers.authorization = `SharedKey ${account}:${signature}`;
  const { hostname: host, port } = base;
  return { host, port, method, path: query === undefined ? path : `${path}?${query}`, headers };
}

/** The head of a signed request as it goes over a bare connection. */
export function headOf(server: Server, call: Call & { readonly method: string }, length: number | undefined): string {
  const { path, headers } = signed(server.blob, call, length);
  const lines = Object.entries({ host: server.blob.host, ...headers }).map(([name, value]) => `${name}: ${value}`);
  return `${call.method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}
