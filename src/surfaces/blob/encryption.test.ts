// Encryption through the whole surface: scopes that requests and containers name, and keys that come with requests.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { unwrapKey, wrapKey } from '../../content/seal.ts';
import { changePolicies, type PolicyChanges } from '../../namespace/container-policies.ts';
import { KeyError, Keyring } from '../../namespace/keyring.ts';
import { changeScope, createScope } from '../../namespace/scopes.ts';
import { openTestSurface, type TestSurface, testAccount } from './call.testing.ts';
import { type Answered, refused, sasFor, TestClient, type WholeRequest } from './dispatch.testing.ts';

const at = (path: string): string => `/${testAccount}/${path}`;
const cause = { by: 'test', requestId: 'none' };
const small = 'some words that nobody else may read';
const large = small.repeat(8000);

class Vault {
  isRevoked = false;
  readonly #key = Buffer.alloc(32, 5);
  async wrap(_url: string | undefined, key: Buffer) {
    return { wrapped: wrapKey(this.#key, key), keyVersion: '1' };
  }
  async unwrap(_url: string | undefined, { wrapped }: { wrapped: Buffer }) {
    const key = this.isRevoked ? undefined : unwrapKey(this.#key, wrapped);
    if (key === undefined) throw new KeyError('key-not-found', 'the key is revoked');
    return key;
  }
}

interface Held {
  readonly client: TestClient;
  readonly surface: TestSurface;
  readonly vault: Vault;
}

async function withScopes(work: (held: Held) => Promise<void>): Promise<void> {
  await using opened = await openTestSurface();
  const vault = new Vault();
  const { engine } = opened.store;
  const keyring = new Keyring({ engine, clock: opened.clock, providers: { local: vault } });
  const store = { ...opened.store, keyring };
  for (const scope of ['one', 'two', 'default-of-box']) {
    assert.equal((await createScope(store, { account: testAccount, scope, source: 'local', cause })).kind, 'ok');
  }
  const surface: TestSurface = { store, clock: opened.clock, [Symbol.asyncDispose]: async () => undefined };
  const client = new TestClient(surface);
  await client.container('docs');
  await work({ client, surface, vault });
}

function keyHeaders(fill: number, prefix = 'x-ms-'): Record<string, string> {
  const key = Buffer.alloc(32, fill);
  return {
    [`${prefix}encryption-key`]: key.toString('base64'),
    [`${prefix}encryption-key-sha256`]: createHash('sha256').update(key).digest('base64'),
    [`${prefix}encryption-algorithm`]: 'AES256',
  };
}
const sha256 = (fill: number): string => keyHeaders(fill)['x-ms-encryption-key-sha256'] as string;

describe('an encryption scope', () => {
  test('is named by a request, and by the answers of what it sealed', async () => {
    await withScopes(async ({ client, surface }) => {
      for (const [name, text] of [
        ['small', small],
        ['large', large],
      ] as const) {
        const made = await client.put(at(`docs/${name}`), text, { 'x-ms-encryption-scope': 'one' });
        assert.deepEqual([made.status, made.headers['x-ms-encryption-scope']], [201, 'one'], made.text);
        assert.equal(made.headers['x-ms-request-server-encrypted'], 'true');
        assert.equal(made.headers['Content-MD5'], createHash('md5').update(text).digest('base64'));
        const got = await client.send({ url: at(`docs/${name}`) });
        assert.equal(got.text, text);
        assert.deepEqual([got.headers['x-ms-encryption-scope'], got.headers['x-ms-server-encrypted']], ['one', 'true']);
        const part = await client.send({ url: at(`docs/${name}`), headers: { 'x-ms-range': 'bytes=5-20' } });
        assert.equal(part.text, text.slice(5, 21));
        const summed = { 'x-ms-range': 'bytes=5-20', 'x-ms-range-get-content-md5': 'true' };
        const { headers } = await client.send({ url: at(`docs/${name}`), headers: summed });
        assert.equal(headers['Content-MD5'], createHash('md5').update(text.slice(5, 21)).digest('base64'));
        const properties = await client.send({ method: 'HEAD', url: at(`docs/${name}`) });
        assert.equal(properties.headers['x-ms-encryption-scope'], 'one');
        // Clients have no way to name the scope with properties; where they can, they must.
        const change = (comp: string, headers = {}) =>
          client.send({ method: 'PUT', url: at(`docs/${name}?comp=${comp}`), headers });
        assert.equal((await change('properties', { 'x-ms-blob-cache-control': 'no-cache' })).status, 200);
        const other = await change('properties', { 'x-ms-encryption-scope': 'two' });
        assert.equal(other.headers['x-ms-error-code'], 'BlobCustomerSpecifiedEncryptionMismatch');
        const unnamed = await change('metadata');
        assert.equal(unnamed.headers['x-ms-error-code'], 'BlobUsesCustomerSpecifiedEncryption');
      }
      const listed = await client.send({ url: at('docs?restype=container&comp=list') });
      assert.match(listed.text, /<ServerEncrypted>true<\/ServerEncrypted><EncryptionScope>one<\/EncryptionScope>/);
      const { directory } = surface.store.content;
      for (const file of await readdir(directory)) {
        assert.equal((await readFile(join(directory, file))).indexOf('nobody else'), -1);
      }
    });
  });

  test('that is not there, or is disabled, is refused', async () => {
    await withScopes(async ({ client, surface }) => {
      const put = (scope: string): WholeRequest => ({
        method: 'PUT',
        url: at('docs/a'),
        body: 'x',
        headers: { 'x-ms-blob-type': 'BlockBlob', 'x-ms-encryption-scope': scope },
      });
      await refused(client, put('nowhere'), 400, 'InvalidHeaderValue');
      await refused(client, put('no name'), 400, 'InvalidHeaderValue');
      await client.send(put('one'));
      await changeScope(surface.store, { account: testAccount, scope: 'one', state: 'disabled', cause });
      await refused(client, put('one'), 403, 'EncryptionScopeDisabled');
      await refused(client, { url: at('docs/a') }, 403, 'EncryptionScopeDisabled');
      assert.equal(
        (await client.send({ method: 'HEAD', url: at('docs/a') })).status,
        200,
        'its properties are no secret',
      );
      await changeScope(surface.store, { account: testAccount, scope: 'one', state: 'enabled', cause });
      assert.equal((await client.send({ url: at('docs/a') })).text, 'x');
    });
  });

  test('of a container takes in what names none, and may forbid others', async () => {
    await withScopes(async ({ client, surface }) => {
      const box = { account: testAccount, container: 'docs' };
      const scoped = { encryptionScope: 'default-of-box' };
      assert.equal((await changePolicies(surface.store, box, scoped, cause)).kind, 'ok');
      const made = await client.put(at('docs/a'), small);
      assert.equal(made.headers['x-ms-encryption-scope'], 'default-of-box');
      const other = await client.put(at('docs/b'), small, { 'x-ms-encryption-scope': 'one' });
      assert.equal(other.headers['x-ms-encryption-scope'], 'one');
      const clear = await client.put(at('docs/c'), small, { 'x-ms-encryption-scope': '$account-encryption-key' });
      assert.equal(clear.headers['x-ms-encryption-scope'], undefined);
      assert.equal((await changePolicies(surface.store, box, { denyScopeOverride: true }, cause)).kind, 'ok');
      const forbidden = [{ 'x-ms-encryption-scope': 'one' }, { 'x-ms-encryption-scope': '$account-encryption-key' }];
      for (const headers of [...forbidden, keyHeaders(1)]) {
        const request = { method: 'PUT', url: at('docs/d'), headers: { 'x-ms-blob-type': 'BlockBlob', ...headers } };
        await refused(client, request, 403, 'RequestForbiddenByContainerEncryptionPolicy');
      }
      const same = await client.put(at('docs/d'), small, { 'x-ms-encryption-scope': 'default-of-box' });
      assert.equal(same.status, 201);
      const shown = await client.send({ url: at('docs?restype=container') });
      assert.equal(shown.headers['x-ms-default-encryption-scope'], 'default-of-box');
      assert.equal(shown.headers['x-ms-deny-encryption-scope-override'], 'true');
      const listed = await client.send({ url: at('?comp=list') });
      assert.match(listed.text, /<DefaultEncryptionScope>default-of-box<\/DefaultEncryptionScope>/);
    });
  });

  test('of a container that is made must be there', async () => {
    await withScopes(async ({ client }) => {
      const make = (headers: Record<string, string>): WholeRequest => ({
        method: 'PUT',
        url: at('fresh?restype=container'),
        headers,
      });
      await refused(client, make({ 'x-ms-default-encryption-scope': 'nowhere' }), 400, 'InvalidHeaderValue');
      await refused(client, make({ 'x-ms-deny-encryption-scope-override': 'true' }), 400, 'MissingRequiredHeader');
      const odd = { 'x-ms-default-encryption-scope': 'one', 'x-ms-deny-encryption-scope-override': 'maybe' };
      await refused(client, make(odd), 400, 'InvalidHeaderValue');
      const good = { 'x-ms-default-encryption-scope': 'one', 'x-ms-deny-encryption-scope-override': 'true' };
      assert.equal((await client.send(make(good))).status, 201);
      assert.equal((await client.put(at('fresh/a'), 'x')).headers['x-ms-encryption-scope'], 'one');
      const other = { 'x-ms-blob-type': 'BlockBlob', 'x-ms-encryption-scope': 'two' };
      const put = { method: 'PUT', url: at('fresh/a'), headers: other };
      await refused(client, put, 403, 'RequestForbiddenByContainerEncryptionPolicy');
    });
  });

  test('of a blob is that of all its staged blocks, and of its snapshots', async () => {
    await withScopes(async ({ client, surface }) => {
      const one = { 'x-ms-encryption-scope': 'one' };
      const two = { 'x-ms-encryption-scope': 'two' };
      assert.equal((await client.send(block('a', 'MQ==', one))).headers['x-ms-encryption-scope'], 'one');
      await refused(client, block('a', 'Mg==', two), 409, 'BlobCustomerSpecifiedEncryptionMismatch');
      await refused(client, block('a', 'Mg==', {}), 409, 'BlobUsesCustomerSpecifiedEncryption');
      await refused(client, list('a', ['MQ=='], two), 409, 'BlobCustomerSpecifiedEncryptionMismatch');
      const made = await client.send(list('a', ['MQ=='], {}));
      assert.equal(made.headers['x-ms-encryption-scope'], 'one', 'the blocks say it, if the list does not');
      assert.equal((await client.send({ url: at('docs/a') })).text, large);
      // A scope that the container gets later takes in the blocks from then on.
      const box = { account: testAccount, container: 'docs' };
      assert.equal((await changePolicies(surface.store, box, { encryptionScope: 'default-of-box' }, cause)).kind, 'ok');
      assert.equal((await client.send(block('a', 'Mg==', {}))).headers['x-ms-encryption-scope'], 'default-of-box');
      const both = await client.send(list('a', ['MQ==', 'Mg=='], {}));
      assert.equal(both.headers['x-ms-encryption-scope'], 'default-of-box');
      assert.equal((await client.send({ url: at('docs/a') })).text, large + large);
      const snapshot = { method: 'PUT', url: at('docs/a?comp=snapshot') };
      await refused(client, { ...snapshot, headers: two }, 409, 'BlobCustomerSpecifiedEncryptionMismatch');
      assert.equal((await client.send(snapshot)).status, 201);
      const metadata = { method: 'PUT', url: at('docs/a?comp=metadata') };
      await refused(client, { ...metadata, headers: two }, 409, 'BlobCustomerSpecifiedEncryptionMismatch');
      assert.equal((await client.send(metadata)).status, 200);
    });
  });

  test('of a signature holds for whoever writes by it', async () => {
    await withScopes(async ({ client }) => {
      const fields = { sv: '2024-11-04', sr: 'b', sp: 'rcw', se: '2030-01-01T00:00:00Z', ses: 'two' };
      const signed = (headers: Record<string, string> = {}): WholeRequest => ({
        method: 'PUT',
        url: `${at('docs/a')}?${sasFor(at('docs/a'), fields)}`,
        key: null,
        body: 'x',
        headers: { 'x-ms-blob-type': 'BlockBlob', ...headers },
      });
      assert.equal((await client.send(signed())).headers['x-ms-encryption-scope'], 'two');
      assert.equal((await client.send(signed({ 'x-ms-encryption-scope': 'two' }))).status, 201);
      await refused(client, signed({ 'x-ms-encryption-scope': 'one' }), 403, 'AuthorizationFailure');
      await refused(client, signed(keyHeaders(1)), 403, 'AuthorizationFailure');
    });
  });

  test('whose key is revoked can be neither read nor written, before a byte is answered', async () => {
    await withScopes(async ({ client, surface, vault }) => {
      const named = { 'x-ms-encryption-scope': 'one' };
      await client.put(at('docs/small'), small, named);
      await client.put(at('docs/large'), large, named);
      await client.put(at('docs/clear'), small);
      vault.isRevoked = true;
      surface.clock.advance(31_000);
      for (const name of ['small', 'large']) {
        const answered = await refused(client, { url: at(`docs/${name}`) }, 403, 'KeyVaultEncryptionKeyNotFound');
        assert(!answered.text.includes('nobody else'));
      }
      const put = { method: 'PUT', url: at('docs/b'), body: 'x', headers: { 'x-ms-blob-type': 'BlockBlob', ...named } };
      await refused(client, put, 403, 'KeyVaultEncryptionKeyNotFound');
      assert.equal((await client.send({ url: at('docs/clear') })).text, small);
      vault.isRevoked = false;
      surface.clock.advance(2000);
      assert.equal((await client.send({ url: at('docs/small') })).text, small);
      assert.equal((await client.send({ url: at('docs/large') })).text, large);
    });
  });

  test('comes along with a copy, unless the copy is to have another', async () => {
    await withScopes(async ({ client, surface }) => {
      await client.put(at('docs/source'), large, { 'x-ms-encryption-scope': 'one' });
      await client.put(at('docs/clear'), small);
      const copied = async (source: string, headers: Record<string, string>): Promise<Answered> => {
        const from = { 'x-ms-copy-source': `http://127.0.0.1:10000${at(source)}`, ...headers };
        const made = await client.send({ method: 'PUT', url: at('docs/target'), headers: from });
        assert.equal(made.status, 202, made.text);
        return await client.send({ url: at('docs/target') });
      };
      const segment = async (): Promise<number> => {
        const { directory } = surface.store.content;
        const files = await Promise.all((await readdir(directory)).map((file) => readFile(join(directory, file))));
        return files.reduce((sum, file) => sum + file.length, 0);
      };
      const before = await segment();
      const kept = await copied('docs/source', {});
      assert.deepEqual([kept.headers['x-ms-encryption-scope'], kept.text], ['one', large]);
      assert.equal(await segment(), before, 'the pieces are shared');
      const moved = await copied('docs/source', { 'x-ms-encryption-scope': 'two' });
      assert.deepEqual([moved.headers['x-ms-encryption-scope'], moved.text], ['two', large]);
      assert((await segment()) > before, 'the bytes are sealed anew');
      const sealed = await copied('docs/clear', { 'x-ms-encryption-scope': 'two' });
      assert.deepEqual([sealed.headers['x-ms-encryption-scope'], sealed.text], ['two', small]);
      const clear = await copied('docs/clear', {});
      assert.deepEqual([clear.headers['x-ms-encryption-scope'], clear.text], [undefined, small]);
      // A copy that is read through its scope: disabled, the copy is unreadable too, and the clear one is not.
      await copied('docs/source', {});
      await changeScope(surface.store, { account: testAccount, scope: 'one', state: 'disabled', cause });
      await refused(client, { url: at('docs/target') }, 403, 'EncryptionScopeDisabled');
    });
  });
});

function block(name: string, id: string, headers: Record<string, string>, body = large): WholeRequest {
  const url = at(`docs/${name}?comp=block&blockid=${encodeURIComponent(id)}`);
  return { method: 'PUT', url, body, headers };
}

function list(name: string, ids: readonly string[], headers: Record<string, string>): WholeRequest {
  const body = `<BlockList>${ids.map((id) => `<Latest>${id}</Latest>`).join('')}</BlockList>`;
  return { method: 'PUT', url: at(`docs/${name}?comp=blocklist`), body, headers };
}

test('an incremental copy has the seal of its source, or is not made', async () => {
  await withScopes(async ({ client, surface }) => {
    const { store } = surface;
    await client.container('box');
    const change = (container: string, changes: PolicyChanges) =>
      changePolicies(store, { account: testAccount, container }, changes, cause);
    const snapshotOf = async (name: string, headers: Record<string, string> = {}): Promise<string> => {
      const make = { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '512', ...headers };
      assert.equal((await client.send({ method: 'PUT', url: at(name), headers: make })).status, 201);
      const taken = await client.send({ method: 'PUT', url: at(`${name}?comp=snapshot`), headers });
      return `http://127.0.0.1:10000${at(name)}?snapshot=${taken.headers['x-ms-snapshot']}`;
    };
    const copy = (name: string, source: string) => {
      const headers = { 'x-ms-copy-source': source };
      return client.send({ method: 'PUT', url: at(`box/${name}?comp=incrementalcopy`), headers });
    };
    const clear = await snapshotOf('docs/clear');
    const sealed = await snapshotOf('docs/sealed', { 'x-ms-encryption-scope': 'one' });
    assert.equal((await copy('before', clear)).status, 202);
    for (const denyScopeOverride of [true, false]) {
      assert.equal((await change('box', { encryptionScope: 'one', denyScopeOverride })).kind, 'ok');
      const refusal = await copy('clear', clear);
      assert.deepEqual([refusal.status, refusal.code], [501, 'NotImplemented']);
      assert.equal((await client.send({ method: 'HEAD', url: at('box/clear') })).status, 404);
      assert.equal((await copy(`sealed-${denyScopeOverride}`, sealed)).status, 202);
      const { headers } = await client.send({ method: 'HEAD', url: at(`box/sealed-${denyScopeOverride}`) });
      assert.equal(headers['x-ms-encryption-scope'], 'one');
    }
  });
});

describe('a customer-provided key', () => {
  test('is one for all blocks of a blob', async () => {
    await withScopes(async ({ client }) => {
      assert.equal((await client.send(block('a', 'MQ==', keyHeaders(1)))).status, 201);
      await refused(client, block('a', 'Mg==', keyHeaders(2)), 409, 'BlobCustomerSpecifiedEncryptionMismatch');
      await refused(client, block('a', 'Mg==', {}), 409, 'BlobUsesCustomerSpecifiedEncryption');
      await refused(client, list('a', ['MQ=='], {}), 409, 'BlobUsesCustomerSpecifiedEncryption');
      await refused(client, list('a', ['MQ=='], keyHeaders(2)), 409, 'BlobCustomerSpecifiedEncryptionMismatch');
      const made = await client.send(list('a', ['MQ=='], keyHeaders(1)));
      assert.deepEqual([made.status, made.headers['x-ms-encryption-key-sha256']], [201, sha256(1)]);
      assert.equal((await client.send({ url: at('docs/a'), headers: keyHeaders(1) })).text, large);
      await client.send(block('a', 'Mg==', keyHeaders(2)));
      await refused(client, list('a', ['MQ==', 'Mg=='], keyHeaders(2)), 409, 'BlobCustomerSpecifiedEncryptionMismatch');
      assert.equal((await client.send({ url: at('docs/a'), headers: keyHeaders(1) })).text, large);
      await client.send(block('clear', 'MQ==', {}));
      await refused(client, block('clear', 'Mg==', keyHeaders(1)), 409, 'BlobDoesNotUseCustomerSpecifiedEncryption');
      await refused(client, list('clear', ['MQ=='], keyHeaders(1)), 409, 'BlobDoesNotUseCustomerSpecifiedEncryption');
      assert.equal((await client.send(list('clear', ['MQ=='], {}))).status, 201);
    });
  });

  test('is needed to change metadata and properties, and for a snapshot', async () => {
    await withScopes(async ({ client }) => {
      await client.put(at('docs/a'), small, keyHeaders(1));
      await client.put(at('docs/clear'), small);
      for (const comp of ['metadata', 'properties', 'snapshot']) {
        const request = { method: 'PUT', url: at(`docs/a?comp=${comp}`) };
        await refused(client, request, 409, 'BlobUsesCustomerSpecifiedEncryption');
        const wrong = { ...request, headers: keyHeaders(2) };
        await refused(client, wrong, 409, 'BlobCustomerSpecifiedEncryptionMismatch');
        const clear = { method: 'PUT', url: at(`docs/clear?comp=${comp}`), headers: keyHeaders(1) };
        await refused(client, clear, 409, 'BlobDoesNotUseCustomerSpecifiedEncryption');
        const { status } = await client.send({ ...request, headers: keyHeaders(1) });
        assert.equal(status, comp === 'snapshot' ? 201 : 200);
      }
    });
  });

  test('is needed by whoever reads or asks about the blob', async () => {
    await withScopes(async ({ client }) => {
      for (const [name, text] of [
        ['small', small],
        ['large', large],
      ] as const) {
        const url = at(`docs/${name}`);
        const made = await client.put(url, text, keyHeaders(1));
        assert.equal(made.status, 201, made.text);
        assert.equal(made.headers['x-ms-encryption-key-sha256'], sha256(1));
        const got = await client.send({ url, headers: keyHeaders(1) });
        assert.deepEqual([got.text, got.headers['x-ms-encryption-key-sha256']], [text, sha256(1)]);
        const part = await client.send({ url, headers: { ...keyHeaders(1), 'x-ms-range': 'bytes=5-20' } });
        assert.equal(part.text, text.slice(5, 21));
        for (const method of ['GET', 'HEAD']) {
          await refused(client, { method, url }, 409, 'BlobUsesCustomerSpecifiedEncryption');
          await refused(
            client,
            { method, url, headers: keyHeaders(2) },
            409,
            'BlobCustomerSpecifiedEncryptionMismatch',
          );
        }
        await refused(client, { url: `${url}?comp=metadata` }, 409, 'BlobUsesCustomerSpecifiedEncryption');
        assert.equal((await client.send({ method: 'HEAD', url, headers: keyHeaders(1) })).status, 200);
      }
      await client.put(at('docs/clear'), small);
      const clear = { url: at('docs/clear'), headers: keyHeaders(1) };
      await refused(client, clear, 409, 'BlobDoesNotUseCustomerSpecifiedEncryption');
      const listed = await client.send({ url: at('docs?restype=container&comp=list') });
      assert(listed.text.includes(`<CustomerProvidedKeySha256>${sha256(1)}</CustomerProvidedKeySha256>`));
    });
  });

  test('is taken over https, and on loopback, and nowhere else', async () => {
    await withScopes(async ({ client }) => {
      const put = (peer: WholeRequest['peer']): WholeRequest => ({
        method: 'PUT',
        url: at('docs/a'),
        headers: { 'x-ms-blob-type': 'BlockBlob', ...keyHeaders(1) },
        ...(peer && { peer }),
      });
      await refused(client, put({ address: '192.0.2.7', protocol: 'http' }), 400, 'UnsupportedHeader');
      assert.equal((await client.send(put({ address: '192.0.2.7', protocol: 'https' }))).status, 201);
      assert.equal((await client.send(put({ address: '::ffff:127.0.0.1', protocol: 'http' }))).status, 201);
    });
  });

  test('that is malformed is refused, and never repeated', async () => {
    await withScopes(async ({ client }) => {
      const good = keyHeaders(1);
      const secret = good['x-ms-encryption-key'] as string;
      const bad: [Record<string, string>, string][] = [
        [{ 'x-ms-encryption-key': secret }, 'MissingRequiredHeader'],
        [{ 'x-ms-encryption-key-sha256': sha256(1) }, 'MissingRequiredHeader'],
        [{ ...good, 'x-ms-encryption-key': secret.slice(4) }, 'InvalidHeaderValue'],
        [{ ...good, 'x-ms-encryption-key': `${secret}!` }, 'InvalidHeaderValue'],
        [{ ...good, 'x-ms-encryption-key-sha256': sha256(2) }, 'InvalidHeaderValue'],
        [{ ...good, 'x-ms-encryption-key-sha256': 'short' }, 'InvalidHeaderValue'],
        [{ ...good, 'x-ms-encryption-algorithm': 'AES128' }, 'InvalidHeaderValue'],
        [{ ...good, 'x-ms-encryption-scope': 'one' }, 'InvalidHeaderValue'],
      ];
      for (const [headers, code] of bad) {
        const request = { method: 'PUT', url: at('docs/a'), headers: { 'x-ms-blob-type': 'BlockBlob', ...headers } };
        const { text } = await refused(client, request, 400, code);
        assert(!text.includes(secret.slice(4, 24)), text);
      }
      const algorithm = { 'x-ms-encryption-algorithm': 'AES256' };
      assert.equal(
        (await client.put(at('docs/plain'), 'text', algorithm)).status,
        201,
        'the algorithm alone is no key',
      );
      assert.equal((await client.send({ method: 'DELETE', url: at('docs/plain'), headers: algorithm })).status, 202);
      await refused(client, { url: at('docs/a?comp=tags'), headers: good }, 400, 'UnsupportedHeader');
      await refused(client, { method: 'DELETE', url: at('docs/a'), headers: good }, 400, 'UnsupportedHeader');
    });
  });

  test('of a copy’s source opens it, and the copy has the key of its own request', async () => {
    await withScopes(async ({ client }) => {
      await client.put(at('docs/source'), large, keyHeaders(1));
      const signed = sasFor(at('docs/source'), { sv: '2024-11-04', sr: 'b', sp: 'r', se: '2030-01-01T00:00:00Z' });
      const from = (headers: Record<string, string>): WholeRequest => ({
        method: 'PUT',
        url: at('docs/target'),
        headers: {
          'x-ms-blob-type': 'BlockBlob',
          'x-ms-copy-source': `http://127.0.0.1:10000${at('docs/source')}?${signed}`,
          ...headers,
        },
      });
      await refused(client, from({}), 409, 'CannotVerifyCopySource');
      await refused(client, from(keyHeaders(2, 'x-ms-source-')), 409, 'CannotVerifyCopySource');
      assert.equal((await client.send(from(keyHeaders(1, 'x-ms-source-')))).status, 201);
      assert.equal((await client.send({ url: at('docs/target') })).text, large);
      const both = { ...keyHeaders(1, 'x-ms-source-'), ...keyHeaders(2) };
      assert.equal((await client.send(from(both))).headers['x-ms-encryption-key-sha256'], sha256(2));
      assert.equal((await client.send({ url: at('docs/target'), headers: keyHeaders(2) })).text, large);
      const md5 = createHash('md5').update(small).digest('base64');
      const wrong = { ...both, 'x-ms-source-content-md5': md5 };
      await refused(client, from(wrong), 400, 'Md5Mismatch');
      const block: WholeRequest = { ...from(both), url: at('docs/blocks?comp=block&blockid=MQ%3D%3D') };
      assert.equal((await client.send(block)).status, 201);
      const list = '<BlockList><Latest>MQ==</Latest></BlockList>';
      const url = at('docs/blocks?comp=blocklist');
      assert.equal((await client.send({ method: 'PUT', url, body: list, headers: keyHeaders(2) })).status, 201);
      assert.equal((await client.send({ url: at('docs/blocks'), headers: keyHeaders(2) })).text, large);
    });
  });
});
