// Writes a run's figures as tables of ratios: which aims are met, and every case on every server.
import { type Aim, aims, growthFactorMax, sealedShareMin, sealedSuffix } from './cases.ts';
import type { DiskRate } from './disk.ts';
import type { GrowthStage } from './growth.ts';
import type { Measurement } from './load.ts';
import type { RestartResult } from './restart.ts';
import type { ServerName } from './servers.ts';
import { median, perSecond } from './statistics.ts';

export interface CaseResult {
  readonly name: string;
  readonly sizeBytes: number;
  readonly median: Partial<Record<ServerName, Measurement>>;
  readonly rounds: Partial<Record<ServerName, readonly Measurement[]>>;
}

export interface RunResult {
  readonly scale: string;
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly servers: readonly ServerName[];
  readonly cases: readonly CaseResult[];
  readonly heldNames: Partial<Record<ServerName, number>>;
  readonly disk: readonly DiskRate[];
  readonly restart: Partial<Record<ServerName, RestartResult>>;
  readonly growth: readonly GrowthStage[];
  readonly failures: readonly string[];
}

export interface Verdict {
  readonly aim: string;
  readonly wanted: number;
  readonly measured: number;
  readonly met: boolean;
}

/** Above this share of one core the client, not the server, may be what is measured. */
const clientBusyShare = 0.9;
const megabyteCases = 1024 * 1024;

export function judge(run: RunResult): Verdict[] {
  const verdicts: Verdict[] = [];
  const byName = new Map(run.cases.map((one) => [one.name, one.median]));
  for (const aim of aims) {
    const ours = byName.get(aim.case)?.causeway;
    const theirs = byName.get(aim.case)?.[aim.against];
    if (ours === undefined || theirs === undefined) continue;
    const measured = perSecond(ours) / perSecond(theirs);
    verdicts.push({ aim: aimText(aim), wanted: aim.factor, measured, met: measured >= aim.factor });
  }
  for (const { plain, sealed } of sealedPairs(run)) {
    const measured = perSecond(sealed) / perSecond(plain);
    const aim = `${plain.name}, encrypted: share of the throughput without`;
    verdicts.push({ aim, wanted: sealedShareMin, measured, met: measured >= sealedShareMin });
  }
  const first = run.growth[0];
  for (const stage of run.growth.slice(1)) {
    for (const kind of ['put', 'get', 'list'] as const) {
      const measured = perUnit(kind, first as GrowthStage) / perUnit(kind, stage);
      const aim = `growth: ${kind} at ${count(stage.names)} names, at most so many times slower than at ${count((first as GrowthStage).names)}`;
      verdicts.push({ aim, wanted: growthFactorMax, measured, met: measured <= growthFactorMax });
    }
  }
  return verdicts;
}

interface SealedPair {
  readonly plain: Measurement & { readonly name: string };
  readonly sealed: Measurement;
}

/** Cases that ran with encryption and without, one after the other. */
function sealedPairs(run: RunResult): SealedPair[] {
  const pairs: SealedPair[] = [];
  for (const one of run.cases) {
    if (!one.name.endsWith(sealedSuffix)) continue;
    const name = one.name.slice(0, -sealedSuffix.length);
    const plain = run.cases.find((other) => other.name === name)?.median.causeway;
    const sealed = one.median.causeway;
    if (plain !== undefined && sealed !== undefined) pairs.push({ plain: { ...plain, name }, sealed });
  }
  return pairs;
}

function encryptionTable(pairs: readonly SealedPair[]): string {
  const rate = (one: Measurement): number => one.bytes / 1000 / one.elapsedMs;
  const rows = pairs.map(({ plain, sealed }) => [
    plain.name,
    `${count(rate(plain))} MB/s`,
    `${count(rate(sealed))} MB/s`,
    figure(perSecond(sealed) / perSecond(plain)),
    cpuCell(plain.serverCpuMs, plain),
    cpuCell(sealed.serverCpuMs, sealed),
  ]);
  return table(['Case', 'plain', 'in a scope', 'share', 'µs an operation, plain', 'in a scope'], rows);
}

