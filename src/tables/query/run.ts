// One query over one file: the engine's rows as the events that the answer is made of.

import { type ArrowColumn, arrowBatch, arrowEnd, arrowSchema } from './arrow.ts';
import { QueryError } from './ast.ts';
import { csvRecords, RecordTooLongError } from './csv-records.ts';
import { Database } from './database.ts';
import type { ArrowFormat, CsvFormat } from './formats.ts';
import { describeJsonFault, jsonRecords } from './json-records.ts';
import { fileChunks, ScratchFullError } from './plain-files.ts';
import { type Plan, planQuery } from './plan.ts';
import { prepareCsv, prepareJson, scratchLeft } from './prepare.ts';
import { type QueryEvent, type QueryFault, type QueryJob, resourcesExceeded } from './protocol.ts';
import { type CsvFile, csvSource, jsonSource, parquetSource, type Source } from './source.ts';
import { splitSizes } from './split.ts';
import { fault, text } from './sql.ts';

/** Rows gather into pieces of about this size. */
const dataBytes = 256 * 1024;
const eventBytesMax = 1024 * 1024;

/** Runs a query. What it throws is a fault of the engine: whatever a blob or a query can cause is an event. */
export async function* runQuery(job: QueryJob, watch: (database: Database) => void): AsyncGenerator<QueryEvent> {
  let isStarted = false;
  try {
    if (job.query.select.kind === 'split') {
      yield* runSplit(job, job.query.select.bytes);
      return;
    }
    const prepared = prepare(job);
    const scratchBytesMax = scratchLeft(job, pathsOf(prepared), job.path);
    await using database = await Database.open({ ...job, scratchBytesMax });
    watch(database);
    const source = await openSource(job, prepared, database);
    const plan = planQuery(job.query, source, job.output, job.nowMs);
    yield { kind: 'started' };
    isStarted = true;
    yield* runPlan(job, database, plan);
    yield { kind: 'done' };
  } catch (error) {
    if (error instanceof QueryError && !isStarted) {
      yield { kind: 'refused', problem: error.message };
      return;
    }
    if (!isStarted) yield { kind: 'started' };
    yield fatal(error, job);
    yield { kind: 'done' };
  }
}

type Prepared =
  | { readonly kind: 'csv'; readonly file: CsvFile }
  | { readonly kind: 'json'; readonly paths: readonly string[] }
  | { readonly kind: 'parquet' };

function pathsOf(prepared: Prepared): readonly string[] {
  if (prepared.kind === 'csv') return prepared.file.paths;
  return prepared.kind === 'json' ? prepared.paths : [];
}

function prepare(job: QueryJob): Prepared {
  const { input, path, query } = job;
  if (input.kind !== 'json' && query.from.length > 0) throw new QueryError('only JSON data has a path in FROM');
  switch (input.kind) {
    case 'csv':
      return { kind: 'csv', file: prepareCsv(path, job, input, query) };
    case 'json':
      return { kind: 'json', paths: prepareJson(path, job, input) };
    case 'parquet':
      return { kind: 'parquet' };
  }
}

async function openSource(job: QueryJob, prepared: Prepared, database: Database): Promise<Source> {
  switch (prepared.kind) {
    case 'csv':
      return csvSource(prepared.file);
    case 'json':
      return jsonSource(prepared.paths, job.query.from);
    case 'parquet': {
      const { path } = job;
      const rows = await database.rows(`DESCRIBE SELECT * FROM read_parquet(${text(path)})`);
      return parquetSource(
        path,
        rows.map(([name, type]) => ({ name: String(name), type: String(type) })),
      );
    }
  }
}

async function* runPlan(job: QueryJob, database: Database, plan: Plan): AsyncGenerator<QueryEvent> {
  const faults = new Faults(job);
  if (plan.faults !== undefined) {
    for await (const columns of database.stream(plan.faults)) {
      const [codes, numbers] = columns as [number[], bigint[]];
      for (let row = 0; row < codes.length; row++) {
        const found = faults.describe(codes[row] as number, Number(numbers[row]));
        yield found;
        if (found.fatal) return;
      }
    }
  }
  const out: Output = job.output.kind === 'arrow' ? new ArrowOutput(job.output) : new TextOutput(plan);
  let left = plan.limit ?? Number.POSITIVE_INFINITY;
  if (left > 0) {
    for await (const columns of database.stream(plan.rows)) {
      const bads = plan.hasFaults ? (columns.at(-2) as number[]) : undefined;
      const numbers = columns.at(-1) as bigint[];
      const values = plan.hasFaults ? columns.slice(0, -2) : columns;
      const count = columns[0]?.length ?? 0;
      for (let from = 0; from < count && left > 0; ) {
        // Rows up to the next fault go out together.
        let to = from;
        while (to < count && (bads === undefined || bads[to] === fault.none)) to++;
        const end = Math.min(to, from + left);
        for (let row = from; row < end; row++) {
          out.add(values, row);
          if (out.bytes >= dataBytes) yield* out.take();
        }
        left -= end - from;
        if (bads !== undefined && to < count && left > 0) {
          yield* out.take();
          const found = faults.describe(bads[to] as number, Number(numbers[to]));
          yield found;
          if (found.fatal) return;
          to++;
        }
        from = to;
      }
      if (left === 0) break;
    }
  }
  yield* out.end();
}

interface Output {
  readonly bytes: number;
  add(columns: readonly (readonly unknown[])[], row: number): void;
  take(): Generator<QueryEvent>;
  end(): Generator<QueryEvent>;
}

