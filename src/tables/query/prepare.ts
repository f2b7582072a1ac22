// A blob's content made ready for the engine: read as it is where that is right, written anew where it is not.

import { isUtf8 } from 'node:buffer';
import { statSync } from 'node:fs';
import type { Expression, Query } from './ast.ts';
import { QueryError } from './ast.ts';
import { csvRecords, plainRecord } from './csv-records.ts';
import { characterEnd, isPlainFormat, surveyCsv } from './csv-survey.ts';
import type { CsvFormat, JsonFormat } from './formats.ts';
import { jsonRecords, plainJsonRecord } from './json-records.ts';
import { cutLines, fileBytes, fileChunks, hasLongRecords, PlainFiles, type Scratch } from './plain-files.ts';
import { type CsvFile, columnOf } from './source.ts';

/** What is left to write when the content has been prepared as `paths`. */
export function scratchLeft({ scratchBytesMax }: Scratch, paths: readonly string[], content: string): number {
  const written = paths.reduce((sum, path) => (path === content ? sum : sum + statSync(path).size), 0);
  return Math.max(0, scratchBytesMax - written);
}

/** More columns are no table. */
const columnsMax = 16_384;
/** So many are declared to the engine without a look at how many there are. */
const columnsUncounted = 64;

export function prepareCsv(path: string, scratch: Scratch, format: CsvFormat, query: Query): CsvFile {
  const first = format.hasHeaders ? firstRecord(path, format) : undefined;
  const header = first?.names;
  // Extra fields of a record are not read: for fields that are named it is enough to know the last of them.
  const named = query.select.kind === 'all' ? Number.POSITIVE_INFINITY : lastColumn(query, header);
  const wantColumns = named > columnsUncounted;
  const isPlain = isPlainFormat(format);
  const survey = isPlain ? surveyCsv(fileChunks(path), format, wantColumns) : { isIrregular: true, columns: 1 };
  if (survey.isIrregular) return { ...rewriteCsv(path, scratch, format), header };
  const isLong = hasLongRecords(path, fileBytes.csv);
  return {
    paths: isLong
      ? cutLines(path, { start: first?.end ?? 0, quote: format.fieldQuote }, scratch, fileBytes.csv)
      : [path],
    hasHeader: first !== undefined && !isLong,
    separator: format.columnSeparator,
    quote: format.fieldQuote,
    escape: format.fieldQuote,
    columns: bounded(wantColumns ? Math.min(named, survey.columns) : named),
    header,
  };
}

function bounded(columns: number): number {
  if (columns > columnsMax) throw new QueryError(`a record has more than ${columnsMax} fields`);
  return columns;
}

/** The fields of the first record, and where the second one begins. */
function firstRecord(path: string, format: CsvFormat): { readonly names: string[]; readonly end: number } | undefined {
  let names: string[] | undefined;
  for (const { at, fields } of csvRecords(fileChunks(path), format)) {
    if (names !== undefined) return { names, end: at };
    names = fields.map((field) => field.toString());
    // A byte order mark is no part of a name.
    if (names[0]?.startsWith('\ufeff')) names[0] = names[0].slice(1);
  }
  return names && { names, end: statSync(path).size };
}

/** The number of the last column that the query names; 1 if it names none. */
function lastColumn(query: Query, header: readonly string[] | undefined): number {
  let last = 1;
  const visit = (expression: Expression): void => {
    if (expression.kind === 'field') {
      const [first, second] = expression.steps;
      const isTable = second?.kind === 'name' && !first.quoted;
      const field = isTable ? second : first;
      last = Math.max(last, columnOf(field, header) + 1);
      return;
    }
    for (const part of Object.values(expression).flat()) {
      if (typeof part === 'object' && part !== null && 'kind' in part) visit(part as Expression);
    }
  };
  if (query.where !== undefined) visit(query.where);
  if (query.select.kind === 'items') for (const { value } of query.select.items) visit(value);
  return last;
}

function rewriteCsv(path: string, scratch: Scratch, format: CsvFormat): Omit<CsvFile, 'header'> {
  using files = new PlainFiles(scratch, fileBytes.csv);
  const records = csvRecords(fileChunks(path), format);
  const head = format.hasHeaders ? records.next().value : undefined;
  let columns = head?.fields.length ?? 1;
  for (const { fields } of records) {
    columns = Math.max(columns, fields.length);
    files.add(plainRecord(fields));
  }
  return { paths: files.end(), hasHeader: false, separator: ',', quote: '"', escape: '"', columns: bounded(columns) };
}

/** The paths of the records, one on a line. */
export function prepareJson(path: string, scratch: Scratch, format: JsonFormat): readonly string[] {
  if (format.recordSeparator === '\n' && isPlainText(path)) {
    return hasLongRecords(path, fileBytes.json)
      ? cutLines(path, { start: 0, quote: '' }, scratch, fileBytes.json)
      : [path];
  }
  using files = new PlainFiles(scratch, fileBytes.json);
  for (const { bytes } of jsonRecords(fileChunks(path), format.recordSeparator)) files.add(plainJsonRecord(bytes));
  return files.end();
}

/** Whole characters, without those that the engine takes for the end of a line or of a field. */
function isPlainText(path: string): boolean {
  let tail: Buffer = Buffer.alloc(0);
  for (const chunk of fileChunks(path)) {
    const bytes: Buffer = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
    const end = characterEnd(bytes);
    if (!isUtf8(bytes.subarray(0, end)) || [0x00, 0x01, 0x0d].some((byte) => chunk.includes(byte))) return false;
    tail = bytes.subarray(end);
  }
  return tail.length === 0;
}
