// Runs the gates: a fresh server for each, its table written and checked against what is expected.

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Gate, GateRow, RunningServer, ServerAccess, StartOptions } from './gate.ts';
import { developmentAccount, startServer } from './server.ts';
import { judge, readExpectations, recordExpectations, writeTable } from './table.ts';

const gatesDir = import.meta.dirname;
const root = join(gatesDir, '..');
const cacheDir = join(root, '.cache');

const { values: flags, positionals: named } = parseArgs({
  allowPositionals: true,
  options: {
    all: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    endpoint: { type: 'string' },
    account: { type: 'string', default: developmentAccount.account },
    key: { type: 'string', default: developmentAccount.key },
  },
});

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

// Whatever ends this process, no server that it started outlives it.
const running = new Set<RunningServer>();
process.on('exit', () => {
  for (const server of running) if (!server.ended() && server.pid > 0) process.kill(server.pid, 'SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const gate of await gatesToRun()) await runGate(gate, tally);
console.log(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
// A client that hangs in the background must not keep the runner from ending.
process.exit(tally.failed === 0 && tally.passed + tally.skipped > 0 ? 0 : 1);

async function gatesToRun(): Promise<Gate[]> {
  const folders = (await readdir(gatesDir, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && existsSync(join(gatesDir, entry.name, 'gate.ts')))
    .map((entry) => entry.name)
    .sort();
  const unknown = named.filter((name) => !folders.includes(name));
  if (unknown.length > 0) {
    console.error(`no gate is named ${unknown.join(', ')}; there are ${folders.join(', ')}`);
    process.exit(2);
  }
  const gates: Gate[] = [];
  for (const folder of named.length > 0 ? named : folders) {
    const module = (await import(pathToFileURL(join(gatesDir, folder, 'gate.ts')).href)) as { gate: Gate };
    if (module.gate.name !== folder) throw new Error(`the gate in ${folder} calls itself ${module.gate.name}`);
    if (!module.gate.slow || flags.all || named.includes(folder)) gates.push(module.gate);
  }
  return gates;
}

async function runGate(gate: Gate, tally: Tally): Promise<void> {
  console.log(`${gate.name}: ${flags.all ? 'full' : 'default'} set`);
  const log = (line: string): void => console.log(`  ${line}`);
  await mkdir(join(cacheDir, 'gates'), { recursive: true });
  const workDir = await mkdtemp(join(cacheDir, 'gates', `${gate.name}-`));
  const started: RunningServer[] = [];
  const start = async (options: StartOptions): Promise<RunningServer> => {
    const server = await startServer(root, workDir, options);
    started.push(server);
    running.add(server);
    return server;
  };
  const problems: string[] = [];
  let rows: GateRow[] = [];
  try {
    const main = flags.endpoint ? undefined : await start({ name: 'server' });
    const server = main?.access ?? givenServer(flags.endpoint ?? '');
    rows = await gate.run({ server, main, all: flags.all, workDir, cacheDir, log, startServer: start });
    const ended = main?.ended();
    if (ended) problems.push(`the server died in the middle: ${ended.code ?? ended.signal}, see ${main?.logPath}`);
    else if (main) {
      const code = await main.stop();
      if (code !== 0) problems.push(`the server ended with ${code ?? 'SIGKILL'} after SIGTERM, see ${main.logPath}`);
    }
  } catch (error) {
    problems.push(`the gate broke: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  } finally {
    for (const server of started) await server.kill();
    for (const server of started) running.delete(server);
  }
  const good = await report(gate, rows, problems, tally);
  if (good && !flags.keep) await rm(workDir, { recursive: true, force: true });
  else log(`kept: ${workDir}`);
}

/** Prints and writes what a gate found, and adds it to the tally; true when everything is as expected. */
async function report(gate: Gate, rows: GateRow[], problems: string[], tally: Tally): Promise<boolean> {
  const unable = rows.length === 1 && rows[0]?.check === 'platform' && rows[0].outcome === 'skip';
  if (unable && problems.length === 0) {
    tally.skipped += 1;
    return true;
  }
  const expectedPath = join(gatesDir, gate.name, 'expected.json');
  if (flags.record && problems.length === 0) await recordExpectations(expectedPath, rows, flags.all);
  const judgement = judge(rows, await readExpectations(expectedPath, flags.all));
  for (const { row, expected, good } of judgement.verdicts) {
    if (!good) problems.push(`${row.check}: expected ${expected?.outcome ?? 'no such check'}, was ${row.outcome}`);
    else if (row.outcome === 'skip') tally.skipped += 1;
    else tally.passed += 1;
  }
  problems.push(...judgement.missing.map((check) => `${check}: expected, but did not report`));
  if (rows.length === 0 && problems.length === 0) problems.push('the gate reported nothing');
  tally.failed += problems.length;
  for (const problem of problems) console.log(`  NOT AS EXPECTED ${problem}`);

  const set = flags.all ? 'full' : 'default';
  const directory = flags.endpoint ? join(cacheDir, 'gates', 'results') : join(gatesDir, 'results');
  const head = { gate: gate.name, server: flags.endpoint ? 'the given endpoint' : 'Causeway', set } as const;
  if (rows.length > 0) await writeTable(join(directory, `${gate.name}${flags.all ? '-all' : ''}.md`), head, judgement);
  return problems.length === 0;
}

function givenServer(endpoint: string): ServerAccess {
  const url = new URL(endpoint);
  if (url.pathname !== '/') throw new Error(`--endpoint is an origin without a path, not ${endpoint}`);
  return { blob: url.origin, admin: '', account: flags.account, key: flags.key };
}
