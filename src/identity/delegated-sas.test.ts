// User delegation signatures: as Azure's SDKs make them, and everything that must not pass for one.
import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import { delegationKeyValue } from './delegation-key.ts';
import { type DelegatedSas, type DelegationKeyFields, parseSas } from './sas.ts';
import { type SasCircumstances, type SasTarget, verifySas } from './verify-sas.ts';

/** Made by @azure/storage-blob 12.34.0 and azure-storage-blob 12.31.1 with a key of 32 bytes 07. */
const made: readonly (readonly [name: string, query: string])[] = [
  [
    '2018-11-09',
    'sv=2018-11-09&spr=https%2Chttp&st=2026-01-02T00%3A00%3A00Z&se=2026-01-03T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9&skoid=11111111-2222-3333-4444-555555555555&sktid=99999999-8888-7777-6666-555555555555&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-07T00%3A00%3A00Z&sks=b&skv=2026-02-06&sr=b&sp=rcw&rscc=no-store&rscd=attachment&rsct=text%2Fplain&sig=2P7Un5byEn1vaP41N2YONGMv%2Bf6UyLvboLSSmFhkLBI%3D',
  ],
  [
    '2020-02-10 snapshot',
    'sv=2020-02-10&spr=https%2Chttp&st=2026-01-02T00%3A00%3A00Z&se=2026-01-03T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9&skoid=11111111-2222-3333-4444-555555555555&sktid=99999999-8888-7777-6666-555555555555&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-07T00%3A00%3A00Z&sks=b&skv=2026-02-06&sr=bs&sp=r&sig=5hiD%2BuFrEYsudnxqvFolB17ZcZgL7spcOtPvN5GwP%2BU%3D',
  ],
  [
    '2020-02-10',
    'sv=2020-02-10&spr=https%2Chttp&st=2026-01-02T00%3A00%3A00Z&se=2026-01-03T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9&skoid=11111111-2222-3333-4444-555555555555&sktid=99999999-8888-7777-6666-555555555555&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-07T00%3A00%3A00Z&sks=b&skv=2026-02-06&sr=b&sp=rcw&saoid=aaaaaaaa-0000-0000-0000-000000000001&scid=cccccccc-0000-0000-0000-000000000001&sig=bFHRiiNXKVV3C3%2FThVjAenHjCPvUSfW5JiEwmkcpQP4%3D',
  ],
  [
    '2020-12-06 container',
    'sv=2020-12-06&spr=https%2Chttp&st=2026-01-02T00%3A00%3A00Z&se=2026-01-03T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9&ses=scope1&skoid=11111111-2222-3333-4444-555555555555&sktid=99999999-8888-7777-6666-555555555555&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-07T00%3A00%3A00Z&sks=b&skv=2026-02-06&sr=c&sp=rl&rscc=no-store&rscd=attachment&rsct=text%2Fplain&sig=EjvOzGRkcegBnrXspMj0%2F7k6qkmviqCxxFGavVW9cEw%3D',
  ],
  [
    '2025-07-05 bound',
    'sv=2025-07-05&spr=https%2Chttp&st=2026-01-02T00%3A00%3A00Z&se=2026-01-03T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9&skoid=11111111-2222-3333-4444-555555555555&sktid=99999999-8888-7777-6666-555555555555&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-07T00%3A00%3A00Z&sks=b&skv=2026-02-06&sr=b&sp=rcw&sduoid=bbbbbbbb-0000-0000-0000-000000000001&skdutid=77777777-0000-0000-0000-000000000001&sig=oEN%2FIE%2BvXnGOZdtYPmCJzU728L4eUHRZv16BJKl7Wh4%3D',
  ],
  [
    '2026-04-06 request',
    'sv=2026-04-06&spr=https%2Chttp&st=2026-01-02T00%3A00%3A00Z&se=2026-01-03T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9&skoid=11111111-2222-3333-4444-555555555555&sktid=99999999-8888-7777-6666-555555555555&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-07T00%3A00%3A00Z&sks=b&skv=2026-02-06&sr=b&sp=rcw&rscc=no-store&rscd=attachment&rsct=text%2Fplain&srh=x-ms-client%2CFoo&srq=timeout%2Czone&sig=Y%2Fte7yeIqXGCjoTcEViknykjpgqR2X3fhdn3NSdTuEQ%3D',
  ],
  [
    '2026-04-06 plain',
    'sv=2026-04-06&spr=https%2Chttp&st=2026-01-02T00%3A00%3A00Z&se=2026-01-03T00%3A00%3A00Z&sip=10.0.0.1-10.0.0.9&skoid=11111111-2222-3333-4444-555555555555&sktid=99999999-8888-7777-6666-555555555555&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-07T00%3A00%3A00Z&sks=b&skv=2026-02-06&sr=c&sp=rl&sig=FYVfUlZvFgYsyAe5XwKXUEznRUxNyJz8ZEYD2f71%2BnI%3D',
  ],
  [
    '2026-10-06 Python',
    'se=2026-01-03T00%3A00%3A00Z&sp=rcw&sv=2026-10-06&sduoid=bbbbbbbb-0000-0000-0000-000000000001&sr=b&scid=cccccccc-0000-0000-0000-000000000001&skoid=11111111-2222-3333-4444-555555555555&sktid=99999999-8888-7777-6666-555555555555&skt=2026-01-01T00%3A00%3A00Z&ske=2026-01-07T00%3A00%3A00Z&sks=b&skv=2026-02-06&srh=x-ms-client,Foo&srq=timeout,zone&sig=vTqb0Ym%2BFGl82P/qPEguN8z5okLa04FI0trGQu8DvXQ%3D',
  ],
];
const key = createSecretKey(Buffer.alloc(32, 7));
const account = 'acct';
const container: SasTarget = { account, container: 'photos' };
const blob: SasTarget = { ...container, blob: 'dir/a b.txt' };
const requestHeaders = { 'x-ms-client': 'one two', foo: 'b', other: 'x' };
const requestQuery = 'timeout=30&zone=a%20b&comp=x';

