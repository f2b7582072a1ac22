// A query over a source as statements of the engine, and what their rows are.
import { type Expression, type Item, type Query, QueryError } from './ast.ts';
import { aggregatesOf, Expressions, hasBareField } from './expressions.ts';
import type { ArrowField, ArrowType, CsvFormat, OutputFormat } from './formats.ts';
import { recordNumber, type Source } from './source.ts';
import { convert, failed, type Typed, text, toText, typed, type ValueType, worst } from './sql.ts';

/**
 * `rows` yields the columns of the output (one text a record for CSV and JSON, a column a field for Arrow), then, if
 * `hasFaults`, the fault of the record and its number. `faults` yields fault and number alone, where `rows` cannot.
 */
export interface Plan {
  readonly rows: string;
  readonly hasFaults: boolean;
  readonly faults: string | undefined;
  /** How many good rows go out at most, if the statement does not see to it. */
  readonly limit: number | undefined;
  /** The text before the first record, and that behind each. */
  readonly head: string;
  readonly end: string;
}

export function planQuery(query: Query, source: Source, output: OutputFormat, nowMs: number): Plan {
  const expressions = new Expressions(source, query.alias, nowMs);
  if (query.where !== undefined && [...aggregatesOf(query.where)].length > 0) {
    throw new QueryError('WHERE has no aggregate');
  }
  const where = query.where && convert(expressions.compile(query.where), 'boolean');
  const items = query.select.kind === 'items' ? query.select.items : [];
  const isAggregate = items.some(({ value }) => [...aggregatesOf(value)].length > 0);
  if (isAggregate && items.some(({ value }) => hasBareField(value))) {
    throw new QueryError('aggregates and fields are not selected together');
  }
  const columns: Column[] | undefined =
    query.select.kind === 'all' ? source.all?.map(present) : items.map((item, at) => column(item, at, expressions));
  const made = rowOf(columns, source.record, output);
  return isAggregate
    ? aggregatePlan(query, source, items, expressions, where, made)
    : recordPlan(query, source, where, made);
}

interface Column {
  readonly name: string;
  readonly value: Typed;
  /** Where there is no value the field is left out: it is missing, not null. */
  readonly optional: boolean;
}

const present = (field: { readonly name: string; readonly value: Typed }): Column => ({ ...field, optional: true });

function column({ name: own, value }: Item, at: number, expressions: Expressions): Column {
  const compiled = expressions.compile(value);
  return { name: own ?? fieldName(value) ?? `_${at + 1}`, value: compiled, optional: compiled.type === 'json' };
}

function fieldName(value: Expression): string | undefined {
  if (value.kind !== 'field') return undefined;
  return value.steps.findLast((step) => step.kind === 'name')?.name;
}

interface MadeRow {
  readonly columns: readonly string[];
  readonly bad: string | undefined;
  readonly head: string;
  readonly end: string;
}

function rowOf(columns: readonly Column[] | undefined, record: Typed | undefined, output: OutputFormat): MadeRow {
  if (output.kind === 'arrow') return arrowRow(columns, output.fields);
  const bad = worst(...(columns ?? []).map(({ value }) => value.bad));
  // It is not the engine that puts it behind the record: it would copy a whole chunk of them to do so.
  const end = output.recordSeparator;
  if (columns === undefined) {
    if (record === undefined) throw new QueryError('the source has no records');
    const sql = output.kind === 'json' ? record.sql : csvOfRecord(output);
    return { columns: [sql], bad, head: '', end };
  }
  const sql = output.kind === 'json' ? jsonRow(columns) : csvRow(columns, output);
  const head = output.kind === 'csv' && output.hasHeaders ? headOf(columns, output) : '';
  return { columns: [sql], bad, head, end };
}

function jsonRow(columns: readonly Column[]): string {
  const fields = columns.map(({ name: own, value, optional }) => {
    const json = jsonText(value);
    return `${text(`${JSON.stringify(own)}:`)} || ${optional ? json : `coalesce(${json}, 'null')`}`;
  });
  return `'{' || concat_ws(',', ${fields.join(', ')}) || '}'`;
}

function jsonText(value: Typed): string {
  switch (value.type) {
    case 'json':
      return `CAST(${value.sql} AS VARCHAR)`;
    case 'float':
      return `CASE WHEN isfinite(${value.sql}) THEN ${toText(value).sql} END`;
    case 'int':
    case 'boolean':
    case 'null':
      return toText(value).sql;
    case 'string':
    case 'timestamp':
      return `CAST(to_json(${toText(value).sql}) AS VARCHAR)`;
  }
}

function csvRow(columns: readonly Column[], output: CsvFormat): string {
  // A missing field leaves no separator, and a null one an empty field.
  const fields = columns.map(({ value, optional }) => {
    const field = csvField(toText(value).sql, output);
    return optional && value.type !== 'json' ? field : `coalesce(${field}, '')`;
  });
  if (fields.length === 1) return `coalesce(${fields[0]}, '')`;
  return `concat_ws(${text(output.columnSeparator)}, ${fields.join(', ')})`;
}

/** The values of a JSON record, in their order. */
function csvOfRecord(output: CsvFormat): string {
  const field = csvField("(each ->> '$')", output);
  const values = `list_transform(json_extract(v, '$.*'), lambda each: coalesce(${field}, ''))`;
  return `array_to_string(${values}, ${text(output.columnSeparator)})`;
}