export function markdown(run: RunResult): string {
  const { servers } = run;
  const sections = [`# Bench, ${run.scale} run of ${run.date.slice(0, 10)}`];
  sections.push(
    'Written by `npm run bench`. All servers are measured by one client process on the same machine, in turns; figures ' +
      'are medians of the rounds. Causeway syncs every write before it answers; Azurite does not. "bare" is a ' +
      '`node:http` server in as many processes that discards what it is sent and serves from memory. A star marks a ' +
      `figure where the client was busy for more than ${clientBusyShare * 100} % of a core, so that the server may do better.`,
    table(
      ['Machine', ''],
      Object.entries(run.machine).map(([key, value]) => [key, String(value)]),
    ),
  );
  const verdicts = judge(run);
  if (verdicts.length > 0) {
    const rows = verdicts.map((one) => [one.aim, one.wanted, figure(one.measured), one.met ? 'met' : '**missed**']);
    sections.push('## Aims', table(['Aim', 'Wanted', 'Measured', ''], rows));
  }
  if (run.failures.length > 0) sections.push('## Failures', run.failures.map((one) => `- ${one}`).join('\n'));
  if (run.cases.length > 0) {
    sections.push(
      noiseText(run),
      '## Throughput',
      'Operations a second; MB/s for blobs of 8 MiB; List in names a second.',
      table(
        ['Case', ...servers, 'times Azurite', 'share of bare'],
        run.cases.map((one) => [
          one.name,
          ...servers.map((name) => rateCell(one, one.median[name])),
          ratio(one.median.causeway, one.median.azurite),
          ratio(one.median.causeway, one.median.bare),
        ]),
      ),
      '## Latency',
      'p50 / p99 in milliseconds.',
      table(
        ['Case', ...servers],
        run.cases.map((one) => [one.name, ...servers.map((name) => latencyCell(one.median[name]))]),
      ),
      '## Processor time',
      'Server microseconds an operation, over all its processes; then the client, in microseconds an operation.',
      table(
        ['Case', ...servers, 'Azurite to Causeway', ...servers.map((name) => `client on ${name}`)],
        run.cases.map((one) => [
          one.name,
          ...servers.map((name) => cpuCell(one.median[name]?.serverCpuMs, one.median[name])),
          cpuRatio(one.median),
          ...servers.map((name) => cpuCell(one.median[name]?.clientCpuMs, one.median[name])),
        ]),
      ),
      '## Memory',
      'The largest resident size while any case ran, in MB.',
      table(
        ['Server', 'all processes', 'largest process', 'in case'],
        servers.map((name) => memoryRow(run, name)),
      ),
    );
  }
  const pairs = sealedPairs(run);
  if (pairs.length > 0) sections.push('## Encryption', encryptionTable(pairs));
  if (run.disk.length > 0) sections.push('## Disk', diskText(run.disk, run.cases));
  if (Object.keys(run.restart).length > 0) sections.push('## Restart', restartTable(run));
  if (run.growth.length > 0) sections.push('## Growth', growthTable(run.growth));
  const held = Object.entries(run.heldNames);
  if (held.length > 0) {
    const text = held.map(([name, names]) => `${name} held ${count(names)} names`).join(', ');
    sections.push(`For List and restart, ${text}. Azurite deletes from a smaller set of blobs.`);
  }
  return `${sections.join('\n\n')}\n`;
}

/** A run on a busy machine says so itself. */
function noiseText(run: RunResult): string {
  const shares = run.cases.flatMap((one) => Object.values(one.median).map((measured) => measured.othersShare));
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  return (
    'While the cases ran, the rest of the machine and its host took ' +
    `${percent(median(shares))} of its processors in the median case, ${percent(Math.max(0, ...shares))} at most.`
  );
}

function aimText(aim: Aim): string {
  return aim.against === 'bare' ? `${aim.case}: share of the bare server` : `${aim.case}: times Azurite`;
}

function perUnit(kind: 'put' | 'get' | 'list', stage: GrowthStage): number {
  // A first stage smaller than a page has smaller pages: the rate of names is what compares.
  return kind === 'list' ? perSecond(stage.list) * Math.min(5000, stage.names) : perSecond(stage[kind]);
}

