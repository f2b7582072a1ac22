// Runs the pages of docs/recipes as they stand there, and reads what each program wrote by another way.

import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Gate, GateContext, RunningServer, ServerAccess } from '../gate.ts';
import { pythonVenv } from '../install.ts';
import { describeEnd, runProcess } from '../process.ts';
import { startProxy } from '../proxy.ts';
import { recorder } from '../recorder.ts';
import { developmentAccount } from '../server.ts';
import { type Addresses, hostSuffix, readPage } from './page.ts';
import { type Program, programs } from './programs.ts';
import { readerOf } from './reader.ts';

const pageTimeoutMs = 180_000;
/** A Go program with a thousand packages may have to be built first. */
const programTimeoutMs = 1_900_000;

/** What the first step makes for the programs that know only HTTPS and host names. */
const certificate = { tlsCertificate: 'causeway.pem', tlsKey: 'causeway-key.pem' } as const;

/** A server with that certificate, and a proxy that knows its host names. */
interface NamedServer {
  readonly server: RunningServer;
  readonly proxy: Awaited<ReturnType<typeof startProxy>>;
}

export const gate: Gate = {
  name: 'programs',
  slow: false,
  async run(context) {
    if (process.platform !== 'linux' || context.server.account !== developmentAccount.account) {
      const detail = 'the pages are run on Linux, with the development account';
      return [{ check: 'platform', outcome: 'skip', detail, ms: 0 }];
    }
    const checks = recorder(context.log);
    const listener = await freeAddress();
    await checks.check('the first step', () => runPage(context, 'README', addressesOf(context.server, listener)));
    let named: NamedServer | undefined;
    const accessOf = ({ byHostName }: Program): ServerAccess =>
      byHostName && named ? named.server.access : context.server;
    try {
      for (const program of programs.filter(({ slow }) => context.all || !slow)) {
        const ran = await checks.check(
          `${program.name}: the page, and what it prints`,
          async () => {
            const path = await install(context, program);
            if (program.byHostName) named ??= await startNamed(context);
            await runPage(context, program.name, addressesOf(accessOf(program), listener), {
              PATH: [...path, process.env.PATH].join(delimiter),
              ...(program.byHostName && { HTTPS_PROXY: named?.proxy.url }),
            });
          },
          { timeoutMs: programTimeoutMs },
        );
        const written = `${program.name}: what it wrote, read another way`;
        if (ran) await checks.check(written, () => program.verify(readerOf(accessOf(program), context.workDir)));
        else checks.skip(written, 'the page did not run');
      }
    } finally {
      await named?.proxy.close();
    }
    return checks.rows;
  },
};

/** Resolves with the directories that hold what the page calls. */
async function install(context: GateContext, program: Program): Promise<string[]> {
  const bin = join(context.workDir, 'bin', program.name);
  await mkdir(bin, { recursive: true });
  await program.install?.(context, bin);
  if (program.python === undefined) return [bin];
  const group = programs.filter((other) => other.python === program.python);
  const requirements = new Set(group.flatMap((other) => readPage(other.name).requirements));
  return [bin, dirname(await pythonVenv(context, `programs-${program.python}`, [...requirements]))];
}

function addressesOf(access: ServerAccess, listener: string): Addresses {
  const { host, port } = new URL(access.blob);
  return { server: host, port, listener };
}

async function runPage(
  context: GateContext,
  name: string,
  addresses: Addresses,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<void> {
  const page = readPage(name);
  const { shell, files } = page.script(addresses);
  const directory = join(context.workDir, name);
  await mkdir(directory, { recursive: true });
  for (const [file, body] of Object.entries(files)) await writeFile(join(directory, file), body);
  if (env.HTTPS_PROXY) {
    const file = certificate.tlsCertificate;
    await symlink(join(context.workDir, 'README', file), join(directory, file));
  }
  // No account, proxy or configuration of this machine may help.
  const outer = Object.keys(process.env).filter((word) => /^(AZ|ARM_|RCLONE_|RESTIC_|TF_|.*_proxy$)/i.test(word));
  const ran = await runProcess('sh', ['-e', '-c', shell], {
    cwd: directory,
    env: {
      ...Object.fromEntries(outer.map((word) => [word, undefined])),
      HOME: directory,
      // What would tell its makers of every run.
      CHECKPOINT_DISABLE: '1',
      DVC_NO_ANALYTICS: '1',
      ...env,
    },
    timeoutMs: pageTimeoutMs,
  });
  if (ran.code !== 0 || ran.timedOut) throw new Error(describeEnd(name, ran));
  let from = 0;
  for (const expected of page.prints) {
    const at = ran.stdout.indexOf(expected, from);
    if (at === -1) throw new Error(`it printed ${ran.stdout.slice(from).slice(-400)}`);
    from = at + expected.length;
  }
}

async function startNamed(context: GateContext): Promise<NamedServer> {
  const directory = join(context.workDir, 'README');
  setDefaultCACertificates([
    ...getCACertificates('default'),
    await readFile(join(directory, certificate.tlsCertificate), 'utf8'),
  ]);
  const settings = Object.entries(certificate).map(([name, file]) => `${name}=${join(directory, file)}`);
  const args = settings.flatMap((setting) => ['--set', setting]);
  const server = await context.startServer({ name: 'named', args });
  const port = Number(new URL(server.access.blob).port);
  const hosts = ['blob', 'web'].map((service) => [`${server.access.account}.${service}.${hostSuffix}`, port] as const);
  return { server, proxy: await startProxy(Object.fromEntries(hosts)) };
}

/** For a page whose program listens itself. */
async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return `127.0.0.1:${address.port}`;
}
