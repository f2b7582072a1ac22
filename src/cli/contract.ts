// What a command is given, and what it needs of the server; the composition root fits it by its shape.
import type { Config } from '../base/config.ts';

/** Exit codes that commands share. A bad command line or setting is told apart from work that failed. */
export const exitCode = { done: 0, failed: 1, usage: 2 } as const;

export interface AccountRecord {
  readonly name: string;
  /** Base64. */
  readonly key: string;
  /** `http://host:port/NAME` of a server that runs on the data; absent when none does. */
  readonly blobEndpoint?: string | undefined;
}

/** What keeps a command from its work for now, in one line. */
interface Refused {
  readonly kind: 'refused';
  readonly message: string;
}

export type AccountOutcome =
  | ({ readonly kind: 'account' } & AccountRecord)
  | { readonly kind: 'account-exists' }
  | { readonly kind: 'account-not-found' }
  | { readonly kind: 'account-name-invalid' }
  | Refused;

export type AccountListOutcome = { readonly kind: 'accounts'; readonly names: readonly string[] } | Refused;

/** `server.ts`, as far as the command line sees it. */
export interface Server {
  /** Resolves with the exit code when the server has stopped. */
  serve(config: Config): Promise<number>;
  createAccount(config: Config, name: string): Promise<AccountOutcome>;
  listAccounts(config: Config): Promise<AccountListOutcome>;
  rotateKey(config: Config, name: string, which: 1 | 2): Promise<AccountOutcome>;
  /** Resolves with the exit code. */
  fsck(config: Config, report: { out: (line: string) => void }): Promise<number>;
}

export interface Surroundings {
  readonly out: (line: string) => void;
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