function rateCell(one: CaseResult, measured: Measurement | undefined): string {
  if (measured === undefined) return '–';
  const busy = measured.clientCpuMs / measured.elapsedMs > clientBusyShare ? '*' : '';
  if (one.name.startsWith('list')) return `${count(perSecond(measured) * 5000)}${busy}`;
  if (one.sizeBytes >= megabyteCases) return `${count(measured.bytes / 1000 / measured.elapsedMs)} MB/s${busy}`;
  return `${figure(perSecond(measured))}${busy}`;
}

function latencyCell(measured: Measurement | undefined): string {
  return measured === undefined ? '–' : `${measured.p50Ms.toFixed(2)} / ${measured.p99Ms.toFixed(2)}`;
}

function cpuCell(cpuMs: number | undefined, measured: Measurement | undefined): string {
  if (cpuMs === undefined || measured === undefined || measured.operations === 0) return '–';
  return figure((cpuMs * 1000) / measured.operations);
}

function cpuRatio(medians: CaseResult['median']): string {
  const { causeway, azurite } = medians;
  if (causeway === undefined || azurite === undefined || causeway.serverCpuMs === 0) return '–';
  return figure(azurite.serverCpuMs / azurite.operations / (causeway.serverCpuMs / causeway.operations));
}

function ratio(ours: Measurement | undefined, theirs: Measurement | undefined): string {
  if (ours === undefined || theirs === undefined || theirs.operations === 0) return '–';
  return figure(perSecond(ours) / perSecond(theirs));
}

function memoryRow(run: RunResult, name: ServerName): string[] {
  let tree = 0;
  let largest = 0;
  let where = '–';
  for (const one of run.cases) {
    const measured = one.median[name];
    if (measured === undefined) continue;
    if (measured.memoryProcessBytes > largest) where = one.name;
    tree = Math.max(tree, measured.memoryTreeBytes);
    largest = Math.max(largest, measured.memoryProcessBytes);
  }
  return [name, count(tree / 1e6), count(largest / 1e6), where];
}

function diskText(disk: readonly DiskRate[], cases: readonly CaseResult[]): string {
  const direct = disk.map((one) => one.directMBps).filter((one) => one !== undefined);
  const rate = direct.length === 0 ? 'refused by this file system' : `${count(median(direct))} MB/s`;
  const buffered = `${count(median(disk.map((one) => one.bufferedMBps)))} MB/s`;
  const puts = cases.filter((one) => one.name.startsWith('put-8m')).map((one) => one.median.causeway);
  const best = Math.max(0, ...puts.map((one) => (one === undefined ? 0 : one.bytes / 1000 / one.elapsedMs)));
  const share =
    best === 0 || direct.length === 0
      ? ''
      : ` Causeway's best 8 MiB PUT is ${figure(best / median(direct))} of the former.`;
  const text = 'Sequential writes of 1 MiB, four in flight, durable at the end';
  return `${text}: direct ${rate}, through the page cache ${buffered}.${share}`;
}

function restartTable(run: RunResult): string {
  const rows = Object.entries(run.restart).map(([name, one]) => [
    name,
    count(one.names),
    ...[one.stopMs, one.startMs, one.startAfterKillMs].map((times) => `${count(median(times))} ms`),
    `${one.lostAfterKill} of ${one.lastWrites}`,
  ]);
  const header = [
    'Server',
    'names',
    'stop',
    'start to first answer',
    'the same after kill -9',
    'last writes lost by kill -9',
  ];
  return table(header, rows);
}

function growthTable(growth: readonly GrowthStage[]): string {
  const cell = (one: Measurement): string =>
    `${figure(perSecond(one))}/s, ${cpuCell(one.serverCpuMs, one)} µs, p99 ${one.p99Ms.toFixed(2)} ms`;
  const rows = growth.map((stage) => [
    count(stage.names),
    cell(stage.put),
    cell(stage.get),
    cell(stage.list),
    `${count(stage.fillPerSecond)}/s`,
  ]);
  const header = ['Names', 'PUT of a new name', 'GET of a random name', 'List page', 'loading'];
  return `Causeway alone, content of 64 bytes, 16 connections, List by one. The µs are the server's, an operation.\n\n${table(header, rows)}`;
}

function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Three digits that mean something. */
function figure(value: number): string {
  return value >= 100 ? count(value) : value.toPrecision(value >= 1 ? 3 : 2);
}
