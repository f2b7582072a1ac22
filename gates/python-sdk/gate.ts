// Microsoft's own SDK for Python against the server, in a virtual environment: its checks are checks.py and rooms/.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEntra } from '../entra.ts';
import type { Gate, GateContext } from '../gate.ts';
import { pythonVenv } from '../install.ts';
import { makeAccounts } from '../manage.ts';
import { runPrintedChecks } from '../printed-checks.ts';
import { runProcess } from '../process.ts';
import { recorder } from '../recorder.ts';

const version = '12.31.1';
const identityVersion = '1.27.0';
const extensionsVersion = '0.1.0';

export const gate: Gate = {
  name: 'python-sdk',
  slow: false,
  async run(context) {
    const python = await pythonVenv(context, `python-sdk-${version}`, [
      `azure-storage-blob==${version}`,
      `azure-identity==${identityVersion}`,
      // Without it the client sums no CRC-64.
      `azure-storage-extensions==${extensionsVersion}`,
    ]);
    const checks = recorder(context.log);
    await checks.check('quickstart: the README’s example', () => quickstart(context, python));
    const managed = await makeAccounts(context);
    const entra = await startEntra(context);
    try {
      await Promise.all([
        runPrintedChecks(
          context,
          checks,
          { managed, entra },
          {
            what: 'script',
            command: python,
            args: [join(import.meta.dirname, 'checks.py')],
            env: { REQUESTS_CA_BUNDLE: entra.caPath, PYTHONDONTWRITEBYTECODE: '1' },
          },
        ),
        checks.check(
          'throttled: 100 uploads at once get through 20 requests a second',
          () => throttled(context, python),
          { timeoutMs: 180_000 },
        ),
      ]);
    } finally {
      await entra.close();
    }
    return checks.rows;
  },
};

/** Against a server of its own that lets in 20 requests a second. */
async function throttled(context: GateContext, python: string): Promise<string> {
  const args = ['--workers', '2', '--set', 'accountRequestsPerS=20'];
  const server = await context.startServer({ name: 'throttled', args });
  try {
    const { account, key, blob } = server.access;
    const connection = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=${blob}/${account};`;
    const ran = await runProcess(python, [join(import.meta.dirname, 'throttled.py')], {
      env: { AZURE_STORAGE_CONNECTION_STRING: connection },
      timeoutMs: 150_000,
    });
    if (ran.code !== 0) throw new Error(`ended with ${ran.code ?? ran.signal}: ${ran.stderr.slice(-400)}`);
    const { failed, first } = JSON.parse(ran.stdout) as { failed: number; first: string | null };
    if (failed > 0) throw new Error(`${failed} uploads failed: ${first}`);
    const refused = (await readFile(server.logPath, 'utf8')).split('"status":503').length - 1;
    if (refused === 0) throw new Error('nothing was throttled');
    return `100 uploads, ${refused} times 503`;
  } finally {
    await server.stop();
  }
}

/** Runs the very file that the README shows. */
async function quickstart(context: GateContext, python: string): Promise<void> {
  const { account, key, blob } = context.server;
  const connection = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=${blob}/${account};`;
  const ran = await runProcess(python, [join(import.meta.dirname, 'quickstart.py')], {
    env: { AZURE_STORAGE_CONNECTION_STRING: connection },
    timeoutMs: 60_000,
  });
  if (ran.code !== 0) throw new Error(`ended with ${ran.code}: ${ran.stderr.slice(-400)}`);
  if (!ran.stdout.includes('hello.txt 17') || !ran.stdout.includes('Hello from Python')) {
    throw new Error(`printed ${ran.stdout.slice(0, 300)}`);
  }
}
