// Shared Key: requests that SDKs signed, and every way one can be wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAccountKey, sign } from './account-key.ts';
import { compareByCulture, type SignedRequest, sharedKeyStringToSign, verifySharedKey } from './shared-key.ts';

const account = 'devstoreaccount1';
const key = parseAccountKey(
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
)!;
const otherKey = parseAccountKey('b3RoZXIga2V5')!;
const now = Date.UTC(2026, 0, 15, 12, 0, 0);
const skew = 15 * 60_000;
const dated = { 'x-ms-version': '2026-10-06', 'x-ms-date': 'Thu, 15 Jan 2026 12:00:00 GMT' };

function request(
  method: string,
  target: string,
  headers: Readonly<Record<string, string | undefined>> = {},
): SignedRequest {
  const [rawPath = '', search = ''] = target.split('?');
  const query = new Map<string, string[]>();
  for (const pair of search === '' ? [] : search.split('&')) {
    const [name = '', value = ''] = pair.split('=').map(decodeURIComponent);
    query.set(name, [...(query.get(name) ?? []), value]);
  }
  const all = { ...dated, ...headers };
  return { method, rawPath, query, headers: all, account, version: all['x-ms-version'] };
}

function signed(one: SignedRequest, scheme: 'SharedKey' | 'SharedKeyLite' = 'SharedKey', by = key): string {
  return `${scheme} ${account}:${sign(sharedKeyStringToSign(one, scheme), by).toString('base64')}`;
}

const verify = (one: SignedRequest, authorization: string, at = now): string =>
  verifySharedKey(one, authorization, [otherKey, key], at, skew).kind;

const blob = '/dir%20a/%C3%BC%23%25%26%2B%3F.txt';
const upload = {
  'content-type': 'application/octet-stream',
  'content-length': '5',
  'x-ms-meta-a_b': '1',
  'x-ms-meta-a1': '2',
  'x-ms-meta-ab': '3',
  'x-ms-meta-zeta': 'x  y',
  'if-none-match': '*',
  'x-ms-blob-content-type': 'text/plain',
  'x-ms-blob-type': 'BlockBlob',
};
// Signed by the JavaScript SDK (12.34); the first has metadata that sorts by culture otherwise than by bytes.
const bySdk: readonly [SignedRequest, string][] = [
  [
    request('PUT', `/devstoreaccount1/photos${blob}`, {
      ...upload,
      'x-ms-client-request-id': 'bf9aa609-fb20-4122-88c5-d82597c28f21',
    }),
    'uUoSuFnsfjbIk1XhLGaJ8x43gPe3Fjk7rZTk65Tc5jc=',
  ],
  [
    request('PUT', `/photos${blob}`, { ...upload, 'x-ms-client-request-id': '08b72446-b631-40c4-b034-261e16daec63' }),
    'DgjRk8AlUCmyL5vbG5ixFdz+4eWy6t22C3R7AXCQzZk=',
  ],
  [
    request(
      'GET',
      '/devstoreaccount1/photos?comp=list&prefix=dir%20a%2F%26%3D%2B&marker=tok%2F%2B%3D&maxresults=7&restype=container&include=copy,metadata',
      { 'x-ms-client-request-id': '8eaffca7-dea7-4cce-b05c-f264e9908007' },
    ),
    'NJzaP04ivBBoxUtPBRkS/MY9999zyl4U8WRfd3lY19Y=',
  ],
  [
    request('GET', `/devstoreaccount1/photos${blob}`, {
      'x-ms-range': 'bytes=3-9',
      'x-ms-client-request-id': 'e59e1fc9-b671-45cd-9865-f00ba25a5ca1',
    }),
    'm6WJ/hHco+zFAr43IQxomT1wxLQz/FZMP+HAxSCt0w8=',
  ],
  [
    request('PUT', `/devstoreaccount1/photos${blob}?comp=metadata`, {
      'content-length': '0',
      'x-ms-client-request-id': 'dd5564c1-679b-4a66-acae-d24645d7b3c9',
    }),
    '/OqZryz7JbQYNWInLZEolFD+CBatI7ofwGZ80fZjins=',
  ],
  [
    request('GET', '/?comp=properties&restype=account', {
      'x-ms-client-request-id': 'ddcee809-8f6b-4ef4-a9da-d4857be4dd5b',
    }),
    'cQMMBB1FvxjmqH3hq/FiYk03d8wXfOw7UucRWbZb6MU=',
  ],
];

