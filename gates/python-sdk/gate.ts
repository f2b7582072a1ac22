// Microsoft's own SDK for Python against the server, in a virtual environment: its checks are checks.py and rooms/.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeStage, type EntraStage, startEntra } from '../entra.ts';
import type { Gate, GateContext, GateRow } from '../gate.ts';
import { pythonVenv } from '../install.ts';
import { type Managed, makeAccounts, stagesOf } from '../manage.ts';
import { runProcess } from '../process.ts';
import { type Recorder, recorder, withoutSecrets } from '../recorder.ts';

const version = '12.31.1';
const identityVersion = '1.27.0';
const extensionsVersion = '0.1.0';
const checksTimeoutMs = 600_000;

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
        runChecks(context, python, checks, managed, entra),
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

/** One row a line comes from the script; that it ended well is a check of its own. */
async function runChecks(
  context: GateContext,
  python: string,
  checks: Recorder,
  managed: Managed | undefined,
  entra: EntraStage,
): Promise<void> {
  const { account, key, blob } = context.server;
  const env = {
    GATE_BLOB: blob,
    GATE_ACCOUNT: account,
    GATE_KEY: key,
    GATE_WORK: context.workDir,
    GATE_STAGES: JSON.stringify(stagesOf(managed, entra)),
    GATE_ENTRA: describeStage(entra, await entra.strangerToken()),
    REQUESTS_CA_BUNDLE: entra.caPath,
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const ran = await runProcess(python, [join(import.meta.dirname, 'checks.py')], { env, timeoutMs: checksTimeoutMs });
  for (const line of ran.stdout.split('\n')) if (line.startsWith('{')) checks.add(rowOf(line));
  await checks.check('the script ran to its end', async () => {
    if (ran.timedOut) throw new Error(`no end after ${checksTimeoutMs} ms`);
    if (ran.code !== 0) throw new Error(`ended with ${ran.code ?? ran.signal}: ${ran.stderr.slice(-500)}`);
  });
}

function rowOf(line: string): GateRow {
  const row = JSON.parse(line) as GateRow;
  if (row.detail === undefined) return row;
  return { ...row, detail: withoutSecrets(row.detail).replaceAll(/\s+/g, ' ').slice(0, 600) };
}

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
