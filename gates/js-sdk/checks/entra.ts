// Entra ID: credentials of @azure/identity against a local issuer, roles, user delegation, and what is refused.

import assert from 'node:assert/strict';
import { type EntraStage, scope, type Who } from '../../entra.ts';
import { bytes, type Checks, collect, inMinutes, type Kit, put, refused, type Sdk, text } from '../kit.ts';

const unchallenged = /bearer/i;

/** `identity` is @azure/identity, installed beside the SDK. */
export function entra(identity: Sdk, stage: EntraStage): Checks {
  const credentialOf = (who: Who, tenant = stage.tenant): Sdk => {
    const { clientId, secret } = stage.principals[who];
    const options = { authorityHost: stage.authorityHost, disableInstanceDiscovery: true };
    return new identity.ClientSecretCredential(tenant, clientId, secret, options);
  };
  const serviceAs = (kit: Kit, who: Who, options: object = {}): Sdk =>
    new kit.sdk.BlobServiceClient(kit.endpoint, credentialOf(who), { retryOptions: { maxTries: 1 }, ...options });
  const as = (kit: Kit, who: Who, container: Sdk): Sdk =>
    serviceAs(kit, who).getContainerClient(container.containerName);
  const mismatch = [403, 'AuthorizationPermissionMismatch'] as const;
  const account = `accounts/${stage.server.access.account}`;

  /** The container that some roles are bound to; made once. */
  let shared: Promise<Sdk> | undefined;
  const scoped = (kit: Kit): Promise<Sdk> => {
    const container = kit.service.getContainerClient(scope.container);
    const made = shared ?? container.createIfNotExists();
    shared = made;
    return made.then(() => container);
  };

  async function delegated(kit: Kit, who: Who, container: Sdk, letters: string, more: object = {}): Promise<string> {
    const [start, end] = [inMinutes(-5), inMinutes(60)];
    const key = await serviceAs(kit, who).getUserDelegationKey(start, end);
    const values = {
      containerName: container.containerName,
      permissions: kit.sdk.ContainerSASPermissions.parse(letters),
      startsOn: start,
      expiresOn: end,
      ...more,
    };
    const sas = kit.sdk.generateBlobSASQueryParameters(values, key, kit.access.account);
    return `${container.url}?${sas}`;
  }

  return {
    'an owner does everything with data': async (kit) => {
      const service = serviceAs(kit, 'owner');
      const container = service.getContainerClient(kit.name('gate'));
      await container.create();
      const blob = await put(container, 'a', 'x', { tags: { t: '1' }, metadata: { m: '1' } });
      assert.equal(await text(blob), 'x');
      assert.deepEqual((await blob.getTags()).tags, { t: '1' });
      assert.equal((await collect(container.listBlobsFlat())).length, 1);
      assert.equal((await collect(container.findBlobsByTags("t='1'"))).length, 1);
      await blob.setAccessTier('Cool');
      await blob.createSnapshot();
      const lease = blob.getBlobLeaseClient();
      await lease.acquireLease(15);
      await lease.releaseLease();
      await blob.delete({ deleteSnapshots: 'include' });
      await container.delete();
    },

    'a contributor writes and deletes, but has no tags': async (kit) => {
      const container = as(kit, 'contributor', await kit.container());
      const blob = await put(container, 'a', 'x');
      await blob.setMetadata({ m: '1' });
      assert.equal(await text(blob), 'x');
      await refused(blob.setTags({ t: '1' }), ...mismatch);
      await refused(blob.getTags(), ...mismatch);
      await refused(blob.upload('y', 1, { tags: { t: '1' } }), ...mismatch);
      await refused(container.setAccessPolicy(undefined), ...mismatch);
      await blob.delete();
    },

    'a reader reads and lists, and changes nothing': async (kit) => {
      const real = await kit.container();
      await put(real, 'a', 'x');
      const container = as(kit, 'reader', real);
      const blob = container.getBlockBlobClient('a');
      assert.equal(await text(blob), 'x');
      assert.equal((await collect(container.listBlobsFlat())).length, 1);
      await container.getProperties();
      assert.ok((await collect(serviceAs(kit, 'reader').listContainers())).length > 0);
      for (const change of [
        () => blob.upload('y', 1),
        () => blob.delete(),
        () => blob.setMetadata({ m: '1' }),
        () => blob.createSnapshot(),
        () => blob.setAccessTier('Cool'),
        () => container.getBlockBlobClient('new').upload('y', 1),
        () => container.delete(),
        () => serviceAs(kit, 'reader').getContainerClient(kit.name()).create(),
      ]) {
        await refused(change, ...mismatch);
      }
      assert.equal(await text(blob), 'x');
    },

    'a large upload that is refused is answered': async (kit) => {
      const container = as(kit, 'reader', await kit.container());
      const data = bytes(12 * 1024 * 1024);
      await refused(container.getBlockBlobClient('a').upload(data, data.length), ...mismatch);
      await refused(
        container.getBlockBlobClient('a').stageBlock('AAAA', data.subarray(0, 600_000), 600_000),
        ...mismatch,
      );
    },

    'who has no role gets nothing': async (kit) => {
      const real = await kit.container();
      await put(real, 'a', 'x');
      const container = as(kit, 'nobody', real);
      await refused(container.getBlobClient('a').download(), ...mismatch);
      await refused(collect(container.listBlobsFlat()), ...mismatch);
      await refused(collect(serviceAs(kit, 'nobody').listContainers()), ...mismatch);
      await refused(container.getBlockBlobClient('b').upload('y', 1), ...mismatch);
      await refused(serviceAs(kit, 'nobody').getUserDelegationKey(inMinutes(-5), inMinutes(60)), ...mismatch);
    },

    'a role in a container ends at its wall': async (kit) => {
      const inside = as(kit, 'container', await scoped(kit));
      const outside = as(kit, 'container', await kit.container());
      const blob = await put(inside, kit.name('js'), 'x');
      assert.equal(await text(blob), 'x');
      assert.ok((await collect(inside.listBlobsFlat())).length > 0);
      await blob.delete();
      await refused(outside.getBlockBlobClient('a').upload('x', 1), ...mismatch);
      await refused(collect(outside.listBlobsFlat()), ...mismatch);
      await refused(collect(serviceAs(kit, 'container').listContainers()), ...mismatch);
    },

    'a role below a prefix ends there': async (kit) => {
      const real = await scoped(kit);
      const container = as(kit, 'prefix', real);
      const name = kit.name('js');
      await put(real, `other/${name}`, 'x');
      const blob = await put(container, `${scope.prefix}${name}`, 'mine');
      assert.equal(await text(blob), 'mine');
      await refused(container.getBlobClient(`other/${name}`).download(), ...mismatch);
      await refused(container.getBlockBlobClient(name).upload('x', 1), ...mismatch);
      const [cut] = scope.prefix.split('/');
      await refused(container.getBlockBlobClient(`${cut}-not/${name}`).upload('x', 1), ...mismatch);
      await refused(container.getBlockBlobClient(`${scope.prefix}../other/${name}`).delete(), 403);
      const listed = await collect<Sdk>(container.listBlobsFlat({ prefix: scope.prefix }));
      assert.ok(listed.some((item) => item.name === `${scope.prefix}${name}`));
      await refused(collect(container.listBlobsFlat()), ...mismatch);
      await blob.delete();
    },

    'a key of user delegation names who asked for it': async (kit) => {
      const [start, end] = [inMinutes(-5), inMinutes(60)];
      const key = await serviceAs(kit, 'reader').getUserDelegationKey(start, end);
      assert.deepEqual(
        [key.signedObjectId, key.signedTenantId, key.signedService],
        [stage.principals.reader.oid, stage.tenant, 'b'],
      );
      assert.equal(Buffer.from(key.value, 'base64').length, 32);
      await refused(serviceAs(kit, 'reader').getUserDelegationKey(start, inMinutes(8 * 24 * 60)), 400);
      await refused(kit.service.getUserDelegationKey(start, end), 403);
    },

    'a signature of user delegation opens what its user may open': async (kit) => {
      const real = await kit.container();
      await put(real, 'a', 'x');
      const readable = kit.containerAt(await delegated(kit, 'reader', real, 'rl'));
      assert.equal(await text(readable.getBlobClient('a')), 'x');
      assert.equal((await collect(readable.listBlobsFlat())).length, 1);
      // The signature says more than the user may.
      const writable = kit.containerAt(await delegated(kit, 'reader', real, 'rwd'));
      assert.equal(await text(writable.getBlobClient('a')), 'x');
      await refused(writable.getBlockBlobClient('a').upload('y', 1), ...mismatch);
      // And the user more than the signature.
      const narrow = kit.containerAt(await delegated(kit, 'owner', real, 'r'));
      await refused(narrow.getBlockBlobClient('a').upload('y', 1), ...mismatch);
      const wide = kit.containerAt(await delegated(kit, 'owner', real, 'rw'));
      await wide.getBlockBlobClient('a').upload('y', 1);
    },

    'a signature of user delegation for one blob opens no other': async (kit) => {
      const real = await kit.container();
      for (const name of ['a', 'b']) await put(real, name, name);
      const permissions = kit.sdk.BlobSASPermissions.parse('r');
      const url = await delegated(kit, 'reader', real, 'r', { blobName: 'a', permissions });
      const query = url.slice(url.indexOf('?'));
      assert.equal(await text(kit.blobAt(`${real.url}/a${query}`)), 'a');
      await refused(kit.blobAt(`${real.url}/b${query}`).download(), 403, 'AuthenticationFailed');
    },

    'a signature of user delegation ends with the role': async (kit) => {
      const real = await kit.container();
      await put(real, 'a', 'x');
      const container = kit.containerAt(await delegated(kit, 'leaving', real, 'r'));
      assert.equal(await text(container.getBlobClient('a')), 'x');
      await stage.manager.request('DELETE', `${account}/role-assignments/${stage.principals.leaving.assignment}`);
      await refused(container.getBlobClient('a').download(), ...mismatch);
      await refused(as(kit, 'leaving', real).getBlobClient('a').download(), ...mismatch);
    },

    'the challenge tells a client its tenant': async (kit) => {
      const real = await kit.container();
      await put(real, 'a', 'x');
      const asked: (string | undefined)[] = [];
      const stranger = await stage.strangerToken();
      // A credential that is at home in another tenant, until it is told the right one.
      const credential = {
        async getToken(scopes: Sdk, options: Sdk) {
          asked.push(options?.tenantId);
          if (options?.tenantId === undefined) return { token: stranger, expiresOnTimestamp: Date.now() + 600_000 };
          return await credentialOf('reader', options.tenantId).getToken(scopes, { abortSignal: options.abortSignal });
        },
      };
      const service = new kit.sdk.BlobServiceClient(kit.endpoint, credential);
      assert.equal(await text(service.getContainerClient(real.containerName).getBlobClient('a')), 'x');
      assert.ok(asked.includes(stage.tenant), `it was asked for ${asked}`);
    },

    'a token of another tenant is refused with the challenge': async (kit) => {
      const stranger = await stage.strangerToken();
      const answer = await fetch(`${kit.endpoint}/?comp=list`, {
        headers: { authorization: `Bearer ${stranger}`, 'x-ms-version': '2024-11-04' },
      });
      await answer.body?.cancel();
      const challenge = answer.headers.get('www-authenticate') ?? '';
      assert.equal(answer.status, 401);
      assert.match(challenge, unchallenged);
      assert.ok(challenge.includes(`/${stage.tenant}/`), 'the challenge does not name the tenant');
      assert.match(challenge, /resource_id=https:\/\/storage\.azure\.com/);
    },

    'a token for another audience is refused': async (kit) => {
      const service = serviceAs(kit, 'owner', { audience: 'https://vault.azure.net/.default' });
      // The challenge would have the client ask for the right one: what is tested is the answer to the wrong one.
      const { token } = await credentialOf('owner').getToken('https://vault.azure.net/.default');
      const answer = await fetch(`${kit.endpoint}/?comp=list`, {
        headers: { authorization: `Bearer ${token}`, 'x-ms-version': '2024-11-04' },
      });
      await answer.body?.cancel();
      assert.equal(answer.status, 401);
      assert.equal(answer.headers.get('x-ms-error-code'), 'InvalidAuthenticationInfo');
      // And so the client does, and comes in.
      assert.ok((await collect(service.listContainers())).length >= 0);
      const own = serviceAs(kit, 'owner', { audience: kit.sdk.getBlobServiceAccountAudience(kit.access.account) });
      await own.getProperties().catch((error: Sdk) => assert.equal(error.statusCode, 403));
      await collect(own.listContainers());
    },

    'a batch is decided request by request': async (kit) => {
      const real = await kit.container();
      for (const name of ['a', 'b']) await put(real, name, name);
      const remove = async (who: Who): Promise<Sdk> => {
        const blobs = ['a', 'b'].map((name) => as(kit, who, real).getBlobClient(name).url);
        return await serviceAs(kit, who).getBlobBatchClient().deleteBlobs(blobs, credentialOf(who));
      };
      const read = await remove('reader');
      assert.deepEqual(
        read.subResponses.map(({ status }: Sdk) => status),
        [403, 403],
      );
      const written = await remove('contributor');
      assert.deepEqual(
        written.subResponses.map(({ status }: Sdk) => status),
        [202, 202],
      );
    },

    'a copy takes the token of its source': async (kit) => {
      const real = await kit.container();
      const source = await put(real, 'a', 'x');
      const { token } = await credentialOf('reader').getToken('https://storage.azure.com/.default');
      const target = as(kit, 'contributor', real).getBlockBlobClient('b');
      const sourceAuthorization = { scheme: 'Bearer', value: token };
      await target.syncUploadFromURL(source.url, { sourceAuthorization });
      assert.equal(await text(target), 'x');
      const nobody = await credentialOf('nobody').getToken('https://storage.azure.com/.default');
      await refused(
        target.syncUploadFromURL(source.url, { sourceAuthorization: { scheme: 'Bearer', value: nobody.token } }),
        403,
      );
    },
  };
}

