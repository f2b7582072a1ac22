// A proxy for clients that know only Azure's host names: CONNECT, and requests for whole addresses, lead to ports of this
// machine, and nowhere else.

import { createServer, request as send } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface Proxy {
  /** For HTTPS_PROXY. */
  readonly url: string;
  /** Hosts that were asked for and are not known, in order. */
  readonly refused: readonly string[];
  close(): Promise<void>;
}

export async function startProxy(ports: Readonly<Record<string, number>>): Promise<Proxy> {
  const refused: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const [, host = '', path] = /^http:\/\/([^/:]+)(?::\d+)?(\/.*)$/.exec(request.url ?? '') ?? [];
    const port = ports[host];
    if (port === undefined || path === undefined) {
      refused.push(host);
      response.writeHead(403).end();
      return;
    }
    const { method, headers } = request;
    const onward = send({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode as number, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.on('connect', (request, client: Socket, head: Buffer) => {
    const [host = ''] = (request.url ?? '').split(':');
    const port = ports[host];
    sockets.add(client);
    client.on('error', () => client.destroy());
    client.on('close', () => sockets.delete(client));
    if (port === undefined) {
      refused.push(host);
      client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.write(head);
      target.pipe(client).pipe(target);
    });
    target.on('error', () => client.destroy());
    client.on('close', () => target.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    refused,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