test('what the SDK signed is accepted, path-style and host-style', () => {
  for (const [one, signature] of bySdk)
    assert.equal(verify(one, `SharedKey ${account}:${signature}`), 'ok', one.method + one.rawPath);
});

test('the string to sign holds every field in its place', () => {
  const one = request('PUT', '/devstoreaccount1/c/b?Comp=block&blockid=2&blockid=1&timeout=%0A', {
    'content-encoding': 'ce',
    'content-language': 'cl',
    'content-length': '12',
    'content-md5': 'md5',
    'content-type': 'ct',
    date: 'not this one',
    'if-modified-since': 'ims',
    'if-match': 'im',
    'if-none-match': 'inm',
    'if-unmodified-since': 'ius',
    range: 'r',
    'x-ms-meta-b': 'B',
    'x-ms-meta-a': 'A',
    'user-agent': 'unsigned',
  });
  const canonical = `x-ms-date:${dated['x-ms-date']}\nx-ms-meta-a:A\nx-ms-meta-b:B\nx-ms-version:2026-10-06\n/devstoreaccount1/devstoreaccount1/c/b`;
  assert.equal(
    sharedKeyStringToSign(one, 'SharedKey'),
    `PUT\nce\ncl\n12\nmd5\nct\n\nims\nim\ninm\nius\nr\n${canonical}\nblockid:1,2\ncomp:block\ntimeout:\n`,
  );
  assert.equal(sharedKeyStringToSign(one, 'SharedKeyLite'), `PUT\nmd5\nct\n\n${canonical}?comp=block`);
  const undated = { ...one, headers: { date: 'D', 'content-length': '0' }, rawPath: '', query: new Map() };
  assert.equal(sharedKeyStringToSign(undated, 'SharedKey'), 'PUT\n\n\n\n\n\nD\n\n\n\n\n\n/devstoreaccount1/');
  assert.equal(sharedKeyStringToSign(undated, 'SharedKeyLite'), 'PUT\n\n\nD\n/devstoreaccount1/');
});

test('each signed part altered is refused', () => {
  const headers = {
    'content-encoding': 'a',
    'content-language': 'a',
    'content-length': '12',
    'content-md5': 'a',
    'content-type': 'a',
    'if-modified-since': 'a',
    'if-match': 'a',
    'if-none-match': 'a',
    'if-unmodified-since': 'a',
    range: 'a',
    'x-ms-meta-a': 'a',
    'x-ms-version': '2026-10-06',
  };
  const one = request('PUT', '/devstoreaccount1/c/b?comp=block&blockid=1', headers);
  const authorization = signed(one);
  assert.equal(verify(one, authorization), 'ok');
  for (const name of Object.keys(headers)) {
    assert.equal(
      verify({ ...one, headers: { ...one.headers, [name]: 'b' } }, authorization),
      'signature-mismatch',
      name,
    );
    const without = { ...one, headers: { ...one.headers, [name]: undefined } };
    assert.equal(verify(without, authorization), 'signature-mismatch', name);
  }
  const later = { ...one.headers, 'x-ms-date': 'Thu, 15 Jan 2026 12:00:01 GMT' };
  for (const altered of [
    { ...one, headers: later },
    { ...one, headers: { ...one.headers, 'x-ms-meta-new': '' } },
    { ...one, method: 'GET' },
    { ...one, rawPath: '/devstoreaccount1/c/b2' },
    { ...one, rawPath: '/devstoreaccount1/c/%62' },
    { ...one, query: new Map([...one.query, ['extra', ['']]]) },
    { ...one, query: new Map([['comp', ['block']]]) },
    { ...one, query: new Map([...one.query, ['blockid', ['2']]]) },
  ])
    assert.equal(verify(altered, authorization), 'signature-mismatch', JSON.stringify(altered));
});

test('Shared Key Lite is accepted, and is not taken for Shared Key', () => {
  const one = request('GET', '/devstoreaccount1/c?comp=list&restype=container');
  const lite = signed(one, 'SharedKeyLite');
  assert.equal(verify(one, lite), 'ok');
  assert.equal(verify({ ...one, query: new Map([['comp', ['acl']]]) }, lite), 'signature-mismatch');
  assert.equal(verify(one, lite.replace('SharedKeyLite', 'SharedKey')), 'signature-mismatch');
});

