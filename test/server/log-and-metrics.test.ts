// What a server tells about itself: its log, which holds no secret whatever happens, its metrics, and its health.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { accountSas, developmentAccount, developmentKey } from '../support/sas.ts';
import { answerTo, eventually, headOf, Server, signed, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();

interface RequestLine {
  readonly msg: string;
  readonly requestId: string;
  readonly client?: string;
  readonly path?: string;
  readonly account?: string;
  readonly operation: string;
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  readonly errorCode?: string;
  readonly clientRequestId?: string;
}

function requestsIn(server: Server): RequestLine[] {
  const lines: RequestLine[] = [];
  for (const line of server.logLines()) {
    const parsed = JSON.parse(line) as RequestLine;
    if (parsed.msg === 'request') lines.push(parsed);
  }
  return lines;
}

test('every request is one JSON line that says who, what, how it ended, how much and how long', async () => {
  const server = await Server.start({ data: join(work, 'log') });
  try {
    const body = Buffer.alloc(12_345, 1);
    const answers = [
      await server.createContainer('box'),
      await server.put('/box/blob', body, { 'x-ms-client-request-id': 'my-own-id' }),
      await server.call({ path: '/box/blob' }),
      await server.call({ method: 'HEAD', path: '/box/missing' }),
      await server.call({ path: '/box', query: 'restype=container&comp=list', key: 'AAAA' }),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [201, 201, 200, 404, 403],
    );
    await eventually(() => requestsIn(server).length >= answers.length, 'a line for each request');
    const lines = requestsIn(server);
    assert.equal(lines.length, answers.length);
    const of = (index: number): RequestLine => {
      const id = answers[index]?.headers['x-ms-request-id'];
      const found = lines.filter((line) => line.requestId === id);
      assert.equal(found.length, 1, `one line for request ${index}`);
      return found[0] as RequestLine;
    };
    for (let index = 0; index < answers.length; index++) {
      const line = of(index);
      assert.equal(line.account, developmentAccount);
      assert.deepEqual([line.client, line.path], ['127.0.0.1', undefined], 'by default the address and no path');
      assert.equal(line.status, answers[index]?.status);
      assert.ok(line.durationMs > 0 && line.durationMs < 60_000);
    }
    assert.deepEqual([of(1).bytesIn, of(1).bytesOut], [12_345, 0]);
    assert.equal(of(1).clientRequestId, 'my-own-id');
    assert.deepEqual([of(2).bytesIn, of(2).bytesOut], [0, 12_345]);
    assert.equal(of(3).errorCode, 'BlobNotFound');
    assert.equal(of(4).errorCode, 'AuthenticationFailed');
    const operations = [0, 1, 2, 3, 4].map((index) => of(index).operation);
    assert.equal(new Set(operations.slice(0, 4)).size, 4, operations.join());
    assert.ok(operations.every((name) => /^[A-Z][A-Za-z]+$/.test(name)));
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('settings say whether a line has the address of the client, and the path without what may be secret', async () => {
  const settings = ['requestLogAddress=false', 'requestLogPath=true'];
  const server = await Server.start({ data: join(work, 'paths'), workers: 1, settings });
  const target = `/${developmentAccount}/box/a%20b"\\<`;
  try {
    await server.createContainer('box');
    await server.call({ path: '/box', query: 'restype=container&comp=list&prefix=hidden' });
    const bare = await server.connection();
    bare.socket.write(
      [target, `http://me:hidden@elsewhere${target}?sig=hidden`, `${target}%3Fs%69g%3Dhidden`, `/${'x'.repeat(9000)}`]
        .map((of) => `GET ${of} HTTP/1.1\r\nHost: x\r\n\r\n`)
        .join(''),
    );
    await eventually(() => requestsIn(server).length >= 6, 'a line for each request');
    bare.socket.destroy();
  } finally {
    assert.equal(await server.stop(), 0);
  }
  const lines = requestsIn(server);
  assert.ok(lines.every(({ client }) => client === undefined));
  assert.deepEqual(
    lines.map(({ path }) => path),
    [
      `/${developmentAccount}/box`,
      `/${developmentAccount}/box`,
      target,
      target,
      `${target}%3Fsig%3D[secret]`,
      `/${'x'.repeat(2047)}…`,
    ],
  );
  assert.ok(!server.program.err.includes('hidden'));
});

test('no key, signature or token is in the log, whatever is wrong with the request', async () => {
  const server = await Server.start({
    data: join(work, 'secrets'),
    settings: ['logLevel=trace', 'requestLogPath=true'],
  });
  const secrets = new Set<string>([developmentKey]);
  try {
    await server.createContainer('box');
    const sas = accountSas(developmentAccount, developmentKey, new Date(Date.now() + 3_600_000));
    secrets.add(new URLSearchParams(sas).get('sig') as string);
    const { host, port } = { host: server.blob.hostname, port: server.blob.port };
    const send = async (method: string, path: string, headers: Record<string, string> = {}, body?: Buffer) => {
      const sent = request({ host, port, method, path, headers: { 'x-ms-version': '2022-11-02', ...headers } });
      await answerTo(sent, body ?? Buffer.alloc(0)).catch(() => undefined);
    };
    const blob = { 'x-ms-blob-type': 'BlockBlob', 'content-length': '3' };
    const base = `/${developmentAccount}`;
    await send('PUT', `${base}/box/good?${sas}`, blob, Buffer.from('abc'));
    await send('GET', `${base}/box/good?${sas}`);
    await send('GET', `${base}/box/missing?${sas}`);
    await send('GET', `${base}/box?restype=container&comp=list&${sas}&sig=twice`);
    for (const broken of [sas.replace('sp=rwdlacup', 'sp=r'), sas.replace(/se=[^&]*/, 'se=yesterday'), `${sas}%ff`]) {
      await send('PUT', `${base}/box/bad?${broken}`, blob, Buffer.from('abc'));
      await send('DELETE', `${base}/box/good?${broken}`);
    }
    const wrong = 'd3JvbmctYnV0LXNlY3JldC13cm9uZy1idXQtc2VjcmV0IQ==';
    secrets.add(wrong);
    for (const value of [
      `SharedKey ${developmentAccount}:${wrong}`,
      `SharedKeyLite ${developmentAccount}:${wrong}`,
      `Bearer ${wrong}`,
      `SharedKey${wrong}`,
      wrong,
    ]) {
      await send('GET', `${base}/box/good`, { authorization: value });
      await send('PUT', `${base}/box/x?comp=nonsense`, { authorization: value, ...blob }, Buffer.from('abc'));
    }
    // In a source of a copy, in names, in conditions, in a batch.
    const source = `${server.blob.origin}${base}/box/missing?${sas}`;
    for (const from of [
      source,
      source.replace('/box/', '/%zz/'),
      `ftp://elsewhere/?${sas}`,
      `${source}&sig=${wrong}`,
    ]) {
      await server.call({ method: 'PUT', path: '/box/copy', headers: { 'x-ms-copy-source': from } });
      const headers = { 'x-ms-copy-source': from, 'x-ms-copy-source-authorization': `Bearer ${wrong}` };
      await server.call({ method: 'PUT', path: '/box/copy', query: 'comp=block&blockid=AAAA', headers });
    }
    await server.call({ path: `/box/AccountKey=${wrong};`, headers: { 'if-match': `sig=${wrong}` } });
    await send('GET', `${base}/box/%E0%A4%A?sig=${encodeURIComponent(wrong)}`);
    await send(
      'POST',
      `${base}/?comp=batch&${sas}`,
      { 'content-type': 'multipart/mixed; boundary=b' },
      Buffer.from('x'),
    );
    const correct = signed(server.blob, { method: 'GET', path: '/box/good' }, 0).headers.authorization as string;
    secrets.add(correct.slice(correct.indexOf(':') + 1));
    await send('GET', `${base}/box/good`, { authorization: correct });
    const bare = await server.connection();
    bare.socket.write(`GET ${base}/box/good?${sas} HTTP/1.1\r\nHost: x\r\nbroken header sig=${wrong}\r\n\r\n`);
    await bare.closed();
    const cut = await server.connection();
    cut.socket.write(
      headOf(server, { method: 'PUT', path: '/box/cut', headers: { 'x-ms-blob-type': 'BlockBlob' } }, 999),
    );
    cut.socket.end('abc');
    await cut.closed();
    const clientId = `sig=${wrong}`;
    await send('GET', `${base}/box/good?${sas}`, { 'x-ms-client-request-id': clientId, 'user-agent': `sig=${wrong}` });
    await eventually(() => requestsIn(server).length > 30, 'the lines of all of them');
  } finally {
    assert.equal(await server.stop(), 0);
  }
  const log = server.program.err;
  assert.ok(requestsIn(server).some(({ status }) => status === 201) && requestsIn(server).length > 30);
  for (const secret of secrets) {
    for (const form of [secret, encodeURIComponent(secret), encodeURIComponent(encodeURIComponent(secret))]) {
      const at = log.indexOf(form);
      assert.equal(at, -1, `the log has a secret in it: ${log.slice(Math.max(0, at - 300), at + 100)}`);
    }
  }
  assert.ok(!/sig=(?!\[secret\])[^"&]/i.test(log), 'a value of sig');
});

interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** The text format of Prometheus, version 0.0.4; fails on a line that does not belong to it. */
function samplesOf(text: string): Sample[] {
  const samples: Sample[] = [];
  const typed = new Map<string, string>();
  assert.ok(text.endsWith('\n'));
  for (const line of text.split('\n')) {
    if (line === '' || /^# HELP [a-zA-Z_:][\w:]* /.test(line)) continue;
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type !== null) {
      assert.ok(!typed.has(type[1] as string), `${type[1]} is declared once`);
      typed.set(type[1] as string, type[2] as string);
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.]+(?:e[+-]?\d+)?|NaN|[+-]Inf)$/.exec(line);
    assert.ok(sample !== null, `a line of the format: ${line}`);
    const [, name, labels = '', value] = sample as unknown as [string, string, string?, string?];
    const family = name.replace(/_(bucket|sum|count)$/, '');
    assert.ok(typed.has(name) || typed.has(family), `${name} has a type`);
    const pairs = [...labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g)];
    assert.equal(pairs.map(([all]) => all).join(''), labels, line);
    samples.push({
      name,
      labels: new Map(pairs.map(([, key, of]) => [key as string, of as string])),
      value: Number(value),
    });
  }
  return samples;
}

test('the metrics of all workers are one text, and count every request once', async () => {
  const server = await Server.start({ data: join(work, 'metrics'), workers: 3 });
  const requests = async (operation: string, status: string): Promise<number> => {
    const { status: answered, headers, body } = await server.fromAdmin('/metrics');
    assert.equal(answered, 200);
    assert.match(headers['content-type'] as string, /^text\/plain; version=0\.0\.4/);
    const counts = samplesOf(body.toString()).filter(
      ({ name, labels }) =>
        name === 'causeway_blob_requests_total' &&
        labels.get('operation') === operation &&
        labels.get('status') === status,
    );
    assert.ok(counts.length <= 1, 'one sample for all workers');
    return counts[0]?.value ?? 0;
  };
  try {
    await server.createContainer('box');
    // A connection each, so that every worker gets some.
    for (let index = 0; index < 30; index++) await server.put(`/box/${index}`, Buffer.alloc(10));
    for (let index = 0; index < 12; index++) await server.call({ path: `/box/missing ${index}` });
    assert.equal(await requests('PutBlob', '201'), 30);
    assert.equal(await requests('GetBlob', '404'), 12);
    const victim = server.workers()[0] as number;
    process.kill(victim, 'SIGKILL');
    const isReady = async (): Promise<boolean> => (await server.fromAdmin('/readyz')).status === 200;
    await eventually(async () => !server.workers().includes(victim) && (await isReady()), 'a new worker', 20_000);
    assert.equal(await requests('PutBlob', '201'), 30, 'what the dead worker had counted and told stays');
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('what is stored and what the disk still takes are metrics', async () => {
  const server = await Server.start({ data: join(work, 'stored'), workers: 1, settings: ['scanIntervalMs=10'] });
  let samples: Sample[] = [];
  const value = async (name: string): Promise<number | undefined> => {
    samples = samplesOf((await server.fromAdmin('/metrics')).body.toString());
    return samples.find((sample) => sample.name === name)?.value;
  };
  try {
    await server.createContainer('box');
    await server.put('/box/dir/one', Buffer.alloc(1000));
    await server.put('/box/two', Buffer.alloc(24));
    await eventually(async () => (await value('causeway_stored_bytes')) === 1024, 'the bytes');
    await eventually(async () => (await value('causeway_objects')) === 2, 'the blobs');
    assert.deepEqual([await value('causeway_accounts'), await value('causeway_containers')], [1, 1]);
    const free = (await value('causeway_disk_free_bytes')) as number;
    assert.ok(free > 0 && free <= ((await value('causeway_disk_size_bytes')) as number));
    assert.equal((await server.call({ method: 'DELETE', path: '/box/two' })).status, 202);
    await eventually(async () => (await value('causeway_objects')) === 1, 'a blob less');
    await eventually(async () => (await value('causeway_stored_bytes')) === 1000, 'and its bytes');
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('the admin listener tells health, asks for a credential for all else, and is not the Blob API', async () => {
  const server = await Server.start({ data: join(work, 'health'), workers: 1 });
  try {
    for (const path of ['/healthz', '/readyz', '/healthz?verbose']) {
      const { status, body } = await server.fromAdmin(path);
      assert.equal(status, 200);
      assert.match(body.toString(), /^(ok|ready)\n$/);
      const head = await server.fromAdmin(path, 'HEAD');
      assert.deepEqual([head.status, head.body.length], [200, 0]);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
      for (const path of ['/healthz', '/metrics', '/'])
        assert.equal((await server.fromAdmin(path, method)).status, path === '/' ? 401 : 405, `${method} ${path}`);
    for (const path of ['/', '/nothing', '/metrics/', `/${developmentAccount}?comp=list`])
      assert.equal((await server.fromAdmin(path)).status, 401);
    process.kill(server.workers()[0] as number, 'SIGKILL');
    const status = async (): Promise<number> => (await server.fromAdmin('/readyz')).status;
    await eventually(async () => (await status()) === 503, 'not ready without a worker');
    assert.equal((await server.fromAdmin('/healthz')).status, 200);
    await eventually(async () => (await status()) === 200, 'ready with a new worker', 20_000);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});
