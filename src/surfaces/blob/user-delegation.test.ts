// User delegation: keys, and signatures made with them, as long as whoever made them may do it himself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readXml, xmlChildText } from '../../codec/xml-read.ts';
import { parseAccountKey, sign } from '../../identity/account-key.ts';
import { type Issuer, startIssuer } from '../../identity/issuer.testing.ts';
import { type DelegatedSas, parseSas } from '../../identity/sas.ts';
import { sasStringToSign } from '../../identity/verify-sas.ts';
import { assignRole, unassignRole } from '../../namespace/access.ts';
import { changeSettings } from '../../namespace/account-settings.ts';
import { revokeDelegationKeys } from '../../namespace/delegation.ts';
import { openTestSurface, testAccount } from './call.testing.ts';
import { type Answered, TestClient, type WholeRequest } from './dispatch.testing.ts';
import { parseQuery, parseTarget } from './request.ts';

const oid = '11111111-2222-3333-4444-555555555555';
const other = '22222222-2222-3333-4444-555555555555';
const group = '33333333-2222-3333-4444-555555555555';
const cause = { by: 'test', requestId: 'none' };
const host = '127.0.0.1:10000';
const blobUrl = `/${testAccount}/docs/dir/a`;
const keyUrl = `/${testAccount}?restype=service&comp=userdelegationkey`;
const dayMs = 24 * 3_600_000;
const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

type Fields = Readonly<Record<string, string>>;

class Bench {
  readonly client: TestClient;
  readonly issuer: Issuer;
  constructor(client: TestClient, issuer: Issuer) {
    this.client = client;
    this.issuer = issuer;
  }

  get nowMs(): number {
    return this.client.surface.clock.now();
  }

  async send(request: WholeRequest): Promise<Answered> {
    return await this.client.send({ key: null, peer: { isLoopback: true }, ...request });
  }

  async tell(request: WholeRequest): Promise<string> {
    const { status, code } = await this.send(request);
    return code === undefined ? `${status}` : `${status} ${code}`;
  }

  async assign(role: string, principal = oid, container?: string): Promise<string> {
    const assign = { principal, role, isBuiltIn: true, ...(container !== undefined && { container }) };
    const outcome = await assignRole(this.client.surface.store, testAccount, assign, cause);
    assert(outcome.kind === 'ok');
    return outcome.assignment.id;
  }

  async askKey(body: string, claims = {}, version = '2026-04-06'): Promise<Answered> {
    const authorization = `Bearer ${await this.issuer.token(oid, { claims })}`;
    return await this.send({ method: 'POST', url: keyUrl, body, headers: { authorization, 'x-ms-version': version } });
  }

  /** The fields of a signature that the key brings, and the key. */
  async key(claims = {}, more = ''): Promise<{ fields: Fields; value: string }> {
    const info = keyInfo(this.nowMs - 60_000, this.nowMs + dayMs, more);
    const answered = await this.askKey(info, claims);
    assert.equal(answered.status, 200, answered.text);
    const parsed = readXml(answered.text.replace('\ufeff', ''), 4096);
    assert(parsed.kind === 'ok');
    const text = (name: string): string => xmlChildText(parsed.root, name) ?? '';
    const tid = text('SignedDelegatedUserTid');
    const fields = {
      skoid: text('SignedOid'),
      sktid: text('SignedTid'),
      skt: text('SignedStart'),
      ske: text('SignedExpiry'),
      sks: text('SignedService'),
      skv: text('SignedVersion'),
      ...(tid !== '' && { skdutid: tid }),
    };
    return { fields, value: text('Value') };
  }

  /** `url` with a signature of the key. */
  signed(key: { fields: Fields; value: string }, url: string, fields: Fields, request: Fields = {}): string {
    const [path = '', search = ''] = url.split('?');
    const all = { sv: '2026-04-06', sr: 'b', sp: 'r', se: iso(this.nowMs + 3_600_000), ...key.fields, ...fields };
    const query = new Map(Object.entries(all).map(([name, value]) => [name, [value]]));
    const sas = parseSas(new Map([...query, ['sig', [`${'A'.repeat(43)}=`]]])) as DelegatedSas;
    assert.equal(sas.kind, 'delegated');
    const { account, container, blob } = parseTarget(path, host, new Map([['restype', ['container']]]));
    const target = { account, ...(container !== undefined && { container }), ...(blob !== undefined && { blob }) };
    const toSign = sasStringToSign(sas, target, { headers: request, query: parseQuery(search) });
    const signature = sign(toSign, parseAccountKey(key.value)!).toString('base64');
    const pairs = [...Object.entries(all), ['sig', signature] as const];
    const sasText = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
    return `${path}?${search === '' ? '' : `${search}&`}${sasText}`;
  }
}

function keyInfo(startMs: number, expiryMs: number, more = ''): string {
  return `<?xml version="1.0"?><KeyInfo><Start>${iso(startMs)}</Start><Expiry>${iso(expiryMs)}</Expiry>${more}</KeyInfo>`;
}

