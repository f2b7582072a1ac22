// Whether PUT, GET and a List page keep their speed while a container grows, on a server and directory of its own.
import { join } from 'node:path';
import { fillPlan, manyNames, nameBytes, pageSize, type Scale } from './cases.ts';
import { expectRight, type FleetOptions } from './fleet.ts';
import type { JobPlan, Load, Measurement } from './load.ts';
import { type ServerName, settle, startServer } from './servers.ts';
import { medianOf } from './statistics.ts';

export interface GrowthStage {
  readonly names: number;
  readonly fillPerSecond: number;
  readonly put: Measurement;
  readonly get: Measurement;
  readonly list: Measurement;
}

const connections = 16;
const fillMs = 1_800_000;
/** New names a round, at the smallest stage: few enough that the stage keeps its size. */
const putsMin = 2000;

export async function measureGrowth(
  name: ServerName,
  options: FleetOptions,
  load: Load,
  scale: Scale,
): Promise<GrowthStage[]> {
  const { workers, causewayArguments } = options;
  const folder = join(options.folder, 'growth');
  const server = await startServer(name, { folder, workers, causewayArguments });
  const stages: GrowthStage[] = [];
  const { warmMs, measureMs } = scale;
  try {
    let held = 0;
    for (const count of scale.growthNames) {
      const names = manyNames(count);
      await load.createContainer(server, names.container);
      const fill = expectRight(await load.run(server, fillPlan(names, nameBytes, held, fillMs)));
      if (Math.round(fill.operations) < count - held) throw new Error(`loading ${count} names took too long`);
      held = count;
      await settle(server, 30_000);
      const common = { container: names.container, connections, warmMs, measureMs };
      const unbounded = { ...common, operationsMax: Number.MAX_SAFE_INTEGER };
      const bounded = { ...common, warmMs: 0, operationsMax: Math.max(putsMin, count / 20) };
      const get: JobPlan = { ...unbounded, kind: 'get', sizeBytes: nameBytes, names };
      const list: JobPlan = { ...unbounded, kind: 'list', connections: 1, pageSize: Math.min(pageSize, count), names };
      const put: JobPlan = { ...bounded, kind: 'put', sizeBytes: nameBytes, spread: names };
      const rounds = async (plan: JobPlan): Promise<Measurement> => {
        const results: Measurement[] = [];
        for (let round = 0; round < scale.rounds; round += 1) results.push(expectRight(await load.run(server, plan)));
        return medianOf(results);
      };
      stages.push({
        names: count,
        fillPerSecond: (fill.operations * 1000) / fill.elapsedMs,
        get: await rounds(get),
        list: await rounds(list),
        put: await rounds(put),
      });
    }
  } finally {
    await server.stop();
  }
  return stages;
}
