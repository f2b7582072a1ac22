// Shared access signatures: account and service, stored policies, every limit that one can carry, and ways to be wrong.

import assert from 'node:assert/strict';
import { type Checks, collect, inMinutes, type Kit, put, readAll, refused, type Sdk, text } from '../kit.ts';

export const sas: Checks = {
  'a blob SAS reads its blob and nothing else': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'dir/a b+%ä', 'hello');
    await put(container, 'other', 'secret');
    const url = await blobSas(kit, blob, 'r');
    assert.equal(await text(kit.blobAt(url)), 'hello');
    const query = url.slice(url.indexOf('?'));
    const other = kit.blobAt(`${container.getBlobClient('other').url}${query}`);
    await refused(other.download(), 403, 'AuthenticationFailed');
    await refused(kit.blobAt(url).setMetadata({}), 403, 'AuthorizationPermissionMismatch');
    await refused(kit.blobAt(url).delete(), 403, 'AuthorizationPermissionMismatch');
    await refused(kit.blobAt(url).upload('x', 1), 403, 'AuthorizationPermissionMismatch');
    assert.equal(await text(blob), 'hello');
  },

  'each permission of a blob SAS allows its operations only': async (kit) => {
    const container = await kit.container();
    const create = kit.blobAt(await blobSas(kit, container.getBlockBlobClient('c'), 'c'));
    await create.upload('one', 3);
    await refused(create.upload('two', 3), 403, 'UnauthorizedBlobOverwrite', 'AuthorizationPermissionMismatch');
    const write = kit.blobAt(await blobSas(kit, container.getBlockBlobClient('c'), 'w'));
    await write.upload('two', 3);
    await write.setMetadata({ a: '1' });
    await refused(write.download(), 403, 'AuthorizationPermissionMismatch');
    await refused(write.delete(), 403, 'AuthorizationPermissionMismatch');
    const remove = kit.blobAt(await blobSas(kit, container.getBlockBlobClient('c'), 'd'));
    await refused(remove.getProperties(), 403, 'AuthorizationPermissionMismatch');
    await remove.delete();
  },

  'a container SAS lists, reads and writes every blob': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'hello');
    const client = kit.containerAt(await containerSas(kit, container, 'rwl'));
    assert.equal((await collect(client.listBlobsFlat())).length, 1);
    assert.equal(await text(client.getBlobClient('a')), 'hello');
    await put(client, 'b', 'new');
    await refused(client.deleteBlob('b'), 403, 'AuthorizationPermissionMismatch');
    const readOnly = kit.containerAt(await containerSas(kit, container, 'r'));
    await refused(collect(readOnly.listBlobsFlat()), 403, 'AuthorizationPermissionMismatch');
  },

  'a container SAS does not reach another container, nor the container itself': async (kit) => {
    const [one, other] = [await kit.container(), await kit.container()];
    await put(other, 'a', 'secret');
    const url = await containerSas(kit, one, 'racwdl');
    const query = url.slice(url.indexOf('?'));
    await refused(kit.blobAt(`${other.getBlobClient('a').url}${query}`).download(), 403, 'AuthenticationFailed');
    const client = kit.containerAt(url);
    for (const operation of [() => client.delete(), () => client.setMetadata({ a: '1' })]) {
      const error = await refused(operation, 403);
      assert.match(error.response.headers.get('x-ms-error-code'), /^Authorization/);
    }
  },

  'an account SAS does what its types and permissions say': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'hello');
    const all = accountService(kit, { permissions: 'rwdlac', types: 'sco' });
    assert.equal(await text(all.getContainerClient(container.containerName).getBlobClient('a')), 'hello');
    assert((await collect(all.listContainers({ prefix: container.containerName }))).length === 1);
    const created = all.getContainerClient(kit.name());
    await created.create();
    await created.delete();
    const objects = accountService(kit, { permissions: 'rl', types: 'o' });
    assert.equal(await text(objects.getContainerClient(container.containerName).getBlobClient('a')), 'hello');
    await refused(collect(objects.listContainers()), 403, 'AuthorizationResourceTypeMismatch');
    await refused(
      collect(objects.getContainerClient(container.containerName).listBlobsFlat()),
      403,
      'AuthorizationResourceTypeMismatch',
    );
    const readers = accountService(kit, { permissions: 'r', types: 'sco' });
    await refused(
      put(readers.getContainerClient(container.containerName), 'b'),
      403,
      'AuthorizationPermissionMismatch',
    );
    await refused(readers.getContainerClient(kit.name()).create(), 403, 'AuthorizationPermissionMismatch');
  },

  'an account SAS of another service is AuthorizationServiceMismatch': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'hello');
    const queue = accountService(kit, { permissions: 'r', types: 'sco', services: 'q' });
    const blob = queue.getContainerClient(container.containerName).getBlobClient('a');
    await refused(blob.download(), 403, 'AuthorizationServiceMismatch');
  },

  'an expired SAS, and one that is not yet valid, are AuthenticationFailed': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'hello');
    const expired = await blobSas(kit, blob, 'r', { expiresOn: inMinutes(-5), startsOn: inMinutes(-60) });
    await refused(kit.blobAt(expired).download(), 403, 'AuthenticationFailed');
    const early = await blobSas(kit, blob, 'r', { startsOn: inMinutes(30) });
    await refused(kit.blobAt(early).download(), 403, 'AuthenticationFailed');
    const account = accountService(kit, { permissions: 'r', types: 'sco', expiresOn: inMinutes(-5) });
    await refused(collect(account.listContainers()), 403, 'AuthenticationFailed');
  },

  'a SAS with a start in the past is valid': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'hello');
    assert.equal(await text(kit.blobAt(await blobSas(kit, blob, 'r', { startsOn: inMinutes(-30) }))), 'hello');
  },

  'a changed signature, permission or expiry is AuthenticationFailed': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'hello');
    const url = new URL(await blobSas(kit, blob, 'r'));
    const changed = (name: string, value: string): string => {
      const copy = new URL(url);
      copy.searchParams.set(name, value);
      return copy.toString();
    };
    const signature = url.searchParams.get('sig') ?? '';
    for (const bad of [
      changed('sig', Buffer.from(signature, 'base64').reverse().toString('base64')),
      changed('sig', ''),
      changed('sig', 'no base64 at all'),
      changed('sp', 'rwd'),
      changed('se', '2099-01-01T00:00:00Z'),
      changed('sr', 'c'),
    ]) {
      const error = await refused(kit.blobAt(bad).download(), 403, 'AuthenticationFailed');
      assert(!error.response.bodyAsText.includes(kit.access.key), 'the key is in the answer');
    }
  },

  'a SAS of another key is AuthenticationFailed': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'hello');
    const wrong = new kit.sdk.StorageSharedKeyCredential(kit.access.account, Buffer.alloc(64, 1).toString('base64'));
    const other = new kit.sdk.BlockBlobClient(blob.url, kit.sdk.newPipeline(wrong));
    await refused(kit.blobAt(await blobSas(kit, other, 'r')).download(), 403, 'AuthenticationFailed');
  },

  'an address range': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'hello');
    const inside = await blobSas(kit, blob, 'r', { ipRange: { start: '127.0.0.0', end: '127.0.0.255' } });
    assert.equal(await text(kit.blobAt(inside)), 'hello');
    const single = await blobSas(kit, blob, 'r', { ipRange: { start: '127.0.0.1' } });
    assert.equal(await text(kit.blobAt(single)), 'hello');
    const outside = await blobSas(kit, blob, 'r', { ipRange: { start: '10.1.2.3', end: '10.1.2.9' } });
    await refused(kit.blobAt(outside).download(), 403, 'AuthorizationSourceIPMismatch');
  },

  'https only is AuthorizationProtocolMismatch over http': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'hello');
    const secure = await blobSas(kit, blob, 'r', { protocol: kit.sdk.SASProtocol.Https });
    await refused(kit.blobAt(secure).download(), 403, 'AuthorizationProtocolMismatch');
    const both = await blobSas(kit, blob, 'r', { protocol: kit.sdk.SASProtocol.HttpsAndHttp });
    assert.equal(await text(kit.blobAt(both)), 'hello');
  },

  'response headers are overridden': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'hello', {
      blobHTTPHeaders: { blobContentType: 'a/b', blobCacheControl: 'one' },
    });
    const wanted = {
      cacheControl: 'max-age=9',
      contentDisposition: 'attachment; filename="ü & b.txt"',
      contentEncoding: 'identity',
      contentLanguage: 'fr',
      contentType: 'text/x-other; charset=utf-8',
    };
    const ascii = { ...wanted, contentDisposition: 'attachment; filename="a & b.txt"' };
    const client = kit.blobAt(await blobSas(kit, blob, 'r', ascii));
    const answer = await client.download();
    await readAll(answer.readableStreamBody);
    for (const [name, value] of Object.entries(ascii)) assert.equal(answer[name], value, name);
    const head = await client.getProperties();
    for (const [name, value] of Object.entries(ascii)) assert.equal(head[name], value, `${name} of HEAD`);
    assert.equal((await blob.getProperties()).contentType, 'a/b');
  },

  'a stored policy gives permissions and expiry, and takes them back': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', 'hello');
    const policy = { expiresOn: inMinutes(60), startsOn: inMinutes(-60), permissions: 'r' };
    await container.setAccessPolicy(undefined, [{ id: 'reader', accessPolicy: policy }]);
    const url = await policySas(blob, 'reader');
    assert.equal(await text(kit.blobAt(url)), 'hello');
    await refused(kit.blobAt(url).delete(), 403, 'AuthorizationPermissionMismatch');
    await container.setAccessPolicy(undefined, [
      { id: 'reader', accessPolicy: { ...policy, expiresOn: inMinutes(-1) } },
    ]);
    await refused(kit.blobAt(url).download(), 403, 'AuthenticationFailed');
    await container.setAccessPolicy();
    await refused(kit.blobAt(url).download(), 403, 'AuthenticationFailed');
  },

  'a policy for a container SAS, with the expiry in the token': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'hello');
    await container.setAccessPolicy(undefined, [{ id: 'lister', accessPolicy: { permissions: 'rl' } }]);
    const url = await container.generateSasUrl({ identifier: 'lister', expiresOn: inMinutes(60) });
    assert.equal((await collect(kit.containerAt(url).listBlobsFlat())).length, 1);
  },

  'every older version of a SAS is taken': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'hello');
    for (const version of [
      '2018-11-09',
      '2019-12-12',
      '2020-02-10',
      '2020-08-04',
      '2020-12-06',
      '2021-12-02',
      '2024-11-04',
    ]) {
      const url = await blobSas(kit, blob, 'r', { version });
      assert.equal(await text(kit.blobAt(url)), 'hello', version);
      const service = accountService(kit, { permissions: 'rl', types: 'sco', version });
      assert((await service.getProperties())._response.status === 200, version);
    }
  },
};

