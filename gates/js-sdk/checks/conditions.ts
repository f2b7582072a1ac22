// Conditional headers on reads, writes, copies and their sources: each condition with the status and code it fails with.

import assert from 'node:assert/strict';
import { blockId, type Checks, inMinutes, type Kit, put, refused, type Sdk, text } from '../kit.ts';

type Conditions = Readonly<Record<string, unknown>>;

const otherTag = '"0x8D0000000000000"';
const past = (): Date => inMinutes(-60);
// A date in the future is not taken for If-Modified-Since by every HTTP server; Azure takes it.
const future = (): Date => inMinutes(60);

export const conditions: Checks = {
  'reads with a condition that holds': async (kit) => {
    const { blob, etag } = await one(kit);
    for (const held of holding(etag)) {
      await blob.getProperties({ conditions: held });
      await blob.download(0, undefined, { conditions: held });
      await blob.download(0, 1, { conditions: held });
    }
  },

  'reads with a condition that fails': async (kit) => {
    const { blob, etag } = await one(kit);
    for (const [failed, status] of failing(etag, 304)) {
      await refused(blob.getProperties({ conditions: failed }), status, 'ConditionNotMet');
      await refused(blob.download(0, undefined, { conditions: failed }), status, 'ConditionNotMet');
      await refused(blob.download(0, 1, { conditions: failed }), status, 'ConditionNotMet');
    }
  },

  'a read with if-none-match * is UnsatisfiableCondition': async (kit) => {
    const { blob } = await one(kit);
    await refused(blob.getProperties({ conditions: { ifNoneMatch: '*' } }), 400, 'UnsatisfiableCondition');
  },

  'reads of a missing blob with a condition are BlobNotFound': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('none');
    for (const given of [{ ifNoneMatch: otherTag }, { ifModifiedSince: past() }]) {
      await refused(blob.getProperties({ conditions: given }), 404, 'BlobNotFound');
      await refused(blob.download(0, undefined, { conditions: given }), 404, 'BlobNotFound');
    }
  },

  'writes with a condition that holds': async (kit) => {
    for (const [name, write] of Object.entries(writes)) {
      for (const pick of [0, 1, 2, 3, 4]) {
        const { blob, etag } = await one(kit);
        const held = holding(etag)[pick] ?? {};
        await assert.doesNotReject(write(blob, held), `${name} with ${Object.keys(held)}`);
      }
    }
  },

  'writes with a condition that fails are ConditionNotMet and change nothing': async (kit) => {
    for (const write of Object.values(writes)) {
      const { blob, etag } = await one(kit);
      for (const [failed] of failing(etag, 412)) await refused(write(blob, failed), 412, 'ConditionNotMet');
      assert.equal((await blob.getProperties()).etag, etag);
      assert.equal(await text(blob), 'hello');
    }
  },

  // Learn, Specifying conditional headers: `If-Match && If-Unmodified-Since && (If-None-Match || If-Modified-Since)`.
  'conditions of a read combine, those of a write on an etag and on a date go in pairs': async (kit) => {
    const { blob, etag } = await one(kit);
    const holds = { ifMatch: etag, ifUnmodifiedSince: future(), ifNoneMatch: otherTag, ifModifiedSince: past() };
    await blob.getProperties({ conditions: holds });
    await blob.getProperties({ conditions: { ifNoneMatch: otherTag, ifModifiedSince: future() } });
    await blob.getProperties({ conditions: { ifNoneMatch: etag, ifModifiedSince: past() } });
    for (const stale of [
      { ifMatch: otherTag, ifUnmodifiedSince: future() },
      { ifMatch: etag, ifUnmodifiedSince: past() },
    ]) {
      await refused(blob.getProperties({ conditions: stale }), 412, 'ConditionNotMet');
    }
    const unchanged = { ifNoneMatch: etag, ifModifiedSince: future() };
    await refused(blob.getProperties({ conditions: unchanged }), 304, 'ConditionNotMet');
    const stale = { ifMatch: otherTag, ifUnmodifiedSince: future() };
    await refused(blob.setMetadata({}, { conditions: stale }), 412, 'ConditionNotMet');
    const mixed = { ifMatch: etag, ifNoneMatch: otherTag };
    await refused(blob.setMetadata({}, { conditions: mixed }), 400, 'MultipleConditionHeadersNotSupported');
  },

  'put blob with if-none-match * makes, then is BlobAlreadyExists': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.upload('one', 3, { conditions: { ifNoneMatch: '*' } });
    await refused(blob.upload('two', 3, { conditions: { ifNoneMatch: '*' } }), 409, 'BlobAlreadyExists');
    assert.equal(await text(blob), 'one');
  },

  'put block list with if-none-match * makes, then is BlobAlreadyExists': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    await blob.stageBlock(blockId(1), 'one', 3);
    await blob.commitBlockList([blockId(1)], { conditions: { ifNoneMatch: '*' } });
    await blob.stageBlock(blockId(1), 'two', 3);
    const again = blob.commitBlockList([blockId(1)], { conditions: { ifNoneMatch: '*' } });
    await refused(again, 409, 'BlobAlreadyExists');
  },

  'of twenty writers with if-none-match * one wins': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('a');
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => {
        const body = `writer ${index}`;
        return blob.upload(body, body.length, { conditions: { ifNoneMatch: '*' } }).then(() => body);
      }),
    );
    const won = tries.filter((outcome) => outcome.status === 'fulfilled');
    assert.equal(won.length, 1);
    assert.equal(await text(blob), won[0]?.value);
  },

  'of twenty writers with the same if-match one wins': async (kit) => {
    const { blob, etag } = await one(kit);
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        blob.setMetadata({ writer: String(index) }, { conditions: { ifMatch: etag } }),
      ),
    );
    assert.equal(tries.filter((outcome) => outcome.status === 'fulfilled').length, 1);
  },

  'writes with if-match to a missing blob are ConditionNotMet': async (kit) => {
    const blob = (await kit.container()).getBlockBlobClient('none');
    await refused(blob.upload('x', 1, { conditions: { ifMatch: otherTag } }), 412, 'ConditionNotMet');
    await refused(blob.upload('x', 1, { conditions: { ifMatch: '*' } }), 412, 'ConditionNotMet');
  },

  'put with if-match * replaces what exists': async (kit) => {
    const { blob } = await one(kit);
    await blob.upload('two', 3, { conditions: { ifMatch: '*' } });
    assert.equal(await text(blob), 'two');
  },

  'copy with conditions on its source': async (kit) => {
    const { blob: source, etag, container } = await one(kit);
    const target = container.getBlockBlobClient('copy');
    const copy = (sourceConditions: Conditions): Promise<unknown> =>
      target.beginCopyFromURL(source.url, { sourceConditions }).then((poller: Sdk) => poller.pollUntilDone());
    for (const held of holding(etag).slice(0, 4)) await copy(held);
    for (const [failed] of failing(etag, 412)) await refused(copy(failed), 412, 'SourceConditionNotMet');
  },

  'copy with conditions on its target': async (kit) => {
    const { blob: source, container } = await one(kit);
    const target = await put(container, 'target', 'old');
    const { etag } = await target.getProperties();
    const copy = (given: Conditions): Promise<unknown> =>
      target.beginCopyFromURL(source.url, { conditions: given }).then((poller: Sdk) => poller.pollUntilDone());
    for (const [failed] of failing(etag, 412)) await refused(copy(failed), 412, 'TargetConditionNotMet');
    await refused(copy({ ifNoneMatch: '*' }), 409, 'BlobAlreadyExists');
    assert.equal(await text(target), 'old');
    await copy({ ifMatch: etag });
    assert.equal(await text(target), 'hello');
  },

  'the synchronous copies with conditions on their source': async (kit) => {
    const { blob: source, etag, container } = await one(kit);
    const url = await source.generateSasUrl({
      permissions: kit.sdk.BlobSASPermissions.parse('r'),
      expiresOn: inMinutes(60),
    });
    const operations: ((sourceConditions: Conditions) => Promise<unknown>)[] = [
      (sourceConditions) => container.getBlockBlobClient('put').syncUploadFromURL(url, { sourceConditions }),
      (sourceConditions) => stageFromUrl(kit, container, url, sourceConditions),
    ];
    // Azure reads the source as any reader would: its recordings have 304 and 412, both CannotVerifyCopySource.
    for (const operation of operations) {
      for (const held of holding(etag).slice(0, 4)) await operation(held);
      for (const [failed, status] of failing(etag, 304))
        await refused(operation(failed), status, 'CannotVerifyCopySource');
    }
    const copy = (sourceConditions: Conditions): Promise<unknown> =>
      container.getBlockBlobClient('sync').syncCopyFromURL(url, { sourceConditions });
    for (const held of holding(etag).slice(0, 4)) await copy(held);
    for (const [failed] of failing(etag, 304)) {
      const answered = await copy(failed).then(
        () => 'success',
        (error: Sdk) => `${error.statusCode} ${error.response?.headers.get('x-ms-error-code')}`,
      );
      assert.match(answered, /^(304|412) (CannotVerifyCopySource|SourceConditionNotMet)$/);
    }
  },
};

