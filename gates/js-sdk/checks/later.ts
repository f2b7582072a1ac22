// What a server must not pass over in silence: framing and encryption that a client relies on.

import assert from 'node:assert/strict';
import { bytes, type Checks, type Sdk, same } from '../kit.ts';

export const later: Checks = {
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
