// What is wrong with an expression over tags, and at which of its characters.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseTagCondition, parseTagQuery } from './tag-expression.ts';

const joined = (count: number): string => Array.from({ length: count }, (_, i) => `t${i} = 'v'`).join(' AND ');

describe('an expression over tags', () => {
  test('that cannot be read says where and why', () => {
    const problems: [string, number | undefined, string][] = [
      [`year <> '2025'`, 15, '<> is not served here'],
      [`year = '2025' AND  kind = 'a@b'`, 27, "'@' not permitted in tag name or value"],
      [`"a'b" = 'c'`, 1, "''' not permitted in tag name or value"],
      [`@box = 'a'`, 1, "unsupported parameter '@box'"],
      ['year', 5, 'a comparison is expected'],
      [`year = '1' ;`, 11, 'unexpected character'],
      [`${'k'.repeat(129)} = 'v'`, 1, 'tag must be between 1 and 128 characters in length'],
      [`k = '${'v'.repeat(257)}'`, 5, 'tag value must be between 0 and 256 characters in length'],
      [joined(11), undefined, 'there can be at most 10 unique tags in a query'],
    ];
    for (const [text, at, problem] of problems) assert.deepEqual(parseTagQuery(text), { kind: 'invalid', at, problem });
    assert.equal(parseTagQuery(`${joined(10)} AND t0 > 'a' AND @container = 'box'`).kind, 'ok');
  });

  test('may compare a thousand times as a condition', () => {
    assert.equal(parseTagCondition(joined(1000)).kind, 'ok');
    assert.equal(parseTagCondition(joined(1001)).kind, 'invalid');
  });
});
