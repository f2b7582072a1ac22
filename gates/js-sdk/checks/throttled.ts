// The SDK's own retries against a server that lets in 20 requests a second: a check with a server of its own.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { GateContext } from '../../gate.ts';
import type { Sdk } from '../kit.ts';

const uploads = 100;
const perS = 20;

/** Every upload begins at once, with the policies that the SDK has by default. */
export async function throttledUploads(context: GateContext, sdk: Sdk): Promise<string> {
  const args = ['--workers', '2', '--set', `accountRequestsPerS=${perS}`];
  const server = await context.startServer({ name: 'throttled', args });
  try {
    const { account, key, blob } = server.access;
    const credential = new sdk.StorageSharedKeyCredential(account, key);
    const container = new sdk.BlobServiceClient(`${blob}/${account}`, credential).getContainerClient('throttled');
    await container.create();
    const startedMs = performance.now();
    const outcomes = await Promise.allSettled(
      Array.from({ length: uploads }, (_, index) => container.getBlockBlobClient(`blob ${index}`).upload('hello', 5)),
    );
    const seconds = (performance.now() - startedMs) / 1000;
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
    assert.equal(failed.length, 0, `${failed.length} of ${uploads} failed: ${failed[0]?.reason}`);
    const refused = (await readFile(server.logPath, 'utf8')).split('"status":503').length - 1;
    assert.ok(refused > 0, 'nothing was throttled');
    return `${uploads} uploads in ${seconds.toFixed(0)} s, ${refused} times 503`;
  } finally {
    await server.stop();
  }
}
