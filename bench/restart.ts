// How long a server with many names takes until it answers again, after SIGTERM and after kill -9, and what it lost.
import { fillPlan, nameBytes, type Scale, verifyPlan } from './cases.ts';
import { expectRight, type Fleet } from './fleet.ts';
import type { NameSet } from './job.ts';
import type { Load } from './load.ts';
import { type Server, type ServerName, startServer } from './servers.ts';

export interface RestartResult {
  readonly names: number;
  readonly stopMs: readonly number[];
  readonly startMs: readonly number[];
  readonly startAfterKillMs: readonly number[];
  /** Of the last writes acknowledged before each kill, how many a restarted server did not have. */
  readonly lastWrites: number;
  readonly lostAfterKill: number;
}

const samples = 1000;
const lastWrites = 1000;

export async function measureRestart(name: ServerName, fleet: Fleet, load: Load, scale: Scale): Promise<RestartResult> {
  await fleet.fillNames(name);
  const names = fleet.heldNames(name);
  const stopMs: number[] = [];
  const startMs: number[] = [];
  const startAfterKillMs: number[] = [];
  let lostAfterKill = 0;

  const start = async (): Promise<[Server, number]> => {
    const startedAt = performance.now();
    const server = await startServer(name, fleet.startOptions(name));
    fleet.adopt(name, server);
    expectRight(await load.run(server, verifyPlan({ ...names, count: 1 }, nameBytes, 1)));
    return [server, performance.now() - startedAt];
  };
  const missing = async (server: Server, set: NameSet): Promise<number> =>
    expectRight(await load.run(server, verifyPlan(set, nameBytes, samples))).missing;

  for (let round = 0; round < scale.restarts; round += 1) {
    const running = await fleet.turn(name);
    stopMs.push(await running.stop());
    const [server, elapsedMs] = await start();
    startMs.push(elapsedMs);
    const lost = await missing(server, names);
    if (lost > 0) throw new Error(`${name} lost ${lost} of ${samples} sampled names in a clean restart`);

    const last = { ...names, first: names.first + 1 + round, count: lastWrites };
    expectRight(await load.run(server, fillPlan(last, nameBytes, 0, 60_000)));
    await server.kill();
    const [restarted, afterKillMs] = await start();
    startAfterKillMs.push(afterKillMs);
    lostAfterKill += await missing(restarted, last);
  }
  return { names: names.count, stopMs, startMs, startAfterKillMs, lastWrites: samples * scale.restarts, lostAfterKill };
}
