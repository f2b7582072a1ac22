// Gives the records of the audit log out, as lines of JSON or of CSV, in the names and order of the table's columns.

import { membersOf, parseLine } from './chain.ts';
import type { ListedFile } from './files.ts';
import { listFiles, readLines } from './files.ts';
import { auditColumns } from './record.ts';

export interface ExportWanted {
  readonly format: 'jsonl' | 'csv';
  /** Of requests that came from then on, and before then. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly account?: string | undefined;
}

/** Lines, chain by chain, each in the order in which its requests ended; the log's own records are left out. */
export async function* exportAudit(root: string, wanted: ExportWanted): AsyncGenerator<string> {
  if (wanted.format === 'csv') yield csvHead;
  for (const [chain, files] of (await listFiles(root)).chains) {
    for (const [at, file] of files.entries()) {
      // A record is written after its request came: a file that was followed by another before then has none.
      const next = files[at + 1];
      if (wanted.fromMs !== undefined && next !== undefined && (await beganMs(next)) < wanted.fromMs) continue;
      yield* exportFile(chain, file, wanted);
    }
  }
}

const csvColumns = ['Chain', 'Seq', ...auditColumns] as const;
const csvHead = csvColumns.join(',');

/** As its head says, and not the directory; NaN where it has none. */
async function beganMs({ path }: ListedFile): Promise<number> {
  try {
    for await (const line of readLines(path)) return Date.parse(String(membersOf(line.bytes)?.TimeGenerated));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return Number.NaN;
}

async function* exportFile(chain: string, { path }: ListedFile, wanted: ExportWanted): AsyncGenerator<string> {
  try {
    for await (const line of readLines(path)) {
      const parsed = line.isWhole ? parseLine(line.bytes) : undefined;
      const record = parsed && membersOf(line.bytes);
      if (record?.Type !== 'StorageBlobLogs' || !isWanted(record, wanted)) continue;
      const { Hash: _, ...columns } = record;
      yield wanted.format === 'csv'
        ? csvOf({ Chain: chain, ...columns })
        : JSON.stringify({ Chain: chain, ...columns });
    }
  } catch (error) {
    // Retention was faster.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function isWanted(record: Readonly<Record<string, unknown>>, { fromMs, toMs, account }: ExportWanted): boolean {
  const atMs = Date.parse(String(record.TimeGenerated));
  if (fromMs !== undefined && !(atMs >= fromMs)) return false;
  if (toMs !== undefined && !(atMs < toMs)) return false;
  return account === undefined || record.AccountName === account;
}

function csvOf(record: Readonly<Record<string, unknown>>): string {
  return csvColumns.map((column) => csvField(record[column])).join(',');
}

/** RFC 4180. A field that a spreadsheet would take for a formula gets an apostrophe before it. */
function csvField(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return `${value}`;
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
