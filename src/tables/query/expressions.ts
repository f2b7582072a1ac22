// Expressions of a query as typed expressions of the engine: conversions, nulls, and the fault of each record.
import { type Arithmetic, type Expression, type Name, QueryError, type Step } from './ast.ts';
import { likeSql } from './like.ts';
import type { Source } from './source.ts';
import { convert, failed, type Typed, text, toText, typed, type ValueType, worst } from './sql.ts';
import { timeFormat } from './time-format.ts';

export class Expressions {
  readonly #source: Pick<Source, 'field'>;
  readonly #alias: string | undefined;
  readonly #nowMs: number;
  #inAggregate = false;

  constructor(source: Pick<Source, 'field'>, alias: string | undefined, nowMs: number) {
    this.#source = source;
    this.#alias = alias?.toLowerCase();
    this.#nowMs = nowMs;
  }

  compile(expression: Expression): Typed {
    switch (expression.kind) {
      case 'int':
        if (BigInt.asIntN(64, expression.value) !== expression.value) throw new QueryError('a number is too large');
        return typed('int', `CAST(${expression.value} AS BIGINT)`);
      case 'float':
        return typed('float', `CAST('${expression.value}' AS DOUBLE)`);
      case 'string':
        return typed('string', text(expression.value));
      case 'boolean':
        return typed('boolean', expression.value ? 'true' : 'false');
      case 'null':
        return typed('null', 'NULL');
      case 'field':
        return this.#source.field(this.#stepsOf(expression.steps));
      case 'negate':
        return this.#negate(expression.value);
      case 'not': {
        const value = this.#as(expression.value, 'boolean');
        return typed('boolean', `(NOT ${value.sql})`, value.bad);
      }
      case 'arithmetic':
        return this.#arithmetic(expression.operator, expression.left, expression.right);
      case 'concat': {
        const [left, right] = [this.#as(expression.left, 'string'), this.#as(expression.right, 'string')];
        return typed('string', `(${left.sql} || ${right.sql})`, left.bad, right.bad);
      }
      case 'compare': {
        const [left, right] = this.#comparable([expression.left, expression.right]) as [Typed, Typed];
        return typed('boolean', `(${left.sql} ${expression.operator} ${right.sql})`, left.bad, right.bad);
      }
      case 'and':
      case 'or':
        return this.#logic(expression);
      case 'like': {
        const [value, pattern] = [this.#as(expression.value, 'string'), this.#as(expression.pattern, 'string')];
        const known = expression.pattern.kind === 'string' ? expression.pattern.value : undefined;
        const sql = likeSql(value.sql, pattern.sql, expression.escape, known);
        return typed('boolean', sql, value.bad, pattern.bad);
      }
      case 'in': {
        const [value, ...list] = this.#comparable([expression.value, ...expression.list]) as [Typed, ...Typed[]];
        const items = list.map(({ sql }) => sql).join(', ');
        return typed('boolean', `(${value.sql} IN (${items}))`, value.bad, ...list.map(({ bad }) => bad));
      }
      case 'is-null':
      case 'is-missing':
        return this.#absence(expression.kind, expression.value);
      case 'cast':
        return this.#as(expression.value, expression.type === 'decimal' ? 'float' : expression.type);
      case 'aggregate':
        return this.#aggregate(expression);
      default:
        return this.#function(expression);
    }
  }

  #stepsOf([first, ...rest]: readonly [Name, ...Step[]]): readonly [Name, ...Step[]] {
    const [own, ...more] = rest;
    const lower = first.quoted ? undefined : first.name.toLowerCase();
    const isTable = lower === 'blobstorage' || (lower !== undefined && lower === this.#alias);
    return isTable && own?.kind === 'name' ? [own, ...more] : [first, ...rest];
  }

  #as(expression: Expression, type: ValueType): Typed {
    return convert(this.compile(expression), type);
  }

  #negate(expression: Expression): Typed {
    const value = this.#number(this.compile(expression));
    const sql = `TRY(-${value.sql})`;
    return typed(value.type, sql, value.bad, value.type === 'int' ? failed(value.sql, sql) : undefined);
  }

