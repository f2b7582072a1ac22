// Tokens against an issuer with real keys: what is believed, what is refused, and how often the issuer is asked.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { exportSPKI, importJWK, SignJWT } from 'jose';
import type { Clock } from '../base/clock.ts';
import { type Issuer, type IssuerOptions, type Minting, startIssuer } from './issuer.testing.ts';
import { refetchPauseMs } from './jwks.ts';
import { audienceOf, type TokenSettings, TokenVerifier } from './tokens.ts';

const oid = '11111111-2222-3333-4444-555555555555';
const isAudience = audienceOf('acct', ['https://{account}.blob.example.com']);
const startMs = Date.UTC(2026, 5, 1);

interface Bench {
  readonly issuer: Issuer;
  readonly verifier: TokenVerifier;
  advance(ms: number): void;
  /** 'ok', or why not. */
  verify(token: string): Promise<string>;
  minted(minting?: Minting): Promise<string>;
}

async function withIssuer(
  work: (bench: Bench) => Promise<void>,
  settings: Partial<TokenSettings> = {},
  options: IssuerOptions = {},
): Promise<void> {
  let nowMs = startMs;
  const clock: Clock = { now: () => nowMs, sleep: async () => undefined };
  await using issuer = await startIssuer({ nowMs: () => nowMs, ...options });
  const verifier = new TokenVerifier(
    { entraTenants: [issuer.tenant], entraAuthority: issuer.url, clockSkewMs: 900_000, ...settings },
    clock,
  );
  await work({
    issuer,
    verifier,
    advance: (ms) => {
      nowMs += ms;
    },
    verify: async (token) => {
      const outcome = await verifier.verify(token, isAudience);
      return outcome.kind === 'ok' ? 'ok' : `${outcome.kind}: ${outcome.detail}`;
    },
    minted: (minting) => issuer.token(oid, minting),
  });
}

test('tokens of both versions are believed, and say who it is', async () => {
  await withIssuer(async ({ verifier, minted, issuer }) => {
    const claims = {
      aud: 'e406a681-f3d4-42a8-90b6-c2b029497af1',
      groups: ['AAAAAAAA-0000-0000-0000-000000000001'],
      azp: 'app',
      roles: ['R'],
      preferred_username: 'a@b',
    };
    const outcome = await verifier.verify(await minted({ version: '2.0', claims }), isAudience);
    assert(outcome.kind === 'ok');
    const { identity } = outcome;
    assert.deepEqual(
      [identity.oid, identity.tid, identity.groups, identity.appId, identity.appRoles, identity.upn],
      [oid, issuer.tenant, ['aaaaaaaa-0000-0000-0000-000000000001'], 'app', ['R'], 'a@b'],
    );
    const first = await verifier.verify(
      await minted({ claims: { appid: 'app', xms_mirid: '/sub/vm', idtyp: 'app' } }),
      isAudience,
    );
    assert(first.kind === 'ok');
    assert.deepEqual([first.identity.managedIdentity, first.identity.idtyp], ['/sub/vm', 'app']);
  });
});

test('only audiences of storage, of this account, and those that are configured', async () => {
  await withIssuer(async ({ verify, minted }) => {
    const good = [
      'https://storage.azure.com',
      'https://storage.azure.com/',
      'https://acct.blob.core.windows.net',
      'https://acct.blob.core.windows.net/',
      'https://acct.blob.example.com',
      'e406a681-f3d4-42a8-90b6-c2b029497af1',
    ];
    for (const aud of good) assert.equal(await verify(await minted({ claims: { aud } })), 'ok', aud);
    const bad = [
      'https://management.azure.com/',
      'https://other.blob.core.windows.net',
      'https://acct.blob.core.windows.net.evil.example',
      'https://storage.azure.com.evil.example',
      'http://storage.azure.com',
      '',
    ];
    for (const aud of bad)
      assert.match(
        await verify(await minted({ claims: { aud } })),
        /^refused: (Audience validation failed|The claim aud)/,
        aud,
      );
    assert.match(await verify(await minted({ claims: { aud: bad } })), /Audience validation failed/);
  });
});

test('a token is good from its start to its end, with five minutes of grace at most', async () => {
  await withIssuer(async ({ verify, minted, advance }) => {
    const token = await minted({ lifetimeS: 600 });
    assert.equal(await verify(token), 'ok');
    advance(600_000 + 299_000);
    assert.equal(await verify(token), 'ok', 'within the grace');
    advance(2000);
    assert.equal(await verify(token), 'refused: Lifetime validation failed. The token is expired.');
    const nowS = (startMs + 901_000) / 1000;
    assert.equal(await verify(await minted({ claims: { nbf: nowS + 240 } })), 'ok');
    const later = await minted({ claims: { nbf: nowS + 360, exp: nowS + 7200 } });
    assert.equal(await verify(later), 'refused: Lifetime validation failed. The token is not yet valid.');
    assert.match(await verify(await minted({ claims: { exp: undefined as never } })), /claim exp is missing/);
    assert.match(await verify(await minted({ claims: { nbf: undefined as never } })), /claim nbf is missing/);
    assert.match(await verify(await minted({ claims: { oid: undefined as never } })), /claim oid is missing/);
  });
});

test('a token that is kept as verified ends when it ends', async () => {
  await withIssuer(
    async ({ verify, minted, advance }) => {
      const token = await minted({ lifetimeS: 60 });
      assert.equal(await verify(token), 'ok');
      advance(60_000);
      assert.match(await verify(token), /expired/);
    },
    { clockSkewMs: 0 },
  );
});

