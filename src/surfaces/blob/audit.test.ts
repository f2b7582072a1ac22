// What a request looks like in the audit log: no secrets, and everything that says who did what.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { recordBytesMax } from '../../followers/audit/audit-log.ts';
import { formatRecord } from '../../followers/audit/record-json.ts';
import { auditRecord, redacted } from './audit.ts';
import type { Dispatched, Incoming } from './dispatch.ts';

const secret = 'c2VjcmV0JTJGc2VjcmV0';

const incoming = (more: Partial<Incoming>): Incoming =>
  ({
    method: 'GET',
    url: '/acc/c/b',
    headers: { host: 'h:1' },
    rawHeaders: ['Host', 'h:1'],
    body: { bytes: 0 },
    peer: { address: '10.0.0.1', protocol: 'http' },
    ...more,
  }) as Incoming;

const dispatched = (more: Partial<Dispatched>, seen: Partial<Dispatched['seen']> = {}): Dispatched => ({
  answer: { status: 200, headers: { ETag: '"0x1"' } },
  requestId: 'r',
  operation: 'GetBlob',
  account: 'acc',
  errorCode: undefined,
  nowMs: 1_700_000_000_005,
  ...more,
  seen: {
    operation: 'GetBlob',
    target: { account: 'acc', container: 'c', blob: 'b' },
    known: undefined,
    version: '2022-11-02',
    principal: undefined,
    action: 'blob/read',
    journalId: undefined,
    ...seen,
  },
});

const course = { bytesOut: 3, latencyMs: 1.23456, durationMs: 2 };
const record = (request: Partial<Incoming>, done: Dispatched = dispatched({})) =>
  auditRecord(incoming(request), done, course, undefined);

