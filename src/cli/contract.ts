// What a command is given, and what it needs of the server; the composition root fits it by its shape.
import type { Config } from '../base/config.ts';
import type { Progress } from './progress.ts';

/** Exit codes that commands share. A bad command line or setting is told apart from work that failed. */
export const exitCode = { done: 0, failed: 1, usage: 2 } as const;

/** What a management command answers. The shapes of input and value are the server's: docs/management.md lists them. */
export type ManagementAnswer =
  | { readonly kind: 'done'; readonly value: object }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

/** `server.ts`, as far as the command line sees it. */
export interface Server {
  /** Resolves with the exit code when the server has stopped; tells the addresses that clients reach it at. */
  serve(config: Config, ready: (urls: { readonly blob: string; readonly admin: string }) => void): Promise<number>;
  /** Runs a management command through the server that runs on the data, or else on the data itself. */
  manage(config: Config, command: string, input: object): Promise<ManagementAnswer>;
  /** Undefined where the data is too damaged to be opened: a finding says how. */
  fsck(config: Config, report: FindingReport<string>): Promise<FsckSum | undefined>;
  /** Undefined where what the log is checked against is damaged. */
  auditVerify(
    config: Config,
    heads: readonly { readonly chain: string; readonly seq: number; readonly hash: string }[],
    report: FindingReport<AuditFinding>,
  ): Promise<AuditSum | undefined>;
  /** Resolves with the exit code. */
  auditExport(
    config: Config,
    wanted: {
      readonly format: 'jsonl' | 'csv';
      readonly fromMs: number | undefined;
      readonly toMs: number | undefined;
      readonly account: string | undefined;
    },
    report: {
      readonly out: (line: string) => void;
      readonly drained: () => Promise<void>;
      readonly progress?: Progress | undefined;
    },
  ): Promise<number>;
}

interface FindingReport<Finding> {
  readonly finding: (found: Finding) => void;
  readonly progress?: Progress | undefined;
}

export interface FsckSum {
  readonly damage: number;
  readonly orphans: { readonly extents: number; readonly bytes: number };
  readonly entries: number;
  readonly bytes: number;
}

export interface AuditFinding {
  readonly chain?: string;
  readonly seq?: number;
  readonly file?: string;
  readonly what: string;
}

export interface AuditSum {
  readonly chains: number;
  readonly files: number;
  readonly records: number;
  readonly gapRecords: number;
  readonly torn: number;
}

export interface Surroundings {
  readonly out: (line: string) => void;
  /** Resolves when what was said on `out` is taken: whoever says much waits for it now and then. */
  readonly drained?: () => Promise<void>;
  readonly err: (line: string) => void;
  /** Whether what is said is JSON: one object on `out`, or else one on `err` (`--json`, which every command takes). */
  readonly json?: boolean;
  /** Shows how far a long command is; absent where nobody watches. */
  readonly progress?: Progress | undefined;
  /** Loaded only by a command that needs it, so that help and version are quick. */
  readonly server: () => Promise<Server>;
}

export interface Command {
  /** Its line in the list of commands. */
  readonly summary: string;
  readonly help: string;
  run(words: readonly string[], surroundings: Surroundings): Promise<number>;
}