async function withBench(work: (bench: Bench) => Promise<void>): Promise<void> {
  await using surface = await openTestSurface();
  await using issuer = await startIssuer({ nowMs: () => surface.clock.now() });
  const client = new TestClient(surface, { entraTenants: [issuer.tenant], entraAuthority: issuer.url });
  await client.container('docs');
  assert.equal((await client.put(blobUrl, 'hello')).status, 201);
  assert.equal((await client.put(`/${testAccount}/docs/dirty/a`, 'other')).status, 201);
  await work(new Bench(client, issuer));
}

const mismatch = '403 AuthorizationPermissionMismatch';
const failed = '403 AuthenticationFailed';

test('a key is for who holds a token and the right to delegate', async () => {
  await withBench(async (bench) => {
    const info = keyInfo(bench.nowMs, bench.nowMs + dayMs);
    assert.equal((await bench.askKey(info)).code, 'AuthorizationPermissionMismatch');
    const byKey = await bench.client.send({ method: 'POST', url: keyUrl, body: info });
    assert.deepEqual([byKey.status, byKey.code], [403, 'AuthenticationFailed']);
    assert.match(byKey.text, /Only authentication scheme Bearer is supported/);
    await bench.assign('Storage Blob Delegator');
    const answered = await bench.askKey(keyInfo(bench.nowMs, bench.nowMs + dayMs));
    assert.equal(answered.status, 200);
    const order =
      /<UserDelegationKey><SignedOid>[^<]+<\/SignedOid><SignedTid>[^<]+<\/SignedTid><SignedStart>[^<]+<\/SignedStart><SignedExpiry>[^<]+<\/SignedExpiry><SignedService>b<\/SignedService><SignedVersion>2026-04-06<\/SignedVersion><Value>[A-Za-z0-9+/]{43}=<\/Value><\/UserDelegationKey>$/;
    assert.match(answered.text, order);
  });
});

test('a key lives a week at most, and begins and ends as it was asked for', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Delegator');
    const { nowMs } = bench;
    const bad = [
      keyInfo(nowMs, nowMs + 7 * dayMs + 1000),
      keyInfo(nowMs, nowMs - 1000),
      keyInfo(nowMs + 2 * dayMs, nowMs + dayMs),
      '<KeyInfo><Start>now</Start><Expiry>2026-01-03T00:00:00Z</Expiry></KeyInfo>',
      '<KeyInfo></KeyInfo>',
      keyInfo(nowMs, nowMs + dayMs, '<DelegatedUserTid>me</DelegatedUserTid>'),
    ];
    for (const body of bad) assert.equal((await bench.askKey(body)).code, 'InvalidXmlNodeValue', body);
    for (const body of ['', '<KeyInfo>', '<Other/>', '<!DOCTYPE x><KeyInfo/>'])
      assert.equal((await bench.askKey(body)).code, 'InvalidXmlDocument', body);
    const bound = keyInfo(nowMs, nowMs + dayMs, `<DelegatedUserTid>${other}</DelegatedUserTid>`);
    const told = new RegExp(`<SignedDelegatedUserTid>${other}</SignedDelegatedUserTid><Value>`);
    for (const version of ['2025-05-05', '2026-04-06'])
      assert.match((await bench.askKey(bound, {}, version)).text, told);
  });
});

test('a signature gives what it says, as far as its maker may do it when it is used', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Delegator');
    const key = await bench.key();
    const read = bench.signed(key, blobUrl, {});
    assert.equal(await bench.tell({ url: read }), mismatch);
    const id = await bench.assign('Storage Blob Data Reader', oid, 'docs');
    assert.equal((await bench.send({ url: read })).text, 'hello');
    assert.equal(await bench.tell({ url: bench.signed(key, blobUrl, { sp: 'rwd' }), method: 'DELETE' }), mismatch);
    assert.equal(await bench.tell({ url: bench.signed(key, `/${testAccount}/docs/dirty/a`, {}) }), '200');
    const { store } = bench.client.surface;
    assert.equal((await unassignRole(store, testAccount, id, cause)).kind, 'ok');
    assert.equal(await bench.tell({ url: read }), mismatch);
  });
});

test('a signature for a directory does not reach its siblings', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Owner');
    const key = await bench.key();
    const dir = bench.signed(key, `/${testAccount}/docs/dir`, { sr: 'd', sdd: '1', sp: 'rl' }).split('?')[1];
    assert.equal(await bench.tell({ url: `${blobUrl}?${dir}` }), '200');
    assert.equal(await bench.tell({ url: `/${testAccount}/docs/dirty/a?${dir}` }), failed);
    assert.equal(await bench.tell({ url: `/${testAccount}/docs/dir/../dirty/a?${dir}` }), failed);
    const list = `/${testAccount}/docs?restype=container&comp=list`;
    assert.equal(await bench.tell({ url: `${list}&prefix=dir/&${dir}` }), '200');
    assert.equal(await bench.tell({ url: `${list}&prefix=dir&${dir}` }), '403 AuthorizationFailure');
    assert.equal(await bench.tell({ url: `${list}&prefix=dirty&${dir}` }), failed);
    assert.equal(await bench.tell({ url: `${list}&${dir}` }), failed);
  });
});