test('no signature, a signature with the public key as a secret, and another key are refused', async () => {
  await withIssuer(async ({ verify, minted, issuer }) => {
    const token = await minted();
    const [, payload = ''] = token.split('.');
    const kid = issuer.keys[0]?.kid as string;
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    assert.match(await verify(`${part({ alg: 'none', kid })}.${payload}.`), /not well formed/);
    assert.match(await verify(`${part({ alg: 'none', kid })}.${payload}.AAAA`), /algorithm is not supported/);
    const publicKey = (await importJWK(issuer.keys[0]!, 'RS256')) as Parameters<typeof exportSPKI>[0];
    const secret = Buffer.from(await exportSPKI(publicKey));
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    const forged = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(secret);
    assert.match(await verify(forged), /algorithm is not supported/);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    assert.match(await verify(await minted({ key: privateKey as never })), /Signature verification failed/);
    const changed = `${token.split('.')[0]}.${part({ ...claims, oid: 'x' })}.${token.split('.')[2]}`;
    assert.match(await verify(changed), /Signature verification failed/);
    const noKid = await minted({ header: { kid: undefined } });
    assert.match(await verify(noKid), /names no key/);
    // A key that the token brings itself is nobody's.
    const own = await minted({ key: privateKey as never, header: { jwk: issuer.keys[0], jku: `${issuer.url}/evil` } });
    assert.match(await verify(own), /Signature verification failed/);
  });
});

test('tenants that are not trusted are refused without asking anybody', async () => {
  await withIssuer(async ({ verify, minted, issuer }) => {
    const tid = '99999999-0000-0000-0000-000000000000';
    assert.equal(
      await verify(await minted({ claims: { tid } })),
      'refused: Issuer validation failed. Issuer did not match.',
    );
    assert.equal(issuer.asked.length, 0);
    // The tenant is trusted, and the token of another issuer.
    const iss = `https://sts.windows.net/${tid}/`;
    assert.equal(
      await verify(await minted({ claims: { iss } })),
      'refused: Issuer validation failed. Issuer did not match.',
    );
    assert.match(await verify(await minted({ claims: { ver: '2.0' } })), /Issuer did not match/);
  });
  await withIssuer(async ({ verify, minted }) => assert.match(await verify(await minted()), /Issuer did not match/), {
    entraTenants: [],
  });
});

test('an issuer whose document speaks for another tenant is not believed', async () => {
  await withIssuer(async ({ verify, minted, issuer }) => {
    const lie = 'https://sts.windows.net/99999999-0000-0000-0000-000000000000/';
    issuer.lie(lie);
    assert.match(await verify(await minted({ claims: { iss: lie } })), /^unavailable: .*another tenant/);
  });
});

test('keys roll over: a new one is found at once, a withdrawn one is forgotten within the hour', async () => {
  await withIssuer(async ({ verify, minted, issuer, advance }) => {
    const old = await minted({ lifetimeS: 8 * 3600 });
    assert.equal(await verify(old), 'ok');
    advance(refetchPauseMs);
    await issuer.rollover(true);
    assert.equal(await verify(await minted()), 'ok');
    assert.equal(issuer.asked.length, 4);
    advance(3 * 60_000);
    assert.match(await verify(old), /Signature key not found/);
  });
});

test('a storm of unknown keys does not become a storm of requests', async () => {
  await withIssuer(async ({ verify, minted, issuer, advance }) => {
    const storm = await Promise.all(Array.from({ length: 50 }, (_, i) => minted({ header: { kid: `k${i}` } })));
    const outcomes = await Promise.all(storm.map(verify));
    assert(outcomes.every((outcome) => outcome.includes('Signature key not found')));
    assert.equal(issuer.asked.length, 2);
    assert.equal(await verify(await minted()), 'ok', 'the good key is known all the same');
    advance(refetchPauseMs);
    await Promise.all(storm.map(verify));
    assert.equal(issuer.asked.length, 4);
  });
});

test('without the issuer nobody gets in, and known keys are believed for a day', async () => {
  await withIssuer(async ({ verify, minted, issuer, advance }) => {
    issuer.fail(500);
    assert.match(await verify(await minted()), /^unavailable: the issuer answered with the status 500/);
    issuer.fail(undefined);
    assert.match(await verify(await minted()), /^unavailable/, 'not asked again at once');
    advance(refetchPauseMs);
    assert.equal(await verify(await minted()), 'ok');
    issuer.fail(503);
    advance(23 * 3_600_000);
    assert.equal(await verify(await minted()), 'ok');
    advance(2 * 3_600_000);
    assert.match(await verify(await minted()), /^unavailable/);
  });
});

test('what is no token is refused whatever it is', async () => {
  await withIssuer(async ({ verify, issuer }) => {
    const long = `${'a'.repeat(20_000)}.b.c`;
    const nothing = Buffer.from('null').toString('base64url');
    for (const text of ['', 'a', 'a.b', 'a.b.c', '..', long, `${nothing}.${nothing}.AAAA`, 'é.é.é', `a.b.c.d.e`])
      assert.match(await verify(text), /^refused: /, text.slice(0, 20));
    assert.equal(issuer.asked.length, 0);
  });
});

test('groups that a token cannot name are none', async () => {
  await withIssuer(async ({ verifier, minted }) => {
    const claims = { _claim_names: { groups: 'src1' }, groups: ['aaaaaaaa-0000-0000-0000-000000000001'] };
    const outcome = await verifier.verify(await minted({ claims }), isAudience);
    assert(outcome.kind === 'ok');
    assert.deepEqual([outcome.identity.groups, outcome.identity.groupsOverflow], [[], true]);
  });
});
