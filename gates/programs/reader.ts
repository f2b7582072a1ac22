// Reads what a program left on the server by a way that shares nothing with it: requests signed here, and DuckDB for Parquet.

import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { ServerAccess } from '../gate.ts';
import { signedRequest } from '../sas.ts';

const requestTimeoutMs = 30_000;
const pageOfNames = 5000;

export interface Reader {
  bytes(path: string): Promise<Buffer>;
  text(path: string): Promise<string>;
  /** The headers of a blob. */
  headers(path: string): Promise<Headers>;
  /** Names of blobs below a prefix of a container, in order, without the prefix; up to 5,000. */
  names(container: string, prefix: string): Promise<string[]>;
  /** The first row of a query, in which `$files` stands for the Parquet files at these paths, taken together. */
  parquet(paths: readonly string[], query: string): Promise<unknown[]>;
}

export function readerOf(access: ServerAccess, workDir: string): Reader {
  const request = async (method: string, path: string, query: Record<string, string> = {}): Promise<Response> => {
    const response = await signedRequest(access, {
      ...{ method, path, query },
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
    return response;
  };
  const bytes = async (path: string): Promise<Buffer> => Buffer.from(await (await request('GET', path)).arrayBuffer());
  return {
    bytes,
    text: async (path) => (await bytes(path)).toString('utf8'),
    headers: async (path) => (await request('HEAD', path)).headers,
    async names(container, prefix) {
      const query = { restype: 'container', comp: 'list', prefix, maxresults: String(pageOfNames) };
      const xml = await (await request('GET', container, query)).text();
      return [...xml.matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, name]) => (name ?? '').slice(prefix.length));
    },
    async parquet(paths, query) {
      const directory = await mkdtemp(join(workDir, 'parquet-'));
      const files: string[] = [];
      for (const [index, path] of paths.entries()) {
        const file = join(directory, `${index}.parquet`);
        await writeFile(file, await bytes(path));
        files.push(`'${file}'`);
      }
      return firstRow(query.replace('$files', `read_parquet([${files.join(', ')}])`));
    },
  };
}

async function firstRow(query: string): Promise<unknown[]> {
  const database = await DuckDBInstance.create(':memory:');
  let connection: DuckDBConnection | undefined;
  try {
    connection = await database.connect();
    const rows = await connection.runAndReadAll(query);
    // Sums come as objects and as bigints.
    return (rows.getRowsJson()[0] ?? []) as unknown[];
  } finally {
    connection?.closeSync();
    database.closeSync();
  }
}
