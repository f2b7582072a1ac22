// Starts the real server as its users do, waits for its ready line, and ends it: politely or not at all.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const causewayCommand = fileURLToPath(new URL('../../bin/causeway', import.meta.url));
const readyTimeoutMs = 60_000;
const stopTimeoutMs = 60_000;
const linesKept = 60;

export interface ServerOptions {
  readonly command?: string;
  readonly dataDir: string;
  readonly workers: number;
  /** `name=value` of the configuration. */
  readonly settings?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export class CausewayServer {
  readonly blobUrl: string;
  readonly #child: ChildProcess;
  readonly #lines: string[];

  private constructor(child: ChildProcess, blobUrl: string, lines: string[]) {
    this.#child = child;
    this.blobUrl = blobUrl;
    this.#lines = lines;
  }

  static async start(options: ServerOptions): Promise<CausewayServer> {
    const child = spawn(
      options.command ?? causewayCommand,
      [
        ...['serve', '--dev', '--data', options.dataDir, '--workers', String(options.workers)],
        ...['--blob-port', '0', '--admin-port', '0'],
        ...(options.settings ?? []).flatMap((setting) => ['--set', setting]),
      ],
      // A process group of its own, so that one kill reaches the primary and every worker in the same instant.
      { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.environment } },
    );
    const lines: string[] = [];
    let timer: NodeJS.Timeout | undefined;
    const ready = new Promise<string>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no ready line in ${readyTimeoutMs} ms`)), readyTimeoutMs);
      const take = (line: string): void => {
        lines.push(line.slice(0, 400));
        if (lines.length > linesKept) lines.shift();
        const found = /^causeway ready (\{.*\})$/.exec(line);
        if (found !== null) resolve((JSON.parse(found[1] as string) as { blob: string }).blob);
      };
      for (const stream of [child.stdout, child.stderr]) eachLine(stream, take);
      child.on('error', reject);
      child.on('exit', (code, signal) => reject(new Error(`it ended with ${code ?? signal}`)));
    });
    try {
      return new CausewayServer(child, await ready, lines);
    } catch (error) {
      killGroup(child);
      throw new Error(`the server did not start: ${(error as Error).message}\n${lines.join('\n')}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The last lines of its output, for a report. */
  output(): string {
    return this.#lines.join('\n');
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Kills every process of the server in one instant, and returns when all are gone. */
  async kill(): Promise<void> {
    const gone = this.running ? once(this.#child, 'exit') : undefined;
    killGroup(this.#child);
    await gone;
    // Workers are killed with their primary, but reaped by others: until then they may hold locks.
    for (let waitedMs = 0; groupExists(this.#child); waitedMs += 5) {
      if (waitedMs > stopTimeoutMs) throw new Error('a killed worker is still there');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** SIGTERM; throws if the server does not end with 0. */
  async stop(): Promise<void> {
    const exit = once(this.#child, 'exit', { signal: AbortSignal.timeout(stopTimeoutMs) });
    this.#child.kill('SIGTERM');
    try {
      const [code, signal] = (await exit) as [number | null, string | null];
      if (code !== 0) throw new Error(`the server ended with ${code ?? signal} on SIGTERM\n${this.output()}`);
    } finally {
      killGroup(this.#child);
    }
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Whether a process of the group still runs; one that only waits to be reaped holds nothing any more. */
function groupExists(child: ChildProcess): boolean {
  const group = String(child.pid);
  if (process.platform !== 'linux') {
    try {
      return process.kill(-Number(group), 0);
    } catch {
      return false;
    }
  }
  return readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return processGroup === group && state !== 'Z' && state !== 'X';
    } catch {
      return false;
    }
  });
}

function eachLine(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
  let rest = '';
  stream?.setEncoding('utf8');
  stream?.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
}