interface AccountSas {
  permissions: string;
  types: string;
  services?: string;
  expiresOn?: Date;
  version?: string;
}

function accountService(kit: Kit, given: AccountSas): Sdk {
  const query = kit.sdk.generateAccountSASQueryParameters(
    {
      permissions: kit.sdk.AccountSASPermissions.parse(given.permissions),
      resourceTypes: given.types,
      services: given.services ?? 'b',
      expiresOn: given.expiresOn ?? inMinutes(60),
      ...(given.version ? { version: given.version } : {}),
    },
    kit.credential,
  );
  return kit.connect({ endpoint: `${kit.endpoint}?${query}`, credential: new kit.sdk.AnonymousCredential() });
}

function blobSas(kit: Kit, blob: Sdk, permissions: string, options = {}): Promise<string> {
  return blob.generateSasUrl({
    permissions: kit.sdk.BlobSASPermissions.parse(permissions),
    expiresOn: inMinutes(60),
    ...options,
  });
}

function containerSas(kit: Kit, container: Sdk, permissions: string): Promise<string> {
  return container.generateSasUrl({
    permissions: kit.sdk.ContainerSASPermissions.parse(permissions),
    expiresOn: inMinutes(60),
  });
}

const policySas = (blob: Sdk, identifier: string): Promise<string> => blob.generateSasUrl({ identifier });
