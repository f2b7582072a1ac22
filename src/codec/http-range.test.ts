// Ranges: what is a range, what is none, what cannot be satisfied.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatContentRange, parseRange, requestedRange, resolveRange } from './http-range.ts';

test('a range is cut to the content', () => {
  assert.deepEqual(resolveRange(parseRange('bytes=0-9'), 100), { kind: 'part', start: 0, length: 10 });
  assert.deepEqual(resolveRange(parseRange('bytes=90-'), 100), { kind: 'part', start: 90, length: 10 });
  assert.deepEqual(resolveRange(parseRange('bytes=90-500'), 100), { kind: 'part', start: 90, length: 10 });
  assert.deepEqual(resolveRange(parseRange('bytes=99-99'), 100), { kind: 'part', start: 99, length: 1 });
  assert.deepEqual(resolveRange(parseRange('bytes=100-'), 100), { kind: 'unsatisfiable' });
  assert.deepEqual(resolveRange(parseRange('bytes=0-'), 0), { kind: 'unsatisfiable' });
  assert.equal(formatContentRange(90, 10, 100), 'bytes 90-99/100');
});

test('what is no range from a start is as if it were not there', () => {
  for (const text of [
    undefined,
    '',
    'bytes',
    'bytes=',
    'bytes=-5',
    'bytes=5-4',
    'bytes=a-b',
    'bytes=0-1,3-4',
    'items=0-1',
    'bytes=0-1 ',
    'bytes = 0-1',
    'bytes=1.5-2',
    'bytes=9999999999999999-',
    'bytes=0-99999999999999999',
  ])
    assert.deepEqual(resolveRange(parseRange(text), 10), { kind: 'whole' }, `${text}`);
});

test('x-ms-range wins over Range', () => {
  assert.deepEqual(requestedRange({ range: 'bytes=1-2', 'x-ms-range': 'bytes=3-4' }), {
    kind: 'range',
    start: 3,
    end: 4,
  });
  assert.deepEqual(requestedRange({ range: 'bytes=1-2' }), { kind: 'range', start: 1, end: 2 });
  assert.deepEqual(requestedRange({}), { kind: 'none' });
});

test('a part always lies inside the content', () => {
  fc.assert(
    fc.property(fc.nat(), fc.option(fc.nat()), fc.nat(), (start, end, length) => {
      const resolved = resolveRange(parseRange(`bytes=${start}-${end ?? ''}`), length);
      if (resolved.kind === 'part') {
        assert(resolved.length > 0 && resolved.start === start && start + resolved.length <= length);
        assert(end === null || start + resolved.length - 1 <= end);
      } else assert(resolved.kind === 'whole' ? end !== null && end < start : start >= length);
    }),
  );
});