/** However long a row is: what the gateway keeps of a query is so many events. */
function* data(bytes: Buffer): Generator<QueryEvent> {
  for (let at = 0; at < bytes.length; at += eventBytesMax) {
    yield { kind: 'data', bytes: bytes.subarray(at, at + eventBytesMax) };
  }
}

class TextOutput implements Output {
  readonly #end: string;
  #head: string;
  #texts: string[] = [];
  bytes = 0;

  constructor({ head, end }: Pick<Plan, 'head' | 'end'>) {
    this.#head = head;
    this.#end = end;
  }

  add([rows]: readonly (readonly unknown[])[], row: number): void {
    const line = rows?.[row] as string;
    this.#texts.push(line);
    this.bytes += line.length + this.#end.length;
  }

  *take(): Generator<QueryEvent> {
    if (this.#texts.length > 0) this.#texts.push('');
    yield* data(Buffer.from(this.#head + this.#texts.join(this.#end)));
    this.#head = '';
    this.#texts = [];
    this.bytes = 0;
  }

  end(): Generator<QueryEvent> {
    return this.take();
  }
}

const batchRowsMax = 64 * 1024;

class ArrowOutput implements Output {
  readonly #format: ArrowFormat;
  #columns: unknown[][];
  #isBegun = false;
  bytes = 0;

  constructor(format: ArrowFormat) {
    this.#format = format;
    this.#columns = format.fields.map(() => []);
  }

  add(columns: readonly (readonly unknown[])[], row: number): void {
    this.#columns.forEach((own, at) => {
      const value = columns[at]?.[row];
      own.push(value);
      this.bytes += typeof value === 'string' ? value.length + 4 : 8;
    });
    if ((this.#columns[0]?.length ?? 0) >= batchRowsMax) this.bytes = Math.max(this.bytes, dataBytes);
  }

  *take(): Generator<QueryEvent> {
    const { fields } = this.#format;
    if (!this.#isBegun) yield* data(arrowSchema(fields));
    this.#isBegun = true;
    const rows = this.#columns[0]?.length ?? 0;
    if (rows > 0) yield* data(arrowBatch(fields, this.#columns as ArrowColumn[], rows));
    this.#columns = fields.map(() => []);
    this.bytes = 0;
  }

  *end(): Generator<QueryEvent> {
    yield* this.take();
    yield* data(arrowEnd);
  }
}

function* runSplit({ path, input, output }: QueryJob, bytes: number): Generator<QueryEvent> {
  if (input.kind !== 'csv' || output.kind !== 'csv') throw new QueryError('sys.split is for CSV data');
  yield { kind: 'started' };
  const lines: string[] = [];
  for (const size of splitSizes(path, input, bytes)) lines.push(`${size}${output.recordSeparator}`);
  yield* data(Buffer.from(lines.join('')));
  yield { kind: 'done' };
}

/** Describes faults of records, which come in order: it reads the file alongside to tell where each record is. */
class Faults {
  readonly #job: QueryJob;
  #records: Generator<{ readonly at: number; readonly bytes?: Buffer }> | undefined;
  #number = 0;
  #last: { readonly at: number; readonly bytes?: Buffer } = { at: 0 };

  constructor(job: QueryJob) {
    this.#job = job;
  }

  describe(code: number, number: number): QueryFault {
    const record = this.#seek(number);
    const position = record.at;
    if (code === fault.malformed) {
      const description = describeJsonFault(record.bytes?.toString() ?? '');
      return { kind: 'error', fatal: true, name: 'ParseError', description, position };
    }
    const [name, description] =
      code === fault.ordinal
        ? ['InvalidColumnOrdinal', 'Invalid column ordinal.']
        : ['InvalidTypeConversion', 'Invalid type conversion.'];
    return { kind: 'error', fatal: false, name, description, position };
  }

  #seek(number: number): { readonly at: number; readonly bytes?: Buffer } {
    this.#records ??= this.#open();
    for (; this.#number < number; this.#number++) {
      const next = this.#records?.next();
      if (next === undefined || next.done) break;
      this.#last = next.value;
    }
    return this.#last;
  }

  #open(): Generator<{ readonly at: number; readonly bytes?: Buffer }> | undefined {
    const { input, path } = this.#job;
    if (input.kind === 'json') return jsonRecords(fileChunks(path), input.recordSeparator);
    if (input.kind === 'parquet') return undefined;
    const records = csvRecords(fileChunks(path), input as CsvFormat);
    if (input.hasHeaders) records.next();
    return records;
  }
}

function fatal(error: unknown, job: QueryJob): QueryFault {
  const of = (name: string, description: string, position = 0): QueryFault => ({
    kind: 'error',
    fatal: true,
    name,
    description,
    position,
  });
  if (error instanceof RecordTooLongError) return of('RecordTooLong', 'A record is too long.', error.at);
  if (error instanceof QueryError) return of('InvalidQuery', error.message);
  const { message } = error as Error;
  if (error instanceof ScratchFullError || /out of memory|bad_alloc|max_temp_directory_size/i.test(message)) {
    return of(...resourcesExceeded);
  }
  if (/maximum line size|line_size/i.test(message)) return of('RecordTooLong', 'A record is too long.');
  if (job.input.kind === 'parquet') return of('ParseError', 'The blob is no Parquet file that can be read.');
  return of('InternalError', 'The query could not be run to its end.');
}
