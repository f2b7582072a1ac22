// What a held client's connection does on the wire: it outlives its silence, and its end is seen.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { type Hold, holdOpen } from './hold.ts';
import { createHttpListener } from './listener.ts';

const limits = { connectionsMax: 10, headersTimeoutMs: 5000, stallTimeoutMs: 100, keepAliveTimeoutMs: 5000 };
const request = 'PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n';
const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function withClient(
  handle: (hold: Hold, response: ServerResponse, incoming: IncomingMessage) => Promise<void>,
  work: (socket: Socket) => Promise<void>,
): Promise<void> {
  const listener = createHttpListener(limits, (incoming, response) => {
    void handle(holdOpen(incoming, response), response, incoming);
  });
  await new Promise<void>((resolve) => listener.server.listen(0, '127.0.0.1', resolve));
  const socket = connect((listener.server.address() as AddressInfo).port, '127.0.0.1');
  try {
    socket.write(request);
    await work(socket);
  } finally {
    socket.destroy();
    await listener.drain(1000);
  }
}

const said = (socket: Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    socket.once('data', (bytes: Buffer) => resolve(bytes.toString()));
    socket.once('close', () => reject(new Error('closed without an answer')));
  });

describe('a client whose server works for long', () => {
  const slowly = async (response: ServerResponse): Promise<void> => {
    await later(400);
    response.end('done');
  };

  test('is cut for its silence if it is not held', async () => {
    const handle = (_hold: Hold, response: ServerResponse) => slowly(response);
    await withClient(handle, (socket) => assert.rejects(said(socket), /closed without an answer/));
  });

  test('is answered if it is held, and cut for its silence again after that', async () => {
    let timeoutMs: number | undefined;
    const handle = async (hold: Hold, response: ServerResponse, { socket }: IncomingMessage): Promise<void> => {
      await hold((gone) => {
        assert.equal(gone.aborted, false);
        return later(400);
      });
      timeoutMs = socket.timeout;
      response.end('done');
    };
    await withClient(handle, async (socket) => assert.match(await said(socket), /^HTTP\/1\.1 200 OK\r\n[\s\S]*done$/));
    assert.equal(timeoutMs, limits.stallTimeoutMs);
  });

  for (const [how, leave] of [
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
    ['closes', (socket: Socket) => socket.destroy()],
  ] as const) {
    test(`that ${how} its connection is seen to be gone`, async () => {
      const seen = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const handle = (hold: Hold): Promise<void> =>
        hold((gone) => {
          gone.addEventListener('abort', () => seen.resolve());
          begun.resolve();
          return seen.promise;
        });
      await withClient(handle, async (socket) => {
        await begun.promise;
        leave(socket);
        await seen.promise;
      });
    });

    test(`that ${how} its connection while it is answered is seen to be gone`, async () => {
      const seen = Promise.withResolvers<void>();
      const handle = async (hold: Hold, response: ServerResponse): Promise<void> => {
        await hold(async (gone) => gone.addEventListener('abort', () => seen.resolve()));
        response.write('a');
      };
      await withClient(handle, async (socket) => {
        await said(socket);
        leave(socket);
        await seen.promise;
      });
    });
  }
});
