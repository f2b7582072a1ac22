// Kills the whole server under a mixed load, again and again: `bin/node test/crash/run.ts [--kills 50] [--seed S]`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BlobClient } from '../support/blob-client.ts';
import { CausewayServer } from '../support/causeway-server.ts';
import { causewayFsck } from '../support/commands.ts';
import { Ledger } from '../support/ledger.ts';
import { LoadClient, type LoadCounts, type LoadSizes, readState, WrongAnswer } from '../support/mixed-load.ts';
import { seeded, subSeed } from '../support/seeded.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    workers: { type: 'string', default: '2' },
    /** Another program in place of the server, to try this test on. */
    serve: { type: 'string' },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const clients = 32;
const namesPerClient = 5;
const container = 'crash';
const lifeMsMin = 60;
const lifeMsMax = 900;
const sampledReads = 40;
const reportedMax = 20;
const sizes: LoadSizes = {
  put: [
    [6, 0, 0],
    [60, 1, 4096],
    [30, 4097, 65_536],
    [4, 65_537, 1024 * 1024],
    [1, 1024 * 1024, 4 * 1024 * 1024],
  ],
  blocks: [
    [12, 1, 65_536],
    [5, 65_537, 400_000],
    [1, 400_001, 4 * 1024 * 1024],
  ],
};

const work = mkdtempSync(join(tmpdir(), 'causeway-crash-'));
const dataDir = join(work, 'data');
const random = seeded(seed);
let moment = 0;
const ledger = new Ledger(() => ++moment);
const counts: LoadCounts = { operations: 0, bytes: 0, byKind: {} };
const load = Array.from({ length: clients }, (_, index) => {
  const names = Array.from({ length: namesPerClient }, (_, name) => `${container}/client ${index}/${name}`);
  return new LoadClient(names, ledger, seeded(subSeed(seed, index)), sizes, counts);
});
const totals = { inDoubt: 0, tookEffect: 0, reads: 0, startMsMax: 0 };
let passed = 0;
let failed = 0;
let reported = 0;

function report(what: string, failures: readonly string[]): void {
  if (failures.length === 0) {
    passed++;
    return;
  }
  failed++;
  for (const failure of failures) if (reported++ < reportedMax) console.log(`FAILED ${what}: ${failure}`);
}

async function start(): Promise<CausewayServer> {
  const startedAt = performance.now();
  const command = values.serve === undefined ? {} : { command: values.serve };
  // Small segments and short pauses: recovery, garbage and reclaim happen under the kills too.
  const settings = ['segmentBytes=8388608', 'scanIntervalMs=50'];
  const server = await CausewayServer.start({ ...command, dataDir, workers: Number(values.workers), settings });
  totals.startMsMax = Math.max(totals.startMsMax, performance.now() - startedAt);
  return server;
}

/** One life of the server under the load, ended by a kill at a moment that nobody chose. */
async function liveAndDie(server: CausewayServer, failures: string[]): Promise<void> {
  const client = new BlobClient(server.blobUrl, clients * 2);
  let killed = false;
  const runs = load.map(async (each) => {
    try {
      for (;;) await each.step(client);
    } catch (error) {
      if (!killed) failures.push(`before the kill: ${(error as Error).message}`);
      // A worker that lost its committer an instant before it died itself may still have said so.
      else if (error instanceof WrongAnswer && !/: 5\d\d instead/.test(error.message)) failures.push(error.message);
    }
  });
  await Promise.race([sleep(lifeMsMin + random.below(lifeMsMax - lifeMsMin)), Promise.all(runs)]);
  if (!server.running) failures.push(`the server ended by itself\n${server.output()}`);
  killed = true;
  await server.kill();
  await Promise.all(runs);
  client.close();
}

/** Reads what was in doubt, and a sample of everything else (or all of it). */
async function verify(server: CausewayServer, all: boolean, failures: string[]): Promise<void> {
  const client = new BlobClient(server.blobUrl, clients);
  const doubtful = ledger.names().filter((name) => ledger.inDoubt(name));
  const before = new Map(doubtful.map((name) => [name, ledger.allowedNow(name)[0]]));
  const settled = await Promise.allSettled(load.map((each) => each.settle(client)));
  for (const each of settled) if (each.status === 'rejected') failures.push(each.reason.message);
  totals.inDoubt += doubtful.length;
  for (const name of doubtful) {
    // What cannot be read stays in doubt: the failure above says it.
    if (!ledger.inDoubt(name) && ledger.current(name) !== before.get(name)) totals.tookEffect++;
  }
  const names = all ? ledger.names() : Array.from({ length: sampledReads }, () => random.pick(ledger.names()));
  for (const name of new Set(names)) {
    totals.reads++;
    await readState(client, name, ledger.allowedNow(name)).catch((error) => failures.push(error.message));
  }
  client.close();
}

console.log(`crash: ${kills} kills under ${clients} clients, seed ${seed}, work in ${work}`);
const startedAt = performance.now();
let server = await start();
try {
  const client = new BlobClient(server.blobUrl, 1);
  const made = await client.createContainer(container);
  client.close();
  if (made.status !== 201) throw new Error(`Create Container: ${made.status} ${made.body.toString()}`);
  for (let kill = 1; kill <= kills; kill++) {
    const failures: string[] = [];
    await liveAndDie(server, failures);
    server = await start();
    await verify(server, kill === kills, failures);
    report(`kill ${kill}`, failures);
    // What cannot be read cannot be written on: no later failure would say more.
    if (failures.length > 0) break;
  }
  const stopFailures: string[] = [];
  await server.stop().catch((error) => stopFailures.push(error.message));
  report('SIGTERM', stopFailures);
  if (values.serve === undefined) report('fsck', await causewayFsck(dataDir));
} catch (error) {
  report('the server', [(error as Error).stack ?? String(error), server.output()]);
} finally {
  await server.kill();
}
console.log(
  `${counts.operations} acknowledged operations ${JSON.stringify(counts.byKind)}, ${Math.round(counts.bytes / 2 ** 20)} MiB; ` +
    `${totals.inDoubt} in flight at a kill, ${totals.tookEffect} of them took effect; ${totals.reads} blobs read back; ` +
    `slowest start ${Math.round(totals.startMsMax)} ms; ${Math.round((performance.now() - startedAt) / 1000)} s`,
);
if (failed === 0) rmSync(work, { recursive: true });
else console.log(`the data stays in ${dataDir}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
