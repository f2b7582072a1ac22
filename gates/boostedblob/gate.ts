// boostedblob moves thousands of files over 200 connections, with a service principal's token, under Azure's own host names.

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EntraStage, startEntra, type Who } from '../entra.ts';
import type { Gate, GateContext } from '../gate.ts';
import { pythonVenv } from '../install.ts';
import { describeEnd, type ProcessResult, runProcess } from '../process.ts';
import { recorder } from '../recorder.ts';
import { createContainer } from '../sas.ts';
import { changeTree, dropFiles, expectNames, expectTree, planTree, type Tree, totalBytes, writeTree } from '../tree.ts';

const versions = { boostedblob: '1.1.0', aiohttp: '3.14.5' } as const;
const connections = 200;
/** Seen open at one moment, ten times a second; on a busy machine the client itself seldom fills all of them. */
const connectionsAtLeast = 64;
const commandTimeoutMs = 300_000;
const mebi = 1024 * 1024;
const hourMs = 3_600_000;

const signInHost = 'login.microsoftonline.com';
const storageHost = 'blob.core.windows.net';

interface Client {
  run(words: readonly string[], as?: Who): Promise<ProcessResult>;
  /** Throws unless it ends with 0. */
  good(...words: readonly string[]): Promise<ProcessResult>;
  at(path: string): string;
}

export const gate: Gate = {
  name: 'boostedblob',
  slow: false,
  async run(context) {
    const requirements = Object.entries(versions).map(([name, version]) => `${name}==${version}`);
    const python = await pythonVenv(context, `boostedblob-${versions.boostedblob}`, requirements);
    const stage = await startEntra(context, { names: [`*.${storageHost}`, signInHost] });
    try {
      return await runChecks(context, clientOf(context, python, stage), stage);
    } finally {
      await stage.close();
    }
  },
};

