// What passes between an optimistic transaction and the one committer, wherever that is.
import type { Key } from './engine.ts';
import type { Footprint } from './read-set.ts';

export interface CommitRequest extends Footprint {
  /** The commit number of the picture that was read. */
  readonly seq: number;
}

export type CommitOutcome =
  /** `seq` is its commit number, that of its stamps. */
  | { readonly kind: 'committed'; readonly seq: number }
  /** Something that was read has changed since: run the work again. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'counter-limit'; readonly key: Key }
  /** It may be durable, or become so, or not: nothing may be said of it, and it must not be run again. */
  | { readonly kind: 'unknown'; readonly message: string }
  /** Nothing was written; `code` is Node's, where there is one. */
  | { readonly kind: 'failed'; readonly message: string; readonly code: string | undefined };

/** Resolves when the transaction is durable, surely not written, or nobody can tell any more. */
export interface Committer {
  /** Whether it notes in the store which commit wrote a steady key last (`keys.ts`); else readers remember none. */
  readonly notesSteady?: boolean;
  commit(request: CommitRequest): Promise<CommitOutcome>;
}
