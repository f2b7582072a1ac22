// `npm run bench`: measures Causeway, Azurite and the limit of the machine in turns, and writes a table of ratios.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { allCases, type Scale, scales } from './cases.ts';
import { measureDisk } from './disk.ts';
import { Fleet, type FleetOptions } from './fleet.ts';
import { type GrowthStage, measureGrowth } from './growth.ts';
import { Load, type Measurement } from './load.ts';
import { type CaseResult, judge, markdown, type RunResult } from './report.ts';
import { measureRestart, type RestartResult } from './restart.ts';
import { azuriteVersion, installAzurite, projectRoot, type ServerName } from './servers.ts';
import { medianOf, perSecond } from './statistics.ts';

const help = `npm run bench -- [options]
  --quick              a few minutes: fewer cases, short windows, 10,000 names
  --only NAME          a case, or cases whose names begin so (again for more): see --list
  --without SERVER     leave out causeway, azurite or bare (again for more)
  --rounds N --seconds S --workers N
  --dir DIR            where the servers keep their data (a folder on the disk to be measured)
  --out NAME           write bench/results/NAME.md and .json (a whole run writes quick or full)
  --causeway-args ARGS more arguments for 'causeway serve'
  --list               print the names of the cases`;

const extras = ['disk', 'restart', 'growth'];
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    without: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    workers: { type: 'string' },
    dir: { type: 'string' },
    out: { type: 'string' },
    'causeway-args': { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function chosenScale(): Scale {
  const scale = scales[values.quick ? 'quick' : 'full'];
  return {
    ...scale,
    rounds: values.rounds === undefined ? scale.rounds : Number(values.rounds),
    measureMs: values.seconds === undefined ? scale.measureMs : Number(values.seconds) * 1000,
  };
}

function wanted(name: string, scale: Scale): boolean {
  if (values.only.length > 0) return values.only.some((prefix) => name.startsWith(prefix));
  return extras.includes(name) || scale.cases(name);
}

function say(text: string): void {
  console.log(text);
}

async function main(): Promise<number> {
  const scale = chosenScale();
  const names = (['causeway', 'azurite', 'bare'] as const).filter((name) => !values.without.includes(name));
  const workers = values.workers === undefined ? availableParallelism() : Number(values.workers);
  const folder = join(values.dir ?? join(projectRoot, '.cache'), `bench-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
  if (names.includes('azurite')) installAzurite();

  const causewayArguments = values['causeway-args'].split(' ').filter((part) => part !== '');
  const options: FleetOptions = { names, folder, workers, causewayArguments };
  using load = new Load();
  const fleet = new Fleet(options, load, scale);
  const failures: string[] = [];
  const fail = (what: string, error: unknown): void => {
    const { message } = error as Error;
    say(`  FAILED ${what}: ${message}`);
    // The rest of a message may quote a server's log, which names this machine's folders.
    failures.push(`${what}: ${message.split('\n', 1)[0]}`);
  };

  const disk = [];
  if (wanted('disk', scale)) {
    for (let round = 0; round < 3; round += 1) disk.push(await measureDisk(folder, scale.diskBytes));
    say(`disk ${JSON.stringify(disk)}`);
  }

  const cases: CaseResult[] = [];
  for (const one of allCases.filter((each) => wanted(each.name, scale))) {
    say(one.name);
    const rounds: Record<ServerName, Measurement[]> = { causeway: [], azurite: [], bare: [] };
    for (let round = 0; round < scale.rounds; round += 1) {
      for (const name of names) {
        if (one.sealed && name !== 'causeway') continue;
        try {
          const measured = await fleet.measure(name, one, round);
          if (measured.errors > 0)
            fail(`${one.name} on ${name}`, new Error(`${measured.errors} wrong answers: ${measured.firstError}`));
          if (measured.operations > 0) rounds[name].push(measured);
        } catch (error) {
          fail(`${one.name} on ${name}`, error);
        }
      }
    }
    const medians: Partial<Record<ServerName, Measurement>> = {};
    for (const name of names) {
      if (rounds[name].length === 0) continue;
      medians[name] = medianOf(rounds[name]);
      say(`  ${name.padEnd(9)} ${line(medians[name])}`);
    }
    cases.push({ name: one.name, sizeBytes: one.sizeBytes, median: medians, rounds });
  }

  const restart: Partial<Record<ServerName, RestartResult>> = {};
  if (wanted('restart', scale)) {
    for (const name of names.filter((each) => each !== 'bare')) {
      try {
        restart[name] = await measureRestart(name, fleet, load, scale);
        say(`restart ${name} ${JSON.stringify(restart[name])}`);
        const lost = restart[name].lostAfterKill;
        if (name === 'causeway' && lost > 0) fail('kill -9', new Error(`${lost} acknowledged writes are gone`));
      } catch (error) {
        fail(`restart of ${name}`, error);
      }
    }
  }
  const heldNames: Partial<Record<ServerName, number>> = {};
  for (const name of names) {
    const held = fleet.held(name);
    if (held !== undefined) heldNames[name] = held;
  }
  await fleet.stopAll();

  let growth: GrowthStage[] = [];
  if (wanted('growth', scale) && names.includes('causeway')) {
    try {
      growth = await measureGrowth('causeway', options, load, scale);
      for (const stage of growth)
        say(`growth ${stage.names}: put ${line(stage.put)}; get ${line(stage.get)}; list ${line(stage.list)}`);
    } catch (error) {
      fail('growth', error);
    }
  }

  const machine = {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    'memory, GiB': Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    Node: process.versions.node,
    'worker processes': workers,
    Azurite: azuriteVersion,
    'rounds and seconds a case': `${scale.rounds} of ${scale.measureMs / 1000}`,
  };
  const date = new Date().toISOString();
  const servers = names;
  const run: RunResult = {
    scale: scale.name,
    date,
    machine,
    servers,
    cases,
    heldNames,
    disk,
    restart,
    growth,
    failures,
  };
  const text = markdown(run);
  say(`\n${text}`);
  const whole = values.only.length === 0 && values.without.length === 0;
  const out = values.out ?? (whole ? scale.name : undefined);
  if (out !== undefined) {
    const results = join(import.meta.dirname, 'results');
    mkdirSync(results, { recursive: true });
    writeFileSync(join(results, `${out}.md`), text);
    writeFileSync(join(results, `${out}.json`), `${JSON.stringify({ ...run, aims: judge(run) }, null, 1)}\n`);
  }
  return failures.length === 0 ? 0 : 1;
}

function line(one: Measurement): string {
  const rate = `${perSecond(one).toFixed(0)}/s ${(one.bytes / 1000 / one.elapsedMs).toFixed(1)} MB/s`;
  const times = `p50 ${one.p50Ms.toFixed(2)} p99 ${one.p99Ms.toFixed(2)} ms`;
  const cpu = `cpu ${((one.serverCpuMs * 1000) / one.operations).toFixed(0)} µs/op, client ${((one.clientCpuMs * 1000) / one.operations).toFixed(0)} µs/op`;
  return `${rate}, ${times}, ${cpu}, ${(one.memoryTreeBytes / 1e6).toFixed(0)} MB`;
}

if (values.help) say(help);
else if (values.list) say([...allCases.map((one) => one.name), ...extras].join('\n'));
else process.exit(await main());
