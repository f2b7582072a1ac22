// What a query of a blob's contents says, as a tree: plain values, so that it can be sent to another process.

export interface Query {
  /** `*`, the expressions of each row, or the size of `sys.split`. */
  readonly select:
    | { readonly kind: 'all' }
    | { readonly kind: 'items'; readonly items: readonly Item[] }
    | { readonly kind: 'split'; readonly bytes: number };
  /** The steps behind `BlobStorage[*]`: into each JSON record. */
  readonly from: readonly FromStep[];
  /** Another name of the table, that fields may begin with. */
  readonly alias?: string;
  readonly where?: Expression;
  readonly limit?: number;
}

export interface Item {
  readonly value: Expression;
  readonly name?: string;
}

export type Step = Name | { readonly kind: 'index'; readonly index: number };
export type FromStep = Step | { readonly kind: 'each' };

export interface Name {
  readonly kind: 'name';
  readonly name: string;
  /** A quoted name is case-sensitive. */
  readonly quoted: boolean;
}

export const castTypes = ['int', 'float', 'string', 'timestamp', 'boolean', 'decimal'] as const;
export type CastType = (typeof castTypes)[number];

export const dateParts = ['year', 'month', 'day', 'hour', 'minute', 'second'] as const;
export type DatePart = (typeof dateParts)[number];

export const comparisons = ['=', '!=', '<', '<=', '>', '>='] as const;
export type Comparison = (typeof comparisons)[number];
export type Arithmetic = '+' | '-' | '*' | '/' | '%';

export const scalarFunctions = {
  char_length: [1, 1],
  character_length: [1, 1],
  lower: [1, 1],
  upper: [1, 1],
  coalesce: [1, 64],
  nullif: [2, 2],
  to_timestamp: [1, 1],
  utcnow: [0, 0],
} as const satisfies Record<string, readonly [least: number, most: number]>;
export type ScalarFunction = keyof typeof scalarFunctions;

export const aggregateFunctions = ['count', 'avg', 'min', 'max', 'sum'] as const;
export type AggregateFunction = (typeof aggregateFunctions)[number];

export type Expression =
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'null' }
  | { readonly kind: 'field'; readonly steps: readonly [Name, ...Step[]] }
  | { readonly kind: 'negate' | 'not'; readonly value: Expression }
  | {
      readonly kind: 'arithmetic';
      readonly operator: Arithmetic;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: 'concat'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'like'; readonly value: Expression; readonly pattern: Expression; readonly escape?: string }
  | { readonly kind: 'in'; readonly value: Expression; readonly list: readonly Expression[] }
  | { readonly kind: 'is-null' | 'is-missing'; readonly value: Expression }
  | { readonly kind: 'cast'; readonly value: Expression; readonly type: CastType }
  | { readonly kind: 'call'; readonly name: ScalarFunction; readonly list: readonly Expression[] }
  | {
      readonly kind: 'substring';
      readonly value: Expression;
      readonly start: Expression;
      readonly length?: Expression;
    }
  | {
      readonly kind: 'trim';
      readonly side: 'both' | 'leading' | 'trailing';
      readonly characters?: Expression;
      readonly value: Expression;
    }
  | { readonly kind: 'date-add'; readonly part: DatePart; readonly quantity: Expression; readonly value: Expression }
  | { readonly kind: 'date-diff'; readonly part: DatePart; readonly left: Expression; readonly right: Expression }
  | {
      readonly kind: 'extract';
      readonly part: DatePart | 'timezone_hour' | 'timezone_minute';
      readonly value: Expression;
    }
  | { readonly kind: 'to-string'; readonly value: Expression; readonly format: string }
  /** Without a value it counts records: `COUNT(*)`. */
  | { readonly kind: 'aggregate'; readonly name: AggregateFunction; readonly value?: Expression };

/** A query that cannot be served; the text is for its author. */
export class QueryError extends Error {
  readonly code = 'QUERY';
  /** Where in the text of the expression, in characters. */
  readonly at: number | undefined;
  constructor(problem: string, at?: number) {
    super(problem);
    this.at = at;
  }
}
