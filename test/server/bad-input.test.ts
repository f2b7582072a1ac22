// What no client sends: each is answered in Azure's form or cut, nothing crashes, and nothing is left behind.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RawAnswer, rawAnswers } from '../support/raw-answers.ts';
import { developmentAccount } from '../support/sas.ts';
import { eventually, headOf, Server, signed, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const headersTimeoutMs = 1500;
const stallTimeoutMs = 2000;
const blob = { 'x-ms-blob-type': 'BlockBlob' } as const;
const account = `/${developmentAccount}`;
let server: Server;
let workers: number[];
let openBefore: number[];

before(async () => {
  const settings = [`headersTimeoutMs=${headersTimeoutMs}`, `stallTimeoutMs=${stallTimeoutMs}`];
  server = await Server.start({ data: join(work, 'data'), settings });
  assert.equal((await server.createContainer('box')).status, 201);
  assert.equal((await server.put('/box/blob', Buffer.from('content'))).status, 201);
  workers = server.workers();
  openBefore = workers.map(openFiles);
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

function openSockets(pid: number): number {
  const links = readFileSync(`/proc/${pid}/net/tcp`, 'latin1').split('\n');
  const port = Number(server.blob.port).toString(16).toUpperCase().padStart(4, '0');
  // Established or half closed, at the server's end.
  return links.filter((line) => new RegExp(`^\\s*\\d+: [0-9A-F]+:${port} [0-9A-F:]+ (01|08) `).test(line)).length;
}

function residentBytes(pid: number): number {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kib) * 1024;
}

/** Sends the text, and answers what came back until the server closed, or `answers` have come. */
async function send(text: string | Buffer, answers = 1, thenEnd = false): Promise<RawAnswer[]> {
  const connection = await server.connection();
  try {
    if (thenEnd) connection.socket.end(text);
    else connection.socket.write(text);
    await eventually(
      () => connection.isClosed || rawAnswers(connection.received).length >= answers,
      'an answer, or the end of the connection',
      15_000,
    );
    return rawAnswers(connection.received);
  } finally {
    connection.socket.destroy();
  }
}

function isAzureError(answer: RawAnswer | undefined, status: number | readonly number[], code?: RegExp): void {
  assert.ok(answer, 'there is no answer');
  const shown = `${answer.status} ${answer.headers['x-ms-error-code']} ${answer.body.slice(0, 300)}`;
  assert.ok([status].flat().includes(answer.status), shown);
  assert.match(answer.headers['x-ms-request-id'] ?? '', /^[0-9a-f-]{36}$/, shown);
  assert.match(answer.headers['x-ms-error-code'] ?? '', code ?? /^[A-Z]\w+$/, shown);
  assert.match(answer.body, /^\xef\xbb\xbf<\?xml [^>]*\?><Error><Code>\w+<\/Code><Message>[^<]+<\/Message>/, shown);
}

const isWell = async (): Promise<void> => {
  assert.equal((await server.call({ path: '/box/blob' })).body.toString(), 'content');
  assert.deepEqual(server.workers(), workers, 'a worker was replaced');
};

describe('what is no HTTP', () => {
  const put = `PUT ${account}/box/x HTTP/1.1\r\nHost: h\r\n`;
  const cases: [what: string, text: string, status: number][] = [
    ['a negative Content-Length', `${put}Content-Length: -5\r\n\r\nhello`, 400],
    ['a Content-Length in words', `${put}Content-Length: many\r\n\r\n`, 400],
    ['a Content-Length of hexadecimal digits', `${put}Content-Length: 0x10\r\n\r\n`, 400],
    ['a Content-Length beyond all numbers', `${put}Content-Length: 99999999999999999999999999\r\n\r\n`, 400],
    ['a Content-Length with a list', `${put}Content-Length: 5, 5\r\n\r\nhello`, 400],
    ['two that differ', `${put}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, 400],
    ['two that are equal', `${put}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`, 400],
    ['a length and chunks', `${put}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['chunks and a length', `${put}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`, 400],
    ['an encoding before chunks that ends otherwise', `${put}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`, 400],
    ['an unknown encoding', `${put}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
    ['a space before the colon', `${put}Content-Length : 3\r\n\r\nabc`, 400],
    ['a header that is folded', `${put}X-A: b\r\n c\r\n\r\n`, 400],
    ['a header without a name', `${put}: b\r\n\r\n`, 400],
    ['a control character in a value', `${put}X-A: a\u0001b\r\n\r\n`, 400],
    ['a carriage return in a value', `${put}X-A: a\rb\r\n\r\n`, 400],
    ['a NUL in the path', `GET ${account}/box/a\u0000b HTTP/1.1\r\nHost: h\r\n\r\n`, 400],
    ['a space in the path', `GET ${account}/box/a b HTTP/1.1\r\nHost: h\r\n\r\n`, 400],
    ['no host', `GET ${account}/box HTTP/1.1\r\n\r\n`, 400],
    ['an expectation nobody knows', `${put}Expect: the best\r\nContent-Length: 0\r\n\r\n`, 417],
    ['a method nobody knows', `STEAL ${account}/box HTTP/1.1\r\nHost: h\r\n\r\n`, 400],
    ['HTTP/2 before its time', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a header of 1 MB', `${put}X-Large: ${'a'.repeat(1_000_000)}\r\n\r\n`, 431],
    ['a path of 1 MB', `GET ${account}/box/${'a'.repeat(1_000_000)} HTTP/1.1\r\nHost: h\r\n\r\n`, 431],
    ['300 headers', `${put}${'X-A: b\r\n'.repeat(300)}\r\n`, 431],
  ];
  for (const [what, text, status] of cases) {
    test(`${what} is refused, and the connection ends`, async () => {
      const [answer, ...more] = await send(text);
      isAzureError(answer, status);
      assert.equal(answer?.headers.connection, 'close');
      assert.deepEqual(more, []);
    });
  }
  test('the server is well after it', isWell);
});

test('TLS on this port is told in one line that it is plain HTTP, and nothing of it is logged', async () => {
  const connection = await server.connection();
  connection.socket.write(Buffer.from('160301020001000001fc03036e6f6e73656e7365', 'hex'));
  await connection.closed();
  assert.match(connection.received, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*\r\n\r\nThis port speaks plain HTTP\.\n$/);
  assert.ok(!server.logLines().some((line) => /nonsense|6e6f6e73|HPE_/.test(line)));
  await isWell();
});

describe('chunked bodies', () => {
  const head = (name: string, more: Readonly<Record<string, string>> = {}): string =>
    headOf(server, { method: 'PUT', path: `/box/${name}`, headers: { ...blob, ...more } }, undefined);

  for (const [what, body] of [
    ['a length that is no number', 'zz\r\nhello\r\n0\r\n\r\n'],
    ['a length that is negative', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a length beyond all numbers', 'ffffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
    ['a chunk longer than its length', '3\r\nhello\r\n0\r\n\r\n'],
    ['a chunk that ends in LF alone', '5\nhello\n0\n\n'],
    ['a trailer of 1 MB', `5\r\nhello\r\n0\r\nX-Large: ${'a'.repeat(1_000_000)}\r\n\r\n`],
    ['an extension of 1 MB', `5;x=${'a'.repeat(1_000_000)}\r\nhello\r\n0\r\n\r\n`],
  ] as const) {
    test(`${what}: nothing is stored`, async () => {
      const answers = await send(head('chunks') + body);
      for (const answer of answers) isAzureError(answer, [400, 411, 413, 431]);
      assert.equal((await server.call({ path: '/box/chunks' })).status, 404);
    });
  }

  test('unsigned trailers count for nothing', async () => {
    const trailers = 'x-ms-meta-evil: 1\r\nx-ms-access-tier: Cool\r\nContent-Length: 5\r\n';
    const [answer] = await send(`${head('trailers')}5\r\nhello\r\n0\r\n${trailers}\r\n`);
    assert.equal(answer?.status, 411);
    assert.equal((await server.call({ path: '/box/trailers' })).status, 404);
  });

  test('a trailer gives nobody a right', async () => {
    const { path, headers } = signed(server.blob, { method: 'PUT', path: '/box/trailed', headers: blob }, undefined);
    const { authorization, ...others } = headers;
    const lines = Object.entries({ host: server.blob.host, ...others }).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = `PUT ${path} HTTP/1.1\r\n${lines.join('')}Trailer: authorization\r\n\r\n5\r\nhello\r\n0\r\nauthorization: ${authorization}\r\n\r\n`;
    const [answer] = await send(text);
    isAzureError(answer, [401, 403, 404]);
    assert.equal((await server.call({ path: '/box/trailed' })).status, 404);
  });
});

describe('a body that is not what was announced', () => {
  test('one that is longer: what follows is no part of it', async () => {
    const head = headOf(server, { method: 'PUT', path: '/box/long', headers: blob }, 5);
    const answers = await send(`${head}hello and more of it\r\n\r\n`, 2);
    assert.equal(answers[0]?.status, 201);
    isAzureError(answers[1], 400);
    assert.equal((await server.call({ path: '/box/long' })).body.toString(), 'hello');
  });

  test('one that is shorter, on a connection half closed: nothing is stored', async () => {
    const head = headOf(server, { method: 'PUT', path: '/box/short', headers: blob }, 500);
    const answers = await send(`${head}hello`, 1, true);
    for (const answer of answers) isAzureError(answer, 400);
    assert.equal((await server.call({ path: '/box/short' })).status, 404);
  });

  test('one that stalls is cut', async () => {
    const head = headOf(server, { method: 'PUT', path: '/box/stalled', headers: blob }, 500);
    const connection = await server.connection();
    connection.socket.write(`${head}hello`);
    await connection.closed(5 * stallTimeoutMs);
    assert.equal((await server.call({ path: '/box/stalled' })).status, 404);
  });

  test('one larger than any may be is refused before it comes', async () => {
    const length = 6_000_000_000_000;
    const connection = await server.connection();
    connection.socket.write(headOf(server, { method: 'PUT', path: '/box/huge', headers: blob }, length));
    await connection.until(/<\/Error>/);
    isAzureError(rawAnswers(connection.received)[0], 413, /^RequestBodyTooLarge$/);
    connection.socket.destroy();
  });
});

test('headers that trickle are cut, however slowly they come', async () => {
  const connection = await server.connection();
  connection.socket.write(`GET ${account}/box HTTP/1.1\r\nHost: h\r\n`);
  const trickle = setInterval(() => connection.socket.write('X-A: b\r\n'), 100);
  try {
    await connection.closed(15_000);
  } finally {
    clearInterval(trickle);
  }
  isAzureError(rawAnswers(connection.received)[0], 408);
});

test('a request on a connection half closed is answered', async () => {
  const answers = await send(headOf(server, { method: 'GET', path: '/box/blob' }, 0), 1, true);
  assert.deepEqual([answers[0]?.status, answers[0]?.body], [200, 'content']);
});

describe('many requests in one piece', () => {
  test('60 are answered in order', async () => {
    const get = (index: number) =>
      headOf(server, { method: 'GET', path: '/box/blob', headers: { 'x-ms-client-request-id': `number-${index}` } }, 0);
    const answers = await send(Array.from({ length: 60 }, (_, index) => get(index)).join(''), 60);
    assert.deepEqual(
      answers.map(({ status, headers }) => `${status} ${headers['x-ms-client-request-id']}`),
      Array.from({ length: 60 }, (_, index) => `200 number-${index}`),
    );
  });

  test('of 5,000 no more than was read ahead is kept: the connection ends', async () => {
    const get = headOf(server, { method: 'GET', path: '/box/blob' }, 0);
    const connection = await server.connection();
    connection.socket.write(get.repeat(5000));
    await connection.closed();
    await isWell();
  });
});

describe('headers that come twice', () => {
  for (const [name, second] of [
    ['authorization', 'SharedKey devstoreaccount1:AAAA'],
    ['x-ms-version', '2015-02-21'],
    ['x-ms-date', new Date().toUTCString()],
    ['host', 'other.blob.example'],
    ['content-type', 'text/plain'],
    ['x-ms-blob-type', 'PageBlob'],
    ['x-ms-copy-source', 'http://a/b'],
    ['if-match', '"a"'],
    ['range', 'bytes=0-1'],
  ] as const) {
    test(`${name} is refused`, async () => {
      const headers = {
        ...blob,
        'content-type': 'text/html',
        'if-match': '*',
        range: 'bytes=0-9',
        'x-ms-copy-source': 'http://a/c',
      };
      const head = headOf(server, { method: 'PUT', path: '/box/twice', headers }, 0);
      for (const text of [
        head.replace('\r\n\r\n', `\r\n${name}: ${second}\r\n\r\n`),
        head.replace('\r\n', `\r\n${name}: ${second}\r\n`),
      ]) {
        const [answer] = await send(text);
        isAzureError(answer, 400, /^InvalidHeaderValue$/);
        assert.match(answer?.body ?? '', new RegExp(`<HeaderName>${name}</HeaderName>`));
      }
    });
  }
});

describe('absurd ranges', () => {
  const whole = /^200 content$/;
  const refused = /^416 InvalidRange$/;
  for (const [range, expected] of [
    ['bytes=-0', /^(200 content|416 InvalidRange)$/],
    ['bytes=7-', refused],
    ['bytes=9999999999999999999999-', /^(200 content|416 InvalidRange)$/],
    ['bytes=0-99999999999999999999999', /^206 content$|^200 content$/],
    ['bytes=5-2', /^(200 content|416 InvalidRange)$/],
    ['bytes=0-1,3-4', whole],
    [`bytes=${Array.from({ length: 5000 }, () => '0-0').join(',')}`, whole],
    ['bytes=a-b', whole],
    ['chapters=1-2', whole],
    ['bytes=--1', whole],
    ['bytes=', whole],
    ['bytes=1.5-2', whole],
  ] as const) {
    test(range.slice(0, 40), async () => {
      const answer = await server.call({ path: '/box/blob', headers: { range } });
      const shown = answer.status < 400 ? answer.body.toString() : answer.headers['x-ms-error-code'];
      assert.match(`${answer.status} ${shown}`, expected);
    });
  }
});

describe('XML that means harm', () => {
  const bomb = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">${'bcdefgh'
    .split('')
    .map((name, index) => `<!ENTITY ${name} "${`&${'abcdefgh'[index]};`.repeat(10)}">`)
    .join('')}]><BlockList><Latest>&h;</Latest></BlockList>`;
  const cases: [what: string, body: string][] = [
    ['entities within entities', bomb],
    [
      'an entity of a file',
      '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><BlockList><Latest>&x;</Latest></BlockList>',
    ],
    ['an external document type', '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><BlockList/>'],
    ['an entity nobody declared', '<BlockList><Latest>&lol;</Latest></BlockList>'],
    ['100,000 levels', '<a>'.repeat(100_000)],
    ['a million elements', `<BlockList>${'<a/>'.repeat(1_000_000)}</BlockList>`],
    ['100,000 attributes', `<BlockList ${Array.from({ length: 100_000 }, (_, i) => `a${i}="b"`).join(' ')}/>`],
    ['the same attribute twice', '<BlockList a="1" a="2"/>'],
    ['a name of 1 MB', `<${'a'.repeat(1_000_000)}/>`],
    ['bytes that are no UTF-8', '\xff\xff<BlockList/>'],
    ['nothing', ''],
    ['a character that XML does not have', '<BlockList><Latest>&#0;</Latest></BlockList>'],
  ];
  const targets: [where: string, path: string, query: string][] = [
    ['Put Block List', '/box/list', 'comp=blocklist'],
    ['Set Container ACL', '/box', 'restype=container&comp=acl'],
    ['Set Blob Service Properties', '/', 'restype=service&comp=properties'],
  ];
  for (const [where, path, query] of targets) {
    for (const [what, text] of cases) {
      // An empty body is an empty policy list.
      if (text === '' && path === '/box') continue;
      test(`${where}: ${what}`, async () => {
        const body = Buffer.from(text, 'latin1');
        const startedMs = performance.now();
        const answer = await server.call({ method: 'PUT', path, query, body });
        assert.ok(
          answer.status >= 400 && answer.status < 500,
          `${answer.status} ${answer.body.toString().slice(0, 200)}`,
        );
        assert.match(answer.body.toString(), /<Error><Code>/);
        assert.ok(!answer.body.toString().includes('root:'));
        assert.ok(performance.now() - startedMs < 5000);
      });
    }
  }
  test('the server is well after it', isWell);
});

describe('a block list', () => {
  const list = (count: number, id: string): Buffer =>
    Buffer.from(`<?xml version="1.0"?><BlockList>${`<Latest>${id}</Latest>`.repeat(count)}</BlockList>`);

  test('of 50,000 that all are the same block is a blob', async () => {
    const body = Buffer.from('0123456789');
    const put = { method: 'PUT', path: '/box/repeats', query: 'comp=block&blockid=AAAA', body };
    assert.equal((await server.call(put)).status, 201);
    const committed = await server.call({
      method: 'PUT',
      path: '/box/repeats',
      query: 'comp=blocklist',
      body: list(50_000, 'AAAA'),
    });
    assert.equal(committed.status, 201, committed.body.toString());
    const read = await server.call({ path: '/box/repeats' });
    assert.equal(read.body.length, 500_000);
    assert.ok(read.body.equals(Buffer.from('0123456789'.repeat(50_000))));
    assert.equal((await server.call({ method: 'DELETE', path: '/box/repeats' })).status, 202);
  });

  for (const [what, body, code] of [
    ['of 50,001', () => list(50_001, 'AAAA'), /^BlockListTooLong$/],
    ['of blocks that nobody staged', () => list(50_000, 'BBBB'), /^InvalidBlockList$/],
    ['whose ids are no base64', () => list(3, '!!!!'), /^Invalid/],
  ] as const) {
    test(`${what} is refused`, async () => {
      const answer = await server.call({ method: 'PUT', path: '/box/none', query: 'comp=blocklist', body: body() });
      assert.equal(answer.status, 400);
      assert.match(`${answer.headers['x-ms-error-code']}`, code);
    });
  }
});

describe('addresses', () => {
  for (const [what, path, status] of [
    ['10,000 parameters', `/box?${Array.from({ length: 6000 }, (_, i) => `p${i}=`).join('&')}`, 400],
    [
      'one parameter 6,000 times',
      `/box?restype=container&${Array.from({ length: 6000 }, () => 'comp=list').join('&')}`,
      400,
    ],
    ['a parameter that is no UTF-8', '/box?restype=container&prefix=%ff%fe', 400],
    ['a percent sign alone', '/box/%', 400],
    ['half an escape', '/box/a%2', 400],
    ['an overlong slash', '/box/a%c0%afb', 400],
    ['an overlong NUL', '/box/a%c0%80b', 400],
    ['half a surrogate pair', '/box/a%ed%a0%80b', 400],
    ['bytes that are no UTF-8', '/box/%ff', 400],
    ['a NUL', '/box/a%00b', 400],
    ['a name of 2,000 characters', `/box/${'a'.repeat(2000)}`, 400],
    ['a name of 300 segments', `/box/${'a/'.repeat(300)}a`, 400],
    ['a container in capitals', '/BOX/a', [400, 404]],
    ['a container of dots', '/../a', [400, 403, 404]],
    ['an account that is none', '/../../etc/passwd', [400, 403, 404]],
  ] as const) {
    test(`${what}: a clear refusal`, async () => {
      const { headers } = signed(server.blob, { method: 'PUT', path: '/x', headers: blob }, 0);
      const lines = Object.entries({ host: server.blob.host, ...headers }).map(([name, value]) => `${name}: ${value}`);
      const [answer] = await send(`PUT ${account}${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
      // Unsigned as it is, only its form can be what is told.
      isAzureError(answer, [status, 403].flat());
      const version = 'x-ms-version: 2024-11-04';
      const anonymous = await send(`GET ${account}${path} HTTP/1.1\r\nHost: ${server.blob.host}\r\n${version}\r\n\r\n`);
      isAzureError(anonymous[0], [status, 404].flat());
    });
  }

  for (const [what, request] of [
    ['a URL where a path belongs', `GET http://other.example${account}/box/blob HTTP/1.1`],
    ['an asterisk', 'OPTIONS * HTTP/1.1'],
    ['a tunnel', 'CONNECT 127.0.0.1:22 HTTP/1.1'],
    ['another protocol', `GET ${account}/box HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket`],
  ] as const) {
    test(`${what} is refused or cut`, async () => {
      const answers = await send(`${request}\r\nHost: ${server.blob.host}\r\nx-ms-version: 2024-11-04\r\n\r\n`);
      for (const answer of answers) isAzureError(answer, [400, 401, 403, 404, 405]);
    });
  }
});

test('afterwards everything is as before: processes, files, sockets, memory', async () => {
  await isWell();
  const abuse = async (): Promise<void> => {
    const texts = [
      `PUT ${account}/box/x HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\nhello`,
      `GET ${account}/box HTTP/1.1\r\nHost: h\r\nX-Large: ${'a'.repeat(200_000)}\r\n\r\n`,
      headOf(server, { method: 'GET', path: '/box/blob' }, 0).repeat(100),
      headOf(server, { method: 'PUT', path: '/box/abuse', headers: blob }, 1_000_000) + 'a'.repeat(300_000),
      headOf(server, { method: 'PUT', path: '/nobox/abuse', headers: blob }, 1_000_000) + 'a'.repeat(300_000),
      headOf(server, { method: 'PUT', path: '/box/list', query: 'comp=blocklist' }, 40_000) + '<a>'.repeat(13_000),
    ];
    const all = Array.from({ length: 240 }, async (_, index) => {
      const connection = await server.connection();
      connection.socket.write(texts[index % texts.length] as string);
      await sleep(50);
      if (index % 2 === 0) connection.socket.resetAndDestroy();
      else connection.socket.destroy();
    });
    await Promise.all(all);
  };
  for (let round = 0; round < 4; round++) await abuse();
  const early = workers.map(residentBytes);
  for (let round = 0; round < 12; round++) await abuse();
  await eventually(
    () => workers.every((pid) => openSockets(pid) === 0),
    'no socket is left',
    20_000,
    () => workers.map(openSockets).join(' '),
  );
  await eventually(
    () => workers.every((pid, index) => openFiles(pid) <= (openBefore[index] as number) + 4),
    'no file is left open',
    20_000,
    () => `${openBefore} before, ${workers.map(openFiles)} now`,
  );
  const grownBytes = workers.map((pid, index) => residentBytes(pid) - (early[index] as number));
  // A leak of what 2,880 connections sent would be several hundred megabytes.
  for (const grown of grownBytes) assert.ok(grown < 96 * 1024 * 1024, `${grownBytes}`);
  await isWell();
  assert.ok(!server.logLines().some((line) => line.includes('"status":500')), 'an error 500 was answered');
});
