// Microsoft's own SDK for Java against the server: its checks are in src/, built by Maven.

import { join } from 'node:path';
import { describeStage, startEntra } from '../entra.ts';
import type { Gate, GateContext, GateRow } from '../gate.ts';
import { mavenBuild } from '../install.ts';
import { makeAccounts, stagesOf } from '../manage.ts';
import { runOrThrow, runProcess } from '../process.ts';
import { recorder, withoutSecrets } from '../recorder.ts';

const version = '12.37.2';
const checksTimeoutMs = 600_000;
/** Of a store that holds one public certificate; keytool insists on one. */
const storePassword = 'changeit';

export const gate: Gate = {
  name: 'java-sdk',
  slow: false,
  async run(context) {
    const classPath = await mavenBuild(context, `java-sdk-${version}`, import.meta.dirname);
    const checks = recorder(context.log);
    const managed = await makeAccounts(context);
    const entra = await startEntra(context);
    try {
      const trust = await trustStore(context, entra.caPath);
      const args = ['-Xmx512m', ...trust, '-cp', classPath, 'gate.Main'];
      const { blob, account, key } = context.server;
      const env = {
        GATE_BLOB: blob,
        GATE_ACCOUNT: account,
        GATE_KEY: key,
        GATE_WORK: context.workDir,
        GATE_STAGES: JSON.stringify(stagesOf(managed, entra)),
        GATE_ENTRA: describeStage(entra, await entra.strangerToken()),
      };
      const ran = await runProcess('java', args, { env, timeoutMs: checksTimeoutMs });
      for (const line of ran.stdout.split('\n')) if (line.startsWith('{')) checks.add(rowOf(line));
      await checks.check('the program ran to its end', async () => {
        if (ran.timedOut) throw new Error(`no end after ${checksTimeoutMs} ms`);
        if (ran.code !== 0) throw new Error(`ended with ${ran.code ?? ran.signal}: ${ran.stderr.slice(-500)}`);
      });
    } finally {
      await entra.close();
    }
    return checks.rows;
  },
};

/** Java takes no PEM file: the authority goes into a store of its own. */
async function trustStore(context: GateContext, caPath: string): Promise<string[]> {
  const store = join(context.workDir, 'trust.p12');
  const what = ['-importcert', '-noprompt', '-alias', 'gate', '-file', caPath];
  await runOrThrow('keytool', [...what, '-keystore', store, '-storetype', 'PKCS12', '-storepass', storePassword]);
  return [`-Djavax.net.ssl.trustStore=${store}`, `-Djavax.net.ssl.trustStorePassword=${storePassword}`];
}

function rowOf(line: string): GateRow {
  const row = JSON.parse(line) as GateRow;
  return row.detail === undefined ? row : { ...row, detail: withoutSecrets(row.detail) };
}
