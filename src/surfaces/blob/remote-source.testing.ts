// A server to copy from that answers as a test says, and requests that copy from it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openTestSurface, testAccount } from './call.testing.ts';
import type { BlobSettings } from './call.ts';
import { type Answered, refused as refusedAtAll, TestClient, type WholeRequest } from './dispatch.testing.ts';

export const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
export const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('base64');
export const etag = '"0x8DCAFE"';
export const sourceHeaders = {
  ETag: etag,
  'Content-Type': 'a/b',
  'Content-Encoding': 'gzip',
  'Content-Language': 'de',
  'Content-Disposition': 'inline',
  'Cache-Control': 'no-cache',
  'Content-MD5': md5(content),
  'x-ms-blob-type': 'BlockBlob',
  'x-ms-meta-Colour': 'green',
};

export type Serve = (request: IncomingMessage, response: ServerResponse, from: OtherServer) => void;

/** The server to copy from: it keeps the requests it got, and answers as the test says. */
interface OtherServer extends AsyncDisposable {
  readonly origin: string;
  readonly requests: IncomingMessage[];
}

async function otherServer(serve: Serve): Promise<OtherServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    serve(request, response, other);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const other: OtherServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
  return other;
}

function rangeOf(request: IncomingMessage): [start: number, end: number] | undefined {
  const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(`${request.headers['x-ms-range'] ?? ''}`) ?? [];
  if (start === undefined) return undefined;
  return [Number(start), end === '' ? content.length - 1 : Math.min(Number(end), content.length - 1)];
}

/** As a blob server does; `bytesMax` cuts the connection behind so many bytes. */
export function serveBlob(
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax = Number.POSITIVE_INFINITY,
): void {
  const range = rangeOf(request);
  if (range !== undefined && range[0] >= content.length) {
    response.writeHead(416, { 'x-ms-error-code': 'InvalidRange' }).end();
    return;
  }
  const [start, end] = range ?? [0, content.length - 1];
  const part = content.subarray(start, end + 1);
  response.writeHead(range === undefined ? 200 : 206, {
    ...sourceHeaders,
    'Content-Length': part.length,
    ...(range && { 'Content-Range': `bytes ${start}-${end}/${content.length}` }),
  });
  if (part.length <= bytesMax) response.end(part);
  else response.write(part.subarray(0, bytesMax), () => setTimeout(() => response.destroy(), 20));
}

export const refuse =
  (status: number, code?: string): Serve =>
  (_request, response) => {
    response.writeHead(status, code === undefined ? {} : { 'x-ms-error-code': code }).end('not for the client');
  };

interface Copying {
  readonly client: TestClient;
  readonly other: OtherServer;
  readonly url: string;
}

export async function withOther(
  serve: Serve,
  work: (copying: Copying) => Promise<void>,
  settings: Partial<BlobSettings> = {},
): Promise<void> {
  await using surface = await openTestSurface();
  await using other = await otherServer(serve);
  const client = new TestClient(surface, { copySourceHosts: ['127.0.0.1'], ...settings });
  await client.container('docs');
  await work({ client, other, url: `${other.origin}/acc/box/a%20b?sv=2024-11-04&sig=s%3D` });
}

export const at = (path: string): string => `/${testAccount}/docs/${path}`;
type Headers = Readonly<Record<string, string>>;
export const copy = (url: string, headers: Headers = {}): WholeRequest => ({
  method: 'PUT',
  url: at('target'),
  headers: { 'x-ms-copy-source': url, ...headers },
});
export const operations: Readonly<Record<string, (url: string, headers?: Headers) => WholeRequest>> = {
  'copy blob': copy,
  'copy blob from url': (url, headers) => copy(url, { 'x-ms-requires-sync': 'true', ...headers }),
  'put blob from url': (url, headers) => copy(url, { 'x-ms-blob-type': 'BlockBlob', ...headers }),
  'put block from url': (url, headers) => ({ ...copy(url, headers), url: at('target?comp=block&blockid=MQ%3D%3D') }),
};
export const operation = (name: string): ((url: string, headers?: Headers) => WholeRequest) => {
  const found = operations[name];
  assert.ok(found);
  return found;
};

/** The same of a request that names a source, whose signature must not come back. */
export async function refused(...given: Parameters<typeof refusedAtAll>): Promise<Answered> {
  const answered = await refusedAtAll(...given);
  assert.ok(!answered.text.includes('sig='), 'a signature is in the body');
  return answered;
}

export async function nothingLeft(client: TestClient): Promise<void> {
  await refused(client, { url: at('target') }, 404, 'BlobNotFound');
  await refused(client, { url: at('target?comp=blocklist&blocklisttype=all') }, 404, 'BlobNotFound');
}

async function commit(client: TestClient): Promise<void> {
  const body = '<BlockList><Latest>MQ==</Latest></BlockList>';
  assert.equal((await client.send({ method: 'PUT', url: at('target?comp=blocklist'), body })).status, 201);
}

export async function assertTarget(client: TestClient, expected: Buffer, type: 'whole' | 'blocks' = 'whole') {
  if (type === 'blocks') await commit(client);
  const checked = { 'x-ms-range': `bytes=0-${expected.length - 1}`, 'x-ms-range-get-content-md5': 'true' };
  const { headers, status } = await client.send({ url: at('target'), headers: checked });
  assert.equal(status, 206);
  assert.equal(headers['Content-MD5'], md5(expected));
  assert.ok(`${headers['Content-Range']}`.endsWith(`/${expected.length}`));
  return (await client.send({ method: 'HEAD', url: at('target') })).headers;
}
