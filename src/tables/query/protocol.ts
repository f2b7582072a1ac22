// What a gateway and a process of the engine say to each other.
import type { Query } from './ast.ts';
import type { InputFormat, OutputFormat } from './formats.ts';

export interface QueryJob {
  /** The blob's content, as a file of the job's own. */
  readonly path: string;
  readonly bytes: number;
  /** A directory of the job's own, for whatever the engine writes; it goes with the job. */
  readonly scratch: string;
  readonly query: Query;
  readonly input: InputFormat;
  readonly output: OutputFormat;
  readonly nowMs: number;
  readonly memoryBytes: number;
  readonly scratchBytesMax: number;
}

/** An error as it stands in the answer's stream. */
export interface QueryFault {
  readonly kind: 'error';
  readonly fatal: boolean;
  readonly name: string;
  readonly description: string;
  /** Of the record in the blob. */
  readonly position: number;
}

/** Name and description of the fault. */
export const resourcesExceeded = ['ResourcesExceeded', 'The query needs more memory than it may take.'] as const;

export type QueryEvent =
  /** The query fits the blob; rows may follow. */
  | { readonly kind: 'started' }
  /** The query does not fit the blob: nothing follows. */
  | { readonly kind: 'refused'; readonly problem: string }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'progress'; readonly scanned: number }
  | QueryFault
  | { readonly kind: 'done' };

export type ToEngine = { readonly kind: 'run'; readonly job: QueryJob } | { readonly kind: 'more' };

/** Events that the gateway has not taken yet. */
export const eventsAheadMax = 8;
