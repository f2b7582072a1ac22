// The token source against stand-ins: each way to prove who one is, and how seldom the other side is asked.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { UnsecuredJWT } from 'jose';
import { createTokenSource, type OutboundIdentity } from '../../src/identity/outbound.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { type IssuerClient, startIssuer } from '../support/issuer.ts';

const scope = 'https://vault.azure.net/.default';
const directory = mkdtempSync(join(tmpdir(), 'causeway-outbound-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const authority = makeAuthority(directory);
const serverCertificate = makeCertificate(authority, directory);
const clientId = randomUUID();
const oid = randomUUID();
const file = (name: string, text: string): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};

function openssl(...words: readonly string[]): void {
  execFileSync('openssl', words, { stdio: 'ignore', timeout: 30_000 });
}

type Registered = Extract<OutboundIdentity, { kind: 'client-secret' | 'certificate' | 'workload-identity' }>;
type OwnFields = {
  [K in Registered['kind']]: Omit<
    Extract<Registered, { kind: K }>,
    'tenantId' | 'clientId' | 'authorityHost' | 'caFile'
  >;
};

/** The object id that the token of an identity is of; asks twice, and sees that it was asked for once. */
async function tokenOf(
  own: OwnFields[Registered['kind']],
  client: Omit<IssuerClient, 'clientId' | 'oid'>,
): Promise<string> {
  const tls = { key: serverCertificate.key, cert: serverCertificate.certificate };
  await using issuer = await startIssuer({ clients: [{ clientId, oid, ...client }], tls });
  const identity = {
    ...own,
    tenantId: issuer.tenant,
    clientId,
    authorityHost: issuer.url,
    caFile: authority.certificatePath,
  } as OutboundIdentity;
  const source = createTokenSource(identity);
  const [first, second] = await Promise.all([source.token(scope), source.token(scope)]);
  const third = await source.getToken([scope]);
  assert.deepEqual([second.token, third?.token], [first.token, first.token]);
  assert.equal(issuer.issued, 1);
  assert(first.expiresMs > Date.now() + 3_000_000);
  const claims = JSON.parse(Buffer.from(first.token.split('.')[1] as string, 'base64url').toString()) as {
    oid: string;
    aud: string;
  };
  assert.equal(claims.aud, 'https://vault.azure.net');
  return claims.oid;
}

describe('a token is had by', () => {
  test('a client secret in a file', async () => {
    const secretFile = file('secret', 's3cret-of-the-app\n');
    assert.equal(await tokenOf({ kind: 'client-secret', secretFile }, { secret: 's3cret-of-the-app' }), oid);
  });

  test('a certificate and its key', async () => {
    // Of RSA, as Entra ID wants it; the other certificates of the tests are elliptic.
    const [key, certificate] = [join(directory, 'client.key'), join(directory, 'client.crt')];
    const words = [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-noenc',
      '-keyout',
      key,
      '-subj',
      '/CN=client',
      '-out',
      certificate,
    ];
    openssl(...words);
    const certificateFile = file('client.pem', readFileSync(key, 'utf8') + readFileSync(certificate, 'utf8'));
    const { publicKey } = new X509Certificate(readFileSync(certificate));
    assert.equal(await tokenOf({ kind: 'certificate', certificateFile }, { publicKey }), oid);
  });

  test('a projected token that federates with the application', async () => {
    const subject = 'system:serviceaccount:data:causeway';
    const tokenFile = file('projected', new UnsecuredJWT({ sub: subject }).encode());
    assert.equal(await tokenOf({ kind: 'workload-identity', tokenFile }, { subject }), oid);
  });

  test('the managed identity of the machine', async () => {
    const asked: string[] = [];
    const imds = createServer((request, response) => {
      asked.push(`${request.headers.metadata} ${request.url}`);
      const expires = Math.floor(Date.now() / 1000) + 3600;
      response.setHeader('Content-Type', 'application/json');
      response.end(
        JSON.stringify({
          access_token: 'of-the-machine',
          expires_in: '3600',
          expires_on: `${expires}`,
          token_type: 'Bearer',
          resource: 'x',
        }),
      );
    });
    await new Promise<void>((resolve) => imds.listen(0, '127.0.0.1', resolve));
    const before = process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST;
    process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = `http://127.0.0.1:${(imds.address() as AddressInfo).port}`;
    try {
      const source = createTokenSource({ kind: 'managed-identity', clientId });
      assert.equal((await source.token(scope)).token, 'of-the-machine');
      assert.equal((await source.token(scope)).token, 'of-the-machine');
      const token = asked.filter((line) => line.includes('/oauth2/token'));
      assert(
        token.some((line) => line.startsWith('true ') && line.includes(clientId) && line.includes('vault.azure.net')),
      );
    } finally {
      if (before === undefined) delete process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST;
      else process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = before;
      imds.closeAllConnections();
      imds.close();
    }
  });
});

test('a secret that is wrong is an error that does not repeat it', async () => {
  const secretFile = file('wrong', 'wrong-s3cret');
  await assert.rejects(tokenOf({ kind: 'client-secret', secretFile }, { secret: 'right' }), (error: Error) => {
    assert(!`${error.message} ${error.stack}`.includes('wrong-s3cret'));
    return true;
  });
});

describe('a token that is kept', () => {
  const identity: OutboundIdentity = { kind: 'managed-identity' };
  const minuteMs = 60_000;

  function bench(answer: (n: number) => Promise<number>) {
    let nowMs = 0;
    let asks = 0;
    const clock = { now: () => nowMs, sleep: async () => undefined };
    const source = createTokenSource(identity, clock, async () => ({
      getToken: async () => ({ token: `${++asks}`, expiresOnTimestamp: nowMs + (await answer(asks)) }),
    }));
    return {
      source,
      advance: (ms: number) => {
        nowMs += ms;
      },
      get asks() {
        return asks;
      },
    };
  }

  test('is renewed before it ends, while nobody waits', async () => {
    const one = bench(async () => 60 * minuteMs);
    assert.equal((await one.source.token(scope)).token, '1');
    one.advance(54 * minuteMs);
    assert.equal((await one.source.token(scope)).token, '1');
    one.advance(2 * minuteMs);
    assert.equal((await one.source.token(scope)).token, '1');
    await new Promise(setImmediate);
    assert.equal((await one.source.token(scope)).token, '2');
    assert.equal(one.asks, 2);
    assert.equal((await one.source.token('https://other/.default')).token, '3', 'another scope is another token');
  });

  test('outlives a failure of the other side, and ends when it ends', async () => {
    const one = bench(async (n) => {
      if (n > 1) throw new Error('down');
      return 60 * minuteMs;
    });
    await one.source.token(scope);
    one.advance(56 * minuteMs);
    for (let i = 0; i < 5; i++) {
      assert.equal((await one.source.token(scope)).token, '1');
      await new Promise(setImmediate);
    }
    assert.equal(one.asks, 2, 'not asked again at once');
    one.advance(5 * minuteMs);
    await assert.rejects(one.source.token(scope), /down/);
  });

  test('is waited for no longer than the caller wants', async () => {
    const one = bench(() => new Promise(() => undefined));
    const stop = new AbortController();
    const waiting = one.source.token(scope, stop.signal);
    stop.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
  });
});