  /** Text in arithmetic is a number with a fraction or without. */
  #number(value: Typed): Typed {
    return value.type === 'int' || value.type === 'float' ? value : convert(value, 'float');
  }

  #arithmetic(operator: Arithmetic, leftSide: Expression, rightSide: Expression): Typed {
    const [first, second] = [this.compile(leftSide), this.compile(rightSide)];
    if (first.type === 'timestamp' || second.type === 'timestamp') return addDays(operator, first, second);
    const [one, other] = [this.#number(first), this.#number(second)];
    const type = one.type === 'int' && other.type === 'int' ? 'int' : 'float';
    const [left, right] = [convert(one, type), convert(other, type)];
    // Whole numbers divide to whole numbers, as in Transact-SQL.
    const sql = `TRY(${left.sql} ${operator === '/' && type === 'int' ? '//' : operator} ${right.sql})`;
    const noResult = `CAST(${left.sql} IS NOT NULL AND ${right.sql} IS NOT NULL AND ${sql} IS NULL AS TINYINT)`;
    return typed(type, sql, left.bad, right.bad, noResult);
  }

  /** What is compared is of one type: the one that goes first in "Data type precedence (Transact-SQL)". */
  #comparable(expressions: readonly Expression[]): Typed[] {
    const values = expressions.map((expression) => this.compile(expression));
    const types = new Set(values.map(({ type }) => type));
    const order: ValueType[] = ['timestamp', 'float', 'int', 'boolean'];
    let to = order.find((type) => types.has(type)) ?? 'string';
    // Text beside a whole number may have a fraction. Below 2^53 the comparison stays exact.
    if (to === 'int' && (types.has('string') || types.has('json')) && expressions.every(isShort)) to = 'float';
    return values.map((value) => convert(value, to));
  }

  /** An operand counts, with its faults, only where none to its left decides. */
  #logic(expression: Logic): Typed {
    const operands = chainOf(expression).map((operand) => this.#as(operand, 'boolean'));
    const decisive = expression.kind === 'and' ? 'FALSE' : 'TRUE';
    const last = operands.findLastIndex(({ bad }) => bad !== undefined);
    const cases = operands
      .slice(0, last + 1)
      .flatMap(({ sql, bad }, at) => [
        ...(bad === undefined ? [] : [`WHEN ${bad} > 0 THEN ${bad}`]),
        ...(at === last ? [] : [`WHEN ${sql} IS ${decisive} THEN 0::TINYINT`]),
      ]);
    const bad = last === -1 ? undefined : `CASE ${cases.join(' ')} ELSE 0::TINYINT END`;
    return typed('boolean', `(${operands.map(({ sql }) => sql).join(` ${expression.kind.toUpperCase()} `)})`, bad);
  }

  #absence(kind: 'is-null' | 'is-missing', expression: Expression): Typed {
    const value = this.compile(expression);
    const isPlain = expression.kind === 'field';
    // To ask whether a field is there is no fault.
    const bad = isPlain ? undefined : value.bad;
    const test = kind === 'is-null' && value.type === 'json' ? `(${value.sql} ->> '$')` : value.sql;
    return typed('boolean', `(${test} IS NULL)`, bad);
  }

  #aggregate({ name, value }: Extract<Expression, { kind: 'aggregate' }>): Typed {
    if (this.#inAggregate) throw new QueryError('an aggregate has no aggregate in it');
    if (value === undefined) return typed('int', 'count(*)');
    this.#inAggregate = true;
    const inner = this.compile(value);
    this.#inAggregate = false;
    // The fault of a record, not of the aggregate: see `faultsIn`.
    switch (name) {
      case 'count':
        return typed('int', `count(${inner.type === 'json' ? `(${inner.sql} ->> '$')` : inner.sql})`);
      case 'min':
      case 'max': {
        const plain = inner.type === 'json' || inner.type === 'null' ? toText(inner) : inner;
        return typed(plain.type, `${name}(${plain.sql})`);
      }
      case 'avg':
        return typed('float', `avg(${this.#number(inner).sql})`);
      case 'sum': {
        const number = this.#number(inner);
        const sum = `sum(${number.sql})`;
        return number.type === 'int' ? typed('int', `TRY_CAST(${sum} AS BIGINT)`) : typed('float', sum);
      }
    }
  }

  /** The faults that records have in what an aggregate is made of. */
  faultsIn(expression: Expression): string | undefined {
    const aggregates = [...aggregatesOf(expression)];
    return worst(
      ...aggregates.map(({ name, value }) => {
        if (value === undefined) return undefined;
        const inner = this.compile(value);
        return name === 'sum' || name === 'avg' ? this.#number(inner).bad : inner.bad;
      }),
    );
  }

  #function(expression: FunctionExpression): Typed {
    switch (expression.kind) {
      case 'substring': {
        const value = this.#as(expression.value, 'string');
        const start = this.#as(expression.start, 'int');
        const length = expression.length && this.#as(expression.length, 'int');
        const more = length === undefined ? '' : `, greatest(${length.sql}, 0)`;
        return typed('string', `substring(${value.sql}, ${start.sql}${more})`, value.bad, start.bad, length?.bad);
      }
      case 'trim': {
        const value = this.#as(expression.value, 'string');
        const characters = expression.characters && this.#as(expression.characters, 'string');
        const called = { both: 'trim', leading: 'ltrim', trailing: 'rtrim' }[expression.side];
        return typed('string', `${called}(${value.sql}, ${characters?.sql ?? "' '"})`, value.bad, characters?.bad);
      }
      case 'date-add': {
        const value = this.#as(expression.value, 'timestamp');
        const quantity = this.#as(expression.quantity, 'int');
        const span = `to_${expression.part}s(TRY_CAST(${quantity.sql} AS INTEGER))`;
        const sql = `TRY(${value.sql} + ${span})`;
        const noResult = `CAST(${value.sql} IS NOT NULL AND ${quantity.sql} IS NOT NULL AND ${sql} IS NULL AS TINYINT)`;
        return typed('timestamp', sql, value.bad, quantity.bad, noResult);
      }
      case 'date-diff': {
        const [left, right] = [this.#as(expression.left, 'timestamp'), this.#as(expression.right, 'timestamp')];
        const sql = `date_sub(${text(expression.part)}, ${left.sql}, ${right.sql})`;
        return typed('int', sql, left.bad, right.bad);
      }
      case 'extract':
        return this.#extract(expression);
      case 'to-string': {
        const value = this.#as(expression.value, 'timestamp');
        return typed('string', timeFormat(value.sql, expression.format), value.bad);
      }
      case 'call':
        return this.#call(expression);
    }
  }

  #extract({ part, value: expression }: Extract<Expression, { kind: 'extract' }>): Typed {
    const value = this.compile(expression);
    const time = convert(value, 'timestamp');
    if (part !== 'timezone_hour' && part !== 'timezone_minute') {
      return typed('int', `CAST(date_part(${text(part)}, ${time.sql}) AS BIGINT)`, time.bad);
    }
    // A timestamp is kept in UTC; only a text still has its zone.
    if (value.type === 'timestamp') return typed('int', `CASE WHEN ${time.sql} IS NOT NULL THEN 0 END`, time.bad);
    const group = part === 'timezone_hour' ? '\\1\\2' : '\\1\\3';
    const zone = `regexp_extract(${toText(value).sql}, '([+-])(\\d{2}):?(\\d{2})T?$', 0)`;
    const digits = `regexp_replace(${zone}, '([+-])(\\d{2}):?(\\d{2})T?', ${text(group)})`;
    const sql = `CASE WHEN ${time.sql} IS NOT NULL THEN coalesce(TRY_CAST(${digits} AS BIGINT), 0) END`;
    return typed('int', sql, time.bad);
  }

  #call({ name, list }: Extract<Expression, { kind: 'call' }>): Typed {
    const [first] = list;
    switch (name) {
      case 'utcnow':
        return typed('timestamp', `make_timestamp(${this.#nowMs * 1000}::BIGINT)`);
      case 'coalesce':
      case 'nullif': {
        const values = this.#comparable(list);
        const type = values.find((value) => value.type !== 'null')?.type ?? 'null';
        // A field that is not there is what COALESCE is asked for.
        const bads = values.map(({ bad }, at) => (name === 'coalesce' && list[at]?.kind === 'field' ? undefined : bad));
        return typed(type, `${name}(${values.map(({ sql }) => sql).join(', ')})`, ...bads);
      }
      case 'to_timestamp':
        return this.#as(first as Expression, 'timestamp');
      case 'char_length':
      case 'character_length': {
        const value = this.#as(first as Expression, 'string');
        return typed('int', `length(${value.sql})`, value.bad);
      }
      case 'lower':
      case 'upper': {
        const value = this.#as(first as Expression, 'string');
        return typed('string', `${name}(${value.sql})`, value.bad);
      }
    }
  }
}

