// The operations of the namespace as the simulation calls them: what each does to the store, and to the model.
import type { Random } from '../src/base/random.ts';
import { copyEntry, stageRange } from '../src/namespace/copy.ts';
import { changeEntry, getEntry, putEntry } from '../src/namespace/entries.ts';
import type { Body } from '../src/namespace/ingest.ts';
import { leaseEntry } from '../src/namespace/lease-entry.ts';
import type { LeaseAction } from '../src/namespace/leases.ts';
import { listEntries } from '../src/namespace/list.ts';
import type { Lease } from '../src/namespace/records.ts';
import type { Store } from '../src/namespace/store.ts';
import { deleteEntry } from '../src/namespace/times.ts';
import { commitBlocks, stageBlock } from '../src/namespace/uploads.ts';
import type { EntryId, Guard, Kind, Learned, ListedBlock, ListShape, Model } from './model.ts';
import { account, modelEntry, type Observed, observeEntry, readAll } from './observe.ts';
import type { Schedule } from './schedule.ts';

/** What an operation answered; of a read, also what it saw. */
export interface Answer {
  readonly kind: string;
  readonly etag?: string | undefined;
  readonly lease?: Lease | undefined;
  readonly seen?: string;
}

export interface Expected {
  readonly kind: Kind;
  readonly seen?: string;
  /** Makes the model what the store is after success. */
  readonly apply: (learned: Learned) => void;
}

export interface Operation {
  readonly label: string;
  /** Names that nobody else may change meanwhile; "!" in front: that nobody else may use. */
  readonly locks: readonly string[];
  /** May see anything that stood while it was under way. */
  readonly isUnlocked?: boolean;
  readonly run: (store: Store) => Promise<Answer>;
  readonly expect: (model: Model, nowMs: number) => Expected;
  /** For those that change something: what stands there now, and what should. */
  readonly observe?: (store: Store) => Promise<Observed>;
  readonly print?: (model: Model) => string;
}

export const cause = { by: 'sim', requestId: '' };
const nothing = (): void => undefined;

export interface Maker {
  readonly schedule: Schedule;
  readonly random: Random;
}

/** How a body fails its announcement: by ending early, or with its sender. */
type Fault = 'short' | 'cut' | undefined;

export const senderGone = 'the sender went away';

/** Comes in pieces, now and then a while after the one before. */
function bodyOf({ schedule, random }: Maker, bytes: Buffer, fault?: Fault): Body {
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.length; ) {
      if (random.below(3) === 0) await schedule.later(nothing);
      const size = 1 + random.below(Math.max(4096, Math.floor(bytes.length / 2)));
      yield bytes.subarray(at, at + size);
      at += size;
    }
    if (fault === 'cut') throw new Error(senderGone);
  }
  const length = bytes.length + (fault === 'short' ? 1 : 0);
  return { chunks: chunks(), length, lengthMax: length, wantMd5: random.below(8) === 0 };
}

export const noGuard: Guard = { leaseId: undefined, ifMatch: undefined, ifNoneMatch: undefined };

export function accessOf(id: EntryId, guard: Guard) {
  return {
    account,
    ...id,
    cause,
    conditions: {
      ...(guard.ifMatch !== undefined && { ifMatch: guard.ifMatch }),
      ...(guard.ifNoneMatch !== undefined && { ifNoneMatch: guard.ifNoneMatch }),
    },
    ...(guard.leaseId !== undefined && { leaseId: guard.leaseId }),
  };
}

/** A change of one name: alone with the name, and with the whole container where a quota makes its writes depend on each other. */
export function onEntry(
  id: EntryId,
  hasQuota: boolean,
  rest: Omit<Operation, 'locks'>,
  more: readonly string[] = [],
): Operation {
  const own = hasQuota ? [`!${id.container}`] : [id.container, `!${id.container}/${id.name}`];
  return {
    ...rest,
    locks: [...own, ...more],
    observe: (store) => observeEntry(store, id),
    print: (model) => modelEntry(model, id),
  };
}

interface EntryOutcomeLike {
  readonly kind: string;
  readonly entry?: { readonly record: { readonly etag: string; readonly lease?: Lease } } | undefined;
}

const answerOf = (outcome: EntryOutcomeLike): Answer => ({
  kind: outcome.kind,
  etag: outcome.entry?.record.etag,
  lease: outcome.entry?.record.lease,
});

