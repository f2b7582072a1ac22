// The operations on an entry's past and its tags as the simulation calls them: snapshots, versions, holds, undelete.

import { readContainer } from '../src/namespace/containers.ts';
import { changeEntry, type EntryTime } from '../src/namespace/entries.ts';
import { findPlace } from '../src/namespace/paths.ts';
import type { Entry } from '../src/namespace/records.ts';
import type { Store } from '../src/namespace/store.ts';
import { findByTags } from '../src/namespace/tag-index.ts';
import { deleteEntry, snapshotEntry, undeleteEntry } from '../src/namespace/times.ts';
import type { EntryId, Kind, Model, ModelPast } from './model.ts';
import { account, readAll } from './observe.ts';
import { accessOf, firstOf, noGuard, type Operation, onEntry } from './operations.ts';
import { readPast } from './past.ts';

const nothing = (): void => undefined;

/** The name's past as it stands; nobody else changes it meanwhile. */
async function pastOf(store: Store, { container, name }: EntryId): Promise<Entry[]> {
  return await store.engine.snapshot(async (view) => {
    const found = await readContainer(view, { account, container });
    const place = found && (await findPlace(view, Buffer.from(found.id, 'hex'), name));
    return place === undefined ? [] : await readPast(view, place);
  });
}

async function timeOf(store: Store, id: EntryId, index: number): Promise<EntryTime> {
  const past = (await pastOf(store, id))[index]?.record.past;
  if (past === undefined || past.kind === 'base') return { kind: 'version', time: '2020-01-01T00:00:00.0000000Z' };
  return { kind: past.kind, time: past.time };
}

export function snapshot(id: EntryId, hasQuota: boolean): Operation {
  return onEntry(id, hasQuota, {
    label: `snapshot ${id.container}/${id.name}`,
    run: async (store) => {
      const { kind } = await snapshotEntry(store, accessOf(id, noGuard));
      return { kind };
    },
    expect: (model) => {
      const entry = model.entry(id);
      const copies = model.mode.versioning ? 2 : 1;
      return {
        kind: firstOf(
          () => model.there(id),
          () => (entry === undefined ? 'entry-not-found' : 'ok'),
          () => model.quotaFor(id.container, copies * (entry?.bytes.length ?? 0)),
        ),
        apply: () => model.snapshot(id),
      };
    },
  });
}

/** A live snapshot or an earlier version. */
function liveKind(model: Model, id: EntryId, index: number): Kind {
  const past = model.past(id)[index];
  return firstOf(
    () => model.there(id),
    () => (past === undefined || past.kind === 'base' || past.isDeleted ? 'entry-not-found' : 'ok'),
  );
}

export function removePast(id: EntryId, index: number, hasQuota: boolean): Operation {
  return onEntry(id, hasQuota, {
    label: `delete past ${index} of ${id.container}/${id.name}`,
    run: async (store) => {
      const at = await timeOf(store, id, index);
      return { kind: (await deleteEntry(store, { ...accessOf(id, noGuard), at })).kind };
    },
    expect: (model) => ({
      kind: firstOf(
        () => liveKind(model, id, index),
        () => (model.past(id)[index]?.isHeld ? 'immutable-by-hold' : 'ok'),
      ),
      apply: () => model.removePast(id, index),
    }),
  });
}

export function readOfPast(id: EntryId, index: number): Operation {
  return {
    label: `read past ${index} of ${id.container}/${id.name}`,
    locks: [id.container, `${id.container}/${id.name}`],
    run: async (store) => {
      const entry = (await pastOf(store, id))[index];
      if (entry === undefined) return { kind: 'entry-not-found' };
      const bytes = await readAll(store, entry, 0, entry.record.length);
      return { kind: 'ok', seen: bytes.toString('latin1') };
    },
    expect: (model) => {
      const past: ModelPast | undefined = model.past(id)[index];
      if (past === undefined) return { kind: 'entry-not-found', apply: nothing };
      return { kind: 'ok', seen: past.bytes.toString('latin1'), apply: nothing };
    },
  };
}

export function undelete(id: EntryId): Operation {
  return onEntry(id, false, {
    label: `undelete ${id.container}/${id.name}`,
    run: async (store) => {
      const outcome = await undeleteEntry(store, accessOf(id, noGuard));
      return { kind: outcome.kind, ...(outcome.kind === 'ok' && { etag: outcome.entry.record.etag }) };
    },
    expect: (model) => ({
      kind: firstOf(
        () => model.there(id),
        () =>
          model.entry(id) === undefined && !model.past(id).some(({ isDeleted }) => isDeleted)
            ? 'entry-not-found'
            : 'ok',
      ),
      apply: () => model.undelete(id),
    }),
  });
}

/** A legal hold on the current state (`index` undefined) or on one of the past. */
export function hold(id: EntryId, index: number | undefined, on: boolean): Operation {
  return onEntry(id, false, {
    label: `hold ${on} ${index ?? 'current'} of ${id.container}/${id.name}`,
    run: async (store) => {
      const at = index === undefined ? undefined : await timeOf(store, id, index);
      const outcome = await changeEntry(
        store,
        { ...accessOf(id, noGuard), ...(at && { at }) },
        ({ legalHold: _, ...record }) => (on ? { ...record, legalHold: true } : record),
        { touches: false, act: 'note', ignoresLease: true },
      );
      return { kind: outcome.kind, ...(outcome.kind === 'ok' && { etag: outcome.entry.record.etag }) };
    },
    expect: (model) => ({
      kind:
        index === undefined
          ? firstOf(
              () => model.there(id),
              () => (model.entry(id) === undefined ? 'entry-not-found' : 'ok'),
            )
          : liveKind(model, id, index),
      apply: () => model.hold(id, index, on),
    }),
  });
}

export function tag(id: EntryId, tags: Readonly<Record<string, string>>): Operation {
  return onEntry(id, false, {
    label: `tag ${id.container}/${id.name}`,
    run: async (store) => {
      const options = { touches: false, act: 'note', ignoresLease: true } as const;
      const edit = (record: Entry['record']) => ({ ...record, tags });
      return { kind: (await changeEntry(store, accessOf(id, noGuard), edit, options)).kind };
    },
    expect: (model) => ({
      kind: firstOf(
        () => model.there(id),
        () => (model.entry(id) === undefined ? 'entry-not-found' : 'ok'),
      ),
      apply: () => model.tag(id, tags),
    }),
  });
}

/** The names in a container that have a tag's value; nobody changes the container meanwhile. */
export function find(container: string, value: string): Operation {
  return {
    label: `find ${value} in ${container}`,
    locks: [`!${container}`],
    run: async (store) => {
      const query = { comparisons: [{ tag: 'mark', comparison: '=' as const, value }], container };
      const page = await findByTags(store, account, query, { from: undefined, limit: 1000 });
      return { kind: 'ok', seen: page.found.map(({ name }) => name).join('|') };
    },
    expect: (model) => ({ kind: 'ok', seen: model.tagged(container, value).join('|'), apply: nothing }),
  };
}
