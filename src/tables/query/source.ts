// Where a query's fields come from: the columns of a CSV file, the values of JSON records, the columns of a Parquet file.
import { type FromStep, type Name, QueryError, type Step } from './ast.ts';
import { fault, name, type Typed, text, typed, type ValueType } from './sql.ts';

/** A relation with a column `"#n"`, the number of its record from 1 on, and the fields that expressions take from it. */
export interface Source {
  readonly relation: string;
  /** The fault of a record whatever is asked of it. */
  readonly bad?: string;
  /** Throws `QueryError` for a field that there is not. */
  field(steps: readonly [Name, ...Step[]]): Typed;
  /** The fields of `*`; a field of none is missing in a record, not null. Undefined where records differ. */
  readonly all: readonly NamedField[] | undefined;
  /** The record as a JSON text, where `all` is undefined. */
  readonly record?: Typed;
}

export interface NamedField {
  readonly name: string;
  readonly value: Typed;
}

export const recordNumber = '"#n"';
/** A text that no blob has a reason to hold stands for null: an empty field is an empty text, and no field is null. */
const noField = '\u0002\u0003\u0002';
const lineBytesMax = 8 * 1024 * 1024;
const bufferBytes = 4 * lineBytesMax;

export interface CsvFile {
  /** The records are those of one after another. */
  readonly paths: readonly string[];
  /** The first record is that of the names. */
  readonly hasHeader: boolean;
  readonly separator: string;
  readonly quote: string;
  readonly escape: string;
  /** How many columns are read; more of a record are left. */
  readonly columns: number;
  /** The names of the columns, if they have any. */
  readonly header: readonly string[] | undefined;
}

export function csvSource(file: CsvFile): Source {
  const columns = Array.from({ length: file.columns }, (_, at) => `_${at + 1}`);
  const value = (at: number): Typed => ({ sql: name(`_${at + 1}`), type: 'string' });
  const asked = (at: number): Typed => {
    // No record has as many fields.
    if (at >= file.columns) return typed('string', 'CAST(NULL AS VARCHAR)', `${fault.ordinal}::TINYINT`);
    const { sql } = value(at);
    return typed('string', sql, `CAST(${sql} IS NULL AS TINYINT) * ${fault.ordinal}`);
  };
  return {
    relation: `(SELECT row_number() OVER () AS ${recordNumber}, * FROM ${readLines(file, columns)})`,
    field(steps) {
      const [first, ...rest] = steps;
      if (rest.length > 0) throw new QueryError('a field of CSV data has no parts');
      return asked(columnOf(first, file.header));
    },
    all: columns.map((own, at) => ({ name: file.header?.[at] ?? own, value: value(at) })),
  };
}

/** From 0 on. */
export function columnOf(field: Name, header: readonly string[] | undefined): number {
  const lower = field.name.toLowerCase();
  const at = header?.findIndex((own) => (field.quoted ? own === field.name : own.toLowerCase() === lower)) ?? -1;
  if (at !== -1) return at;
  const ordinal = /^_([1-9]\d{0,4})$/.exec(field.name)?.[1];
  if (ordinal === undefined) throw new QueryError(`there is no column ${JSON.stringify(field.name)}`);
  return Number(ordinal) - 1;
}

function readLines(file: CsvFile, columns: readonly string[]): string {
  // With a second column an empty line is no record, as everywhere else.
  const types = [...columns, '#more'].map((column) => `${text(column)}: 'VARCHAR'`).join(', ');
  const options = [
    'auto_detect=false',
    `columns={${types}}`,
    `delim=${text(file.separator)}`,
    `quote=${text(file.quote)}`,
    `escape=${text(file.escape)}`,
    'header=false',
    `skip=${file.hasHeader ? 1 : 0}`,
    `nullstr=${text(noField)}`,
    'null_padding=true',
    'strict_mode=false',
    'parallel=false',
    `max_line_size=${lineBytesMax}`,
    `buffer_size=${bufferBytes}`,
  ];
  return `read_csv([${file.paths.map(text).join(', ')}], ${options.join(', ')})`;
}

/** Control characters cannot stand in JSON, so a line is one field whatever is in it. */
const lineFile = { hasHeader: false, separator: '\u0001', quote: '', escape: '', columns: 1, header: undefined };

