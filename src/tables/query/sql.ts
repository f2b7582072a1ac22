// Pieces of the engine's SQL: literals that cannot end early, typed expressions, and conversions between types.
import { QueryError } from './ast.ts';

export type ValueType = 'int' | 'float' | 'string' | 'boolean' | 'timestamp' | 'json' | 'null';

/** Why a record is left out, and told of: the larger one is the graver. */
export const fault = { none: 0, conversion: 1, ordinal: 2, malformed: 3 } as const;

/** An expression of the engine's SQL. `bad` is its `fault` in a record, as an expression; absent where there is none. */
export interface Typed {
  readonly sql: string;
  readonly type: ValueType;
  readonly bad?: string;
}

/** Conversions name their operand more than once, so a short query could become an endless one. */
const sqlCharactersMax = 1024 * 1024;

export function typed(type: ValueType, sql: string, ...bads: (string | undefined)[]): Typed {
  const bad = worst(...bads);
  if (sql.length + (bad?.length ?? 0) > sqlCharactersMax) throw new QueryError('the query is too complex');
  return { type, sql, ...(bad !== undefined && { bad }) };
}

export function worst(...bads: (string | undefined)[]): string | undefined {
  const given = bads.filter((bad) => bad !== undefined);
  return given.length < 2 ? given[0] : `greatest(${given.join(', ')})`;
}

/** A literal of the engine's SQL: it knows no escape but the doubled quote. */
export function text(value: string): string {
  if (value.includes('\0')) throw new QueryError('a text has a character of number zero');
  return `'${value.toWellFormed().replaceAll("'", "''")}'`;
}

export const name = (value: string): string => `"${value.replaceAll('"', '""')}"`;

/** ISO 8601 in all the forms of the W3C's note, as the engine reads it. */
function timestampOf(sql: string): string {
  const steps = [
    ['^(\\d{4})T?$', '\\1-01-01'],
    ['^(\\d{4}-\\d{2})T?$', '\\1-01'],
    ['^(\\d{4}-\\d{2}-\\d{2})T$', '\\1'],
    ['^(\\d{4}-\\d{2}-\\d{2}[T ]\\d{2}:\\d{2})(Z|[+-]\\d{2}:?\\d{2})?T?$', '\\1:00\\2'],
  ] as const;
  const full = steps.reduce((inner, [from, to]) => `regexp_replace(${inner}, ${text(from)}, ${text(to)})`, sql);
  // With the zone of the text; a text without one is in UTC, as the database is.
  return `timezone('UTC', coalesce(TRY_CAST(${sql} AS TIMESTAMPTZ), TRY_CAST(${full} AS TIMESTAMPTZ)))`;
}

const whole = "'^\\s*([-+]?[0-9]+)\\s*$'";

/** A value as text, as it is written out. */
export function toText(value: Typed): Typed {
  const { sql, type, bad } = value;
  switch (type) {
    case 'string':
      return value;
    case 'null':
      return typed('string', 'NULL::VARCHAR', bad);
    case 'json':
      return typed('string', `(${sql} ->> '$')`, bad);
    case 'int':
    case 'boolean':
      return typed('string', `CAST(${sql} AS VARCHAR)`, bad);
    case 'float':
      // A whole number without a point, as the service writes it.
      return typed('string', `regexp_replace(CAST(${sql} AS VARCHAR), '\\.0$', '')`, bad);
    case 'timestamp':
      return typed('string', `strftime(${sql}, '%Y-%m-%dT%H:%M:%S.%gZ')`, bad);
  }
}

/** A value as another type. What does not convert is no value, and its record is bad. */
export function convert(value: Typed, to: ValueType): Typed {
  if (value.type === to) return value;
  if (value.type === 'null') return typed(to, `CAST(NULL AS ${sqlTypes[to]})`);
  if (to === 'string') return toText(value);
  if (value.type === 'json') return convert(toText(value), to);
  const sql = conversion(value, to);
  if (sql === undefined) throw new QueryError(`a ${value.type} is no ${to}`);
  const always = value.type !== 'string' && !(value.type === 'float' && to === 'int');
  if (always) return typed(to, sql, value.bad);
  return typed(to, sql, value.bad, failed(value.sql, sql));
}

/** The fault of a conversion: there was a value, and there is none. */
export function failed(before: string, after: string): string {
  return `CAST(${before} IS NOT NULL AND ${after} IS NULL AS TINYINT)`;
}

const sqlTypes: Readonly<Record<ValueType, string>> = {
  int: 'BIGINT',
  float: 'DOUBLE',
  string: 'VARCHAR',
  boolean: 'BOOLEAN',
  timestamp: 'TIMESTAMP',
  json: 'VARCHAR',
  null: 'VARCHAR',
};

function conversion({ sql, type }: Typed, to: ValueType): string | undefined {
  switch (to) {
    case 'int':
      if (type === 'string') return `TRY_CAST(regexp_extract(${sql}, ${whole}, 1) AS BIGINT)`;
      if (type === 'float') return `TRY_CAST(trunc(${sql}) AS BIGINT)`;
      return type === 'boolean' ? `CAST(${sql} AS BIGINT)` : undefined;
    case 'float':
      if (type === 'string') return `TRY_CAST(${sql} AS DOUBLE)`;
      return type === 'int' || type === 'boolean' ? `CAST(${sql} AS DOUBLE)` : undefined;
    case 'boolean':
      if (type === 'string') {
        return `(CASE lower(trim(${sql})) WHEN 'true' THEN true WHEN '1' THEN true WHEN 'false' THEN false WHEN '0' THEN false END)`;
      }
      return type === 'int' || type === 'float' ? `(${sql} <> 0)` : undefined;
    case 'timestamp':
      return type === 'string' ? timestampOf(sql) : undefined;
    default:
      return undefined;
  }
}
