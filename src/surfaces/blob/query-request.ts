// The body of Query Blob Contents: what is asked, and the forms of input and output.
import { readXml, type XmlElement, xmlChild, xmlChildText } from '../../codec/xml-read.ts';
import { type Query, QueryError } from '../../tables/query/ast.ts';
import {
  type ArrowField,
  type ArrowFormat,
  arrowTypes,
  type CsvFormat,
  defaultCsv,
  type InputFormat,
  type JsonFormat,
  type OutputFormat,
} from '../../tables/query/formats.ts';
import { parseQuery } from '../../tables/query/parser.ts';
import { BlobError } from './errors.ts';

export interface QueryRequest {
  readonly query: Query;
  readonly input: InputFormat;
  readonly output: OutputFormat;
}

/** An expression of 256 KiB, with its escapes, and a schema. */
export const queryRequestBytesMax = 2 * 1024 * 1024;
const elementsMax = 10_000;
const separatorBytesMax = 16;
const arrowFieldsMax = 1024;
/** What a decimal of 128 bits holds. */
const precisionMax = 38;

export function parseQueryRequest(body: Buffer): QueryRequest {
  const read = readXml(body, queryRequestBytesMax, elementsMax);
  if (read.kind === 'too-large') throw new BlobError('RequestBodyTooLarge');
  if (read.kind === 'malformed') throw new BlobError('InvalidXmlDocument', { Reason: read.reason });
  const { root } = read;
  if (root.name !== 'QueryRequest') throw nodeError(root.name, root.text, 'The root is QueryRequest.');
  const type = xmlChildText(root, 'QueryType') ?? '';
  if (type.toUpperCase() !== 'SQL') throw nodeError('QueryType', type, 'The type is SQL.');
  const expression = xmlChildText(root, 'Expression');
  if (expression === undefined) throw nodeError('Expression', '', 'There is no expression.');
  const input = formatOf(xmlChild(root, 'InputSerialization'), defaultCsv);
  if (input.kind === 'arrow') throw nodeError('Type', 'arrow', 'Arrow is a form of output only.');
  // Where only the input's form is told, CSV and JSON go out as they come in.
  const output = formatOf(xmlChild(root, 'OutputSerialization'), input.kind === 'parquet' ? defaultCsv : input);
  if (output.kind === 'parquet') throw nodeError('Type', 'parquet', 'Parquet is a form of input only.');
  return { query: parsed(expression), input, output };
}

function parsed(expression: string): Query {
  try {
    return parseQuery(expression);
  } catch (error) {
    if (error instanceof QueryError) throw queryRefused(error.message, error.at);
    throw error;
  }
}

/** The query is none that can be served. */
export function queryRefused(problem: string, at?: number): BlobError {
  const where = at === undefined ? {} : { Position: `${at}` };
  return new BlobError('InvalidInput', { Reason: problem, ...where }, `The query cannot be served: ${problem}.`);
}

function nodeError(name: string, value: string, reason: string): BlobError {
  return new BlobError('InvalidXmlNodeValue', {
    XmlNodeName: name,
    XmlNodeValue: value.slice(0, 128),
    Reason: reason,
  });
}

function formatOf<T extends InputFormat | OutputFormat>(
  serialization: XmlElement | undefined,
  fallback: T,
): InputFormat | OutputFormat {
  const format = serialization && xmlChild(serialization, 'Format');
  if (format === undefined) return fallback;
  const type = xmlChildText(format, 'Type') ?? '';
  switch (type.toLowerCase()) {
    case 'delimited':
      return csvFormat(xmlChild(format, 'DelimitedTextConfiguration'));
    case 'json':
      return jsonFormat(xmlChild(format, 'JsonTextConfiguration'));
    case 'arrow':
      return arrowFormat(xmlChild(format, 'ArrowConfiguration'));
    case 'parquet':
      return { kind: 'parquet' };
    default:
      throw nodeError('Type', type, 'A format is delimited, json, arrow or parquet.');
  }
}

function csvFormat(configuration: XmlElement | undefined): CsvFormat {
  if (configuration === undefined) return defaultCsv;
  const text = (name: string, fallback: string): string => {
    const value = xmlChildText(configuration, name) ?? fallback;
    if (Buffer.byteLength(value) > separatorBytesMax || value.includes('\0')) {
      throw nodeError(name, value, 'The text is too long.');
    }
    return value;
  };
  const columnSeparator = text('ColumnSeparator', ',') || ',';
  const recordSeparator = text('RecordSeparator', '\n') || '\n';
  const fieldQuote = text('FieldQuote', '');
  const escapeCharacter = text('EscapeChar', '');
  for (const [name, value] of [
    ['FieldQuote', fieldQuote],
    ['EscapeChar', escapeCharacter],
  ] as const) {
    if (Buffer.byteLength(value) > 1) throw nodeError(name, value, 'One character of ASCII is taken.');
  }
  const parts = [columnSeparator, recordSeparator, fieldQuote].filter((each) => each !== '');
  if (new Set(parts).size !== parts.length) {
    throw nodeError('ColumnSeparator', columnSeparator, 'Separators and quote differ from each other.');
  }
  const hasHeaders = (xmlChildText(configuration, 'HasHeaders') ?? 'false').toLowerCase();
  if (hasHeaders !== 'true' && hasHeaders !== 'false') {
    throw nodeError('HasHeaders', hasHeaders, 'The value is true or false.');
  }
  return {
    kind: 'csv',
    columnSeparator,
    recordSeparator,
    fieldQuote,
    escapeCharacter,
    hasHeaders: hasHeaders === 'true',
  };
}

function jsonFormat(configuration: XmlElement | undefined): JsonFormat {
  const recordSeparator = (configuration && xmlChildText(configuration, 'RecordSeparator')) || '\n';
  if (Buffer.byteLength(recordSeparator) > separatorBytesMax) {
    throw nodeError('RecordSeparator', recordSeparator, 'The text is too long.');
  }
  return { kind: 'json', recordSeparator };
}

function arrowFormat(configuration: XmlElement | undefined): ArrowFormat {
  const schema = configuration && xmlChild(configuration, 'Schema');
  const fields = (schema?.children ?? []).filter(({ name }) => name === 'Field').map(arrowField);
  if (fields.length === 0) throw nodeError('Schema', '', 'Arrow output needs the fields of its schema.');
  if (fields.length > arrowFieldsMax) throw nodeError('Schema', '', 'The schema has too many fields.');
  return { kind: 'arrow', fields };
}

function arrowField(element: XmlElement): ArrowField {
  const given = (xmlChildText(element, 'Type') ?? '').toLowerCase();
  const type = arrowTypes.find((each) => each === given);
  if (type === undefined) throw nodeError('Type', given, `A field is ${arrowTypes.join(', ')}.`);
  const number = (name: string, least: number, most: number, fallback: number): number => {
    const text = xmlChildText(element, name);
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most) throw nodeError(name, text, 'Out of range.');
    return value;
  };
  const precision = number('Precision', type === 'decimal' ? 1 : 0, precisionMax, precisionMax);
  const scale = number('Scale', 0, type === 'decimal' ? precision : precisionMax, 0);
  return { type, name: xmlChildText(element, 'Name') ?? '', precision, scale };
}