export function jsonSource(paths: readonly string[], from: readonly FromStep[]): Source {
  const lines = readLines({ paths, ...lineFile }, ['line']);
  let relation = `(SELECT row_number() OVER () AS ${recordNumber}, TRY_CAST(line AS JSON) AS v, line FROM ${lines})`;
  relation = `(SELECT ${recordNumber}, v, v IS NULL AS broken FROM ${relation} WHERE trim(line) <> '')`;
  for (const step of from) relation = `(${stepInto(relation, step)})`;
  const record: Typed = { sql: 'v', type: 'json' };
  return {
    relation,
    bad: `CAST(broken AS TINYINT) * ${fault.malformed}`,
    field: (steps) => jsonField(record, steps),
    all: undefined,
    record: { sql: 'CAST(json(v) AS VARCHAR)', type: 'string' },
  };
}

function stepInto(relation: string, step: FromStep): string {
  const kept = `SELECT ${recordNumber}, broken`;
  if (step.kind === 'each') {
    const each = `unnest(CASE WHEN broken THEN [CAST(NULL AS JSON)] ELSE json_extract(v, '$[*]') END)`;
    return `${kept}, ${each} AS v FROM ${relation}`;
  }
  const { sql } = jsonStep({ sql: 'v', type: 'json' }, step);
  return `SELECT * FROM (${kept}, ${sql} AS v FROM ${relation}) WHERE broken OR v IS NOT NULL`;
}

function jsonField(record: Typed, steps: readonly Step[]): Typed {
  return steps.reduce(jsonStep, record);
}

function jsonStep(value: Typed, step: Step): Typed {
  if (step.kind === 'index') return typed('json', `json_extract(${value.sql}, '$[${step.index}]')`, value.bad);
  // A pointer can name any key; in a path a quote could not be told from the path's own.
  const pointer = (key: string): string => `replace(replace(${key}, '~', '~0'), '/', '~1')`;
  const exact = `json_extract(${value.sql}, '/' || ${pointer(text(step.name))})`;
  if (step.quoted) return typed('json', exact, value.bad);
  const same = `list_filter(json_keys(${value.sql}), lambda k: lower(k) = ${text(step.name.toLowerCase())})[1]`;
  return typed('json', `coalesce(${exact}, json_extract(${value.sql}, '/' || ${pointer(same)}))`, value.bad);
}

export interface ParquetColumn {
  readonly name: string;
  /** As the engine names it. */
  readonly type: string;
}

export function parquetSource(path: string, columns: readonly ParquetColumn[]): Source {
  const values = columns.map((column) => ({ name: column.name, value: parquetValue(column) }));
  return {
    relation: `(SELECT row_number() OVER () AS ${recordNumber}, * FROM read_parquet(${text(path)}))`,
    field([first, ...rest]) {
      const lower = first.name.toLowerCase();
      const found =
        values.find((each) => each.name === first.name) ??
        (first.quoted ? undefined : values.find((each) => each.name.toLowerCase() === lower));
      if (found === undefined) throw new QueryError(`there is no column ${JSON.stringify(first.name)}`);
      if (rest.length > 0 && found.value.type !== 'json') throw new QueryError(`${first.name} has no parts`);
      return jsonField(found.value, rest);
    },
    all: values,
  };
}

const parquetTypes: readonly [RegExp, ValueType, (sql: string) => string][] = [
  [/^(TINYINT|SMALLINT|INTEGER|BIGINT|UTINYINT|USMALLINT|UINTEGER)$/, 'int', (sql) => `CAST(${sql} AS BIGINT)`],
  // Beyond 64 bits there is a number, if not an exact one.
  [/^(UBIGINT|HUGEINT|UHUGEINT|FLOAT|DOUBLE|DECIMAL.*)$/, 'float', (sql) => `CAST(${sql} AS DOUBLE)`],
  [/^BOOLEAN$/, 'boolean', (sql) => sql],
  [/^(DATE|TIMESTAMP|TIMESTAMP_S|TIMESTAMP_MS|TIMESTAMP_NS)$/, 'timestamp', (sql) => `CAST(${sql} AS TIMESTAMP)`],
  [/^TIMESTAMP WITH TIME ZONE$/, 'timestamp', (sql) => `timezone('UTC', ${sql})`],
  [/^BLOB$/, 'string', (sql) => `to_base64(${sql})`],
  [/^(STRUCT|MAP|LIST)|\[\d*\]$/, 'json', (sql) => `to_json(${sql})`],
];

function parquetValue({ name: own, type }: ParquetColumn): Typed {
  const sql = name(own);
  for (const [pattern, to, cast] of parquetTypes) if (pattern.test(type)) return { sql: cast(sql), type: to };
  return { sql: `CAST(${sql} AS VARCHAR)`, type: 'string' };
}
