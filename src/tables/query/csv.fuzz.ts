// Delimited text that chance makes: what a query answers are the records that `csvRecords` finds, whichever way it is read.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { csvRecords } from './csv-records.ts';
import { Database } from './database.ts';
import type { CsvFormat } from './formats.ts';
import { parseQuery } from './parser.ts';
import { prepareCsv } from './prepare.ts';
import { csv } from './run.testing.ts';
import { csvSource } from './source.ts';

interface FuzzRandom {
  below(n: number): number;
  bytes(n: number): Buffer;
}

const formats: readonly CsvFormat[] = [
  csv(),
  csv({ recordSeparator: '\r\n' }),
  csv({ columnSeparator: ';', fieldQuote: "'" }),
  csv({ fieldQuote: '' }),
  csv({ escapeCharacter: '\\' }),
  csv({ recordSeparator: '|', columnSeparator: '::' }),
];
const parts = [
  'a',
  'b1',
  ',',
  ',',
  '\n',
  '\n',
  '"',
  '""',
  "'",
  '\r\n',
  '\r',
  ';',
  '\\',
  '|',
  '::',
  ':',
  'é',
  ' ',
  '\t',
];
const all = parseQuery('select * from BlobStorage');

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'causeway-csv-fuzz-'));
  const path = join(scratch, 'content');
  const plain = join(scratch, 'plain-0.csv');
  try {
    while (Date.now() < deadlineMs) {
      const format = formats[random.below(formats.length)] as CsvFormat;
      const count = random.below(40);
      const pieces = Array.from({ length: count }, () =>
        random.below(40) === 0 ? random.bytes(1) : Buffer.from(parts[random.below(parts.length)] as string),
      );
      const content = Buffer.concat(pieces);
      await writeFile(path, content);
      await rm(plain, { force: true });
      const expected = [...csvRecords([content], format)].map(({ fields }) => fields.map((field) => field.toString()));
      // The same in chunks that end anywhere.
      const at = random.below(content.length + 1);
      const cut = [...csvRecords([content.subarray(0, at), content.subarray(at)], format)];
      assert.deepEqual(
        cut.map(({ fields }) => fields.map((field) => field.toString())),
        expected,
      );
      const file = prepareCsv(path, { scratch, scratchBytesMax: 2 ** 26 }, format, all);
      const source = csvSource(file);
      const options = { path, scratch, memoryBytes: 2 ** 27, scratchBytesMax: 2 ** 26 };
      await using database = await Database.open(options);
      const columns = (source.all ?? []).map(({ value }) => value.sql).join(', ');
      const rows = await database.rows(`SELECT ${columns} FROM ${source.relation}`);
      const found = rows.map((row) => row.slice(0, row.findLastIndex((field) => field !== null) + 1));
      assert.deepEqual(found, expected, `${JSON.stringify(content.toString('latin1'))} as ${JSON.stringify(format)}`);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
