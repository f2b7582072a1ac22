// Starts a real `causeway serve` for a gate, waits for its ready line, and ends it by its own process id.

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunningServer, ServerAccess, StartOptions } from './gate.ts';

/** The development account that every Azure tool knows. Public by design: `--dev` alone accepts it. */
export const developmentAccount = {
  account: 'devstoreaccount1',
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
} as const;

const readyTimeoutMs = 30_000;
const drainTimeoutMs = 20_000;
const readyPrefix = 'causeway ready ';

export async function startServer(root: string, workDir: string, options: StartOptions): Promise<RunningServer> {
  const dataDir = options.dataDir ?? join(workDir, `${options.name}-data`);
  const logPath = join(workDir, `${options.name}.log`);
  await mkdir(dataDir, { recursive: true });
  const args = ['serve', '--dev', '--data', dataDir, '--blob-port', '0', '--admin-port', '0', ...(options.args ?? [])];
  const child = spawn(join(root, 'bin', 'causeway'), args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  const log = createWriteStream(logPath, { flags: 'a' });

  let ended: { code: number | null; signal: string | null } | undefined;
  const gone = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<string>();
  child.once('error', (error) => {
    ended = { code: null, signal: null };
    ready.reject(new Error('bin/causeway did not start', { cause: error }));
    gone.resolve();
  });
  child.once('exit', (code, signal) => {
    ended = { code, signal };
    ready.reject(new Error(`causeway serve ended with ${code ?? signal} before it was ready`));
    gone.resolve();
  });
  let unready: string | undefined = '';
  child.stdout.on('data', (chunk: Buffer) => {
    log.write(chunk);
    if (unready === undefined) return;
    unready += chunk.toString('utf8');
    const line = unready
      .split('\n')
      .slice(0, -1)
      .find((candidate) => candidate.startsWith(readyPrefix));
    if (line === undefined) return;
    unready = undefined;
    ready.resolve(line.slice(readyPrefix.length));
  });
  child.stderr.on('data', (chunk: Buffer) => log.write(chunk));

  const end = async (signal: NodeJS.Signals, timeoutMs: number): Promise<boolean> => {
    if (ended) return true;
    child.kill(signal);
    return settledWithin(gone.promise, timeoutMs);
  };
  const kill = async (): Promise<void> => {
    if (!(await end('SIGKILL', drainTimeoutMs))) throw new Error(`process ${child.pid} survives SIGKILL`);
  };

  const timer = setTimeout(() => ready.reject(new Error(`no ready line within ${readyTimeoutMs} ms`)), readyTimeoutMs);
  let access: ServerAccess;
  try {
    const urls = JSON.parse(await ready.promise) as { blob: string; admin: string };
    access = { blob: urls.blob, admin: urls.admin, ...developmentAccount };
  } catch (error) {
    await kill();
    const tail = (await readFile(logPath, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join(' | ');
    throw new Error(`${error instanceof Error ? error.message : error}: ${tail}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  return {
    access,
    pid: child.pid ?? -1,
    dataDir,
    logPath,
    ended: () => ended,
    kill,
    async stop() {
      if (!(await end('SIGTERM', drainTimeoutMs))) await kill();
      return ended?.code ?? null;
    },
  };
}

async function settledWithin(promise: Promise<void>, timeoutMs: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
