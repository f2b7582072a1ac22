// `causeway audit`: whether the audit log is whole and unchanged, and its records for other programs.
import { configHelp, configOf, configOptions, readWords, usage } from './arguments.ts';
import type { Command } from './contract.ts';
import { refuse } from './refuse.ts';

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
    const report = { out: surroundings.out, drained: surroundings.drained ?? (async () => undefined) };

    if (action === 'verify') {
      const wrong = exportOnly.find((name) => flags[name] !== undefined);
      if (wrong !== undefined) return refuse(usage(`--${wrong} is for export only`), surroundings);
      const heads = (Array.isArray(flags.head) ? (flags.head as string[]) : []).map(headOf);
      if (heads.includes(undefined)) return refuse(usage('--head must be CHAIN:SEQ:HASH'), surroundings);
      const server = await surroundings.server();
      return server.auditVerify(
        outcome.config,
        heads.filter((head) => head !== undefined),
        report,
      );
    }
    if (flags.head !== undefined) return refuse(usage('--head is for verify only'), surroundings);
    const { format = 'jsonl', account } = flags;
    if (format !== 'jsonl' && format !== 'csv') return refuse(usage('--format must be jsonl or csv'), surroundings);
    const [fromMs, toMs] = [timeOf(flags.from), timeOf(flags.to)];
    if (fromMs === 'invalid' || toMs === 'invalid') {
      return refuse(usage('--from and --to must be times such as 2026-01-31T12:00:00Z'), surroundings);
    }
    const server = await surroundings.server();
    const wanted = { format, fromMs, toMs, account: typeof account === 'string' ? account : undefined } as const;
    return server.auditExport(outcome.config, wanted, report);
  },
};

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
