// What may happen to an entry in which state: one table. Every operation names its act where it opens an entry.
import type { Failure } from './failure.ts';
import { checkTouch, type Touch } from './immutable.ts';
import type { ContainerRecord, EntryRecord, EntryType } from './records.ts';

interface Rule {
  /** What it is for; `same`: what is written must be of the type of what stands. Absent: any. */
  readonly type?: EntryType | 'same';
  readonly refused: readonly State[];
  /** What retention and holds have to allow; absent: nothing. */
  readonly touch?: Touch;
}

const states = {
  archived: { holds: ({ tier }: EntryRecord) => tier === 'Archive', failure: { kind: 'archived' } },
  /** It only follows its source ("Incremental Copy Blob", Remarks); its snapshots are blobs like any other. */
  follower: {
    holds: ({ incremental, past }: EntryRecord) => incremental !== undefined && past === undefined,
    failure: { kind: 'incremental-copy' },
  },
  sealed: { holds: ({ isSealed }: EntryRecord) => isSealed === true, failure: { kind: 'sealed' } },
  past: { holds: ({ past }: EntryRecord) => past !== undefined, failure: { kind: 'past-state' } },
} as const satisfies Record<string, { holds(record: EntryRecord): boolean; failure: Failure }>;

type State = keyof typeof states;

/**
 * Azure: "Archive access tier" lists what an archived blob allows, the reference of each operation its types; recordings
 * of the service show that no write changes a type.
 */
const acts = {
  read: { refused: ['archived', 'follower'] },
  /** As a whole, with its tier: one that is archived may be thawed on the way. */
  'copy-from': { refused: ['follower'] },
  overwrite: { type: 'same', refused: ['archived', 'follower'], touch: 'overwrite' },
  /** To a state that the name had before, of whatever type, and whatever became of it since. */
  restore: { refused: [], touch: 'overwrite' },
  /** An incremental copy goes on. */
  follow: { type: 'page', refused: [], touch: 'overwrite' },
  stage: { type: 'block', refused: ['archived'] },
  commit: { type: 'block', refused: ['archived'], touch: 'overwrite' },
  append: { type: 'append', refused: ['sealed'], touch: 'append' },
  seal: { type: 'append', refused: [], touch: 'append' },
  'change-pages': { type: 'page', refused: ['follower'], touch: 'change' },
  'list-pages': { type: 'page', refused: ['follower'] },
  'list-blocks': { type: 'block', refused: [] },
  'set-headers': { refused: ['archived', 'follower'], touch: 'change' },
  'set-metadata': { refused: ['archived', 'follower'], touch: 'change' },
  snapshot: { refused: ['archived', 'follower'], touch: 'snapshot' },
  'set-tier': { type: 'block', refused: [] },
  /** Out of Archive. */
  thaw: { type: 'block', refused: ['past'] },
  /** Tags, retention, the time of the last access, a lease: what is said of a blob and is no part of it. */
  note: { refused: [] },
  delete: { refused: [], touch: 'delete' },
  'delete-past': { refused: [], touch: 'remove' },
} as const satisfies Record<string, Rule>;

export type Act = keyof typeof acts;

export interface ActedOn {
  readonly container: ContainerRecord;
  readonly record: EntryRecord;
  /** An overwrite, a change of metadata or a delete leaves what stood as a version. */
  readonly keepsVersions: boolean;
  readonly nowMs: number;
}

const ok = { kind: 'ok' } as const;

/** Whether the act may be done to what stands; `written` is the type of what an overwrite brings, where it is known. */
export function checkAct(act: Act, on: ActedOn, written?: EntryType): { readonly kind: 'ok' } | Failure {
  const { touch }: Rule = acts[act];
  const state = checkState(act, on.record, written);
  if (state.kind !== 'ok' || touch === undefined) return state;
  return checkTouch(on.container, on.record, touch, on.keepsVersions, on.nowMs);
}

/** The part of it that retention has no say in. */
export function checkState(act: Act, record: EntryRecord, written?: EntryType): { readonly kind: 'ok' } | Failure {
  const { type, refused }: Rule = acts[act];
  const needed = type === 'same' ? written : type;
  if (needed !== undefined && record.type !== needed) return { kind: 'blob-type' };
  for (const state of refused) if (states[state].holds(record)) return states[state].failure;
  return ok;
}

/** What a decision may depend on of the blob itself; what is not there has no tags. */
export interface BlobFacts {
  readonly tags: Readonly<Record<string, string>>;
  readonly isCurrentVersion: boolean;
}

/**
 * A decision that depends on the blob, taken again in the snapshot or the transaction that acts: what was decided about
 * and what is acted on is one state. `only-if-new`: what stands may not be replaced.
 */
export type Permit = (facts: BlobFacts) => 'allowed' | 'only-if-new' | 'denied';

export function factsOf(record: EntryRecord | undefined): BlobFacts {
  return { tags: record?.tags ?? {}, isCurrentVersion: record?.past === undefined };
}

/** `record` is what the operation opens; undefined where nothing stands. */
export function checkPermit(permit: Permit | undefined, record: EntryRecord | undefined): { kind: 'ok' } | Failure {
  switch (permit?.(factsOf(record))) {
    case 'denied':
      return { kind: 'not-permitted' };
    case 'only-if-new':
      return record === undefined ? ok : { kind: 'overwrite-forbidden' };
    default:
      return ok;
  }
}
