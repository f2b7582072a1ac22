// Operations that other issues bring: until then the documented refusal, not a crash and not a silent success. A check
// moves out of this list, and changes, when its operation arrives.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { bytes, type Checks, collect, inMinutes, type Kit, put, type Sdk, same } from '../kit.ts';

export const later: Checks = {
  'snapshot is refused in good form': (kit) => refusedInGoodForm(kit, (_, blob) => blob.createSnapshot()),
  'undelete is refused in good form': (kit) => refusedInGoodForm(kit, (_, blob) => blob.undelete()),
  'set tags is refused in good form': (kit) => refusedInGoodForm(kit, (_, blob) => blob.setTags({ a: '1' })),
  'get tags is refused in good form': (kit) => refusedInGoodForm(kit, (_, blob) => blob.getTags()),
  'find blobs by tags is refused in good form': (kit) =>
    refusedInGoodForm(kit, () => collect(kit.service.findBlobsByTags("a='1'"))),
  'legal hold is refused in good form': (kit) => refusedInGoodForm(kit, (_, blob) => blob.setLegalHold(true)),
  'immutability policy is refused in good form': (kit) =>
    refusedInGoodForm(kit, (_, blob) =>
      blob.setImmutabilityPolicy({ expiriesOn: inMinutes(60), policyMode: 'Unlocked' }),
    ),
  'restore container is refused in good form': (kit) =>
    refusedInGoodForm(kit, () => kit.service.undeleteContainer(kit.name(), randomUUID())),
  'user delegation key is refused in good form': (kit) =>
    refusedInGoodForm(kit, () => kit.service.getUserDelegationKey(inMinutes(-5), inMinutes(60))),
  'a version or snapshot of a blob that has none is refused in good form': async (kit) => {
    await refusedInGoodForm(kit, (_, blob) => blob.withVersion('2024-01-01T00:00:00.0000000Z').download());
    await refusedInGoodForm(kit, (_, blob) => blob.withSnapshot('2024-01-01T00:00:00.0000000Z').download());
  },

  // The framing of x-ms-structured-body (2024-11-04 and later) must never be stored as if it were the content.
  'an upload in a structured body is stored as its content or refused': async (kit) => {
    const container = await kit.container();
    const data = bytes(10_000);
    const blob = container.getBlockBlobClient('a');
    const outcome = await blob.upload(data, data.length, { contentChecksumAlgorithm: 'StorageCrc64' }).then(
      () => 'stored',
      (error: Sdk) => error,
    );
    if (outcome === 'stored') same(await blob.downloadToBuffer(), data);
    else {
      assert.equal(outcome.statusCode, 400, `answered ${outcome.statusCode ?? outcome}`);
      assert.equal(await blob.exists(), false);
    }
    return outcome === 'stored' ? 'stored' : `refused: ${outcome.response.headers.get('x-ms-error-code')}`;
  },

  'a customer-provided key is used or refused, never ignored': async (kit) => {
    const container = await kit.container();
    const key = bytes(32);
    const { createHash } = await import('node:crypto');
    const encryptionKeySha256 = createHash('sha256').update(key).digest();
    const service = kit.connect({
      edit: (request: Sdk) => {
        request.headers.set('x-ms-encryption-key', key.toString('base64'));
        request.headers.set('x-ms-encryption-key-sha256', encryptionKeySha256.toString('base64'));
        request.headers.set('x-ms-encryption-algorithm', 'AES256');
      },
    });
    const blob = service.getContainerClient(container.containerName).getBlockBlobClient('a');
    const stored = await blob.upload('secret', 6).then(
      () => true,
      (error: Sdk) => {
        assert([400, 409].includes(error.statusCode), `answered ${error.statusCode}`);
        return false;
      },
    );
    if (!stored) return 'refused';
    // Without the key it must not be readable.
    await assert.rejects(container.getBlobClient('a').download(), 'a blob with a customer’s key was read without it');
    return 'used';
  },
};

async function refusedInGoodForm(
  kit: Kit,
  operation: (container: Sdk, blob: Sdk) => Promise<unknown>,
): Promise<string> {
  const container = await kit.container();
  const blob = await put(container, 'a', 'hello');
  let error: Sdk;
  try {
    await operation(container, blob);
  } catch (caught) {
    error = caught;
  }
  assert(error, 'was accepted');
  if (error.statusCode === undefined) throw error;
  const code: string | undefined = error.response?.headers?.get('x-ms-error-code');
  assert(
    error.statusCode >= 400 && (error.statusCode < 500 || error.statusCode === 501),
    `answered ${error.statusCode} ${code}`,
  );
  assert(code && error.response.headers.get('x-ms-request-id'), `${error.statusCode} without a code or a request id`);
  assert.equal((await blob.downloadToBuffer()).toString(), 'hello', 'the blob changed');
  return `${error.statusCode} ${code}`;
}
