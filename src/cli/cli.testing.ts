// A command line against a server that answers as it is told.
import type { Config } from '../base/config.ts';
import type { AuditFinding, ManagementAnswer, Server } from './contract.ts';
import { run } from './run.ts';

export const done = (value: object): ManagementAnswer => ({ kind: 'done', value });
export const refused = (code: string, message: string): ManagementAnswer => ({ kind: 'refused', code, message });

interface Answers {
  /** One a call; the last one answers all further calls. */
  answers?: readonly ManagementAnswer[];
  code?: number;
  error?: Error;
  /** What fsck and audit verify find; undefined is nothing. */
  findings?: readonly string[];
  isTerminal?: boolean;
}

/** Runs a command line against a server that answers as told, and notes what it was asked. */
export async function cli(line: string | readonly string[], answers: Answers = {}) {
  const asked: { what: string; config: Config; rest: unknown[] }[] = [];
  const note = (what: string, config: Config, ...rest: unknown[]) => {
    asked.push({ what, config, rest });
    if (answers.error !== undefined) throw answers.error;
  };
  const told = [
    ...(answers.answers ?? [
      {
        kind: 'done',
        value: { name: 'photos', keys: ['a2V5', 'b3RoZXI='], connectionString: 'AccountName=photos;' },
      } as const,
    ]),
  ];
  const server: Server = {
    serve: async (config, ready) => {
      note('serve', config);
      ready({ blob: 'http://h:1', admin: 'http://h:2' });
      return answers.code ?? 0;
    },
    manage: async (config, command, input) => {
      note(command, config, input);
      return (told.length > 1 ? told.shift() : told[0]) as ManagementAnswer;
    },
    auditVerify: async (config, heads, { finding }) => {
      note('auditVerify', config, heads);
      for (const what of answers.findings ?? []) finding({ chain: 'c', seq: 7, what } satisfies AuditFinding);
      return { chains: 1, files: 2, records: 3, gapRecords: 0, torn: 0 };
    },
    auditExport: async (config, wanted) => {
      note('auditExport', config, wanted);
      return answers.code ?? 0;
    },
    fsck: async (config, { finding }) => {
      note('fsck', config);
      const { findings = [] } = answers;
      for (const what of findings) finding(what);
      return { entries: 12, bytes: 34, orphans: { extents: 0, bytes: 0 }, damage: findings.length };
    },
  };
  const out: string[] = [];
  const err: string[] = [];
  const words = typeof line === 'string' ? line.split(' ').filter(Boolean) : line;
  const code = await run(words, {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    progress: answers.isTerminal ? () => undefined : undefined,
    server: async () => server,
  });
  return { code, out: out.join('\n'), err: err.join('\n'), asked, first: asked[0] };
}
