// Clients that send older versions: azure-storage of npm, azure-storage-blob 2.1 and the Event Hubs checkpoint stores of
// PyPI, and Hadoop's WASB over azure-storage of Java. Each prints its checks.

import { join } from 'node:path';
import type { Gate, GateContext } from '../gate.ts';
import { mavenBuild, npmPackages, pythonVenv } from '../install.ts';
import { printRows } from '../printed-checks.ts';
import { startProxy } from '../proxy.ts';
import { type Recorder, recorder } from '../recorder.ts';
import { createContainer } from '../sas.ts';

/** Versions 2014-02-14 and 2018-03-28 of the REST API. */
const ofNpm = ['0.3.3', '2.10.7'] as const;
/** Version 2019-02-02, and 2019-07-07 within the checkpoint stores. */
const ofPyPi = {
  'azure-storage-blob': '2.1.0',
  'azure-eventhub-checkpointstoreblob': '1.1.4',
  'azure-eventhub-checkpointstoreblob-aio': '1.1.4',
  aiohttp: '3.14.5',
  six: '1.17.0',
};
const hadoop = '3.4.2';

export const gate: Gate = {
  name: 'older-clients',
  slow: false,
  async run(context) {
    const checks = recorder(context.log);
    const requirements = Object.entries(ofPyPi).map(([name, version]) => `${name}==${version}`);
    const python = await pythonVenv(context, `older-clients-${ofPyPi['azure-storage-blob']}`, requirements);
    for (const version of ofNpm) {
      const folder = await npmPackages(context, `azure-storage-${version}`, { 'azure-storage': version });
      const args = [join(import.meta.dirname, 'npm-client.mjs'), folder, version];
      await run(context, checks, { what: `script of azure-storage ${version}`, command: process.execPath, args });
    }
    const args = [join(import.meta.dirname, 'checks.py')];
    await run(context, checks, { what: 'script in Python', command: python, args });
    await wasb(context, checks);
    return checks.rows;
  },
};

/** WASB knows an account by its host name in Azure. */
async function wasb(context: GateContext, checks: Recorder): Promise<void> {
  const classPath = await mavenBuild(context, `wasb-${hadoop}`, import.meta.dirname);
  const { account, blob } = context.server;
  await createContainer(context.server, 'older-wasb');
  const proxy = await startProxy({ [`${account}.blob.core.windows.net`]: Number(new URL(blob).port) });
  try {
    const { hostname, port } = new URL(proxy.url);
    const opened = ['java.util', 'java.lang', 'java.net'].map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);
    const properties = [`-Dhttp.proxyHost=${hostname}`, `-Dhttp.proxyPort=${port}`, '-Xmx512m', ...opened];
    const program = { what: 'program of WASB', command: 'java', args: [...properties, '-cp', classPath, 'gate.Wasb'] };
    await run(context, checks, program);
  } finally {
    await proxy.close();
  }
}

function run(
  { server, workDir }: GateContext,
  checks: Recorder,
  program: { readonly what: string; readonly command: string; readonly args: readonly string[] },
): Promise<void> {
  const { account, key, blob } = server;
  const env = {
    GATE_BLOB: blob,
    GATE_ACCOUNT: account,
    GATE_KEY: key,
    GATE_WORK: workDir,
    PYTHONDONTWRITEBYTECODE: '1',
  };
  return printRows(checks, { ...program, env });
}