type Logic = Extract<Expression, { kind: 'and' | 'or' }>;

/** The operands of a chain of one operator, from left to right. */
function chainOf(expression: Logic): Expression[] {
  const operands: Expression[] = [];
  let left: Expression = expression;
  for (; left.kind === expression.kind; left = left.left) operands.push(left.right);
  return [left, ...operands.reverse()];
}

type FunctionExpression = Extract<
  Expression,
  { kind: 'substring' | 'trim' | 'date-add' | 'date-diff' | 'extract' | 'to-string' | 'call' }
>;

const isShort = (expression: Expression): boolean =>
  expression.kind === 'int'
    ? expression.value < 2n ** 53n && expression.value > -(2n ** 53n)
    : expression.kind === 'field';

/** A number beside a timestamp is days. */
function addDays(operator: Arithmetic, left: Typed, right: Typed): Typed {
  const [time, days] = left.type === 'timestamp' ? [left, right] : [right, left];
  const isAsked = operator === '+' || (operator === '-' && time === left);
  if (!isAsked || days.type === 'timestamp') throw new QueryError('a timestamp takes a number of days and no other');
  const count = convert(days, 'int');
  const sql = `TRY(${time.sql} ${operator} to_days(TRY_CAST(${count.sql} AS INTEGER)))`;
  return typed('timestamp', sql, time.bad, count.bad);
}

export function* aggregatesOf(expression: Expression): Generator<Extract<Expression, { kind: 'aggregate' }>> {
  if (expression.kind === 'aggregate') yield expression;
  else for (const part of partsOf(expression)) yield* aggregatesOf(part);
}

/** Whether a field is used outside of an aggregate. */
export function hasBareField(expression: Expression): boolean {
  if (expression.kind === 'aggregate') return false;
  return expression.kind === 'field' || partsOf(expression).some(hasBareField);
}

function partsOf(expression: Expression): Expression[] {
  return Object.values(expression).flatMap((part: unknown) => {
    if (Array.isArray(part)) return part.filter(isExpression);
    return isExpression(part) ? [part] : [];
  });
}

/** Steps of a field have a kind too. */
const isExpression = (part: unknown): part is Expression =>
  typeof part === 'object' && part !== null && 'kind' in part && part.kind !== 'name' && part.kind !== 'index';
