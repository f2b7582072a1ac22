// The grammar of queries, and a little of the fuzzing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { QueryError } from './ast.ts';
import { fuzz as fuzzRecords } from './csv.fuzz.ts';
import { fuzz } from './parser.fuzz.ts';
import { parseQuery } from './parser.ts';

test('a query is its parts', () => {
  const parsed = parseQuery(`SELECT _1, "a b" AS c FROM BlobStorage[*].d[0].e[*] s WHERE s.x >= 2 LIMIT 5;`);
  assert.deepEqual(parsed, {
    select: {
      kind: 'items',
      items: [
        { value: { kind: 'field', steps: [{ kind: 'name', name: '_1', quoted: false }] } },
        { value: { kind: 'field', steps: [{ kind: 'name', name: 'a b', quoted: true }] }, name: 'c' },
      ],
    },
    from: [
      { kind: 'name', name: 'd', quoted: false },
      { kind: 'index', index: 0 },
      { kind: 'name', name: 'e', quoted: false },
      { kind: 'each' },
    ],
    alias: 's',
    where: {
      kind: 'compare',
      operator: '>=',
      left: {
        kind: 'field',
        steps: [
          { kind: 'name', name: 's', quoted: false },
          { kind: 'name', name: 'x', quoted: false },
        ],
      },
      right: { kind: 'int', value: 2n },
    },
    limit: 5,
  });
});

test('AND binds before OR, NOT before both, and a product before a sum', () => {
  const where = (text: string): string =>
    JSON.stringify(parseQuery(`select * from BlobStorage where ${text}`).where, (_, value) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
  assert.equal(where('1=1 or 2=2 and not 3=3'), where('(1=1) or ((2=2) and (not (3=3)))'));
  assert.equal(where('1 + 2 * 3 - 4 = 3'), where('((1 + (2 * 3)) - 4) = 3'));
  assert.equal(where('a not between 1 and 2 and b in (1)'), where('(not (a >= 1 and a <= 2)) and (b in (1))'));
});

test('what the grammar does not have is refused', () => {
  const refused = [
    '',
    'select',
    'select * from',
    'select * from other',
    'select * from BlobStorage where',
    'select * from BlobStorage; select * from BlobStorage',
    'select * from BlobStorage -- more',
    'select * from BlobStorage union select 1 from BlobStorage',
    'select * from BlobStorage join x',
    'select (select 1 from BlobStorage) from BlobStorage',
    "select read_text('/etc/passwd') from BlobStorage",
    "select * from read_csv('/etc/passwd')",
    'select getenv(_1) from BlobStorage',
    "select 'open from BlobStorage",
    "select 'a\0b' from BlobStorage",
    'select _1 from BlobStorage limit -1',
    'select _1 from BlobStorage limit 1.5',
    'select sys.split(100) from BlobStorage',
    'select sys.split(10485760) from BlobStorage limit 1',
    'select cast(_1 as blob) from BlobStorage',
    'select 1abc from BlobStorage',
    'select lower() from BlobStorage',
    'select lower(_1, _2) from BlobStorage',
    `select ${Array.from({ length: 50 }, (_, at) => `_${at + 1}`)} from BlobStorage`,
    `select ${'('.repeat(5000)}1${')'.repeat(5000)} from BlobStorage`,
    `select ${'-'.repeat(5000)}1 from BlobStorage`,
    `select * from BlobStorage where ${'not '.repeat(5000)}true`,
    `select * from BlobStorage where 1=1${' and 1=1'.repeat(5000)}`,
    `select '${'x'.repeat(300_000)}' from BlobStorage`,
  ];
  for (const text of refused) assert.throws(() => parseQuery(text), QueryError, text.slice(0, 100));
  assert.ok(parseQuery(`select * from BlobStorage where 1=1${' and 1=1'.repeat(400)}`));
});

test('no query becomes more than one statement that selects', { timeout: 60_000 }, async () => {
  await fuzz(seededRandom(11), Date.now() + 1500);
});

test('the engine reads delimited text as the records are defined', { timeout: 60_000 }, async () => {
  await fuzzRecords(seededRandom(12), Date.now() + 1500);
});
