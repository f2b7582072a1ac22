// `causeway audit`: whether the audit log is whole and unchanged, and its records for other programs.
import type { Config } from '../base/config.ts';
import { configHelp, configOf, configOptions, readWords, usage } from './arguments.ts';
import {
  type AuditFinding,
  type AuditSum,
  type Command,
  exitCode,
  type Server,
  type Surroundings,
} from './contract.ts';
import { findingsMax } from './fsck.ts';
import { refuse, say } from './refuse.ts';

const options = {
  ...configOptions,
  head: { type: 'string', multiple: true },
  from: { type: 'string' },
  to: { type: 'string' },
  account: { type: 'string' },
  format: { type: 'string' },
} as const;

const exportOnly = ['from', 'to', 'account', 'format'] as const;

export const audit: Command = {
  summary: 'verify and export the audit log',
  help: `causeway audit verify --data DIR [--head CHAIN:SEQ:HASH]... [options]
causeway audit export --data DIR [--from TIME] [--to TIME] [--account NAME] [--format jsonl|csv] [options]

verify  finds every record that was removed or changed: exits with 0 when there is none, and with 1 when there is, or when
        what the log is checked against is damaged
export  prints the records of requests, in the columns of Azure's StorageBlobLogs table

Both only read, and work with and without a server running on the data.

Options:
  --head C:S:H        what record S of chain C hashed to, from an 'audit head' line of the server's log: found is also
                      whoever changed both the audit log and what it is checked against
  --from TIME         requests from this time on (2026-01-31T12:00:00Z)
  --to TIME           requests before this time
  --account NAME      requests of this account
  --format FORMAT     jsonl (as it is by default) or csv
  --json              what verify finds as one object; export prints JSON, a line each, in any case
${configHelp}
  --help              show this

Example:
  causeway audit verify --data /srv/causeway`,

  async run(words, surroundings) {
    const read = readWords(words, options);
    if (read.kind === 'usage') return refuse(read, surroundings);
    const [action, ...operands] = read.operands;
    if (action !== 'verify' && action !== 'export') {
      return refuse(usage('audit needs verify or export'), surroundings);
    }
    if (operands.length > 0) return refuse(usage(`audit ${action} takes no operands`), surroundings);
    const { flags } = read;
    const outcome = configOf(flags);
    if (outcome.kind === 'usage') return refuse(outcome, surroundings);

    if (action === 'verify') {
      const wrong = exportOnly.find((name) => flags[name] !== undefined);
      if (wrong !== undefined) return refuse(usage(`--${wrong} is for export only`), surroundings);
      const heads = (Array.isArray(flags.head) ? (flags.head as string[]) : []).map(headOf);
      if (heads.includes(undefined)) return refuse(usage('--head must be CHAIN:SEQ:HASH'), surroundings);
      const known = heads.filter((head) => head !== undefined);
      return await verify(outcome.config, known, surroundings);
    }
    if (flags.head !== undefined) return refuse(usage('--head is for verify only'), surroundings);
    const { format = 'jsonl', account } = flags;
    if (format === 'csv' && surroundings.json) return refuse(usage('--format csv is not for --json'), surroundings);
    if (format !== 'jsonl' && format !== 'csv') return refuse(usage('--format must be jsonl or csv'), surroundings);
    const [fromMs, toMs] = [timeOf(flags.from), timeOf(flags.to)];
    if (fromMs === 'invalid' || toMs === 'invalid') {
      return refuse(usage('--from and --to must be times such as 2026-01-31T12:00:00Z'), surroundings);
    }
    const server = await surroundings.server();
    const wanted = { format, fromMs, toMs, account: typeof account === 'string' ? account : undefined } as const;
    return server.auditExport(outcome.config, wanted, {
      out: surroundings.out,
      drained: surroundings.drained ?? (async () => undefined),
      progress: surroundings.progress,
    });
  },
};

async function verify(
  config: Config,
  heads: Parameters<Server['auditVerify']>[1],
  surroundings: Surroundings,
): Promise<number> {
  const server = await surroundings.server();
  const findings: AuditFinding[] = [];
  let count = 0;
  const sum = await server.auditVerify(config, heads, {
    progress: surroundings.progress,
    finding(found) {
      count++;
      if (surroundings.json !== true) surroundings.out(findingLine(found));
      else if (findings.length < findingsMax) findings.push(found);
    },
  });
  const told = { findings, ...(count > findings.length && { findingsLeftOut: count - findings.length }) };
  say(surroundings, { ...(sum ?? { chains: null }), ...told }, () => (sum === undefined ? [] : [sumLine(sum, count)]));
  return sum !== undefined && count === 0 ? exitCode.done : exitCode.failed;
}

function findingLine({ chain, seq, file, what }: AuditFinding): string {
  const where = [chain && `chain ${chain}`, seq !== undefined && `record ${seq}`, file && `file ${file}`];
  const place = where.filter(Boolean).join(', ');
  return place === '' ? what : `${place}: ${what}`;
}

function sumLine({ chains, files, records, gapRecords, torn }: AuditSum, findings: number): string {
  const gaps = gapRecords === 0 ? '' : `, ${gapRecords} records missing in gaps that the log tells of`;
  const cut = torn === 0 ? '' : `, ${torn} torn ends of a crash`;
  return `${chains} chains, ${files} files, ${records} records${gaps}${cut}, ${findings} findings`;
}

function headOf(text: string): { chain: string; seq: number; hash: string } | undefined {
  const parts = /^([0-9a-f]{32}):(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  return parts === null ? undefined : { chain: parts[1] as string, seq: Number(parts[2]), hash: parts[3] as string };
}

function timeOf(text: unknown): number | undefined | 'invalid' {
  if (typeof text !== 'string') return undefined;
  const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  return Number.isNaN(ms) ? 'invalid' : ms;
}
