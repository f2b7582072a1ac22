// `sys.split`: the sizes of batches of whole records.
import { csvRecords } from './csv-records.ts';
import type { CsvFormat } from './formats.ts';
import { fileChunks } from './plain-files.ts';

/** Each batch is the shortest run of whole records of at least `bytes`; the last one is what is left. */
export function* splitSizes(path: string, format: CsvFormat, bytes: number): Generator<number> {
  let start = 0;
  let end = 0;
  for (const chunk of fileChunks(path)) end += chunk.length;
  for (const at of recordStarts(path, format)) {
    if (at - start < bytes) continue;
    yield at - start;
    start = at;
  }
  if (end > start) yield end - start;
}

function* recordStarts(path: string, format: CsvFormat): Generator<number> {
  const quote = format.fieldQuote;
  let isPlain = format.recordSeparator.length === 1 && format.escapeCharacter === '';
  if (isPlain && quote !== '') for (const chunk of fileChunks(path)) isPlain &&= !chunk.includes(quote);
  if (!isPlain) {
    for (const { at } of csvRecords(fileChunks(path), format)) yield at;
    return;
  }
  // Without quotes every separator ends a record.
  let base = 0;
  for (const chunk of fileChunks(path)) {
    for (let end = chunk.indexOf(format.recordSeparator); end !== -1; ) {
      yield base + end + 1;
      end = chunk.indexOf(format.recordSeparator, end + 1);
    }
    base += chunk.length;
  }
}