test('revoking ends every key and every signature at once', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Owner');
    const url = bench.signed(await bench.key(), blobUrl, {});
    assert.equal(await bench.tell({ url }), '200');
    const { store } = bench.client.surface;
    assert.equal((await revokeDelegationKeys(store, testAccount, cause)).kind, 'ok');
    assert.equal(await bench.tell({ url }), failed);
    assert.equal(await bench.tell({ url: bench.signed(await bench.key(), blobUrl, {}) }), '200');
  });
});

test('a key that ends takes its signatures along', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Owner');
    const url = bench.signed(await bench.key(), blobUrl, { se: iso(bench.nowMs + 30 * dayMs) });
    assert.equal(await bench.tell({ url }), '200');
    bench.client.surface.clock.advance(dayMs);
    assert.equal(await bench.tell({ url }), failed);
  });
});

test('no key can be made up, and no field of one changed', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Owner');
    const made = { fields: (await bench.key()).fields, value: Buffer.alloc(32, 1).toString('base64') };
    assert.equal(await bench.tell({ url: bench.signed(made, blobUrl, {}) }), failed);
    const key = await bench.key();
    const changes: readonly Fields[] = [
      { ske: iso(bench.nowMs + 30 * dayMs) },
      { skoid: other },
      { sktid: other },
      { skv: '2025-11-05' },
      { skdutid: other },
    ];
    for (const change of changes) {
      const url = bench.signed({ ...key, fields: { ...key.fields, ...change } }, blobUrl, {});
      assert.equal(await bench.tell({ url }), failed, JSON.stringify(change));
    }
  });
});

test('a signature for one user is of no use without a token of his', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Owner');
    const key = await bench.key();
    const url = bench.signed(key, blobUrl, { sduoid: other });
    const as = async (who: string, claims = {}): Promise<string> => {
      const authorization = `Bearer ${await bench.issuer.token(who, { claims })}`;
      return await bench.tell({ url, headers: { authorization } });
    };
    assert.equal(await bench.tell({ url }), failed);
    assert.equal(await as(oid), failed, 'not even its maker');
    assert.equal(await as(other), '200');
    assert.equal(await as(other, { aud: 'https://graph.microsoft.com' }), '401 InvalidAuthenticationInfo');
    const elsewhere = await bench.key({}, `<DelegatedUserTid>${group}</DelegatedUserTid>`);
    const bound = bench.signed(elsewhere, blobUrl, { sduoid: other });
    const authorization = `Bearer ${await bench.issuer.token(other)}`;
    assert.equal(await bench.tell({ url: bound, headers: { authorization } }), failed, 'of another tenant');
  });
});

test('somebody who was not checked must be allowed too', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Owner');
    const key = await bench.key();
    assert.equal(await bench.tell({ url: bench.signed(key, blobUrl, { saoid: other }) }), '200');
    const unchecked = bench.signed(key, blobUrl, { suoid: other });
    assert.equal(await bench.tell({ url: unchecked }), mismatch);
    await bench.assign('Storage Blob Data Reader', other);
    assert.equal(await bench.tell({ url: unchecked }), '200');
  });
});

test('a request must come as it was signed', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Owner');
    const key = await bench.key();
    const headers = { 'x-ms-range': 'bytes=0-1' };
    const url = bench.signed(key, `${blobUrl}?timeout=30`, { srh: 'x-ms-range', srq: 'timeout' }, headers);
    assert.equal((await bench.send({ url, headers })).text, 'he');
    assert.equal(await bench.tell({ url }), failed);
    assert.equal(await bench.tell({ url, headers: { 'x-ms-range': 'bytes=0-4' } }), failed);
    assert.equal(await bench.tell({ url: url.replace('timeout=30', 'timeout=31'), headers }), failed);
  });
});

test('roles of the groups in which the maker asked for his key count', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Reader', group);
    const url = bench.signed(await bench.key({ groups: [group] }), blobUrl, {});
    assert.equal(await bench.tell({ url }), '200');
    const { text } = await bench.askKey(keyInfo(bench.nowMs, bench.nowMs + dayMs));
    assert.match(text, /AuthorizationPermissionMismatch/, 'without the group there is no role');
  });
});

test('an account that takes no keys of its own takes those of its users', async () => {
  await withBench(async (bench) => {
    await bench.assign('Storage Blob Data Owner');
    const { store } = bench.client.surface;
    assert.equal((await changeSettings(store, testAccount, { sharedKeyAccess: false }, cause)).kind, 'ok');
    assert.equal(await bench.tell({ url: bench.signed(await bench.key(), blobUrl, {}) }), '200');
  });
});