/** The first of these that is not ok. */
export function firstOf(...kinds: readonly (() => Kind)[]): Kind {
  for (const kind of kinds) {
    const found = kind();
    if (found !== 'ok') return found;
  }
  return 'ok';
}

export function put(
  maker: Maker,
  id: EntryId,
  guard: Guard,
  bytes: Buffer,
  mark: string,
  hasQuota: boolean,
): Operation {
  const attributes = { headers: { contentType: 'x/put' }, metadata: { mark } };
  return onEntry(id, hasQuota, {
    label: `put ${id.container}/${id.name} ${bytes.length}`,
    run: async (store) => {
      const body = bodyOf(maker, bytes);
      return answerOf(await putEntry(store, { ...accessOf(id, guard), attributes, body }));
    },
    expect: (model, nowMs) => ({
      kind: firstOf(
        () => model.guard(id, guard, nowMs),
        () => model.mayTouch(id, 'overwrite'),
        () => model.quota(id, bytes.length),
      ),
      apply: (learned) =>
        model.setContent(id, { bytes, blocks: undefined, metadata: { mark }, contentType: 'x/put' }, learned),
    }),
  });
}

/** A body that breaks off: it leaves nothing, however much of it was written. */
export function putInPart(
  maker: Maker,
  id: EntryId,
  bytes: Buffer,
  fault: 'short' | 'cut',
  hasQuota: boolean,
): Operation {
  const none: Guard = { leaseId: undefined, ifMatch: undefined, ifNoneMatch: undefined };
  return onEntry(id, hasQuota, {
    label: `put ${fault} ${id.container}/${id.name} ${bytes.length}`,
    run: async (store) => {
      const attributes = { headers: {}, metadata: {} };
      const command = { ...accessOf(id, none), attributes, body: bodyOf(maker, bytes, fault) };
      return { kind: (await putEntry(store, command)).kind };
    },
    expect: () => ({ kind: 'body-length', apply: nothing }),
  });
}

/** Live snapshots forbid the end of their blob, unless they may go with it. */
function snapshotsKind(model: Model, id: EntryId, withSnapshots: boolean): Kind {
  const live = model.past(id).filter(({ kind, isDeleted }) => kind === 'snapshot' && !isDeleted);
  if (live.length === 0) return 'ok';
  if (!withSnapshots) return 'snapshots-present';
  return live.some(({ isHeld }) => isHeld) ? 'immutable-by-hold' : 'ok';
}

export function remove(id: EntryId, guard: Guard, withSnapshots: boolean, hasQuota: boolean): Operation {
  return onEntry(id, hasQuota, {
    label: `delete ${id.container}/${id.name}`,
    run: async (store) => ({
      kind: (await deleteEntry(store, { ...accessOf(id, guard), ...(withSnapshots && { snapshots: 'include' }) })).kind,
    }),
    expect: (model, nowMs) => ({
      kind: firstOf(
        () => model.guardChange(id, guard, nowMs),
        () => model.mayTouch(id, 'delete'),
        () => snapshotsKind(model, id, withSnapshots),
      ),
      apply: () => model.remove(id, withSnapshots),
    }),
  });
}

export function change(
  id: EntryId,
  guard: Guard,
  mark: string,
  part: 'metadata' | 'headers',
  hasQuota: boolean,
): Operation {
  const makesVersion = part === 'metadata';
  return onEntry(id, hasQuota, {
    label: `change ${part} ${id.container}/${id.name}`,
    run: async (store) =>
      answerOf(
        await changeEntry(
          store,
          accessOf(id, guard),
          (record) =>
            part === 'metadata' ? { ...record, metadata: { mark } } : { ...record, headers: { contentType: mark } },
          { makesVersion, act: part === 'metadata' ? 'set-metadata' : 'set-headers' },
        ),
      ),
    expect: (model, nowMs) => ({
      kind: firstOf(
        () => model.guardChange(id, guard, nowMs),
        () => model.mayTouch(id, 'change'),
        () =>
          makesVersion && model.mode.versioning
            ? model.quotaFor(id.container, model.entry(id)?.bytes.length ?? 0)
            : 'ok',
      ),
      apply: (learned) =>
        model.change(id, makesVersion ? { metadata: { mark } } : { contentType: mark }, learned, makesVersion),
    }),
  });
}

