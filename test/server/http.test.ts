// HTTP as it really comes: slow, stalled, cut short, pipelined, malformed; over the real server.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  encodeStructured,
  StructuredMessageDecoder,
  structuredBody,
  structuredLength,
} from '../../src/codec/structured-message.ts';
import { checksumOf, contentOf } from '../support/content.ts';
import { developmentAccount } from '../support/sas.ts';
import { answerTo, eventually, headOf, Server, signed, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const stallTimeoutMs = 1000;
const blob = { 'x-ms-blob-type': 'BlockBlob' } as const;
let server: Server;

before(async () => {
  const settings = [`stallTimeoutMs=${stallTimeoutMs}`, 'headersTimeoutMs=1500'];
  server = await Server.start({ data: join(work, 'data'), settings });
  assert.equal((await server.createContainer('box')).status, 201);
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

async function missing(name: string): Promise<void> {
  assert.equal((await server.call({ path: `/box/${name}` })).status, 404, `${name} left an entry`);
  const list = await server.call({ path: '/box', query: 'restype=container&comp=list&include=uncommittedblobs' });
  assert.ok(!list.body.toString().includes(`<Name>${name}</Name>`), `${name} is listed`);
}

test('an error of HEAD has the reason of its code, and no header of a body that does not come', async () => {
  assert.equal((await server.put('/box/there', Buffer.from('x'))).status, 201);
  const cases = [
    ['/box/absent', {}, '404 The specified blob does not exist.', 'BlobNotFound'],
    [
      '/box/there',
      { 'if-match': '"0x1"' },
      '412 The condition specified using HTTP conditional header(s) is not met.',
      'ConditionNotMet',
    ],
    [
      '/box/there',
      { 'if-modified-since': 'yesterday' },
      '400 The value for one of the HTTP headers is not in the correct format.',
      'InvalidHeaderValue',
    ],
    ['/nowhere?restype=container', {}, '404 The specified container does not exist.', 'ContainerNotFound'],
  ] as const;
  const connection = await server.connection();
  const head = async (path: string, headers: Record<string, string>, query = ''): Promise<string> => {
    const from = connection.received.length;
    connection.socket.write(headOf(server, { method: 'HEAD', path, headers, query }, 0));
    await eventually(() => connection.received.endsWith('\r\n\r\n') && connection.received.length > from, path);
    return connection.received.slice(from);
  };
  for (const [target, headers, status, code] of cases) {
    const [path, query] = target.split('?') as [string, string?];
    const answer = await head(path, headers, query);
    assert.equal(answer.split('\r\n', 1)[0], `HTTP/1.1 ${status}`);
    assert.match(answer, new RegExp(`\r\nx-ms-error-code: ${code}\r\n`));
    assert.doesNotMatch(answer, /^(content-type|content-length|transfer-encoding):/im);
  }
  assert.match(await head('/box/there', {}), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\ncontent-length: 1\r\n/i);
});

test('an upload that goes on slowly, for longer than the stall timeout, completes', async () => {
  const content = contentOf(1, 150_000);
  const sent = server.begin({ method: 'PUT', path: '/box/slow', headers: blob }, content.length);
  const answer = answerTo(sent);
  for (let part = 0; part < 15; part++) {
    sent.write(content.subarray(part * 10_000, (part + 1) * 10_000));
    await sleep(200);
  }
  sent.end();
  assert.equal((await answer).status, 201);
  const { body } = await server.call({ path: '/box/slow' });
  assert.equal(checksumOf(body), checksumOf(content));
});

test('an upload that stalls is cut after the stall timeout and leaves nothing', async () => {
  for (const [name, bytes] of [
    ['stalled', 100],
    ['stalled large', 3_000_000],
  ] as const) {
    const connection = await server.connection();
    connection.socket.write(headOf(server, { method: 'PUT', path: `/box/${name}`, headers: blob }, bytes * 2));
    connection.socket.write(Buffer.alloc(bytes, 1));
    const started = performance.now();
    await connection.closed(8 * stallTimeoutMs);
    const tookMs = performance.now() - started;
    assert.ok(tookMs > 0.8 * stallTimeoutMs, `cut after ${tookMs} ms`);
    assert.ok(!/^HTTP\/1\.1 2/.test(connection.received));
    await missing(name);
  }
});

test('headers that never end are cut', async () => {
  const connection = await server.connection();
  connection.socket.write(`GET /${developmentAccount}/box HTTP/1.1\r\nHost: x\r\n`);
  await connection.closed(15_000);
  assert.ok(!/^HTTP\/1\.1 2/.test(connection.received));
});

test('a slow reader gets the whole body', async () => {
  const content = contentOf(2, 8_000_000);
  assert.equal((await server.put('/box/large', content)).status, 201);
  const { host, port, path, headers } = signed(server.blob, { method: 'GET', path: '/box/large' }, 0);
  const received = await new Promise<Buffer>((resolve, reject) => {
    const sent = request({ host, port, path, headers, agent: false }, async (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      try {
        for await (const part of response) {
          parts.push(part as Buffer);
          bytes += (part as Buffer).length;
          // For about four seconds: several times the stall timeout.
          if (bytes < content.length) await sleep(32);
        }
        resolve(Buffer.concat(parts));
      } catch (error) {
        reject(error);
      }
    });
    sent.on('error', reject);
    sent.end();
  });
  assert.equal(received.length, content.length);
  assert.equal(checksumOf(received), checksumOf(content));
});

test('a reader that has stopped is cut, and others go on', async () => {
  const content = contentOf(3, 8_000_000);
  assert.equal((await server.put('/box/unread', content)).status, 201);
  const socket = connect({ port: Number(server.blob.port), host: server.blob.hostname });
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(headOf(server, { method: 'GET', path: '/box/unread' }, 0));
  await sleep(3 * stallTimeoutMs);
  assert.equal((await server.call({ path: '/box/unread', headers: { range: 'bytes=0-9' } })).status, 206);
  let bytes = 0;
  socket.on('data', (part) => {
    bytes += part.length;
  });
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  socket.resume();
  await eventually(() => closed, 'the connection is cut');
  assert.ok(bytes < content.length, `${bytes} bytes came`);
});

test('headers that are too large get 431, and what is no HTTP gets 400', async () => {
  const large = await server.connection();
  large.socket.write(`GET /${developmentAccount}/box HTTP/1.1\r\nHost: x\r\nx-large: ${'a'.repeat(100_000)}\r\n\r\n`);
  await large.closed();
  assert.match(large.received, /^HTTP\/1\.1 431 /);
  for (const text of [
    'nonsense\r\n\r\n',
    'GET / HTTP/1.1\r\nHost x\r\n\r\n',
    'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
    'PUT /a/b/c HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n',
    'PUT /a/b/c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n',
    '\u0016\u0003\u0001\u0002',
  ]) {
    const connection = await server.connection();
    connection.socket.write(text);
    connection.socket.end();
    await connection.closed();
    assert.match(connection.received, /^HTTP\/1\.1 400 /, JSON.stringify(text));
  }
  assert.equal((await server.call({ path: '/box', query: 'restype=container' })).status, 200);
});

test('requests that come in one piece are answered in their order', async () => {
  const contents = [contentOf(10, 5000), contentOf(11, 20_000), contentOf(12, 300)];
  const connection = await server.connection();
  const parts: Buffer[] = [];
  for (const [index, content] of contents.entries()) {
    parts.push(
      Buffer.from(headOf(server, { method: 'PUT', path: `/box/piped${index}`, headers: blob }, content.length)),
    );
    parts.push(content);
  }
  parts.push(Buffer.from(headOf(server, { method: 'GET', path: '/box/piped0', headers: { range: 'bytes=0-3' } }, 0)));
  parts.push(Buffer.from(headOf(server, { method: 'GET', path: '/box/nothing' }, 0)));
  connection.socket.write(Buffer.concat(parts));
  await connection.until(/HTTP\/1\.1 404 /);
  const statuses = [...connection.received.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
  assert.deepEqual(statuses, [201, 201, 201, 206, 404]);
  connection.socket.destroy();
  for (const [index, content] of contents.entries()) {
    const { body } = await server.call({ path: `/box/piped${index}` });
    assert.equal(checksumOf(body), checksumOf(content));
  }
});

test('what is wrong behind a request is refused after its answer', async () => {
  const connection = await server.connection();
  const content = contentOf(13, 100);
  connection.socket.write(headOf(server, { method: 'PUT', path: '/box/first', headers: blob }, content.length));
  connection.socket.write(Buffer.concat([content, Buffer.from('and more than was announced\r\n\r\n')]));
  await connection.closed();
  const statuses = [...connection.received.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));
  assert.deepEqual(statuses, [201, 400]);
});

test('Expect: 100-continue is answered before the body is sent', async () => {
  const content = contentOf(20, 70_000);
  const connection = await server.connection();
  const headers = { ...blob, expect: '100-continue' };
  connection.socket.write(headOf(server, { method: 'PUT', path: '/box/expected', headers }, content.length));
  await connection.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  connection.socket.write(content);
  await connection.until(/HTTP\/1\.1 201 /);
  connection.socket.destroy();
  const { body } = await server.call({ path: '/box/expected' });
  assert.equal(checksumOf(body), checksumOf(content));
});

test('a body that is shorter than announced leaves nothing', async () => {
  for (const [name, announced, given] of [
    ['short', 1000, 400],
    ['short large', 5_000_000, 3_500_000],
    ['empty', 10, 0],
  ] as const) {
    const connection = await server.connection();
    connection.socket.write(headOf(server, { method: 'PUT', path: `/box/${name}`, headers: blob }, announced));
    connection.socket.write(Buffer.alloc(given, 7));
    await sleep(100);
    connection.socket.destroy();
    await sleep(200);
    await missing(name);
  }
  // Half closed: the answer could still be read.
  const connection = await server.connection();
  connection.socket.write(headOf(server, { method: 'PUT', path: '/box/half', headers: blob }, 1000));
  connection.socket.end(Buffer.alloc(10));
  await connection.closed();
  assert.ok(!/^HTTP\/1\.1 2/.test(connection.received), connection.received);
  await missing('half');
  const query = 'comp=block&blockid=AAAA';
  const block = await server.connection();
  block.socket.write(headOf(server, { method: 'PUT', path: '/box/block', query }, 1000));
  block.socket.end(Buffer.alloc(10));
  await block.closed();
  await missing('block');
});

test('an upload in chunks is told that it must say its length, and what was signed for no body takes none', async () => {
  for (const query of [undefined, 'comp=block&blockid=AAAA', 'comp=blocklist', 'comp=metadata', 'comp=appendblock']) {
    for (const version of ['2019-12-12', '2022-11-02', '2026-10-06']) {
      const headers = { ...blob, 'x-ms-version': version };
      const sent = server.begin({ method: 'PUT', path: '/box/chunked', headers, ...(query && { query }) }, undefined);
      const { status, headers: told, body } = await answerTo(sent, contentOf(30, 5000));
      assert.deepEqual([status, told['x-ms-error-code']], [411, 'MissingContentLengthHeader'], `${query} ${version}`);
      assert.match(body.toString(), /<HeaderName>Content-Length<\/HeaderName>/);
    }
  }
  await missing('chunked');
});

test('a chunked upload that ends without its last chunk leaves nothing', async () => {
  const connection = await server.connection();
  connection.socket.write(headOf(server, { method: 'PUT', path: '/box/unended', headers: blob }, undefined));
  connection.socket.end('5\r\nabcde\r\n');
  await connection.closed();
  assert.ok(!/^HTTP\/1\.1 2/.test(connection.received));
  await missing('unended');
});

test('an error of a HEAD request has no body, and the connection goes on', async () => {
  const connection = await server.connection();
  const head = (path: string) => headOf(server, { method: 'HEAD', path }, 0);
  assert.equal((await server.put('/box/there', Buffer.from('hello'))).status, 201);
  connection.socket.write(head('/box/none') + head('/nobox/none') + head('/box/there'));
  await connection.until(/HTTP\/1\.1 200 [\s\S]*\r\n\r\n/);
  await sleep(200);
  const answers = connection.received.split(/(?=HTTP\/1\.1 )/);
  assert.deepEqual(
    answers.map((answer) => answer.slice(9, 12)),
    ['404', '404', '200'],
  );
  for (const answer of answers) {
    assert.match(answer, /\r\n\r\n$/);
    assert.equal(answer.split('\r\n\r\n').length, 2, answer);
  }
  assert.match(answers[0] as string, /x-ms-error-code: BlobNotFound/i);
  assert.match(answers[2] as string, /content-length: 5/i);
  connection.socket.destroy();
});

test('a refused upload answers before its body has come, and the connection stays in order', async () => {
  const connection = await server.connection();
  const content = Buffer.alloc(50_000, 1);
  connection.socket.write(headOf(server, { method: 'PUT', path: '/nobox/blob', headers: blob }, content.length));
  connection.socket.write(content);
  connection.socket.write(headOf(server, { method: 'GET', path: '/box/there', headers: { range: 'bytes=0-1' } }, 0));
  await connection.until(/HTTP\/1\.1 404 [\s\S]*HTTP\/1\.1 206 /);
  connection.socket.destroy();
});

test('an upload that is slower than its timeout is told so, and leaves nothing', async () => {
  const connection = await server.connection();
  const call = { method: 'PUT', path: '/box/late', query: 'timeout=1', headers: blob };
  connection.socket.write(headOf(server, call, 1_000_000));
  const started = performance.now();
  while (connection.received === '' && performance.now() - started < 5000) {
    connection.socket.write(Buffer.alloc(10_000, 1));
    await sleep(100);
  }
  assert.match(connection.received, /^HTTP\/1\.1 500 [\s\S]*x-ms-error-code: OperationTimedOut/i);
  const tookMs = performance.now() - started;
  assert.ok(tookMs > 900 && tookMs < 2500, `answered after ${tookMs} ms`);
  connection.socket.destroy();
  await missing('late');
});

test('structured messages come and go in segments, whole or not at all', async () => {
  const content = contentOf(2, 6_000_001);
  const lent = { bytes: content, release: () => undefined };
  const chunks: Buffer[] = [];
  for await (const { bytes } of encodeStructured([lent], content.length, 1_000_000)) chunks.push(bytes);
  const message = Buffer.concat(chunks);
  const asked = { 'x-ms-structured-body': structuredBody };
  const headers = { ...blob, ...asked, 'x-ms-structured-content-length': `${content.length}` };
  const spoiled = Buffer.from(message);
  spoiled[5_000_000] = (spoiled[5_000_000] as number) ^ 1;
  const refused = await server.put('/box/structured', spoiled, headers);
  assert.deepEqual([refused.status, refused.headers['x-ms-error-code']], [400, 'Crc64Mismatch']);
  await missing('structured');
  assert.equal((await server.put('/box/structured', message.subarray(0, -4), headers)).status, 400);
  await missing('structured');
  assert.equal((await server.put('/box/structured', message, headers)).status, 201);
  const plain = await server.call({ path: '/box/structured' });
  assert.equal(checksumOf(plain.body), checksumOf(content));
  const { body, headers: told } = await server.call({ path: '/box/structured', headers: asked });
  assert.equal(body.length, structuredLength(content.length));
  assert.equal(told['x-ms-structured-content-length'], `${content.length}`);
  const decoder = new StructuredMessageDecoder({ messageLength: body.length, contentLength: content.length });
  const parts = [...decoder.take(body)];
  decoder.end();
  assert.equal(checksumOf(Buffer.concat(parts)), checksumOf(content));
});
