// The Blob API over HTTPS: which certificate is shown, what a renewal does, and handshakes that go nowhere.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type PeerCertificate } from 'node:tls';
import { type Authority, hasOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts';
import { type Answer, answerTo, eventually, Server, signed, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const certificatePath = join(work, 'live.crt');
const keyPath = join(work, 'live.key');
let authority: Authority;
let server: Server;

function put(from: { certificatePath: string; keyPath: string }): void {
  copyFileSync(from.certificatePath, certificatePath);
  copyFileSync(from.keyPath, keyPath);
  chmodSync(keyPath, 0o600);
}

function shown(): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = server.blob;
    const socket = connect({ host, port: Number(port), ca: authority.certificate }, () => {
      const certificate = socket.getPeerCertificate();
      socket.destroy();
      resolve(certificate);
    });
    socket.on('error', reject);
  });
}

/** What comes back when this is sent without TLS, until the server ends the connection. */
function plainly(bytes: string | Buffer, isEnded = false): Promise<string> {
  const { hostname: host, port } = server.blob;
  return new Promise((resolve) => {
    let text = '';
    const socket = connectPlain(Number(port), host, () => (isEnded ? socket.end(bytes) : socket.write(bytes)));
    socket.on('data', (received) => {
      text += received.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

function call(path: string, method: string, agent?: Agent, query?: string): Promise<Answer> {
  const options = signed(server.blob, { method, path, ...(query && { query }) }, 0);
  return answerTo(request({ ...options, agent: agent ?? false, ca: authority.certificate }), Buffer.alloc(0));
}

describe('over TLS', { skip: !hasOpenssl() && 'there is no openssl command' }, () => {
  before(async () => {
    authority = makeAuthority(work);
    put(makeCertificate(authority, work, 'first', { commonName: 'first' }));
    const settings = [`tlsCertificate=${certificatePath}`, `tlsKey=${keyPath}`, 'tlsHandshakeTimeoutMs=1000'];
    server = await Server.start({ data: join(work, 'data'), settings });
  });
  after(async () => {
    assert.equal(await server.stop(), 0);
  });

  test('the ready line says https, and requests are served', async () => {
    assert.equal(server.blob.protocol, 'https:');
    assert.equal(server.admin.protocol, 'http:');
    assert.equal((await call('/box', 'PUT', undefined, 'restype=container')).status, 201);
    assert.equal((await call('/box', 'GET', undefined, 'restype=container')).status, 200);
  });

  test('it shows the certificate of the files', async () => {
    const { subject } = await shown();
    assert.equal(subject.CN, 'first');
  });

  test('TLS 1.1 is refused', async () => {
    const { hostname: host, port } = server.blob;
    const outcome = await new Promise<string>((resolve) => {
      const socket = connect(
        { host, port: Number(port), ca: authority.certificate, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' },
        () => resolve('connected'),
      );
      socket.on('error', () => resolve('refused'));
      socket.on('close', () => resolve('refused'));
    });
    assert.equal(outcome, 'refused');
  });

  test('plain HTTP is told in one line that it is HTTPS, whatever the method', async () => {
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      const received = await plainly(`${method} /box HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
      assert.match(received, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*\r\n\r\nThis port speaks HTTPS\.\n$/, method);
    }
  });

  test('what is neither TLS nor HTTP ends, and the server goes on', async () => {
    const hello = Buffer.from('16030100050100000100', 'hex');
    const cases = [
      Buffer.alloc(20_000),
      Buffer.alloc(64, 0xff),
      hello,
      hello.subarray(0, 3),
      Buffer.from('SSH-2.0-x\r\n'),
    ];
    for (const bytes of cases) await plainly(bytes, true);
    assert.equal((await call('/box', 'GET', undefined, 'restype=container')).status, 200);
  });

  test('a handshake that drips is cut when its time is over, also while others come', async () => {
    const { hostname: host, port } = server.blob;
    const started = performance.now();
    const closed = Array.from({ length: 50 }, (_, client) => {
      const socket = connectPlain(Number(port), host);
      // A record of 16 KiB that arrives byte by byte; half of them say nothing at all.
      const dripping = setInterval(() => client % 2 === 0 && socket.write(Buffer.from([0])), 100);
      socket.write(client % 2 === 0 ? Buffer.from([0x16, 3, 1, 0x3f, 0xff, 1]) : Buffer.alloc(0));
      socket.on('error', () => undefined);
      socket.resume();
      return new Promise<void>((resolve) => socket.on('close', resolve)).finally(() => clearInterval(dripping));
    });
    const others = Array.from({ length: 10 }, () => call('/box', 'GET', undefined, 'restype=container'));
    assert.ok((await Promise.all(others)).every(({ status }) => status === 200));
    await Promise.all(closed);
    assert.ok(performance.now() - started < 30_000);
  });

  test('a client cannot ask for another handshake on its connection', async () => {
    const { hostname: host, port } = server.blob;
    const outcome = await new Promise<string>((resolve) => {
      const options = { host, port: Number(port), ca: authority.certificate, maxVersion: 'TLSv1.2' } as const;
      const socket = connect(options, () => {
        socket.renegotiate({}, (error) => resolve(error === null ? 'renegotiated' : 'refused'));
      });
      socket.on('error', () => resolve('refused'));
      socket.on('close', () => resolve('refused'));
    });
    assert.equal(outcome, 'refused');
    assert.equal((await call('/box', 'GET', undefined, 'restype=container')).status, 200);
  });

  test('a server name of any kind gets the certificate', async () => {
    const { hostname: host, port } = server.blob;
    for (const servername of ['nothing.invalid', '*', 'a'.repeat(255), '..', 'xn--', "';--"]) {
      await new Promise<void>((resolve, reject) => {
        const socket = connect({ host, port: Number(port), servername, rejectUnauthorized: false }, () => {
          socket.destroy();
          resolve();
        });
        socket.on('error', reject);
      });
    }
  });

  test('a handshake that does not go on is cut', async () => {
    const { hostname: host, port } = server.blob;
    const started = performance.now();
    await new Promise<void>((resolve) => {
      const socket = connectPlain(Number(port), host);
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
      socket.resume();
    });
    const tookMs = performance.now() - started;
    assert.ok(tookMs > 700 && tookMs < 6000, `cut after ${tookMs} ms`);
  });

  test('a pair that does not fit is not taken, and a good one is taken without cutting connections', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      assert.equal((await call('/box', 'GET', agent, 'restype=container')).status, 200);
      const [socket] = Object.values(agent.freeSockets).flat();
      assert.ok(socket);
      const second = makeCertificate(authority, work, 'second', { commonName: 'second' });
      // The certificate without its key, as a renewal looks that is half done.
      writeFileSync(certificatePath, readFileSync(second.certificatePath));
      await eventually(() => server.logLines().some((line) => line.includes('is not taken')), 'the refusal is logged');
      assert.equal((await shown()).subject.CN, 'first');
      put(second);
      await eventually(
        async () => {
          const names = await Promise.all(Array.from({ length: 6 }, async () => (await shown()).subject.CN));
          return names.every((name) => name === 'second');
        },
        'every worker shows the new certificate',
        15_000,
      );
      assert.equal((await call('/box', 'GET', agent, 'restype=container')).status, 200);
      assert.equal(Object.values(agent.freeSockets).flat()[0], socket, 'the connection was cut');
    } finally {
      agent.destroy();
    }
  });

  test('a certificate that is renewed again and again under load breaks no request', async () => {
    const pairs = ['third', 'fourth'].map((commonName) => makeCertificate(authority, work, commonName, { commonName }));
    const ends = performance.now() + 4000;
    let failures = 0;
    let served = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (performance.now() < ends) {
        const { status } = await call('/box', 'GET', undefined, 'restype=container');
        if (status === 200) served++;
        else failures++;
      }
    });
    for (let turn = 0; performance.now() < ends; turn++) {
      put(pairs[turn % 2] as (typeof pairs)[number]);
      await sleep(150);
    }
    await Promise.all(load);
    assert.equal(failures, 0);
    assert.ok(served > 10, `${served} served`);
  });

  test('no log line shows a key', () => {
    assert.ok(!server.logLines().some((line) => line.includes('PRIVATE KEY')));
  });
});

describe('settings of TLS', { skip: !hasOpenssl() && 'there is no openssl command' }, () => {
  const cases: [what: string, settings: (path: (name: string) => string) => string[], says: RegExp][] = [
    ['a certificate alone', (path) => [`tlsCertificate=${path('a.crt')}`], /tlsKey: must be set too/],
    ['a key alone', (path) => [`tlsKey=${path('a.key')}`], /tlsCertificate: must be set too/],
    [
      'a file that is missing',
      (path) => [`tlsCertificate=${path('none')}`, `tlsKey=${path('a.key')}`],
      /tlsCertificate: the file cannot be read \(ENOENT\)/,
    ],
    [
      'the key of another certificate',
      (path) => [`tlsCertificate=${path('a.crt')}`, `tlsKey=${path('b.key')}`],
      /tlsKey: not the key of the certificate/,
    ],
    [
      'a key for a certificate',
      (path) => [`tlsCertificate=${path('a.key')}`, `tlsKey=${path('a.key')}`],
      /tlsCertificate: not a certificate in PEM/,
    ],
  ];
  before(() => {
    const own = makeAuthority(join(work, 'settings'));
    for (const name of ['a', 'b']) makeCertificate(own, join(work, 'settings'), name);
  });
  for (const [what, settings, says] of cases) {
    test(`${what} is refused in one line`, async () => {
      const given = settings((name) => join(work, 'settings', name));
      await assert.rejects(Server.start({ data: join(work, 'refused'), settings: given }), says);
    });
  }
  test('a key that everybody can read is taken with a warning', async () => {
    const path = (name: string): string => join(work, 'settings', name);
    chmodSync(path('a.key'), 0o644);
    const settings = [`tlsCertificate=${path('a.crt')}`, `tlsKey=${path('a.key')}`];
    const started = await Server.start({ data: join(work, 'warned'), settings, workers: 1 });
    assert.ok(started.logLines().some((line) => line.includes('can be read by every user')));
    assert.equal(await started.stop(), 0);
  });
});