export function lease(id: EntryId, action: LeaseAction): Operation {
  return onEntry(id, false, {
    label: `lease ${action.action} ${id.container}/${id.name}`,
    run: async (store) => answerOf(await leaseEntry(store, { account, ...id, conditions: {}, cause }, action)),
    expect: (model, nowMs) => {
      const isThere = model.entry(id) !== undefined || model.upload(id) !== undefined;
      const after = model.lease(model.leaseOf(id), action, nowMs);
      return {
        kind: firstOf(
          () => (model.containers.has(id.container) ? 'ok' : 'container-not-found'),
          () => (isThere ? 'ok' : 'entry-not-found'),
          () => after.kind,
        ),
        apply: (learned) => model.setLease(id, learned.lease ?? after.lease),
      };
    },
  });
}

export function stage(
  maker: Maker,
  id: EntryId,
  leaseId: string | undefined,
  block: string,
  bytes: Buffer,
  hasQuota: boolean,
): Operation {
  const blockId = Buffer.from(block);
  return onEntry(id, hasQuota, {
    label: `stage ${id.container}/${id.name} ${block} ${bytes.length}`,
    run: async (store) => {
      const body = bodyOf(maker, bytes);
      return { kind: (await stageBlock(store, { account, ...id, ...(leaseId && { leaseId }), blockId, body })).kind };
    },
    expect: (model, nowMs) => ({
      kind: stageKind(model, id, leaseId, nowMs, blockId, bytes.length),
      apply: () => addBlock(model, id, blockId, bytes, nowMs),
    }),
  });
}

function stageKind(
  model: Model,
  id: EntryId,
  leaseId: string | undefined,
  nowMs: number,
  blockId: Buffer,
  length: number,
): Kind {
  const replaced = model.upload(id)?.blocks.get(blockId.toString('base64'))?.length ?? 0;
  return firstOf(
    () => model.guard(id, { leaseId, ifMatch: undefined, ifNoneMatch: undefined }, nowMs),
    () => model.quotaFor(id.container, length - replaced),
  );
}

function addBlock(model: Model, id: EntryId, blockId: Buffer, bytes: Buffer, nowMs: number): void {
  const upload = model.upload(id);
  const blocks = new Map(upload?.blocks).set(blockId.toString('base64'), bytes);
  model.containers.get(id.container)?.uploads.set(id.name, { ...upload, blocks, stagedMs: nowMs });
}

export function commit(
  id: EntryId,
  guard: Guard,
  blocks: readonly ListedBlock[],
  mark: string,
  hasQuota: boolean,
): Operation {
  const attributes = { headers: { contentType: 'x/blocks' }, metadata: { mark } };
  return onEntry(id, hasQuota, {
    label: `commit ${id.container}/${id.name} ${blocks.length}`,
    run: async (store) => answerOf(await commitBlocks(store, { ...accessOf(id, guard), attributes, blocks })),
    expect: (model, nowMs) => {
      const chosen = model.choose(id, blocks);
      const bytes = Buffer.concat(chosen?.map((block) => block.bytes) ?? []);
      return {
        kind: firstOf(
          () => model.guard(id, guard, nowMs),
          () => (chosen === undefined ? 'block-list-invalid' : 'ok'),
          () => model.mayTouch(id, 'overwrite'),
          () => model.quota(id, bytes.length),
        ),
        apply: (learned) =>
          model.setContent(id, { bytes, blocks: chosen, metadata: { mark }, contentType: 'x/blocks' }, learned),
      };
    },
  });
}

export function copy(from: EntryId, to: EntryId, guard: Guard, mark: string, hasQuota: boolean): Operation {
  const attributes = { headers: { contentType: 'x/copy' }, metadata: { mark } };
  const isSame = from.container === to.container && from.name === to.name;
  const sourceLocks =
    isSame || (hasQuota && from.container === to.container) ? [] : [from.container, `${from.container}/${from.name}`];
  return onEntry(
    to,
    hasQuota,
    {
      label: `copy ${from.container}/${from.name} to ${to.container}/${to.name}`,
      run: async (store) => {
        const command = {
          ...accessOf(to, guard),
          source: { account, ...from, conditions: {} },
          attributes: () => attributes,
        };
        return answerOf(await copyEntry(store, command));
      },
      expect: (model, nowMs) => {
        const source = model.entry(from);
        return {
          kind: firstOf(
            () => (source === undefined ? 'source-failed' : 'ok'),
            () => model.guard(to, guard, nowMs),
            () => model.mayTouch(to, 'overwrite'),
            () => model.quota(to, source?.bytes.length ?? 0),
          ),
          apply: (learned) => {
            if (source === undefined) return;
            const { bytes, blocks } = source;
            model.setContent(to, { bytes, blocks, metadata: { mark }, contentType: 'x/copy' }, learned);
          },
        };
      },
    },
    sourceLocks,
  );
}

