// What a command is given, and what it needs of the server; the composition root fits it by its shape.
import type { Config } from '../base/config.ts';

/** Exit codes that commands share. A bad command line or setting is told apart from work that failed. */
export const exitCode = { done: 0, failed: 1, usage: 2 } as const;

/** What a management command answers. The shapes of input and value are the server's: docs/management.md lists them. */
export type ManagementAnswer =
  | {
      readonly kind: 'done';
      readonly value: object;
      /** `http://host:port` of the Blob API of a server that runs on the data; absent when none does. */
      readonly blob?: string;
    }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

/** `server.ts`, as far as the command line sees it. */
export interface Server {
  /** Resolves with the exit code when the server has stopped. */
  serve(config: Config): Promise<number>;
  /** Runs a management command through the server that runs on the data, or else on the data itself. */
  manage(config: Config, command: string, input: object): Promise<ManagementAnswer>;
  /** Resolves with the exit code. */
  fsck(config: Config, report: { out: (line: string) => void }): Promise<number>;
  /** Resolve with the exit code. */
  auditVerify(
    config: Config,
    heads: readonly { readonly chain: string; readonly seq: number; readonly hash: string }[],
    report: AuditReport,
  ): Promise<number>;
  auditExport(
    config: Config,
    wanted: {
      readonly format: 'jsonl' | 'csv';
      readonly fromMs: number | undefined;
      readonly toMs: number | undefined;
      readonly account: string | undefined;
    },
    report: AuditReport,
  ): Promise<number>;
}

interface AuditReport {
  readonly out: (line: string) => void;
  readonly drained: () => Promise<void>;
}

export interface Surroundings {
  readonly out: (line: string) => void;
  /** Resolves when what was said on `out` is taken: whoever says much waits for it now and then. */
  readonly drained?: () => Promise<void>;
  readonly err: (line: string) => void;
  /** Loaded only by a command that needs it, so that help and version are quick. */
  readonly server: () => Promise<Server>;
}

export interface Command {
  /** Its line in the list of commands. */
  readonly summary: string;
  readonly help: string;
  run(words: readonly string[], surroundings: Surroundings): Promise<number>;
}
