// Put Block, Put Block List and Get Block List: order, reuse, checksums and what makes a list wrong.

import assert from 'node:assert/strict';
import { crc64 } from '../crc64.ts';
import { blockId, bytes, type Checks, fields, md5, put, refused, type Sdk, same, text } from '../kit.ts';
import { raw } from '../raw.ts';

export const blocks: Checks = {
  'blocks staged out of order commit in the list’s order': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    for (const number of [3, 1, 2]) await blob.stageBlock(blockId(number), `<${number}>`, 3);
    const answer = await blob.commitBlockList([1, 2, 3].map(blockId));
    assert.equal(answer._response.status, 201);
    assert.match(answer.etag, /^"0x[0-9A-F]+"$/i);
    assert.equal(await text(blob), '<1><2><3>');
  },

  'blocks staged concurrently all arrive': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    const parts = Array.from({ length: 24 }, (_, index) => bytes(50_000 + index, index + 7));
    await Promise.all(parts.map((part, index) => blob.stageBlock(blockId(index), part, part.length)));
    await blob.commitBlockList(parts.map((_, index) => blockId(index)));
    same(await blob.downloadToBuffer(), Buffer.concat(parts));
  },

  'put block answers 201 with a checksum': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    const answer = await blob.stageBlock(blockId(1), 'hello', 5);
    assert.equal(answer._response.status, 201);
    const sum = Buffer.from(answer.xMsContentCrc64 ?? []).toString('hex');
    assert.equal(sum, crc64(Buffer.from('hello')).toString('hex'), 'x-ms-content-crc64');
    fields(answer, { isServerEncrypted: true });
    const withMd5 = await blob.stageBlock(blockId(2), 'hello', 5, {
      transactionalContentMD5: md5(Buffer.from('hello')),
    });
    fields(withMd5, { contentMD5: md5(Buffer.from('hello')) });
  },

  'put block with a wrong md5 is Md5Mismatch': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    const options = { transactionalContentMD5: md5(Buffer.from('other')) };
    await refused(blob.stageBlock(blockId(1), 'hello', 5, options), 400, 'Md5Mismatch');
    await refused(blob.commitBlockList([blockId(1)]), 400, 'InvalidBlockList');
  },

  'put block with a wrong crc64 is Crc64Mismatch, with the right one it is kept': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    const wrong = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]);
    const error = await refused(
      blob.stageBlock('MQ==', 'Hello World!', 12, { transactionalContentCrc64: wrong }),
      400,
      'Crc64Mismatch',
    );
    assert.match(error.response.bodyAsText, /<UserSpecifiedCrc>AQIDBAUGBwg=<\/UserSpecifiedCrc>/);
    assert.match(error.response.bodyAsText, /<ServerCalculatedCrc>peH8Xsgc5QI=<\/ServerCalculatedCrc>/);
    await blob.stageBlock('MQ==', 'Hello World!', 12, {
      transactionalContentCrc64: crc64(Buffer.from('Hello World!')),
    });
    await blob.commitBlockList(['MQ==']);
    assert.equal(await text(blob), 'Hello World!');
  },

  'a block staged twice is the last one': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'first', 5);
    await blob.stageBlock(blockId(1), 'second', 6);
    await blob.commitBlockList([blockId(1)]);
    assert.equal(await text(blob), 'second');
  },

  'a staged block leaves the committed blob as it was': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'old');
    const before = await blob.getProperties();
    await blob.stageBlock(blockId(1), 'new', 3);
    const after = await blob.getProperties();
    fields(after, { etag: before.etag, contentLength: 3 });
    assert.equal(await text(blob), 'old');
  },

  'get block list tells committed from uncommitted': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'aa', 2);
    await blob.stageBlock(blockId(2), 'bbb', 3);
    await blob.commitBlockList([blockId(2), blockId(1)]);
    await blob.stageBlock(blockId(3), 'cccc', 4);
    const committed = [
      { name: blockId(2), size: 3 },
      { name: blockId(1), size: 2 },
    ];
    const uncommitted = [{ name: blockId(3), size: 4 }];
    const all = await blob.getBlockList('all');
    fields(all, { committedBlocks: committed, uncommittedBlocks: uncommitted, blobContentLength: 5 });
    const { etag } = await blob.getProperties();
    assert.equal(all.etag, etag);
    const one = await blob.getBlockList('committed');
    assert.deepEqual([one.committedBlocks, one.uncommittedBlocks ?? []], [committed, []]);
    const other = await blob.getBlockList('uncommitted');
    assert.deepEqual([other.committedBlocks ?? [], other.uncommittedBlocks], [[], uncommitted]);
  },

  'get block list of only staged blocks has no etag, date or length': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'aa', 2);
    const list = await blob.getBlockList('all');
    fields(list, { uncommittedBlocks: [{ name: blockId(1), size: 2 }] });
    // As in Azure's recordings.
    for (const name of ['etag', 'last-modified', 'x-ms-blob-content-length']) {
      assert.equal(kit.last().header(name), undefined, name);
    }
  },

  'get block list of a put blob is empty, of nothing BlobNotFound': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'x');
    const list = await blob.getBlockList('all');
    assert.deepEqual([list.committedBlocks, list.uncommittedBlocks], [[], []]);
    await refused(container.getBlockBlobClient('none').getBlockList('all'), 404, 'BlobNotFound');
  },

  'a blob of only staged blocks does not exist for reads': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'aa', 2);
    assert.equal(await blob.exists(), false);
    await refused(blob.download(), 404, 'BlobNotFound');
    await refused(blob.delete(), 404, 'BlobNotFound');
  },

  'a commit drops the staged blocks that it does not name': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'aa', 2);
    await blob.stageBlock(blockId(2), 'bb', 2);
    await blob.commitBlockList([blockId(1)]);
    fields(await blob.getBlockList('all'), { uncommittedBlocks: [] });
    await refused(blob.commitBlockList([blockId(1), blockId(2)]), 400, 'InvalidBlockList');
    assert.equal(await text(blob), 'aa');
  },

  'put blob drops the staged blocks': async (kit) => {
    const container = await kit.container();
    const blob = container.getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'aa', 2);
    await put(container, 'a', 'whole');
    await refused(blob.commitBlockList([blockId(1)]), 400, 'InvalidBlockList');
    assert.equal(await text(blob), 'whole');
  },

  'a later list reuses committed blocks and reorders them': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    for (const number of [1, 2, 3]) await blob.stageBlock(blockId(number), `<${number}>`, 3);
    await blob.commitBlockList([1, 2, 3].map(blockId));
    await blob.stageBlock(blockId(4), '<4>', 3);
    await blob.commitBlockList([3, 4, 1].map(blockId));
    assert.equal(await text(blob), '<3><4><1>');
  },

  'committed, uncommitted and latest choose between two blocks of one id': async (kit) => {
    const container = await kit.container();
    const wanted = { Committed: 'old', Uncommitted: 'new', Latest: 'new' };
    for (const [kind, content] of Object.entries(wanted)) {
      const blob = container.getBlockBlobClient(kind);
      await blob.stageBlock(blockId(1), 'old', 3);
      await blob.commitBlockList([blockId(1)]);
      await blob.stageBlock(blockId(1), 'new', 3);
      const answer = await commit(kit, container, kind, `<${kind}>${blockId(1)}</${kind}>`);
      assert.equal(answer.status, 201, `${kind}: ${answer.text}`);
      assert.equal(await text(blob), content, kind);
    }
  },

  'an element that names the wrong kind of block is InvalidBlockList': async (kit) => {
    const container = await kit.container();
    await container.getBlockBlobClient('a').stageBlock(blockId(1), 'old', 3);
    const answer = await commit(kit, container, 'a', `<Committed>${blockId(1)}</Committed>`);
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidBlockList']);
  },

  'a list with an unknown block is InvalidBlockList': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await refused(blob.commitBlockList([blockId(9)]), 400, 'InvalidBlockList');
    assert.equal(await blob.exists(), false);
  },

  'an empty list makes an empty blob': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.commitBlockList([]);
    fields(await blob.getProperties(), { contentLength: 0 });
  },

  'a list that is not XML is InvalidXmlDocument': async (kit) => {
    const container = await kit.container();
    const answer = await raw(kit.access, {
      method: 'PUT',
      path: `/${container.containerName}/a`,
      query: { comp: 'blocklist' },
      body: '<BlockList><Latest>',
    });
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidXmlDocument']);
  },

  'put block list keeps properties, metadata and its own md5': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'hello', 5);
    const own = md5(Buffer.from('hello'));
    const blobHTTPHeaders = { blobContentType: 'text/plain', blobCacheControl: 'no-cache', blobContentMD5: own };
    await blob.commitBlockList([blockId(1)], { blobHTTPHeaders, metadata: { k: 'v' }, tier: 'Cool' });
    fields(await blob.getProperties(), {
      contentType: 'text/plain',
      cacheControl: 'no-cache',
      contentMD5: own,
      metadata: { k: 'v' },
      accessTier: 'Cool',
    });
  },

  'put block list without an md5 leaves the blob without one': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'hello', 5);
    await blob.commitBlockList([blockId(1)]);
    assert.equal((await blob.getProperties()).contentMD5, undefined);
  },

  'put block list with a wrong body md5 is Md5Mismatch': async (kit) => {
    const container = await kit.container();
    const sum = md5(Buffer.from('other')).toString('base64');
    // The SDK has no option for it.
    const service = kit.connect({ edit: (request: Sdk) => request.headers.set('content-md5', sum) });
    const blob = container.getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'hello', 5);
    const wrong = service.getContainerClient(container.containerName).getBlockBlobClient('a');
    await refused(wrong.commitBlockList([blockId(1)]), 400, 'Md5Mismatch');
    assert.equal(await blob.exists(), false);
  },

  'block ids of different lengths are InvalidBlobOrBlock': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'aa', 2);
    const longer = Buffer.from('0000000002').toString('base64');
    await refused(blob.stageBlock(longer, 'bb', 2), 400, 'InvalidBlobOrBlock');
  },

  'a block id that is not base64 is InvalidQueryParameterValue': async (kit) => {
    const container = await kit.container();
    const answer = await raw(kit.access, {
      method: 'PUT',
      path: `/${container.containerName}/a`,
      query: { comp: 'block', blockid: 'not base64!' },
      body: 'x',
    });
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidQueryParameterValue']);
  },

  'a block id of 64 bytes is taken, of 65 refused': async (kit) => {
    const container = await kit.container();
    const id = (length: number): string => Buffer.alloc(length, 'i').toString('base64');
    await container.getBlockBlobClient('a').stageBlock(id(64), 'x', 1);
    const error = await refused(container.getBlockBlobClient('b').stageBlock(id(65), 'x', 1), 400);
    return `65 bytes: ${error.response.headers.get('x-ms-error-code')}`;
  },

  'an empty block is refused': async (kit) => {
    // Learn, Put Block: "Content-Length: Required. The length of the block content in bytes"; 0 is InvalidHeaderValue.
    const blob = (await kit.container()).getBlockBlobClient('a');
    await refused(blob.stageBlock(blockId(1), '', 0), 400, 'InvalidHeaderValue');
  },

  'a list of 50,001 blocks is BlockListTooLong': async (kit) => {
    const container = await kit.container();
    await container.getBlockBlobClient('a').stageBlock(blockId(1), 'x', 1);
    const list = `<Latest>${blockId(1)}</Latest>`.repeat(50_001);
    const answer = await commit(kit, container, 'a', list);
    assert.deepEqual([answer.status, answer.code], [400, 'BlockListTooLong']);
  },
};

function commit(kit: { access: Sdk }, container: Sdk, blob: string, elements: string): ReturnType<typeof raw> {
  return raw(kit.access, {
    method: 'PUT',
    path: `/${container.containerName}/${blob}`,
    query: { comp: 'blocklist' },
    body: `<?xml version="1.0" encoding="utf-8"?><BlockList>${elements}</BlockList>`,
  });
}
