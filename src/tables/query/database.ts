// A database of DuckDB's in memory, that can read one file and write into one directory, and nothing else.
import { type DuckDBConnection, type DuckDBDataChunk, DuckDBInstance } from '@duckdb/node-api';
import { text } from './sql.ts';

/** So many rows at once, as far as it goes by the last one: as long as a record may be, 8 have room in the heap. */
const rowsAtOnce = { least: 8, most: 256, bytes: 128 * 1024 };

export interface DatabaseOptions {
  readonly path: string;
  readonly scratch: string;
  readonly memoryBytes: number;
  readonly scratchBytesMax: number;
}

export class Database implements AsyncDisposable {
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.#connection = connection;
  }

  static async open({ path, scratch, memoryBytes, scratchBytesMax }: DatabaseOptions): Promise<Database> {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '1',
      memory_limit: `${Math.floor(memoryBytes / 1024)}KiB`,
      temp_directory: scratch,
      home_directory: scratch,
      extension_directory: scratch,
      secret_directory: scratch,
      max_temp_directory_size: `${Math.floor(scratchBytesMax / 1024)}KiB`,
      preserve_insertion_order: 'true',
      allow_community_extensions: 'false',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const connection = await instance.connect();
    await connection.run(`SET TimeZone = 'UTC'`);
    // No rows are made before those ahead of them are taken.
    await connection.run(`SET streaming_buffer_size = '1KiB'`);
    // The query's text comes from a parser of our own; should it ever say more than that can say, it reaches no more.
    await connection.run(`SET allowed_paths = [${text(path)}]`);
    await connection.run(`SET allowed_directories = [${text(scratch)}]`);
    await connection.run('SET enable_progress_bar = true');
    await connection.run('SET enable_progress_bar_print = false');
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    return new Database(instance, connection);
  }

  /** How far the statement is, from 0 to 1; -1 where that cannot be said. */
  get progress(): number {
    const { percentage } = this.#connection.progress;
    return percentage < 0 ? -1 : Math.min(percentage / 100, 1);
  }

  async rows(sql: string): Promise<unknown[][]> {
    return await (await this.#connection.run(sql)).getRows();
  }

  /** The columns of a few rows after another, as they are found: a row may be long, and the heap is small. */
  async *stream(sql: string): AsyncGenerator<unknown[][]> {
    const result = await this.#connection.stream(sql);
    let rows = rowsAtOnce.least;
    for (;;) {
      const chunk: DuckDBDataChunk | null = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      const vectors = Array.from({ length: chunk.columnCount }, (_, at) => chunk.getColumnVector(at));
      for (let from = 0; from < chunk.rowCount; ) {
        const count = Math.min(rows, chunk.rowCount - from);
        // A vector remembers each value that was asked of it: a slice of it is forgotten with its values.
        const columns = vectors.map((vector) => [...vector.slice(from, count).toArray()]);
        yield columns;
        from += count;
        const bytes = columns.reduce((sum, column) => sum + sizeOf(column[count - 1]), 0);
        rows = Math.max(rowsAtOnce.least, Math.min(rowsAtOnce.most, Math.floor(rowsAtOnce.bytes / bytes)));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}

const sizeOf = (value: unknown): number => (typeof value === 'string' ? value.length + 16 : 16);
