// Address ranges of signatures.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInIpRange, parseIpRange } from './ip-range.ts';

test('one address or a range of them, both ends inside', () => {
  const range = parseIpRange('168.1.5.60-168.1.6.70')!;
  for (const address of ['168.1.5.60', '168.1.5.255', '168.1.6.70', '::ffff:168.1.6.0'])
    assert(isInIpRange(range, address), address);
  for (const address of ['168.1.5.59', '168.1.6.71', '::1', '::ffff:1.2.3.4', '', 'localhost', '168.1.5'])
    assert(!isInIpRange(range, address), address);
  assert(isInIpRange(parseIpRange('255.255.255.255')!, '255.255.255.255'));
  assert(!isInIpRange(parseIpRange('10.0.0.1')!, '10.0.0.2'));
});

test('what is no range is refused', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4-',
    '-1.2.3.4',
    '1.2.3.4-1.2.3.3',
    '1.2.3.4-1.2.3.5-1.2.3.6',
    '1.2.3.256',
    '::1',
    '1.2.3.0/24',
  ])
    assert.equal(parseIpRange(text), undefined, text);
});
