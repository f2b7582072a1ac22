// Dates of HTTP and of signatures: every form that is read, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatHttpDate, formatIsoTime, parseHttpDate, parseIsoTime } from './http-date.ts';

const known = Date.UTC(1994, 10, 6, 8, 49, 37);

test('the three forms of an HTTP date are one time', () => {
  assert.equal(parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT'), known);
  assert.equal(parseHttpDate('Sun, 6 Nov 1994 08:49:37 GMT'), known);
  assert.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), known);
  assert.equal(parseHttpDate('Sun Nov  6 08:49:37 1994'), known);
  assert.equal(parseHttpDate('Friday, 01-Jan-26 00:00:00 GMT'), Date.UTC(2026, 0, 1));
  assert.equal(formatHttpDate(known + 999), 'Sun, 06 Nov 1994 08:49:37 GMT');
});

test('what is no date is refused', () => {
  for (const text of [
    '',
    'now',
    '1994-11-06',
    '784111777',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 CET',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    'Sun, 31 Jun 1994 08:49:37 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:00 GMT',
    'Sun, 06 Foo 1994 08:49:37 GMT',
    'Foo, 06 Nov 1994 08:49:37 GMT',
    'Sun, 29 Feb 1900 08:49:37 GMT',
    ' Sun, 06 Nov 1994 08:49:37 GMT',
    'Someday, 06-Nov-94 08:49:37 GMT',
    'Foo Nov  6 08:49:37 1994',
  ])
    assert.equal(parseHttpDate(text), undefined, text);
});

test('every second survives writing and reading', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (second) => {
      assert.equal(parseHttpDate(formatHttpDate(second * 1000)), second * 1000);
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (time) => {
      assert.equal(parseIsoTime(formatIsoTime(time)), time);
    }),
  );
});

test('the forms of ISO 8601 that signatures use', () => {
  const day = Date.UTC(2024, 1, 29);
  assert.equal(parseIsoTime('2024-02-29'), day);
  assert.equal(parseIsoTime('2024-02-29T10:20Z'), day + 620 * 60_000);
  assert.equal(parseIsoTime('2024-02-29T10:20:30Z'), day + 620 * 60_000 + 30_000);
  assert.equal(parseIsoTime('2024-02-29T10:20:30.1234567Z'), day + 620 * 60_000 + 30_123);
  assert.equal(parseIsoTime('2024-02-29T10:20:30+02:00'), day + 500 * 60_000 + 30_000);
  assert.equal(formatIsoTime(day + 5), '2024-02-29T00:00:00.0050000Z');
  for (const text of [
    '',
    '2023-02-29',
    '2024-13-01',
    '2024-2-3',
    '2024-02-29T10:20',
    '2024-02-29T10Z',
    '2024-02-29T24:00Z',
    '2024-02-29 10:20Z',
    '2024-02-29T10:20:30.Z',
    '2024-02-29T10:20:30.12345678Z',
    '20240229',
    '2024-02-29Z',
    '+02024-02-29',
  ])
    assert.equal(parseIsoTime(text), undefined, text);
});

test('no text makes the parsers throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseHttpDate(text);
      parseIsoTime(text);
    }),
  );
});
