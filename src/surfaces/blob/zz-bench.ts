import { containerCall, openTestSurface, testAccount } from './call.testing.ts';
import { createContainer } from './create-container.ts';
import { listBlobs } from './list-blobs.ts';
import { listEntries } from '../../namespace/list.ts';
import { makePlace } from '../../namespace/paths.ts';
import { keys } from '../../metadata/keys.ts';
import { encodeRecord } from '../../namespace/records.ts';
import { readContainer } from '../../namespace/containers.ts';
const surface = await openTestSurface();
const shape = process.argv[2] ?? 'flat';
await createContainer(containerCall(surface, 'box'));
const { store } = surface;
await store.engine.transact(async (txn) => {
  const c = await readContainer(txn, { account: testAccount, container: 'box' });
  const root = Buffer.from(c!.id, 'hex');
  for (let i = 0; i < 20000; i++) {
    const name = shape === 'flat' ? `blob-${String(i).padStart(8, '0')}` : shape==='dirs' ? `dir${String(i >> 4).padStart(5,'0')}/blob-${i}` : `p${String(i >> 1).padStart(5,'0')}-x${i}`;
    const { parent, leaf } = await makePlace(store, txn, root, name);
    txn.put(keys.entry(parent, leaf), encodeRecord({ id: 'a'.repeat(32), type: 'block', etag: '0x8DE1234567890AB', createdMs: 1.7e12 + i * 777, modifiedMs: 1.7e12 + i * 777, length: 4096, pieces: [1, i * 4096, 4096, 123456789, 0, 4096], headers: { contentType: 'application/octet-stream', contentMd5: 'rvr3UC1SmUw7AZV2NqPN0g==' }, metadata: {} }, ));
  }
});
const q = shape === 'flat' ? '' : shape === 'dirs' ? process.argv[3] ?? '' : 'delimiter=-';
const time = async (f: () => Promise<unknown>) => { for (let i = 0; i < 5; i++) await f(); const t = performance.now(); for (let i = 0; i < 20; i++) await f(); return ((performance.now() - t) / 20).toFixed(2); };
const delimiter = q.startsWith('delimiter=') ? decodeURIComponent(q.slice(10)) : undefined;
const r = await listEntries(store, { account: testAccount, container: 'box', prefix: '', delimiter, from: '', limit: 5000, uncommitted: false });
console.log(shape, q, 'items', r.kind === 'ok' && r.items.length);
console.log('listEntries ms', await time(() => listEntries(store, { account: testAccount, container: 'box', prefix: '', delimiter, from: '', limit: 5000, uncommitted: false })));
let bytes = 0;
console.log('listBlobs ms', await time(async () => { const a = await listBlobs(containerCall(surface, 'box', { query: q })); bytes = Buffer.from(a.body as string).length; }), bytes);
await surface[Symbol.asyncDispose]();
