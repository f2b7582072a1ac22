// The whole listener of a real server: valid requests, broken at random, over bare connections.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FuzzRandom, mutate, pick } from '../../src/base/mutate.testing.ts';
import { type Call, headOf, Server } from '../server/program.ts';
import { accountSas, developmentAccount, developmentKey } from '../support/sas.ts';

const atOnce = 16;
/** Nothing that is asked for here takes long; what stalls is cut after this. */
const stallTimeoutMs = 1500;
const answerTimeoutMs = 15_000;
const grownBytesMax = 400 * 1024 * 1024;

type Sent = { readonly call: Call & { readonly method: string }; readonly body?: string };

const blob = { 'x-ms-blob-type': 'BlockBlob' };
const requests: readonly Sent[] = [
  { call: { method: 'PUT', path: '/box/blob', headers: blob }, body: 'some content' },
  { call: { method: 'GET', path: '/box/blob', headers: { range: 'bytes=0-4', 'x-ms-range-get-content-md5': 'true' } } },
  { call: { method: 'HEAD', path: '/box/blob', headers: { 'if-none-match': '"0x1"' } } },
  { call: { method: 'DELETE', path: '/box/blob' } },
  { call: { method: 'PUT', path: '/box/list', query: 'comp=block&blockid=QUFBQQ==' }, body: 'a block' },
  {
    call: {
      method: 'PUT',
      path: '/box/list',
      query: 'comp=blocklist',
      headers: { 'x-ms-meta-a': 'b', 'x-ms-tags': 'a=b' },
    },
    body: '<?xml version="1.0"?><BlockList><Latest>QUFBQQ==</Latest></BlockList>',
  },
  {
    call: {
      method: 'GET',
      path: '/box',
      query: 'restype=container&comp=list&prefix=a&delimiter=/&maxresults=5&include=metadata',
    },
  },
  { call: { method: 'GET', path: '/', query: 'comp=list&marker=abc' } },
  { call: { method: 'PUT', path: '/box/copy', headers: { 'x-ms-copy-source': 'http://127.0.0.1/a/b?c' } } },
  { call: { method: 'PUT', path: '/box/blob', query: 'comp=metadata', headers: { 'x-ms-meta-name': 'value' } } },
  {
    call: {
      method: 'PUT',
      path: '/box/blob',
      query: 'comp=lease',
      headers: { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15' },
    },
  },
  { call: { method: 'PUT', path: '/box', query: 'restype=container&comp=acl' }, body: '<SignedIdentifiers/>' },
  { call: { method: 'GET', path: '/box/blob', query: 'comp=blocklist&blocklisttype=all' } },
  { call: { method: 'PUT', path: '/box/append', headers: { 'x-ms-blob-type': 'AppendBlob' } } },
  { call: { method: 'PUT', path: '/box/append', query: 'comp=appendblock' }, body: 'more' },
  {
    call: {
      method: 'PUT',
      path: '/box/page',
      headers: { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '1024' },
    },
  },
  {
    call: {
      method: 'PUT',
      path: '/box/page',
      query: 'comp=page',
      headers: { 'x-ms-page-write': 'update', range: 'bytes=0-511' },
    },
    body: 'p'.repeat(512),
  },
  {
    call: { method: 'PUT', path: '/box/blob', query: 'comp=tags' },
    body: '<Tags><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tags>',
  },
  { call: { method: 'GET', path: '/', query: "comp=blobs&where=a='b' AND c>'d'" } },
  { call: { method: 'PUT', path: '/box/blob', query: 'comp=snapshot' } },
  { call: { method: 'PUT', path: '/box/blob', query: 'comp=tier', headers: { 'x-ms-access-tier': 'Cool' } } },
  {
    call: {
      method: 'POST',
      path: '/',
      query: 'comp=batch',
      headers: { 'content-type': 'multipart/mixed; boundary=b' },
    },
    body: '--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nDELETE /box/blob HTTP/1.1\r\n\r\n--b--\r\n',
  },
  {
    call: {
      method: 'OPTIONS',
      path: '/box/blob',
      headers: { origin: 'http://a', 'access-control-request-method': 'GET' },
    },
  },
];

const words = [
  ...[
    '\r\n',
    '\r\n\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Content-Length: 5\r\n',
    'Connection: close\r\n',
    'Expect: 100-continue\r\n',
  ],
  ...[
    'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
    'HTTP/1.0',
    'x-ms-version: 2015-02-21\r\n',
    '?comp=list',
    '&restype=container',
    '%00',
  ],
  ...['0\r\n\r\n', '5\r\nhello\r\n', 'x-ms-meta-a: b\r\n', 'Range: bytes=0-\r\n', 'Authorization: Bearer a.b.c\r\n'],
];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'causeway-fuzz-'));
  const settings = [`stallTimeoutMs=${stallTimeoutMs}`, 'headersTimeoutMs=1000', 'requestLog=false', 'logLevel=error'];
  const server = await Server.start({ data, settings });
  try {
    assert.equal((await server.createContainer('box')).status, 201);
    const workers = server.workers();
    const sas = accountSas(developmentAccount, developmentKey, new Date(Date.now() + 3_600_000));
    await Promise.all(Array.from({ length: atOnce }, () => oneAfterAnother(random, deadlineMs, server, sas)));
    // Whoever is still there serves as before.
    assert.equal((await server.put('/box/after', Buffer.from('well'))).status, 201);
    assert.deepEqual(server.workers(), workers, `a worker was replaced\n${server.program.err.slice(-8000)}`);
    for (const pid of workers) {
      const resident = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024;
      assert.ok(resident < grownBytesMax, `a worker has ${resident} bytes of memory`);
    }
    assert.equal(await server.stop(), 0);
  } finally {
    server.program.kill();
    rmSync(data, { recursive: true, force: true });
  }
}