test('either of two keys signs, another does not', () => {
  const one = request('GET', '/devstoreaccount1/c/b');
  for (const by of [key, otherKey]) assert.equal(verify(one, signed(one, 'SharedKey', by)), 'ok');
  const outcome = verifySharedKey(one, signed(one), [otherKey], now, skew);
  assert(outcome.kind === 'signature-mismatch');
  assert.equal(outcome.stringToSign, sharedKeyStringToSign(one, 'SharedKey'));
  assert.equal(verifySharedKey(one, signed(one), [], now, skew).kind, 'signature-mismatch');
});

test('the date must be there, be a date, and be near', () => {
  const one = request('GET', '/devstoreaccount1/c/b');
  const authorization = signed(one);
  assert.equal(verify(one, authorization, now + skew), 'ok');
  assert.equal(verify(one, authorization, now - skew), 'ok');
  assert.equal(verify(one, authorization, now + skew + 1), 'date-skewed');
  assert.equal(verify(one, authorization, now - skew - 1), 'date-skewed');
  const without = { ...one, headers: { 'x-ms-version': '2026-10-06' } };
  assert.equal(verify(without, signed(without)), 'date-missing');
  const vague = { ...one, headers: { ...one.headers, 'x-ms-date': '2026-01-15T12:00:00Z' } };
  assert.equal(verify(vague, signed(vague)), 'malformed');
  const plain = { ...one, headers: { date: dated['x-ms-date'] } };
  assert.equal(verify(plain, signed(plain)), 'ok');
});

test('what is no authorization is malformed', () => {
  const one = request('GET', '/devstoreaccount1/c/b');
  const signature = signed(one).split(':')[1]!;
  for (const text of [
    '',
    'SharedKey',
    `SharedKey ${account}`,
    `SharedKey ${account}:`,
    `SharedKey :${signature}`,
    `SharedKey ${account}:${signature.slice(0, -1)}`,
    `SharedKey ${account}:${signature.slice(4)}`,
    `SharedKey ${account}:${signature} `,
    `SharedKey ${account}:${'*'.repeat(43)}=`,
    `sharedkey ${account}:${signature}`,
    `Bearer ${signature}`,
  ])
    assert.equal(verify(one, text), 'malformed', text);
  assert.equal(verify(one, `SharedKey other:${signature}`), 'wrong-account');
});

test('raw UTF-8 in a header is accepted as the bytes or as what HTTP makes of them', () => {
  const asSeen = request('PUT', '/devstoreaccount1/c/b', { 'x-ms-meta-name': Buffer.from('ü').toString('latin1') });
  const asMeant = request('PUT', '/devstoreaccount1/c/b', { 'x-ms-meta-name': 'ü' });
  assert.equal(verify(asSeen, signed(asMeant)), 'ok');
  assert.equal(verify(asSeen, signed(asSeen)), 'ok');
  assert.equal(verify(asMeant, signed(asSeen)), 'signature-mismatch');
});

test('culture puts hyphens last, underscores before digits, digits before letters', () => {
  const names = ['x-ms-meta-ab', 'x-ms-meta-a1', 'x-ms-meta-a_b', 'x-ms-meta-a', 'x-ms-metaa', 'x-ms-date'];
  assert.deepEqual(names.sort(compareByCulture), [
    'x-ms-date',
    'x-ms-metaa',
    'x-ms-meta-a',
    'x-ms-meta-a_b',
    'x-ms-meta-a1',
    'x-ms-meta-ab',
  ]);
});

test('verification never throws, and accepts nothing by chance', () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 });
  fc.assert(
    fc.property(
      fc.record({
        method: text,
        rawPath: text,
        query: fc.array(fc.tuple(text, fc.array(text, { maxLength: 2 })), { maxLength: 4 }),
        headers: fc.dictionary(fc.oneof(text, fc.constantFrom('x-ms-date', 'date', 'x-ms-a', 'range')), text),
        account: fc.oneof(text, fc.constant(account)),
        version: fc.constantFrom('2009-09-19', '2016-05-31', '2026-10-06'),
      }),
      fc.oneof(text, fc.constant(`SharedKey ${account}:${'A'.repeat(43)}=`)),
      (raw, authorization) => {
        assert.notEqual(verify({ ...raw, query: new Map(raw.query) }, authorization), 'ok');
      },
    ),
  );
});
