// Starts, stops and kills the servers that the bench compares.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { account } from './account-sas.ts';
import { alive, cpuMs, processTree } from './process-tree.ts';

export const ServerName = { causeway: 'causeway', azurite: 'azurite', bare: 'bare' } as const;
export type ServerName = (typeof ServerName)[keyof typeof ServerName];

export const azuriteVersion = '3.37.0';
export const projectRoot = join(import.meta.dirname, '..');
const azuriteFolder = join(projectRoot, '.cache', `azurite-${azuriteVersion}`);
const azuriteMain = join(azuriteFolder, 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js');
const readyTimeoutMs = 180_000;
const stopTimeoutMs = 120_000;

export interface Server {
  readonly name: ServerName;
  readonly port: number;
  readonly pids: readonly number[];
  /** Looks for processes that were started since: a worker that died may have a successor. */
  refresh(): void;
  /** Nobody is measured while another server tidies up: an idle server that does background work can be held still. */
  hold(): void;
  release(): void;
  /** SIGTERM, and the time until the last process was gone. */
  stop(): Promise<number>;
  /** SIGKILL to every process at once, as a lost machine would. */
  kill(): Promise<void>;
}

export interface StartOptions {
  readonly folder: string;
  readonly workers: number;
  readonly causewayArguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Installs Azurite beside the project's own packages, once; the user's install never brings it. */
export function installAzurite(): void {
  if (existsSync(azuriteMain)) return;
  mkdirSync(azuriteFolder, { recursive: true });
  writeFileSync(join(azuriteFolder, 'package.json'), '{"private":true}\n');
  const install = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-save', `azurite@${azuriteVersion}`];
  const outcome = spawnSync('npm', install, { cwd: azuriteFolder, stdio: 'inherit', timeout: 600_000 });
  if (outcome.status !== 0) throw new Error(`npm could not install azurite@${azuriteVersion}`);
}

export async function startServer(name: ServerName, options: StartOptions): Promise<Server> {
  const { folder, workers } = options;
  mkdirSync(folder, { recursive: true });
  const node = process.execPath;
  switch (name) {
    case 'causeway': {
      const serve = ['serve', '--dev', '--workers', String(workers), '--blob-port', '0', '--admin-port', '0'];
      const rest = options.causewayArguments ?? [];
      const program = join(projectRoot, 'bin', 'causeway');
      return launch(
        name,
        program,
        [...serve, '--data', folder, ...rest],
        options,
        /^causeway ready .*"blob":"http:\/\/[^"]*?:(\d+)/m,
      );
    }
    case 'azurite': {
      // Its defaults, but for the telemetry that it would send out.
      const quiet = ['--silent', '--skipApiVersionCheck', '--disableTelemetry'];
      const place = ['--location', folder, '--blobPort', String(await freePort())];
      return launch(
        name,
        node,
        [azuriteMain, ...quiet, ...place],
        options,
        /listen\w* (?:at|on) http:\/\/[^\s]*?:(\d+)/,
      );
    }
    case 'bare': {
      const program = join(import.meta.dirname, 'bare-server.ts');
      return launch(name, node, [program, String(workers)], options, /ready http:\/\/[^\s]*?:(\d+)/);
    }
  }
}

/** Makes an encryption scope with a key of the server's own, for all that its containers say is to be sealed. */
export function makeScope({ folder }: StartOptions, scope: string): void {
  const program = join(projectRoot, 'bin', 'causeway');
  const create = ['scope', 'create', account, scope, '--local', '--data', folder];
  const outcome = spawnSync(program, create, { encoding: 'utf8', timeout: 60_000 });
  if (outcome.status !== 0) throw new Error(`no encryption scope could be made: ${outcome.stderr}`);
}

/** Waits until a server has nothing left to do from an earlier case; gives up quietly, since noise hits all rounds. */
export async function settle(server: Server, giveUpMs: number): Promise<void> {
  const until = Date.now() + giveUpMs;
  let calm = 0;
  while (calm < 2 && Date.now() < until) {
    const before = cpuMs(server.pids);
    await sleep(150);
    calm = cpuMs(server.pids) - before <= 10 ? calm + 1 : 0;
  }
}

async function launch(
  name: ServerName,
  program: string,
  programArguments: readonly string[],
  options: StartOptions,
  readyPattern: RegExp,
): Promise<Server> {
  // Output goes to a file: a pipe would have the bench spend processor time on a server's log.
  const logPath = `${options.folder}.log`;
  const log = openSync(logPath, 'w');
  const environment = { ...process.env, ...options.environment };
  const child = spawn(program, programArguments, { stdio: ['ignore', log, log], env: environment });
  closeSync(log);
  const failed = new Promise<never>((_, reject) => child.on('error', reject));
  failed.catch(() => {});
  const port = await Promise.race([waitReady(name, child, logPath, readyPattern), failed]);
  const pid = child.pid as number;
  let pids = processTree(pid);
  const refresh = (): void => {
    if (alive(pid)) pids = processTree(pid);
  };
  const signalAll = (signal: NodeJS.Signals): void => {
    for (const each of pids) if (alive(each)) process.kill(each, signal);
  };
  const killAtExit = (): void => signalAll('SIGKILL');
  process.on('exit', killAtExit);
  const gone = async (): Promise<number> => {
    const startedAt = performance.now();
    while (pids.some(alive)) {
      if (performance.now() - startedAt > stopTimeoutMs) {
        signalAll('SIGKILL');
        throw new Error(`${name} did not stop within ${stopTimeoutMs} ms`);
      }
      await sleep(2);
    }
    process.off('exit', killAtExit);
    return performance.now() - startedAt;
  };
  return {
    name,
    port,
    get pids() {
      return pids;
    },
    refresh,
    hold: () => signalAll('SIGSTOP'),
    release: () => signalAll('SIGCONT'),
    stop: () => {
      refresh();
      process.kill(pid, 'SIGTERM');
      return gone();
    },
    kill: async () => {
      refresh();
      signalAll('SIGKILL');
      await gone();
    },
  };
}

async function waitReady(name: ServerName, child: ChildProcess, logPath: string, pattern: RegExp): Promise<number> {
  const until = Date.now() + readyTimeoutMs;
  while (Date.now() < until) {
    const output = readFileSync(logPath, 'utf8');
    const port = pattern.exec(output)?.[1];
    if (port !== undefined) return Number(port);
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${name} ended before it was ready:\n${output.slice(-2000)}`);
    }
    await sleep(2);
  }
  child.kill('SIGKILL');
  throw new Error(`${name} was not ready within ${readyTimeoutMs} ms`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
