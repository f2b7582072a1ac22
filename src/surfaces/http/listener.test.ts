// What a client on the wire sees of bodies that it holds back until it is asked for them.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, test } from 'node:test';
import { RequestBody } from './body.ts';
import { createHttpListener } from './listener.ts';

const limits = { connectionsMax: 10, headersTimeoutMs: 5000, stallTimeoutMs: 5000, keepAliveTimeoutMs: 5000 };
const head = (expect: string): string => `PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n${expect}\r\n`;
const waits = 'Expect: 100-continue\r\n';

/** Everything that the server says until it closes or `enough` has come; the body goes out when it is asked for. */
async function exchange(
  handle: (body: RequestBody, response: ServerResponse) => Promise<void>,
  request: string,
  enough: RegExp,
): Promise<string> {
  const listener = createHttpListener(limits, (incoming: IncomingMessage, response) => {
    const expected = incoming.headers.expect !== undefined;
    void handle(new RequestBody(incoming, expected ? () => response.writeContinue() : undefined), response);
  });
  await new Promise<void>((resolve) => listener.server.listen(0, '127.0.0.1', resolve));
  const socket = connect((listener.server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(request);
  let said = '';
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on('data', (bytes: Buffer) => {
        const asked = said.includes('100 Continue');
        said += bytes.toString();
        if (!asked && said.includes('100 Continue')) socket.write('hello');
        if (enough.test(said)) resolve();
      });
      socket.on('close', () => reject(new Error(`closed after: ${said}`)));
      socket.setTimeout(5000, () => reject(new Error(`silent after: ${said}`)));
    });
  } finally {
    socket.destroy();
    await listener.drain(1000);
  }
  return said;
}

async function echo(body: RequestBody, response: ServerResponse): Promise<void> {
  response.end(await body.whole(100));
}

describe('a client that waits to be asked for its body', () => {
  test('is asked when the body is read', async () => {
    const said = await exchange(echo, head(waits), /hello/);
    assert.match(said, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  });

  test('is refused without having been asked, on a connection that ends', async () => {
    const refuse = async (body: RequestBody, response: ServerResponse): Promise<void> => {
      assert.equal(body.isHeldBack, true);
      response.shouldKeepAlive = false;
      response.statusCode = 401;
      response.end('refused');
    };
    const said = await exchange(refuse, head(waits), /refused/);
    assert.match(said, /^HTTP\/1\.1 401 Unauthorized\r\nConnection: close/);
  });
});

test('a client that does not wait is not asked', async () => {
  const handle = async (body: RequestBody, response: ServerResponse): Promise<void> => {
    assert.equal(body.isHeldBack, false);
    await echo(body, response);
  };
  const said = await exchange(handle, `${head('')}hello`, /hello/);
  assert.match(said, /^HTTP\/1\.1 200 OK/);
});

test('a HEAD that is refused before anybody handles it tells of no body', async () => {
  const said = await exchange(echo, 'HEAD / HTTP/1.1\r\n\r\n', /\r\n\r\n/);
  assert.match(said, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.doesNotMatch(said, /content-/i);
});
