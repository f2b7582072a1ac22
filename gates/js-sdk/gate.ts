// Microsoft's own SDK for JavaScript against the server: every operation of the Blob API that this project has.

import { AssertionError } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { startEntra } from '../entra.ts';
import type { Gate, GateContext, ServerAccess } from '../gate.ts';
import { npmPackages } from '../install.ts';
import { type AccountName, type Managed, type Manager, makeAccounts } from '../manage.ts';
import { runProcess } from '../process.ts';
import { type Recorder, recorder } from '../recorder.ts';
import { append } from './checks/append.ts';
import { auth } from './checks/auth.ts';
import { batch } from './checks/batch.ts';
import { blocks } from './checks/blocks.ts';
import { conditions } from './checks/conditions.ts';
import { containers } from './checks/containers.ts';
import { copy } from './checks/copy.ts';
import { download } from './checks/download.ts';
import { entra, withoutSharedKey } from './checks/entra.ts';
import { immutability } from './checks/immutability.ts';
import { later } from './checks/later.ts';
import { leases, slowLeases } from './checks/leases.ts';
import { listing } from './checks/listing.ts';
import { page } from './checks/page.ts';
import { properties } from './checks/properties.ts';
import { query } from './checks/query.ts';
import { sas } from './checks/sas.ts';
import { service } from './checks/service.ts';
import { snapshots } from './checks/snapshots.ts';
import { softdelete, softdeleteOfVersions } from './checks/softdelete.ts';
import { tags } from './checks/tags.ts';
import { throttledUploads } from './checks/throttled.ts';
import { tiers } from './checks/tiers.ts';
import { upload } from './checks/upload.ts';
import { versions } from './checks/versions.ts';
import { type Check, type Checks, makeKit, type Sdk } from './kit.ts';

const version = '12.34.0';
const identityVersion = '4.14.1';
const arrowVersion = '21.2.0';
const atOnce = 4;

const rooms: Readonly<Record<string, Checks>> = {
  upload,
  blocks,
  append,
  page,
  download,
  properties,
  listing,
  conditions,
  leases,
  copy,
  batch,
  containers,
  sas,
  auth,
  snapshots,
  tags,
  later,
};

/** Rooms that want settings of their account that the others do not. */
const managedRooms: readonly (readonly [room: string, account: AccountName, checks: Checks])[] = [
  ['versions', 'versions', versions],
  ['softdelete', 'softdelete', softdelete],
  ['softdelete', 'timed', softdeleteOfVersions],
  ['tiers', 'tiers', tiers],
  ['immutability', 'versions', immutability],
];

export const gate: Gate = {
  name: 'js-sdk',
  slow: false,
  async run(context) {
    const packages = { '@azure/storage-blob': version };
    const directory = await npmPackages(context, `js-sdk-${version}`, packages);
    const require = createRequire(join(directory, 'package.json'));
    const sdk: Sdk = await import(require.resolve('@azure/storage-blob'));
    // What queries answer as Arrow is read by Arrow's own library.
    const arrowDirectory = await npmPackages(context, `arrow-${arrowVersion}`, { 'apache-arrow': arrowVersion });
    const arrow: Sdk = createRequire(join(arrowDirectory, 'package.json'))('apache-arrow');
    const checks = recorder(context.log);
    const run = (room: string, name: string, check: Check): Promise<unknown> =>
      runCheck({ context, sdk, checks }, `${room}: ${name}`, check);

    await checks.check('quickstart: the README’s example', () => quickstart(context, directory));
    // A server of its own, and most of the time is the SDK's patience.
    const throttled = checks.check('throttled: 100 uploads at once get through 20 requests a second', () =>
      throttledUploads(context, sdk),
    );
    // What waits for a real lease to run out goes on beside everything else.
    const waiting = Object.entries(slowLeases).map(([name, check]) => run('leases', name, check));
    const queue = Object.entries({ ...rooms, query: query(arrow) }).flatMap(([room, all]) =>
      Object.entries(all).map(([name, check]) => [room, name, check] as const),
    );
    await Promise.all([inParallel(queue, (item) => run(...item)), ...waiting, throttled]);
    // The service's properties are everybody's: alone, at the end.
    for (const [name, check] of Object.entries(service)) await run('service', name, check);
    await runManaged({ context, sdk, checks }, await makeAccounts(context));
    await runEntra({ context, sdk, checks });
    return checks.rows;
  },
};

