// Opens a data directory as users would: `causeway fsck`, then the server, asked for every blob.
import { execFile } from 'node:child_process';
import { BlobClient } from './blob-client.ts';
import { CausewayServer, causewayCommand } from './causeway-server.ts';
import type { Ledger } from './ledger.ts';
import { readState } from './mixed-load.ts';

const fsckTimeoutMs = 300_000;

/** Why the directory is not sound, if it is not. */
export function causewayFsck(dataDir: string): Promise<string[]> {
  return new Promise((done) => {
    execFile(causewayCommand, ['fsck', '--data', dataDir], { timeout: fsckTimeoutMs }, (error, stdout, stderr) =>
      done(error === null ? [] : [`fsck ended with ${error.code}: ${stdout.slice(-2000)}${stderr.slice(-2000)}`]),
    );
  });
}

/**
 * What is wrong with the data in the eyes of a client: content and metadata of every blob of the ledger,
 * and its uncommitted blocks.
 */
export async function serveAndRead(
  dataDir: string,
  command: string | undefined,
  ledger: Ledger,
  moment: number,
): Promise<string[]> {
  const failures: string[] = [];
  const options = command === undefined ? {} : { command };
  const server = await CausewayServer.start({ ...options, dataDir, workers: 1 }).catch((error: Error) => {
    failures.push(error.message);
  });
  if (server === undefined) return failures;
  try {
    const client = new BlobClient(server.blobUrl, 4);
    for (const name of ledger.names()) {
      await readState(client, name, ledger.allowedAt(name, moment)).catch((error) => failures.push(error.message));
      const staged = ledger.stagedAt(name, moment);
      if (staged.length === 0) continue;
      const answer = await client.getUncommittedBlocks(name);
      const listed = new Set([...answer.body.toString().matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, id]) => id));
      for (const id of staged)
        if (!listed.has(id))
          failures.push(`${name}: uncommitted block ${id} is missing: ${answer.status} ${answer.body}`);
    }
    client.close();
    await server.stop();
  } catch (error) {
    failures.push((error as Error).message);
  } finally {
    await server.kill();
  }
  return failures;
}
