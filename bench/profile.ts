// Where a server's processor time goes in one case: runs it under V8's profiler and prints the functions with the most time of their own.
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { allCases, scales } from './cases.ts';
import { Fleet } from './fleet.ts';
import { Load } from './load.ts';
import { projectRoot, type ServerName } from './servers.ts';
import { perSecond } from './statistics.ts';

const help = `bin/node bench/profile.ts --case NAME [--server causeway|bare|azurite] [--seconds 5] [--top 30] [--workers N]
                          [--causeway-args ARGS] [--keep DIR]
Names of cases: npm run bench -- --list. --keep leaves the .cpuprofile files in DIR for a browser's flame graph.`;

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}
/** The format of V8's .cpuprofile; times are CLOCK_MONOTONIC in microseconds. */
interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const { values } = parseArgs({
  options: {
    case: { type: 'string' },
    server: { type: 'string', default: 'causeway' },
    seconds: { type: 'string', default: '5' },
    top: { type: 'string', default: '30' },
    workers: { type: 'string' },
    'causeway-args': { type: 'string', default: '' },
    keep: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const one = allCases.find((each) => each.name === values.case);
  if (values.help || one === undefined) {
    console.log(help);
    return values.help ? 0 : 2;
  }
  const name = values.server as ServerName;
  const folder = join(projectRoot, '.cache', `profile-${process.pid}`);
  const profiles = values.keep ?? join(folder, 'profiles');
  mkdirSync(profiles, { recursive: true });
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

  const scale = { ...scales.quick, measureMs: Number(values.seconds) * 1000, warmMs: 1000 };
  const environment = { NODE_OPTIONS: `--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${profiles}` };
  const workers = values.workers === undefined ? availableParallelism() : Number(values.workers);
  const causewayArguments = values['causeway-args'].split(' ').filter((part) => part !== '');
  using load = new Load();
  const fleet = new Fleet({ names: [name], folder, workers, causewayArguments, environment }, load, scale);
  const primary = (await fleet.turn(name)).pids[0];
  const measured = await fleet.measure(name, one, 0);
  if (measured.errors > 0) console.log(`${measured.errors} wrong answers, the first: ${measured.firstError}`);
  await fleet.stopAll();

  const cpuUs = (measured.serverCpuMs * 1000) / measured.operations;
  console.log(
    `${one.name} on ${name}, profiled: ${perSecond(measured).toFixed(0)}/s, p50 ${measured.p50Ms.toFixed(2)} ms, ` +
      `p99 ${measured.p99Ms.toFixed(2)} ms, server ${cpuUs.toFixed(1)} µs/op`,
  );
  const files = readdirSync(profiles).filter((file) => file.endsWith('.cpuprofile'));
  if (files.length === 0) console.log('No profile was written: did the server end by itself at SIGTERM?');
  for (const file of files) {
    // CPU.<date>.<time>.<pid>.<tid>.<sequence>.cpuprofile
    const [, , , pid, thread] = file.split('.');
    const role = Number(pid) === primary ? 'primary' : 'worker';
    const profile = JSON.parse(readFileSync(join(profiles, file), 'utf8')) as CpuProfile;
    print(`${role} ${pid}, thread ${thread}`, profile, measured.windowUs, measured.operations);
  }
  return 0;
}

function print(title: string, profile: CpuProfile, window: readonly [number, number], operations: number): void {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const functions = new Map<string, number>();
  const places = new Map<string, number>();
  let busyUs = 0;
  let idleUs = 0;
  let at = profile.startTime;
  profile.samples.forEach((id, index) => {
    at += profile.timeDeltas[index] as number;
    // A sample stands for the time until the next one.
    const spentUs = Math.max(0, profile.timeDeltas[index + 1] ?? 0);
    if (at < window[0] || at > window[1]) return;
    const { functionName, url, lineNumber } = (nodes.get(id) as ProfileNode).callFrame;
    if (functionName === '(idle)') {
      idleUs += spentUs;
      return;
    }
    busyUs += spentUs;
    const place = placeOf(functionName, url);
    const label = `${functionName || '(anonymous)'}${url === '' ? '' : ` ${shortUrl(url)}:${lineNumber + 1}`}`;
    functions.set(label, (functions.get(label) ?? 0) + spentUs);
    places.set(place, (places.get(place) ?? 0) + spentUs);
  });
  if (busyUs === 0) return;
  const busyShare = (100 * busyUs) / (busyUs + idleUs);
  console.log(`\n## ${title}: busy ${busyShare.toFixed(0)} % of the window, ${(busyUs / 1000).toFixed(0)} ms\n`);
  printTable('Function', functions, busyUs, operations, Number(values.top));
  console.log('');
  printTable('Where', places, busyUs, operations, 20);
}

/** Microseconds an operation: of all operations of the run, whichever process served them. */
function printTable(
  header: string,
  spent: ReadonlyMap<string, number>,
  busyUs: number,
  operations: number,
  top: number,
): void {
  console.log(`| self % | µs/op | ${header} |\n| ---: | ---: | --- |`);
  const rows = [...spent].sort((a, b) => b[1] - a[1]).slice(0, top);
  for (const [label, us] of rows) {
    console.log(`| ${((100 * us) / busyUs).toFixed(1)} | ${(us / operations).toFixed(2)} | ${label} |`);
  }
}

function shortUrl(url: string): string {
  if (!url.startsWith('file:')) return url;
  const path = fileURLToPath(url);
  const packages = path.lastIndexOf('/node_modules/');
  if (packages !== -1) return path.slice(packages + 1);
  return path.startsWith(projectRoot) ? path.slice(projectRoot.length + 1) : basename(path);
}

/** The file of the project, the package, or the part of Node. */
function placeOf(functionName: string, url: string): string {
  if (url === '') return functionName.startsWith('(') ? functionName : '(native function)';
  const short = shortUrl(url);
  const inPackage = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(short)?.[1];
  return inPackage === undefined ? short : `package ${inPackage}`;
}

process.exit(await main());