/** A range of one entry becomes a block of another; content that rides in its record is staged as bytes. */
export function stageFrom(
  maker: Maker,
  from: EntryId,
  range: { readonly offset: number; readonly length: number },
  to: EntryId,
  block: string,
  hasQuota: boolean,
): Operation {
  const blockId = Buffer.from(block);
  const isSame = from.container === to.container && from.name === to.name;
  const { offset, length } = range;
  return onEntry(
    to,
    hasQuota,
    {
      label: `stage range ${from.container}/${from.name} ${offset}+${length} to ${to.container}/${to.name} ${block}`,
      run: async (store) => {
        const command = { account, ...to, blockId, source: { account, ...from, conditions: {} }, offset, length };
        const outcome = await stageRange(store, command);
        if (outcome.kind !== 'inline') return { kind: outcome.kind };
        const body = bodyOf(maker, Buffer.from(outcome.bytes));
        return { kind: (await stageBlock(store, { account, ...to, blockId, body })).kind };
      },
      expect: (model, nowMs) => {
        const source = model.entry(from);
        const bytes = source?.bytes.subarray(offset, offset + length) ?? Buffer.alloc(0);
        return {
          kind: firstOf(
            () => (source === undefined ? 'source-failed' : 'ok'),
            () => (bytes.length === 0 ? 'source-range' : 'ok'),
            () => stageKind(model, to, undefined, nowMs, blockId, bytes.length),
          ),
          apply: () => addBlock(model, to, blockId, bytes, nowMs),
        };
      },
    },
    isSame || (hasQuota && from.container === to.container) ? [] : [from.container, `${from.container}/${from.name}`],
  );
}

/** Next to whoever changes the name: it must see what stood at one moment, whole. */
export function glance(id: EntryId): Operation {
  return { ...read(id, undefined), label: `glance ${id.container}/${id.name}`, locks: [], isUnlocked: true };
}

export function read(id: EntryId, range: { readonly offset: number; readonly length: number } | undefined): Operation {
  return {
    label: `read ${id.container}/${id.name}`,
    locks: [id.container, `${id.container}/${id.name}`],
    run: async (store) => {
      const outcome = await getEntry(store, { account, ...id, conditions: {} });
      if (outcome.kind !== 'ok') return { kind: outcome.kind };
      const { record } = outcome.entry;
      const offset = Math.min(range?.offset ?? 0, record.length);
      const bytes = await readAll(
        store,
        outcome.entry,
        offset,
        Math.min(range?.length ?? record.length, record.length - offset),
      );
      return { kind: 'ok', seen: `${bytes.toString('latin1')} ${record.etag}` };
    },
    expect: (model) => {
      const entry = model.entry(id);
      const offset = range?.offset ?? 0;
      const bytes = entry?.bytes.subarray(offset, offset + (range?.length ?? entry.bytes.length));
      const kind = firstOf(
        () => (model.containers.has(id.container) ? 'ok' : 'container-not-found'),
        () => (entry === undefined ? 'entry-not-found' : 'ok'),
      );
      return { kind, ...(kind === 'ok' && { seen: `${bytes?.toString('latin1')} ${entry?.etag}` }), apply: nothing };
    },
  };
}

/** All pages of a listing. */
export function list(container: string, shape: ListShape, limit: number): Operation {
  return {
    label: `list ${container} "${shape.prefix}" "${shape.delimiter}" by ${limit}`,
    locks: [`!${container}`],
    run: async (store) => {
      const names: string[] = [];
      let from = '';
      for (;;) {
        const page = await listEntries(store, {
          account,
          container,
          prefix: shape.prefix,
          delimiter: shape.delimiter === '' ? undefined : shape.delimiter,
          from,
          limit,
          uncommitted: shape.uncommitted,
        });
        if (page.kind !== 'ok') return { kind: page.kind };
        for (const item of page.items) names.push(item.kind === 'prefix' ? `${item.name}*` : item.name);
        if (page.next === undefined) return { kind: 'ok', seen: names.join('|') };
        from = page.next;
      }
    },
    expect: (model) => {
      if (!model.containers.has(container)) return { kind: 'container-not-found', apply: nothing };
      return { kind: 'ok', seen: model.list(container, shape).join('|'), apply: nothing };
    },
  };
}
