// What a gate is: the contract between the runner and the clients and suites that it runs against a real server.

/** A server that a gate talks to. `blob` and `admin` are origins without a path: `http://127.0.0.1:PORT`. */
export interface ServerAccess {
  readonly blob: string;
  /** Empty when the runner was pointed at a server that is not Causeway (`--endpoint`). */
  readonly admin: string;
  readonly account: string;
  /** The account key, base64. */
  readonly key: string;
}

/** One line of a gate's table. What was expected of it stands in the gate's `expected.json`, not here. */
export interface GateRow {
  /** Unique in the gate, and the same on every run: no ports, paths, times or sizes that vary. */
  readonly check: string;
  readonly outcome: 'pass' | 'fail' | 'skip';
  /** Why it failed or was skipped, or a figure worth reading. Never a key, a signature or a token. */
  readonly detail?: string;
  readonly ms: number;
}

export interface StartOptions {
  /** Names the data directory and the log inside the gate's work directory. */
  readonly name: string;
  /** Further arguments of `causeway serve`, after --dev, --data and the ports. */
  readonly args?: readonly string[];
  /** A data directory to open again; a fresh one by default. */
  readonly dataDir?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningServer {
  readonly access: ServerAccess;
  readonly pid: number;
  readonly dataDir: string;
  readonly logPath: string;
  /** How the process ended, or undefined while it runs. */
  readonly ended: () => { readonly code: number | null; readonly signal: string | null } | undefined;
  /** SIGTERM and a bounded wait, then SIGKILL; resolves with the exit code (null after a signal). */
  readonly stop: () => Promise<number | null>;
  /** SIGKILL at once, as a crash would; resolves when the process is gone. */
  readonly kill: () => Promise<void>;
}

export interface GateContext {
  readonly server: ServerAccess;
  /** The process behind `server`; undefined with `--endpoint`: what has to manage accounts is skipped then. */
  readonly main: RunningServer | undefined;
  /** The full set instead of the default one. */
  readonly all: boolean;
  /** A fresh directory of this run, removed afterwards unless something failed. */
  readonly workDir: string;
  /** Kept between runs: installed tools, in `<tool>-<version>/`. Git ignores it. */
  readonly cacheDir: string;
  readonly log: (line: string) => void;
  /** Starts another Causeway; the runner stops it at the gate's end if the gate did not. */
  readonly startServer: (options: StartOptions) => Promise<RunningServer>;
}

export interface Gate {
  /** The same as its folder's name. */
  readonly name: string;
  /** A slow gate runs only when it is named or with `--all`. */
  readonly slow: boolean;
  run(context: GateContext): Promise<GateRow[]>;
}
