// The words of the grammar that are more than themselves.
import type { CastType, Comparison } from './ast.ts';

/** Words that are no names unless they are quoted. */
export const reserved: ReadonlySet<string> = new Set(
  'select from where limit and or not in like escape between is null missing as true false cast'.split(' '),
);

export const comparisonOf: Readonly<Record<string, Comparison | undefined>> = {
  '=': '=',
  '!=': '!=',
  '<>': '!=',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

/** Other names of types. */
export const castNames: Readonly<Record<string, CastType | undefined>> = {
  integer: 'int',
  bigint: 'int',
  double: 'float',
  real: 'float',
  numeric: 'decimal',
  varchar: 'string',
  bool: 'boolean',
};
