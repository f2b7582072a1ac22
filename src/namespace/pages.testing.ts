// What tests do with page blobs, and how they look at them.
import assert from 'node:assert/strict';
import { type EntryTime, getEntry } from './entries.ts';
import { fsck } from './fsck.ts';
import { listPages, type PageList } from './page-list.ts';
import { createPages, putPages } from './pages.ts';
import { readContent } from './read.ts';
import { account, cause, type TestStore } from './store.testing.ts';
import { snapshotEntry } from './times.ts';

export const place = { account, container: 'box', conditions: {}, cause };
export const mebibyte = 1024 * 1024;

export function bodyOf(bytes: Buffer) {
  const chunks = (async function* () {
    yield bytes;
  })();
  return { chunks, length: bytes.length, lengthMax: bytes.length, wantMd5: false };
}

export async function create(held: TestStore, name: string, length: number): Promise<void> {
  const attributes = { headers: {}, metadata: {} };
  assert.equal((await createPages(held.store, { ...place, name, length, attributes })).kind, 'ok');
}

export async function put(held: TestStore, name: string, offset: number, bytes: Buffer): Promise<string> {
  const command = { ...place, name, offset, length: bytes.length, sequence: {}, body: bodyOf(bytes) };
  return (await putPages(held.store, command)).kind;
}

export async function read(held: TestStore, name: string, at?: EntryTime, from = 0, to?: number): Promise<Buffer> {
  const found = await getEntry(held.store, { ...place, name, ...(at && { at }) });
  assert.ok(found.kind === 'ok', found.kind);
  const chunks: Buffer[] = [];
  for await (const chunk of readContent(held.store, found.entry, from, (to ?? found.entry.record.length) - from)) {
    chunks.push(Buffer.from(chunk.bytes));
    chunk.release();
  }
  return Buffer.concat(chunks);
}

export async function snapshot(held: TestStore, name: string): Promise<EntryTime> {
  const outcome = await snapshotEntry(held.store, { ...place, name });
  assert.ok(outcome.kind === 'ok');
  return { kind: 'snapshot', time: outcome.entry.record.past?.time as string };
}

export async function list(held: TestStore, name: string, more: object = {}): Promise<PageList> {
  const found = await listPages(held.store, { ...place, name, offset: 0, length: undefined, limit: 10_000, ...more });
  assert.ok(found.kind === 'ok', found.kind);
  return found;
}

export async function checkBooks(held: TestStore): Promise<void> {
  const lines: string[] = [];
  assert.equal((await fsck(held.store, (line) => lines.push(line))).damage, 0, lines.join('\n'));
}
