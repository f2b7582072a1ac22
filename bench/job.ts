// What the bench asks of its client process, and what the client answers.

interface JobCommon {
  readonly port: number;
  readonly sas: string;
  readonly container: string;
  readonly connections: number;
  readonly warmMs: number;
  readonly measureMs: number;
  /** The window closes early after so many operations (what a disk or a preloaded set has room for). */
  readonly operationsMax: number;
  /** A server that stores nothing serves one body for every name, so the name in the body is not compared. */
  readonly stamped: boolean;
}

/** Blobs are named by number: `first + i * stride` for i in 0 .. count-1, written as ten digits. */
export interface NameSet {
  readonly container: string;
  readonly first: number;
  readonly count: number;
  readonly stride: number;
}

export type Job = JobCommon &
  (
    | { readonly kind: 'put'; readonly sizeBytes: number; readonly spread: NameSet | undefined }
    | { readonly kind: 'get'; readonly sizeBytes: number; readonly names: NameSet }
    | { readonly kind: 'mixed'; readonly sizeBytes: number; readonly names: NameSet; readonly getShare: number }
    | { readonly kind: 'delete'; readonly names: NameSet }
    | { readonly kind: 'list'; readonly pageSize: number; readonly names: NameSet }
    | { readonly kind: 'put-block-list'; readonly blocks: number; readonly blockBytes: number }
    /** Untimed: writes every name once; `skip` says where an earlier fill ended. */
    | { readonly kind: 'fill'; readonly sizeBytes: number; readonly names: NameSet; readonly skip: number }
    /** Untimed: stages the blocks that 'put-block-list' commits, on one blob a connection, and commits them once. */
    | { readonly kind: 'stage'; readonly blocks: number; readonly blockBytes: number }
    /** Untimed: reads `samples` different names and counts those that are missing. */
    | { readonly kind: 'verify'; readonly sizeBytes: number; readonly names: NameSet; readonly samples: number }
  );

export interface JobResult {
  /** Operations in the window; parts of an operation at its edges count as parts. */
  readonly operations: number;
  readonly elapsedMs: number;
  readonly bytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly clientCpuMs: number;
  readonly errors: number;
  readonly missing: number;
  readonly firstError: string | undefined;
  /** CLOCK_MONOTONIC in microseconds: the scale of V8's CPU profiles. */
  readonly windowUs: readonly [number, number];
}

export type ClientMessage =
  | { readonly kind: 'window-open' }
  | { readonly kind: 'window-closed' }
  | { readonly kind: 'result'; readonly result: JobResult };
