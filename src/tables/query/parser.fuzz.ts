// Queries that grammars, mutations and chance make: each is refused in good form, or becomes one statement that only selects.
import assert from 'node:assert/strict';
import { DuckDBInstance } from '@duckdb/node-api';
import { QueryError } from './ast.ts';
import type { OutputFormat } from './formats.ts';
import { parseQuery } from './parser.ts';
import { planQuery } from './plan.ts';
import { csv, json } from './run.testing.ts';
import { csvSource, jsonSource, parquetSource, type Source } from './source.ts';

interface FuzzRandom {
  below(n: number): number;
  bytes(n: number): Buffer;
}

const values = [
  '_1',
  '_2',
  '"a b"',
  'name',
  's.name',
  'a.b[0].c',
  "'x'",
  "'it''s'",
  "''",
  '0',
  '1',
  '-1',
  '2.5',
  '1e3',
  '9223372036854775807',
  'NULL',
  'TRUE',
  "'2024-01-01T00:00:00Z'",
  "'); DROP TABLE x; --'",
  "' || (SELECT 1) || '",
  '"x"" FROM read_text(\'/etc/passwd\') --"',
  '$$a$$',
  'UTCNOW()',
];
const binary = ['+', '-', '*', '/', '%', '=', '<>', '!=', '<', '<=', '>', '>=', 'AND', 'OR', '||', 'LIKE'];
const calls = [
  'LOWER(?)',
  'UPPER(?)',
  'CHAR_LENGTH(?)',
  'COALESCE(?, ?)',
  'NULLIF(?, ?)',
  'CAST(? AS INT)',
  'CAST(? AS FLOAT)',
  'CAST(? AS STRING)',
  'CAST(? AS TIMESTAMP)',
  'CAST(? AS BOOLEAN)',
  'SUBSTRING(?, ?, ?)',
  'TRIM(BOTH ? FROM ?)',
  'DATE_ADD(day, ?, ?)',
  "DATE_DIFF('month', ?, ?)",
  'EXTRACT(YEAR FROM ?)',
  "TO_STRING(?, 'yyyy-MM-dd''T''hh')",
  'TO_TIMESTAMP(?)',
  '? IS NULL',
  '? IS NOT MISSING',
  '? IN (?, ?)',
  '? NOT BETWEEN ? AND ?',
  "? LIKE ? ESCAPE '!'",
  'NOT ?',
  '-?',
  '(?)',
];
const aggregates = ['COUNT(*)', 'COUNT(?)', 'SUM(?)', 'AVG(?)', 'MIN(?)', 'MAX(?)'];
const noise = [
  "'",
  '"',
  ';',
  '--',
  '/*',
  '(',
  ')',
  ',',
  '\0',
  '\n',
  ' ',
  "\\'",
  '\u{1f600}',
  'SELECT ',
  ' FROM x ',
  '[*]',
];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  const one = <T>(from: readonly T[]): T => from[random.below(from.length)] as T;
  const expression = (depth: number): string => {
    if (depth === 0 || random.below(3) === 0) return one(values);
    if (random.below(2) === 0) return `${expression(depth - 1)} ${one(binary)} ${expression(depth - 1)}`;
    return one(calls).replaceAll('?', () => expression(depth - 1));
  };
  const query = (): string => {
    const depth = random.below(5);
    const item = (): string =>
      random.below(8) === 0 ? one(aggregates).replace('?', () => expression(1)) : expression(depth);
    const items = random.below(4) === 0 ? '*' : Array.from({ length: 1 + random.below(3) }, item).join(', ');
    const from = one([
      'BlobStorage',
      'BlobStorage[*]',
      'BlobStorage[*].a',
      'BlobStorage[*].a[*]."b c"[0]',
      'BlobStorage s',
    ]);
    const where = random.below(2) === 0 ? ` WHERE ${expression(depth)}` : '';
    return `SELECT ${items} FROM ${from}${where}${random.below(3) === 0 ? ` LIMIT ${random.below(100)}` : ''}`;
  };
  const spoiled = (text: string): string => {
    let made = text;
    for (let i = random.below(4); i > 0; i--) {
      const at = random.below(made.length + 1);
      made = made.slice(0, at) + (random.below(3) === 0 ? '' : one(noise)) + made.slice(at + random.below(3));
    }
    return made;
  };
  const path = "/data/it's";
  const file = { paths: [path], hasHeader: false, separator: ',', quote: '"', escape: '"', columns: 3 };
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    while (Date.now() < deadlineMs) {
      const text = random.below(20) === 0 ? random.bytes(random.below(200)).toString('latin1') : spoiled(query());
      try {
        const parsed = parseQuery(text);
        const output: OutputFormat = one([
          csv(),
          json,
          csv({ fieldQuote: "'", columnSeparator: ';', hasHeaders: true }),
        ]);
        const source: Source = one([
          () => csvSource({ ...file, header: undefined }),
          () => csvSource({ ...file, header: ['name', 'a b', `q"'`] }),
          () => jsonSource([path], parsed.from),
          () =>
            parquetSource(path, [
              { name: `q"'`, type: 'BIGINT' },
              { name: 'name', type: 'STRUCT(b INTEGER[])' },
            ]),
        ])();
        const plan = planQuery(parsed, source, output, 0);
        for (const sql of [plan.rows, plan.faults ?? plan.rows]) {
          const statements = await connection.extractStatements(sql);
          assert.equal(statements.count, 1, `more than one statement of ${JSON.stringify(text)}: ${sql}`);
          assert.ok(!/read_text|DROP TABLE/.test(withoutTexts(sql)), `a text got out of its quotes: ${sql}`);
        }
      } catch (error) {
        if (!(error instanceof QueryError)) throw new Error(`on ${JSON.stringify(text)}`, { cause: error });
      }
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const withoutTexts = (sql: string): string => sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, ' ');