/** A field in quotes if a reader would need them. */
function csvField(sql: string, output: CsvFormat): string {
  const { fieldQuote, escapeCharacter, columnSeparator, recordSeparator } = output;
  if (fieldQuote === '') return sql;
  const special = new Set(
    [fieldQuote, columnSeparator, recordSeparator, escapeCharacter].filter((each) => each !== ''),
  );
  const needed = [...special].map((each) => `contains(${sql}, ${text(each)})`).join(' OR ');
  let inner = sql;
  if (escapeCharacter !== '' && escapeCharacter !== fieldQuote) {
    inner = `replace(${inner}, ${text(escapeCharacter)}, ${text(escapeCharacter + escapeCharacter)})`;
  }
  inner = `replace(${inner}, ${text(fieldQuote)}, ${text((escapeCharacter || fieldQuote) + fieldQuote)})`;
  return `CASE WHEN ${needed} THEN ${text(fieldQuote)} || ${inner} || ${text(fieldQuote)} ELSE ${sql} END`;
}

function headOf(columns: readonly Column[], output: CsvFormat): string {
  const { fieldQuote: quote, escapeCharacter, columnSeparator, recordSeparator } = output;
  const names = columns.map(({ name: own }) => {
    const isPlain = ![quote, columnSeparator, recordSeparator].some((each) => each !== '' && own.includes(each));
    return isPlain || quote === '' ? own : quote + own.replaceAll(quote, (escapeCharacter || quote) + quote) + quote;
  });
  return names.join(columnSeparator) + recordSeparator;
}

const arrowValue: Readonly<Record<Exclude<ArrowType, 'decimal'>, ValueType>> = {
  int64: 'int',
  bool: 'boolean',
  'timestamp[ms]': 'timestamp',
  string: 'string',
  double: 'float',
};

function arrowRow(columns: readonly Column[] | undefined, fields: readonly ArrowField[]): MadeRow {
  if (columns === undefined) throw new QueryError('Arrow output of JSON records names its fields');
  if (columns.length !== fields.length) {
    throw new QueryError(`${columns.length} columns are selected, and the Arrow schema has ${fields.length}`);
  }
  const values = columns.map(({ value }, at) => arrowColumn(value, fields[at] as ArrowField));
  return { columns: values.map(({ sql }) => sql), bad: worst(...values.map(({ bad }) => bad)), head: '', end: '' };
}

function arrowColumn(value: Typed, field: ArrowField): Typed {
  if (field.type !== 'decimal') {
    const plain = convert(value, arrowValue[field.type]);
    return field.type === 'timestamp[ms]' ? typed('int', `epoch_ms(${plain.sql})`, plain.bad) : plain;
  }
  // By way of its text a number keeps every digit.
  const plain = toText(value);
  const sql = `TRY_CAST(${plain.sql} AS DECIMAL(${field.precision}, ${field.scale}))`;
  const unscaled = `CAST(${sql} AS VARCHAR)`;
  return typed('string', unscaled, plain.bad, failed(plain.sql, sql));
}

function recordPlan(query: Query, source: Source, where: Typed | undefined, made: MadeRow): Plan {
  const { limit } = query;
  const always = source.bad;
  const kept = where === undefined ? 'true' : `coalesce(${where.sql}, false)`;
  const later = made.bad && (where === undefined ? made.bad : `CASE WHEN ${kept} THEN ${made.bad} ELSE 0::TINYINT END`);
  const bad = worst(always, where?.bad, later);
  const { head, end } = made;
  if (bad === undefined) {
    const filter = where === undefined ? '' : ` WHERE ${where.sql}`;
    const most = limit === undefined ? '' : ` LIMIT ${limit}`;
    const rows = `SELECT ${made.columns.join(', ')} FROM ${source.relation}${filter}${most}`;
    return { rows, hasFaults: false, faults: undefined, limit: undefined, head, end };
  }
  const columns = made.columns.map((each) => `CASE WHEN "#b" = 0 THEN ${each} END`);
  const judged = `(SELECT *, ${bad} AS "#b" FROM ${source.relation})`;
  const rows = `SELECT ${columns.join(', ')}, "#b", ${recordNumber} FROM ${judged} WHERE "#b" > 0 OR ${kept}`;
  return { rows, hasFaults: true, faults: undefined, limit, head, end };
}

function aggregatePlan(
  query: Query,
  source: Source,
  items: readonly Item[],
  expressions: Expressions,
  where: Typed | undefined,
  made: MadeRow,
): Plan {
  const kept = where === undefined ? 'true' : `coalesce(${where.sql}, false)`;
  const inner = worst(...items.map(({ value }) => expressions.faultsIn(value)));
  const later = inner && `CASE WHEN ${kept} THEN ${inner} ELSE 0::TINYINT END`;
  const bad = worst(source.bad, where?.bad, later);
  const most = query.limit === undefined ? '' : ` LIMIT ${query.limit}`;
  const good = bad === undefined ? '' : ` AND "#b" = 0`;
  const judged = bad === undefined ? source.relation : `(SELECT *, ${bad} AS "#b" FROM ${source.relation})`;
  const rows = `SELECT ${made.columns.join(', ')} FROM ${judged} WHERE ${kept}${good}${most}`;
  const faults = bad === undefined ? undefined : `SELECT "#b", ${recordNumber} FROM ${judged} WHERE "#b" > 0`;
  return { rows, hasFaults: false, faults, limit: undefined, head: made.head, end: made.end };
}
