// Runs the pinned AzCopy: its installation, its environment, and its JSON messages turned into outcomes.

import { chmodSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GateContext } from '../gate.ts';
import { debianPackage, npmPackages } from '../install.ts';
import { describeEnd, type ProcessResult, runOrThrow, runProcess } from '../process.ts';
import { accountSas, blobUrl } from '../sas.ts';

const azcopyVersion = '10.32.2';
const jobTimeoutMs = 300_000;

export interface JobSummary {
  readonly jobId: string;
  readonly status: string;
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Of a sync with --delete-destination. */
  readonly deleted: number;
}

export interface ListedObject {
  readonly path: string;
  readonly size: number;
}

export interface JobLog {
  readonly text: string;
  /** How many requests with this method and `comp` (empty for none) the job sent, retries included. */
  count(method: string, comp: string): number;
}

export interface AzCopy {
  readonly version: string;
  /** The program, and the environment that keeps it to the work directory. */
  readonly program: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A container's or a blob's address with the account SAS, or another; `/*` at the end is AzCopy's wildcard. */
  url(path: string, sas?: string): string;
  readonly sas: string;
  /** Runs a job to its end; throws unless it completed without a failed transfer. */
  job(args: readonly string[], options?: { input?: string | Uint8Array }): Promise<JobSummary>;
  /** Runs a job and resolves with its summary, whatever became of it. */
  attempt(args: readonly string[]): Promise<JobSummary>;
  /** Runs a command that starts no job, or whose output is what it is for. */
  raw(args: readonly string[], options?: { input?: string | Uint8Array }): Promise<ProcessResult>;
  /** Starts a job and kills it as soon as `until` resolves; resolves with the job's id. */
  killed(args: readonly string[], until: () => Promise<void>): Promise<string>;
  list(path: string): Promise<ListedObject[]>;
  log(jobId: string): Promise<JobLog>;
}

export async function installAzCopy(context: GateContext): Promise<AzCopy> {
  const directory = await npmPackages(context, `azcopy-${azcopyVersion}`, {
    '@azure-tools/azcopy-linux': azcopyVersion,
  });
  const cpu = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const program = join(directory, 'node_modules', '@azure-tools', 'azcopy-linux', 'dist', 'bin', `azcopy_linux_${cpu}`);
  chmodSync(program, 0o755);
  const starts = async (): Promise<boolean> => (await runProcess(program, ['--version'])).code === 0;
  await debianPackage(context, 'libsecret-1-0', starts);
  const { stdout } = await runOrThrow(program, ['--version']);
  return azcopyClient(context, program, stdout.trim().replace('azcopy version ', ''));
}

/** The same program with a home of its own and more in its environment, such as whom it signs in as. */
export function azcopyWith(
  context: GateContext,
  azcopy: AzCopy,
  home: string,
  more: Readonly<Record<string, string>>,
): AzCopy {
  return azcopyClient(context, azcopy.program, azcopy.version, home, more);
}

