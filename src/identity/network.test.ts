// Network rules: which addresses get in, in every form that an address has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkPolicy, rangeProblem } from './network.ts';

test('only what a range holds gets in where the rest is denied', () => {
  const policy = new NetworkPolicy({ defaultAction: 'deny', ranges: ['10.1.0.0/16', '192.0.2.7', '2001:db8::/32'] });
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.7', '2001:db8:1::1'])
    assert.equal(policy.admits(address), true, address);
  for (const address of [
    '10.2.0.1',
    '192.0.2.8',
    '2001:db9::1',
    '::1',
    '',
    'localhost',
    '10.1.2.3.4',
    '10.1.2.3, 1.1.1.1',
  ])
    assert.equal(policy.admits(address), false, address);
});

test('without rules, or where the rest is allowed, everybody gets in', () => {
  assert.equal(new NetworkPolicy(undefined).admits('203.0.113.1'), true);
  assert.equal(new NetworkPolicy({ defaultAction: 'allow', ranges: ['10.0.0.0/8'] }).admits('203.0.113.1'), true);
});

test('a range that cannot be read lets nobody in', () => {
  for (const text of [
    '0.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'all',
    '',
    '10.0.0.0/-1',
    '::/129',
    'fe80::1%eth0',
    '10.0.0.0/08',
  ]) {
    assert.notEqual(rangeProblem(text), undefined, text);
    assert.equal(new NetworkPolicy({ defaultAction: 'deny', ranges: [text] }).admits('10.0.0.1'), false, text);
  }
  for (const text of ['0.0.0.0/0', '10.0.0.1', '::/0', '2001:db8::1'])
    assert.equal(rangeProblem(text), undefined, text);
});
