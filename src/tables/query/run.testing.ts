// Queries run within the test's own process.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CsvFormat, defaultCsv, type InputFormat, type OutputFormat } from './formats.ts';
import { parseQuery } from './parser.ts';
import type { QueryFault } from './protocol.ts';
import { runQuery } from './run.ts';

export interface QueryOutcome {
  readonly text: string;
  readonly bytes: Buffer;
  readonly faults: readonly Omit<QueryFault, 'kind'>[];
  readonly refused: string | undefined;
}

export const json: InputFormat & OutputFormat = { kind: 'json', recordSeparator: '\n' };
export const csv = (format: Partial<CsvFormat> = {}): CsvFormat => ({ ...defaultCsv, ...format });

export async function query(
  sql: string,
  content: string | Buffer,
  input: InputFormat = csv(),
  output: OutputFormat = csv(),
  scratchBytesMax = 256 * 1024 * 1024,
): Promise<QueryOutcome> {
  const scratch = await mkdtemp(join(tmpdir(), 'causeway-query-'));
  try {
    const path = join(scratch, 'content');
    await writeFile(path, content);
    const chunks: Uint8Array[] = [];
    const faults: Omit<QueryFault, 'kind'>[] = [];
    let refused: string | undefined;
    const job = {
      path,
      bytes: Buffer.byteLength(content),
      scratch,
      query: parseQuery(sql),
      input,
      output,
      nowMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
      memoryBytes: 256 * 1024 * 1024,
      scratchBytesMax,
    };
    for await (const event of runQuery(job, () => undefined)) {
      if (event.kind === 'data') chunks.push(event.bytes);
      if (event.kind === 'refused') refused = event.problem;
      if (event.kind === 'error') {
        const { kind: _, ...fault } = event;
        faults.push(fault);
      }
    }
    const bytes = Buffer.concat(chunks);
    return { text: bytes.toString(), bytes, faults, refused };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