function azcopyClient(
  context: GateContext,
  program: string,
  version: string,
  homeName = 'azcopy',
  more: Readonly<Record<string, string>> = {},
): AzCopy {
  const home = join(context.workDir, homeName);
  const logs = join(home, 'logs');
  const plans = join(home, 'plans');
  for (const directory of [logs, plans]) mkdirSync(directory, { recursive: true });
  const env = {
    HOME: home,
    AZCOPY_LOG_LOCATION: logs,
    AZCOPY_JOB_PLAN_LOCATION: plans,
    AZCOPY_CONCURRENCY_VALUE: '16',
    AZCOPY_DISABLE_SYSLOG: 'true',
    // No login of this machine's may help: what passes, passes with the SAS alone.
    AZCOPY_AUTO_LOGIN_TYPE: undefined,
    AZCOPY_DEFAULT_SERVICE_API_VERSION: undefined,
    ...more,
  };
  const sas = accountSas(context.server);
  const raw: AzCopy['raw'] = (args, options = {}) =>
    runProcess(program, args, { env, timeoutMs: jobTimeoutMs, ...options });

  const log = async (jobId: string): Promise<JobLog> => {
    const text = await readFile(join(logs, `${jobId}.log`), 'utf8');
    return { text, count: (method, comp) => countRequests(text, method, comp) };
  };
  const attempt = async (args: readonly string[], options = {}): Promise<JobSummary> => {
    const result = await raw([...args, '--output-type', 'json'], options);
    const summary = lastSummary(result.stdout);
    if (!summary) throw new Error(describeMessages(`azcopy ${args[0]}`, result));
    return summary;
  };

  return {
    version,
    program,
    environment: env,
    sas,
    raw,
    log,
    attempt,
    url: (path, query = sas) => `${blobUrl(context.server, path).href}?${query}`,
    async job(args, options) {
      const summary = await attempt(args, options);
      if (summary.status === 'Completed' && summary.failed === 0) return summary;
      const failures = (await log(summary.jobId)).text.split('\n').filter((line) => /\bERR\b|[A-Z]+FAILED/.test(line));
      const counts = `${summary.completed} of ${summary.total} done, ${summary.failed} failed, ${summary.skipped} skipped`;
      throw new Error(`azcopy ${args[0]}: ${summary.status}, ${counts}: ${failures.slice(0, 3).join(' | ')}`);
    },
    async killed(args, until) {
      const { promise: pid, resolve: onStart } = Promise.withResolvers<number>();
      const running = runProcess(program, [...args, '--output-type', 'json'], {
        env,
        timeoutMs: jobTimeoutMs,
        onStart,
      });
      await Promise.race([until(), running]);
      process.kill(await pid, 'SIGKILL');
      const result = await running;
      const jobId = /"JobID\\?":\\?"([0-9a-f-]{36})/.exec(result.stdout)?.[1];
      if (result.signal !== 'SIGKILL' || !jobId) throw new Error(describeMessages('the job to kill', result));
      return jobId;
    },
    async list(path) {
      const args = ['list', `${blobUrl(context.server, path).href}?${sas}`, '--location', 'Blob', '--machine-readable'];
      const result = await raw([...args, '--output-type', 'json']);
      if (result.code !== 0) throw new Error(describeMessages('azcopy list', result));
      return messages(result.stdout)
        .filter((message) => message.type === 'ListObject')
        .map((message) => JSON.parse(message.content) as { Path: string; ContentLength: string })
        .map((object) => ({ path: object.Path, size: Number(object.ContentLength) }));
    },
  };
}

interface Message {
  readonly type: string;
  readonly content: string;
}

function messages(output: string): Message[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { MessageType: string; MessageContent: string })
    .map((message) => ({ type: message.MessageType, content: message.MessageContent }));
}

type SummaryField =
  | 'JobID'
  | 'JobStatus'
  | 'TotalTransfers'
  | 'TransfersCompleted'
  | 'TransfersFailed'
  | 'TransfersSkipped'
  | 'DeleteTransfersCompleted';

function lastSummary(output: string): JobSummary | undefined {
  const end = messages(output).findLast((message) => message.type === 'EndOfJob');
  if (!end?.content) return undefined;
  const fields = JSON.parse(end.content) as Record<SummaryField, string | undefined>;
  const number = (name: SummaryField): number => Number(fields[name] ?? 0);
  return {
    jobId: fields.JobID ?? '',
    status: fields.JobStatus ?? '',
    total: number('TotalTransfers'),
    completed: number('TransfersCompleted'),
    failed: number('TransfersFailed'),
    skipped: number('TransfersSkipped'),
    deleted: number('DeleteTransfersCompleted'),
  };
}

function describeMessages(what: string, result: ProcessResult): string {
  const errors = messages(result.stdout).filter((message) => message.type === 'Error' || message.type === 'Prompt');
  if (errors.length === 0) return describeEnd(what, { ...result, stdout: result.stdout.slice(-800) });
  return `${what}: ${errors.map((message) => message.content).join(' | ')}`;
}

/** The job log has a line a request: `   PUT http://...?comp=block&...`. */
function countRequests(text: string, method: string, comp: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`   ${method} http`));
  return lines.filter((line) => (/[?&]comp=([a-z]+)/.exec(line)?.[1] ?? '') === comp).length;
}
