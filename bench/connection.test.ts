import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { Connection } from './connection.ts';

interface Answer {
  readonly status: number;
  readonly length: number;
  readonly body: string;
}

/** What a connection makes of raw bytes that arrive in the given pieces, until it has seen so many answers. */
async function read(pieces: readonly Buffer[], answers: number): Promise<Answer[]> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.setNoDelay(true);
    socket.once('data', async () => {
      for (const piece of pieces) await new Promise((resolve) => socket.write(piece, () => setImmediate(resolve)));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const seen: Answer[] = [];
  const done = Promise.withResolvers<void>();
  let body = '';
  const connection = new Connection((server.address() as AddressInfo).port, {
    body: (chunk, start, end) => {
      body += chunk.toString('latin1', start, end);
    },
    answered: (status, length) => {
      seen.push({ status, length, body });
      body = '';
      if (seen.length === answers) done.resolve();
    },
    failed: done.reject,
  });
  connection.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'), undefined);
  try {
    await done.promise;
  } finally {
    connection.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  return seen;
}

const stream = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "1"\r\n\r\nhello' +
    'HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n' +
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nab\r\ncd\r\nb\r\nhello world\r\n0\r\n\r\n' +
    'HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nnot',
);
const expected: readonly Answer[] = [
  { status: 200, length: 5, body: 'hello' },
  { status: 202, length: 0, body: '' },
  { status: 200, length: 17, body: 'ab\r\ncdhello world' },
  { status: 404, length: 3, body: 'not' },
];

test('answers that arrive at once are told apart', async () => {
  assert.deepEqual(await read([stream], expected.length), expected);
});

test('answers that arrive byte by byte read the same', async () => {
  const bytes = Array.from(stream, (_, at) => stream.subarray(at, at + 1));
  assert.deepEqual(await read(bytes, expected.length), expected);
});

test('a server that goes away in the middle of an answer is a failure', async () => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const outcome = await new Promise<string>((resolve) => {
    const connection = new Connection((server.address() as AddressInfo).port, {
      body: () => {},
      answered: () => resolve('answered'),
      failed: (error) => resolve(error.message),
    });
    connection.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'), undefined);
  });
  server.close();
  assert.match(outcome, /closed the connection/);
});