async function oneAfterAnother(random: FuzzRandom, deadlineMs: number, server: Server, sas: string): Promise<void> {
  while (Date.now() < deadlineMs) {
    const text = Array.from({ length: 1 + random.below(3) }, () => oneOf(random, server, sas)).join('');
    await exchange(random, server, text);
  }
}

/** Signed requests break at their signature, if anything changes; those with a SAS get further. */
function oneOf(random: FuzzRandom, server: Server, sas: string): string {
  const { call, body = '' } = pick(random, requests);
  const chunked = body !== '' && random.below(4) === 0;
  const wire = chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
  const signed = headOf(server, call, chunked ? undefined : body.length);
  if (random.below(3) === 0) return mutate(random, signed + wire, words);
  const head = signed
    .replace(/\r\nauthorization: [^\r]*/, '')
    .replace(/ (\S*) HTTP/, (_, path: string) => ` ${path}${path.includes('?') ? '&' : '?'}${sas} HTTP`);
  // The signature itself stays whole, or everything would end there.
  const at = head.indexOf(sas);
  if (at === -1) return mutate(random, head + wire, words);
  return mutate(random, head.slice(0, at), words) + sas + mutate(random, head.slice(at + sas.length) + wire, words);
}

/** Everything that comes back is an answer with a request id and no error of the server's own; then the connection ends. */
async function exchange(random: FuzzRandom, server: Server, text: string): Promise<void> {
  const socket: Socket = connect(Number(server.blob.port), server.blob.hostname);
  let received = '';
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    received += bytes.toString('latin1');
  });
  const bytes = Buffer.from(text, 'latin1');
  const cut = random.below(3) === 0 ? random.below(bytes.length + 1) : bytes.length;
  socket.write(bytes.subarray(0, cut));
  if (cut < bytes.length) setImmediate(() => !socket.destroyed && socket.write(bytes.subarray(cut)));
  const how = random.below(4);
  if (how === 0) setTimeout(() => socket.end(), 2);
  if (how === 1 && random.below(4) === 0) setTimeout(() => socket.resetAndDestroy(), random.below(20));
  const timer = setTimeout(() => socket.destroy(new Error('late')), answerTimeoutMs);
  const startedMs = performance.now();
  // An idle connection is kept for a minute: what has been answered and is quiet for a moment is done.
  let quietSince = performance.now();
  let length = 0;
  while (!socket.destroyed) {
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 10))]);
    if (received.length !== length) {
      length = received.length;
      quietSince = performance.now();
    } else if (performance.now() - quietSince > (length > 0 ? 40 : stallTimeoutMs + 8000)) break;
  }
  clearTimeout(timer);
  const isSilent = received === '' && !socket.destroyed;
  socket.destroy();
  const wrong = (what: string): string =>
    `${what}\nsent ${JSON.stringify(text)}\ngot ${JSON.stringify(received.slice(0, 2000))}\n${server.program.err.slice(-4000)}`;
  const isLate = performance.now() - startedMs >= answerTimeoutMs;
  assert.ok(!isSilent && !isLate, wrong('neither an answer nor an end'));
  for (const [head] of received.matchAll(/HTTP\/1\.1 \d{3} [\s\S]*?(?:\r\n\r\n|$)/g)) {
    const status = Number(head.slice(9, 12));
    if (status === 100) continue;
    assert.ok(status !== 500 && status !== 502, wrong("an error of the server's own"));
    const isWhole = head.endsWith('\r\n\r\n');
    assert.ok(!isWhole || /\r\nx-ms-request-id: [0-9a-f-]{36}\r\n/i.test(head), wrong('an answer without its id'));
  }
  assert.ok(received.length < 9 || received.startsWith('HTTP/1.1 '), wrong('what is no answer'));
}