/** Alone, at the end: while it lasts, nobody's account key is taken. */
export function withoutSharedKey(identity: Sdk, stage: EntraStage): Checks {
  return {
    'shared key switched off: keys and their signatures are refused, tokens are not': async (kit) => {
      const container = await kit.container();
      const blob = await put(container, 'a', 'x');
      const url = await blob.generateSasUrl({
        permissions: kit.sdk.BlobSASPermissions.parse('r'),
        expiresOn: inMinutes(60),
      });
      const { clientId, secret } = stage.principals.reader;
      const credential = new identity.ClientSecretCredential(stage.tenant, clientId, secret, {
        authorityHost: stage.authorityHost,
        disableInstanceDiscovery: true,
      });
      const service = new kit.sdk.BlobServiceClient(kit.endpoint, credential);
      const path = `accounts/${kit.access.account}`;
      await stage.manager.request('PATCH', path, { sharedKeyAccess: false });
      try {
        await refused(blob.download(), 403, 'KeyBasedAuthenticationNotPermitted');
        await refused(kit.blobAt(url).download(), 403, 'KeyBasedAuthenticationNotPermitted');
        assert.equal(await text(service.getContainerClient(container.containerName).getBlobClient('a')), 'x');
        const [start, end] = [inMinutes(-5), inMinutes(60)];
        const key = await service.getUserDelegationKey(start, end);
        const values = {
          containerName: container.containerName,
          permissions: kit.sdk.ContainerSASPermissions.parse('r'),
          expiresOn: end,
        };
        const sas = kit.sdk.generateBlobSASQueryParameters(values, key, kit.access.account);
        assert.equal(await text(kit.containerAt(`${container.url}?${sas}`).getBlobClient('a')), 'x');
      } finally {
        await stage.manager.request('PATCH', path, { sharedKeyAccess: true });
      }
      assert.equal(await text(blob), 'x');
    },
  };
}