interface Stage {
  readonly context: GateContext;
  readonly sdk: Sdk;
  readonly checks: Recorder;
}

/** Rooms with accounts of their own; they need a server whose operator the gate is. */
async function runManaged(stage: Stage, managed: Managed | undefined): Promise<void> {
  const queue = managedRooms.flatMap(([room, account, all]) =>
    Object.entries(all).map(([name, check]) => ({ name: `${room}: ${name}`, account, check })),
  );
  await inParallel(queue, async ({ name, account, check }) => {
    if (!managed) stage.checks.skip(name, 'its account cannot be made on a given endpoint');
    else await runCheck(stage, name, check, managed.accounts[account], managed.manager);
  });
}

/** A server over TLS, and the identity library as applications use it. */
async function runEntra(stage: Stage): Promise<void> {
  const { context } = stage;
  const packages = { '@azure/identity': identityVersion };
  const directory = await npmPackages(context, `identity-${identityVersion}`, packages);
  const identity: Sdk = createRequire(join(directory, 'package.json'))('@azure/identity');
  const entraStage = await startEntra(context);
  try {
    const run = ([name, check]: readonly [string, Check]): Promise<void> =>
      runCheck(stage, `entra: ${name}`, check, entraStage.server.access, entraStage.manager);
    await inParallel(Object.entries(entra(identity, entraStage)), run);
    for (const item of Object.entries(withoutSharedKey(identity, entraStage))) await run(item);
  } finally {
    await entraStage.close();
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function runCheck(
  { context, sdk, checks }: Stage,
  name: string,
  check: Check,
  access: ServerAccess = context.server,
  manager?: Manager,
): Promise<void> {
  const kit = makeKit(sdk, access, context.workDir, manager);
  await checks.check(name, async () => {
    try {
      return await check(kit);
    } catch (error) {
      throw new Error(`${say(error)} [${kit.trace()}]`, { cause: error });
    } finally {
      await kit.close();
    }
  });
}

/** An assertion's two values in one line, instead of a difference over many. */
function say(error: unknown): string {
  if (!(error instanceof AssertionError)) return error instanceof Error ? error.message : String(error);
  const { actual, expected, operator = '' } = error;
  const [what = ''] = error.message.split('\n');
  if (!/strictEqual|deepEqual|deepStrictEqual/i.test(operator) || operator.startsWith('not')) return error.message;
  const own = error.generatedMessage ? '' : `${what}: `;
  return `${own}got ${JSON.stringify(actual)}, wanted ${JSON.stringify(expected)}`;
}

/** Runs the very file that the README shows, where the package is installed. */
async function quickstart(context: GateContext, directory: string): Promise<void> {
  const { account, key, blob } = context.server;
  const source = await readFile(join(import.meta.dirname, 'quickstart.mjs'), 'utf8');
  const connection = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=${blob}/${account};`;
  const ran = await runProcess(process.execPath, ['--input-type=module'], {
    cwd: directory,
    env: { AZURE_STORAGE_CONNECTION_STRING: connection },
    input: source,
    timeoutMs: 60_000,
  });
  if (ran.code !== 0) throw new Error(`ended with ${ran.code}: ${ran.stderr.slice(-400)}`);
  if (!ran.stdout.includes('hello.txt') || !ran.stdout.includes('Hello from JavaScript')) {
    throw new Error(`printed ${ran.stdout.slice(0, 300)}`);
  }
}
