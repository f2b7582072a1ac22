// What the store must answer: the namespace as plain maps, changed only by what was acknowledged.
import type { Failure, FailureKind } from '../src/namespace/failure.ts';
import { applyLeaseAction, checkLeaseForWrite, isHeld, type LeaseAction } from '../src/namespace/leases.ts';
import type { Lease } from '../src/namespace/records.ts';

export interface ModelBlock {
  readonly id: string;
  readonly bytes: Buffer;
}

/** What the account has switched on, for a whole seed. */
export interface Mode {
  readonly versioning: boolean;
  readonly softDelete: boolean;
}

/** A state of the past, oldest first. */
export interface ModelPast {
  readonly kind: 'snapshot' | 'version' | 'base';
  readonly bytes: Buffer;
  readonly blocks: readonly ModelBlock[] | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly isHeld: boolean;
  readonly isDeleted: boolean;
  readonly etag: string | undefined;
}

export interface ModelEntry {
  readonly bytes: Buffer;
  /** Undefined after Put Blob. */
  readonly blocks: readonly ModelBlock[] | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly lease: Lease | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly isHeld?: boolean;
  /** Learned from the store: it can be anything but what it was before. */
  readonly etag: string | undefined;
}

export interface ModelUpload {
  readonly blocks: ReadonlyMap<string, Buffer>;
  readonly stagedMs: number;
  readonly lease?: Lease | undefined;
}

export interface ModelContainer {
  readonly metadata: Readonly<Record<string, string>>;
  readonly quotaBytes: number;
  /** Its versions may be held, so it goes only when it is empty. */
  readonly isProtected: boolean;
  readonly lease: Lease | undefined;
  readonly entries: Map<string, ModelEntry>;
  readonly uploads: Map<string, ModelUpload>;
  readonly past: Map<string, ModelPast[]>;
}

export type Kind = 'ok' | 'source-failed' | FailureKind;
type Verdict = { readonly kind: 'ok' } | Failure;

export interface Guard {
  readonly leaseId: string | undefined;
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: '*' | undefined;
}

export interface EntryId {
  readonly container: string;
  readonly name: string;
}

/** What an answer, or a look after a crash, tells of what the store chose. */
export interface Learned {
  readonly etag: string | undefined;
  readonly lease: Lease | undefined;
  readonly nowMs: number;
}

export interface ListedBlock {
  readonly id: string;
  readonly from: 'committed' | 'uncommitted' | 'latest';
}

export class Model {
  readonly containers = new Map<string, ModelContainer>();
  /** The keys of each account. */
  readonly accounts = new Map<string, readonly string[]>();
  mode: Mode = { versioning: false, softDelete: false };

  there({ container }: EntryId): Kind {
    return this.containers.has(container) ? 'ok' : 'container-not-found';
  }

  past({ container, name }: EntryId): ModelPast[] {
    return this.containers.get(container)?.past.get(name) ?? [];
  }

