// How a command reaches the server that runs on the same data: a socket in the data directory, which only its owner can enter.
import { existsSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

export type ControlRequest =
  | { readonly kind: 'create-account'; readonly name: string }
  | { readonly kind: 'rotate-key'; readonly name: string; readonly which: 1 | 2 }
  | { readonly kind: 'list-accounts' };

const socketName = 'control.sock';
const requestBytesMax = 64 * 1024;
const timeoutMs = 10_000;

/** One request a connection: a line of JSON in, a line of JSON out. The caller holds the directory's lock. */
export async function startControl(root: string, run: (request: ControlRequest) => Promise<object>): Promise<Server> {
  if (existsSync(join(root, socketName))) unlinkSync(join(root, socketName));
  const server = createServer((socket) => {
    socket.setTimeout(timeoutMs, () => socket.destroy());
    void readLine(socket)
      .then(async (line) => {
        if (line !== undefined) socket.end(`${JSON.stringify(await run(JSON.parse(line) as ControlRequest))}\n`);
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

/** Undefined when no server answers. */
export async function callControl(root: string, request: ControlRequest): Promise<object | undefined> {
  try {
    const socket = await inDirectory(root, async () => createConnection(socketName));
    socket.setTimeout(timeoutMs, () => socket.destroy());
    socket.write(`${JSON.stringify(request)}\n`);
    const line = await readLine(socket);
    socket.destroy();
    return line === undefined ? undefined : (JSON.parse(line) as object);
  } catch {
    return undefined;
  }
}

// The path of a socket has room for about a hundred bytes: it is named from within its directory.
async function inDirectory<T>(root: string, work: () => Promise<T>): Promise<T> {
  const before = process.cwd();
  process.chdir(root);
  const result = work();
  process.chdir(before);
  return await result;
}

function readLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end !== -1) resolve(text.slice(0, end));
      else if (text.length > requestBytesMax) resolve(undefined);
    });
    socket.on('end', () => resolve(undefined));
    socket.on('error', reject);
    socket.on('close', () => resolve(undefined));
  });
}
