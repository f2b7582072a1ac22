// How a command reaches the server that runs on the same data: a socket in the data directory, which only its owner can enter.
import { existsSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { FileIdentities } from '../base/file-identity.ts';

/** A management command, by its name in the table of surfaces/admin. */
export interface ControlRequest {
  readonly command: string;
  readonly input: object;
}

const socketName = 'control.sock';
const requestBytesMax = 64 * 1024;
const answerBytesMax = 16 * 1024 * 1024;
/** A command may wait for a key vault. */
const timeoutMs = 60_000;

const watchMs = 500;

export interface Control {
  close(): void;
}

/**
 * One request a connection: a line of JSON in, a line of JSON out. The caller holds the directory's lock. A socket that
 * was removed comes back within a second; `onLost` is told.
 */
export async function startControl(
  root: string,
  run: (request: ControlRequest) => Promise<object>,
  onLost: () => void,
): Promise<Control> {
  let server: Server | undefined = await listen(root, run);
  let files = new FileIdentities([join(root, socketName)]);
  let isEnding = false;
  const leave = async (): Promise<void> => {
    const left = server;
    server = undefined;
    // It takes the name away that it was given, which is one of this directory.
    await inDirectory(root, async () => left?.close()).catch(() => left?.close());
  };
  const look = async (): Promise<void> => {
    if (server !== undefined) {
      if (files.lost() === undefined) return;
      onLost();
      await leave();
    }
    const again = await listen(root, run);
    server = again;
    files = new FileIdentities([join(root, socketName)]);
    if (isEnding) await leave();
  };
  let isBusy = false;
  const timer = setInterval(async () => {
    if (isBusy) return;
    isBusy = true;
    // What fails is tried again: where the directory itself is gone, whoever watches that ends the server.
    await look().catch(() => undefined);
    isBusy = false;
  }, watchMs).unref();
  return {
    close: () => {
      isEnding = true;
      clearInterval(timer);
      void leave();
    },
  };
}

async function listen(root: string, run: (request: ControlRequest) => Promise<object>): Promise<Server> {
  if (existsSync(join(root, socketName))) unlinkSync(join(root, socketName));
  const server = createServer((socket) => {
    socket.setTimeout(timeoutMs, () => socket.destroy());
    void readLine(socket, requestBytesMax)
      .then(async (line) => {
        if (line === undefined) return void socket.destroy();
        const request = requestOf(line);
        socket.end(`${JSON.stringify(request === undefined ? unreadable : await run(request))}\n`);
      })
      .catch(() => socket.destroy());
  });
  server.maxConnections = 16;
  await inDirectory(
    root,
    () => new Promise<void>((resolve, reject) => server.once('error', reject).listen(socketName, resolve)),
  );
  return server;
}

export const outcomeUnknown = {
  kind: 'refused',
  code: 'OutcomeUnknown',
  message: 'the server ended or failed meanwhile: whether it was done is not known; look before you try again',
} as const;

const unreadable = { kind: 'refused', code: 'InvalidInput', message: 'the request is not one that the server knows' };

function requestOf(line: string): ControlRequest | undefined {
  try {
    const { command, input } = JSON.parse(line) as { command?: unknown; input?: unknown };
    return typeof command === 'string' && typeof input === 'object' && input !== null ? { command, input } : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined when no server takes the request; `outcomeUnknown` when one took it and does not answer. */
export async function callControl(root: string, request: ControlRequest): Promise<object | undefined> {
  let isSent = false;
  try {
    const socket = await inDirectory(root, async () => createConnection(socketName));
    socket.once('connect', () => {
      isSent = true;
    });
    socket.setTimeout(timeoutMs, () => socket.destroy());
    socket.write(`${JSON.stringify(request)}\n`);
    const line = await readLine(socket, answerBytesMax);
    socket.destroy();
    if (line !== undefined) return JSON.parse(line) as object;
  } catch {
    // As when the socket is closed without an answer.
  }
  return isSent ? outcomeUnknown : undefined;
}

// The path of a socket has room for about a hundred bytes: it is named from within its directory.
async function inDirectory<T>(root: string, work: () => Promise<T>): Promise<T> {
  const before = process.cwd();
  process.chdir(root);
  const result = work();
  process.chdir(before);
  return await result;
}

function readLine(socket: Socket, bytesMax: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      const end = chunk.indexOf('\n');
      text += end === -1 ? chunk : chunk.slice(0, end);
      if (text.length > bytesMax) resolve(undefined);
      else if (end !== -1) resolve(text);
    });
    socket.on('end', () => resolve(undefined));
    socket.on('error', reject);
    socket.on('close', () => resolve(undefined));
  });
}