function queryOf(text: string): Map<string, string[]> {
  const query = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(text)) query.set(name, [...(query.get(name) ?? []), value]);
  return query;
}

function targetOf(name: string): SasTarget {
  if (name.includes('snapshot')) return { ...blob, snapshot: '2026-01-01T00:00:00.1234567Z' };
  return name.includes('container') || name.includes('plain') ? container : blob;
}

function verify(text: string, target: SasTarget, change: Partial<SasCircumstances> = {}): string {
  const query = queryOf(`${text}&${requestQuery}`);
  const sas = parseSas(query);
  if (sas.kind === 'none' || sas.kind === 'malformed') return `${sas.kind} ${'parameter' in sas ? sas.parameter : ''}`;
  const nowMs = Date.UTC(2026, 0, 2, 12);
  const given = { nowMs, clientIp: '10.0.0.5', protocol: 'https', headers: requestHeaders, query } as const;
  return verifySas(sas, target, [key], [], { ...given, ...change }).kind;
}

const of = (name: string): string => made.find(([one]) => one === name)![1];
const bound = of('2025-07-05 bound');
const request = of('2026-04-06 request');

test('what the SDKs sign is believed, in every layout', () => {
  for (const [name, query] of made) assert.equal(verify(query, targetOf(name)), 'ok', name);
});

test('no field can be changed, added or left out', () => {
  for (const [name, text] of made) {
    const query = new URLSearchParams(text);
    for (const [field, value] of query) {
      if (field === 'sig') continue;
      const changed = new URLSearchParams(query);
      changed.set(
        field,
        value.replace(/[0-9a-z](?=[^0-9a-z]*$)/, (last) => (last === '1' ? '2' : '1')),
      );
      assert.notEqual(verify(`${changed}`, targetOf(name)), 'ok', `${name} ${field}`);
      changed.delete(field);
      assert.notEqual(verify(`${changed}`, targetOf(name)), 'ok', `${name} without ${field}`);
    }
    const id = 'dddddddd-0000-0000-0000-000000000001';
    for (const [field, value] of Object.entries({
      saoid: id,
      suoid: id,
      scid: id,
      sduoid: id,
      skdutid: id,
      srh: 'foo',
      srq: 'zone',
      ses: 's',
      rscl: 'en',
      si: 'p',
    })) {
      if (!query.has(field))
        assert.notEqual(verify(`${text}&${field}=${value}`, targetOf(name)), 'ok', `${name} with ${field}`);
    }
  }
});