describe('a signature', () => {
  for (const url of [
    `/acc/c/b?sv=1&sig=${secret}`,
    `/acc/c/b?SIG=${secret}&sv=1`,
    `/acc/c/b?%73ig=${secret}`,
    `/acc/c/b?s%49%67=${secret}&se=1`,
    `/acc/c/b?from=http%3A%2F%2Fh%2Fc%2Fb%3Fsv%3D1%26sig%3D${secret}`,
    `/acc/c/http%3A%2F%2Fh%2Fc%2Fb%3Fsig%3D${secret}`,
    `/acc/c/b?sig=${secret}&sig=${secret}`,
  ]) {
    test(`is not in ${url.replaceAll(secret, '...')}`, () => {
      assert.ok(!redacted(url).includes(secret), redacted(url));
      const { Uri } = record({ url });
      assert.ok(!Uri.includes(secret), Uri);
      assert.match(Uri, /^http:\/\/h:1\/acc\/c\//);
    });
  }

  test('is in no other column', () => {
    const source = `https://other/c/b?sig=${secret}`;
    const headers = {
      host: 'h',
      authorization: `SharedKey acc:${secret}`,
      referer: `http://page/?x=1&sig=${secret}`,
      'x-ms-copy-source': source,
      'x-ms-copy-source-authorization': `Bearer ${secret}`,
      'x-ms-encryption-key': secret,
    };
    const text = JSON.stringify(record({ url: `/acc/c/b?sig=${secret}`, headers }));
    assert.ok(!text.includes(secret), text);
    assert.match(text, /"SourceUri":"https:\/\/other\/c\/b\?sig=XXXXX"/);
  });

  test('leaves other parameters as they were', () => {
    assert.equal(redacted('/acc/c/design=1?design=2&signed=3'), '/acc/c/design=1?design=2&signed=3');
  });
});

describe('who', () => {
  test('was not let in is told by what was presented', () => {
    const refused = dispatched({ errorCode: 'AuthenticationFailed' }, { action: undefined });
    const type = (request: Partial<Incoming>) => record(request, refused).AuthenticationType;
    assert.equal(type({}), 'Anonymous');
    assert.equal(type({ url: '/acc/c/b?sig=x' }), 'SAS');
    assert.equal(type({ url: '/acc/c/b?skoid=1&sig=x' }), 'DelegationSas');
    assert.equal(type({ headers: { authorization: 'Bearer x.y.z' } }), 'OAuth');
    assert.equal(type({ headers: { authorization: 'SharedKey acc:x' } }), 'AccountKey');
    assert.equal(record({}, refused).StatusText, 'AuthenticationFailed');
    assert.equal(record({ method: 'DELETE' }, refused).Category, 'StorageDelete');
  });

  test('holds a token is named by its ids', () => {
    const principal = { kind: 'entra', oid: 'o', tid: 't', appId: 'a', upn: 'u@x', groups: [], appRoles: [] } as const;
    const { RequesterObjectId, RequesterTenantId, RequesterAppId, RequesterUpn, AuthenticationHash } = record(
      { headers: { authorization: 'Bearer x.y.z' } },
      dispatched({}, { principal }),
    );
    assert.deepEqual([RequesterObjectId, RequesterTenantId, RequesterAppId, RequesterUpn], ['o', 't', 'a', 'u@x']);
    assert.match(AuthenticationHash ?? '', /^[0-9A-F]{64}$/);
  });
});

test('a signature has one hash, however it is written', () => {
  const signature = Buffer.alloc(32, 0xfb).toString('base64');
  const hashOf = (query: string) => record({ url: `/acc/c/b?${query}` }).AuthenticationHash;
  const first = hashOf(`sig=${encodeURIComponent(signature)}`);
  assert.match(first ?? '', /^SasSignature\([0-9A-F]{64}\)$/);
  for (const form of [signature, signature.replaceAll('+', '%20'), encodeURIComponent(signature)]) {
    assert.equal(hashOf(`sv=1&SIG=${form}`), first, form);
    assert.equal(hashOf(`%73ig=${form}`), first, form);
  }
  assert.notEqual(hashOf(`sig=${Buffer.alloc(32, 1).toString('base64')}`), first);
});

test('no record is longer than a line of the log, whatever comes with the request', () => {
  const long = 'ü'.repeat(1024 * 1024);
  const names = ['user-agent', 'referer', 'if-match', 'x-ms-if-tags', 'x-ms-copy-source', 'content-md5', 'host'];
  const headers = Object.fromEntries([...names, 'x-ms-access-tier', 'x-ms-rehydrate-priority'].map((n) => [n, long]));
  const seen = { target: { account: 'acc', container: 'c', blob: '\u0001'.repeat(1024 * 1024) }, journalId: long };
  const found = record({ url: `/acc/c/${long}?sig=${long}`, headers }, dispatched({}, seen));
  assert.ok(Buffer.byteLength(formatRecord(found)) < recordBytesMax);
  assert.equal(found.UserAgentHeader, `${'ü'.repeat(16 * 1024)}…`);
});

test('a record is in the table’s terms', () => {
  const done = dispatched({}, { journalId: '00aa', principal: { kind: 'anonymous' } });
  const headers = { host: 'h', 'if-match': '"a"', 'if-modified-since': 'then', 'content-length': '7' };
  const found = record({ headers }, done);
  assert.equal(found.TimeGenerated, '2023-11-14T22:13:20.005Z');
  assert.equal(found.StatusText, 'AnonymousSuccess');
  assert.equal(found.ConditionsUsed, 'If-Match="a";If-Modified-Since=then');
  assert.deepEqual([found.ContentLengthHeader, found.Etag, found.JournalId], [7, '"0x1"', '00aa']);
  assert.equal(found.ServerLatencyMs, 1.235);
  const category = (action: Dispatched['seen']['action'], method = 'PUT') =>
    record({ method }, dispatched({}, { action })).Category;
  assert.equal(category('blob/delete-version', 'DELETE'), 'StorageDelete');
  assert.equal(category('blob/write'), 'StorageWrite');
  assert.equal(category('service/batch', 'POST'), 'StorageWrite');
  assert.equal(category('container/delete', 'DELETE'), 'StorageDelete');
  assert.equal(category('service/list', 'GET'), 'StorageRead');
});
