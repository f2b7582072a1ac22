// A database of DuckDB's in memory, that can read one file and write into one directory, and nothing else.
import { type DuckDBConnection, type DuckDBDataChunk, DuckDBInstance } from '@duckdb/node-api';
import { text } from './sql.ts';

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
      max_temp_directory_size: `${Math.floor(scratchBytesMax / 1024)}KiB`,
      preserve_insertion_order: 'true',
      allow_community_extensions: 'false',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const connection = await instance.connect();
    await connection.run(`SET TimeZone = 'UTC'`);
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

  /** The columns of one chunk of rows after another, as they are found. */
  async *stream(sql: string): AsyncGenerator<unknown[][]> {
    const result = await this.#connection.stream(sql);
    for (;;) {
      const chunk: DuckDBDataChunk | null = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      yield chunk.getColumns();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }
}
