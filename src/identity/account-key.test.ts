// Keys and signatures: forms, and comparison.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSignedByAny, parseAccountKey, parseSignature, sign } from './account-key.ts';

test('a key is base64 of at least one byte', () => {
  for (const text of ['AA==', 'AAA=', 'AAAA', 'AAAAAA==', Buffer.alloc(64, 7).toString('base64')])
    assert.deepEqual(parseAccountKey(text)?.export(), Buffer.from(text, 'base64'), text);
  for (const text of ['', 'A', 'AA', 'AAA', 'A===', 'AAAA=', 'AA=A', 'key with spaces', 'AAAA\n', '--__'])
    assert.equal(parseAccountKey(text), undefined, text);
});

test('a signature is HMAC-SHA256 (RFC 4231, case 2)', () => {
  const key = parseAccountKey(Buffer.from('Jefe').toString('base64'))!;
  const signature = sign('what do ya want for nothing?', key);
  assert.equal(signature.toString('hex'), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
  assert(isSignedByAny('what do ya want for nothing?', parseSignature(signature.toString('base64'))!, [key]));
  for (let bit = 0; bit < 256; bit++) {
    const altered = Buffer.from(signature);
    altered[bit >> 3]! ^= 1 << (bit & 7);
    assert(!isSignedByAny('what do ya want for nothing?', altered, [key]));
  }
  assert(!isSignedByAny('what do ya want for nothing?', signature, []));
});

test('only 32 bytes of base64 are a signature', () => {
  assert.equal(parseSignature(Buffer.alloc(32, 1).toString('base64'))?.length, 32);
  for (const text of [
    '',
    'AAAA',
    Buffer.alloc(31).toString('base64'),
    Buffer.alloc(33).toString('base64'),
    `${'*'.repeat(43)}=`,
    // The same bytes as of the one above, written otherwise.
    ...['F', 'G', 'H'].map((last) => Buffer.alloc(32, 1).toString('base64').replace(/.=$/, `${last}=`)),
  ])
    assert.equal(parseSignature(text), undefined);
});
