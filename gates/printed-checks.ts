// Checks that a program in another language runs: what it is told of the server, and a row for each line that it prints.
import { describeStage, type EntraStage } from './entra.ts';
import type { GateContext, GateRow } from './gate.ts';
import { type Managed, stagesOf } from './manage.ts';
import { runProcess } from './process.ts';
import type { Recorder } from './recorder.ts';

const checksTimeoutMs = 600_000;

export interface Program {
  /** As in "the script ran to its end". */
  readonly what: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** As `printRows`, with what the program is told of the server and its stages. */
export async function runPrintedChecks(
  context: GateContext,
  checks: Recorder,
  stages: { readonly managed: Managed | undefined; readonly entra: EntraStage },
  program: Program,
): Promise<void> {
  const { account, key, blob } = context.server;
  const { managed, entra } = stages;
  const env = {
    GATE_BLOB: blob,
    GATE_ACCOUNT: account,
    GATE_KEY: key,
    GATE_WORK: context.workDir,
    GATE_STAGES: JSON.stringify(stagesOf(managed, entra)),
    GATE_ENTRA: describeStage(entra, await entra.strangerToken()),
    ...program.env,
  };
  await printRows(checks, { ...program, env });
}

/** Rows are lines of JSON on its standard output; that it ended well is a check of its own. */
export async function printRows(checks: Recorder, program: Program): Promise<void> {
  const { command, args, env = {} } = program;
  const ran = await runProcess(command, args, { env, timeoutMs: checksTimeoutMs });
  for (const line of ran.stdout.split('\n')) if (line.startsWith('{')) checks.add(JSON.parse(line) as GateRow);
  await checks.check(`the ${program.what} ran to its end`, async () => {
    if (ran.timedOut) throw new Error(`no end after ${checksTimeoutMs} ms`);
    if (ran.code !== 0) throw new Error(`ended with ${ran.code ?? ran.signal}: ${ran.stderr.slice(-500)}`);
  });
}