function clientOf(context: GateContext, python: string, stage: EntraStage): Client {
  const { account, blob } = stage.server.access;
  const hosts = { [`${account}.${storageHost}`]: portOf(blob), [signInHost]: portOf(stage.authorityHost) };
  const run: Client['run'] = (words, who = 'contributor') => {
    const { clientId, secret } = stage.principals[who];
    const env = {
      HOME: join(context.workDir, `home-${who}`),
      GATE_HOSTS: JSON.stringify(hosts),
      SSL_CERT_FILE: stage.caPath,
      AZURE_CLIENT_ID: clientId,
      AZURE_CLIENT_SECRET: secret,
      AZURE_TENANT_ID: stage.tenant,
      AZURE_STORAGE_KEY: undefined,
      AZURE_STORAGE_ACCOUNT_KEY: undefined,
      AZURE_STORAGE_CONNECTION_STRING: undefined,
      AZURE_APPLICATION_CREDENTIALS: undefined,
      AZURE_USE_IDENTITY: undefined,
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const args = [join(import.meta.dirname, 'driver.py'), ...words];
    return runProcess(python, args, { env, timeoutMs: commandTimeoutMs });
  };
  return {
    run,
    async good(...words) {
      const result = await run(words);
      if (result.code !== 0 || result.timedOut) throw new Error(describeEnd(`bbb ${words[0]}`, result));
      return result;
    },
    at: (path) => `az://${account}/${path}`,
  };
}

async function runChecks(context: GateContext, bbb: Client, stage: EntraStage) {
  const { access } = stage.server;
  const checks = recorder(context.log);
  const plan = {
    seed: 'boostedblob',
    files: context.all ? 20_000 : 2000,
    largeSizes: [70 * mebi, 33 * mebi + 7, mebi],
  };
  // A copy tells the address of its source, and aiohttp reads no header of more than 8,190 bytes.
  const tree = new Map([...planTree({ ...plan, smallBytesMax: 64 * 1024 })].filter(([path]) => path.length < 500));
  const [local, back, copied] = ['tree', 'back', 'copied'].map((name) => join(context.workDir, name)) as [
    string,
    string,
    string,
  ];
  await writeTree(local, tree.values(), new Date(Date.now() - hourMs));
  for (const container of ['first', 'second']) await createContainer(access, container);
  const many = ['--concurrency', `${connections}`, '--quiet'];
  const bounded = { timeoutMs: commandTimeoutMs };

  await checks.check(
    'upload of a tree at 200 connections',
    async () => {
      const most = await mostConnections(portOf(access.blob), () =>
        bbb.good('cptree', ...many, local, bbb.at('first/tree/')),
      );
      if (most < connectionsAtLeast) throw new Error(`${most} connections at most`);
      return `${tree.size} files, ${totalBytes(tree)} bytes, ${most} connections`;
    },
    bounded,
  );
  await checks.check(
    'the listing has every name and size',
    async () => expectListed((await bbb.good('lstree', '-l', '--machine', bbb.at('first/tree/'))).stdout, bbb, tree),
    bounded,
  );
  await checks.check(
    'download of it at 200 connections has the same bytes',
    async () => {
      await mkdir(back);
      await bbb.good('cptree', ...many, bbb.at('first/tree/'), back);
      return expectTree(back, tree);
    },
    bounded,
  );
  await checks.check(
    'copy between containers, in the service, with signatures of user delegation',
    async () => {
      await bbb.good('cptree', ...many, bbb.at('first/tree/'), bbb.at('second/tree/'));
      await mkdir(copied);
      await bbb.good('cptree', ...many, bbb.at('second/tree/'), copied);
      return expectTree(copied, tree);
    },
    bounded,
  );

  const changed = changeTree(tree);
  await writeTree(local, changed.written, new Date(Date.now() + hourMs));
  await dropFiles(local, changed.dropped);
  await checks.check(
    'sync up sends what changed and deletes what is gone',
    async () => {
      const result = await bbb.good(
        'sync',
        '--delete',
        '--concurrency',
        `${connections}`,
        local,
        bbb.at('first/tree/'),
      );
      const lines = result.stdout.split('\n').filter((line) => line !== '').length;
      const wanted = changed.written.length + changed.dropped.length;
      if (lines !== wanted) throw new Error(`${lines} files were sent or deleted instead of ${wanted}`);
      return `${changed.written.length} sent, ${changed.dropped.length} deleted`;
    },
    bounded,
  );
  await checks.check(
    'sync down brings what changed and deletes what is gone',
    async () => {
      await bbb.good('sync', '--delete', ...many, bbb.at('first/tree/'), back);
      return expectTree(back, changed.tree);
    },
    bounded,
  );
  await checks.check('a reader may not upload, who has no role may not even read', async () => {
    for (const [who, words] of [
      ['reader', ['cp', join(local, 'large', `${mebi} bytes.bin`), bbb.at('first/refused')]],
      ['nobody', ['ls', bbb.at('first/')]],
    ] as const) {
      const result = await bbb.run(words, who);
      if (result.code === 0) throw new Error(`${who}: ${words[0]} was accepted`);
    }
    const listed = await bbb.good('ls', bbb.at('first/'));
    if (listed.stdout.includes('refused')) throw new Error('the blob is there');
  });
  await checks.check(
    'delete of the tree at 200 connections leaves nothing',
    async () => {
      await bbb.good('rmtree', ...many, bbb.at('first/tree/'));
      const left = await bbb.run(['lstree', bbb.at('first/')]);
      if (left.stdout.trim() !== '') throw new Error(`left: ${left.stdout.slice(0, 300)}`);
      return `${changed.tree.size} blobs`;
    },
    bounded,
  );
  return checks.rows;
}

/** The most connections to a port that were open while the work went on, seen ten times a second. */
async function mostConnections(port: number, work: () => Promise<unknown>): Promise<number> {
  const to = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 01`;
  let most = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const table = await readFile('/proc/net/tcp', 'utf8');
      most = Math.max(most, table.split('\n').filter((line) => line.includes(` ${to} `)).length);
      await sleep(100);
    }
  })();
  try {
    await work();
  } finally {
    isOver = true;
    await watching;
  }
  return most;
}

const portOf = (url: string): number => Number(new URL(url).port);

/** A line is a size, a time and an address. */
function expectListed(output: string, bbb: Client, tree: Tree): string {
  const start = bbb.at('first/tree/');
  const found = output
    .split('\n')
    .map((line) => /^ *(\d+) {2}\S+ {2}(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, size, address = '']) => `${address.replace(start, '')} (${size} bytes)`);
  expectNames(
    found,
    [...tree.values()].map((file) => `${file.path} (${file.size} bytes)`),
  );
  return `${found.length} names`;
}
