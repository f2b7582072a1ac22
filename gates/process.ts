// Runs another program to its end: bounded in time and in the output that is kept.

import { spawn } from 'node:child_process';

export interface ProcessOptions {
  readonly cwd?: string;
  /** Added to this process's environment; undefined removes a name. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array;
  /** Called once with the process's id, for a check that kills it. */
  readonly onStart?: (pid: number) => void;
}

export interface ProcessResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
  readonly timedOut: boolean;
}

const outputBytesMax = 64 * 1024 * 1024;

export function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const started = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<ProcessResult>();
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: environment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stdout = gather(child.stdout);
  const stderr = gather(child.stderr);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
    // A grandchild may hold the pipes open after the child is gone.
    setTimeout(() => {
      child.stdout.destroy();
      child.stderr.destroy();
    }, 1000).unref();
  }, options.timeoutMs ?? 120_000);
  child.once('error', (error) => {
    clearTimeout(timer);
    reject(new Error(`${command} did not start`, { cause: error }));
  });
  child.once('spawn', () => child.pid !== undefined && options.onStart?.(child.pid));
  child.once('close', (code, signal) => {
    clearTimeout(timer);
    resolve({ code, signal, stdout: stdout(), stderr: stderr(), ms: performance.now() - started, timedOut });
  });
  child.stdin.on('error', () => {}); // a program may end without reading its input
  child.stdin.end(options.input);
  return promise;
}

/** As runProcess, but any end other than exit code 0 throws with the last lines that were printed. */
export async function runOrThrow(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const result = await runProcess(command, args, options);
  if (result.code !== 0 || result.timedOut) throw new Error(describeEnd(`${command} ${args[0] ?? ''}`, result));
  return result;
}

export function describeEnd(what: string, result: ProcessResult): string {
  const end = result.timedOut ? 'was cut off by its time limit' : `ended with ${result.code ?? result.signal}`;
  const lines = `${result.stdout}\n${result.stderr}`.split('\n').filter((line) => line.trim() !== '');
  const shortened = lines.slice(-6).map((line) => (line.length > 240 ? `${line.slice(0, 240)}...` : line));
  return `${what} ${end}: ${shortened.join(' | ')}`;
}

function gather(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    if (bytes < outputBytesMax) chunks.push(chunk);
    bytes += chunk.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function environment(added: ProcessOptions['env']): NodeJS.ProcessEnv {
  const result: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(added ?? {})) {
    if (value === undefined) delete result[name];
    else result[name] = value;
  }
  return result;
}