const writes: Readonly<Record<string, (blob: Sdk, conditions: Conditions) => Promise<unknown>>> = {
  'put blob': (blob, given) => blob.upload('new', 3, { conditions: given }),
  'put block list': async (blob, given) => {
    await blob.stageBlock(blockId(1), 'new', 3);
    await blob.commitBlockList([blockId(1)], { conditions: given });
  },
  'set properties': (blob, given) => blob.setHTTPHeaders({ blobContentType: 'n/n' }, { conditions: given }),
  'set metadata': (blob, given) => blob.setMetadata({ n: '1' }, { conditions: given }),
  'acquire lease': (blob, given) => blob.getBlobLeaseClient().acquireLease(15, { conditions: given }),
  delete: (blob, given) => blob.delete({ conditions: given }),
};

/** The SDK has no options for conditions on the source of a block. */
function stageFromUrl(kit: Kit, container: Sdk, url: string, given: Conditions): Promise<unknown> {
  const text = (value: unknown): string => (value instanceof Date ? value.toUTCString() : String(value));
  const edit = (request: Sdk): void => {
    for (const [name, value] of Object.entries(given)) {
      const header = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      request.headers.set(`x-ms-source-${header}`, text(value));
    }
  };
  const blob = kit.connect({ edit }).getContainerClient(container.containerName).getBlockBlobClient('block');
  return blob.stageBlockFromURL(blockId(1), url);
}

async function one(kit: Kit): Promise<{ container: Sdk; blob: Sdk; etag: string }> {
  const container = await kit.container();
  const blob = await put(container, 'a', 'hello');
  return { container, blob, etag: (await blob.getProperties()).etag };
}

function holding(etag: string): readonly Conditions[] {
  return [
    { ifMatch: etag },
    { ifNoneMatch: otherTag },
    { ifModifiedSince: past() },
    { ifUnmodifiedSince: future() },
    { ifMatch: '*' },
  ];
}

function failing(etag: string, whenUnchanged: number): readonly (readonly [Conditions, number])[] {
  return [
    [{ ifMatch: otherTag }, 412],
    [{ ifNoneMatch: etag }, whenUnchanged],
    [{ ifModifiedSince: future() }, whenUnchanged],
    [{ ifUnmodifiedSince: past() }, 412],
  ];
}