  #setPast({ container, name }: EntryId, past: ModelPast[]): void {
    const found = this.containers.get(container);
    if (past.length > 0) found?.past.set(name, past);
    else found?.past.delete(name);
  }

  #keep(id: EntryId, entry: ModelEntry, kind: ModelPast['kind'], isDeleted: boolean): void {
    const { bytes, blocks, metadata, contentType, tags, isHeld = false, etag } = entry;
    const state = { kind, bytes, blocks, metadata, contentType, tags, isHeld, isDeleted, etag };
    this.#setPast(id, [...this.past(id), state]);
  }

  /** What a newer state takes the place of. */
  #keepReplaced(id: EntryId): void {
    const entry = this.entry(id);
    if (entry === undefined) return;
    if (this.mode.versioning) this.#keep(id, entry, 'version', false);
    else if (this.mode.softDelete) this.#keep(id, entry, 'snapshot', true);
  }

  snapshot(id: EntryId): void {
    const entry = this.entry(id);
    if (entry === undefined) return;
    // The version began before the snapshot was taken, and a new one begins behind it.
    if (this.mode.versioning) this.#keep(id, entry, 'version', false);
    this.#keep(id, entry, 'snapshot', false);
  }

  remove(id: EntryId, withSnapshots: boolean): void {
    const entry = this.entry(id);
    if (entry === undefined) return;
    if (withSnapshots) {
      const { softDelete } = this.mode;
      const isLive = ({ kind, isDeleted }: ModelPast): boolean => kind === 'snapshot' && !isDeleted;
      const past = this.past(id).filter((one) => softDelete || !isLive(one));
      this.#setPast(
        id,
        past.map((one) => (isLive(one) ? { ...one, isDeleted: true } : one)),
      );
    }
    if (this.mode.versioning) this.#keep(id, entry, 'version', false);
    else if (this.mode.softDelete) this.#keep(id, entry, 'base', true);
    this.containers.get(id.container)?.entries.delete(id.name);
  }

  removePast(id: EntryId, index: number): void {
    const past = [...this.past(id)];
    const one = past[index];
    if (one === undefined) return;
    if (this.mode.softDelete) past[index] = { ...one, isDeleted: true };
    else past.splice(index, 1);
    this.#setPast(id, past);
  }

  undelete(id: EntryId): void {
    const isGone = this.entry(id) === undefined;
    const past = this.past(id);
    const base = isGone ? past.findLast(({ kind }) => kind === 'base') : undefined;
    const kept = past
      .filter((one) => one !== base)
      .map((one): ModelPast => ({ ...one, kind: one.kind === 'base' ? 'snapshot' : one.kind, isDeleted: false }));
    this.#setPast(id, kept);
    if (base === undefined) return;
    const { bytes, blocks, metadata, contentType, tags, isHeld, etag } = base;
    const state = { bytes, blocks, metadata, contentType, tags, isHeld, etag, lease: undefined };
    this.containers.get(id.container)?.entries.set(id.name, state);
  }

  hold(id: EntryId, index: number | undefined, isHeld: boolean): void {
    if (index === undefined) {
      const entry = this.entry(id);
      if (entry !== undefined) this.containers.get(id.container)?.entries.set(id.name, { ...entry, isHeld });
      return;
    }
    this.#setPast(
      id,
      this.past(id).map((one, i) => (i === index ? { ...one, isHeld } : one)),
    );
  }

  tag(id: EntryId, tags: Readonly<Record<string, string>>): void {
    const entry = this.entry(id);
    if (entry !== undefined) this.containers.get(id.container)?.entries.set(id.name, { ...entry, tags });
  }

  tagged(container: string, value: string): string[] {
    const entries = [...(this.containers.get(container)?.entries ?? [])];
    return entries
      .filter(([, { tags }]) => tags?.mark === value)
      .map(([name]) => name)
      .sort(byBytes);
  }

  /** What was deleted softly, when its days are over. */
  purge(): void {
    for (const [container, { past }] of this.containers) {
      for (const [name, states] of past) {
        this.#setPast(
          { container, name },
          states.filter(({ isDeleted, isHeld }) => !isDeleted || isHeld),
        );
      }
    }
  }

  /** Whether more bytes fit a container, when so many have gone. */
  quotaFor(container: string, more: number, released = 0): Kind {
    const quota = this.containers.get(container)?.quotaBytes ?? 0;
    const used = this.usedBytes(container) - released;
    return quota > 0 && more > 0 && used + more > quota ? 'quota-exceeded' : 'ok';
  }

  /** What immutability says to a change of the current state, or to its end. */
  mayTouch(id: EntryId, touch: 'overwrite' | 'change' | 'delete'): Kind {
    if (this.entry(id)?.isHeld !== true || (this.mode.versioning && touch === 'overwrite')) return 'ok';
    return 'immutable-by-hold';
  }

  entry({ container, name }: EntryId): ModelEntry | undefined {
    return this.containers.get(container)?.entries.get(name);
  }

  upload({ container, name }: EntryId): ModelUpload | undefined {
    return this.containers.get(container)?.uploads.get(name);
  }

  stagedBytes(id: EntryId): number {
    let sum = 0;
    for (const bytes of this.upload(id)?.blocks.values() ?? []) sum += bytes.length;
    return sum;
  }

  usedBytes(container: string): number {
    let sum = 0;
    const found = this.containers.get(container);
    for (const entry of found?.entries.values() ?? []) sum += entry.bytes.length;
    for (const past of found?.past.values() ?? []) for (const { bytes } of past) sum += bytes.length;
    for (const name of found?.uploads.keys() ?? []) sum += this.stagedBytes({ container, name });
    return sum;
  }

  /** What a write of this name has to respect, in the order in which the store looks. */
  guard(id: EntryId, guard: Guard, nowMs: number): Kind {
    if (!this.containers.has(id.container)) return 'container-not-found';
    const entry = this.entry(id);
    if (entry !== undefined || this.upload(id) !== undefined || guard.leaseId !== undefined) {
      const lease: Verdict = checkLeaseForWrite(this.leaseOf(id), guard.leaseId, nowMs, 'entry');
      if (lease.kind !== 'ok') return lease.kind;
    }
    const kind = this.conditions(entry, guard);
    const isNewOnly = guard.ifNoneMatch === '*' && guard.leaseId === undefined;
    return kind === 'ok' && isNewOnly && entry !== undefined ? 'entry-exists' : kind;
  }

  /** Of a name that is staged only, too. */
  leaseOf(id: EntryId): Lease | undefined {
    const entry = this.entry(id);
    return entry === undefined ? this.upload(id)?.lease : entry.lease;
  }

  /** Of a change: that there must be nothing says nothing. */
  conditions(entry: ModelEntry | undefined, guard: Guard): Kind {
    if (entry === undefined) return guard.ifMatch === undefined ? 'ok' : 'condition-not-met';
    return guard.ifMatch === undefined || guard.ifMatch === entry.etag ? 'ok' : 'condition-not-met';
  }

  /** Whether an entry may come to hold so many bytes; what is staged under its name goes. */
  quota(id: EntryId, length: number): Kind {
    const isKept = this.mode.versioning || this.mode.softDelete;
    const more = length - (isKept ? 0 : (this.entry(id)?.bytes.length ?? 0));
    return this.quotaFor(id.container, more, this.stagedBytes(id));
  }

  /** What has to be there to be changed, besides. */
  guardChange(id: EntryId, guard: Guard, nowMs: number): Kind {
    if (this.containers.has(id.container) && this.entry(id) === undefined) return 'entry-not-found';
    return this.guard(id, { ...guard, ifNoneMatch: undefined }, nowMs);
  }

  /** The content becomes this; whatever was staged under the name is gone. */
  setContent(id: EntryId, set: Omit<ModelEntry, 'lease' | 'etag'>, learned: Learned): void {
    const container = this.containers.get(id.container);
    const lease = this.#leaseAfter(id, learned);
    this.#keepReplaced(id);
    container?.entries.set(id.name, { ...set, etag: learned.etag, lease });
    container?.uploads.delete(id.name);
  }

  change(id: EntryId, changes: Partial<ModelEntry>, learned: Learned, makesVersion = false): void {
    const entry = this.entry(id);
    if (entry === undefined) return;
    const lease = this.#leaseAfter(id, learned);
    if (makesVersion && this.mode.versioning) this.#keepReplaced(id);
    this.containers.get(id.container)?.entries.set(id.name, { ...entry, ...changes, etag: learned.etag, lease });
  }

  setLease(id: EntryId, lease: Lease | undefined): void {
    const container = this.containers.get(id.container);
    const entry = this.entry(id);
    const upload = this.upload(id);
    if (entry !== undefined) container?.entries.set(id.name, { ...entry, lease });
    else if (upload !== undefined) container?.uploads.set(id.name, { ...upload, lease });
  }

  /** A lease that has run out goes with a change; it may have run out since the change was made. */
  #leaseAfter(id: EntryId, { lease, nowMs }: Learned): Lease | undefined {
    const old = this.leaseOf(id);
    return isHeld(old, nowMs) || (old !== undefined && lease?.id === old.id) ? old : undefined;
  }

  /** The blocks that a block list chooses; undefined when one of them is not there. */
  choose(id: EntryId, listed: readonly ListedBlock[]): ModelBlock[] | undefined {
    const staged = this.upload(id)?.blocks;
    const committed = this.entry(id)?.blocks;
    const chosen: ModelBlock[] = [];
    for (const one of listed) {
      const fresh = one.from === 'committed' ? undefined : staged?.get(one.id);
      const old = one.from === 'uncommitted' ? undefined : committed?.findLast((block) => block.id === one.id)?.bytes;
      const bytes = fresh ?? old;
      if (bytes === undefined) return undefined;
      chosen.push({ id: one.id, bytes });
    }
    return chosen;
  }

  lease(lease: Lease | undefined, action: LeaseAction, nowMs: number): { kind: Kind; lease: Lease | undefined } {
    const outcome = applyLeaseAction(lease, action, nowMs);
    return outcome.kind === 'ok' ? { kind: 'ok', lease: outcome.lease } : { kind: outcome.kind, lease };
  }

  /** Names in the order of their bytes; a rolled-up one ends in the delimiter. */
  list(container: string, query: ListShape): string[] {
    const found = this.containers.get(container);
    const names = new Set<string>(found?.entries.keys());
    if (query.uncommitted) for (const name of found?.uploads.keys() ?? []) names.add(name);
    const listed: string[] = [];
    for (const name of [...names].sort(byBytes)) {
      if (!name.startsWith(query.prefix)) continue;
      const at = query.delimiter === '' ? -1 : name.indexOf(query.delimiter, query.prefix.length);
      const shown = at === -1 ? name : `${name.slice(0, at + query.delimiter.length)}*`;
      if (listed.at(-1) !== shown) listed.push(shown);
    }
    return listed;
  }
}

export interface ListShape {
  readonly prefix: string;
  readonly delimiter: string;
  readonly uncommitted: boolean;
}

export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
