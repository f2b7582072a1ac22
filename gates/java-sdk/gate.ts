// Microsoft's own SDK for Java against the server: its checks are in src/, built by Maven.

import { join } from 'node:path';
import { startEntra } from '../entra.ts';
import type { Gate, GateContext } from '../gate.ts';
import { mavenBuild } from '../install.ts';
import { makeAccounts } from '../manage.ts';
import { runPrintedChecks } from '../printed-checks.ts';
import { runOrThrow } from '../process.ts';
import { recorder } from '../recorder.ts';

const version = '12.37.2';
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
      await runPrintedChecks(context, checks, { managed, entra }, { what: 'program', command: 'java', args });
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