test('the request must have the headers and parameters that were signed', () => {
  assert.equal(verify(request, blob), 'ok');
  const mismatch = 'sas-signature-mismatch';
  assert.equal(verify(request, blob, { headers: { ...requestHeaders, foo: 'c' } }), mismatch);
  assert.equal(verify(request, blob, { headers: { 'x-ms-client': 'one two' } }), mismatch);
  assert.equal(verify(request, blob, { headers: { ...requestHeaders, extra: '1' } }), 'ok');
  for (const text of ['timeout=31&zone=a b', 'timeout=30', 'timeout=30&zone=a b&zone=a b'])
    assert.equal(verify(request, blob, { query: queryOf(text) }), mismatch, text);
  assert.equal(verify(request, blob, { headers: {}, query: new Map() }), mismatch);
});

test('a message does not repeat what the request had signed', () => {
  const sas = parseSas(queryOf(request)) as DelegatedSas;
  const headers = { ...requestHeaders, foo: 'a secret' };
  const given = { nowMs: 0, clientIp: '10.0.0.5', protocol: 'https', headers, query: new Map() } as const;
  const outcome = verifySas(sas, blob, [key], [], given);
  assert(outcome.kind === 'sas-signature-mismatch');
  assert(!outcome.detail.includes('secret'));
});

test('its key bounds it in time', () => {
  const plain = of('2026-10-06 Python');
  assert.equal(verify(plain, blob, { nowMs: Date.UTC(2025, 11, 31) }), 'sas-not-in-time');
  assert.equal(verify(plain, blob, { nowMs: Date.UTC(2026, 0, 1) }), 'ok');
  assert.equal(verify(plain, blob, { nowMs: Date.UTC(2026, 0, 3) }), 'sas-not-in-time');
  assert.equal(verify(bound, blob, { nowMs: Date.UTC(2026, 0, 1, 23) }), 'sas-not-in-time');
});

test('what must not be in one is malformed', () => {
  const id = 'aaaaaaaa-0000-0000-0000-000000000001';
  const cases: readonly (readonly [string, string])[] = [
    ['saoid', `${of('2018-11-09')}&saoid=${id}`],
    ['sduoid', `${of('2020-02-10')}&sduoid=${id}`],
    ['srh', `${bound}&srh=foo`],
    ['si', `${bound}&si=policy`],
    ['suoid', `${of('2020-02-10')}&suoid=${id}`],
    ['suoid', `${bound}&suoid=nobody`],
    ['skoid', `${bound}&skoid=${id}`],
    ['skoid', `${bound}&ss=b&srt=o`],
    ['srh', request.replace('srh=x-ms-client%2CFoo', 'srh=foo%2CFOO')],
    ['srh', request.replace('srh=x-ms-client%2CFoo', 'srh=a%3Ab')],
    ['sks', bound.replace('sks=b', 'sks=q')],
    ['ske', bound.replace(/ske=[^&]+/, 'ske=soon')],
    ['sktid', bound.replace(/sktid=[^&]+&/, '')],
  ];
  for (const [parameter, text] of cases) assert.equal(verify(text, blob), `malformed ${parameter}`, text);
});

test('a grant says whose it is, and to whom it is bound', () => {
  const query = queryOf(bound);
  const given = { nowMs: Date.UTC(2026, 0, 2, 12), clientIp: '10.0.0.5', protocol: 'https', query } as const;
  const outcome = verifySas(parseSas(query) as DelegatedSas, blob, [key], [], given);
  assert(outcome.kind === 'ok');
  assert.deepEqual(outcome.grant.delegation, {
    oid: '11111111-2222-3333-4444-555555555555',
    tid: '99999999-8888-7777-6666-555555555555',
    authorizedOid: undefined,
    unauthorizedOid: undefined,
    correlationId: undefined,
    boundTo: { oid: 'bbbbbbbb-0000-0000-0000-000000000001', tid: '77777777-0000-0000-0000-000000000001' },
  });
});

test('each field of a key, the account and the secret make another value', () => {
  const fields: DelegationKeyFields = {
    oid: 'o',
    tid: 't',
    startMs: 1000,
    expiryMs: 2000,
    service: 'b',
    version: 'v',
    delegatedTid: '',
  };
  const value = (change: Partial<DelegationKeyFields>, secret = 's', name = account): string =>
    delegationKeyValue(Buffer.from(secret), name, { ...fields, ...change }).toString('base64');
  const all = [
    value({}),
    value({ oid: 'p' }),
    value({ tid: 'u' }),
    value({ startMs: 0 }),
    value({ expiryMs: 3000 }),
    value({ version: 'w' }),
    value({ delegatedTid: 'd' }),
    value({}, 'z'),
    value({}, 's', 'other'),
  ];
  assert.equal(new Set(all).size, all.length);
  assert.equal(value({ startMs: 1999 }), value({}));
});
