// The forms of a query's input and output, as a request names them.

export interface CsvFormat {
  readonly kind: 'csv';
  readonly columnSeparator: string;
  /** Empty: no field is quoted. */
  readonly fieldQuote: string;
  readonly recordSeparator: string;
  /** Empty: a quote within quotes is doubled. */
  readonly escapeCharacter: string;
  readonly hasHeaders: boolean;
}

export interface JsonFormat {
  readonly kind: 'json';
  readonly recordSeparator: string;
}

export const arrowTypes = ['int64', 'bool', 'timestamp[ms]', 'string', 'double', 'decimal'] as const;
export type ArrowType = (typeof arrowTypes)[number];

export interface ArrowField {
  readonly type: ArrowType;
  readonly name: string;
  /** Of a decimal. */
  readonly precision: number;
  readonly scale: number;
}

export interface ArrowFormat {
  readonly kind: 'arrow';
  readonly fields: readonly ArrowField[];
}

export type InputFormat = CsvFormat | JsonFormat | { readonly kind: 'parquet' };
export type OutputFormat = CsvFormat | JsonFormat | ArrowFormat;

/** What holds where a request says nothing. */
export const defaultCsv: CsvFormat = {
  kind: 'csv',
  columnSeparator: ',',
  fieldQuote: '"',
  recordSeparator: '\n',
  escapeCharacter: '',
  hasHeaders: false,
};
