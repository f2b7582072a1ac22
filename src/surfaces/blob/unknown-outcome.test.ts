// A commit of which nobody knows whether it was made: every writing request says 500, does it once, and drops nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutcomeUnknownError } from '../../metadata/engine.ts';
import { processGarbage } from '../../namespace/garbage.ts';
import { openTestSurface, testAccount } from './call.testing.ts';
import { host, TestClient, type WholeRequest } from './dispatch.testing.ts';

const at = (path: string): string => `/${testAccount}/${path}`;
const block = Buffer.from('block-1').toString('base64');
const long = 'bytes of the blob '.repeat(1000);
const blockList = `<BlockList><Latest>${block}</Latest></BlockList>`;
const onAppend = { 'x-ms-blob-type': 'AppendBlob' };
const onPages = { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '1024' };

const operations: [string, WholeRequest][] = [
  ['Put Blob', { method: 'PUT', url: at('box/new'), headers: { 'x-ms-blob-type': 'BlockBlob' }, body: long }],
  ['Put Blob over one', { method: 'PUT', url: at('box/a'), headers: { 'x-ms-blob-type': 'BlockBlob' }, body: long }],
  ['Append Block', { method: 'PUT', url: at('box/log?comp=appendblock'), body: long }],
  ['Put Block', { method: 'PUT', url: at(`box/new?comp=block&blockid=${encodeURIComponent(block)}`), body: long }],
  ['Put Block List', { method: 'PUT', url: at('box/staged?comp=blocklist'), body: blockList }],
  [
    'Put Page',
    {
      method: 'PUT',
      url: at('box/pages?comp=page'),
      headers: { 'x-ms-page-write': 'update', 'x-ms-range': 'bytes=0-511' },
      body: 'p'.repeat(512),
    },
  ],
  ['Set Blob Metadata', { method: 'PUT', url: at('box/a?comp=metadata'), headers: { 'x-ms-meta-a': '1' } }],
  ['Set Blob Tags', { method: 'PUT', url: at('box/a?comp=tags'), body: '<Tags><TagSet></TagSet></Tags>' }],
  ['Set Blob Tier', { method: 'PUT', url: at('box/a?comp=tier'), headers: { 'x-ms-access-tier': 'Cool' } }],
  ['Snapshot Blob', { method: 'PUT', url: at('box/a?comp=snapshot') }],
  [
    'Lease Blob',
    {
      method: 'PUT',
      url: at('box/a?comp=lease'),
      headers: { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15' },
    },
  ],
  [
    'Copy Blob',
    {
      method: 'PUT',
      url: at('box/copied'),
      headers: { 'x-ms-copy-source': `http://${host}${at('box/a')}`, 'x-ms-requires-sync': 'true' },
    },
  ],
  ['Delete Blob', { method: 'DELETE', url: at('box/a') }],
  ['Create Container', { method: 'PUT', url: at('fresh?restype=container') }],
  ['Delete Container', { method: 'DELETE', url: at('box?restype=container') }],
];

for (const [what, request] of operations) {
  test(what, async () => {
    await using surface = await openTestSurface();
    const client = new TestClient(surface);
    await client.container('box', { 'x-ms-blob-public-access': 'blob' });
    await client.put(at('box/a'), long);
    await client.put(at('box/log'), '', onAppend);
    await client.put(at('box/pages'), '', onPages);
    const staged = { method: 'PUT', url: at(`box/staged?comp=block&blockid=${encodeURIComponent(block)}`), body: long };
    assert.equal((await client.send(staged)).status, 201);

    const { engine } = surface.store;
    const transact = engine.transact.bind(engine);
    let transactions = 0;
    engine.transact = async (work) => {
      // What comes after it is not lost with it: the worst case for what would drop the pieces of the first.
      if (transactions++ > 0) return await transact(work);
      await transact(work);
      throw new OutcomeUnknownError('the committer is gone');
    };
    const { status, code } = await client.send(request);
    engine.transact = transact;
    assert.deepEqual([status, code], [500, 'OperationTimedOut']);
    assert.equal(transactions, 1, 'nothing is run again, and nothing dropped');

    surface.clock.advance(3_600_000);
    await processGarbage(surface.store, { graceMs: 0, rowsMax: 1000 });
    if (what === 'Delete Blob' || what === 'Delete Container') return;
    const { text } = await client.send({ url: at('box/a') });
    assert.equal(text, long);
    if (what === 'Append Block') assert.equal((await client.send({ url: at('box/log') })).text, long, 'once');
  });
}
