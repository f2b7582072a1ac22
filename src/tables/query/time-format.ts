// The patterns of TO_STRING: "Query acceleration SQL language reference", the table of format strings.
import { QueryError } from './ast.ts';
import { text } from './sql.ts';

const patternCharactersMax = 256;

/** A pattern's token as a format of the engine's `strftime`, or as an expression of its own. */
const tokens: Readonly<Record<string, string | ((sql: string) => string)>> = {
  yy: '%y',
  y: '%Y',
  yyyy: '%Y',
  M: '%-m',
  MM: '%m',
  MMM: '%b',
  MMMM: '%B',
  d: '%-d',
  dd: '%d',
  a: '%p',
  h: '%-I',
  hh: '%I',
  H: '%-H',
  HH: '%H',
  m: '%-M',
  mm: '%M',
  s: '%-S',
  ss: '%S',
  S: (sql) => `left(strftime(${sql}, '%g'), 1)`,
  SS: (sql) => `left(strftime(${sql}, '%g'), 2)`,
  SSS: '%g',
  // Timestamps are kept in UTC.
  X: () => "'Z'",
  XX: () => "'Z'",
  XXX: () => "'Z'",
  XXXX: () => "'Z'",
  XXXXX: () => "'Z'",
  x: () => "'+00'",
  xx: () => "'+0000'",
  xxx: () => "'+00:00'",
  xxxx: () => "'+0000'",
  xxxxx: () => "'+00:00'",
};

/** The timestamp `sql` in the pattern's form. */
export function timeFormat(sql: string, pattern: string): string {
  if (pattern.length > patternCharactersMax) throw new QueryError('the pattern is too long');
  const parts: string[] = [];
  for (const [token, literal, letters] of pattern.matchAll(/'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+|'/g)) {
    if (letters === undefined) parts.push(text(literal?.replaceAll("''", "'") ?? token));
    else {
      const known = Object.hasOwn(tokens, token) ? tokens[token] : undefined;
      if (known === undefined) throw new QueryError(`a pattern has no ${JSON.stringify(token)}`);
      parts.push(typeof known === 'string' ? `strftime(${sql}, ${text(known)})` : known(sql));
    }
  }
  if (parts.length === 0) return "''";
  return `CASE WHEN ${sql} IS NOT NULL THEN ${parts.join(' || ')} END`;
}
