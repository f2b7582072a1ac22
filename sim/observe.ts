// What stands under a name, from the store and from the model, in a form that can be compared.
import { crc32 } from 'node:zlib';
import { getContainer, readContainer } from '../src/namespace/containers.ts';
import { getEntry } from '../src/namespace/entries.ts';
import { findPlace } from '../src/namespace/paths.ts';
import { readContent } from '../src/namespace/read.ts';
import type { Entry, Lease } from '../src/namespace/records.ts';
import type { Store } from '../src/namespace/store.ts';
import { getBlockLists } from '../src/namespace/uploads.ts';
import { byBytes, type EntryId, type Model } from './model.ts';
import { readPast } from './past.ts';

export const account = 'simulated';

/** All but what the model cannot know: ETags, times. */
export interface Observed {
  readonly print: string;
  readonly etag: string | undefined;
  readonly lease: Lease | undefined;
}

export async function readAll(store: Store, entry: Entry, offset: number, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readContent(store, entry, offset, length)) {
    chunks.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  return Buffer.concat(chunks);
}

const leasePrint = (lease: Lease | undefined): string =>
  lease ? `${lease.id}${lease.breakMs === undefined ? '' : '!'}` : '-';
const bytesPrint = (bytes: Buffer): string => `${bytes.length}:${crc32(bytes).toString(16)}`;

function entryPrint(
  bytes: Buffer,
  blocks: readonly string[] | undefined,
  metadata: object,
  contentType: string,
  lease: Lease | undefined,
): string {
  return `${bytesPrint(bytes)} ${blocks?.join(',') ?? 'whole'} ${JSON.stringify(metadata)} ${contentType} ${leasePrint(lease)}`;
}

export async function observeEntry(store: Store, id: EntryId): Promise<Observed> {
  const access = { account, ...id, conditions: {} };
  const outcome = await getEntry(store, access);
  if (outcome.kind === 'container-not-found') return { print: 'no container', etag: undefined, lease: undefined };
  const lists = await getBlockLists(store, access);
  const staged = lists.kind === 'ok' ? lists.uncommitted : [];
  const upload = staged.map((block) => `${block.id}=${block.length}`).sort();
  let print = 'nothing';
  let entry: Entry | undefined;
  if (outcome.kind === 'ok') {
    entry = outcome.entry;
    const { record } = entry;
    const bytes = await readAll(store, entry, 0, record.length);
    const blocks = record.blocks === undefined || lists.kind !== 'ok' ? undefined : lists.committed;
    const shown = blocks?.map(([blockId, length]) => `${blockId}=${length}`);
    print = entryPrint(bytes, shown, record.metadata, record.headers.contentType ?? '', record.lease);
    print += markPrint(record.tags, record.legalHold === true);
  } else if (outcome.kind !== 'entry-not-found') print = outcome.kind;
  const past = await observePast(store, id);
  return { print: `${print}${past} [${upload.join(',')}]`, etag: entry?.record.etag, lease: entry?.record.lease };
}

export function modelEntry(model: Model, id: EntryId): string {
  if (!model.containers.has(id.container)) return 'no container';
  const entry = model.entry(id);
  const upload = [...(model.upload(id)?.blocks ?? [])].map(([block, bytes]) => `${block}=${bytes.length}`).sort();
  const blocks = entry?.blocks?.map((block) => `${block.id}=${block.bytes.length}`);
  const print = entry ? entryPrint(entry.bytes, blocks, entry.metadata, entry.contentType, entry.lease) : 'nothing';
  const past = model.past(id).map((one) => {
    const state = `${one.kind}${one.isDeleted ? '!' : ''} ${bytesPrint(one.bytes)} ${JSON.stringify(one.metadata)}`;
    return ` <${state}${markPrint(one.tags, one.isHeld)}>`;
  });
  const marks = entry ? markPrint(entry.tags, entry.isHeld === true) : '';
  return `${print}${marks}${past.join('')} [${upload.join(',')}]`;
}

function markPrint(tags: Readonly<Record<string, string>> | undefined, isHeld: boolean): string {
  return `${tags === undefined ? '' : ` #${JSON.stringify(tags)}`}${isHeld ? ' held' : ''}`;
}

async function observePast(store: Store, { container, name }: EntryId): Promise<string> {
  const past = await store.engine.snapshot(async (view) => {
    const found = await readContainer(view, { account, container });
    const place = found && (await findPlace(view, Buffer.from(found.id, 'hex'), name));
    return place === undefined ? [] : await readPast(view, place);
  });
  let print = '';
  for (const entry of past) {
    const { record } = entry;
    const bytes = await readAll(store, entry, 0, record.length);
    const state = `${record.past?.kind}${record.past?.deletedMs === undefined ? '' : '!'} ${bytesPrint(bytes)}`;
    const marks = markPrint(record.tags, record.legalHold === true);
    print += ` <${state} ${JSON.stringify(record.metadata)}${marks}>`;
  }
  return print;
}

export async function observeContainer(store: Store, container: string): Promise<Observed> {
  const outcome = await getContainer(store, { account, container, conditions: {} });
  if (outcome.kind !== 'ok') return { print: 'nothing', etag: undefined, lease: undefined };
  const { metadata, quotaBytes, lease } = outcome.record;
  const print = `${JSON.stringify(metadata)} ${quotaBytes ?? 0} ${leasePrint(lease)}`;
  return { print, etag: undefined, lease };
}

export function modelContainer(model: Model, container: string): string {
  const found = model.containers.get(container);
  return found === undefined
    ? 'nothing'
    : `${JSON.stringify(found.metadata)} ${found.quotaBytes} ${leasePrint(found.lease)}`;
}

export function modelNames(model: Model, container: string): string[] {
  const found = model.containers.get(container);
  return [...new Set([...(found?.entries.keys() ?? []), ...(found?.uploads.keys() ?? [])])].sort(byBytes);
}

/** Every state of every name, those of the past first. */
export function modelStates(model: Model, container: string): string[] {
  const found = model.containers.get(container);
  const states: string[] = [];
  for (const name of [...new Set([...(found?.entries.keys() ?? []), ...(found?.past.keys() ?? [])])].sort(byBytes)) {
    for (const { kind, isDeleted } of found?.past.get(name) ?? []) {
      states.push(`${name} ${kind}${isDeleted ? '!' : ''}`);
    }
    if (found?.entries.has(name)) states.push(name);
  }
  return states;
}
